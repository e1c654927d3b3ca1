package corpus

import (
	"encoding/base64"
	"strings"
)

// Form is a form in which the Functions host hands Event Hubs messages to a handler. The name says what the payload is
// once JSON has been read.
type Form string

// The forms, by cardinality and dataType of the binding.
const (
	Objects Form = "object" // an array of objects, as Microsoft's documentation shows it
	Strings Form = "string" // an array of strings
	Doubled Form = "double" // many, string: a string that holds an array of strings
	Base64  Form = "base64" // many, binary: a string that holds an array of base64 strings
	Single  Form = "single" // one: a string; each message is a payload of its own
)

// Forms lists every form.
func Forms() []Form { return []Form{Objects, Strings, Doubled, Base64, Single} }

// Messages returns n messages as diagnostic settings send them, of 1 to 20 records each, and the number of records. They
// are 10.5 on average in every run of 20 messages.
func (g *Generator) Messages(n int) (messages []string, records int) {
	for i := range n {
		list := make([]string, 1+i*7%20)
		for j := range list {
			list[j] = g.Next()
		}
		messages = append(messages, `{"records":[`+strings.Join(list, ",")+`]}`)
		records += len(list)
	}
	return messages, records
}

// Payloads returns the messages in a form: one payload, or one for each message where the form is Single.
func Payloads(messages []string, f Form) []string {
	each := func(encode func(string) string) string {
		out := make([]string, len(messages))
		for i, m := range messages {
			out[i] = encode(m)
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	switch f {
	case Objects:
		return []string{each(func(m string) string { return m })}
	case Strings:
		return []string{each(quote)}
	case Doubled:
		return []string{quote(each(quote))}
	case Base64:
		return []string{quote(each(func(m string) string { return `"` + base64.StdEncoding.EncodeToString([]byte(m)) + `"` }))}
	case Single:
		out := make([]string, len(messages))
		for i, m := range messages {
			out[i] = quote(m)
		}
		return out
	}
	panic("corpus: no form " + string(f))
}

// quote makes a JSON string of text without control characters, as the host's serialiser does: only quotes and
// backslashes are escaped.
func quote(s string) string {
	return `"` + escapes.Replace(s) + `"`
}

var escapes = strings.NewReplacer(`"`, `\"`, `\`, `\\`)

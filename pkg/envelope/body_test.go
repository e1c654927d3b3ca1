package envelope

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// readBody reads a body into lines, as read does.
func readBody(t testing.TB, body string) []string {
	t.Helper()
	var out []string
	for m := Body(body, Origin{Source: "hub"}); len(out) <= len(body)+1; {
		rec, err := m.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		part := (*Broken)(nil)
		switch {
		case err == nil:
			out = append(out, rec.Origin.String()+" "+rec.Body)
		case errors.As(err, &part):
			out = append(out, part.Origin.String()+" !"+part.Reason)
		default:
			t.Fatal(err)
		}
	}
	t.Fatal("the body does not end")
	return nil
}

// The forms of a payload, as azure-functions-host writes them.
var forms = []struct {
	name   string
	single bool
	encode func(messages []string, quote func(string) string) string
}{
	{"objects", false, func(m []string, _ func(string) string) string { return "[" + strings.Join(m, ",") + "]" }},
	{"string of objects", false, func(m []string, q func(string) string) string { return q("[" + strings.Join(m, ",") + "]") }},
	{"strings", false, func(m []string, q func(string) string) string { return "[" + each(m, q) + "]" }},
	{"string of strings", false, func(m []string, q func(string) string) string { return q("[" + each(m, q) + "]") }},
	{"string of base64", false, func(m []string, q func(string) string) string {
		return q("[" + each(m, func(s string) string { return q(base64.StdEncoding.EncodeToString([]byte(s))) }) + "]")
	}},
	{"string of compressed base64", false, func(m []string, q func(string) string) string {
		return q("[" + each(m, func(s string) string { return q(base64.StdEncoding.EncodeToString([]byte(zip(s)))) }) + "]")
	}},
	{"object", true, func(m []string, _ func(string) string) string { return m[0] }},
	{"string", true, func(m []string, q func(string) string) string { return q(m[0]) }},
	{"string in a string", true, func(m []string, q func(string) string) string { return q(q(m[0])) }},
	{"base64", true, func(m []string, q func(string) string) string {
		return q(base64.StdEncoding.EncodeToString([]byte(m[0])))
	}},
}

func each(list []string, f func(string) string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = f(s)
	}
	return strings.Join(out, ",")
}

// plainQuote writes a JSON string as Newtonsoft does.
func plainQuote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// wildQuote writes a JSON string with characters escaped that need not be, in all ways that there are.
func wildQuote(r *rand.Rand) func(string) string {
	return func(s string) string {
		var b strings.Builder
		b.WriteByte('"')
		for _, c := range s {
			short := strings.IndexRune("\"\\/\b\f\n\r\t", c)
			switch {
			case short >= 0 && r.IntN(2) == 0:
				b.WriteByte('\\')
				b.WriteByte(`"\/bfnrt`[short])
			case c > 0xffff && r.IntN(2) == 0:
				c -= 0x10000
				fmt.Fprintf(&b, `\u%04x\u%04X`, 0xd800+c>>10, 0xdc00+c&0x3ff)
			case c <= 0xffff && (c < ' ' || c == '"' || c == '\\' || r.IntN(8) == 0):
				fmt.Fprintf(&b, `\u%04x`, c)
			default:
				b.WriteRune(c)
			}
		}
		b.WriteByte('"')
		return b.String()
	}
}

// TestForms reads the same messages in all forms, escaped plainly and wildly.
func TestForms(t *testing.T) {
	messages := []string{
		`{"records":[{"a":"\"}]\\"},{"a":"\u0022\u005c\\\"é😀"}]}`,
		`{"time":"x","b":{}}`,
		`{"records":[]}`,
		"{\n\t\"pretty\" : \"/\\/\"\n}",
		`{"x":"` + strings.Repeat(`\\\"`, 3000) + `"}`,
	}
	want := []string{
		`hub#1#1 {"a":"\"}]\\"}`,
		`hub#1#2 {"a":"\u0022\u005c\\\"é😀"}`,
		`hub#2#1 {"time":"x","b":{}}`,
		"hub#4#1 {\n\t\"pretty\" : \"/\\/\"\n}",
		`hub#5#1 ` + messages[4],
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			for i := range 8 {
				quote := plainQuote
				if i > 0 {
					quote = wildQuote(r)
				}
				if !f.single {
					same(t, readBody(t, f.encode(messages, quote)), want)
					continue
				}
				same(t, readBody(t, f.encode(messages[:1], quote)), want[:2])
				same(t, readBody(t, f.encode(messages[4:], quote)), []string{"hub#1#1 " + messages[4]})
			}
		})
	}
}

func TestBody(t *testing.T) {
	quote := func(s string) string { return plainQuote(s) }
	strs := func(m ...string) string { return quote("[" + each(m, quote) + "]") }
	b64 := base64.StdEncoding.EncodeToString
	for _, c := range []struct {
		name string
		body string
		want []string
	}{
		{"nothing", "", nil},
		{"no messages", `"[]"`, nil},
		{"null", "null", []string{"hub#1#1 !invalid-json"}},
		{"empty messages", strs("", "{}", " "), []string{"hub#2#1 {}"}},
		{"a message of lines", strs("{\"a\":1}\n{\"a\":2}\n", `{"a":3}`), []string{`hub#1#1 {"a":1}`, `hub#1#2 {"a":2}`, `hub#2#1 {"a":3}`}},
		{"a message that is an array", strs(`[{"a":1},{"a":2}]`, `[]`, `{"a":3}`), []string{`hub#1#1 {"a":1}`, `hub#1#2 {"a":2}`, `hub#3#1 {"a":3}`}},
		{"several batches in a message", strs(`{"records":[{"a":1}]}{"records":[{"a":2}]}`), []string{`hub#1#1 {"a":1}`, `hub#1#2 {"a":2}`}},
		{"a message in quotes", strs(quote(`{"a":1}`), quote(`[{"a":2},{"a":3}]`)), []string{`hub#1#1 {"a":1}`, `hub#2#1 {"a":2}`, `hub#2#2 {"a":3}`}},
		{"one message that is an array", quote(quote(`[{"a":1},{"a":2}]`)), []string{`hub#1#1 {"a":1}`, `hub#1#2 {"a":2}`}},
		{
			"messages of several kinds", quote(`["{\"a\":1}",{"a":2},["{\"a\":3}"],null,"{\"a\":4}"]`),
			[]string{`hub#1#1 {"a":1}`, `hub#2#1 {"a":2}`, `hub#3#1 {"a":3}`, `hub#4#1 null`, `hub#5#1 {"a":4}`},
		},
		{"a mark in front of a message", strs("\ufeff{\"a\":1}", b64([]byte("\ufeff{\"a\":2}"))), []string{`hub#1#1 {"a":1}`, `hub#2#1 {"a":2}`}},

		{"a torn message", strs(`{"a":1}`, `{"a":`, `{"a":3}`), []string{`hub#1#1 {"a":1}`, `hub#2#1 !invalid-json`, `hub#3#1 {"a":3}`}},
		{"a broken record", strs(`{"records":[{"a":"x"y"},{"a":2}]}`, `{"a":3}`), []string{`hub#1#1 !invalid-json`, `hub#1#2 {"a":2}`, `hub#2#1 {"a":3}`}},
		{"a message that is text", strs(`{"a":1}`, `hello "you"`, `{"a":3}`), []string{`hub#1#1 {"a":1}`, `hub#2 !unrecognised-format`, `hub#3#1 {"a":3}`}},
		{"base64 of text", strs(`{"a":1}`, b64([]byte("hello")), `{"a":3}`), []string{`hub#1#1 {"a":1}`, `hub#2 !unrecognised-format`, `hub#3#1 {"a":3}`}},
		{"torn base64", strs(b64([]byte(`{"a":1}`))[:9], b64([]byte(`{"a":2}`))), []string{`hub#1 !unrecognised-format`, `hub#2#1 {"a":2}`}},
		{"torn gzip", strs(b64([]byte(zip(`{"a":1}`)[:20])), b64([]byte(zip(`{"a":2}`)))), []string{`hub#1#1 !invalid-gzip`, `hub#2#1 {"a":2}`}},
		{"a torn gzip header", strs(b64([]byte("\x1f\x8b\x08"))), []string{`hub#1 !invalid-gzip`}},
		{"gzip read as text", strs("\x1f\ufffd\b\x00", `{"a":2}`), []string{`hub#1 !invalid-gzip`, `hub#2#1 {"a":2}`}},
		{
			"a broken escape outside", `"[\"{\\\"a\\\":1}\",\"{\q}\",\"{\\\"a\\\":3}\"]"`,
			[]string{`hub#1#1 {"a":1}`, `hub#2 !invalid-json`, `hub#3#1 {"a":3}`},
		},
		{
			"a broken escape inside", `"[\"{\\\"a\\\":1}\",\"{\\q}\",\"{\\\"a\\\":3}\"]"`,
			[]string{`hub#1#1 {"a":1}`, `hub#2 !invalid-json`, `hub#3#1 {"a":3}`},
		},
		{
			"half a pair inside", `"[\"{\\\"a\\\":1}\",\"{\\ud83d}\",\"{\\\"a\\\":3}\"]"`,
			[]string{`hub#1#1 {"a":1}`, `hub#2 !invalid-json`, `hub#3#1 {"a":3}`},
		},
		{
			"half a pair outside", `"[\"{\\\"a\\\":1}\",\"{\ud83d}\",\"{\\\"a\\\":3}\"]"`,
			[]string{`hub#1#1 {"a":1}`, `hub#2 !invalid-json`, `hub#3#1 {"a":3}`},
		},
		{"a pair of halves from both layers", `"[\"{\\ud83d\ude00}\",\"{\\\"a\\\":3}\"]"`, []string{`hub#1 !invalid-json`, `hub#2#1 {"a":3}`}},
		{
			"a line end in a message", "\"[\\\"{\\\\\\\"a\\\\\\\":1}\\\",\\\"{\n}\\\",\\\"{}\\\"]\"",
			[]string{`hub#1#1 {"a":1}`, `hub#2 !invalid-json`, `hub#3#1 {}`},
		},
		{"invalid UTF-8 is left to the decoder", "\"[\\\"{\\\\\\\"a\xff\\\\\\\":1}\\\"]\"", []string{"hub#1#1 {\"a\xff\":1}"}},
		{"no end of a message", `"[\"{}\",\"{"`, []string{`hub#1#1 {}`, `hub#2 !invalid-json`}},
		{"no end of the messages", `"[\"{}\""`, []string{`hub#1#1 {}`, `hub#1 !invalid-json`}},
		{"no end of the string", `"[\"{}\"]`, []string{`hub#1#1 !invalid-json`}},
		{"text behind the messages", `"[\"{}\"]x"`, []string{`hub#1#1 {}`, `hub#1 !invalid-json`}},
		{"text between the messages", `"[\"{}\"x,\"{}\"]"`, []string{`hub#1#1 {}`, `hub#1 !invalid-json`}},
	} {
		t.Run(c.name, func(t *testing.T) { same(t, readBody(t, c.body), c.want) })
	}
}

// TestQuotesOfTheOuterLayer escapes the characters that mean something to the inner layer in the outer one. A reader that
// looks for \" alone takes the end of a message for a part of it.
func TestQuotesOfTheOuterLayer(t *testing.T) {
	same(t, readBody(t, `"[\u0022{\u005c\u0022a\u005c\u0022:1}\u0022,\u0022{\\\u0022b\\\u0022:\u005c\"\u005c\\\\\u005c\\\"}\"]"`),
		[]string{`hub#1#1 {"a":1}`, `hub#2#1 {"b":"\\"}`})
}

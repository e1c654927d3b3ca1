package devhost

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Encoding is the form in which the events of a trigger are handed on.
type Encoding struct {
	Cardinality string // "many" or "one"
	DataType    string // "string", "binary" or "" for undefined

	// Documented leaves out the outer layer of quotes, as the samples of Microsoft's documentation do. The host does not.
	Documented bool
}

// BindingError says that an event cannot be given the form that the binding asks for. The host fails the invocation
// without calling the handler, and a retry policy repeats that, too.
type BindingError struct {
	Sequence int64
	Err      error
}

func (e *BindingError) Error() string { return fmt.Sprintf("bind event %d: %v", e.Sequence, e.Err) }

// Unwrap returns the cause.
func (e *BindingError) Unwrap() error { return e.Err }

// events returns the value of the trigger: of all events, or of the only one.
func (e Encoding) events(events []Event) ([]byte, error) {
	if e.Cardinality != "many" {
		body := events[0].Body
		if e.DataType == "binary" {
			return appendQuoted(nil, base64.StdEncoding.AppendEncode(nil, body)), nil
		}
		value := appendQuoted(nil, body)
		if e.Documented {
			return value, nil
		}
		return appendQuoted(nil, value), nil
	}
	size := 2
	for _, ev := range events {
		size += len(ev.Body) + len(ev.Body)/2 + 3
	}
	list := append(make([]byte, 0, size), '[')
	for i, ev := range events {
		if i > 0 {
			list = append(list, ',')
		}
		switch e.DataType {
		case "string":
			list = appendQuoted(list, ev.Body)
		case "binary":
			list = append(list, '"')
			list = base64.StdEncoding.AppendEncode(list, ev.Body)
			list = append(list, '"')
		default:
			var compact bytes.Buffer
			if err := json.Compact(&compact, ev.Body); err != nil {
				return nil, &BindingError{Sequence: ev.Sequence, Err: err}
			}
			list = append(list, compact.Bytes()...)
		}
	}
	list = append(list, ']')
	if e.Documented {
		return list, nil
	}
	return appendQuoted(make([]byte, 0, len(list)+len(list)/4), list), nil
}

// appendQuoted writes text as Newtonsoft's JsonTextWriter does: everything as it is but for quotation marks,
// backslashes, control characters and three separators. Bytes that are no UTF-8 have become U+FFFD on the way into a
// .NET string.
func appendQuoted(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune(text[i:])
			switch r {
			case '\u0085', '\u2028', '\u2029':
				dst = fmt.Appendf(dst, `\u%04x`, r)
			default:
				dst = utf8.AppendRune(dst, r)
			}
			i += n
			continue
		}
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			if c < ' ' {
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			} else {
				dst = append(dst, c)
			}
		}
		i++
	}
	return append(dst, '"')
}

func quoted(s string) []byte { return appendQuoted(nil, []byte(s)) }

// jsonString returns a value as the host writes one that is not an object: its JSON in a JSON string.
func jsonString(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // only numbers, texts and lists of them come here
	}
	return appendQuoted(nil, raw)
}

// metadata is the member Metadata of an invocation, in order. Names are compared without case.
type metadata struct {
	names  []string
	values [][]byte
}

// set adds a member or replaces the one of that name. A nil value is left out, and so is what repeats the trigger.
func (m *metadata) set(name string, value []byte) {
	if value == nil || strings.HasSuffix(strings.ToLower(name), "trigger") {
		return
	}
	for i, n := range m.names {
		if strings.EqualFold(n, name) {
			m.values[i] = value
			return
		}
	}
	m.names, m.values = append(m.names, name), append(m.values, value)
}

// merge adds the properties of a text that is a JSON object, as ApplyBindingData in the host's Utility.cs does for every
// trigger value that is a single string: a sender can overwrite what the host says.
func (m *metadata) merge(text []byte) {
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		return
	}
	for name, v := range members {
		switch v[0] {
		case '[':
		case '{':
			m.set(name, v)
		case '"':
			m.set(name, appendQuoted(nil, v))
		default:
			if string(v) != "null" {
				m.set(name, jsonString(string(v)))
			}
		}
	}
}

// system adds what every invocation has.
func (m *metadata) system(function string, now time.Time) {
	m.set("sys", fmt.Appendf(nil, `{"MethodName":%s,"UtcNow":"%s","RandGuid":"%s"}`,
		quoted(function), dotNetTime(now, true), newGUID()))
}

// body returns a whole invocation.
func (m *metadata) body(param string, data []byte, retry *attempt) []byte {
	b := make([]byte, 0, len(data)+4096)
	b = append(b, `{"Data":{`...)
	b = appendQuoted(b, []byte(param))
	b = append(append(b, ':'), data...)
	b = append(b, `},"Metadata":{`...)
	for i, name := range m.names {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, []byte(name))
		b = append(append(b, ':'), m.values[i]...)
	}
	if retry != nil {
		if len(m.names) > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `"RetryContext":{"MaxRetryCount":%d,"RetryCount":%d,"Exception":`, retry.max, retry.count)
		if retry.last == nil {
			b = append(b, "null}"...)
		} else {
			b = fmt.Appendf(b, `{"ClassName":"System.Exception","Message":%s}}`, quoted(retry.last.Error()))
		}
	}
	return append(b, "}}"...)
}

// eventHub adds the binding data of the events, as EventHubTriggerBindingStrategy.cs names them.
func (m *metadata) eventHub(t *hubTrigger, partition string, events []Event) {
	m.set("PartitionContext", fmt.Appendf(nil, `{"FullyQualifiedNamespace":"localhost","EventHubName":%s,`+
		`"ConsumerGroup":%s,"PartitionId":%s,"IsCheckpointingAfterInvocation":true}`,
		quoted(t.hub), quoted(t.group), quoted(partition)))
	if t.encoding.Cardinality != "many" {
		e := events[0]
		if e.PartitionKey != "" {
			m.set("PartitionKey", jsonString(e.PartitionKey))
		}
		m.set("Offset", jsonString(e.Offset))
		m.set("SequenceNumber", quoted(strconv.FormatInt(e.Sequence, 10)))
		m.set("EnqueuedTimeUtc", quoted(dotNetTime(e.Enqueued.Truncate(time.Second), false)))
		m.set("Properties", e.properties())
		m.set("SystemProperties", e.system())
		if t.encoding.DataType != "binary" {
			m.merge(e.Body)
		}
		return
	}
	add := func(name string, element func(e Event) []byte) {
		list := []byte{'['}
		for i, e := range events {
			if i > 0 {
				list = append(list, ',')
			}
			list = append(list, element(e)...)
		}
		list = append(list, ']')
		if !t.encoding.Documented {
			list = appendQuoted(nil, list)
		}
		m.set(name, list)
	}
	add("PartitionKeyArray", Event.partitionKey)
	add("OffsetArray", func(e Event) []byte { return quoted(e.Offset) })
	add("SequenceNumberArray", func(e Event) []byte { return strconv.AppendInt(nil, e.Sequence, 10) })
	add("EnqueuedTimeUtcArray", func(e Event) []byte { return quoted(dotNetTime(e.Enqueued, false)) })
	add("PropertiesArray", Event.properties)
	add("SystemPropertiesArray", Event.system)
}

func (e Event) partitionKey() []byte {
	if e.PartitionKey == "" {
		return []byte("null")
	}
	return quoted(e.PartitionKey)
}

func (e Event) properties() []byte {
	if len(e.Properties) == 0 {
		return []byte("{}")
	}
	raw, err := json.Marshal(e.Properties)
	if err != nil {
		panic(err) // texts only
	}
	return raw
}

func (e Event) system() []byte {
	return fmt.Appendf(nil, `{"SequenceNumber":%d,"Offset":%s,"PartitionKey":%s,"EnqueuedTimeUtc":"%s"}`,
		e.Sequence, quoted(e.Offset), e.partitionKey(), dotNetTime(e.Enqueued, false))
}

// dotNetTime writes a time as Newtonsoft writes a DateTime: seven digits of a second at most, a zone only if the kind is
// known.
func dotNetTime(t time.Time, zone bool) string {
	s := t.UTC().Format("2006-01-02T15:04:05.9999999")
	if zone {
		s += "Z"
	}
	return s
}

// newGUID returns a random one.
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

package envelope

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
)

// maxLevels bounds how deep strings may hold JSON that holds strings that hold JSON.
const maxLevels = 4

// Messages reads the records of the messages in one payload. It is not safe for concurrent use.
type Messages struct {
	origin Origin // of the message at hand
	number bool   // the elements of the outermost array are messages, and numbered
	limit  int
	levels int // of strings in strings

	quoted layered // where the messages stand, in strings; or the only message
	at     int
	next   state

	text splitter // the message at hand
	buf  []byte

	packed   bytes.Reader
	inflated *inflated // nil: there was nothing compressed yet
}

// state says what comes next in Messages.quoted.
type state uint8

const (
	atEnd     state = iota
	atText          // all of it is a message
	atString        // the only message, behind its opening quote
	atElement       // an element of the array of messages
	atPlain         // quoted.raw is the message, in no string
	atDebris        // what should not be there
)

// Body returns the records of the messages in a payload of the Functions host, as it stands in Data under the name of
// the trigger: JSON, undecoded, of the forms that cardinality and dataType of the binding give,
//
//	many, string     a string that holds an array of strings
//	many, binary     a string that holds an array of base64 strings
//	many, undefined  a string that holds an array of JSON values
//	one              a string, in a string or not, or a base64 string
//
// or the same with a layer of strings less, as Microsoft's documentation shows it. A message is JSON of any shape that
// Reader reads, or gzip of it where the binding is binary. The origins are o with the place of the message in the array,
// 1 where there is none, and the place of the record in the message. A message that cannot be read is one Broken; those
// around it are read.
//
// Source: GetHttpScriptInvocationContextValue of azure-functions-host, ScriptInvocationContextExtensions.cs.
func Body(body string, o Origin) *Messages {
	m := &Messages{origin: o, limit: MaxRecord}
	body = strings.TrimRight(trimBlank(body), " \t\r\n")
	array := strings.HasPrefix(body, "[")
	switch {
	case len(body) > 1 && body[0] == '"' && body[len(body)-1] == '"':
		array = m.open(layered{body[1 : len(body)-1], 2}) == '['
	case array && strings.HasPrefix(trimBlank(body[1:]), `"`):
		m.open(layered{body, 1})
	default:
		m.hold(body)
		m.text.numbered = array
	}
	if m.number = array; !array {
		m.origin.Message, m.text.origin.Message = 1, 1
	}
	return m
}

// Message returns the records of one message as its sender wrote it: JSON of any shape that Reader reads, or gzip of it.
// The origins are o with the place of the record in the message. A message that a binary binding of the host hands on has
// the same records, and the same is wrong with it.
func Message(text string, o Origin) *Messages {
	m := &Messages{limit: MaxRecord}
	m.begin(text, o)
	return m
}

// begin makes the message all that m holds.
func (m *Messages) begin(text string, o Origin) {
	m.origin, m.text.seen = o, 0
	m.hold("")
	m.quoted.raw, m.next = text, atPlain
}

// open starts to read text that lies in strings and returns its first character.
func (m *Messages) open(quoted layered) rune {
	m.quoted, m.next = quoted, atText
	m.number = m.origin.Message == 0
	m.hold("")
	first, at, size := quoted.skipBlank(0)
	switch first {
	case '"':
		m.at, m.next = at+size, atString
	case '[':
		if second, _, _ := quoted.skipBlank(at + size); second == '"' {
			m.at, m.next = at+size, atElement
		}
	}
	return first
}

// Next returns the next record. The error is io.EOF at the end, or a *Broken for a part that cannot be split into
// records, behind which the next call goes on. The body of the record is a part of the message.
func (m *Messages) Next() (Record, error) {
	for {
		rec, err := m.text.next()
		if err == nil || !errors.Is(err, io.EOF) {
			return rec, err
		}
		if m.next == atEnd {
			return Record{}, io.EOF
		}
		if bad := m.message(); bad != nil {
			return Record{}, bad
		}
	}
}

// message moves to the next message.
func (m *Messages) message() *Broken {
	switch m.next {
	case atText:
		m.next = atEnd
		text, ok := m.rest(0)
		if !ok {
			return m.broken(reasonSyntax, badEscape, m.quoted.raw)
		}
		bad := m.use(text)
		m.text.numbered = m.number && strings.HasPrefix(trimBlank(text), "[")
		return bad
	case atString:
		bad := m.string()
		m.finish()
		return bad
	case atElement:
		return m.element()
	case atPlain:
		m.next = atEnd
		text := m.quoted.raw
		if !strings.HasPrefix(text, gzipMagic) {
			return m.usePlain(text)
		}
		m.buf = append(m.buf[:0], text...)
		bad := m.useBytes("")
		if bad != nil {
			bad.Copy = excerpt(base64.StdEncoding.EncodeToString(m.buf[:min(len(m.buf), MaxCopy)]))
		}
		return bad
	default:
		m.next = atEnd
		return m.broken(reasonSyntax, "the messages are no JSON array", m.quoted.raw[m.at:])
	}
}

// element reads an element of the array of messages.
func (m *Messages) element() *Broken {
	c, at, size := m.quoted.skipBlank(m.at)
	if c != '"' {
		// Not all messages are strings. Read what is left as JSON.
		m.next = atEnd
		text, ok := m.rest(at)
		if !ok {
			return m.broken(reasonSyntax, badEscape, m.quoted.raw[at:])
		}
		m.hold(text)
		m.text.frames = append(m.text.frames, frame{})
		m.text.numbered = m.number
		return nil
	}
	if m.at = at + size; m.number {
		m.origin.Message++
	}
	bad := m.string()
	switch c, at, size = m.quoted.skipBlank(m.at); c {
	case ',':
		m.at = at + size
	case ']':
		m.at = at + size
		m.finish()
	case 0:
		if m.next = atEnd; bad == nil {
			m.next = atDebris
		}
	default:
		m.next = atDebris
	}
	return bad
}

// finish is called behind the last message, where nothing should follow.
func (m *Messages) finish() {
	if c, _, _ := m.quoted.skipBlank(m.at); c == 0 {
		m.next = atEnd
	} else {
		m.next = atDebris
	}
}

// rest returns the text from a place on, without the outer layer of two.
func (m *Messages) rest(at int) (string, bool) {
	raw := m.quoted.raw[at:]
	if m.quoted.layers == 1 {
		return raw, true
	}
	if len(m.buf) < len(raw)+16 {
		m.buf = make([]byte, len(raw)+16)
	}
	buf, n, _, closed, ok := layered{raw, 1}.undo(m.buf, 0)
	return string(buf[:n]), ok && !closed
}

// string reads the message behind the opening quote at m.at.
func (m *Messages) string() *Broken {
	raw := m.quoted.raw[m.at:]
	if raw != "" && isBase64(raw[:1]) {
		// The usual case of binary mode: a string without escapes.
		quote := `\"`[2-m.quoted.layers:]
		if n := strings.IndexByte(raw, quote[0]); n >= 0 && strings.HasPrefix(raw[n:], quote) && m.decode(raw[:n]) {
			m.at += n + len(quote)
			return m.useBytes(raw[:n])
		}
	}
	var n int
	var closed, ok bool
	m.buf, n, m.at, closed, ok = m.quoted.undo(m.buf[:cap(m.buf)], m.at)
	switch {
	case !closed:
		m.at = len(m.quoted.raw)
		return m.broken(reasonSyntax, "the payload ends inside a message", raw)
	case !ok:
		return m.broken(reasonSyntax, badEscape, raw[:len(raw)-len(m.quoted.raw)+m.at])
	}
	return m.use(string(m.buf[:n]))
}

const badEscape = "the string around the message holds a broken escape or a control character"

// use makes text the message at hand.
func (m *Messages) use(text string) *Broken {
	start := trimBlank(strings.TrimPrefix(text, byteOrderMark))
	switch {
	case start == "" || strings.IndexByte(`{["`, start[0]) >= 0:
		m.hold(text)
		return nil
	case isBase64(start) && m.decode(start):
		return m.useBytes(start)
	case strings.HasPrefix(text, "\x1f\ufffd"):
		return m.broken(reasonGzip, "the host has read compressed data as text: set the binding's dataType to binary", text)
	}
	return m.broken(reasonUnknown, "the message is no JSON, nor base64 of JSON", text)
}

// decode decodes base64 into buf and reports whether it was base64.
func (m *Messages) decode(s string) bool {
	m.buf = m.buf[:cap(m.buf)]
	if n := base64.StdEncoding.DecodedLen(len(s)); n > len(m.buf) {
		m.buf = make([]byte, n)
	}
	n, err := base64.StdEncoding.Decode(m.buf, []byte(s))
	m.buf = m.buf[:n]
	return err == nil
}

// useBytes makes what is in buf the message at hand. It was decoded from encoded.
func (m *Messages) useBytes(encoded string) *Broken {
	if bytes.HasPrefix(m.buf, []byte(gzipMagic)) {
		m.packed.Reset(m.buf)
		var err error
		if m.inflated == nil || m.inflated.gz == nil {
			m.inflated, err = inflate(&m.packed, nil)
		} else {
			err = m.inflated.reset(&m.packed)
		}
		if bad := (*Broken)(nil); errors.As(err, &bad) {
			return m.broken(bad.Reason, bad.Detail, encoded)
		}
		m.hold("")
		m.text.window = newWindow(m.inflated, lookAhead)
		return nil
	}
	return m.usePlain(string(m.buf))
}

// usePlain makes text, which is in no string and not compressed, the message at hand.
func (m *Messages) usePlain(text string) *Broken {
	start := trimBlank(strings.TrimPrefix(text, byteOrderMark))
	if start != "" && strings.IndexByte(`{["`, start[0]) < 0 {
		return m.broken(reasonUnknown, "the message is neither JSON nor compressed JSON", text)
	}
	m.hold(text)
	return nil
}

// hold makes s the text of the message at hand.
func (m *Messages) hold(s string) {
	t := &m.text
	seen, frames := t.seen, t.frames[:0]
	if m.number {
		seen = 0
	}
	*t = splitter{
		origin: m.origin, limit: m.limit, frames: frames, message: true, seen: seen, levels: m.levels + 1,
		inside: t.inside,
	}
	t.hold(s, m.origin.Line)
}

func (m *Messages) broken(reason, detail, text string) *Broken {
	return &Broken{Reason: reason, Detail: detail, Copy: excerpt(text), Origin: m.origin}
}

// isBase64 reports whether s consists of the characters of base64.
func isBase64(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '+' && c != '/' && c != '=' {
			return false
		}
	}
	return true
}

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

	raw  string // the inside of a JSON string with the messages, its escapes not undone
	at   int
	next state

	text splitter // the message at hand
	buf  []byte
}

// state says what comes next in Messages.raw.
type state uint8

const (
	atEnd     state = iota
	atText          // all of it is a message
	atString        // the only message, behind its opening quote
	atElement       // an element of the array of messages
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
	if len(body) > 1 && body[0] == '"' && body[len(body)-1] == '"' {
		if m.open(body[1:len(body)-1]) != '[' {
			m.number, m.origin.Message = false, 1
		}
		return m
	}
	if m.number = strings.HasPrefix(body, "["); !m.number {
		m.origin.Message = 1
	}
	m.hold(body)
	m.text.numbered = m.number
	return m
}

// open starts to read the inside of a JSON string and returns the first character of what it holds.
func (m *Messages) open(raw string) rune {
	m.raw, m.at, m.next = raw, 0, atText
	m.number = m.origin.Message == 0
	m.hold("")
	first := m.skipBlank()
	switch first {
	case '"':
		m.at += m.size(m.at)
		m.next = atString
	case '[':
		m.at += m.size(m.at)
		if m.skipBlank() == '"' {
			m.next = atElement
		}
	}
	return first
}

// Next returns the next record. The error is io.EOF at the end, or a *Broken for a part that cannot be split into
// records, behind which the next call goes on. The body of the record is a part of the message.
func (m *Messages) Next() (Record, error) {
	for {
		rec, err := m.text.next()
		if err != io.EOF {
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
		text, ok := m.unquote(m.raw)
		if !ok {
			return m.broken(reasonSyntax, badEscape, m.raw)
		}
		bad := m.use(text)
		m.text.numbered = m.number && strings.HasPrefix(trimBlank(text), "[")
		return bad
	case atString:
		bad := m.string()
		if m.next = atEnd; m.skipBlank() != 0 {
			m.next = atDebris
		}
		return bad
	case atElement:
		return m.element()
	default:
		m.next = atEnd
		return m.broken(reasonSyntax, "the messages are no JSON array", m.raw[m.at:])
	}
}

// element reads an element of the array of messages.
func (m *Messages) element() *Broken {
	if m.skipBlank() != '"' {
		// Not all messages are strings. Read what is left as JSON.
		m.next = atEnd
		text, ok := m.unquote(m.raw[m.at:])
		if !ok {
			return m.broken(reasonSyntax, badEscape, m.raw[m.at:])
		}
		m.hold(text)
		m.text.frames = append(m.text.frames, frame{})
		m.text.numbered = m.number
		return nil
	}
	if m.at += m.size(m.at); m.number {
		m.origin.Message++
	}
	bad := m.string()
	switch m.skipBlank() {
	case ',':
		m.at += m.size(m.at)
	case ']':
		m.at += m.size(m.at)
		if m.next = atEnd; m.skipBlank() != 0 {
			m.next = atDebris
		}
	case 0:
		if m.next = atEnd; bad == nil {
			m.next = atDebris
		}
	default:
		m.next = atDebris
	}
	return bad
}

// string reads the message behind the opening quote at m.at.
func (m *Messages) string() *Broken {
	start := m.at
	if rest := m.raw[start:]; rest != "" && isBase64(rest[:1]) {
		// The usual case of binary mode: a string without escapes.
		if n := strings.IndexByte(rest, '\\'); n >= 0 && n+1 < len(rest) && rest[n+1] == '"' && m.decode(rest[:n]) {
			m.at += n + 2
			return m.useBytes(rest[:n])
		}
	}
	n, verdict := m.undo()
	switch verdict {
	case cut:
		return m.broken(reasonSyntax, "the payload ends inside a message", m.raw[start:])
	case brokenString:
		return m.broken(reasonSyntax, badEscape, m.raw[start:m.at])
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
		packed := bytes.Clone(m.buf)
		text, err := inflate(bytes.NewReader(packed), nil)
		if bad := (*Broken)(nil); errors.As(err, &bad) {
			return m.broken(bad.Reason, bad.Detail, encoded)
		}
		m.hold("")
		m.text.window = newWindow(text, lookAhead)
		return nil
	}
	text := string(m.buf)
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
	}
	t.window.hold(s, m.origin.Line)
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

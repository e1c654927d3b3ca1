package envelope

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxLevels bounds how deep strings may hold JSON that holds strings that hold JSON.
const maxLevels = 4

// payload is the text inside a JSON string: JSON, or base64 of JSON or of gzip.
type payload struct {
	text splitter
}

func (p *payload) next() (Record, error) { return p.text.next() }

// peel opens a string that is a record.
func (s *splitter) peel(rec Record) (*payload, *Broken) {
	bad := func(reason, detail string) (*payload, *Broken) {
		return nil, &Broken{Reason: reason, Detail: detail, Copy: excerpt(rec.Body), Origin: rec.Origin}
	}
	if s.levels == maxLevels {
		return bad(reasonSyntax, "strings in strings in strings")
	}
	o := rec.Origin
	if o.Message == 0 {
		o.Message = o.Index
	}
	o.Index = 0
	raw := rec.Body[1 : len(rec.Body)-1]
	b, ok := appendUnquoted(nil, raw)
	if !ok {
		return bad(reasonSyntax, "a string with a broken escape")
	}
	text := string(b)
	p := &payload{splitter{origin: o, limit: s.limit, message: true, messages: o.Message == 0, levels: s.levels + 1}}
	start := trimBlank(text)
	switch {
	case start == "":
		p.text.hold("", o.Line)
	case strings.IndexByte(`{["`, start[0]) >= 0:
		p.text.hold(text, o.Line)
	case isBase64(start):
		decoded, err := base64.StdEncoding.DecodeString(start)
		if err != nil {
			return bad(reasonBase64, "a string that looks like base64 and is none")
		}
		if !strings.HasPrefix(string(decoded), gzipMagic) {
			p.text.hold(string(decoded), o.Line)
			break
		}
		gz, err := inflate(strings.NewReader(string(decoded)), nil)
		if err != nil {
			return bad(reasonGzip, "the compressed data is damaged")
		}
		p.text.window = newWindow(gz, lookAhead)
		p.text.line = o.Line
	default:
		return bad(reasonUnknown, "a string without records")
	}
	return p, nil
}

func isBase64(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '+' && c != '/' && c != '=' {
			return false
		}
	}
	return len(s) >= 16
}

// appendUnquoted undoes the escapes of a JSON string.
func appendUnquoted(b []byte, s string) ([]byte, bool) {
	for {
		n := strings.IndexByte(s, '\\')
		if n < 0 {
			return append(b, s...), true
		}
		b = append(b, s[:n]...)
		if s = s[n+1:]; s == "" {
			return b, false
		}
		c := s[0]
		s = s[1:]
		switch c {
		case '"', '\\', '/':
			b = append(b, c)
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r, ok := hex4(s)
			if !ok {
				return b, false
			}
			s = s[4:]
			if utf16.IsSurrogate(r) {
				if !strings.HasPrefix(s, `\u`) {
					return b, false
				}
				low, ok := hex4(s[2:])
				if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
					return b, false
				}
				s = s[6:]
			}
			b = utf8.AppendRune(b, r)
		default:
			return b, false
		}
	}
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for i := range 4 {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

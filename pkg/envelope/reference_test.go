package envelope

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// reference splits valid input layer by layer with jsontext. It is slow and simple: what it says of valid input is what
// the package must say.
type reference struct {
	file    bool // lines and the places in arrays count; else the records of messages
	origin  Origin
	seen    int
	places  []int // in arrays
	levels  int
	out     []string
	unknown bool // the input is not valid: nothing is known
}

func (r *reference) record(body string, line int64) {
	o := r.origin
	if r.seen++; r.file {
		o.Line = line
		for _, n := range r.places {
			if o.Message == 0 {
				o.Message = o.Index
			}
			o.Index = n
		}
	} else {
		o.Index = r.seen
	}
	r.out = append(r.out, o.String()+" "+body)
}

func (r *reference) broken(reason string) {
	o := r.origin
	r.out = append(r.out, o.String()+" !"+reason)
}

// elements calls yield for each value of a sequence or, with in, of the array or object that text is.
func elements(text string, in bool, yield func(value string, at int)) bool {
	d := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if in {
		if _, err := d.ReadToken(); err != nil {
			return false
		}
	}
	for {
		if in {
			if k := d.PeekKind(); k == ']' || k == '}' {
				_, err := d.ReadToken()
				return err == nil
			}
		}
		v, err := d.ReadValue()
		if errors.Is(err, io.EOF) {
			return !in
		}
		if err != nil {
			return false
		}
		yield(string(v), int(d.InputOffset())-len(v))
	}
}

// text reads a sequence of values.
func (r *reference) text(text string) {
	text = strings.TrimPrefix(text, byteOrderMark)
	ok := elements(text, false, func(string, int) {})
	if !ok {
		r.unknown = true
		return
	}
	elements(text, false, func(v string, at int) {
		if strings.IndexByte(`{["`, v[0]) < 0 {
			r.unknown = true
		}
		r.value(v, 1+int64(strings.Count(text[:at], "\n")))
	})
}

func (r *reference) value(v string, line int64) {
	switch v[0] {
	case '[':
		r.array(v, line)
	case '{':
		var batches []int
		var members []string
		var lines []int64
		named := false
		elements(v, true, func(m string, at int) {
			if members = append(members, m); len(members)%2 == 1 {
				return
			}
			lines = append(lines, line+int64(strings.Count(v[:at], "\n")))
			name := members[len(members)-2]
			if m[0] == '[' && (name == `"records"` || name == `"value"` && !named) {
				batches = append(batches, len(members)-1)
			}
			named = named || len(name) < 3 || name[1] != '@'
		})
		for _, i := range batches {
			r.array(members[i], lines[i/2])
		}
		if batches == nil {
			r.record(v, line)
		}
	case '"':
		r.string(v)
	default:
		r.record(v, line)
	}
}

func (r *reference) array(v string, line int64) {
	r.places = append(r.places, 0)
	elements(v, true, func(e string, at int) {
		r.places[len(r.places)-1]++
		r.value(e, line+int64(strings.Count(v[:at], "\n")))
	})
	r.places = r.places[:len(r.places)-1]
}

// string reads a string among records.
func (r *reference) string(v string) {
	if r.file {
		r.unknown = true // the places differ; files of strings have tests of their own
		return
	}
	if r.levels++; r.levels >= maxLevels-1 {
		r.unknown = true
		return
	}
	if text, ok := strict(v); ok {
		r.message(text)
	} else {
		r.unknown = true
	}
	r.levels--
}

// strict undoes the escapes of a string. It reports false for what is no valid UTF-8.
func strict(v string) (string, bool) {
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err == nil
}

// message reads the text of a message.
func (r *reference) message(text string) {
	start := trimBlank(strings.TrimPrefix(text, byteOrderMark))
	switch {
	case strings.HasPrefix(start, `"`):
		// A string in a string is one message; what stands behind it in the same string is no JSON.
		count := 0
		if elements(start, false, func(string, int) { count++ }); count != 1 {
			r.unknown = true
			return
		}
		r.text(text)
		return
	case start == "" || strings.IndexByte(`{[`, start[0]) >= 0:
		r.text(text)
		return
	case isBase64(start):
		b, err := base64.StdEncoding.DecodeString(start)
		if err != nil {
			break
		}
		if bytes.HasPrefix(b, []byte(gzipMagic)) {
			gz, err := gzip.NewReader(bytes.NewReader(b))
			if err == nil {
				b, err = io.ReadAll(gz)
			}
			if err != nil {
				r.unknown = true
				return
			}
			r.text(string(b))
			return
		}
		start = trimBlank(strings.TrimPrefix(string(b), byteOrderMark))
		if start == "" || strings.IndexByte(`{["`, start[0]) >= 0 {
			r.text(string(b))
			return
		}
	}
	r.broken(reasonUnknown)
}

// messages reads an array of messages.
func (r *reference) messages(v string) {
	elements(v, true, func(e string, _ int) {
		r.origin.Message++
		r.seen = 0
		if e[0] != '"' {
			r.value(e, 0)
			return
		}
		if text, ok := strict(e); ok {
			r.message(text)
		} else {
			r.broken(reasonSyntax)
		}
	})
}

// referenceBody is Body for a body that is valid JSON in UTF-8, its layers included. It reports false for others.
func referenceBody(body string) ([]string, bool) {
	r := &reference{origin: Origin{Source: "hub"}}
	single := func(text string) {
		r.origin.Message = 1
		r.message(text)
	}
	count := 0
	ok := elements(body, false, func(string, int) { count++ })
	if !ok || count != 1 || deep(body) || !utf8.ValidString(body) {
		return nil, false
	}
	elements(body, false, func(v string, _ int) {
		switch v[0] {
		case '[':
			r.messages(v)
		case '{':
			r.origin.Message = 1
			r.value(v, 0)
		case '"':
			text, ok := strict(v)
			if !ok {
				r.unknown = true
				return
			}
			start := trimBlank(text)
			count := 0
			valid := elements(text, false, func(string, int) { count++ })
			switch {
			case start == "" || strings.IndexByte(`["`, start[0]) < 0:
				single(text)
			case !valid || count != 1 || deep(text):
				r.unknown = true
			case start[0] == '[':
				r.messages(text)
			default:
				if text, ok := strict(strings.TrimRight(start, " \t\r\n")); ok {
					single(text)
				} else {
					r.origin.Message = 1
					r.broken(reasonSyntax)
				}
			}
		default:
			r.unknown = true
		}
	})
	return r.out, !r.unknown
}

// referenceFile is Reader for a file that is a sequence of valid JSON values. It reports false for others.
func referenceFile(text string) ([]string, bool) {
	r := &reference{file: true, origin: Origin{Source: "f"}}
	if deep(text) || strings.Contains(text, byteOrderMark) {
		return nil, false
	}
	r.text(text)
	return r.out, !r.unknown
}

// deep reports whether brackets may nest so deep that the package stops to look for records in them.
func deep(text string) bool {
	open := strings.Count(text, "[") + strings.Count(text, "{")
	if open < maxFrames-2 {
		return false
	}
	depth, most := 0, 0
	for _, c := range text {
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		most = max(most, depth)
	}
	return most >= maxFrames-2
}

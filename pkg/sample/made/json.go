package made

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// object is a JSON object whose members keep their order, as a log writes them.
type object []member

type member struct {
	name  string
	value any
}

// list is a JSON array.
type list []any

// record makes an object of names and values in turn.
func record(pairs ...any) object {
	o := make(object, len(pairs)/2)
	for i, p := range pairs {
		if name, ok := p.(string); ok && i%2 == 0 {
			o[i/2].name = name
		} else {
			o[i/2].value = p
		}
	}
	return o
}

// with returns the object with more members behind its own.
func (o object) with(pairs ...any) object { return append(o[:len(o):len(o)], record(pairs...)...) }

// get returns the value of a member.
func (o object) get(name string) (any, bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return nil, false
}

// encode returns the compact JSON of a value.
func encode(v any) string { return string(appendJSON(nil, v)) }

func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case string:
		return appendQuoted(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	case object:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendQuoted(b, m.name), ':')
			b = appendJSON(b, m.value)
		}
		return append(b, '}')
	case list:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, e)
		}
		return append(b, ']')
	}
	panic(fmt.Sprintf("made: no JSON for %T", v))
}

func appendQuoted(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			q, err := json.Marshal(s)
			if err != nil {
				panic(err) // a string always has JSON
			}
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

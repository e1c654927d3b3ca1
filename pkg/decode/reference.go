package decode

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Reference is the decoder that stands on jsontext. It is the oracle that any other decoder is compared with.
type Reference struct{}

var _ Decoder = Reference{}

// Object implements Decoder.
func (Reference) Object(s string, l Level, v *Values) error {
	d := newReader(s)
	if d.PeekKind() != '{' {
		if err := d.whole(); err != nil {
			return err
		}
		return &Error{Err: ErrNotObject}
	}
	if err := d.object(l, v); err != nil {
		return err
	}
	return d.end()
}

// Array implements Decoder.
func (Reference) Array(s string, yield func(Value) error) error {
	d := newReader(s)
	if d.PeekKind() != '[' {
		if err := d.whole(); err != nil {
			return err
		}
		return &Error{Err: ErrNotArray}
	}
	if _, err := d.token(); err != nil {
		return err
	}
	for d.PeekKind() != ']' {
		x, err := d.value(none, nil)
		if err != nil {
			return err
		}
		if err := yield(x); err != nil {
			return err
		}
	}
	if _, err := d.token(); err != nil {
		return err
	}
	return d.end()
}

// reader is a jsontext decoder over a string.
type reader struct {
	*jsontext.Decoder
	text string
}

// newReader hands jsontext all of the text at once: it never has to resume in the middle of a token.
func newReader(s string) reader {
	return reader{jsontext.NewDecoder(bytes.NewBufferString(s), jsontext.AllowDuplicateNames(true)), s}
}

func (d reader) whole() error {
	if _, err := d.value(none, nil); err != nil {
		return err
	}
	return d.end()
}

// end checks that nothing follows the value that was read.
func (d reader) end() error {
	at := d.ahead(" \t\r\n")
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return &Error{Err: ErrSyntax, Offset: at}
	}
	return nil
}

// ahead returns the offset of the first byte behind what was read that is none of those.
func (d reader) ahead(of string) int64 {
	return int64(len(d.text) - len(strings.TrimLeft(d.text[d.InputOffset():], of)))
}

func (d reader) token() (jsontext.Token, error) {
	if in, n := d.StackIndex(d.StackDepth()); in == '{' && n%2 == 0 && strings.ContainsRune("ntf0", rune(d.PeekKind())) {
		// Not a name: jsontext would first look whether that literal or number is a good one.
		return jsontext.Token{}, &Error{Err: ErrSyntax, Offset: d.ahead(", \t\r\n")}
	}
	t, err := d.ReadToken()
	if err != nil {
		return t, d.fail(err)
	}
	if d.StackDepth() > MaxDepth {
		return t, &Error{Err: ErrDepth, Offset: d.InputOffset() - 1}
	}
	return t, nil
}

// fail tells apart what jsontext found. Without a SyntacticError the text ended where a value should stand.
func (d reader) fail(err error) error {
	e := &Error{Err: ErrSyntax, Offset: int64(len(d.text))}
	if se := (*jsontext.SyntacticError)(nil); errors.As(err, &se) {
		e.Offset = se.ByteOffset
		if m := se.Err.Error(); strings.Contains(m, "UTF-8") || strings.Contains(m, "surrogate") {
			e.Err = ErrUTF8
		}
	}
	return e
}

func (d reader) object(l Level, v *Values) error {
	if _, err := d.token(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		at := d.ahead(", \t\r\n")
		t, err := d.token()
		if err != nil {
			return err
		}
		name := t.String()
		e, wanted := v.wants().lookup(l, name)
		x, err := d.value(e.child, v)
		if err != nil {
			return err
		}
		if wanted && !v.set(e, x) {
			return &Error{Err: ErrDuplicate, Offset: at, Name: name}
		}
	}
	_, err := d.token()
	return err
}

// value reads the next value. An object with a child level is descended into.
func (d reader) value(child Level, v *Values) (Value, error) {
	switch k := d.PeekKind(); k {
	case '{':
		if child != none {
			start := d.ahead(":, \t\r\n")
			if err := d.object(child, v); err != nil {
				return Value{}, err
			}
			return Value{Object, d.text[start:d.InputOffset()]}, nil
		}
		raw, err := d.skip()
		return Value{Object, raw}, err
	case '[':
		raw, err := d.skip()
		return Value{Array, raw}, err
	default:
		t, err := d.token()
		if err != nil {
			return Value{}, err
		}
		switch k {
		case 'n':
			return Value{Kind: Null}, nil
		case 't':
			return Value{Kind: True}, nil
		case 'f':
			return Value{Kind: False}, nil
		case '0':
			return Value{Number, t.String()}, nil
		default:
			return Value{String, t.String()}, nil
		}
	}
}

// skip reads an object or array token by token, so that depth is watched, and returns its text.
func (d reader) skip() (string, error) {
	depth := d.StackDepth()
	if _, err := d.token(); err != nil {
		return "", err
	}
	start := d.InputOffset() - 1
	for d.StackDepth() > depth {
		if _, err := d.token(); err != nil {
			return "", err
		}
	}
	return d.text[start:d.InputOffset()], nil
}

package decode

import (
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

func newReader(s string) reader {
	return reader{jsontext.NewDecoder(strings.NewReader(s), jsontext.AllowDuplicateNames(true)), s}
}

func (d reader) whole() error {
	if _, err := d.value(none, nil); err != nil {
		return err
	}
	return d.end()
}

func (d reader) end() error {
	_, err := d.ReadToken()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		return &Error{Err: ErrSyntax, Offset: d.InputOffset()}
	}
	return d.fail(err)
}

func (d reader) token() (jsontext.Token, error) {
	t, err := d.ReadToken()
	if err != nil {
		return t, d.fail(err)
	}
	if d.StackDepth() > MaxDepth {
		return t, &Error{Err: ErrDepth, Offset: d.InputOffset()}
	}
	return t, nil
}

func (d reader) fail(err error) error {
	e := &Error{Err: ErrSyntax, Offset: d.InputOffset()}
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
		t, err := d.token()
		if err != nil {
			return err
		}
		at := d.InputOffset()
		name := t.String()
		e, wanted := lookup(l, name)
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
			return Value{Kind: Object}, d.object(child, v)
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
			return Value{Number, strings.Clone(t.String())}, nil
		default:
			return Value{String, strings.Clone(t.String())}, nil
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

// Package decode reads the wanted values out of one JSON record, strictly.
//
// It knows JSON and the table of names that Microsoft's logs use (table.go); it does not know what the values
// mean: that is the business of package normalize. It does not split a transport into records: package envelope does.
//
// # Strictness
//
// A decoder that reads a byte otherwise than the SIEM beside it is an evasion tool. So every byte of a record is
// checked, wanted or not:
//
//   - The grammar is RFC 8259's. Invalid UTF-8, lone surrogates, control characters in strings, numbers such as 01 or
//     1., NaN, trailing bytes and a second document are errors.
//   - Names are compared exactly, after undoing their escapes, with the finite list of spellings of the table. There is
//     no case folding: what the table does not list is skipped.
//   - The same wanted name twice in one object, or two spellings of equal rank, is an error: which of the two another
//     reader takes cannot be known. Two spellings of one object count as one object.
//   - Nesting deeper than MaxDepth is an error.
//
// The measure is jsontext with duplicate names allowed; the last two points are the only ones that go beyond it. Names
// that are not wanted may repeat, as they do in some of Microsoft's documentation samples. Absent, null and empty are
// three kinds of Value. Numbers keep the digits of the log.
//
// # Decoders
//
// Scanner is the decoder of production. Reference stands on jsontext: it is the oracle in tests and a safety switch in
// production. They accept the same texts, give the same values and report the same error at the same place; tests and
// fuzzing hold them to that.
//
// # Lifetime
//
// The texts of values are parts of the text that was decoded, or of memory that only holds undone escapes. They stay
// valid for as long as somebody holds them, and keep all of that text in memory: clone what has to outlive a batch.
package decode

import (
	"errors"
	"fmt"
)

// MaxDepth is how deep objects and arrays may nest, the record itself being depth 1.
const MaxDepth = 64

// Decoder reads JSON. Implementations are stateless and safe for concurrent use.
type Decoder interface {
	// Object reads the one JSON object in s, checks all of it, and sets in v the values that the table wants at
	// level l and below. On an error v holds an undefined part of them.
	Object(s string, l Level, v *Values) error

	// Array reads the one JSON array in s and hands each element to yield in order, scalars decoded, objects and arrays
	// as raw text. An element is handed out as soon as all of it was checked, so a mistake further on is reported after
	// the elements before it. Array stops at the first error of yield and returns it.
	Array(s string, yield func(Value) error) error
}

// Errors of decoding. They arrive wrapped in an *Error that gives the place.
var (
	ErrSyntax    = errors.New("not valid JSON")
	ErrUTF8      = errors.New("invalid UTF-8 or a lone surrogate")
	ErrDuplicate = errors.New("a wanted name stands twice")
	ErrDepth     = errors.New("nested too deep")
	ErrNotObject = errors.New("not a JSON object")
	ErrNotArray  = errors.New("not a JSON array")
)

// Error says what is wrong with a record and where.
type Error struct {
	Err error

	// Offset is the place of the first byte that cannot stand where it does: of an escape its backslash, of a name that
	// stands twice its quote, of a text that ends too early its length.
	Offset int64

	Name string // the wanted name, for ErrDuplicate
}

func (e *Error) Error() string {
	if e.Name != "" {
		return fmt.Sprintf("at byte %d: %v: %q", e.Offset, e.Err, e.Name)
	}
	return fmt.Sprintf("at byte %d: %v", e.Offset, e.Err)
}

// Unwrap returns the sentinel.
func (e *Error) Unwrap() error { return e.Err }

// Reason returns the kebab-case name under which a record that failed to decode is counted.
func (e *Error) Reason() string {
	switch {
	case errors.Is(e.Err, ErrUTF8):
		return "invalid-utf8"
	case errors.Is(e.Err, ErrDuplicate):
		return "duplicate-field"
	case errors.Is(e.Err, ErrDepth):
		return "nested-too-deep"
	case errors.Is(e.Err, ErrNotObject), errors.Is(e.Err, ErrNotArray):
		return "not-an-object"
	}
	return "invalid-json"
}

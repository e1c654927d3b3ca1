package azfunc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Value is the JSON text of one binding's value, exactly as it stood in the request.
//
// The host writes objects as they are, but strings, numbers, booleans and lists as a JSON string that holds their JSON:
// a message "a" arrives as "\"a\"" (GetHttpScriptInvocationContextValue in ScriptInvocationContextExtensions.cs).
// Observed requests differ in the number of layers, so readers undo as many as there are.
type Value string

// maxLayers is how many string layers are undone. The host writes at most two, a sender may have added one.
const maxLayers = 4

// What is wrong with a value. The text is not repeated: errors are logged, and a sender may have written it.
var (
	errNoValue  = errors.New("no value")
	errNoNumber = errors.New("no whole number")
	errNoTime   = errors.New("no time")
)

// UnmarshalJSON keeps the text.
func (v *Value) UnmarshalJSON(b []byte) error {
	*v = Value(b)
	return nil
}

// MarshalJSON returns the text.
func (v Value) MarshalJSON() ([]byte, error) {
	if v == "" {
		return []byte("null"), nil
	}
	return []byte(v), nil
}

// Null reports whether the value is missing or null.
func (v Value) Null() bool {
	s := strings.TrimSpace(string(v))
	return s == "" || s == "null"
}

// Peel undoes string layers until the text is no JSON string, and returns what is left: mostly an object or array, else
// the text of a message. A message that is itself a quoted string loses its quotes.
func (v Value) Peel() (string, error) {
	s := strings.TrimSpace(string(v))
	if s == "" {
		return "", errNoValue
	}
	for layer := 0; layer < maxLayers && strings.HasPrefix(s, `"`); layer++ {
		var inner string
		if err := json.Unmarshal([]byte(s), &inner); err != nil {
			if layer > 0 {
				break // a message that begins with a quotation mark
			}
			return "", fmt.Errorf("undo string: %w", err)
		}
		s = inner
	}
	return s, nil
}

// Decode peels the value and decodes the JSON below into dst.
func (v Value) Decode(dst any) error {
	s, err := v.Peel()
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(s), dst)
}

// text returns a string, number or boolean as text; null and a missing value are empty.
func (v Value) text() string {
	if v.Null() {
		return ""
	}
	s, err := v.Peel()
	if err != nil || s == "null" {
		return ""
	}
	return s
}

// integer reads a number that may be written as a string.
func (v Value) integer() (int64, error) {
	s, err := v.Peel()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0, errNoNumber
	}
	return n, nil
}

// time reads a .NET time. One without a zone is in UTC: binding data of kind Unspecified is written without.
func (v Value) time() (time.Time, error) {
	s, err := v.Peel()
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		if t, err = time.Parse("2006-01-02T15:04:05.999999999", s); err != nil {
			return time.Time{}, errNoTime
		}
	}
	return t.UTC(), nil
}

// list reads an array whose elements are kept as they are.
func (v Value) list() ([]Value, error) {
	var l []Value
	err := v.Decode(&l)
	return l, err
}

package event

import (
	"net/netip"
	"time"
)

// State says what a log held where a value was looked for. Absent, null and
// empty are three things: an empty string is Present.
type State uint8

// The states of a value. The zero State is Absent, so a zero Event has logged nothing.
const (
	Absent     State = iota // the log has no such field
	Null                    // the field is there and holds JSON null
	Unreadable              // the field is there but is not of the form its type asks for
	Present                 // the field is there and was read
)

// String names the state in lower case, as it stands in the blind-spot report.
func (s State) String() string {
	switch s {
	case Absent:
		return "absent"
	case Null:
		return "null"
	case Unreadable:
		return "unreadable"
	case Present:
		return "present"
	}
	return "invalid"
}

// Value is a typed value of a log together with its State. V is meaningful only
// while State is Present. Text values may alias the bytes of the batch that they
// were read from: clone what has to outlive it.
type Value[T any] struct {
	V     T
	State State
}

// Of returns a Present value.
func Of[T any](v T) Value[T] { return Value[T]{V: v, State: Present} }

// OK reports whether the value was logged and could be read.
func (v Value[T]) OK() bool { return v.State == Present }

// Text is a logged text.
type Text = Value[string]

// Time is a logged time, in UTC.
type Time = Value[time.Time]

// Int is a logged number.
type Int = Value[int64]

// Flag is a logged truth value.
type Flag = Value[bool]

// Addr is a logged IP address.
type Addr = Value[netip.Addr]

// List is a logged list of texts.
type List = Value[[]string]

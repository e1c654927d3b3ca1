package rule

import (
	"fmt"
)

// Severity says how soon a person must look.
type Severity uint8

// The severities, from what is only noted to what wakes somebody up.
const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

// Severities lists all severities in ascending order.
func Severities() []Severity { return []Severity{Info, Low, Medium, High, Critical} }

var severityNames = [...]string{"info", "low", "medium", "high", "critical"}

// String returns the severity's lower-case name.
func (s Severity) String() string { return name(severityNames[:], uint8(s)) }

// MarshalText writes the severity as its name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a severity by its name.
func (s *Severity) UnmarshalText(b []byte) error { return unmarshalName(b, s, Severities()...) }

// Strength says what a match proves about a forged token.
type Strength uint8

// The strengths of evidence of detection rules.
const (
	Weak     Strength = iota // supporting only: never page on it alone
	Moderate                 // rare in ordinary traffic; also theft, misuse or misconfiguration
	Strong                   // cannot happen with a correctly issued, correctly logged token
)

var strengthNames = [...]string{"weak", "moderate", "strong"}

// String returns the strength's lower-case name.
func (s Strength) String() string { return name(strengthNames[:], uint8(s)) }

// MarshalText writes the strength as its name.
func (s Strength) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a strength by its name.
func (s *Strength) UnmarshalText(b []byte) error { return unmarshalName(b, s, Weak, Moderate, Strong) }

// Stage says whether a rule, or a leg of one, may page people.
type Stage uint8

// The stages of a rule's life.
const (
	Off     Stage = iota // not evaluated
	Observe              // stored and counted, pages nobody
	Enabled
)

var stageNames = [...]string{"off", "observe", "enabled"}

// String returns the stage's lower-case name.
func (s Stage) String() string { return name(stageNames[:], uint8(s)) }

// MarshalText writes the stage as its name.
func (s Stage) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a stage by its name.
func (s *Stage) UnmarshalText(b []byte) error { return unmarshalName(b, s, Off, Observe, Enabled) }

func name(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return "invalid"
}

// unmarshalName sets *v to the one of all whose String is b.
func unmarshalName[T fmt.Stringer](b []byte, v *T, all ...T) error {
	for _, x := range all {
		if x.String() == string(b) {
			*v = x
			return nil
		}
	}
	return fmt.Errorf("%q is none of %v", b, all)
}

package rule

// Truth is a value of Kleene's three-valued logic. The order False < Unknown < True makes
// conjunction the minimum and disjunction the maximum.
type Truth uint8

// The three truths. Unknown means: the log or the reference data does not tell.
const (
	False Truth = iota
	Unknown
	True
)

// Not returns the negation; Unknown stays Unknown.
func (t Truth) Not() Truth { return True - t }

// String returns "false", "unknown" or "true".
func (t Truth) String() string {
	switch t {
	case False:
		return "false"
	case Unknown:
		return "unknown"
	case True:
		return "true"
	}
	return "invalid"
}

// MarshalText writes the truth as its name.
func (t Truth) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads a truth by its name.
func (t *Truth) UnmarshalText(b []byte) error { return unmarshalName(b, t, False, Unknown, True) }

func truth(b bool) Truth {
	if b {
		return True
	}
	return False
}

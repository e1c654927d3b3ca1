package rule

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/event"
)

// Fact is one comparison that a predicate made: the evidence of an alert and a line of `assay explain`.
type Fact struct {
	Field   string `json:"field"`
	Value   string `json:"value"` // as logged, or "(absent)", "(null)", "(unreadable)"
	Op      string `json:"op"`
	Operand string `json:"operand,omitempty"`
	Truth   Truth  `json:"truth"`
}

// maxFactText bounds a value or operand in a Fact, in bytes: evidence stays small whatever an attacker writes.
const maxFactText = 512

// Trace collects the facts of one evaluation. A nil Trace collects nothing and costs nothing.
type Trace struct {
	Facts []Fact
	// Missing are the fields and reference data ("reference:NAME") that made a predicate Unknown.
	Missing []string
	// brief keeps only Missing.
	brief bool

	// What an engine remembers of an event: see once.
	answers []answer
	event   uint64 // counts events
	from    int    // Missing from here on is what is being gathered; the rest is of predicates around it
}

// next forgets what was gathered and remembered of the last event. There will be so many answers.
func (t *Trace) next(answers int) {
	if len(t.answers) < answers {
		t.answers = append(t.answers, make([]answer, answers-len(t.answers))...)
	}
	t.event++
}

// KeepsFacts reports whether Add keeps what it is given. A predicate asks before it renders a value, since a verdict of
// Unknown is evaluated for what was missing alone, and often.
func (t *Trace) KeepsFacts() bool { return t != nil && !t.brief }

// Add records a comparison and returns its truth.
func (t *Trace) Add(field, value, op, operand string, truth Truth) Truth {
	if !t.KeepsFacts() {
		return truth
	}
	t.Facts = append(t.Facts, Fact{field, bound(value), op, bound(operand), truth})
	return truth
}

// Lacking records that the named field or reference data is missing, and returns Unknown.
func (t *Trace) Lacking(what string) Truth {
	if t == nil {
		return Unknown
	}
	for _, m := range t.Missing[t.from:] {
		if m == what {
			return Unknown
		}
	}
	t.Missing = append(t.Missing, what)
	return Unknown
}

// mark and settle bracket the parts of a compound predicate: what a part lacked does not matter once the whole is decided.
func (t *Trace) mark() int {
	if t == nil {
		return 0
	}
	return len(t.Missing)
}

func (t *Trace) settle(result Truth, mark int) Truth {
	if t != nil && result != Unknown {
		t.Missing = t.Missing[:mark]
	}
	return result
}

// facts and negate bracket what is negated: a fact "is listed in" that is false becomes "is not listed in" that is true, so
// that the true facts of a verdict are those that led to it. For the parts of a compound that is De Morgan's law.
func (t *Trace) facts() int {
	if t == nil {
		return 0
	}
	return len(t.Facts)
}

func (t *Trace) negate(from int) {
	if t == nil {
		return
	}
	for i := range t.Facts[from:] {
		f := &t.Facts[from+i]
		f.Op, f.Truth = negated(f.Op), f.Truth.Not()
	}
}

func negated(op string) string {
	switch op {
	case "is":
		return "is not"
	case "is not":
		return "is"
	}
	for _, form := range [][2]string{{"is not ", "is "}, {"is ", "is not "}, {"not: ", ""}} {
		if rest, ok := strings.CutPrefix(op, form[0]); ok {
			return form[1] + rest
		}
	}
	return "not: " + op
}

// bound clones s, which may alias a batch, and cuts it at maxFactText on a rune boundary.
func bound(s string) string {
	if len(s) <= maxFactText {
		return strings.Clone(s)
	}
	cut := maxFactText
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}

// Show renders a value as a Fact shows it.
func Show[T any](v *event.Value[T]) string {
	if v.State != event.Present {
		return "(" + v.State.String() + ")"
	}
	switch x := any(v.V).(type) {
	case string:
		return x
	case int64:
		return strconv.FormatInt(x, 10)
	case bool:
		return strconv.FormatBool(x)
	case time.Time:
		return x.UTC().Format(time.RFC3339Nano)
	case netip.Addr:
		return x.String()
	case []string:
		return strings.Join(x, " ")
	case []event.Parameter:
		var b strings.Builder
		for i, p := range x {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(p.Name + "=" + p.Value)
		}
		return b.String()
	}
	return "(value)"
}

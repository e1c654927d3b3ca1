package rule

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/assay-sec/assay/pkg/event"
)

// Predicate is a pure question to one event. Eval with a nil Trace is the hot path: it allocates nothing.
type Predicate interface {
	Eval(ev *event.Event, tr *Trace) Truth
	// Needs lists the fields and the reference data ("reference:NAME") that the answer depends on.
	Needs() []string
	// String renders the predicate for people.
	String() string
}

// All is the conjunction: the least truth of its parts. The empty conjunction is True.
func All(ps ...Predicate) Predicate {
	if len(ps) == 1 {
		return ps[0]
	}
	return all(ps)
}

type all []Predicate

func (a all) Eval(ev *event.Event, tr *Trace) Truth {
	t, mark := True, tr.mark()
	for _, p := range a {
		t = min(t, p.Eval(ev, tr))
		if t == False && !tr.KeepsFacts() {
			break
		}
	}
	return tr.settle(t, mark)
}
func (a all) Needs() []string { return needs(a) }
func (a all) String() string  { return join(a, " and ") }

// Any is the disjunction: the greatest truth of its parts. The empty disjunction is False.
func Any(ps ...Predicate) Predicate { return anyOf(ps) }

type anyOf []Predicate

func (a anyOf) Eval(ev *event.Event, tr *Trace) Truth {
	t, mark := False, tr.mark()
	for _, p := range a {
		t = max(t, p.Eval(ev, tr))
		if t == True && !tr.KeepsFacts() {
			break
		}
	}
	return tr.settle(t, mark)
}
func (a anyOf) Needs() []string { return needs(a) }
func (a anyOf) String() string  { return join(a, " or ") }

func needs(ps []Predicate) []string {
	var out []string
	for _, p := range ps {
		for _, n := range p.Needs() {
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

func join(ps []Predicate, sep string) string {
	parts := make([]string, len(ps))
	for i, p := range ps {
		parts[i] = p.String()
		switch p.(type) {
		case all, anyOf:
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, sep)
}

// Not is the negation: Unknown stays Unknown, so absence never makes it True.
func Not(p Predicate) Predicate { return &not{p} }

type not struct{ p Predicate }

func (n *not) Eval(ev *event.Event, tr *Trace) Truth {
	from := tr.facts()
	t := n.p.Eval(ev, tr).Not()
	tr.negate(from)
	return t
}
func (n *not) Needs() []string { return n.p.Needs() }
func (n *not) String() string  { return "not (" + n.p.String() + ")" }

// test is a comparison of one field with something fixed.
type test[T any] struct {
	field   event.Field[T]
	op      string
	operand string
	holds   func(T) bool
	values  []string // that it holds for and, but for the case, no others; nil: not known
	asks    string   // what holds asks: two tests that ask the same hold for the same values; "" is known to be like no other
}

func (c *test[T]) Eval(ev *event.Event, tr *Trace) Truth {
	v := c.field.Get(ev)
	if v.State != event.Present {
		if tr.KeepsFacts() {
			tr.Add(c.field.Path, Show(v), c.op, c.operand, Unknown)
		}
		return tr.Lacking(c.field.Path)
	}
	t := truth(c.holds(v.V))
	if tr.KeepsFacts() {
		tr.Add(c.field.Path, Show(v), c.op, c.operand, t)
	}
	return t
}
func (c *test[T]) Needs() []string { return []string{c.field.Path} }
func (c *test[T]) String() string {
	if c.operand == "" {
		return c.field.Path + " " + c.op
	}
	return c.field.Path + " " + c.op + " " + c.operand
}

// Test is a comparison of one field that the other constructors do not name. op and operand
// describe it to people.
func Test[T any](f event.Field[T], op, operand string, holds func(T) bool) Predicate {
	return &test[T]{field: f, op: op, operand: operand, holds: holds}
}

// Eq holds when the field equals want, to the byte.
func Eq[T comparable](f event.Field[T], want T) Predicate {
	holds := func(v T) bool { return v == want }
	return &test[T]{f, "is", fmt.Sprint(want), holds, texts(want), asks("one of", want)}
}

// EqFold holds when the text equals want whatever the case: GUIDs, enumerations.
func EqFold(f event.Field[string], want string) Predicate {
	w := fold(want)
	return &test[string]{f, "is", want, w.is, []string{want}, asks("folded, one of", want)}
}

// In holds when the field is one of the values, to the byte.
func In[T comparable](f event.Field[T], want ...T) Predicate {
	holds := func(v T) bool { return slices.Contains(want, v) }
	return &test[T]{f, "is one of", strings.Trim(fmt.Sprint(want), "[]"), holds, texts(want...), asks("one of", want...)}
}

// asks names a question about a field. Values of which it is not sure that they are equal when they print the same have no
// such name.
func asks[T any](question string, values ...T) string {
	text := []byte(question)
	switch values := any(values).(type) {
	case []string:
		for _, v := range values {
			text = strconv.AppendQuote(append(text, ' '), v)
		}
	case []int64:
		for _, v := range values {
			text = strconv.AppendInt(append(text, ' '), v, 10)
		}
	case []bool:
		for _, v := range values {
			text = strconv.AppendBool(append(text, ' '), v)
		}
	default:
		return ""
	}
	return string(text)
}

// texts returns the values where they are texts.
func texts[T any](values ...T) []string {
	list, _ := any(values).([]string)
	return list
}

// InFold holds when the text is one of the values, whatever the case.
func InFold(f event.Field[string], want ...string) Predicate {
	ws := folds(want)
	holds := func(v string) bool { return isOne(ws, v) }
	return &test[string]{f, "is one of", strings.Join(want, " "), holds, want, asks("folded, one of", want...)}
}

// HasFold holds when the list has one of the values, whatever the case.
func HasFold(f event.Field[[]string], want ...string) Predicate {
	ws := folds(want)
	holds := func(vs []string) bool {
		return slices.ContainsFunc(vs, func(v string) bool { return isOne(ws, v) })
	}
	return &test[[]string]{f, "has one of", strings.Join(want, " "), holds, nil, asks("has, folded, one of", want...)}
}

// folded is a text that others are compared with whatever the case.
type folded struct {
	text string
	// Only texts of so many bytes can equal it. A letter of ASCII has partners of one byte alone, but for k (the Kelvin sign
	// has three) and s (the long s has two).
	shortest, longest int
	// Only texts that begin with one of these can equal it; both are 0 where that is not known.
	lower, upper byte
}

func fold(s string) folded {
	w := folded{text: s, longest: math.MaxInt}
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return w
	}
	low := strings.ToLower(s)
	w.shortest, w.longest = len(s), len(s)+2*strings.Count(low, "k")+strings.Count(low, "s")
	if low[0] != 'k' && low[0] != 's' {
		w.lower, w.upper = low[0], strings.ToUpper(s)[0]
	}
	return w
}

func folds(list []string) []folded {
	out := make([]folded, len(list))
	for i, s := range list {
		out[i] = fold(s)
	}
	return out
}

// is reports what strings.EqualFold does, mostly from the length and the first byte.
func (w *folded) is(v string) bool {
	if len(v) < w.shortest || len(v) > w.longest || w.lower != 0 && v[0] != w.lower && v[0] != w.upper {
		return false
	}
	return v == w.text || strings.EqualFold(v, w.text)
}

func isOne(list []folded, v string) bool {
	for i := range list {
		if list[i].is(v) {
			return true
		}
	}
	return false
}

// Contains holds when the text contains sub, to the byte.
func Contains(f event.Field[string], sub string) Predicate {
	holds := func(v string) bool { return strings.Contains(v, sub) }
	return &test[string]{f, "contains", sub, holds, nil, asks("contains", sub)}
}

// Matches holds when the expression, called name in evidence, matches somewhere in the text.
func Matches(f event.Field[string], name string, re *regexp.Regexp) Predicate {
	return Test(f, "matches", name, re.MatchString)
}

// Between holds when lo <= field <= hi.
func Between(f event.Field[int64], lo, hi int64) Predicate {
	return Test(f, "is between", fmt.Sprintf("%d and %d", lo, hi), func(v int64) bool { return lo <= v && v <= hi })
}

// Blank holds when a logged text or list is empty. A field that was not logged is Unknown: see Missing.
func Blank(f event.Field[string]) Predicate {
	return Test(f, "is empty", "", func(v string) bool { return v == "" })
}

// Filled holds when a logged text is not empty.
func Filled(f event.Field[string]) Predicate {
	return Test(f, "is not empty", "", func(v string) bool { return v != "" })
}

// TokenIDReadable holds when the text is a token id in one of the forms of event.ParseTokenID.
func TokenIDReadable(f event.Field[string]) Predicate {
	holds := func(v string) bool { _, err := event.ParseTokenID(v); return err == nil }
	return &test[string]{f, "is a well-formed token id", "", holds, nil, asks[string]("is a token id")}
}

// Missing is the one predicate about absence: True when the log has no such field, holds null, or holds
// an empty text. It is Unknown only for a value that is there and cannot be read. Use it only where absence itself is the
// finding.
func Missing(f event.Field[string]) Predicate { return &missing{f} }

type missing struct{ field event.Field[string] }

func (m *missing) Eval(ev *event.Event, tr *Trace) Truth {
	v := m.field.Get(ev)
	t := truth(v.State != event.Present || v.V == "")
	if v.State == event.Unreadable {
		t = tr.Lacking(m.field.Path)
	}
	if tr.KeepsFacts() {
		tr.Add(m.field.Path, Show(v), "is missing", "", t)
	}
	return t
}
func (m *missing) Needs() []string { return []string{m.field.Path} }
func (m *missing) String() string  { return m.field.Path + " is missing" }

// Differs holds when two logged texts differ whatever the case: tenants, object ids.
// Either one not logged or empty makes it Unknown.
func Differs(a, b event.Field[string]) Predicate { return &differs{a, b} }

type differs struct{ a, b event.Field[string] }

func (d *differs) Eval(ev *event.Event, tr *Trace) Truth {
	a, b := d.a.Get(ev), d.b.Get(ev)
	t := Unknown
	if ok(a, d.a.Path, tr) && ok(b, d.b.Path, tr) {
		t = truth(a.V != b.V && !strings.EqualFold(a.V, b.V)) // mostly they are equal to the byte
	}
	if tr.KeepsFacts() {
		tr.Add(d.a.Path, Show(a), "differs from "+d.b.Path, Show(b), t)
	}
	return t
}
func (d *differs) Needs() []string { return []string{d.a.Path, d.b.Path} }
func (d *differs) String() string  { return d.a.Path + " differs from " + d.b.Path }

func ok(v *event.Text, path string, tr *Trace) bool {
	if v.State == event.Present && v.V != "" {
		return true
	}
	tr.Lacking(path)
	return false
}

// Longer holds when more than limit lies between from and to. A negative limit asks for to before from:
// Longer(to, from, d) says that to precedes from by more than d.
func Longer(from, to event.Field[time.Time], limit time.Duration) Predicate {
	return &span{from, to, "is more than", limit.String(), func(d time.Duration) bool { return d > limit }}
}

// Within holds when lo <= to − from < hi.
func Within(from, to event.Field[time.Time], lo, hi time.Duration) Predicate {
	return &span{from, to, "is within", lo.String() + " to " + hi.String(), func(d time.Duration) bool { return lo <= d && d < hi }}
}

// Span is a comparison of the time between two fields that Longer and Within do not name.
func Span(from, to event.Field[time.Time], op, operand string, holds func(time.Duration) bool) Predicate {
	return &span{from, to, op, operand, holds}
}

type span struct {
	from, to    event.Field[time.Time]
	op, operand string
	holds       func(time.Duration) bool
}

func (s *span) Eval(ev *event.Event, tr *Trace) Truth {
	from, to := s.from.Get(ev), s.to.Get(ev)
	t := Unknown
	shown := "(unknown)"
	switch {
	case from.State != event.Present:
		tr.Lacking(s.from.Path)
	case to.State != event.Present:
		tr.Lacking(s.to.Path)
	default:
		d := to.V.Sub(from.V)
		t = truth(s.holds(d))
		if tr.KeepsFacts() {
			shown = fmt.Sprintf("%s − %s = %s", Show(to), Show(from), d)
		}
	}
	if tr.KeepsFacts() {
		tr.Add(s.to.Path+" − "+s.from.Path, shown, s.op, s.operand, t)
	}
	return t
}
func (s *span) Needs() []string { return []string{s.from.Path, s.to.Path} }
func (s *span) String() string {
	return s.to.Path + " − " + s.from.Path + " " + s.op + " " + s.operand
}

// Set is reference data that answers membership, perhaps otherwise for each tenant.
// known is false where the data is missing or stale.
type Set interface {
	Name() string
	Contains(tenant, value string) (in, known bool)
}

// Listed holds when the text is in the set, Unknown when the field was not logged or the set is not known.
func Listed(f event.Field[string], s Set) Predicate { return &listed{f, s, "reference:" + s.Name()} }

type listed struct {
	field event.Field[string]
	set   Set
	data  string // the set's name among what is missing
}

func (l *listed) Eval(ev *event.Event, tr *Trace) Truth {
	v := l.field.Get(ev)
	t := Unknown
	if ok(v, l.field.Path, tr) {
		in, known := l.set.Contains(ev.Tenant, v.V)
		if known {
			t = truth(in)
		} else {
			tr.Lacking(l.data)
		}
	}
	if tr.KeepsFacts() {
		tr.Add(l.field.Path, Show(v), "is listed in", l.set.Name(), t)
	}
	return t
}
func (l *listed) Needs() []string { return []string{l.field.Path, l.data} }
func (l *listed) String() string  { return l.field.Path + " is listed in " + l.set.Name() }

// CategoryIn holds for events of one of the log categories, whatever the case.
func CategoryIn(categories ...string) Predicate {
	return &category{folds(categories), "category is one of " + strings.Join(categories, " "), asks("category", categories...)}
}

type category struct {
	in   []folded
	text string
	asks string // as in test
}

func (c *category) Eval(ev *event.Event, _ *Trace) Truth { return truth(isOne(c.in, ev.Category)) }
func (c *category) Needs() []string                      { return nil }
func (c *category) String() string                       { return c.text }

// Func is a predicate over several fields or reference data that no other constructor says. holds must be
// pure; with a non-nil Trace it records its own facts, and what it lacked.
func Func(text string, needs []string, holds func(*event.Event, *Trace) Truth) Predicate {
	return &function{text, needs, holds}
}

type function struct {
	text  string
	needs []string
	holds func(*event.Event, *Trace) Truth
}

func (f *function) Eval(ev *event.Event, tr *Trace) Truth { return f.holds(ev, tr) }
func (f *function) Needs() []string                       { return f.needs }
func (f *function) String() string                        { return f.text }

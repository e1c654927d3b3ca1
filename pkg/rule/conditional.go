package rule

import (
	"github.com/assay-sec/assay/pkg/event"
)

// Conditions decide whether a question makes sense for an event. They exist for comparisons that would fire on whatever is
// not in a list or not like something else: what a log wrote for "none" must leave those Unknown.

// OfKind asks p only of events of the kind: for any other it is False, without a fact. A rule that reads several kinds wraps
// its legs so, since a field that only the one kind has would leave the rule Unknown on the others.
func OfKind(k event.Kind, p Predicate) Predicate { return &ofKind{k, p} }

type ofKind struct {
	kind event.Kind
	p    Predicate
}

func (o *ofKind) Eval(ev *event.Event, tr *Trace) Truth {
	if ev.Kind != o.kind {
		return False
	}
	return o.p.Eval(ev, tr)
}
func (o *ofKind) Needs() []string { return o.p.Needs() }
func (o *ofKind) String() string  { return o.p.String() }

// Given asks p only where the condition is True; where it is not, its truth is that of the whole. People are told of p alone.
func Given(condition, p Predicate) Predicate { return &given{condition, p} }

type given struct{ condition, p Predicate }

func (g *given) Eval(ev *event.Event, tr *Trace) Truth {
	if t := g.condition.Eval(ev, tr); t != True {
		return t
	}
	return g.p.Eval(ev, tr)
}
func (g *given) Needs() []string { return needs([]Predicate{g.p, g.condition}) }
func (g *given) String() string  { return g.p.String() }

// Sensible is True where the value makes sense and Unknown where it does not: op says what it should be. It adds a fact only
// in the second case.
func Sensible[T any](f event.Field[T], op string, makesSense func(*event.Value[T]) bool) Predicate {
	return &sensible[T]{f, op, makesSense, ""}
}

// Logged is True where the field holds a text and Unknown where it was not logged or is empty.
func Logged(f event.Field[string]) Predicate {
	return &sensible[string]{f, "is logged", func(v *event.Text) bool { return v.OK() && v.V != "" }, asks[string]("is logged")}
}

// IsGUID is True where the field holds a GUID and Unknown otherwise: tenants, objects and applications have GUIDs for ids, so
// anything else (a masked value, a word) and the all-equal GUIDs that logs write for "none" tell nothing.
func IsGUID(f event.Field[string]) Predicate {
	holds := func(v *event.Text) bool {
		if !v.OK() {
			return false
		}
		id, err := event.ParseGUID(v.V)
		return err == nil && !id.Uniform()
	}
	return &sensible[string]{f, "is a GUID", holds, asks[string]("is a GUID")}
}

type sensible[T any] struct {
	field event.Field[T]
	op    string
	holds func(*event.Value[T]) bool
	asks  string // as in test
}

func (s *sensible[T]) Eval(ev *event.Event, tr *Trace) Truth {
	v := s.field.Get(ev)
	if s.holds(v) {
		return True
	}
	if tr.KeepsFacts() {
		tr.Add(s.field.Path, Show(v), s.op, "", Unknown)
	}
	return tr.Lacking(s.field.Path)
}
func (s *sensible[T]) Needs() []string { return []string{s.field.Path} }
func (s *sensible[T]) String() string  { return s.field.Path + " " + s.op }

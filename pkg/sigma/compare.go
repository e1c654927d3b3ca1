package sigma

import (
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// compare is a comparison of a field that no constructor of package rule says.
type compare struct {
	path        string // of the field
	values      values
	op, operand string
	holds       matcher
}

func (c *compare) Eval(ev *event.Event, tr *rule.Trace) rule.Truth {
	t, state := c.values.test(ev, c.holds)
	if state != event.Present {
		t = rule.Unknown
	}
	if tr.KeepsFacts() {
		tr.Add(c.path, c.values.show(ev), c.op, c.operand, t)
	}
	if t == rule.Unknown {
		tr.Lacking(c.path)
	}
	return t
}
func (c *compare) Needs() []string { return []string{c.path} }
func (c *compare) String() string  { return strings.TrimSpace(c.path + " " + c.op + " " + c.operand) }

// logged is a question about absence itself, which is never Unknown: whether the state is at least so much.
type logged struct {
	path    string
	values  values
	op      string
	atLeast event.State
	negated bool
}

func (l *logged) Eval(ev *event.Event, tr *rule.Trace) rule.Truth {
	_, state := l.values.test(ev, anything)
	t := truth((state >= l.atLeast) != l.negated)
	if tr.KeepsFacts() {
		tr.Add(l.path, l.values.show(ev), l.op, "", t)
	}
	return t
}
func (l *logged) Needs() []string { return []string{l.path} }
func (l *logged) String() string  { return l.path + " " + l.op }

// isNull holds where the log has no such field, or holds null for it.
func isNull(path string, v values) rule.Predicate {
	return &logged{path, v, "is null or was not logged", event.Unreadable, true}
}

// exists holds where the log has the field, whatever it holds.
func exists(path string, v values, want bool) rule.Predicate {
	if want {
		return &logged{path, v, "was logged", event.Null, false}
	}
	return &logged{path, v, "was not logged", event.Null, true}
}

// refers compares two fields with each other: one of the values of a, as it is, with one of b.
type refers struct {
	a, b         values
	pathA, pathB string
	op           string
	holds        func(a, b string) bool
}

func (r *refers) Eval(ev *event.Event, tr *rule.Trace) rule.Truth {
	if a, ok := r.a.(text); ok && !tr.KeepsFacts() { // most are, and need not be gathered
		if b, ok := r.b.(text); ok {
			va, vb := a.Get(ev), b.Get(ev)
			if va.State == event.Present && vb.State == event.Present {
				return truth(r.holds(va.V, vb.V))
			}
		}
	}
	b := event.Absent
	t, a := r.a.test(ev, func(x string) rule.Truth {
		var t rule.Truth
		t, b = r.b.test(ev, func(y string) rule.Truth { return truth(r.holds(x, y)) })
		return t
	})
	if a != event.Present {
		t = tr.Lacking(r.pathA)
		_, b = r.b.test(ev, anything)
	}
	if b != event.Present {
		t = tr.Lacking(r.pathB)
	}
	if tr.KeepsFacts() {
		tr.Add(r.pathA, r.a.show(ev), r.op+" "+r.pathB, r.b.show(ev), t)
	}
	return t
}
func (r *refers) Needs() []string { return []string{r.pathA, r.pathB} }
func (r *refers) String() string  { return r.pathA + " " + r.op + " " + r.pathB }

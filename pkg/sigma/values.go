package sigma

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// values are what an event holds under one name: mostly one text, or none.
type values interface {
	// test returns the most that is true of one of the values, and whether there is any: it means nothing unless the state is
	// event.Present.
	test(ev *event.Event, m matcher) (rule.Truth, event.State)
	// show renders the values for people.
	show(ev *event.Event) string
}

// text is a field that holds one text.
type text struct{ event.Field[string] }

func (f text) test(ev *event.Event, m matcher) (rule.Truth, event.State) {
	v := f.Get(ev)
	if v.State != event.Present {
		return rule.Unknown, v.State
	}
	return m(v.V), event.Present
}
func (f text) show(ev *event.Event) string { return rule.Show(f.Get(ev)) }

// number is a field that holds a number; words are what some feeds write for it.
type number struct {
	event.Field[int64]
	words map[string]int64
}

func (f number) test(ev *event.Event, m matcher) (rule.Truth, event.State) {
	v := f.Get(ev)
	if v.State != event.Present {
		return rule.Unknown, v.State
	}
	return m(strconv.FormatInt(v.V, 10)), event.Present
}
func (f number) show(ev *event.Event) string { return rule.Show(f.Get(ev)) }

// flag is a field that is true or false.
type flag struct{ event.Field[bool] }

func (f flag) test(ev *event.Event, m matcher) (rule.Truth, event.State) {
	v := f.Get(ev)
	if v.State != event.Present {
		return rule.Unknown, v.State
	}
	return m(strconv.FormatBool(v.V)), event.Present
}
func (f flag) show(ev *event.Event) string { return rule.Show(f.Get(ev)) }

// address is a field that holds an IP address.
type address struct{ event.Field[netip.Addr] }

func (f address) test(ev *event.Event, m matcher) (rule.Truth, event.State) {
	v := f.Get(ev)
	if v.State != event.Present {
		return rule.Unknown, v.State
	}
	return m(v.V.String()), event.Present
}
func (f address) show(ev *event.Event) string { return rule.Show(f.Get(ev)) }

// instant is a field that holds a time.
type instant struct{ event.Field[time.Time] }

func (f instant) test(ev *event.Event, m matcher) (rule.Truth, event.State) {
	v := f.Get(ev)
	if v.State != event.Present {
		return rule.Unknown, v.State
	}
	return m(v.V.UTC().Format(time.RFC3339Nano)), event.Present
}
func (f instant) show(ev *event.Event) string { return rule.Show(f.Get(ev)) }

// list is a field that holds texts.
type list struct{ event.Field[[]string] }

func (f list) test(ev *event.Event, m matcher) (rule.Truth, event.State) {
	v := f.Get(ev)
	if v.State != event.Present {
		return rule.Unknown, v.State
	}
	t := rule.False
	for _, s := range v.V {
		if t = max(t, m(s)); t == rule.True {
			break
		}
	}
	return t, event.Present
}
func (f list) show(ev *event.Event) string { return rule.Show(f.Get(ev)) }

// inside is what stands under a path of names in a field that holds JSON. An array on the way stands for each of its elements,
// a text that holds JSON for that, and a list of {Name, Value} objects for an object of those names. Without a path it is every
// value in the JSON, and the JSON itself.
type inside struct {
	event.Field[string]
	path []string
}

func (f inside) test(ev *event.Event, m matcher) (rule.Truth, event.State) {
	v := f.Get(ev)
	if v.State != event.Present {
		return rule.Unknown, v.State
	}
	w := walk{m: m, best: rule.False}
	w.text(v.V, f.path, 0)
	return w.best, w.state
}

func (f inside) show(ev *event.Event) string {
	if len(f.path) == 0 {
		return rule.Show(f.Get(ev))
	}
	var all []string
	_, state := f.test(ev, func(s string) rule.Truth {
		all = append(all, s)
		return rule.False
	})
	if state != event.Present {
		return "(" + state.String() + ")"
	}
	return strings.Join(all, " ")
}

// walk tests the values under a path.
type walk struct {
	m     matcher
	best  rule.Truth
	state event.State // the most that a value was: none, null, or one that could be tested
}

func (w *walk) meet(s string) {
	w.state = event.Present
	w.best = max(w.best, w.m(s))
}

// text walks a text that may be JSON.
func (w *walk) text(s string, path []string, depth int) {
	if !isJSON(s) || depth > decode.MaxDepth {
		if len(path) == 0 {
			w.meet(s)
		}
		return
	}
	object := strings.TrimLeft(s, " \t\r\n")[0] == '{'
	var pair struct{ name, value decode.Value } // of {Name: …, Value: …}
	for e := decode.Walk(s); e.Next() && w.best != rule.True; {
		switch {
		case !object || len(path) == 0:
			w.value(e.Value, path, depth+1)
		case strings.EqualFold(e.Name, path[0]):
			w.value(e.Value, path[1:], depth+1)
		}
		if object && len(path) > 0 {
			switch {
			case isOne(e.Name, "Name", "displayName", "Key"):
				pair.name = e.Value
			case isOne(e.Name, "Value", "newValue"):
				pair.value = e.Value
			}
		}
	}
	if pair.name.Kind == decode.String && strings.EqualFold(pair.name.Text, path[0]) {
		w.value(pair.value, path[1:], depth+1)
	}
	if len(path) == 0 && depth == 0 && w.best != rule.True {
		w.meet(s)
	}
}

func isOne(s string, of ...string) bool {
	for _, x := range of {
		if strings.EqualFold(s, x) {
			return true
		}
	}
	return false
}

func (w *walk) value(v decode.Value, path []string, depth int) {
	switch v.Kind {
	case decode.Absent:
	case decode.Null:
		if len(path) == 0 {
			w.state = max(w.state, event.Null)
		}
	case decode.String, decode.Object, decode.Array:
		w.text(v.Text, path, depth)
	case decode.Number:
		if len(path) == 0 {
			w.meet(v.Text)
		}
	case decode.True, decode.False:
		if len(path) == 0 {
			w.meet(strconv.FormatBool(v.Kind == decode.True))
		}
	}
}

func isJSON(s string) bool {
	s = strings.TrimLeft(s, " \t\r\n")
	return s != "" && (s[0] == '{' || s[0] == '[')
}

// firstOf is the first of several that holds anything: feeds spell one thing in unlike ways.
type firstOf []values

func (f firstOf) test(ev *event.Event, m matcher) (rule.Truth, event.State) {
	best := event.Absent
	for _, v := range f {
		t, state := v.test(ev, m)
		if state == event.Present {
			return t, state
		}
		best = max(best, state)
	}
	return rule.Unknown, best
}

func (f firstOf) show(ev *event.Event) string {
	for _, v := range f {
		if _, state := v.test(ev, anything); state == event.Present {
			return v.show(ev)
		}
	}
	_, state := f.test(ev, anything)
	return "(" + state.String() + ")"
}

func anything(string) rule.Truth { return rule.False }

// always is a text that every event has, beside what its log holds.
type always func(*event.Event) string

func (f always) test(ev *event.Event, m matcher) (rule.Truth, event.State) {
	return m(f(ev)), event.Present
}
func (f always) show(ev *event.Event) string { return f(ev) }

// everything is every value of the record, for keywords.
type everything struct{}

func (everything) test(ev *event.Event, m matcher) (rule.Truth, event.State) {
	w := walk{m: m, best: rule.False}
	w.text(ev.Record, nil, 1)
	return w.best, event.Present
}
func (everything) show(*event.Event) string { return "(the record)" }

// firstText returns the first of the values in lower case, "" where there is none: what alerts are grouped by.
func firstText(v values, ev *event.Event) string {
	out := ""
	v.test(ev, func(s string) rule.Truth {
		if out == "" {
			out = s
		}
		return rule.False
	})
	return strings.ToLower(out)
}

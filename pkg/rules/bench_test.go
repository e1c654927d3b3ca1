package rules_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/casefile"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
)

// quiet returns the events of the case files on which no rule of the catalogue fires, each with scratch of its own, since an
// event may alias it.
func quiet(tb testing.TB, e *rule.Engine) []*event.Event {
	tb.Helper()
	files, err := casefile.Read(rules.Cases())
	if err != nil {
		tb.Fatal(err)
	}
	n := normalize.New(decode.Reference{}, "")
	var out []*event.Event
	for _, f := range files {
		for _, c := range f.Cases {
			in := envelope.NewReader(strings.NewReader(c.Record), "record")
			rec, err := in.Next()
			if errors.Is(err, io.EOF) {
				continue
			}
			if err != nil {
				tb.Fatal(err)
			}
			ev, s := new(event.Event), new(normalize.Scratch)
			if n.Normalize(&rec, s, ev).Outcome != normalize.Normalised {
				continue
			}
			fired := false
			e.Eval(ev, new(rule.Scratch), func(v *rule.Verdict) { fired = fired || v.Truth == rule.True })
			if !fired {
				out = append(out, ev)
			}
		}
	}
	return out
}

func engine(tb testing.TB) *rule.Engine {
	tb.Helper()
	e, err := rule.NewEngine(builtin(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// TestQuietEventsAllocateNothing: nearly all events fire no rule, and most leave some rule not evaluable.
func TestQuietEventsAllocateNothing(t *testing.T) {
	if raced {
		t.Skip("the race detector makes package regexp allocate")
	}
	e := engine(t)
	var s rule.Scratch
	for _, ev := range quiet(t, e) {
		eval := func() { e.Eval(ev, &s, func(*rule.Verdict) {}) }
		eval()
		if n := testing.AllocsPerRun(10, eval); n != 0 {
			byRule := map[string]float64{}
			for _, r := range e.Rules() {
				one, err := rule.NewEngine([]*rule.Rule{r})
				if err != nil {
					t.Fatal(err)
				}
				if n := testing.AllocsPerRun(10, func() { one.Eval(ev, &s, func(*rule.Verdict) {}) }); n != 0 {
					byRule[r.ID] = n
				}
			}
			t.Errorf("%v allocations for an event of the kind %s with the id %q, by rule %v", n, ev.Kind, ev.Token.ID.V, byRule)
		}
	}
}

func BenchmarkQuietEvents(b *testing.B) {
	e := engine(b)
	for _, k := range event.Kinds() {
		var events []*event.Event
		for _, ev := range quiet(b, e) {
			if ev.Kind == k {
				events = append(events, ev)
			}
		}
		if len(events) == 0 {
			continue
		}
		b.Run(k.String(), func(b *testing.B) {
			b.ReportAllocs()
			var s rule.Scratch
			for i := 0; b.Loop(); i++ {
				e.Eval(events[i%len(events)], &s, func(*rule.Verdict) {})
			}
		})
	}
}

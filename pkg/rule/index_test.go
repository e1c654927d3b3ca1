package rule

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/event"
)

// words are values of events and rules alike, some equal but for the case: the Kelvin sign folds to k, the long s to s, and of the
// three sigmas each equals the others.
var words = []string{"", "a", "A", "k", "K", "\u212a", "sS", "\u017fs", "\u03c3", "\u03c2", "\u03a3", "b\xff", "b\ufffd", "longer than the others", "\u00e9", "\u00c9"}

var asked = []event.Field[string]{event.AppID, event.TokenIssuer, event.ValidationResult}

func randomPredicate(r *rand.Rand, depth int) Predicate {
	f, word := asked[r.IntN(len(asked))], func() string { return words[r.IntN(len(words))] }
	parts := func() []Predicate {
		ps := make([]Predicate, r.IntN(4))
		for i := range ps {
			ps[i] = randomPredicate(r, depth-1)
		}
		return ps
	}
	n := 8
	if depth == 0 {
		n = 5
	}
	switch r.IntN(n) {
	case 0:
		return Eq(f, word())
	case 1:
		return EqFold(f, word())
	case 2:
		return In(f, word(), word())
	case 3:
		return InFold(f, word(), word(), word())
	case 4:
		return Eq(event.TokenSegments, int64(r.IntN(2)))
	case 5:
		return Not(randomPredicate(r, depth-1))
	case 6:
		return Any(parts()...)
	default:
		return All(parts()...)
	}
}

func randomRule(r *rand.Rand, id int) *Rule {
	rule := aRule(fmt.Sprintf("rule-%d", id))
	for i := range 1 + r.IntN(3) {
		l := leg(fmt.Sprintf("leg-%d", i), True, Low, Weak, Stage(r.IntN(3)))
		l.When = randomPredicate(r, 2)
		rule.Legs = append(rule.Legs, l)
	}
	if r.IntN(3) == 0 {
		rule.Scope = randomPredicate(r, 1)
	}
	return rule
}

func randomEvent(r *rand.Rand) *event.Event {
	ev := &event.Event{Kind: event.TokenObserved}
	for _, f := range asked {
		v := f.Get(ev)
		v.V, v.State = words[r.IntN(len(words))], event.State(r.IntN(4))
		if r.IntN(2) == 0 {
			v.State = event.Present
		}
	}
	ev.Observed.Segments = event.Of(int64(r.IntN(2)))
	return ev
}

// An engine with an index says of every event what one that looks at every rule says, in the same order.
func TestIndexChangesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	said := func(e *Engine, s *Scratch, ev *event.Event) (out []string) {
		e.Eval(ev, s, func(v *Verdict) {
			leg := ""
			if v.Leg != nil {
				leg = v.Leg.ID
			}
			out = append(out, fmt.Sprint(v.Index, v.Rule.ID, v.Truth, leg, v.Missing, v.Facts))
		})
		return out
	}
	found, spared := 0, 0
	for range 20 {
		rules := make([]*Rule, 40)
		for i := range rules {
			rules[i] = randomRule(r, i)
		}
		indexed, err := newEngine(rules, 1)
		if err != nil {
			t.Fatal(err)
		}
		scanned, err := newEngine(rules, len(rules)+1)
		if err != nil {
			t.Fatal(err)
		}
		if plan := &scanned.byKind[event.TokenObserved]; len(plan.lookups) != 0 || len(plan.always) == 0 {
			t.Fatal("the engine to compare with has an index")
		}
		var a, b Scratch
		for range 200 {
			ev := randomEvent(r)
			got, want := said(indexed, &a, ev), said(scanned, &b, ev)
			if !slices.Equal(got, want) {
				t.Fatalf("indexed:\n%s\nscanned:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			found += len(want)
			spared += len(rules) - len(indexed.byKind[ev.Kind].due(ev, &a))
		}
	}
	if found == 0 || spared == 0 {
		t.Errorf("%d verdicts, %d rules passed over: the test tests nothing", found, spared)
	}
}

func TestIndexFindsRulesByValue(t *testing.T) {
	rules := make([]*Rule, 3000)
	for i := range rules {
		l := leg("leg", True, Low, Weak, Off)
		l.When = All(Eq(event.TokenSegments, 3), EqFold(event.AppID, fmt.Sprintf("App-%d", i)))
		rules[i] = aRule(fmt.Sprintf("rule-%d", i), l)
	}
	e, err := NewEngine(rules)
	if err != nil {
		t.Fatal(err)
	}
	var s Scratch
	ev := &event.Event{Kind: event.TokenObserved}
	ev.App.ID = event.Of("aPP-17")
	if got := e.byKind[ev.Kind].due(ev, &s); !slices.Equal(got, []int{17}) {
		t.Errorf("rules %v are due, want the one of the value", got)
	}
	ev.App.ID = event.Of(strings.Repeat("app", 1000))
	if got := e.byKind[ev.Kind].due(ev, &s); len(got) != 0 {
		t.Errorf("rules %v are due for a text that none asks for", got)
	}
	ev.App.ID = event.Text{}
	if got := e.byKind[ev.Kind].due(ev, &s); len(got) != len(rules) {
		t.Errorf("%d rules are due for an event that does not tell, want all", len(got))
	}
	if !e.Reads(ev.Kind) || e.Reads(event.SignIn) {
		t.Error("the engine does not know which kinds it reads")
	}
}

func TestCanonicalFormIsThatOfEqualFold(t *testing.T) {
	for _, a := range words {
		for _, b := range words {
			same := string(appendCanonical(nil, a)) == string(appendCanonical(nil, b))
			if same != strings.EqualFold(a, b) {
				t.Errorf("%q and %q: the same form is %t", a, b, same)
			}
			if w := fold(a); w.is(b) != strings.EqualFold(a, b) {
				t.Errorf("%q is %q: %t", b, a, w.is(b))
			}
		}
	}
	for r := rune(0); r < 0x20000; r++ {
		if s := string(r); !strings.EqualFold(s, string(appendCanonical(nil, s))) {
			t.Fatalf("%q has a form that it is not equal to", s)
		}
	}
}

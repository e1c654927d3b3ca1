package rule

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/event"
)

// randomShared returns predicates made of a few, so that much is shared, and asked on different kinds.
func randomShared(r *rand.Rand, pool []Predicate, depth int) Predicate {
	part := func() Predicate { return randomShared(r, pool, depth-1) }
	n := 8
	if depth == 0 {
		n = 2
	}
	switch r.IntN(n) {
	case 0:
		return pool[r.IntN(len(pool))]
	case 1:
		return randomPredicate(r, 0)
	case 2:
		return Not(part())
	case 3:
		return OfKind([]event.Kind{event.TokenObserved, event.SignIn}[r.IntN(2)], part())
	case 4:
		return Given(part(), part())
	case 5:
		return Any(part(), part(), part())
	default:
		return All(part(), part(), part())
	}
}

// An engine asks once what several rules ask, and says of every event what each rule says that is asked alone.
func TestSharingChangesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	describe := func(v *Verdict) string {
		leg := ""
		if v.Leg != nil {
			leg = v.Leg.ID
		}
		return fmt.Sprint(v.Index, v.Rule.ID, v.Truth, leg, v.Missing)
	}
	undecided, found, remembered := 0, 0, 0
	for range 20 {
		pool := make([]Predicate, 12)
		for i := range pool {
			switch i % 4 {
			case 0:
				pool[i] = Logged(asked[r.IntN(len(asked))])
			case 1:
				pool[i] = Differs(asked[r.IntN(len(asked))], asked[r.IntN(len(asked))])
			case 2:
				pool[i] = Missing(asked[r.IntN(len(asked))])
			default:
				pool[i] = randomPredicate(r, 2)
			}
		}
		rules := make([]*Rule, 30)
		for i := range rules {
			rules[i] = randomRule(r, i)
			rules[i].Kinds = []event.Kind{event.TokenObserved, event.SignIn}
			for j := range rules[i].Legs {
				rules[i].Legs[j].When = randomShared(r, pool, 3)
			}
			if r.IntN(2) == 0 {
				rules[i].Scope = randomShared(r, pool, 1)
			}
		}
		e, err := NewEngine(rules)
		if err != nil {
			t.Fatal(err)
		}
		var s Scratch
		for range 100 {
			ev := randomEvent(r)
			ev.Kind = []event.Kind{event.TokenObserved, event.SignIn}[r.IntN(2)]
			var got, want, fired []string
			e.Eval(ev, &s, func(v *Verdict) { got = append(got, describe(v)) })
			for i, rule := range e.Rules() {
				v := rule.Verdict(ev)
				v.Index = i
				switch v.Truth {
				case True:
					fired = append(fired, describe(&v))
				case Unknown:
					want = append(want, describe(&v))
				case False:
				}
			}
			undecided, found, remembered = undecided+len(want), found+len(fired), remembered+e.byKind[ev.Kind].answers
			if want = append(want, fired...); !slices.Equal(got, want) {
				t.Fatalf("the engine:\n%s\neach rule alone:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
	if undecided == 0 || found == 0 || remembered == 0 {
		t.Errorf("%d verdicts are Unknown, %d True, and %d answers were remembered: the test tests nothing", undecided, found, remembered)
	}
}

func TestWhatSeveralRulesAskIsAskedOnce(t *testing.T) {
	asks := 0
	costly := Func("costly", nil, func(*event.Event, *Trace) Truth {
		asks++
		return Unknown
	})
	rules := make([]*Rule, 5)
	for i := range rules {
		l := leg("leg", True, Low, Weak, Off)
		l.When = All(Logged(event.AppID), costly, Eq(event.TokenSegments, int64(i)))
		rules[i] = aRule(fmt.Sprintf("rule-%d", i), l)
	}
	e, err := NewEngine(rules)
	if err != nil {
		t.Fatal(err)
	}
	var s Scratch
	ev := &event.Event{Kind: event.TokenObserved}
	for n := 1; n <= 3; n++ {
		verdicts := 0
		e.Eval(ev, &s, func(*Verdict) { verdicts++ })
		if asks != n || verdicts != len(rules) {
			t.Errorf("asked %d times of %d events for %d verdicts", asks, n, verdicts)
		}
	}
}

// Of predicates that only look alike, each is asked.
func TestWhatOnlyLooksAlikeIsNotShared(t *testing.T) {
	one := func(holds bool) Predicate { return Test(event.AppID, "is", "it", func(string) bool { return holds }) }
	pairs := [][2]Predicate{
		{one(true), one(false)},
		{Func("it", nil, func(*event.Event, *Trace) Truth { return True }), Func("it", nil, func(*event.Event, *Trace) Truth { return False })},
		{EqFold(event.AppID, "APP"), Eq(event.AppID, "APP")},
		{InFold(event.AppID, "app", "b"), InFold(event.AppID, "app b")},
		{CategoryIn("a", "b"), CategoryIn("a b")},
		{Logged(event.AppID), Logged(event.TokenIssuer)},
		{Differs(event.AppID, event.TokenIssuer), Differs(event.TokenIssuer, event.AppID)}, // they lack in another order
		{Eq(event.Field[string]{Path: "other", Get: event.AppID.Get}, "app"), Eq(event.AppID, "app")},
	}
	for _, pair := range pairs {
		s := newSharer(event.TokenObserved)
		one, again, other := s.node(pair[0]), s.node(pair[0]), s.node(pair[1])
		if one == other || one != again {
			t.Errorf("%s and %s are one, or the former is not itself", pair[0], pair[1])
		}
	}
	s := newSharer(event.TokenObserved)
	made := func() Predicate {
		return All(EqFold(event.AppID, "app"), Not(Logged(event.TokenIssuer)), OfKind(event.TokenObserved, CategoryIn("a")))
	}
	if one, again := s.node(made()), s.node(made()); one != again {
		t.Error("what asks the same is asked twice")
	}
}

// A predicate that panics takes its event with it, and no other.
func TestPanicsLeaveNoTraces(t *testing.T) {
	bad := true
	torn := Func("torn", nil, func(_ *event.Event, tr *Trace) Truth {
		tr.Lacking("a")
		if bad {
			panic("torn")
		}
		return tr.Lacking("b")
	})
	rules := make([]*Rule, 3)
	for i := range rules {
		l := leg("leg", True, Low, Weak, Off)
		l.When = All(Logged(event.AppID), torn)
		rules[i] = aRule(fmt.Sprintf("rule-%d", i), l)
	}
	e, err := NewEngine(rules)
	if err != nil {
		t.Fatal(err)
	}
	var s Scratch
	ev := &event.Event{Kind: event.TokenObserved}
	func() {
		defer func() { _ = recover() }()
		e.Eval(ev, &s, func(*Verdict) {})
	}()
	bad = false
	n := 0
	e.Eval(ev, &s, func(v *Verdict) {
		if n++; !slices.Equal(v.Missing, []string{event.AppID.Path, "a", "b"}) {
			t.Errorf("%s lacks %q", v.Rule.ID, v.Missing)
		}
	})
	if n != len(rules) {
		t.Errorf("%d verdicts, want %d", n, len(rules))
	}
}

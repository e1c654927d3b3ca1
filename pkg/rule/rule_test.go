package rule

import (
	"slices"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/event"
)

// aRule is a rule over token observations with the given legs.
func aRule(id string, legs ...Leg) *Rule {
	return &Rule{
		ID: id, Title: "A rule", Version: 1, Kinds: []event.Kind{event.TokenObserved}, Legs: legs, Stage: Enabled,
		Key: Key{Name: "app", Of: func(ev *event.Event) string { return ev.App.ID.V }},
	}
}

func leg(id string, t Truth, s Severity, st Strength, stage Stage) Leg {
	return Leg{ID: id, Why: "why " + id, When: constant(id, t), Severity: s, Strength: st, Stage: stage}
}

func verdicts(t *testing.T, rules ...*Rule) []Verdict {
	t.Helper()
	e, err := NewEngine(rules)
	if err != nil {
		t.Fatal(err)
	}
	ev := ordinary()
	var out []Verdict
	var s Scratch
	e.Eval(ev, &s, func(v *Verdict) {
		c := *v
		c.Missing = slices.Clone(v.Missing)
		out = append(out, c)
		// What explain tells must agree with what the hot path says.
		full := v.Rule.Verdict(ev)
		if full.Truth != v.Truth || !slices.Equal(full.Missing, v.Missing) {
			t.Errorf("%s is %s and lacks %q; explained as %s and %q", v.Rule.ID, v.Truth, v.Missing, full.Truth, full.Missing)
		}
	})
	for _, r := range rules {
		if r.Stage == Off || !slices.Contains(r.Kinds, ev.Kind) {
			continue
		}
		if !slices.ContainsFunc(out, func(v Verdict) bool { return v.Rule == r }) && r.Verdict(ev).Truth != False {
			t.Errorf("%s is passed over by the engine and explained as %s", r.ID, r.Verdict(ev).Truth)
		}
	}
	return out
}

func TestGravestLegWins(t *testing.T) {
	for _, c := range []struct {
		name string
		legs []Leg
		want string
	}{
		{"the only one", []Leg{leg("a", True, Low, Weak, Off)}, "a"},
		{"severity", []Leg{leg("a", True, Low, Strong, Off), leg("b", True, High, Weak, Off)}, "b"},
		{"strength among equals", []Leg{leg("a", True, High, Weak, Off), leg("b", True, High, Strong, Off)}, "b"},
		{"the first of equals", []Leg{leg("a", True, High, Weak, Off), leg("b", True, High, Weak, Off)}, "a"},
		{"an enabled leg before a graver one that only observes", []Leg{leg("a", True, Critical, Strong, Observe), leg("b", True, Low, Weak, Enabled)}, "b"},
		{"not one that is undecided", []Leg{leg("a", Unknown, Critical, Strong, Off), leg("b", True, Low, Weak, Off)}, "b"},
	} {
		vs := verdicts(t, aRule("r", c.legs...))
		if len(vs) != 1 || vs[0].Truth != True || vs[0].Leg.ID != c.want {
			t.Errorf("%s: %+v", c.name, vs)
			continue
		}
		v := vs[0]
		if v.Severity != v.Leg.Severity || v.Strength != v.Leg.Strength || v.Key != "Outlook" || len(v.Facts) == 0 || len(v.Missing) > 0 {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

func TestStages(t *testing.T) {
	r := aRule("r", leg("a", True, High, Strong, Enabled))
	r.Stage = Observe
	if vs := verdicts(t, r); len(vs) != 1 || vs[0].Stage != Observe {
		t.Errorf("a leg rises above its rule: %+v", vs)
	}
	r = aRule("r", leg("a", True, High, Strong, Observe))
	if vs := verdicts(t, r); len(vs) != 1 || vs[0].Stage != Observe {
		t.Errorf("a leg that observes: %+v", vs)
	}
	r.Stage = Off
	if vs := verdicts(t, r); len(vs) != 0 {
		t.Errorf("a rule that is off is evaluated: %+v", vs)
	}
	if v := r.Verdict(ordinary()); v.Truth != False {
		t.Errorf("a rule that is off fires when it is explained: %s", v.Truth)
	}
}

func TestUndecidedRuleNamesWhatItLacks(t *testing.T) {
	decided := leg("x", False, Low, Weak, Off)
	decided.When = All(constant("u", Unknown), constant("n", False))
	vs := verdicts(t, aRule("r", leg("a", Unknown, High, Strong, Off), decided, leg("b", Unknown, Low, Weak, Off)))
	if len(vs) != 1 || vs[0].Truth != Unknown || !slices.Equal(vs[0].Missing, []string{"a", "b"}) || vs[0].Leg != nil || vs[0].Key != "" {
		t.Errorf("%+v", vs)
	}
}

func TestScope(t *testing.T) {
	for _, c := range []struct {
		scope, leg Truth
		want       Truth
		missing    []string
	}{
		{True, True, True, nil},
		{True, False, False, nil},
		{True, Unknown, Unknown, []string{"leg"}},
		{False, True, False, nil},
		{False, Unknown, False, nil},
		{Unknown, True, Unknown, []string{"scope"}},
		{Unknown, Unknown, Unknown, []string{"scope", "leg"}},
		{Unknown, False, False, nil},
	} {
		r := aRule("r", leg("leg", c.leg, High, Strong, Off))
		r.Scope = constant("scope", c.scope)
		vs := verdicts(t, r)
		got, missing := False, []string(nil)
		if len(vs) == 1 {
			got, missing = vs[0].Truth, vs[0].Missing
		}
		if got != c.want || !slices.Equal(missing, c.missing) {
			t.Errorf("scope %s, leg %s: %s and missing %q, want %s and %q", c.scope, c.leg, got, missing, c.want, c.missing)
		}
	}
}

func TestOnlyRulesOfTheKind(t *testing.T) {
	audit := aRule("audit", leg("a", True, High, Strong, Off))
	audit.Kinds = []event.Kind{event.Audit}
	both := aRule("both", leg("a", True, High, Strong, Off))
	both.Kinds = []event.Kind{event.Audit, event.TokenObserved}
	e, err := NewEngine([]*Rule{audit, both})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	e.Eval(ordinary(), &Scratch{}, func(v *Verdict) { got = append(got, v.Rule.ID) })
	if !slices.Equal(got, []string{"both"}) {
		t.Errorf("evaluated %q", got)
	}
	if !e.Reads(event.Audit) || e.Reads(event.Risk) || e.Reads(event.Kind(200)) {
		t.Error("the engine is wrong about what it reads")
	}
	if len(e.Rules()) != 2 {
		t.Errorf("%d rules", len(e.Rules()))
	}
}

func TestEngineRefusesWhatCannotWork(t *testing.T) {
	fine := aRule("fine", leg("a", True, High, Strong, Off))
	twice := aRule("fine", leg("a", True, High, Strong, Off))
	empty := &Rule{}
	odd := aRule("odd", leg("a", True, High, Strong, Off), leg("a", True, High, Strong, Off), Leg{ID: "b"}, Leg{})
	odd.Kinds = []event.Kind{event.KindNone, event.Kind(200)}
	_, err := NewEngine([]*Rule{fine, twice, empty, odd})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`rule "fine" is defined twice`, `rule "": no id`, "no title", "no kind of event", "no leg", "no key",
		`rule "odd": an unknown kind of event`, "a leg without an id of its own", "leg b lacks its predicate or its reason",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q in\n%v", want, err)
		}
	}
}

func TestEvalDoesNotAllocate(t *testing.T) {
	silent := aRule("silent", leg("a", False, High, Strong, Off))
	undecided := aRule("undecided", leg("a", Unknown, High, Strong, Off), leg("b", Unknown, Low, Weak, Off))
	scoped := aRule("scoped", leg("a", True, High, Strong, Off))
	scoped.Scope = Listed(event.AppID, someSet{})
	e, err := NewEngine([]*Rule{silent, undecided, scoped})
	if err != nil {
		t.Fatal(err)
	}
	ev, n := ordinary(), 0
	var s Scratch
	if a := testing.AllocsPerRun(100, func() { e.Eval(ev, &s, func(*Verdict) { n++ }) }); a != 0 {
		t.Errorf("%v allocations", a)
	}
	if n == 0 {
		t.Error("the undecided rule is passed over")
	}
}

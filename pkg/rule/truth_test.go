package rule

import (
	"testing"

	"github.com/assay-sec/assay/pkg/event"
)

var truths = []Truth{False, Unknown, True}

// constant is a predicate of a known truth, which names itself as missing where it is Unknown.
func constant(name string, t Truth) Predicate {
	return Func(name, []string{name}, func(_ *event.Event, tr *Trace) Truth {
		if t == Unknown {
			tr.Lacking(name)
		}
		return tr.Add(name, "", "is", "", t)
	})
}

func eval(p Predicate) Truth { return p.Eval(&event.Event{}, nil) }

func TestKleeneTables(t *testing.T) {
	and := map[[2]Truth]Truth{
		{False, False}: False, {False, Unknown}: False, {False, True}: False,
		{Unknown, Unknown}: Unknown, {Unknown, True}: Unknown, {True, True}: True,
	}
	or := map[[2]Truth]Truth{
		{False, False}: False, {False, Unknown}: Unknown, {False, True}: True,
		{Unknown, Unknown}: Unknown, {Unknown, True}: True, {True, True}: True,
	}
	for _, c := range []struct {
		name  string
		of    func(...Predicate) Predicate
		table map[[2]Truth]Truth
	}{{"and", All, and}, {"or", Any, or}} {
		for pair, want := range c.table {
			a, b := constant("a", pair[0]), constant("b", pair[1])
			if got := eval(c.of(a, b)); got != want {
				t.Errorf("%s %s %s is %s, want %s", pair[0], c.name, pair[1], got, want)
			}
			if got := eval(c.of(b, a)); got != want {
				t.Errorf("%s %s %s is %s, want %s", pair[1], c.name, pair[0], got, want)
			}
		}
	}
	for a, want := range map[Truth]Truth{False: True, Unknown: Unknown, True: False} {
		if got := eval(Not(constant("a", a))); got != want {
			t.Errorf("not %s is %s, want %s", a, got, want)
		}
	}
	if eval(All()) != True || eval(Any()) != False {
		t.Error("the empty conjunction is not True, or the empty disjunction not False")
	}
}

func TestKleeneLaws(t *testing.T) {
	for _, x := range truths {
		for _, y := range truths {
			for _, z := range truths {
				a, b, c := constant("a", x), constant("b", y), constant("c", z)
				for law, sides := range map[string][2]Predicate{
					"associativity of and":      {All(All(a, b), c), All(a, b, c)},
					"associativity of or":       {Any(Any(a, b), c), Any(a, b, c)},
					"distributivity of and":     {All(a, Any(b, c)), Any(All(a, b), All(a, c))},
					"distributivity of or":      {Any(a, All(b, c)), All(Any(a, b), Any(a, c))},
					"De Morgan of and":          {Not(All(a, b)), Any(Not(a), Not(b))},
					"De Morgan of or":           {Not(Any(a, b)), All(Not(a), Not(b))},
					"double negation":           {Not(Not(a)), a},
					"absorption of and":         {All(a, Any(a, b)), a},
					"absorption of or":          {Any(a, All(a, b)), a},
					"idempotence of and and or": {All(a, a), Any(a, a)},
					"True is the unit of and":   {All(a, constant("t", True)), a},
					"False is the unit of or":   {Any(a, constant("f", False)), a},
					"False is the zero of and":  {All(a, constant("f", False)), constant("f", False)},
					"True is the zero of or":    {Any(a, constant("t", True)), constant("t", True)},
				} {
					if l, r := eval(sides[0]), eval(sides[1]); l != r {
						t.Errorf("%s with %s, %s, %s: %s and %s", law, x, y, z, l, r)
					}
				}
			}
		}
	}
}

// TestMoreKnowledgeNeverRevokes: an Unknown part that becomes known never turns a decided whole around.
func TestMoreKnowledgeNeverRevokes(t *testing.T) {
	shapes := []func(a, b, c Predicate) Predicate{
		func(a, b, c Predicate) Predicate { return All(a, Any(b, c)) },
		func(a, b, c Predicate) Predicate { return Any(All(a, b), Not(c)) },
		func(a, b, c Predicate) Predicate { return Not(All(Not(a), Any(b, Not(c)))) },
	}
	for i, shape := range shapes {
		for _, y := range truths {
			for _, z := range truths {
				before := eval(shape(constant("a", Unknown), constant("b", y), constant("c", z)))
				for _, known := range []Truth{False, True} {
					after := eval(shape(constant("a", known), constant("b", y), constant("c", z)))
					if before != Unknown && after != before {
						t.Errorf("shape %d with b %s, c %s: %s becomes %s once a is known to be %s", i, y, z, before, after, known)
					}
				}
			}
		}
	}
}

func TestNamesRoundTrip(t *testing.T) {
	for _, v := range truths {
		var back Truth
		if b, err := v.MarshalText(); err != nil || back.UnmarshalText(b) != nil || back != v {
			t.Errorf("%s becomes %s", v, back)
		}
	}
	for _, v := range Severities() {
		var back Severity
		if b, err := v.MarshalText(); err != nil || back.UnmarshalText(b) != nil || back != v {
			t.Errorf("%s becomes %s", v, back)
		}
	}
	for _, v := range []Strength{Weak, Moderate, Strong} {
		var back Strength
		if b, err := v.MarshalText(); err != nil || back.UnmarshalText(b) != nil || back != v {
			t.Errorf("%s becomes %s", v, back)
		}
	}
	for _, v := range []Stage{Off, Observe, Enabled} {
		var back Stage
		if b, err := v.MarshalText(); err != nil || back.UnmarshalText(b) != nil || back != v {
			t.Errorf("%s becomes %s", v, back)
		}
	}
	var s Severity
	if err := s.UnmarshalText([]byte("Critical")); err == nil {
		t.Error("a name in another case is read")
	}
	if Truth(7).String() != "invalid" || Severity(9).String() != "invalid" {
		t.Error("a value out of range has a name")
	}
}

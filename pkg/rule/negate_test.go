package rule

import (
	"testing"

	"github.com/assay-sec/assay/pkg/event"
)

// What led to a verdict through a negation is among its true facts.
func TestNegatedFacts(t *testing.T) {
	t.Parallel()
	ev := &event.Event{}
	ev.App.ID = event.Of("app")
	ev.Token.Audience = event.Of("api")
	for name, c := range map[string]struct {
		p    Predicate
		want []Fact
	}{
		"once":      {Not(Eq(event.AppID, "x")), []Fact{{"app.id", "app", "is not", "x", True}}},
		"twice":     {Not(Not(Eq(event.AppID, "app"))), []Fact{{"app.id", "app", "is", "app", True}}},
		"a list":    {Not(In(event.AppID, "x", "y")), []Fact{{"app.id", "app", "is not one of", "x y", True}}},
		"filled":    {Not(Filled(event.AppID)), []Fact{{"app.id", "app", "is empty", "", False}}},
		"a verb":    {Not(Contains(event.AppID, "x")), []Fact{{"app.id", "app", "not: contains", "x", True}}},
		"its twice": {Not(Not(Contains(event.AppID, "x"))), []Fact{{"app.id", "app", "contains", "x", False}}},
		"absence":   {Not(Eq(event.TokenIssuer, "x")), []Fact{{"token.iss", "(absent)", "is not", "x", Unknown}}},
		"a compound": {
			All(Eq(event.TokenAudience, "api"), Not(Any(Eq(event.AppID, "x"), Not(Eq(event.AppID, "app"))))),
			[]Fact{{"token.aud", "api", "is", "api", True}, {"app.id", "app", "is not", "x", True}, {"app.id", "app", "is", "app", True}},
		},
	} {
		tr := &Trace{}
		got, silent := c.p.Eval(ev, tr), c.p.Eval(ev, nil)
		if got != silent {
			t.Errorf("%s: %s with a trace, %s without", name, got, silent)
		}
		if len(tr.Facts) != len(c.want) {
			t.Errorf("%s: got %+v", name, tr.Facts)
			continue
		}
		for i, f := range tr.Facts {
			if f != c.want[i] {
				t.Errorf("%s: fact %d is %+v, want %+v", name, i, f, c.want[i])
			}
		}
	}
}

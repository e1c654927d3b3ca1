package rules_test

import (
	"slices"
	"testing"

	"github.com/assay-sec/assay/pkg/rule"
)

// Each combination raises its rule beside each partner, whatever the order, and nothing alone, beside a weak sign or a lower stage.
func TestCombinations(t *testing.T) {
	byID := map[string]*rule.Rule{}
	for _, r := range builtin(t) {
		byID[r.ID] = r
	}
	tried := 0
	for _, r := range byID {
		for _, c := range r.Combinations {
			leg := rule.Leg{ID: c.Leg, Severity: rule.Low, Strength: rule.Moderate}
			for _, id := range c.With {
				if byID[id] == nil {
					t.Fatalf("%s: there is no rule %s", r.ID, id)
				}
				for _, p := range []struct {
					strength rule.Strength
					stage    rule.Stage
					raised   bool
				}{{rule.Moderate, rule.Enabled, true}, {rule.Weak, rule.Enabled, false}, {rule.Strong, rule.Observe, false}} {
					a := rule.Verdict{Rule: r, Leg: &leg, Severity: leg.Severity, Strength: leg.Strength, Stage: rule.Enabled}
					b := rule.Verdict{Rule: byID[id], Leg: &rule.Leg{Strength: p.strength}, Strength: p.strength, Stage: p.stage}
					one, other := []rule.Verdict{a, b}, []rule.Verdict{b, a}
					rule.Combine(one)
					rule.Combine(other)
					slices.Reverse(other)
					for _, vs := range [][]rule.Verdict{one, other} {
						v := vs[0]
						if got := v.Severity >= c.Severity && v.Strength >= c.Strength && len(v.Facts) == 1 && v.Facts[0].Value == id; got != p.raised {
							t.Errorf("%s with %s (%s, %s): raised is %v: %+v", r.ID, id, p.strength, p.stage, got, v)
						}
					}
					tried++
				}
			}
			alone := []rule.Verdict{{Rule: r, Leg: &leg, Severity: leg.Severity}}
			if rule.Combine(alone); alone[0].Severity != leg.Severity || alone[0].Facts != nil {
				t.Errorf("%s is raised alone", r.ID)
			}
		}
	}
	if tried < 60 {
		t.Errorf("only %d combinations were tried", tried)
	}
}

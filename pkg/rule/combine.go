package rule

import "slices"

// Combination says what a verdict of a rule becomes where other rules matched the same record: two signs that are each moderate may
// together be strong. It raises and never lowers, and depends on the record alone.
type Combination struct {
	Leg  string   // of the rule itself; "" is any
	With []string // ids of rules, of which one has to match with more than weak strength, at no lower a stage

	Severity Severity // at least
	Strength Strength // at least
	Why      string   // what the two prove together
}

// Combine raises the verdicts on one record, all of which are True, by the combinations of their rules, and adds the reason to their facts.
// The result does not depend on the order of the verdicts: what a partner is worth is what its own leg says.
func Combine(verdicts []Verdict) {
	if len(verdicts) < 2 {
		return
	}
	for i := range verdicts {
		v := &verdicts[i]
		for j := range v.Rule.Combinations {
			c := &v.Rule.Combinations[j]
			if c.Leg != "" && c.Leg != v.Leg.ID {
				continue
			}
			with := c.partner(v, verdicts)
			if with == "" {
				continue
			}
			v.Severity, v.Strength = max(v.Severity, c.Severity), max(v.Strength, c.Strength)
			v.Facts = append(v.Facts, Fact{"rule", with, "matched the same record", c.Why, True})
		}
	}
}

// partner returns the first rule, in the order of With, that may raise v.
func (c *Combination) partner(v *Verdict, verdicts []Verdict) string {
	for _, id := range c.With {
		if slices.ContainsFunc(verdicts, func(o Verdict) bool {
			return o.Rule.ID == id && o.Leg.Strength > Weak && o.Stage >= v.Stage
		}) {
			return id
		}
	}
	return ""
}

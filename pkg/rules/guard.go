package rules

import (
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// guidsDiffer is rule.Differs for two ids that must both be GUIDs. Most are equal, which costs least to see.
func guidsDiffer(a, b event.Field[string]) rule.Predicate {
	return rule.All(rule.Differs(a, b), rule.IsGUID(a), rule.IsGUID(b))
}

// unlistedGUID holds for an id that is not in the set. What is no GUID is Unknown.
func unlistedGUID(f event.Field[string], s rule.Set) rule.Predicate {
	return rule.All(rule.Not(rule.Listed(f, s)), rule.IsGUID(f))
}

// guidOf reads an id. ok is false for what is no GUID, and for one whose bytes are all equal.
func guidOf(v *event.Text) (id event.GUID, ok bool) {
	if !v.OK() {
		return id, false
	}
	id, err := event.ParseGUID(v.V)
	return id, err == nil && !id.Uniform()
}

// firstClaim is before any token that Entra ID has issued. An earlier time in a log is a placeholder that its
// writer put for "none" (.NET's year 1, Windows' 1601, Unix' 1970), not a claim.
var firstClaim = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// onIssueTime asks p, which compares the time at which the token was issued, where the log holds that time. It is
// Unknown where it does not, or holds a placeholder.
func onIssueTime(p rule.Predicate) rule.Predicate { return rule.Given(issueTime, p) }

var issueTime = rule.Sensible(event.IssuedAt, "is an issue time", func(v *event.Time) bool { return v.OK() && !v.V.Before(firstClaim) })

// told holds for events of tenants of which the reference data says anything in the set, be it that it is empty.
func told(s rule.Set) rule.Predicate {
	return rule.Func(s.Name()+" is given", nil, func(ev *event.Event, _ *rule.Trace) rule.Truth {
		_, known := s.Contains(ev.Tenant, "")
		return truth(known)
	})
}

// within asks p for the records of the scope only, and tells people of p alone: for a leg of a rule about several kinds of records.
func within(scope, p rule.Predicate) rule.Predicate {
	silent := rule.Func(scope.String(), scope.Needs(), func(ev *event.Event, tr *rule.Trace) rule.Truth {
		t := scope.Eval(ev, nil)
		if t == rule.Unknown {
			return scope.Eval(ev, tr) // says what was missing
		}
		return t
	})
	return rule.Given(silent, p)
}

func truth(holds bool) rule.Truth {
	if holds {
		return rule.True
	}
	return rule.False
}

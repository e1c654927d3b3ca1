package rules

import (
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// Guards decide whether a question makes sense for an event. They exist for comparisons that would fire on whatever
// is not in a list or not like something else: what a log wrote for "none" must leave those Unknown.

// inKind asks p only of events of the kind: for any other it is False, without a fact. A rule that reads several kinds
// wraps its legs so, since a field that only the one kind has would leave the rule Unknown on the others.
func inKind(k event.Kind, p rule.Predicate) rule.Predicate {
	return rule.Func(p.String(), p.Needs(), func(ev *event.Event, tr *rule.Trace) rule.Truth {
		if ev.Kind != k {
			return rule.False
		}
		return p.Eval(ev, tr)
	})
}

// hasText is True where the field holds a text and Unknown where it was not logged or is empty.
func hasText(f event.Field[string]) rule.Predicate {
	return guard(f, "is logged", func(v *event.Text) bool { return v.OK() && v.V != "" })
}

// isGUID is True where the field holds a GUID and Unknown otherwise: tenants, objects and applications have GUIDs for
// ids, so anything else (a masked value, a word) and the all-equal GUIDs that logs write for "none" tell nothing.
func isGUID(f event.Field[string]) rule.Predicate {
	return guard(f, "is a GUID", func(v *event.Text) bool { _, ok := guidOf(v); return ok })
}

// guidsDiffer is rule.Differs for two ids that must both be GUIDs. Most are equal, which costs least to see.
func guidsDiffer(a, b event.Field[string]) rule.Predicate {
	return rule.All(rule.Differs(a, b), isGUID(a), isGUID(b))
}

// unlistedGUID holds for an id that is not in the set. What is no GUID is Unknown.
func unlistedGUID(f event.Field[string], s rule.Set) rule.Predicate {
	return rule.All(rule.Not(rule.Listed(f, s)), isGUID(f))
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
func onIssueTime(p rule.Predicate) rule.Predicate {
	sensible := guard(event.IssuedAt, "is an issue time", func(v *event.Time) bool { return v.OK() && !v.V.Before(firstClaim) })
	return rule.Func(p.String(), p.Needs(), func(ev *event.Event, tr *rule.Trace) rule.Truth {
		if t := sensible.Eval(ev, tr); t != rule.True {
			return t
		}
		return p.Eval(ev, tr)
	})
}

// guard is True where the value makes sense and Unknown where it does not. It adds a fact only in the second case.
func guard[T any](f event.Field[T], op string, sensible func(*event.Value[T]) bool) rule.Predicate {
	return rule.Func(f.Path+" "+op, []string{f.Path}, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		v := f.Get(ev)
		if sensible(v) {
			return rule.True
		}
		if tr.KeepsFacts() {
			tr.Add(f.Path, rule.Show(v), op, "", rule.Unknown)
		}
		return tr.Lacking(f.Path)
	})
}

// told holds for events of tenants of which the reference data says anything in the set, be it that it is empty.
func told(s rule.Set) rule.Predicate {
	return rule.Func(s.Name()+" is given", nil, func(ev *event.Event, _ *rule.Trace) rule.Truth {
		_, known := s.Contains(ev.Tenant, "")
		return truth(known)
	})
}

func truth(holds bool) rule.Truth {
	if holds {
		return rule.True
	}
	return rule.False
}

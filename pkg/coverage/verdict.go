package coverage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
)

// Seen is whether an attack would have been seen.
type Seen string

// How well an attack would have been seen.
const (
	Clearly Seen = "seen"   // a rule that pages is decided on nearly all records
	Weakly  Seen = "weakly" // on some of them, or by rules that observe, or by indicators alone
	Blind   Seen = "blind"
)

// nearlyAll is the share of a log's records on which a rule has to be decided, for an attack to be seen by it wherever it strikes.
const nearlyAll = 0.9

// Verdict answers "would we have seen it?" for one attack, or one variant of one, and the log in which its traces stand.
type Verdict struct {
	Attack string    `json:"attack"`
	Name   string    `json:"name"`
	Log    rules.Log `json:"log,omitempty"`
	Seen   Seen      `json:"seen"`
	By     []string  `json:"by,omitempty"` // the rules that are decided
	Why    string    `json:"why,omitempty"`
}

// judge says by which of the rules, of which each is apt to find the attack, it would have been seen in the log.
func (m *Measure) judge(v Verdict, ids []string, note, blind string) Verdict {
	v.Seen = Blind
	if len(ids) == 0 {
		v.Why = blind
		return v
	}
	var why []string
	missing := map[string]int64{}
	arrived := false
	observing, partly, indicators := false, []string(nil), false
	for _, id := range ids {
		i := slices.IndexFunc(m.rules, func(r *rule.Rule) bool { return r.ID == id })
		if i < 0 {
			continue // it is off
		}
		sum, feeds := m.sum(id, v.Log)
		arrived = arrived || sum.Records > 0
		if sum.Evaluated < sum.Records {
			for f, n := range sum.Missing {
				missing[f] += n
			}
		}
		if sum.blind() {
			continue
		}
		v.By = append(v.By, id)
		switch share := float64(sum.Evaluated) / float64(sum.Records); {
		case strings.HasPrefix(id, "ioc-"):
			indicators = true
		case !pages(m.rules[i]):
			observing = true
		case share < nearlyAll:
			part := fmt.Sprintf("%s on %.0f %% of the records", id, 100*share)
			var without []string
			for _, feed := range slices.Sorted(maps.Keys(feeds)) {
				if feeds[feed].blind() {
					without = append(without, feed)
				}
			}
			if len(without) > 0 {
				part += " (blind on " + strings.Join(without, ", ") + ")"
			}
			partly = append(partly, part)
		default:
			v.Seen = Clearly
		}
	}
	if v.Seen == Blind && len(v.By) > 0 {
		v.Seen = Weakly
	}
	if v.Seen == Weakly {
		if len(partly) > 0 {
			why = append(why, "decided in part: "+strings.Join(partly, ", "))
		}
		if observing && len(partly) == 0 {
			why = append(why, "only by rules that page nobody: they observe, or are supporting evidence")
		}
		if indicators {
			why = append(why, "indicators find what was published, and nothing else")
		}
	}
	if !arrived {
		why = append(why, m.nothingOf(v.Log, ids)...)
	} else if v.Seen != Clearly && len(missing) > 0 {
		names := slices.SortedFunc(maps.Keys(missing), func(x, y string) int { return cmp.Or(cmp.Compare(missing[y], missing[x]), strings.Compare(x, y)) })
		why = append(why, "for want of "+strings.Join(names[:min(len(names), 4)], ", "))
	}
	if note != "" {
		why = append(why, note)
	}
	v.Why = strings.Join(why, "; ")
	return v
}

// sum adds up what was counted of the rule in logs of the kind, in all and by feed.
func (m *Measure) sum(id string, of rules.Log) (all *Rule, feeds map[string]*Rule) {
	all, feeds = &Rule{Missing: map[string]int64{}}, map[string]*Rule{}
	for at, c := range m.counts {
		if at.rule != id || partOf(at.log) != of {
			continue
		}
		if feeds[at.feed] == nil {
			feeds[at.feed] = &Rule{Missing: map[string]int64{}}
		}
		feeds[at.feed].add(c)
		all.add(c)
	}
	return all, feeds
}

// blind reports whether the rule was decided on nothing that matters: on no record, or only on those that are none of its business whatever
// they lack, as access by a delegate is to a rule about owners.
func (c *Rule) blind() bool {
	return c.Evaluated == 0 || c.whole == 0 && 2*c.Evaluated < c.Records
}

// nothingOf says that no log of the kind arrived that any of the rules reads.
func (m *Measure) nothingOf(part rules.Log, ids []string) []string {
	var names []string
	all := logs()
	for i := range all {
		l := &all[i]
		if l.of == part && slices.ContainsFunc(m.rules, func(r *rule.Rule) bool { return slices.Contains(ids, r.ID) && m.reads(r, l) }) {
			names = append(names, l.name)
		}
	}
	if len(names) == 0 {
		return []string{"the rules are off"}
	}
	return []string{"no " + strings.Join(names, ", ") + " arrived"}
}

// partOf returns the kind of the log, "" for none that rules read.
func partOf(name string) rules.Log {
	for _, l := range logs() {
		if l.name == name {
			return l.of
		}
	}
	return ""
}

// pages reports whether what the rule finds reaches those who subscribed, as subscriptions are by default.
func pages(r *rule.Rule) bool {
	return r.Stage == rule.Enabled && slices.ContainsFunc(r.Legs, func(l rule.Leg) bool {
		return (l.Stage == rule.Off || l.Stage == rule.Enabled) && (l.Strength >= notify.DefaultMinStrength || notify.AttackOnTheProof(r.ID))
	})
}

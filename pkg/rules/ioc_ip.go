package rules

import (
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// iocIP finds the exact addresses that an attacker used. They are rented hosts, so a match means the more the nearer it
// is to the days on which the attacker was seen there.
func iocIP(ref *reference.Data, k *knobs) *rule.Rule {
	before := k.duration("before", 30*24*time.Hour, "How long before the first day of an indicator a match counts fully.")
	after := k.duration("after", 90*24*time.Hour, "How long after the last day of an indicator a match counts fully.")
	return &rule.Rule{
		ID:      "ioc-ip",
		Title:   "Access from an address that an attacker used",
		Version: 1,
		Kinds:   event.Kinds(),
		Legs: []rule.Leg{{
			ID:       "in-window",
			Why:      "it came from an address that an attacker used at that time",
			When:     fromBadIP(ref, true, before, after),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "outside-window",
			Why:      "it came from an address that an attacker used at another time",
			When:     fromBadIP(ref, false, before, after),
			Severity: rule.Low,
			Strength: rule.Weak,
		}},
		Key:   keyByAddress(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "The address was the attacker's, by the word of who published it, around that time. Outside of that time it is most likely somebody else's by now.",
			Evades: "Another address. Storm-0558 went through rented hosts and SoftEther proxies, and could change them at will.",
			FalsePositives: []string{
				"Addresses are rented anew: outside of the window the match is only noted. Addresses are compared exactly, never by network: 185.38.142.229 and .249 are two indicators, .230 is nobody.",
				"Records carry the address of a Microsoft service where it calls on a user's behalf.",
			},
			Runbook: []string{
				"List every record from the address, in all logs, for a month around the match: users, apps, mailboxes, results.",
				"In the window: for each mailbox or application reached, look for the other rules' alerts on the same day; with any of them, treat it as the named intrusion.",
				"Outside of the window: look up who holds the address now; close it as benign if that is an ordinary service that your users use.",
				"Block the address only after the evidence is kept: it is the thread to pull.",
			},
			Attack:  []string{"T1090.002", "T1114.002"},
			Sources: []string{storm0558Analysis},
		},
	}
}

// fromBadIP holds for an address of the indicators, in or outside of its window.
func fromBadIP(ref *reference.Data, inWindow bool, before, after time.Duration) rule.Predicate {
	text := "the address is an indicator of another time"
	if inWindow {
		text = "the address is an indicator of that time"
	}
	return rule.Func(text, []string{event.IP.Path, event.EventTime.Path}, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		if !ev.Net.IP.OK() {
			return tr.Lacking(event.IP.Path)
		}
		if !ev.Time.OK() {
			return tr.Lacking(event.EventTime.Path)
		}
		i, bad := ref.BadIP(ev.Net.IP.V)
		in := bad && !ev.Time.V.Before(i.First.Add(-before)) && !ev.Time.V.After(i.Last.Add(after))
		t := truth(bad && in == inWindow)
		if tr.KeepsFacts() {
			operand := "badIps"
			if bad {
				operand = i.Kind + " of " + i.Source + ", seen " + i.First.Format(time.DateOnly) + " to " + i.Last.Format(time.DateOnly)
			}
			tr.Add(event.IP.Path, rule.Show(&ev.Net.IP), text+":", operand, t)
		}
		return t
	})
}

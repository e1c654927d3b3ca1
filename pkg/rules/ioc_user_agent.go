package rules

import (
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// iocUserAgent finds the exact user agents that an attacker's tools sent. They are those of old browsers, which anybody may have.
func iocUserAgent(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "ioc-user-agent",
		Title:   "User agent that an attacker used",
		Version: 1,
		Kinds:   []event.Kind{event.SignIn, event.Audit, event.GraphActivity, event.TokenObserved, event.DirectoryChange, event.AssertionObserved},
		Legs: []rule.Leg{{
			ID:       "exact",
			Why:      "the client sent, to the byte, a user agent that an attacker's tools send",
			When:     badUserAgent(ref),
			Severity: rule.Low,
			Strength: rule.Weak,
		}},
		Key:         keyByAddress(),
		Stage:       rule.Observe,
		StageReason: "supporting evidence only: anybody may have the browser",
		Doc: rule.Doc{
			Proves: "The user agent is one of those that Microsoft saw in the intrusion. Each is also that of an old build of Chrome or Edge, so it supports another " +
				"alert and carries none.",
			Evades: "Any other text: the attacker chooses it.",
			FalsePositives: []string{
				"Frozen browsers on virtual desktops and kiosks: suppress their addresses.",
				"Client=REST;Client=RESTSystem;; was published too. It is how ordinary applications read mail, so it is no indicator here.",
			},
			Runbook: []string{
				"Do not act on this alone. See whether the address or the user has another alert that day.",
				"Count the user agent over 30 days: many users of one office have the same frozen browser.",
				"One user, one rented host, and mail: follow the runbook of ioc-ip.",
			},
			Attack:  []string{"T1071.001"},
			Sources: []string{storm0558Analysis},
		},
	}
}

// badUserAgent holds where the user agent, or the one in Exchange's ClientInfoString, is one of the indicators to the byte.
func badUserAgent(ref *reference.Data) rule.Predicate {
	set := ref.BadUserAgents()
	needs := []string{event.UserAgent.Path, event.ClientInfo.Path, "reference:" + set.Name()}
	return rule.Func("the user agent is listed in "+set.Name(), needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		t := rule.Unknown
		for _, f := range [...]event.Field[string]{event.UserAgent, event.ClientInfo} {
			v := f.Get(ev)
			if !v.OK() || v.V == "" {
				continue
			}
			in, known := set.Contains(ev.Tenant, sentUserAgent(v.V))
			if !known {
				return tr.Lacking("reference:" + set.Name())
			}
			if t = fact(tr, f, v, "is, to the byte, listed in", set.Name(), in); t == rule.True {
				return t
			}
		}
		if t == rule.Unknown {
			tr.Lacking(event.UserAgent.Path)
		}
		return t
	})
}

// sentUserAgent cuts what Exchange writes around a user agent: "Client=OWA;Mozilla/5.0 (…) …;".
func sentUserAgent(s string) string {
	if rest, ok := strings.CutPrefix(s, "Client="); ok {
		_, s, _ = strings.Cut(rest, ";")
		s = strings.TrimSuffix(s, ";")
	}
	return s
}

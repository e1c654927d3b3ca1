package rules

import (
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// tokenTimeAnomaly finds a token whose times contradict each other or the time of its use. Time of use is the observer's clock.
func tokenTimeAnomaly(ref *reference.Data, k *knobs) *rule.Rule {
	skew := k.duration("skew", 5*time.Minute, "How far the clocks of observers may be off.")
	// The Azure Activity log writes the end of an operation, hours or days later, with the claims of its start.
	inUse := rule.Not(fromAzureActivity())
	notYetValid := rule.Longer(event.EventTime, event.NotBefore, skew)
	return &rule.Rule{
		ID:      "token-time-anomaly",
		Title:   "Token whose times do not fit its use",
		Version: 1,
		Kinds:   []event.Kind{event.TokenObserved},
		Legs: []rule.Leg{{
			ID:       "expired-accepted",
			Why:      "a token was accepted after it had expired",
			When:     rule.All(accepted(), inUse, rule.Longer(event.Expires, event.EventTime, skew)),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "not-yet-valid-accepted",
			Why:      "a token was accepted before it became valid",
			When:     rule.All(accepted(), notYetValid),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "issued-in-future",
			Why:      "the token says that it was issued after it was used",
			When:     rule.Longer(event.EventTime, event.IssuedAt, skew),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "not-yet-valid",
			Why:      "the token was presented before it became valid",
			When:     notYetValid,
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:  "nbf-unlike-iat",
			Why: "the token became valid at another time than it was issued at",
			When: rule.All(entraIssued(ref), rule.Span(event.IssuedAt, event.NotBefore, "is off by more than", skew.String(),
				func(d time.Duration) bool { return d.Abs() > skew })),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "too-old",
			Why:      "the token was used later than any token of Entra ID lives",
			When:     rule.All(entraIssued(ref), inUse, rule.Longer(event.IssuedAt, event.EventTime, longestLife)),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}},
		Key:   keyByAcceptingAudience(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Entra ID sets nbf to iat, five minutes before the issue, and exp at most 28 hours later. A token used outside of that is no ordinary one; one that was accepted " +
				"outside of it shows that the application does not look.",
			Evades: "Fresh, consistent times.",
			FalsePositives: []string{
				"A wrong clock on the observer: then every token of that observer is off by the same amount. Mend the clock; the knob skew is for lasting differences.",
				"Azure Activity records are written when an operation ends: their tokens may have expired meanwhile, which is not held against them.",
			},
			Runbook: []string{
				"Compare the observer's other records of the same minute: all off by the same time means a clock, not an attack.",
				"Accepted although expired: ask the owner whether lifetime validation is switched off, and for how long; a stolen old token works there, too.",
				"Issued in the future or too old, one source only: treat the token as forged, and look at kid, issuer and lifetime of the same observation.",
				"List what the subject did with it.",
			},
			Attack:  []string{"T1606", "T1550.001"},
			Sources: []string{claimsReference, lifetimePolicies},
		},
	}
}

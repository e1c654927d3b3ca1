package rules

import (
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// graphTokenTimeAnomaly finds a call of Microsoft Graph with a token that is older than any token lives, or not issued yet.
func graphTokenTimeAnomaly(_ *reference.Data, k *knobs) *rule.Rule {
	limit := k.duration("maxAge", 28*time.Hour+30*time.Minute, "The age in use beyond which no genuine token is.")
	certain := k.duration("certainAge", 48*time.Hour, "The age in use that no late record explains.")
	return &rule.Rule{
		ID:      "graph-token-time-anomaly",
		Title:   "Microsoft Graph call with a token of an impossible age",
		Version: 1,
		Kinds:   []event.Kind{event.GraphActivity},
		Legs: []rule.Leg{{
			ID:       "issued-in-future",
			Why:      "Microsoft Graph was called with a token that was issued after the call",
			When:     onIssueTime(rule.Longer(event.EventTime, event.IssuedAt, 5*time.Minute)),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "far-over-age",
			Why:      "Microsoft Graph was called with a token more than two days old, and tokens live 28 hours at most",
			When:     onIssueTime(rule.Longer(event.IssuedAt, event.EventTime, certain)),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "over-age",
			Why:      "Microsoft Graph was called with a token older than the 28 hours that tokens live at most",
			When:     onIssueTime(rule.Longer(event.IssuedAt, event.EventTime, limit)),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "issued-just-now",
			Why:      "the token's issue time is the time of the call, and Entra ID writes it five minutes earlier",
			When:     rule.Within(event.IssuedAt, event.EventTime, 0, 4*time.Minute),
			Severity: rule.Low,
			Strength: rule.Weak,
			Stage:    rule.Observe,
		}},
		Key:   keyByApp(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Graph logs the token's iat and the time of the call. A genuine token is at least five minutes and at most 28 hours old when it is used.",
			Evades: "Writing a fresh iat for every call.",
			FalsePositives: []string{
				"Tokens of managed identities live up to a day, which fits.",
				"The five minutes are not documented: that leg only observes.",
			},
			Runbook: []string{
				"Search signInActivityId as uniqueTokenIdentifier in the sign-in logs. No row within a day of the iat: treat the token as forged.",
				"List all calls of the same app and session: what was read, sent, changed.",
				"Revoke the user's sessions and the app's grants, and look at mailbox-token-over-age for the same user.",
				"A row in the sign-in logs: the token was stolen and kept, or the resource does not look at exp. Follow the user's session.",
			},
			Attack:  []string{"T1606"},
			Sources: []string{identityPlatform, graphActivityTable},
		},
	}
}

package rules

import (
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

const (
	// issueOffset is what Entra ID takes off iat and nbf for differing clocks: exp − iat is the lifetime plus this. Measured on
	// documentation samples (3900 and 86700 s) and Azure Activity records (29100 s); not documented.
	issueOffset = 5 * time.Minute
	// longestLife is the longest documented lifetime of an access token, 28 hours with continuous access evaluation,
	// and ten minutes for rounding.
	longestLife = 28*time.Hour + 10*time.Minute
)

// tokenLifetimeExcessive finds a token that lives longer than Entra ID lets any token live, or than the application's do.
func tokenLifetimeExcessive(ref *reference.Data, k *knobs) *rule.Rule {
	limit := k.duration("hardCap", longestLife, "The longest lifetime (exp − iat − 5 min) that a genuine token can have.")
	return &rule.Rule{
		ID:      "token-lifetime-excessive",
		Title:   "Token that lives longer than tokens do",
		Version: 1,
		Kinds:   []event.Kind{event.TokenObserved},
		Legs: []rule.Leg{{
			ID:       "over-hard-cap",
			Why:      "the token lives longer than any token of Entra ID can",
			When:     rule.All(entraIssued(ref), rule.Longer(event.IssuedAt, event.Expires, limit+issueOffset)),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "over-class-cap",
			Why:      "the token lives longer than the maxLife of its application allows",
			When:     overClassCap(ref),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "no-life",
			Why:      "the token expires before, or within the five minutes after, its issue time, so it never lived",
			When:     rule.All(entraIssued(ref), rule.Not(rule.Longer(event.IssuedAt, event.Expires, issueOffset))),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}},
		Key:   keyByAcceptingAudience(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Access tokens live 60 to 90 minutes, 2 hours, up to a day by policy, and 20 to 28 hours with continuous access evaluation. A longer one was not issued by Entra ID.",
			Evades: "Writing an ordinary lifetime.",
			FalsePositives: []string{
				"Token lifetime policies reach one day, which fits.",
				"The class cap is only as good as maxLife: clients with continuous access evaluation get 28 hours where the application asks for it (xms_cc).",
			},
			Runbook: []string{
				"Compute exp − iat. More than 28 hours and 15 minutes: no policy explains it.",
				"Accepted: list what the token's subject did up to exp, and block the subject and app; a forged token stays good until the key or the application's trust changes.",
				"Compare with other tokens of the same audience and app on that day; if only one address uses the long ones, treat them as forged.",
				"Class cap only: ask whether the client or a policy changed, and adjust maxLife.",
			},
			Attack:  []string{"T1606"},
			Sources: []string{identityPlatform, lifetimePolicies},
		},
	}
}

// overClassCap holds when the application's maxLife is set and the token's lifetime is beyond it.
func overClassCap(ref *reference.Data) rule.Predicate {
	needs := []string{event.IssuedAt.Path, event.Expires.Path}
	return rule.Func("the lifetime exceeds the application's maxLife", needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		app, ok, _ := ref.Tenant(ev.Tenant).Application(ev.Token.Audience.V)
		if !ok || app.MaxLife == 0 {
			return rule.False
		}
		iat, exp := &ev.Token.IssuedAt, &ev.Token.Expires
		if !iat.OK() {
			return tr.Lacking(event.IssuedAt.Path)
		}
		if !exp.OK() {
			return tr.Lacking(event.Expires.Path)
		}
		life := exp.V.Sub(iat.V) - issueOffset
		t := truth(life > app.MaxLife)
		if tr.KeepsFacts() {
			tr.Add(event.Expires.Path+" − "+event.IssuedAt.Path, life.String(), "is more than the maxLife of "+ev.Token.Audience.V, app.MaxLife.String(), t)
		}
		return t
	})
}

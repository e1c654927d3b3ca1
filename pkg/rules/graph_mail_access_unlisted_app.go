package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// graphMailAccessUnlistedApp finds mail that was read through Microsoft Graph by an application that does not read mail here.
func graphMailAccessUnlistedApp(ref *reference.Data, _ *knobs) *rule.Rule {
	unlisted := rule.All(
		mailRequested(),
		rule.Between(event.GraphStatus, 200, 299),
		rule.Not(rule.Listed(event.AppID, ref.MailClients())),
	)
	return &rule.Rule{
		ID:      "graph-mail-access-unlisted-app",
		Title:   "Mail read through Microsoft Graph by an unexpected application",
		Version: 1,
		Kinds:   []event.Kind{event.GraphActivity},
		Legs: []rule.Leg{{
			ID:       "vip",
			Why:      "an application that is not among the mail clients read the mail of a person who is on the list of VIPs",
			When:     rule.All(unlisted, rule.Listed(event.ActorID, ref.VIPs())),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "unlisted-app",
			Why:      "an application that is not among the mail clients read mail through Microsoft Graph",
			When:     unlisted,
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}},
		Key:   keyByApp(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "The application is not one of those that read mail in this tenant. That question found Storm-0558.",
			Evades: "Claiming the id of a listed application; reading through $batch or search, whose paths do not say what was read.",
			FalsePositives: []string{
				"New add-ins, assistants and agents: add them to mailClients once somebody vouches for them.",
				"Without a list of mail clients the rule cannot be evaluated.",
			},
			Runbook: []string{
				"Look the application up in the enterprise applications: publisher, owner, consent, since when.",
				"Unknown to everybody: revoke its grants, then list its calls with users and paths.",
				"Known: ask its owner why it reads mail; compare scopes in the record with what was consented.",
				"Search the same token id in the sign-in logs; no row means that the token was not issued here.",
			},
			Attack:  []string{"T1114.002"},
			Sources: []string{cisaAdvisory, graphActivityLogs},
		},
	}
}

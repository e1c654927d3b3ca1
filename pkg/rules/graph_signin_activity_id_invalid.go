package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// enoughCoverage is the share of an application's records with a token id from which one without is out of the ordinary.
const enoughCoverage = 0.99

// graphSigninActivityIDInvalid finds a call of Microsoft Graph in a user's name whose token id (signInActivityId) is
// malformed, or missing where the application's records always have one.
func graphSigninActivityIDInvalid(ref *reference.Data, _ *knobs) *rule.Rule {
	ofUser := rule.EqFold(event.TokenType, "user")
	return &rule.Rule{
		ID:      "graph-signin-activity-id-invalid",
		Title:   "Microsoft Graph call with a malformed or missing token id",
		Version: 1,
		Kinds:   []event.Kind{event.GraphActivity},
		Scope:   ofUser,
		Legs: []rule.Leg{{
			ID:       "malformed",
			Why:      "the token's id (signInActivityId) is not an encoded request id, as the id of every token of Entra ID is",
			When:     rule.All(rule.Not(rule.Missing(event.TokenID)), rule.Not(rule.TokenIDReadable(event.TokenID))),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "missing",
			Why:      "the call has no token id, and nearly all calls of the application have one",
			When:     rule.All(rule.Missing(event.TokenID), covered(ref)),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "unusual",
			Why:      "the token's id (signInActivityId) decodes to a value unlike those that Entra ID makes",
			When:     rule.All(rule.Not(rule.Missing(event.TokenID)), unusualTokenID(event.TokenID, ref)),
			Severity: rule.Low,
			Strength: rule.Weak,
		}},
		Key:         keyByApp(),
		Stage:       rule.Observe,
		StageReason: "Microsoft does not document the form of the id, and calls of its own applications may lack it",
		Doc: rule.Doc{
			Proves: "signInActivityId is the uti of the token, which is the id of the sign-in request. One of another form was not written by Entra ID.",
			Evades: "Copying a real id, or encoding a random GUID.",
			FalsePositives: []string{
				"Calls of Microsoft's own applications may have no id: a missing one counts only for applications whose graphUtiCoverage is 0.99 or more.",
				"Anonymised or lower-cased logs.",
			},
			Runbook: []string{
				"Count the form over all calls of the application for a day. Many users: a format change; leave the rule in observe and report it.",
				"One user or address: search the user's sign-ins around tokenIssuedAt. No row: treat the token as forged.",
				"List the calls of the same session, and follow graph-token-time-anomaly and graph-mail-access-unlisted-app.",
			},
			Attack:  []string{"T1606"},
			Sources: []string{linkableIdentifiers, graphActivityLogs},
		},
	}
}

// covered holds when nearly all Graph records of the application have a token id.
func covered(ref *reference.Data) rule.Predicate {
	needs := []string{event.AppID.Path, "reference:graphUtiCoverage"}
	return rule.Func("nearly all calls of the application have a token id", needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		app := &ev.App.ID
		if !app.OK() || app.V == "" {
			return tr.Lacking(event.AppID.Path)
		}
		share, known := ref.Tenant(ev.Tenant).GraphUTICoverage(app.V)
		if !known {
			return tr.Lacking("reference:graphUtiCoverage")
		}
		return fact(tr, event.AppID, app, "has a coverage of at least 0.99 in", "graphUtiCoverage", share >= enoughCoverage)
	})
}

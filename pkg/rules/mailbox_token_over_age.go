package rules

import (
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// mailboxTokenOverAge finds mail that was read with a token older than any that Entra ID issues: 28 hours with continuous
// access evaluation, and an hour for the five minutes by which Entra dates tokens back, aggregation and
// late records. A token of 17 h 57 min is ordinary. Storm-0558 renewed its tokens for weeks.
func mailboxTokenOverAge(ref *reference.Data, k *knobs) *rule.Rule {
	maxAge := k.duration("maxAge", 29*time.Hour, "age of a token in use beyond which it is older than any lifetime")
	strongAge := k.duration("strongAge", 48*time.Hour, "age beyond which neither aggregation nor late records explain a Bind")
	age := func(limit time.Duration) rule.Predicate {
		return onIssueTime(rule.Longer(event.IssuedAt, event.EventTime, limit))
	}
	return &rule.Rule{
		ID:      "mailbox-token-over-age",
		Title:   "Mailbox or document access with a token older than any lifetime",
		Version: 2,
		Kinds:   []event.Kind{event.Audit},
		Scope:   tokenAccess(),
		Legs: []rule.Leg{{
			ID:  "bind-over-two-days",
			Why: "messages were opened with a token so old that no lifetime, aggregation or late record explains it",
			When: rule.All(
				age(strongAge),
				rule.EqFold(event.MailAccessType, "Bind"),
				rule.Not(rule.Eq(event.RecordType, 19)), // ExchangeAggregatedOperation may span days
			),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "over-any-lifetime",
			Why:      "the mailbox or document was opened with a token older than Entra ID lets any token become",
			When:     age(maxAge),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "over-client-age",
			Why:      "the token is older than the tokens of this client ever are",
			When:     onIssueTime(overClientAge(ref)),
			Severity: rule.Low,
			Strength: rule.Moderate,
		}},
		Key:   keyByMailbox(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Between the token's issue time (iat) and its use lies more than the longest lifetime that Entra ID documents (28 hours). " +
				"Either the token was not issued by Entra ID, or it was renewed by a path that keeps the first issue time.",
			Evades: "Writing a fresh issue time into every forged token. Feeds without AppAccessContext.IssuedAtTime leave the rule not evaluable.",
			FalsePositives: []string{
				"Records that aggregate many operations (ExchangeAggregatedOperation) or reach the log late: they meet the moderate leg only; " +
					"raise maxAge if a client of yours does it daily.",
				"Background processing in Exchange with a stored token context: identify the app, and set a higher maxAge.",
				"Outlook on the web keeps the first issue time for as long as a session lives: ages up to 28 hours are silent. Measure the " +
					"age by client for 14 days before you set mailClients[].maxAge, which alone feeds the low leg.",
			},
			Runbook: []string{
				"Read the age and the client in the evidence. Under 29 hours only the low leg fired: compare with that client's usual ages and close or tune.",
				"Look for the token's UniqueTokenId in the sign-in logs around its issue time. A row means a real token that lived too long: " +
					"look for replay (address, user agent). No row means that it was never issued: call the incident lead.",
				"List all records of the same AADSessionId or UniqueTokenId over 30 days, in every mailbox: how long has it been used?",
				"Revoke the owner's sessions (this ends real tokens with continuous access evaluation at once) and see whether access goes on. " +
					"If it does, the token is forged: open a severity A case with Microsoft.",
			},
			Attack:  []string{"T1606", "T1550.001"},
			Sources: []string{identityPlatform, lifetimePolicies, linkableIdentifiers, storm0558Analysis},
		},
	}
}

// overClientAge holds when the token is older than mailClients gives for its client; False where it gives nothing.
func overClientAge(ref *reference.Data) rule.Predicate {
	needs := []string{event.AppID.Path, event.IssuedAt.Path, event.EventTime.Path}
	return rule.Func("time − token.iat is more than the client's maxAge", needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		c, ok := ref.MailClient(ev.Tenant, ev.App.ID.V)
		if !ok || c.MaxAge == 0 {
			return rule.False
		}
		if !tr.KeepsFacts() && ev.Time.OK() && ev.Token.IssuedAt.OK() {
			return truth(ev.Time.V.Sub(ev.Token.IssuedAt.V) > c.MaxAge)
		}
		return rule.Longer(event.IssuedAt, event.EventTime, c.MaxAge).Eval(ev, tr)
	})
}

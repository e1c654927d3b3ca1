package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// mailboxAuthTypeUnlisted finds kinds of tokens that mailboxes of the tenant have not seen. Microsoft does not document the values, so the
// tenant's own records are the list.
func mailboxAuthTypeUnlisted(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "mailbox-auth-type-unlisted",
		Title:   "Mailbox opened with an unknown kind of token",
		Version: 1,
		Kinds:   []event.Kind{event.Audit},
		Scope:   mailboxAccess(),
		Legs: []rule.Leg{{
			ID:       "token-type",
			Why:      "the record names a TokenType that is not among the ordinary ones",
			When:     rule.All(rule.Logged(event.AuditTokenType), rule.Not(rule.Listed(event.AuditTokenType, ref.TokenTypes()))),
			Severity: rule.Low,
			Strength: rule.Weak,
		}, {
			ID:       "auth-type",
			Why:      "the record names an AuthType that is not among the ordinary ones",
			When:     rule.All(rule.Logged(event.AuthType), rule.Not(rule.Listed(event.AuthType, ref.AuthTypes()))),
			Severity: rule.Low,
			Strength: rule.Weak,
		}},
		Key:         keyByApp(),
		Stage:       rule.Observe,
		StageReason: "Microsoft does not document the values: list those of your own records first",
		Doc: rule.Doc{
			Proves: "Exchange let somebody in with a kind of token that is not ordinary here. Actor tokens and service-to-service tokens, the class of " +
				"CVE-2025-55241, are such kinds.",
			Evades: "An ordinary bearer token. Log Analytics has no columns for the two fields, so that feed leaves the rule not evaluable.",
			FalsePositives: []string{
				"Every first sighting of an honest kind: list the values of 30 days in tokenTypes and authTypes.",
				"A change by Microsoft: many applications show the new value on the same day.",
			},
			Runbook: []string{
				"Count the value by application and address over 30 days. Many applications since a day: Microsoft's change; list it.",
				"One application or mailbox only: see mailbox-token-tenant-mismatch and mailbox-owner-logon-with-foreign-oid for the same mailbox.",
				"With either of them, treat the token as forged and call the incident lead.",
			},
			Attack:  []string{"T1550.001"},
			Sources: []string{auditSchema, deathByActor},
		},
	}
}

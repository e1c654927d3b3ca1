package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// mailboxUTIMalformed finds a token whose id Entra ID cannot have made. A record without an id is another matter: many
// ordinary ones have none.
func mailboxUTIMalformed(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "mailbox-uti-malformed",
		Title:   "Mailbox or document access with a malformed token id",
		Version: 2,
		Kinds:   []event.Kind{event.Audit},
		Scope:   tokenAccess(),
		Legs: []rule.Leg{{
			ID:       "unreadable-id",
			Why:      "the token's id (uti) is not an encoded request id, as the id of every token of Entra ID is",
			When:     rule.All(rule.Logged(event.TokenID), rule.Not(rule.TokenIDReadable(event.TokenID))),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "unusual-id",
			Why:      "the token's id (uti) decodes to a value unlike those that Entra ID makes",
			When:     rule.All(rule.Logged(event.TokenID), unusualTokenID(event.TokenID, ref)),
			Severity: rule.Low,
			Strength: rule.Weak,
			Stage:    rule.Observe,
		}},
		Key:   keyByMailbox(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "UniqueTokenId is the uti claim of the token, in which Entra ID encodes the GUID of the sign-in request: 22 characters of base64url, " +
				"formerly 48 of base64. An id of another form was not written by Entra ID.",
			Evades: "Copying the id of a real token, or encoding a random GUID. Whether an id was ever issued is not a question for one record.",
			FalsePositives: []string{
				"Logs that were anonymised, or lower-cased by a collector (the id is case-sensitive): feed the original records.",
				"A new encoding by Microsoft: then many clients show it at once. Report it, and switch the rule to observe.",
			},
			Runbook: []string{
				"Count the form over all mailboxes for a day. Hundreds of users: a format change or a collector's doing; set the rule to observe and report it.",
				"One mailbox, app or address: treat the token as forged. Look at the other rules' alerts on the same mailbox, above all " +
					"mailbox-token-over-age and mailbox-unexpected-client-app.",
				"Search the sign-in logs for the mailbox's owner around the token's issue time; a forged token has no row.",
				"Revoke the owner's sessions, export the mailbox's records, and open a case with Microsoft.",
			},
			Attack:  []string{"T1606"},
			Sources: []string{claimsReference, linkableIdentifiers, auditSchema},
		},
	}
}

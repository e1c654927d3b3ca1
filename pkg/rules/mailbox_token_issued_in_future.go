package rules

import (
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// mailboxTokenIssuedInFuture finds mail that was read before the token was issued. Entra ID dates its tokens five minutes
// back, so a genuine one is at least five minutes old when it is first used.
func mailboxTokenIssuedInFuture(_ *reference.Data, k *knobs) *rule.Rule {
	skew := k.duration("skew", 5*time.Minute, "by how much a token may seem to be issued after its use")
	return &rule.Rule{
		ID:      "mailbox-token-issued-in-future",
		Title:   "Mailbox or document access before the token was issued",
		Version: 2,
		Kinds:   []event.Kind{event.Audit},
		Scope:   tokenAccess(),
		Legs: []rule.Leg{{
			ID:       "issued-after-use",
			Why:      "the mailbox or document was opened before the token claims to have been issued",
			When:     onIssueTime(rule.Longer(event.EventTime, event.IssuedAt, skew)),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "not-dated-back",
			Why:      "the token was less than four minutes old, and Entra ID dates its tokens five minutes back",
			When:     onIssueTime(rule.Within(event.IssuedAt, event.EventTime, 0, 4*time.Minute)),
			Severity: rule.Low,
			Strength: rule.Weak,
			Stage:    rule.Observe,
		}},
		Key:   keyByMailbox(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "The token's issue time (iat) lies after its use. No issuer does that; somebody who writes tokens by hand, or with a wrong clock, may.",
			Evades: "Any plausible issue time. The soft leg (less than four minutes old) meets forgers who write the current time; it rests on " +
				"Entra ID's habit of dating tokens five minutes back, which Microsoft does not document, and is observed only. " +
				"Feeds without AppAccessContext.IssuedAtTime leave the rule not evaluable.",
			FalsePositives: []string{
				"An Exchange server with a wrong clock: all its records (OriginatingServer) are off by the same time. Confirm over an hour, then raise skew.",
				"The soft leg: a client whose tokens Entra ID does not date back. Count it by client before you rely on it.",
			},
			Runbook: []string{
				"Compare with other records of the same OriginatingServer in that hour. If all lie in the future, it is a clock: close, and tell Microsoft.",
				"Otherwise call the incident lead: this does not happen to issued tokens.",
				"Look for the token's UniqueTokenId in the sign-in logs, and search all mailboxes for the same address, app and AADSessionId.",
				"Revoke the owner's sessions, block the address, export the records, and open a severity A case with Microsoft.",
			},
			Attack:  []string{"T1606"},
			Sources: []string{linkableIdentifiers, auditSchema},
		},
	}
}

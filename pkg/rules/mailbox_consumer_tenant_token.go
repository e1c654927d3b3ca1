package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// mailboxConsumerTenantToken finds a token of the tenant of personal Microsoft accounts in a mailbox of an
// organisation: the confusion of consumer and enterprise that Storm-0558 lived on, where the forger left the
// consumer tenant in the token.
func mailboxConsumerTenantToken(*reference.Data, *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "mailbox-consumer-tenant-token",
		Title:   "Token of the consumer tenant opened the data of a work tenant",
		Version: 2,
		Kinds:   []event.Kind{event.Audit},
		Scope:   tokenAccess(),
		Legs: []rule.Leg{{
			ID:  "consumer-tenant",
			Why: "the token that opened the mailbox or document belongs to the tenant of personal Microsoft accounts, not to the organisation",
			When: rule.All(
				rule.EqFold(event.TokenTenant, reference.ConsumerTenant),
				rule.Differs(event.TokenTenant, event.Organization),
			),
			Severity: rule.Critical,
			Strength: rule.Strong,
		}},
		Key:   keyByMailbox(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Exchange Online let a token of tenant 9188040d-6c67-4c5b-b112-36a304b66dad, which issues tokens for personal " +
				"accounts only, into a mailbox of an organisation. A correctly issued and correctly checked token cannot do that.",
			Evades: "Writing the victim's tenant id into the token, as Storm-0558 had to. Then look at token-key-issuer-scope-violation in " +
				"token telemetry, at mailbox-owner-logon-with-foreign-oid, and at mailbox-unexpected-client-app. Feeds without " +
				"TokenTenantId (the Log Analytics table OfficeActivity) leave the rule not evaluable.",
			FalsePositives: []string{
				"None is known. A personal account that was invited as a guest (UserType 10) owns no mailbox, but might touch a shared " +
					"object: confirm the invitation and report the record before suppressing it for that guest.",
			},
			Runbook: []string{
				"Treat it as a live intrusion: call the incident lead before anything else.",
				"Note mailbox, app, address and the token's UniqueTokenId and AADSessionId from the evidence.",
				"Search the audit log of all mailboxes for the same TokenTenantId, address and ClientAppId over 90 days; export the records, " +
					"they are the only trace.",
				"Check that no sign-in log has an entry with that UniqueTokenId: a forged token has none.",
				"Revoke the sessions of the mailbox's owner, block the address, and disable the app's service principal if it is not Microsoft's.",
				"Open a severity A case with Microsoft: only they can withdraw a signing key. Hand over the exported records.",
				"List what was read (Folders and InternetMessageId of the Bind records) for the data-protection officer.",
			},
			Attack:  []string{"T1606", "T1114.002"},
			Sources: []string{storm0558Analysis, auditSchema, linkableIdentifiers},
		},
	}
}

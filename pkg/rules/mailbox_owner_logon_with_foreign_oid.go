package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// mailboxOwnerLogonWithForeignOID finds an "owner" in a mailbox whose token names another object than the owner, and a user of
// SharePoint, OneDrive or Teams whose token names another object than the user.
func mailboxOwnerLogonWithForeignOID(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "mailbox-owner-logon-with-foreign-oid",
		Title:   "Mailbox, document or chat opened with a token of somebody else",
		Version: 2,
		Kinds:   []event.Kind{event.Audit},
		Scope:   tokenAccess(),
		Legs: []rule.Leg{{
			ID:  "foreign-oid",
			Why: "Exchange logged the mailbox's owner, but the token was issued for another object",
			When: within(mailboxAccess(), rule.All(
				rule.Eq(event.LogonType, 0),   // Owner
				rule.In(event.UserType, 0, 2), // Regular, Admin: app-only access has no owner
				notTheOwner(ref),
			)),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:  "foreign-oid-document",
			Why: "the service logged one user, but the token was issued for another object",
			When: within(documentAccess(), rule.All(
				rule.In(event.UserType, 0, 2),
				guidsDiffer(event.TokenObjectID, event.UserKey),
			)),
			Severity: rule.Medium,
			Strength: rule.Moderate,
			Stage:    rule.Observe, // no public record holds both ids
		}},
		Key:   keyByMailbox(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "The token's object id (oid) is not the mailbox owner's, although Exchange treated the caller as the owner. A service that takes " +
				"the user from one claim and the authority from another does that, and so does a forger who filled the claims by hand. In SharePoint, OneDrive and " +
				"Teams the user is the record's own UserKey, where that is an object id (Teams); there the rule only observes.",
			Evades: "Writing the owner's true object id, which any member of the tenant can look up. Records without TokenObjectId and mailboxes that " +
				"are not in the snapshot mailboxOid leave the rule not evaluable, and so does a document's UserKey that is a PUID (SharePoint, OneDrive).",
			FalsePositives: []string{
				"A stale snapshot: refresh mailboxOid daily. A mailbox that was re-created or re-connected to another account has a new owner.",
				"Shared and room mailboxes that are logged as owner when opened through automapping: measure for a week, then leave them out of " +
					"mailboxOid.",
				"Teams acting for a user with a token of its own (bots, policies): compare with a week of your own records before you trust it.",
			},
			Runbook: []string{
				"Resolve both object ids in Entra ID. If the foreign one was deleted or never existed here, treat it as forged and call the incident lead.",
				"If it is a colleague: ask whether the mailbox is shared or was handed over, and correct mailboxOid.",
				"Otherwise compare the app, address and ClientInfoString with the owner's usual ones, and look for the token's UniqueTokenId in the " +
					"sign-in logs: with no row, the token was not issued.",
				"Revoke the sessions of both accounts and export the mailbox's audit records over 90 days.",
			},
			Attack:  []string{"T1606", "T1078.004"},
			Sources: []string{linkableIdentifiers, auditSchema, actorImpersonation},
		},
	}
}

// notTheOwner compares the token's object with the one that owns the mailbox in the tenant's snapshot.
func notTheOwner(ref *reference.Data) rule.Predicate {
	const snapshot = "reference:mailboxOid"
	owns := rule.Func("token.oid is not the owner of audit.mailboxGuid", []string{snapshot},
		func(ev *event.Event, tr *rule.Trace) rule.Truth {
			caller, ok := guidOf(event.TokenObjectID.Get(ev))
			if _, box := guidOf(event.Mailbox.Get(ev)); !ok || !box {
				return rule.Unknown // the guards have said what is missing
			}
			owner, known := ref.Tenant(ev.Tenant).MailboxOwner(ev.Audit.Mailbox.V)
			if !known {
				tr.Add(event.Mailbox.Path, ev.Audit.Mailbox.V, "is listed in", "mailboxOid", rule.Unknown)
				return tr.Lacking(snapshot)
			}
			t := truth(caller != owner)
			if tr.KeepsFacts() {
				tr.Add(event.TokenObjectID.Path, caller.String(), "is not the owner", owner.String(), t)
			}
			return t
		})
	return rule.All(rule.IsGUID(event.TokenObjectID), rule.IsGUID(event.Mailbox), owns)
}

package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// mailboxNonownerOrExternal finds access by somebody who is neither the owner nor a known delegate, or who is of another
// organisation. Without the list of delegates its first leg is not evaluable.
func mailboxNonownerOrExternal(ref *reference.Data, _ *knobs) *rule.Rule {
	vip := rule.Any(rule.Listed(event.Mailbox, ref.VIPs()), rule.Listed(event.MailboxOwner, ref.VIPs()))
	// Exchange prepares group mailboxes under the Local System account, which it logs as an external administrator
	// (well-known SID, Windows security documentation).
	person := rule.Not(rule.EqFold(event.ActorName, "S-1-5-18"))
	nonOwner := rule.All(
		rule.In(event.LogonType, 1, 2, 6), // Admin, Delegated, DelegatedAdmin
		person,
		notDelegate(ref),
	)
	external := rule.All(
		rule.Eq(event.ExternalAccess, true),
		rule.Not(rule.In(event.UserType, 3, 4)), // DcAdmin, System
		person,
	)
	const whyNonOwner = "somebody who is not listed as a delegate opened another's mailbox"
	return &rule.Rule{
		ID:      "mailbox-nonowner-or-external",
		Title:   "Mailbox opened by somebody else",
		Version: 1,
		Kinds:   []event.Kind{event.Audit},
		Scope:   mailboxAccess(),
		Legs: []rule.Leg{{
			ID:       "non-owner-vip",
			Why:      whyNonOwner + ", and it is a VIP's",
			When:     rule.All(nonOwner, vip),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}, {
			ID:       "external-vip",
			Why:      "somebody from outside of the organisation opened the mailbox of a VIP",
			When:     rule.All(external, vip),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}, {
			ID:       "non-owner",
			Why:      whyNonOwner,
			When:     nonOwner,
			Severity: rule.Low,
			Strength: rule.Weak,
		}, {
			ID:       "external",
			Why:      "somebody from outside of the organisation opened the mailbox",
			When:     external,
			Severity: rule.Low,
			Strength: rule.Weak,
		}, {
			ID:       "unlisted-tenant",
			Why:      "somebody of a tenant that is no partner opened the mailbox",
			When:     fromUnlistedTenant(ref),
			Severity: rule.Low,
			Strength: rule.Weak,
		}},
		Key:         keyByMailbox(),
		Stage:       rule.Observe,
		StageReason: "supporting evidence only: give the delegates and partnerTenants, and read what is left",
		Doc: rule.Doc{
			Proves: "The session was not the owner's, and nobody has listed it as allowed. That is how mailboxes are read after permissions were added to them, " +
				"and how most assistants work.",
			Evades: "The owner's own token, real or forged: the logon is the owner's then.",
			FalsePositives: []string{
				"Assistants, shared mailboxes and administrators: export the permissions into delegates. Without delegates the first legs are not evaluable.",
				"Partners with delegated administration: list their tenants in partnerTenants.",
			},
			Runbook: []string{
				"See when the permission was given and by whom (Add-MailboxPermission, Add-MailboxFolderPermission in the audit log).",
				"Ask the mailbox's owner. If the delegate is right, add the pair to delegates.",
				"A permission that nobody knows of, or one given by an account with an alert: remove it, save the records, and call the incident lead.",
			},
			Attack:  []string{"T1114.002", "T1098.002"},
			Sources: []string{auditSchema, "https://github.com/Azure/Azure-Sentinel (nonowner_MailboxLogin.yaml)"},
		},
	}
}

const delegates = "reference:delegates"

// notDelegate holds where the user is not listed for the mailbox.
func notDelegate(ref *reference.Data) rule.Predicate {
	needs := []string{event.ActorName.Path, event.Mailbox.Path, delegates}
	return rule.Func("actor.name is not listed in delegates for audit.mailboxGuid", needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		user, box := &ev.Actor.Name, &ev.Audit.Mailbox
		t := rule.Unknown
		if _, readable := guidOf(box); !user.OK() || user.V == "" {
			tr.Lacking(event.ActorName.Path)
		} else if !readable {
			tr.Lacking(event.Mailbox.Path)
		} else if may, known := ref.Tenant(ev.Tenant).Delegate(user.V, box.V); known {
			t = truth(!may)
		} else {
			tr.Lacking(delegates)
		}
		if tr.KeepsFacts() {
			tr.Add(event.ActorName.Path, rule.Show(user), "is not listed in delegates for", rule.Show(box), t)
		}
		return t
	})
}

// fromUnlistedTenant holds where the record names the tenant of an external user and it is no partner. Most records name none: where
// they say that the access was not external, that is the answer.
func fromUnlistedTenant(ref *reference.Data) rule.Predicate {
	unlisted := unlistedGUID(event.ExternalTenant, ref.PartnerTenants())
	return rule.Func(unlisted.String(), unlisted.Needs(), func(ev *event.Event, tr *rule.Trace) rule.Truth {
		a := &ev.Audit
		if !a.ExternalTenant.OK() && a.ExternalAccess.OK() && !a.ExternalAccess.V {
			return fact(tr, event.ExternalTenant, &a.ExternalTenant, "is of another tenant", "", false)
		}
		return unlisted.Eval(ev, tr)
	})
}

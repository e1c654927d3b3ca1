package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// mailboxAppOnlyUnlistedApp finds an application that reads mail on its own behalf and is not on the list of those that may.
// It is no sign of a forged token in itself: it is how application permissions are abused.
func mailboxAppOnlyUnlistedApp(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "mailbox-app-only-unlisted-app",
		Title:   "Unlisted application reads mail on its own behalf",
		Version: 1,
		Kinds:   []event.Kind{event.Audit},
		Scope:   rule.All(mailboxAccess(), rule.In(event.UserType, 5, 6)), // Application, ServicePrincipal
		Legs: []rule.Leg{{
			ID:       "unlisted-app",
			Why:      "an application used the mailbox without a user, and it is not listed among those that may",
			When:     rule.All(unlistedAppOnlyApp(ref), rule.IsGUID(event.AppID)),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "unlisted-mailbox",
			Why:      "an application used the mailbox without a user, and it is listed for other mailboxes only",
			When:     rule.All(unlistedAppOnlyMailbox(ref), rule.IsGUID(event.AppID)),
			Severity: rule.High,
			Strength: rule.Moderate,
		}},
		Key:   keyByApp(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "An application used a mailbox with permissions of its own (Mail.Read, full_access_as_app), and nobody has listed it, or not for " +
				"this mailbox. Midnight Blizzard read mail so, after granting itself the permission.",
			Evades: "Using an application that is listed for any mailbox, with a credential added to it. A tenant that has not listed its appOnlyMailApps " +
				"leaves the rule not evaluable.",
			FalsePositives: []string{
				"Backup, journaling, eDiscovery, CRM and ticket systems: list them in appOnlyMailApps, with their mailboxes where the scope is limited.",
				"Services of Microsoft that act as an application: verify the id in Microsoft's list of first-party applications, then list it.",
			},
			Runbook: []string{
				"Look the application up in Entra ID: owner, publisher, application permissions, and when they were consented to and by whom.",
				"See whether a credential or a permission was added to it in the last 30 days (directory audit: Update application – Certificates and " +
					"secrets management, Add app role assignment to service principal). If so, call the incident lead.",
				"List the mailboxes that it opened and the addresses that it came from in 30 days.",
				"If nobody vouches for it: remove its credentials and grants, then disable the service principal. Keep it, for the investigation.",
				"If it is wanted, list it in appOnlyMailApps with just its mailboxes, and limit it in Exchange (RBAC for applications).",
			},
			Attack:  []string{"T1114.002", "T1550.001", "T1098.001"},
			Sources: []string{auditSchema, linkableIdentifiers},
		},
	}
}

const appOnlyMailApps = "reference:appOnlyMailApps"

// unlistedAppOnlyApp holds when the application may read no mail on its own behalf.
func unlistedAppOnlyApp(ref *reference.Data) rule.Predicate {
	needs := []string{event.AppID.Path, appOnlyMailApps}
	return rule.Func("app.id is not listed in appOnlyMailApps", needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		may, known := ref.Tenant(ev.Tenant).AppOnlyMail(ev.App.ID.V)
		t := truth(!may)
		if !known {
			t = tr.Lacking(appOnlyMailApps)
		}
		if tr.KeepsFacts() {
			tr.Add(event.AppID.Path, rule.Show(&ev.App.ID), "is not listed in", "appOnlyMailApps", t)
		}
		return t
	})
}

// unlistedAppOnlyMailbox holds when the application may read mail on its own behalf, but not in this mailbox, be that listed
// by its GUID or by its owner's address. It is Unknown while one of the two that might be listed was not logged.
func unlistedAppOnlyMailbox(ref *reference.Data) rule.Predicate {
	needs := []string{event.AppID.Path, event.Mailbox.Path, event.MailboxOwner.Path, appOnlyMailApps}
	return rule.Func("audit.mailboxGuid is not listed in appOnlyMailApps for app.id", needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		tenant, app := ref.Tenant(ev.Tenant), ev.App.ID.V
		if may, known := tenant.AppOnlyMail(app); known && !may {
			return rule.False // the other leg's business
		}
		t := rule.True
		for _, f := range [...]event.Field[string]{event.Mailbox, event.MailboxOwner} {
			box := f.Get(ev)
			may, known := tenant.AppOnlyMailbox(app, box.V)
			one := truth(!may)
			switch {
			case !known:
				one = tr.Lacking(appOnlyMailApps)
			case !box.OK() || box.V == "":
				one = tr.Lacking(f.Path)
			}
			if tr.KeepsFacts() {
				tr.Add(f.Path, rule.Show(box), "is not listed in appOnlyMailApps for", app, one)
			}
			t = min(t, one)
		}
		return t
	})
}

package rules

import (
	"slices"
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// actorServices are Microsoft's services that use actor tokens, by the name that they leave as the initiator's.
var actorServices = []string{
	"Office 365 Exchange Online", "Office 365 SharePoint Online", "Skype for Business Online", "Dataverse", "Microsoft Dynamics ERP",
}

// auditActorTokenImpersonation finds directory changes that bear the name of a service of Microsoft and the address of a
// user: the trace that a service's actor token leaves when it acts as that user (CVE-2025-55241).
func auditActorTokenImpersonation(*reference.Data, *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "audit-actor-token-impersonation",
		Title:   "Directory change by a service in the name of a user",
		Version: 1,
		Kinds:   []event.Kind{event.DirectoryChange},
		Legs: []rule.Leg{{
			ID:  "service-as-user",
			Why: "the directory was changed by one of Microsoft's services in the name of a user, which takes an actor token",
			When: rule.All(
				initiatedByService(),
				rule.Contains(event.InitiatorUPN, "@"),
				rule.Not(routineActorToken()),
			),
			Severity: rule.High,
			Strength: rule.Moderate,
		}},
		Key:   keyByImpersonatedUser(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "The initiator has a service's display name and a user's principal name: the change was made with an actor token, by which a " +
				"service of Microsoft acts as any user without a sign-in. Whoever held such a token could, until September 2025, be anybody in any tenant.",
			Evades: "Reading instead of changing: reads leave no directory audit. Groups, and \"Set directory feature on tenant\", are left out, " +
				"because Exchange does them so for ordinary administrators.",
			FalsePositives: []string{
				"Exchange creates Microsoft 365 groups with an actor token when an administrator asks it to: every activity on groups is left out.",
				"Other routine work of the five services: confirm with the named user, note the activity, and suppress that activity for that service.",
			},
			Runbook: []string{
				"Ask the user who is named, by telephone, whether they made this change at that minute, and in which portal.",
				"If not: call the incident lead. Read the change (target, modified properties) and undo it: role assignments, credentials and consents first.",
				"List all directory changes with the same initiator name in 90 days.",
				"Open a case with Microsoft with the records: only they can see how the actor token was used.",
			},
			Attack: []string{"T1550.001", "T1078.004"},
			Sources: []string{
				actorImpersonation, "https://practical365.com/death-by-token-understanding-cve-2025-55241",
				"https://msrc.microsoft.com/update-guide/en-US/advisory/CVE-2025-55241",
				"https://github.com/elastic/detection-rules (initial_access_entra_id_actor_token_user_impersonation_abuse.toml)",
			},
		},
	}
}

// initiatedByService holds when the initiating user has the display name of a service. Entra ID writes null for
// ordinary users, and no user at all where an application acted as itself.
func initiatedByService() rule.Predicate {
	f := event.InitiatorName
	return rule.Func(f.Path+" is a service of Microsoft", []string{f.Path}, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		v := f.Get(ev)
		t := rule.False
		switch {
		case v.OK():
			t = truth(slices.ContainsFunc(actorServices, func(s string) bool { return strings.EqualFold(s, v.V) }))
		case v.State == event.Null, hasNoUser(ev):
		default:
			t = tr.Lacking(f.Path)
		}
		if tr.KeepsFacts() {
			tr.Add(f.Path, rule.Show(v), "is one of", strings.Join(actorServices, ", "), t)
		}
		return t
	})
}

// hasNoUser tells whether an application initiated the change as itself.
func hasNoUser(ev *event.Event) bool {
	return ev.Directory.InitiatorApp.OK() && ev.Directory.InitiatorApp.V != "" && !ev.Directory.InitiatorUPN.OK()
}

// routineActorToken holds for what Exchange does with actor tokens every day.
func routineActorToken() rule.Predicate {
	return rule.Test(event.DirectoryActivity, "is routine", "(on groups; Set directory feature on tenant)", func(a string) bool {
		return containsFold(a, "group") || strings.EqualFold(a, "Set directory feature on tenant")
	})
}

// keyByImpersonatedUser groups by the user in whose name the service acted.
func keyByImpersonatedUser() rule.Key {
	return rule.Key{Name: "user", Of: func(ev *event.Event) string { return firstFolded(ev.Directory.InitiatorUPN) }}
}

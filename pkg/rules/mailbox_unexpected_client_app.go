package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// mailboxUnexpectedClientApp finds mail that was read by an application that has no business reading mail here: how the one
// customer who saw Storm-0558 saw it ("unexpected ClientAppID and AppID"). It is as good as the list of expected clients, so
// where a tenant has given none, it compares with the built-in ones of Microsoft and only observes. Documents and chats are
// compared with the tenant's workloadApps.
func mailboxUnexpectedClientApp(ref *reference.Data, _ *knobs) *rule.Rule {
	configured := told(ref.MailClients())
	mail := rule.InFold(event.Operation, "MailItemsAccessed", "AttachmentAccess", "Send", "SearchQueryInitiatedExchange")
	client := within(mail, rule.All(configured, unlistedGUID(event.AppID, ref.MailClients())))
	frontend := within(mail, rule.All(configured, unlistedGUID(event.FrontendApp, ref.MailFrontends())))
	vip := rule.Any(rule.Listed(event.Mailbox, ref.VIPs()), rule.Listed(event.MailboxOwner, ref.VIPs()))

	const (
		whyClient   = "an application that is not among the expected mail clients used the mailbox"
		whyFrontend = "the mailbox was used through an API that is not among those known to stand in front of mailboxes"
	)
	r := &rule.Rule{
		ID:      "mailbox-unexpected-client-app",
		Title:   "Mail, document or chat opened by an unexpected application",
		Version: 2,
		Kinds:   []event.Kind{event.Audit},
		Scope:   rule.Any(mail, documentAccess()),
		Legs: []rule.Leg{{
			ID:       "client-vip",
			Why:      whyClient + " of a VIP",
			When:     rule.All(client, vip),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "frontend-vip",
			Why:      whyFrontend + ", and it is a VIP's",
			When:     rule.All(frontend, vip),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "client",
			Why:      whyClient,
			When:     client,
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "frontend",
			Why:      whyFrontend,
			When:     frontend,
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "client-unlearned",
			Why:      "an application that is not a known mail client of Microsoft used the mailbox, and nobody has said which clients are expected here",
			When:     within(mail, rule.All(rule.Not(configured), unlistedGUID(event.AppID, ref.KnownMailClients()))),
			Severity: rule.Medium,
			Strength: rule.Moderate,
			Stage:    rule.Observe,
		}, {
			ID:       "frontend-unlearned",
			Why:      whyFrontend + ", and nobody has said which clients are expected here",
			When:     within(mail, rule.All(rule.Not(configured), unlistedGUID(event.FrontendApp, ref.MailFrontends()))),
			Severity: rule.Medium,
			Strength: rule.Moderate,
			Stage:    rule.Observe,
		}, {
			ID:       "client-document",
			Why:      "an application that is not among those with which people open documents and chats here opened one",
			When:     within(documentAccess(), rule.All(rule.IsGUID(event.AppID), unlistedWorkloadApp(ref))),
			Severity: rule.Medium,
			Strength: rule.Moderate,
			Stage:    rule.Observe,
		}},
		Key:   keyByApp(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "The client application, or the API in front of the mailbox, is not one that reads mail in this tenant, or opens documents or chats. By itself that is an " +
				"unusual application; with a rule about the token on the same record it is an intrusion.",
			Evades: "Claiming the id of an expected application, which a forger is free to do: mailbox-client-app-protocol-mismatch and the rules " +
				"about the token's age, tenant and id look at what he forgets. Without mailClients the rule compares with Microsoft's own clients and only observes. " +
				"Without workloadApps documents and chats are not evaluable, and with it they are only observed.",
			FalsePositives: []string{
				"A new application or add-in: review its permissions and owner, then add it to mailClients.",
				"A tenant without mailClients: count ClientAppId and AppId over 30 days of your own records, review every one, and list them " +
					"under the tenant (or under defaults). Only then does the rule page.",
				"A new API of Microsoft in front of mailboxes: verify the id in Microsoft's list of first-party applications, then add it to mailFrontends.",
				"SharePoint, OneDrive and Teams: list the applications under workloadApps, each with the workloads in which it is expected. Browsers log none.",
			},
			Runbook: []string{
				"Look the app id up in Entra ID (enterprise applications): name, owner, publisher, when and by whom it was consented to. An id that " +
					"exists nowhere in the tenant is a strong sign of forgery: call the incident lead.",
				"Compare address, ClientInfoString and hour with what that application does elsewhere, and see the other alerts on the same mailbox.",
				"Count the mailboxes that it opened in 30 days. One ambassador, or two dozen people with one thing in common, is a target list.",
				"If nobody vouches for it: disable its service principal, revoke its grants and the owners' sessions, export the records, " +
					"and look for the tokens' UniqueTokenId in the sign-in logs.",
				"If it is wanted, add it to mailClients with its reason; do not suppress it by mailbox.",
			},
			Attack:  []string{"T1114.002", "T1550.001"},
			Sources: []string{cisaAdvisory, csrbReview, storm0558Analysis, firstPartyApps},
		},
	}
	if !ref.MailClientsConfigured() {
		r.Stage = rule.Observe
		r.Lacks = ref.MailClients().Name()
		r.StageReason = "mailClients is not configured: count ClientAppId and AppId over 30 days of your own MailItemsAccessed records, " +
			"review them, and list them under defaults or the tenant"
	}
	return r
}

const workloadApps = "reference:workloadApps"

// unlistedWorkloadApp holds when the application is not one with which people open what the record's workload keeps.
func unlistedWorkloadApp(ref *reference.Data) rule.Predicate {
	needs := []string{event.AppID.Path, event.Workload.Path, workloadApps}
	return rule.Func("app.id is not listed in workloadApps for audit.workload", needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		workload := &ev.Audit.Workload
		may, known := ref.Tenant(ev.Tenant).Opens(ev.App.ID.V, workload.V)
		t := truth(!may)
		switch {
		case !known:
			t = tr.Lacking(workloadApps)
		case !may && (!workload.OK() || workload.V == ""):
			t = tr.Lacking(event.Workload.Path)
		}
		if tr.KeepsFacts() {
			tr.Add(event.AppID.Path, rule.Show(&ev.App.ID), "is not listed in workloadApps for", rule.Show(workload), t)
		}
		return t
	})
}

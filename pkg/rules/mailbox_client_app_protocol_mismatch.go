package rules

import (
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// graphAppID is Microsoft Graph as the API in front of a mailbox
// (Microsoft's list of first-party applications).
const graphAppID = "00000003-0000-0000-c000-000000000000"

// mailboxClientAppProtocolMismatch finds a known client that does not speak as itself: a forger copies the id of an
// allowed application more easily than its protocol.
func mailboxClientAppProtocolMismatch(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "mailbox-client-app-protocol-mismatch",
		Title:   "Mail client with the wrong protocol",
		Version: 1,
		Kinds:   []event.Kind{event.Audit},
		Scope:   mailboxAccess(),
		Legs: []rule.Leg{{
			ID:       "client-protocol",
			Why:      "the client's id is that of an application whose records never look like this one",
			When:     speaksAsAnother(ref, event.AppID),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "graph-protocol",
			Why:      "the record names Microsoft Graph as the API, but the client did not come through it",
			When:     rule.All(rule.EqFold(event.FrontendApp, graphAppID), speaksAsAnother(ref, event.FrontendApp)),
			Severity: rule.High,
			Strength: rule.Moderate,
		}},
		Key:   keyByApp(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "The token names a client (say Outlook Mobile), but the protocol and client string of the record are not that client's. The id was " +
				"borrowed: by a forger, by a thief of refresh tokens, or by a tool that poses as a first-party client.",
			Evades: "Sending the client string and using the API of the application that one poses as. Applications whose protocol is not known are not judged.",
			FalsePositives: []string{
				"Outlook changes its protocols (REST, HxService, MAPI over HTTP) without notice: then many users show the pair at once. Learn the " +
					"pairs of your own records first, and give mailClients[].clientInfo for the client.",
				"A client that a proxy or archive rewrites: give its clientInfo.",
			},
			Runbook: []string{
				"Count the pair of app and ClientInfoString over 30 days. Common and older than the alert: a new protocol; add it to clientInfo.",
				"One mailbox or address: treat the client as an impostor. Ask the owner which client they used at that minute.",
				"Look for the token's UniqueTokenId in the sign-in logs. A row with another address or device: a stolen token; revoke sessions and refresh tokens. " +
					"No row: a forged token; call the incident lead.",
				"See the other alerts on the same mailbox, block the address, export the records.",
			},
			Attack:  []string{"T1036", "T1606"},
			Sources: []string{storm0558Analysis, auditSchema, firstPartyApps},
		},
	}
}

// speaksAsAnother holds when the protocol of the application is known and the ClientInfoString is not of it. It is False
// for any application whose protocol is not known.
func speaksAsAnother(ref *reference.Data, app event.Field[string]) rule.Predicate {
	needs := []string{app.Path, event.ClientInfo.Path}
	return rule.Func("audit.clientInfoString is not of the protocol of "+app.Path, needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		id := app.Get(ev)
		if !id.OK() || id.V == "" {
			return tr.Lacking(app.Path)
		}
		client, ok := ref.MailClient(ev.Tenant, id.V)
		if !ok || client.ClientInfo == nil {
			return rule.False
		}
		info := event.ClientInfo.Get(ev)
		if !info.OK() || info.V == "" {
			return tr.Lacking(event.ClientInfo.Path)
		}
		t := rule.True
		for _, re := range client.ClientInfo {
			if re.MatchString(info.V) {
				t = rule.False
				break
			}
		}
		if tr.KeepsFacts() {
			patterns := make([]string, len(client.ClientInfo))
			for i, re := range client.ClientInfo {
				patterns[i] = re.String()
			}
			tr.Add(app.Path, id.V, "is", client.Name, rule.True)
			tr.Add(event.ClientInfo.Path, info.V, "matches none of", strings.Join(patterns, " "), t)
		}
		return t
	})
}

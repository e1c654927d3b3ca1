package rules

import (
	"regexp"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// syncClient matches the client strings of programs that keep a copy of the mailbox.
var syncClient = regexp.MustCompile(`(?i)^Client=(MSExchangeRPC|MAPI|Outlook|OutlookService|Hx|ActiveSync)`)

// mailboxSyncByUnexpectedClient finds whole folders that left through a client which does not synchronise.
func mailboxSyncByUnexpectedClient(*reference.Data, *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "mailbox-sync-by-unexpected-client",
		Title:   "Folders synchronised by a client that does not synchronise",
		Version: 1,
		Kinds:   []event.Kind{event.Audit},
		Scope:   rule.EqFold(event.Operation, "MailItemsAccessed"),
		Legs: []rule.Leg{{
			ID:  "sync",
			Why: "a client that is no desktop or mobile mail program synchronised a whole folder",
			When: rule.All(
				rule.EqFold(event.MailAccessType, "Sync"),
				rule.Logged(event.ClientInfo),
				rule.Not(rule.Matches(event.ClientInfo, "a client that synchronises", syncClient)),
			),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}},
		Key:         keyByMailbox(),
		Stage:       rule.Observe,
		StageReason: "supporting evidence only: backup tools and new clients synchronise too",
		Doc: rule.Doc{
			Proves: "Microsoft records a Sync only for desktop Outlook. One under the client string of Outlook on the web, REST or Exchange Web Services is odd, and " +
				"means that all messages of the folder may have left.",
			Evades: "Reading message by message (Bind), or the client string of Outlook.",
			FalsePositives: []string{
				"Outlook for Mac, the new Outlook and backup tools with strings of their own: compare with 30 days of the tenant, and suppress the client if it is yours.",
			},
			Runbook: []string{
				"Treat every message of the folders in the record as read: the log does not list them one by one.",
				"Ask whose client it is: ClientAppId in Entra ID, ClientInfoString and address over 30 days.",
				"See the other alerts on the mailbox that day; a rule about the token beside this one is an intrusion: call the incident lead.",
			},
			Attack:  []string{"T1114.002"},
			Sources: []string{mailItemsAccessed, auditSchema},
		},
	}
}

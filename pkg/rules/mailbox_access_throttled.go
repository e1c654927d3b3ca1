package rules

import (
	"strconv"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// mailboxAccessThrottled finds the start of a blind spot: Exchange stops writing MailItemsAccessed of a mailbox for a day after a
// thousand records.
func mailboxAccessThrottled(_ *reference.Data, k *knobs) *rule.Rule {
	bulkBind := k.whole("bulkBind", 250, "messages in one record from which an access is a bulk one")
	return &rule.Rule{
		ID:      "mailbox-access-throttled",
		Title:   "Mailbox read in bulk, or its audit throttled",
		Version: 1,
		Kinds:   []event.Kind{event.Audit},
		Scope:   rule.EqFold(event.Operation, "MailItemsAccessed"),
		Legs: []rule.Leg{{
			ID:       "throttled",
			Why:      "Exchange throttles the audit of this mailbox: for up to a day, access to it is not logged",
			When:     rule.Eq(event.Throttled, true),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}, {
			ID:  "bulk",
			Why: "one record tells of more messages than a person reads",
			When: rule.Test(event.ItemCount, "is at least", strconv.FormatInt(bulkBind, 10), func(n int64) bool {
				return n >= bulkBind
			}),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}},
		Key:         keyByMailbox(),
		Stage:       rule.Observe,
		StageReason: "supporting evidence only: migrations, searches and heavy users do the same",
		Doc: rule.Doc{
			Proves: "The mailbox was read so much that its audit ends for up to 24 hours, or that one aggregated record holds a bulk of messages. The fact is " +
				"certain; that it is malice is not.",
			Evades: "Reading slowly, and staying under a thousand records a day.",
			FalsePositives: []string{
				"Migration, backup and eDiscovery: suppress the application for the days of the work.",
				"Heavy users, under one in a hundred mailboxes: raise bulkBind.",
			},
			Runbook: []string{
				"From the time of the record on, the absence of MailItemsAccessed for this mailbox proves nothing. Note it in the case.",
				"Find the client that filled the quota: count the day's records of the mailbox by ClientAppId, ClientInfoString and address.",
				"Use the other logs for the gap: MicrosoftGraphActivityLogs, sign-ins, message trace.",
				"If no owner of a migration or search vouches for it, treat the whole mailbox as read.",
			},
			Attack:  []string{"T1114.002", "T1562.008"},
			Sources: []string{mailItemsAccessed},
		},
	}
}

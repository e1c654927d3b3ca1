package rules

import (
	"fmt"
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// The shares of a client's records with a token id from which one without it is out of the ordinary, or at least rare.
const (
	fullCoverage = 0.99
	mostCoverage = 0.95
)

// mailboxUTIMissing finds mailbox access of a person without a token id. Absence itself is the finding: aggregated and
// background records have none either, so it means something only where an application's records otherwise hold one.
func mailboxUTIMissing(ref *reference.Data, _ *knobs) *rule.Rule {
	missing := rule.All(rule.Missing(event.TokenID), bearerOrNone(), rule.IsGUID(event.AppID))
	return &rule.Rule{
		ID:      "mailbox-uti-missing",
		Title:   "Mailbox access without a token id",
		Version: 1,
		Kinds:   []event.Kind{event.Audit},
		Scope: rule.All(
			rule.In(event.RecordType, 2, 3, 50), // ExchangeItem, ExchangeItemGroup, ExchangeItemAggregated
			rule.Eq(event.UserType, 0),          // Regular
			rule.Eq(event.LogonType, 0),         // Owner
		),
		Legs: []rule.Leg{{
			ID:       "covered-client",
			Why:      "the record has no token id, and nearly all records of the client have one",
			When:     rule.All(missing, mailCoverage(ref, fullCoverage, 2)),
			Severity: rule.Low,
			Strength: rule.Moderate,
		}, {
			ID:       "mostly-covered-client",
			Why:      "the record has no token id, and most records of the client have one",
			When:     rule.All(missing, mailCoverage(ref, mostCoverage, fullCoverage)),
			Severity: rule.Low,
			Strength: rule.Weak,
		}},
		Key:         keyByApp(),
		Stage:       rule.Observe,
		StageReason: "aggregated and background records have no token id either: measure utiCoverage first",
		Doc: rule.Doc{
			Proves: "Exchange writes the id of the Entra ID token where one is available. A person's access without it came by another path, or the token had no id. " +
				"It is weak evidence until the share of the client's records with an id is known, and a metric before that.",
			Evades: "Any text in the uti claim: mailbox-uti-malformed looks at its form.",
			FalsePositives: []string{
				"Aggregated records and background processing lack linkable identifiers (Microsoft says so): measure the share for each client over 14 days and " +
					"give it in utiCoverage. A client below 0.95 is silent; one that is not measured leaves the rule not evaluable.",
				"Older tenants, other clouds, and feeds that drop AppAccessContext: every record lacks the id. Leave the rule at observe there.",
			},
			Runbook: []string{
				"Do not act on this alone. See how many records of the same client lacked the id that day: many clients at once is a change by Microsoft or the collector.",
				"One mailbox or one address only: compare address, ClientInfoString and hour with the owner's other accesses.",
				"Look for alerts of mailbox-unexpected-client-app, mailbox-client-app-protocol-mismatch and ioc-ip on the same mailbox. With one of them, treat the access as forged.",
			},
			Attack:  []string{"T1606"},
			Sources: []string{linkableIdentifiers, auditSchema},
		},
	}
}

// bearerOrNone holds where the record does not say how the client authenticated, or says that it was with a bearer token.
func bearerOrNone() rule.Predicate {
	needs := []string{event.AuthType.Path}
	return rule.Func(event.AuthType.Path+" is Bearer or missing", needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		v := &ev.Audit.AuthType
		if v.State == event.Unreadable {
			return tr.Lacking(event.AuthType.Path)
		}
		return fact(tr, event.AuthType, v, "is missing or", "Bearer", !v.OK() || v.V == "" || strings.EqualFold(v.V, "Bearer"))
	})
}

const utiCoverage = "reference:utiCoverage"

// mailCoverage holds where the share of the client's mailbox records with a token id is from from up to, but not, below. It is
// Unknown where nobody has measured it.
func mailCoverage(ref *reference.Data, from, below float64) rule.Predicate {
	needs := []string{event.AppID.Path, utiCoverage}
	text := fmt.Sprintf("utiCoverage of %s is at least %v", event.AppID.Path, from)
	return rule.Func(text, needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		share, known := ref.Tenant(ev.Tenant).UTICoverage(ev.App.ID.V)
		if !known {
			return tr.Lacking(utiCoverage)
		}
		return fact(tr, event.AppID, &ev.App.ID, "has a fitting share of records with a token id in", "utiCoverage", from <= share && share < below)
	})
}

package rules

import (
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// mailboxAuditTampering finds cmdlets that end the log on which the other mailbox rules rest.
func mailboxAuditTampering(*reference.Data, *knobs) *rule.Rule {
	person := rule.Not(rule.In(event.UserType, 3, 4)) // DcAdmin, System
	return &rule.Rule{
		ID:      "mailbox-audit-tampering",
		Title:   "Mailbox auditing switched off",
		Version: 1,
		Kinds:   []event.Kind{event.Audit},
		Scope:   rule.Eq(event.RecordType, 1), // ExchangeAdmin
		Legs: []rule.Leg{{
			ID:  "bypass",
			Why: "the access of an account to mailboxes is no longer logged",
			When: rule.All(person, rule.EqFold(event.Operation, "Set-MailboxAuditBypassAssociation"),
				parameter("AuditBypassEnabled", "is true", func(v string) bool { return isBool(v, "true") })),
			Severity: rule.High,
			Strength: rule.Weak,
		}, {
			ID:  "mailbox-audit-off",
			Why: "access to a mailbox is no longer logged",
			When: rule.All(person, rule.EqFold(event.Operation, "Set-Mailbox"),
				parameter("AuditEnabled", "is false", func(v string) bool { return isBool(v, "false") })),
			Severity: rule.High,
			Strength: rule.Weak,
		}, {
			ID:  "mail-items-accessed-removed",
			Why: "the reading of mail was taken out of what is logged of a mailbox",
			When: rule.All(person, rule.EqFold(event.Operation, "Set-Mailbox"), rule.Any(
				parameter("AuditOwner", "lacks MailItemsAccessed", removesMailItemsAccessed),
				parameter("AuditDelegate", "lacks MailItemsAccessed", removesMailItemsAccessed),
				parameter("AuditAdmin", "lacks MailItemsAccessed", removesMailItemsAccessed),
			)),
			Severity: rule.High,
			Strength: rule.Weak,
		}, {
			ID:  "unified-audit-off",
			Why: "the unified audit log of the whole tenant was switched off",
			When: rule.All(person, rule.EqFold(event.Operation, "Set-AdminAuditLogConfig"),
				parameter("UnifiedAuditLogIngestionEnabled", "is false", func(v string) bool { return isBool(v, "false") })),
			Severity: rule.High,
			Strength: rule.Weak,
		}},
		Key:         keyByTargetOrActor(),
		Stage:       rule.Observe,
		StageReason: "supporting evidence only: it proves no forged token; enable it where nobody changes auditing as a routine",
		Doc: rule.Doc{
			Proves: "From now on some access to mailboxes leaves no record. It says nothing of a forged token; it is what one does before using one.",
			Evades: "Lowering a licence, or filling the quota of a thousand records (mailbox-access-throttled). What is done by Microsoft's own accounts is left out.",
			FalsePositives: []string{
				"Planned changes, and service accounts of backup tools with a bypass: ask for the change request, and suppress that account with an expiry.",
			},
			Runbook: []string{
				"Ask the administrator. No change request: call the incident lead, and switch auditing on again at once.",
				"Note the time of the change: from it on, the absence of records about these mailboxes proves nothing.",
				"Look for what else the administrator's account did that day, and revoke its sessions.",
				"Use the logs that are left for the gap: MicrosoftGraphActivityLogs, sign-ins, message trace.",
			},
			Attack: []string{"T1562.008"},
			Sources: []string{
				"https://github.com/elastic/detection-rules (defense_evasion_exchange_mailbox_audit_bypass_association.toml)",
				"https://github.com/Azure/Azure-Sentinel (exchange_auditlogdisabled.yaml)",
				"https://learn.microsoft.com/en-us/purview/audit-mailboxes",
			},
		},
	}
}

// parameter holds where the cmdlet has the parameter with such a value.
func parameter(name, op string, of func(string) bool) rule.Predicate {
	return rule.Test(event.CmdletParameters, "has "+name+", which "+op, "", func(ps []event.Parameter) bool {
		for _, p := range ps {
			if strings.EqualFold(p.Name, name) && of(p.Value) {
				return true
			}
		}
		return false
	})
}

// isBool compares a boolean as PowerShell and the log write it: $true, True.
func isBool(v, want string) bool {
	return strings.EqualFold(strings.TrimPrefix(strings.TrimSpace(v), "$"), want)
}

// removesMailItemsAccessed reports whether a list of audited actions takes the reading of mail away: it is removed from the list, or the
// list is set anew without it.
func removesMailItemsAccessed(v string) bool {
	named := containsFold(v, "MailItemsAccessed")
	switch {
	case strings.TrimSpace(v) == "":
		return false
	case containsFold(v, "remove"):
		return named
	case containsFold(v, "add"):
		return false
	}
	return !named
}

// keyByTargetOrActor groups by what a cmdlet changed, else by who ran it.
func keyByTargetOrActor() rule.Key {
	return rule.Key{Name: "target or administrator", Of: func(ev *event.Event) string {
		return firstFolded(ev.Audit.Object, ev.Actor.Name)
	}}
}

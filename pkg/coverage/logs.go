package coverage

import (
	"strings"
	"sync"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rules"
)

// log is a category of logs that one can switch on, or not.
type log struct {
	name string
	of   rules.Log
	// example is a record of the log of which only its category is known, and operations are those of the audit's that rules tell apart.
	example    event.Event
	operations []string
	// switchOn says what makes it arrive, and price what that takes: a licence, or what it adds to the bill.
	switchOn, price string
}

// What makes logs arrive. The licences are those of Microsoft's documentation: diagnostic settings of Entra ID, the Microsoft Graph activity
// log, Purview Audit, and the streaming of Defender XDR. Before an order, look there.
const (
	diagnosticSetting = "a diagnostic setting of Entra ID, category "
	unifiedAudit      = "the CloudAppEvents of Defender XDR streamed to the hub, or the Management Activity API"
	p1                = "Entra ID P1"
	p2                = "Entra ID P2"
	auditStandard     = "Purview Audit (Standard), which E3 has; the stream takes Defender for Cloud Apps (E5), the API no licence of its own"
	observations      = "your applications and gateways report the tokens that they meet"
)

// logs lists what rules read. The first that fits is a record's.
var logs = sync.OnceValue(func() []log {
	return []log{
		{"token-observation", rules.TokenLog, observed("token-observation"), nil, observations + " (README.md, Tokens that your own applications see)", "a line of policy or middleware for each"},
		{"saml-observation", rules.TokenLog, event.Event{Kind: event.AssertionObserved, Category: "saml-observation"}, nil, "your service providers report the assertions that they meet", "a line of middleware for each"},
		{"AzureActivity", rules.TokenLog, observed("AzureActivity"), nil, "a diagnostic setting of each Azure subscription, category Administrative", "no licence"},

		{"MailItemsAccessed", rules.MailboxLog, mailbox(50), []string{"MailItemsAccessed"}, unifiedAudit, auditStandard},
		{"OWAAuth", rules.MailboxLog, mailbox(275), []string{"GetAccessTokenForResource"}, unifiedAudit + ", record type 275", auditStandard},
		{"ExchangeAdmin", rules.MailboxLog, mailbox(1), []string{"Set-Mailbox", "Set-AdminAuditLogConfig", "New-AcceptedDomain"}, unifiedAudit, auditStandard},
		{"SharePoint", rules.DocumentLog, document("SharePoint", 6), nil, unifiedAudit, auditStandard},
		{"OneDrive", rules.DocumentLog, document("OneDrive", 6), nil, unifiedAudit, auditStandard},
		{"MicrosoftTeams", rules.DocumentLog, document("MicrosoftTeams", 25), nil, unifiedAudit, auditStandard},
		{"Exchange", rules.MailboxLog, mailbox(2), []string{"Send", "MailboxLogin"}, unifiedAudit, auditStandard}, // all else that is done in mailboxes

		{
			"MicrosoftGraphActivityLogs", rules.GraphLog,
			event.Event{Kind: event.GraphActivity, Category: "MicrosoftGraphActivityLogs"},
			nil,
			diagnosticSetting + "MicrosoftGraphActivityLogs", p1 + "; by Microsoft's estimate 62,000 messages a month for 1,000 users",
		},

		{"SignInLogs", rules.SignInLog, signIn("SignInLogs"), nil, diagnosticSetting + "SignInLogs (interactive sign-ins)", p1},
		{"NonInteractiveUserSignInLogs", rules.SignInLog, signIn("NonInteractiveUserSignInLogs"), nil, diagnosticSetting + "NonInteractiveUserSignInLogs", p1 + "; the largest of the sign-in logs"},
		{"ServicePrincipalSignInLogs", rules.SignInLog, signIn("ServicePrincipalSignInLogs"), nil, diagnosticSetting + "ServicePrincipalSignInLogs", p1},
		{"ManagedIdentitySignInLogs", rules.SignInLog, signIn("ManagedIdentitySignInLogs"), nil, diagnosticSetting + "ManagedIdentitySignInLogs", p1},
		{"MicrosoftServicePrincipalSignInLogs", rules.SignInLog, signIn("MicrosoftServicePrincipalSignInLogs"), nil, diagnosticSetting + "MicrosoftServicePrincipalSignInLogs", p1},
		{"ADFSSignInLogs", rules.SignInLog, signIn("ADFSSignInLogs"), nil, diagnosticSetting + "ADFSSignInLogs, and Connect Health on every AD FS server", p1 + "; nothing without AD FS"},
		{"UserRiskEvents", rules.SignInLog, event.Event{Kind: event.Risk, Category: "UserRiskEvents"}, nil, diagnosticSetting + "UserRiskEvents", p2},
		{"ServicePrincipalRiskEvents", rules.SignInLog, event.Event{Kind: event.Risk, Category: "ServicePrincipalRiskEvents"}, nil, diagnosticSetting + "ServicePrincipalRiskEvents", "Workload Identities Premium"},
		{"AuditLogs", rules.SignInLog, event.Event{Kind: event.DirectoryChange, Category: "AuditLogs"}, nil, diagnosticSetting + "AuditLogs", "no licence"},
	}
})

func observed(category string) event.Event {
	e := event.Event{Kind: event.TokenObserved, Category: category}
	if category == "AzureActivity" {
		e.Observed.ObserverType = event.Of("azure-activity")
	}
	return e
}

func signIn(category string) event.Event { return event.Event{Kind: event.SignIn, Category: category} }

func mailbox(recordType int64) event.Event {
	e := event.Event{Kind: event.Audit, Category: "Exchange"}
	e.Audit.RecordType, e.Audit.Workload = event.Of(recordType), event.Of("Exchange")
	return e
}

func document(workload string, recordType int64) event.Event {
	e := event.Event{Kind: event.Audit, Category: workload}
	e.Audit.RecordType, e.Audit.Workload = event.Of(recordType), event.Of(workload)
	return e
}

// logOf returns the log of which the event is, or nil for one that no rule reads.
func logOf(ev *event.Event) *log {
	name := ""
	switch ev.Kind {
	case event.SignIn, event.Risk, event.DirectoryChange, event.GraphActivity:
		name = categoryOf(ev)
	case event.TokenObserved, event.AssertionObserved:
		name = ev.Category
	case event.Audit:
		name = auditOf(ev)
	case event.KindNone:
	}
	all := logs()
	for i := range all {
		if strings.EqualFold(all[i].name, name) {
			return &all[i]
		}
	}
	return nil
}

// categoryOf returns the category of Entra ID's diagnostic settings, whatever feed the record came by.
func categoryOf(ev *event.Event) string {
	switch ev.Category {
	case "signIn": // Microsoft Graph: interactive ones, unless somebody asks for the others
		return "SignInLogs"
	case "riskDetection":
		return "UserRiskEvents"
	case "directoryAudit":
		return "AuditLogs"
	}
	if ev.Kind == event.GraphActivity {
		return "MicrosoftGraphActivityLogs"
	}
	if len(ev.Category) > 3 && strings.EqualFold(ev.Category[:3], "aad") { // tables of Log Analytics
		return ev.Category[3:]
	}
	return ev.Category
}

func auditOf(ev *event.Event) string {
	switch a := &ev.Audit; {
	case a.RecordType.OK() && a.RecordType.V == 275:
		return "OWAAuth"
	case a.RecordType.OK() && a.RecordType.V == 1:
		return "ExchangeAdmin"
	case strings.EqualFold(a.Operation.V, "MailItemsAccessed"):
		return "MailItemsAccessed"
	case a.Workload.OK():
		return a.Workload.V
	default:
		return ev.Category
	}
}

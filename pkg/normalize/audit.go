package normalize

import (
	"strings"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
)

// The words that Log Analytics and some exports write for the numbers of the Management Activity API schema.
var (
	recordTypes = map[string]int64{
		"ExchangeAdmin": 1, "ExchangeItem": 2, "ExchangeItemGroup": 3, "SharePoint": 4, "SharePointFileOperation": 6,
		"OneDrive": 7, "AzureActiveDirectory": 8, "AzureActiveDirectoryAccountLogon": 9, "DataCenterSecurityCmdlet": 10,
		"ComplianceDLPSharePoint": 11, "ComplianceDLPExchange": 13, "SharePointSharingOperation": 14,
		"AzureActiveDirectoryStsLogon": 15, "SecurityComplianceCenterEOPCmdlet": 18, "ExchangeAggregatedOperation": 19,
		"PowerBIAudit": 20, "Discovery": 24, "MicrosoftTeams": 25, "ThreatIntelligence": 28, "MailSubmission": 29,
		"MicrosoftFlow": 30, "SharePointListOperation": 36, "SharePointCommentOperation": 37,
		"SecurityComplianceAlerts": 40, "ExchangeItemAggregated": 50, "SharePointListItemOperation": 54,
		"SharePointContentTypeOperation": 55, "SharePointFieldOperation": 56, "MicrosoftTeamsAdmin": 57,
		"ExchangeSearch": 101, "OWAAuth": 275,
	}
	userTypes = map[string]int64{
		"Regular": 0, "Reserved": 1, "Admin": 2, "DcAdmin": 3, "DCAdmin": 3, "System": 4, "Application": 5,
		"ServicePrincipal": 6, "CustomPolicy": 7, "SystemPolicy": 8, "PartnerTechnician": 9, "Guest": 10,
	}
	logonTypes = map[string]int64{
		"Owner": 0, "Admin": 1, "Delegated": 2, "Delegate": 2, "Transport": 3, "SystemService": 4, "BestAccess": 5,
		"DelegatedAdmin": 6,
	}
)

// RecordType, UserType and LogonType return the number of a word that some feeds write for it.
func RecordType(word string) (n int64, ok bool) { n, ok = recordTypes[word]; return n, ok }

// UserType: see RecordType.
func UserType(word string) (n int64, ok bool) { n, ok = userTypes[word]; return n, ok }

// LogonType: see RecordType.
func LogonType(word string) (n int64, ok bool) { n, ok = logonTypes[word]; return n, ok }

// exchangeAdmin is the record type whose records are cmdlets with parameters.
const exchangeAdmin = 1

// audit reads records of the Microsoft 365 unified audit log, however wrapped.
func (f *reader) audit() {
	ev := f.ev
	contextRead := f.appContext()
	f.tenant(decode.SlotOrganizationID)
	// OfficeActivity has no CreationTime; its TimeGenerated is that time.
	ev.Time = f.time(decode.SlotCreationTime, decode.SlotTimeGenerated)
	ev.Actor.Name = f.text(decode.SlotUserID)
	ev.Actor.ObjectID = f.text(decode.SlotTokenObjectID)
	ev.App.ID = f.text(decode.SlotContextClientAppID, decode.SlotClientAppID, decode.SlotAppID)
	ev.App.Name = f.text(decode.SlotContextClientAppName)
	ev.Net.IP = f.address(decode.SlotClientIPAddress, decode.SlotClientIP, decode.SlotActorIPAddress, decode.SlotIPAddress)
	ev.Net.UserAgent = f.text(decode.SlotUserAgent)

	ev.Token = event.Token{
		Tenant:    f.text(decode.SlotTokenTenantID),
		ObjectID:  f.text(decode.SlotTokenObjectID),
		ID:        f.text(decode.SlotContextTokenID, decode.SlotUniqueTokenIdentifier),
		SessionID: f.text(decode.SlotContextSessionID, decode.SlotSessionID),
		IssuedAt:  f.time(decode.SlotContextIssuedAt),
	}
	if !contextRead {
		ev.Token.IssuedAt.State = event.Unreadable
		if ev.Token.ID.State == event.Absent {
			ev.Token.ID.State = event.Unreadable
		}
	}
	a := &ev.Audit
	a.RecordType = integer(f.v.Get(decode.SlotRecordType), recordTypes)
	a.Operation = f.text(decode.SlotOperation)
	a.Workload = f.text(decode.SlotWorkload)
	a.Organization = f.text(decode.SlotOrganizationID)
	a.UserType = integer(f.v.Get(decode.SlotUserType), userTypes)
	a.LogonType = integer(f.v.Get(decode.SlotLogonType), logonTypes)
	a.ExternalAccess = flag(f.v.Get(decode.SlotExternalAccess))
	a.ExternalTenant = f.text(decode.SlotExternalUserTenantID)
	a.ClientInfo = f.text(decode.SlotClientInfoString)
	a.ActorInfo = f.text(decode.SlotActorInfoString)
	a.FrontendApp = f.text(decode.SlotAppID)
	a.Mailbox = f.text(decode.SlotMailboxGUID)
	a.MailboxOwner = f.text(decode.SlotMailboxOwnerUPN)
	a.TokenType = f.text(decode.SlotAuditTokenType)
	a.AuthType = f.text(decode.SlotAuthType)
	a.OperationCount = integer(f.v.Get(decode.SlotOperationCount), nil)
	a.ResourceURL = f.text(decode.SlotResourceURL)
	a.Object = f.text(decode.SlotObjectID)
	f.operationProperties(a)
	if a.RecordType.OK() && a.RecordType.V == exchangeAdmin {
		f.parameters(a)
	}
}

// appContext descends into AppAccessContext where Log Analytics exported its dynamic column as a string. It reports
// false for a string that could not be read.
func (f *reader) appContext() bool {
	v := f.v.Get(decode.SlotAppAccessContext)
	if v.Kind != decode.String || strings.TrimSpace(v.Text) == "" {
		return true
	}
	return f.n.decoder.Object(v.Text, decode.AppContext, f.v) == nil
}

func (f *reader) operationProperties(a *event.AuditFacts) {
	state := f.pairs(f.v.Get(decode.SlotOperationProperties), func(name, value string) {
		switch name {
		case "MailAccessType":
			a.MailAccessType = event.Of(value)
		case "IsThrottled":
			a.Throttled = flag(decode.Value{Kind: decode.String, Text: value})
		}
	})
	if state == event.Unreadable {
		a.MailAccessType.State, a.Throttled.State = state, state
	}
}

// parameters reads a cmdlet's parameters: a list, or the one command line that some exports write.
func (f *reader) parameters(a *event.AuditFacts) {
	v := f.v.Get(decode.SlotParameters)
	if v.Kind == decode.String && !strings.HasPrefix(strings.TrimSpace(v.Text), "[") && v.Text != "" {
		a.Parameters = event.Of(commandLine(v.Text))
		return
	}
	var ps []event.Parameter
	a.Parameters.State = f.pairs(v, func(name, value string) { ps = append(ps, event.Parameter{Name: name, Value: value}) })
	a.Parameters.V = ps
}

// commandLine splits `-Name "value" -Other value` into parameters.
func commandLine(s string) []event.Parameter {
	var ps []event.Parameter
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		var word string
		if s[0] == '"' {
			word, s, _ = strings.Cut(s[1:], `"`)
		} else {
			end := strings.IndexAny(s, " \t")
			if end < 0 {
				end = len(s)
			}
			word, s = s[:end], s[end:]
			if len(word) > 1 && word[0] == '-' {
				ps = append(ps, event.Parameter{Name: word[1:]})
				continue
			}
		}
		if len(ps) > 0 && ps[len(ps)-1].Value == "" {
			ps[len(ps)-1].Value = word
		}
	}
	return ps
}

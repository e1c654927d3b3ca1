package normalize

import (
	"strings"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
)

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
	if v := f.v.Get(decode.SlotApplicationID); (ev.App.ID.State != event.Present || ev.App.ID.V == "") && v.Kind == decode.String && v.Text != "" {
		ev.App.ID = event.Of(v.Text) // SharePoint and OneDrive
	}
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
	a.RecordType = integer(f.v.Get(decode.SlotRecordType), decode.RecordTypes)
	a.Operation = f.text(decode.SlotOperation)
	a.Workload = f.text(decode.SlotWorkload)
	a.Organization = f.text(decode.SlotOrganizationID)
	a.UserType = integer(f.v.Get(decode.SlotUserType), decode.UserTypes)
	a.UserKey = f.text(decode.SlotUserKey)
	a.LogonType = integer(f.v.Get(decode.SlotLogonType), decode.LogonTypes)
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

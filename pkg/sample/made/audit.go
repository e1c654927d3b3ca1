package made

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// audit is the fact that something in Microsoft 365 was audited.
type audit struct {
	at         time.Time
	id         string
	recordType int
	operation  string
	workload   string
	userType   int
	user, key  string // UserId and UserKey
	address    string
	rest       object // what the operation adds to the common schema
	context    object // AppAccessContext, nil where the log has none
}

// recordTypes names the types as Log Analytics does.
var recordTypes = map[int]string{
	1: "ExchangeAdmin", 2: "ExchangeItem", 3: "ExchangeItemGroup", 6: "SharePointFileOperation", 15: "AzureActiveDirectoryStsLogon",
	25: "MicrosoftTeams", 50: "50", 101: "ExchangeSearch", 275: "275",
}

// mailAccess makes an ordinary access of somebody to a mailbox.
func (t *Tenant) mailAccess() audit {
	who, at := t.someone(), t.now()
	owner, logon := who, 0
	if t.one(30) {
		owner, logon = t.someone(), 2 // an assistant
	}
	c := pick(t, mailClients)
	age := t.between(5*time.Minute, 85*time.Minute)
	if c.cae && t.one(2) {
		age = t.between(5*time.Minute, 26*time.Hour) // continuous access evaluation makes tokens last a day
	}
	a := t.mail(at, owner, c, "MailItemsAccessed", 50)
	a.user, a.key = who.upn, who.puid
	a.address = pick(t, who.addresses)
	a.rest = a.rest.with("LogonType", logon, "InternalLogonType", 0, "LogonUserSid", who.sid)
	kind := "Bind"
	if c.sync && t.one(2) {
		kind = "Sync"
	}
	properties := list{record("Name", "MailAccessType", "Value", kind)}
	if t.one(2) {
		properties = append(properties, record("Name", "IsThrottled", "Value", "False"))
	}
	a.rest = a.rest.with("OperationProperties", properties)
	a.folders(t)
	if !t.one(8) { // aggregated and background records have no linkable identifiers
		a.token(t.request(), at.Add(-age), TenantID, who.oid, t.guid(), c)
		if t.one(5) {
			a.set("TokenTenantId", strings.ToUpper(TenantID))
		}
	}
	return a
}

// mail makes the part that all records of a mailbox share.
func (t *Tenant) mail(at time.Time, owner *person, c mailClient, operation string, recordType int) audit {
	return audit{
		at: at.Truncate(time.Second), id: t.guid(), recordType: recordType, operation: operation, workload: "Exchange",
		user: owner.upn, key: owner.puid, address: owner.addresses[0],
		rest: record("AppId", c.frontend, "ClientAppId", c.app, "ClientInfoString", c.info, "ExternalAccess", false,
			"MailboxGuid", owner.mailbox, "MailboxOwnerSid", owner.sid, "MailboxOwnerUPN", owner.upn,
			"OrganizationName", "fabrikam.onmicrosoft.com",
			"OriginatingServer", "AM9PR0"+t.opaque(6)+" (15.20.4200.000)\r\n"),
	}
}

// token adds what the record says of the access token.
func (a *audit) token(id string, issued time.Time, tenant, oid, session string, c mailClient) {
	a.context = record("AADSessionId", session, "APIId", c.frontend, "ClientAppId", c.app, "ClientAppName", c.name,
		"IssuedAtTime", zoneless(issued), "UniqueTokenId", tokenID(id))
	a.rest = a.rest.with("SessionId", session, "TokenTenantId", tenant, "TokenObjectId", oid)
}

func (a *audit) set(name string, value any) {
	for i := range a.rest {
		if a.rest[i].name == name {
			a.rest[i].value = value
		}
	}
}

// folders adds which messages were read.
func (a *audit) folders(t *Tenant) {
	n := 1 + t.rnd.IntN(4)
	items := make(list, n)
	for i := range items {
		items[i] = record("InternetMessageId", "<"+t.opaque(18)+"@AM9PR0"+t.opaque(6)+".eurprd01.prod.outlook.com>",
			"SizeInBytes", 4000+t.rnd.IntN(200_000))
	}
	a.rest = a.rest.with("Folders", list{record("FolderItems", items, "Id", "LgAAAA"+t.opaque(58), "Path", pick(t, subjects))},
		"OperationCount", n)
}

// archiveRun makes an access of the archive, which reads all mailboxes with a permission of its own.
func (t *Tenant) archiveRun() audit {
	c := mailClient{app: ArchiveApp, name: "Fabrikam Mail Archive", frontend: graph, info: "Client=REST;Client=RESTSystem;;"}
	a := t.mail(t.now(), t.someone(), c, "MailItemsAccessed", 50)
	a.userType, a.user, a.key, a.address = 5, ArchiveApp, ArchiveApp, "198.51.100.201"
	a.rest = a.rest.with("LogonType", 0, "InternalLogonType", 0,
		"OperationProperties", list{record("Name", "MailAccessType", "Value", "Bind")})
	a.folders(t)
	a.token(t.request(), a.at.Add(-t.between(5*time.Minute, 23*time.Hour)), TenantID, "0f7d2b94-8e61-4c3a-b05f-d2c9a1e47683", "", c)
	return a
}

// otherMail makes what else happens in a mailbox.
func (t *Tenant) otherMail() audit {
	who, c := t.someone(), mailClients[0]
	kinds := []struct {
		operation  string
		recordType int
	}{
		{"Send", 2}, {"HardDelete", 3}, {"MailboxLogin", 2}, {"SearchQueryInitiatedExchange", 101}, {"AttachmentAccess", 50},
	}
	k := kinds[t.rnd.IntN(len(kinds))]
	a := t.mail(t.now(), who, c, k.operation, k.recordType)
	a.address = pick(t, who.addresses)
	a.rest = a.rest.with("LogonType", 0, "InternalLogonType", 0)
	a.token(t.request(), a.at.Add(-t.between(5*time.Minute, 20*time.Hour)), TenantID, who.oid, t.guid(), c)
	return a
}

// renewal makes a record of Outlook on the web asking for a token of a resource: the record type that exists since the
// intrusion of 2023. No sample of it was ever published: names follow the schema page alone.
func (t *Tenant) renewal() audit {
	who := t.someone()
	a := t.mail(t.now(), who, mailClients[0], "GetAccessTokenForResource", 275)
	a.address = pick(t, who.addresses)
	a.rest = a.rest.with("UniqueTokenIdentifier", tokenID(t.request()), "ResourceURL", "https://outlook.office.com/")
	return a
}

// administration makes an ordinary cmdlet of an administrator.
func (t *Tenant) administration() audit {
	who := t.someone()
	cmdlets := []struct {
		name       string
		parameters list
	}{
		{"Set-Mailbox", list{record("Name", "Identity", "Value", who.upn), record("Name", "ForwardingSmtpAddress", "Value", "")}},
		{"Set-Mailbox", list{record("Name", "Identity", "Value", who.upn), record("Name", "AuditEnabled", "Value", "True")}},
		{"New-InboxRule", list{record("Name", "Name", "Value", "Newsletters"), record("Name", "MoveToFolder", "Value", "Read later")}},
		{"Set-TransportRule", list{record("Name", "Identity", "Value", "Disclaimer")}},
		{"Add-MailboxPermission", list{record("Name", "Identity", "Value", "reception"), record("Name", "AccessRights", "Value", "FullAccess")}},
	}
	c := cmdlets[t.rnd.IntN(len(cmdlets))]
	return audit{
		at: t.now().Truncate(time.Second), id: t.guid(), recordType: 1, operation: c.name, workload: "Exchange", userType: 2,
		user: t.people[0].upn, key: t.people[0].puid, address: "198.51.100.10:" + fmt.Sprint(20000+t.rnd.IntN(20000)),
		rest: record("ObjectId", who.upn, "ExternalAccess", false, "OrganizationName", "fabrikam.onmicrosoft.com",
			"OriginatingServer", "AM9PR0"+t.opaque(6)+" (15.20.4200.000)", "Parameters", c.parameters, "AppId", "", "ClientAppId", ""),
	}
}

// document makes an ordinary act in SharePoint, OneDrive or Teams.
func (t *Tenant) document() audit {
	who := t.someone()
	a := audit{
		at: t.now().Truncate(time.Second), id: t.guid(), recordType: 6, operation: pick(t, []string{"FileAccessed", "FileModified", "FileDownloaded"}),
		workload: pick(t, []string{"SharePoint", "OneDrive"}), user: who.upn, key: "i:0h.f|membership|" + strings.ToLower(who.puid) + "@live.com",
		address: pick(t, who.addresses),
	}
	a.rest = record("ObjectId", "https://fabrikam.sharepoint.example/sites/plans/Shared Documents/plan-"+fmt.Sprint(t.rnd.IntN(90))+".docx",
		"ItemType", "File", "EventSource", "SharePoint", "UserAgent", pick(t, browsers))
	a.context = record("AADSessionId", t.guid(), "CorrelationId", t.guid(), "UniqueTokenId", tokenID(t.request()))
	if t.one(4) {
		a.recordType, a.operation, a.workload = 25, "MessageSent", "MicrosoftTeams"
		a.rest = record("ChatThreadId", "19:"+strings.ToLower(t.opaque(24))+"@thread.v2", "CommunicationType", "OneOnOne", "ExtraProperties", list{})
	}
	return a
}

// management is an audit record as the Management Activity API gives it.
func (a audit) management() object {
	o := record("CreationTime", zoneless(a.at), "Id", a.id, "Operation", a.operation, "OrganizationId", TenantID,
		"RecordType", a.recordType, "ResultStatus", "Succeeded", "UserKey", a.key, "UserType", a.userType, "Version", 1,
		"Workload", a.workload, "UserId", a.user)
	if a.workload == "Exchange" && a.recordType != 1 {
		o = o.with("ClientIPAddress", a.address)
	} else {
		o = o.with("ClientIP", a.address)
	}
	o = append(o, a.rest...)
	if a.context != nil {
		o = o.with("AppAccessContext", a.context)
	}
	return o
}

// defender is an audit record as Defender XDR streams it: the whole record in RawEventData, as an object or as a string.
func (a audit) defender(asText bool) object {
	raw := a.management()
	for i := range raw {
		if raw[i].name == "CreationTime" {
			raw[i].value = a.at.UTC().Format("2006-01-02T15:04:05Z")
		}
	}
	var event any = raw
	if asText {
		event = encode(raw)
	}
	kind := "Regular"
	if a.userType == 5 {
		kind = "Application"
	}
	return record("time", digits(a.at.Add(6*time.Minute)), "tenantId", TenantID, "operationName", "Publish",
		"category", "AdvancedHunting-CloudAppEvents", "_TimeReceivedBySvc", digits(a.at.Add(4*time.Minute)),
		"properties", record("ActionType", a.operation, "Application", "Microsoft Exchange Online", "ApplicationId", 20893,
			"AccountDisplayName", a.user, "AccountType", kind, "IPAddress", a.address, "IsAnonymousProxy", nil, "CountryCode", "NL",
			"ActivityObjects", list{record("Type", "Task", "Role", "Target object", "Name", a.operation)},
			"RawEventData", event, "ReportId", "106830890_20893_"+a.id, "Timestamp", digits(a.at)),
		"Tenant", "DefaultTenant")
}

// row is an audit record as a row of the Log Analytics table OfficeActivity, which has no column for token facts.
func (a audit) row() object {
	types := map[int]string{0: "Regular", 2: "Admin", 5: "Application"}
	o := record("TenantId", Workspace, "TimeGenerated", a.at.UTC().Format("2006-01-02T15:04:05Z"), "OfficeWorkload", a.workload,
		"Operation", a.operation, "OrganizationId", TenantID, "RecordType", recordTypes[a.recordType], "ResultStatus", "Succeeded",
		"UserKey", a.key, "UserType", types[a.userType], "UserId", a.user, "ClientIP", a.address, "OfficeId", a.id,
		"SourceRecordId", a.id, "OfficeTenantId", "$RestApiTenantId$", "SourceSystem", "OfficeActivityManager")
	logons := map[any]string{0: "Owner", 1: "Admin", 2: "Delegated"}
	for _, m := range a.rest {
		switch m.name {
		case "LogonType":
			m.name, m.value = "Logon_Type", logons[m.value]
		case "ObjectId":
			m.name = "OfficeObjectId"
		case "ExternalAccess":
			m.value = "False"
		case "OperationProperties", "Folders", "Parameters":
			m.value = encode(m.value)
		case "TokenTenantId", "TokenObjectId", "SessionId", "OperationCount", "UniqueTokenIdentifier", "ResourceURL":
			continue
		}
		o = append(o, m)
	}
	return o.with("Client_IPAddress", a.address, "Type", "OfficeActivity")
}

// purview is an audit record as a line of Purview's audit search: its columns, the record itself in AuditData.
func (a audit) purview() []string {
	return []string{
		a.id, a.at.UTC().Format("2006-01-02T15:04:05.0000000Z"), strconv.Itoa(a.recordType), a.operation, a.user,
		encode(a.management()), "", "",
	}
}

var purviewColumns = []string{
	"RecordId", "CreationDate", "RecordType", "Operation", "UserId", "AuditData", "AssociatedAdminUnits",
	"AssociatedAdminUnitsNames",
}

package made

import (
	"strconv"
	"time"
)

// call is the fact that somebody called Microsoft Graph.
type call struct {
	at, issued       time.Time
	id, token        string
	oid, session     string
	app              string
	kind             string // user or app
	scopes, roles    string
	method, uri      string
	status           int
	address, agent   string
	clientAuthMethod string
}

// call makes an ordinary call of Microsoft Graph.
func (t *Tenant) call() call {
	who, at := t.someone(), t.now()
	c := call{
		at: at, issued: at.Add(-t.between(5*time.Minute, 80*time.Minute)).Truncate(time.Second), id: t.guid(),
		token: tokenID(t.request()), oid: who.oid, session: t.guid(), app: CRMApp, kind: "user",
		scopes: "Mail.Read Calendars.Read User.Read", method: "GET", status: 200, address: pick(t, who.addresses),
		agent: pick(t, browsers), clientAuthMethod: "1", uri: "https://graph.microsoft.com/v1.0/me/messages?$top=25",
	}
	switch t.rnd.IntN(6) {
	case 0:
		c.app, c.clientAuthMethod = "1fec8e78-bce4-4aaf-ab1b-5451cc387264", "0"
		c.uri, c.scopes = "https://graph.microsoft.com/beta/me/joinedTeams", "Team.ReadBasic.All User.Read"
		c.issued = at.Add(-t.between(5*time.Minute, 26*time.Hour)).Truncate(time.Second)
	case 1:
		c.app, c.uri, c.scopes = "d3590ed6-52b3-4102-aeff-aad2292ab01c", "https://graph.microsoft.com/v1.0/me/drive/root/children", "Files.ReadWrite.All"
	case 2:
		c.kind, c.app, c.scopes, c.roles, c.session = "app", ArchiveApp, "", "Mail.Read", ""
		c.oid, c.agent, c.address = "0f7d2b94-8e61-4c3a-b05f-d2c9a1e47683", "fabrikam-archive/4.2", "198.51.100.201"
		c.uri = "https://graph.microsoft.com/v1.0/users/" + who.oid + "/mailFolders/inbox/messages"
		c.issued = at.Add(-t.between(5*time.Minute, 23*time.Hour)).Truncate(time.Second)
	case 3:
		c.uri, c.status = "https://graph.microsoft.com/v1.0/users/"+who.oid+"/messages", 403
	case 4:
		c.method, c.uri, c.scopes = "PATCH", "https://graph.microsoft.com/v1.0/me/events/AAMkAG"+t.opaque(12), "Calendars.ReadWrite"
	}
	return c
}

// diagnostic is a call as diagnostic settings stream it.
func (c call) diagnostic() object {
	properties := record("timeGenerated", digits(c.at), "location", "West Europe", "requestId", c.id, "operationId", c.id,
		"clientRequestId", c.id, "apiVersion", "v1.0", "requestMethod", c.method, "responseStatusCode", c.status,
		"tenantId", TenantID, "durationMs", 948894, "responseSizeBytes", 9100, "signInActivityId", c.token, "roles", c.roles,
		"appId", c.app, "UserPrincipalObjectID", c.oid, "scopes", c.scopes, "identityProvider", "",
		"clientAuthMethod", c.clientAuthMethod, "wids", "", "C_Idtyp", c.kind, "C_Iat", strconv.FormatInt(c.issued.Unix(), 10),
		"C_Sid", c.session, "C_DeviceId", "", "ipAddress", c.address, "userAgent", c.agent, "requestUri", c.uri)
	if c.kind == "user" {
		properties = properties.with("userId", c.oid)
	} else {
		properties = properties.with("servicePrincipalId", c.oid)
	}
	return record("time", digits(c.at), "resourceId", "/TENANTS/"+TenantID+"/PROVIDERS/MICROSOFT.AADIAM",
		"operationName", "Microsoft Graph Activity", "operationVersion", "v1.0", "category", "MicrosoftGraphActivityLogs",
		"resultSignature", strconv.Itoa(c.status), "durationMs", "948894", "callerIpAddress", c.address, "correlationId", c.id,
		"level", "Informational", "location", "West Europe",
		"properties", properties.with("tokenIssuedAt", digits(c.issued)), "tenantId", TenantID)
}

// row is a call as a row of Log Analytics.
func (c call) row() object {
	o := record("TenantId", Workspace, "TimeGenerated", digits(c.at), "RequestId", c.id, "OperationId", c.id,
		"ClientRequestId", c.id, "ApiVersion", "v1.0", "RequestMethod", c.method, "ResponseStatusCode", c.status,
		"AadTenantId", TenantID, "DurationMs", 95, "SignInActivityId", c.token, "Roles", c.roles, "AppId", c.app,
		"Scopes", c.scopes, "ClientAuthMethod", 1, "IPAddress", c.address, "UserAgent", c.agent, "RequestUri", c.uri,
		"TokenIssuedAt", digits(c.issued), "SessionId", c.session)
	if c.kind == "user" {
		o = o.with("UserId", c.oid)
	} else {
		o = o.with("ServicePrincipalId", c.oid)
	}
	return o.with("AADTenantId", TenantID, "Type", "MicrosoftGraphActivityLogs")
}

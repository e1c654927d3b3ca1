package made

import (
	"time"
)

// change is the fact that somebody changed the directory.
type change struct {
	at                        time.Time
	id, operation, category   string
	initiator                 object // {"user": …} or {"app": …}
	targetID, target, kind    string
	changes                   list
	address, loggedBy, action string
}

// change makes an ordinary change of the directory.
func (t *Tenant) change() change {
	admin, who, at := &t.people[0], t.someone(), t.now()
	ordinary := []struct{ operation, category, property string }{
		{"Update user", "UserManagement", "JobTitle"},
		{"Add member to group", "GroupManagement", "Group.DisplayName"},
		{"Add user", "UserManagement", "AccountEnabled"},
		{"Reset user password", "UserManagement", "StsRefreshTokensValidFrom"},
		{"User registered security info", "UserManagement", "StrongAuthenticationMethod"},
		{"Update conditional access policy", "Policy", "ConditionalAccessPolicy"},
		{"Add service principal", "ApplicationManagement", "DisplayName"},
		{"Set Company Information", "DirectoryManagement", "TechnicalNotificationMail"},
	}
	k := ordinary[t.rnd.IntN(len(ordinary))]
	c := change{
		at: at, id: "Directory_" + t.guid() + "_" + t.opaque(5) + "_" + "72812697", operation: k.operation, category: k.category,
		targetID: who.oid, target: who.name, kind: "User", address: "198.51.100.10", loggedBy: "Core Directory", action: "Update",
		changes: list{record("displayName", k.property, "oldValue", "[]", "newValue", encode(list{t.opaque(8)}))},
		initiator: record("user", record("id", admin.oid, "displayName", nil, "userPrincipalName", admin.upn,
			"ipAddress", "198.51.100.10", "roles", list{})),
	}
	switch t.rnd.IntN(6) {
	case 0:
		c.initiator = record("app", record("appId", nil, "displayName", "Microsoft Teams Services",
			"servicePrincipalId", t.guid(), "servicePrincipalName", nil))
	case 1:
		// Exchange Online makes groups with an actor token: its own name beside a user's address.
		c.operation, c.category = "Add member to group", "GroupManagement"
		c.initiator = record("user", record("id", who.oid, "displayName", "Office 365 Exchange Online", "userPrincipalName", who.upn,
			"ipAddress", "", "roles", list{}))
	}
	return c
}

// diagnostic is a change as diagnostic settings stream it.
func (c change) diagnostic() object {
	return record("time", digits(c.at), "resourceId", "/tenants/"+TenantID+"/providers/Microsoft.aadiam",
		"operationName", c.operation, "operationVersion", "1.0", "category", "AuditLogs", "tenantId", TenantID,
		"resultSignature", "None", "durationMs", 0, "callerIpAddress", c.address, "correlationId", c.id[10:46], "Level", 4,
		"properties", record("id", c.id, "category", c.category, "correlationId", c.id[10:46], "result", "success", "resultReason", "",
			"activityDisplayName", c.operation, "activityDateTime", offset(c.at), "loggedByService", c.loggedBy,
			"operationType", c.action, "userAgent", nil, "initiatedBy", c.initiator,
			"targetResources", list{record("id", c.targetID, "displayName", c.target, "type", c.kind,
				"modifiedProperties", c.changes, "administrativeUnits", list{})},
			"additionalDetails", list{}))
}

// row is a change as a row of the Log Analytics table AuditLogs.
func (c change) row() object {
	return record("TenantId", Workspace, "SourceSystem", "Azure AD", "TimeGenerated", digits(c.at), "AADTenantId", TenantID,
		"OperationName", c.operation, "Category", c.category, "Id", c.id, "InitiatedBy", encode(c.initiator),
		"ActivityDateTime", digits(c.at), "ActivityDisplayName", c.operation, "LoggedByService", c.loggedBy, "Result", "success",
		"TargetResources", encode(list{record("id", c.targetID, "displayName", c.target, "type", c.kind,
			"modifiedProperties", c.changes)}), "Type", "AuditLogs")
}

// risk is the fact that Entra ID Protection suspected something.
type risk struct {
	at                         time.Time
	id, request                string
	kind, state, level, detail string
	who                        *person
	address, detection         string
}

// risk makes an ordinary detection: dismissed, remediated, or of a kind that has nothing to do with tokens.
func (t *Tenant) risk() risk {
	who := t.someone()
	r := risk{
		at: t.now(), id: t.opaque(32), request: t.guid(), who: who, address: pick(t, who.addresses), detection: "realtime",
		kind:  pick(t, []string{"unfamiliarFeatures", "anonymizedIPAddress", "unlikelyTravel", "leakedCredentials"}),
		level: pick(t, []string{"low", "low", "medium"}), state: pick(t, []string{"remediated", "dismissed", "atRisk"}), detail: "none",
	}
	if t.one(6) {
		r.kind, r.level, r.state, r.detail = "anomalousToken", "low", "dismissed", "adminDismissedAllRiskForUser"
	}
	return r
}

// diagnostic is a detection as diagnostic settings stream it, with the American date that its envelope has.
func (r risk) diagnostic() object {
	return record("time", r.at.UTC().Format("1/2/2006 3:04:05 PM"), "resourceId", "/tenants/"+TenantID+"/providers/microsoft.aadiam",
		"operationName", "User Risk Detection", "operationVersion", "1.0", "category", "UserRiskEvents", "tenantId", TenantID,
		"resultSignature", "None", "durationMs", 0, "callerIpAddress", r.address, "correlationId", r.request, "identity", r.who.name,
		"Level", 4, "location", "nl", "properties", r.resource())
}

// resource is a detection as the Graph resource riskDetection has it.
func (r risk) resource() object {
	return record("id", r.id, "requestId", r.request, "correlationId", r.request, "riskType", r.kind, "riskEventType", r.kind,
		"riskState", r.state, "riskLevel", r.level, "riskDetail", r.detail, "source", "IdentityProtection",
		"detectionTimingType", r.detection, "activity", "signin", "ipAddress", r.address,
		"location", record("city", "Rotterdam", "state", "Zuid-Holland", "countryOrRegion", "NL"),
		"activityDateTime", digits(r.at), "detectedDateTime", digits(r.at.Add(3*time.Minute)),
		"lastUpdatedDateTime", digits(r.at.Add(3*time.Minute)), "userId", r.who.oid, "userDisplayName", r.who.name,
		"userPrincipalName", r.who.upn,
		"additionalInfo", `[{"Key":"userAgent","Value":"`+browsers[0]+`"}]`, "tokenIssuerType", "AzureAD", "resourceTenantId", nil)
}

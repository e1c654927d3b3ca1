package sigma_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/rule"
)

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// columns is the record as a row of Log Analytics: columns with capital letters, and objects as JSON in strings.
func columns(members map[string]string) string {
	var parts []string
	for name, v := range members {
		if v[0] == '{' || v[0] == '[' {
			v = quote(v)
		}
		name = strings.ReplaceAll(name, "_v2", "_V2")
		parts = append(parts, quote(strings.ToUpper(name[:1])+name[1:])+":"+v)
	}
	return strings.Join(parts, ",")
}

func members(m map[string]string) string {
	var parts []string
	for name, v := range m {
		parts = append(parts, quote(name)+":"+v)
	}
	return strings.Join(parts, ",")
}

var signInMembers = map[string]string{
	"id": `"0f94f5fb-3583-4c46-9bfa-0390c1988800"`, "createdDateTime": `"2025-07-24T23:59:59Z"`, "userPrincipalName": `"ada@contoso.example"`,
	"userId": `"aaaaaaaa-0000-4000-8000-000000000001"`, "appId": `"1b730954-1685-4b74-9bfd-dac224a7b894"`, "appDisplayName": `"Azure AD PowerShell"`,
	"ipAddress": `"192.0.2.7"`, "userAgent": `"Mozilla/5.0"`, "clientAppUsed": `"Browser"`, "resourceDisplayName": `"Microsoft Graph"`,
	"conditionalAccessStatus": `"notApplied"`, "isInteractive": `true`, "riskState": `"atRisk"`, "riskEventTypes_v2": `["anomalousToken"]`,
	"authenticationRequirement": `"singleFactorAuthentication"`, "authenticationProtocol": `"deviceCode"`, "autonomousSystemNumber": `64500`,
	"deviceDetail":                     `{"deviceId":"","operatingSystem":"Windows 10","trustType":"Azure AD registered","isCompliant":false}`,
	"appliedConditionalAccessPolicies": `[{"displayName":"MFA","result":"failure"},{"displayName":"Geo","result":"notApplied"}]`,
	"networkLocationDetails":           `[{"networkType":"trustedNamedLocation","networkNames":["HQ"]}]`,
	"authenticationProcessingDetails":  `[{"key":"Is CAE Token","value":"False"}]`,
	"resourceTenantId":                 `"` + tenant + `"`, "homeTenantId": `"` + tenant + `"`,
}

// One sign-in in each feed.
var signIns = map[string]string{
	"diagnostic": `{"time":"2025-07-25T00:01:02Z","category":"SignInLogs","operationName":"Sign-in activity","resultType":"50126",` +
		`"callerIpAddress":"192.0.2.7","location":"NL","correlationId":"c-1","properties":{` + members(signInMembers) +
		`,"location":{"city":"Utrecht","countryOrRegion":"NL"},"status":{"errorCode":50126,"failureReason":"Invalid username or password"}}}`,
	"Graph": `{` + members(signInMembers) + `,"correlationId":"c-1","location":{"city":"Utrecht","countryOrRegion":"NL"},"status":{"errorCode":50126,"failureReason":"Invalid username or password"}}`,
	"Log Analytics": `{"Type":"SigninLogs","TimeGenerated":"2025-07-24T23:59:59Z","ResultType":"50126","ResultDescription":"Invalid username or password","CorrelationId":"c-1",` +
		`"Location":"NL","LocationDetails":"{\"city\":\"Utrecht\",\"countryOrRegion\":\"NL\"}","OperationName":"Sign-in activity",` + columns(signInMembers) + `}`,
}

var directoryMembers = map[string]string{
	"id": `"d-1"`, "category": `"ApplicationManagement"`, "activityDateTime": `"2025-07-24T23:59:59Z"`, "loggedByService": `"Core Directory"`,
	"operationType": `"Assign"`, "result": `"success"`, "resultReason": `""`,
	"initiatedBy":     `{"user":{"id":"aaaaaaaa-0000-4000-8000-000000000001","userPrincipalName":"ada@contoso.example","ipAddress":"192.0.2.7"}}`,
	"targetResources": `[{"displayName":"App","type":"Application","userPrincipalName":null,"modifiedProperties":[{"displayName":"AppRole.Value","oldValue":null,"newValue":"\"RoleManagement.ReadWrite.Directory\""}]},{"type":"User","userPrincipalName":"eve@contoso.example"}]`,
}

var directory = map[string]string{
	"diagnostic": `{"time":"2025-07-25T00:01:02Z","category":"AuditLogs","operationName":"Add owner to application","tenantId":"` + tenant +
		`","properties":{` + members(directoryMembers) + `,"activityDisplayName":"Add owner to application"}}`,
	"Graph": `{` + members(directoryMembers) + `,"activityDisplayName":"Add owner to application"}`,
	"Log Analytics": `{"Type":"AuditLogs","TimeGenerated":"2025-07-24T23:59:59Z","OperationName":"Add owner to application","AADTenantId":"` + tenant + `",` +
		columns(directoryMembers) + `}`,
}

var auditMembers = `"CreationTime":"2024-02-01T16:07:34","Operation":"Set-Mailbox","RecordType":1,"Workload":"Exchange","ResultStatus":"True","UserType":2,` +
	`"OrganizationId":"` + tenant + `","UserId":"ada@contoso.example","ClientIP":"192.0.2.7","ObjectId":"bob","Parameters":[{"Name":"ForwardingSmtpAddress","Value":"smtp:eve@evil.example"}]`

var audits = map[string]string{
	"Management API":  `{` + auditMembers + `}`,
	"Defender":        `{"category":"AdvancedHunting-CloudAppEvents","properties":{"ActionType":"Set-Mailbox","RawEventData":{` + auditMembers + `}}}`,
	"Defender string": `{"ActionType":"Set-Mailbox","RawEventData":` + quote(`{`+auditMembers+`}`) + `}`,
	"Purview":         `{"RecordType":"1","Operations":"Set-Mailbox","AuditData":` + quote(`{`+auditMembers+`}`) + `}`,
	"Log Analytics": `{"Type":"OfficeActivity","TimeGenerated":"2024-02-01T16:07:34Z","Operation":"Set-Mailbox","RecordType":"ExchangeAdmin","OfficeWorkload":"Exchange",` +
		`"ResultStatus":"True","UserType":"Admin","OrganizationId":"` + tenant + `","UserId":"ada@contoso.example","ClientIP":"192.0.2.7","OfficeObjectId":"bob",` +
		`"Parameters":` + quote(`[{"Name":"ForwardingSmtpAddress","Value":"smtp:eve@evil.example"}]`) + `}`,
}

var alerts = map[string]string{
	"Management API": `{"CreationTime":"2024-02-01T16:07:34","Operation":"AlertTriggered","RecordType":40,"Workload":"SecurityComplianceCenter","UserId":"SecurityComplianceAlerts",` +
		`"Name":"Suspicious inbox forwarding","Severity":"Low","AlertType":"System","Status":"Active","Data":"{\"f3u\":\"ada@contoso.example\"}"}`,
}

var risks = map[string]string{
	"diagnostic": `{"time":"2025-07-25T00:01:02Z","category":"UserRiskEvents","properties":{"id":"r","activityDateTime":"2025-07-24T23:59:59Z","riskEventType":"anonymizedIPAddress",` +
		`"riskState":"atRisk","riskLevel":"medium","detectionTimingType":"realtime","userPrincipalName":"ada@contoso.example","additionalInfo":"[{\"Key\":\"userAgent\",\"Value\":\"curl/8\"}]"}}`,
	"Log Analytics": `{"Type":"AADUserRiskEvents","TimeGenerated":"2025-07-25T00:01:02Z","ActivityDateTime":"2025-07-24T23:59:59Z","RiskEventType":"anonymizedIPAddress","RiskState":"atRisk",` +
		`"RiskLevel":"medium","DetectionTimingType":"realtime","UserPrincipalName":"ada@contoso.example","AdditionalInfo":[{"Key":"userAgent","Value":"curl/8"}]}`,
	"Graph": `{"id":"r","activityDateTime":"2025-07-24T23:59:59Z","riskEventType":"anonymizedIPAddress","riskState":"atRisk","riskLevel":"medium","detectionTimingType":"realtime",` +
		`"userPrincipalName":"ada@contoso.example","additionalInfo":"[{\"Key\":\"userAgent\",\"Value\":\"curl/8\"}]"}`,
}

// A rule that spells its fields as one feed does works on every feed.
func TestEverySpellingWorksOnEveryFeed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source  string
		records map[string]string
		holds   []string
	}{
		{"azure/signinlogs", signIns, []string{
			"properties.userPrincipalName: ada@contoso.example", "UserPrincipalName: ada@contoso.example", "Username|startswith: ada", "actor.name: ada@contoso.example",
			"ResultType: 50126", "ResultType: '50126'", "Status.errorCode: 50126", "properties.status.errorCode|gte: 50000", "resultType|contains: '0126'",
			"Status: Failure", "ResultDescription|contains: invalid username", "properties.status.failureReason|startswith: Invalid",
			"AppId: 1b730954-1685-4b74-9bfd-dac224a7b894", "AppDisplayName|endswith: powershell", "ClientAppUsed: browser", "ClientApp: Browser",
			"ResourceDisplayName: Microsoft Graph", "ConditionalAccessStatus: notApplied", "IsInteractive: true", "properties.isInteractive: 'True'",
			"Location: NL", "Location|contains: nl", "location.countryOrRegion: NL", "properties.location.city: Utrecht", "LocationDetails.city: utrecht",
			"DeviceDetail.trusttype: Azure AD registered", "properties.deviceDetail.isCompliant: false", "DeviceDetail.deviceId: ''", "DeviceDetail.displayName: null",
			"DeviceDetail|contains: registered", "AuthenticationRequirement: singleFactorAuthentication", "RiskState: atRisk", "riskEventTypes_v2: anomalousToken",
			"RiskEventTypes|contains: anomalous", "AppliedConditionalAccessPolicies.result: failure", "NetworkLocationDetails|contains: trustedNamedLocation",
			"networkLocationDetails.networkNames: HQ", "properties.authenticationProtocol: deviceCode", "IPAddress|cidr: 192.0.2.0/24", "callerIpAddress: 192.0.2.7",
			"AutonomousSystemNumber: [64500, 64501]", "HomeTenantId|fieldref: ResourceTenantId", "CorrelationId: c-1", "azure.signinlogs.properties.app_display_name|contains: Azure",
			"properties.authenticationProcessingDetails.Is CAE Token: 'False'", "Category|contains: sign",
		}},
		{"azure/auditlogs", directory, []string{
			"properties.message: Add owner to application", "OperationName: add owner to application", "ActivityDisplayName|startswith: Add owner",
			"properties.activityDisplayName: Add owner to application", "Category: ApplicationManagement", "properties.category: ApplicationManagement",
			"LoggedByService: Core Directory", "properties.loggedByService: Core Directory", "Result: Success", "Status: success", "OperationType: Assign",
			"initiatedBy.user.userPrincipalName: ada@contoso.example", "properties.initiatedBy.user.ipAddress|cidr: 192.0.2.0/24", "InitiatedBy|contains: ada@",
			"TargetResources.type: User", "TargetUserName: eve@contoso.example", "TargetResources.userPrincipalName|endswith: contoso.example", "Target: App",
			"TargetResources|contains: eve@", "properties.targetResources.modifiedProperties.newValue|contains: RoleManagement", "ModifiedProperties.newValue|contains: readwrite",
			"ModifiedProperties{}.displayName: AppRole.Value", "ModifiedProperties.AppRole: null", "ResultReason: ''",
		}},
		{"m365/audit", audits, []string{
			"Operation: Set-Mailbox", "eventName: set-mailbox", "eventSource: Exchange", "Workload: Exchange", "status: 'true'", "ResultStatus: 'True'", "RecordType: 1",
			"RecordType: ExchangeAdmin", "UserType: 2", "UserType: Admin", "UserId: ada@contoso.example", "ObjectId: bob", "ClientIP: 192.0.2.7",
			"Parameters.Name: ForwardingSmtpAddress", "Parameters.ForwardingSmtpAddress|endswith: evil.example", "Parameters|contains: smtp:eve", "RawEventData.Parameters.Value|contains: eve",
		}},
		{"m365/exchange", audits, []string{"Operation: Set-Mailbox"}},
		{"m365/threat_management", alerts, []string{
			"eventSource: SecurityComplianceCenter\n  eventName: Suspicious inbox forwarding\n  status: success", "Severity: low", "Data.f3u: ada@contoso.example", "Operation: AlertTriggered",
		}},
		{"azure/riskdetection", risks, []string{
			"riskEventType: anonymizedIPAddress", "RiskLevel: medium", "properties.riskState: atRisk", "DetectionTimingType: realtime", "AdditionalInfo.userAgent|startswith: curl",
		}},
	} {
		for _, selection := range c.holds {
			s := compiled(t, c.source, "sel:\n  "+selection+"\ncondition: sel", nil)
			for feed, record := range c.records {
				if v := judge(t, s, record); v.Truth != rule.True {
					t.Errorf("%s, %s: %q is %s of %s; missing %q, %+v", c.source, feed, selection, v.Truth, record, v.Missing, v.Facts)
				} else if v.Key == "" {
					t.Errorf("%s, %s: no user", c.source, feed)
				}
			}
		}
	}
}

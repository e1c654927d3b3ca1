package normalize

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
)

const (
	tenant  = "11111111-2222-4333-8444-555555555555"
	another = "99999999-2222-4333-8444-555555555555"
)

// read normalises one record that must be readable, and identifies it.
func read(t *testing.T, body string) event.Event {
	t.Helper()
	n := New(decode.Reference{}, tenant)
	var (
		s  Scratch
		ev event.Event
	)
	r := envelope.Record{Body: body}
	if res := n.Normalize(&r, &s, &ev); res.Outcome != Normalised {
		t.Fatalf("outcome %d, reason %q: %s", res.Outcome, res.Reason, res.Detail)
	}
	if err := n.Identify(&r, &s, &ev); err != nil {
		t.Fatal(err)
	}
	return ev
}

// quote writes v as JSON in a JSON string.
func quote(t *testing.T, v string) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// SharePoint names the application at the top where it says nothing of the token; what Defender calls so is another thing.
func TestApplicationOfADocument(t *testing.T) {
	const app, token = "08e18876-6177-487e-b8b5-cf950c1e598c", "9199bf20-a13f-4107-85dc-02114787ef48"
	record := func(more string) string {
		return `{"CreationTime":"2025-10-27T07:09:33","Id":"1","Operation":"FileAccessed","RecordType":6,"Workload":"SharePoint","OrganizationId":"` + tenant + `"` + more + `}`
	}
	for body, want := range map[string]string{
		record(`,"ApplicationId":"` + app + `"`):                                                    app,
		record(`,"ApplicationId":"` + app + `","AppAccessContext":{"ClientAppId":"` + token + `"}`): token,
		record(`,"ApplicationId":20893`):                                                            "",
		record(`,"ApplicationId":""`):                                                               "",
		`{"ActionType":"FileAccessed","ApplicationId":20892,"Timestamp":"2025-10-27T07:09:33Z","RawEventData":` + record(`,"ApplicationId":"`+app+`"`) + `}`: app,
		`{"ActionType":"FileAccessed","ApplicationId":20892,"Timestamp":"2025-10-27T07:09:33Z","RawEventData":` + record("") + `}`:                           "",
	} {
		if ev := read(t, body); ev.App.ID.V != want {
			t.Errorf("%s: %q, want %q", body, ev.App.ID.V, want)
		}
	}
}

// One sign-in, a tenth of a second before midnight, as each feed writes it.
func TestOneSignInInEverySpelling(t *testing.T) {
	const (
		id      = "0f94f5fb-3583-4c46-9bfa-0390c1988800"
		steps   = `[{"authenticationMethod":"Password","succeeded":true}]`
		status  = `{"errorCode":0,"additionalDetails":"MFA requirement satisfied by claim in the token"}`
		protect = `{"signInSessionStatus":"unbound","signInSessionStatusCode":1004}`
	)
	properties := `"id":"` + id + `","createdDateTime":"2025-07-24T23:59:59.9+00:00","userPrincipalName":"ada@contoso.example",` +
		`"userId":"aaaaaaaa-0000-4000-8000-000000000001","appId":"1b730954-1685-4b74-9bfd-dac224a7b894","appDisplayName":"PowerShell",` +
		`"ipAddress":"192.0.2.7","status":` + status + `,"userAgent":"Mozilla/5.0","mfaDetail":{},"authenticationDetails":` + steps + `,` +
		`"tokenIssuerName":"","tokenIssuerType":"AzureAD","riskEventTypes_v2":["anomalousToken"],"riskState":"none","resourceId":"00000003-0000-0000-c000-000000000000",` +
		`"resourceTenantId":"` + tenant + `","homeTenantId":"` + tenant + `","userType":"Member","uniqueTokenIdentifier":"-_WUD4M1Rkyb-gOQwZiIAA",` +
		`"incomingTokenType":"primaryRefreshToken,saml11","authenticationProtocol":"none","tokenProtectionStatusDetails":` + protect + `,"sessionId":"s-1","conditionalAccessStatus":"notApplied"`
	table := `"Type":"AADNonInteractiveUserSignInLogs","TenantId":"` + another + `","AADTenantId":"` + tenant + `","Category":"NonInteractiveUserSignInLogs","Id":"` + id + `",` +
		`"UserPrincipalName":"ada@contoso.example","UserId":"aaaaaaaa-0000-4000-8000-000000000001","AppId":"1b730954-1685-4b74-9bfd-dac224a7b894","AppDisplayName":"PowerShell",` +
		`"IPAddress":"192.0.2.7","UserAgent":"Mozilla/5.0","TokenIssuerName":"","TokenIssuerType":"AzureAD","RiskState":"none","ResourceIdentity":"00000003-0000-0000-c000-000000000000",` +
		`"ResourceTenantId":"` + strings.ToUpper(tenant) + `","HomeTenantId":"` + tenant + `","UserType":"Member","UniqueTokenIdentifier":"-_WUD4M1Rkyb-gOQwZiIAA",` +
		`"IncomingTokenType":"primaryRefreshToken,saml11","AuthenticationProtocol":"none","SessionId":"s-1",`
	spellings := map[string]string{
		"diagnostic record": `{"time":"2025-07-25T00:02:44.2442191Z","category":"NonInteractiveUserSignInLogs","tenantId":"` + another + `","resourceId":"/tenants/x/providers/Microsoft.aadiam",` +
			`"resultType":"0","callerIpAddress":"198.51.100.1","properties":{` + properties + `}}`,
		"Graph signIn": `{` + properties + `}`,
		"Log Analytics row": `{` + table + `"CreatedDateTime":"2025-07-24T23:59:59.9Z","TimeGenerated":"2025-07-24T23:59:59.9Z","Status":` + status + `,"MfaDetail":{},` +
			`"AuthenticationDetails":` + steps + `,"RiskEventTypes_V2":["anomalousToken"],"TokenProtectionStatusDetails":` + protect + `}`,
		"Log Analytics row of strings": `{` + table + `"TimeGenerated":"7/24/2025, 11:59:59.900 PM","Status":` + quote(t, status) + `,"MfaDetail":"{}",` +
			`"AuthenticationDetails":` + quote(t, steps) + `,"RiskEventTypes_V2":"[\"anomalousToken\"]","TokenProtectionStatusDetails":` + quote(t, protect) + `}`,
		"Log Analytics CSV with split columns": `{` + table + `"CreatedDateTime":"7/24/2025, 11:59:59.900 PM","Status_string":` + quote(t, status) + `,"MfaDetail_dynamic":"{}",` +
			`"AuthenticationDetails":` + quote(t, steps) + `,"RiskEventTypes_V2":"[\"anomalousToken\"]","TokenProtectionStatusDetails":` + quote(t, protect) + `}`,
		"blank for T, no zone, nine digits": `{"time":"2025-07-25 00:02:44.244","category":"NonInteractiveUserSignInLogs","tenantid":"` + another + `","resulttype":0,` +
			`"properties":{` + strings.Replace(properties, "2025-07-24T23:59:59.9+00:00", "2025-07-24 23:59:59.900000000", 1) + `}}`,
		"another zone": `{"category":"NonInteractiveUserSignInLogs","properties":{` +
			strings.Replace(properties, "2025-07-24T23:59:59.9+00:00", "2025-07-25T05:29:59.9+05:30", 1) + `}}`,
	}
	want := time.Date(2025, 7, 24, 23, 59, 59, 900_000_000, time.UTC)
	for name, body := range spellings {
		t.Run(name, func(t *testing.T) {
			ev := read(t, body)
			if ev.ID != "signin|"+tenant+"|"+id {
				t.Errorf("id %s", ev.ID)
			}
			if !ev.Time.V.Equal(want) {
				t.Errorf("time %s", ev.Time.V)
			}
			texts := map[string]struct {
				got  event.Text
				want string
			}{
				"user":     {ev.Actor.Name, "ada@contoso.example"},
				"user id":  {ev.Actor.ObjectID, "aaaaaaaa-0000-4000-8000-000000000001"},
				"app":      {ev.App.ID, "1b730954-1685-4b74-9bfd-dac224a7b894"},
				"resource": {ev.App.Resource, "00000003-0000-0000-c000-000000000000"},
				"uti":      {ev.Token.ID, "-_WUD4M1Rkyb-gOQwZiIAA"},
				"session":  {ev.Token.SessionID, "s-1"},
				"binding":  {ev.SignIn.SessionBinding, "unbound"},
				"details":  {ev.SignIn.AdditionalDetails, "MFA requirement satisfied by claim in the token"},
				"agent":    {ev.Net.UserAgent, "Mozilla/5.0"},
			}
			for what, x := range texts {
				if x.got != event.Of(x.want) {
					t.Errorf("%s is %+v, want %q", what, x.got, x.want)
				}
			}
			if ev.SignIn.IssuerName != event.Of("") {
				t.Errorf("an empty issuer name is %+v, want present and empty", ev.SignIn.IssuerName)
			}
			if ev.Net.IP != event.Of(netip.MustParseAddr("192.0.2.7")) {
				t.Errorf("address %+v", ev.Net.IP)
			}
			if ev.SignIn.ErrorCode != event.Of(int64(0)) || ev.SignIn.AuthSteps != event.Of(int64(1)) || ev.SignIn.MFADetail != event.Of(false) {
				t.Errorf("status %+v, steps %+v, mfa %+v", ev.SignIn.ErrorCode, ev.SignIn.AuthSteps, ev.SignIn.MFADetail)
			}
			if got := strings.Join(ev.SignIn.IncomingTokenTypes.V, " "); got != "primaryRefreshToken saml11" {
				t.Errorf("incoming token types %q", got)
			}
			if got := strings.Join(ev.SignIn.RiskEvents.V, " "); got != "anomalousToken" {
				t.Errorf("risk events %q", got)
			}
		})
	}
}

// One mailbox access, a tenth of a second before midnight, as each feed writes it.
func TestOneMailboxAccessInEverySpelling(t *testing.T) {
	const id = "699e0b10-1c53-403e-976f-ce0847a92b44"
	record := `{"CreationTime":"2025-10-27T23:59:59.9","Id":"` + id + `","Operation":"MailItemsAccessed","OrganizationId":"` + tenant + `","RecordType":50,` +
		`"ResultStatus":"Succeeded","UserKey":"1003","UserType":0,"Workload":"Exchange","UserId":"ada@contoso.example","AppId":"00000002-0000-0ff1-ce00-000000000000",` +
		`"ClientAppId":"","ClientIPAddress":"[2a01:110:8068::5f1f]:36185","ClientInfoString":"Client=OWA;Action=ViaProxy","ExternalAccess":false,"LogonType":0,` +
		`"MailboxGuid":"d0c5f8ae-9ed7-4e46-bfdf-ea1460f5a31b","OperationProperties":[{"Name":"MailAccessType","Value":"Bind"},{"Name":"IsThrottled","Value":"False"}],"OperationCount":1,` +
		`"TokenTenantId":"` + tenant + `","AppAccessContext":{"ClientAppId":"9199bf20-a13f-4107-85dc-02114787ef48","IssuedAtTime":"2025-10-26T13:12:18","UniqueTokenId":"xMFjTVvJPE2OChJx_YE-AA"}}`
	powershell := strings.Replace(record, `[{"Name":"MailAccessType","Value":"Bind"},{"Name":"IsThrottled","Value":"False"}]`,
		`["@{Value=Bind; Name=MailAccessType}","@{Value=False; Name=IsThrottled}"]`, 1)
	withZone := strings.Replace(record, "23:59:59.9", "23:59:59.9000000Z", 1)
	xdr := func(raw string) string {
		return `{"time":"2025-10-28T00:03:00Z","tenantId":"` + another + `","operationName":"Publish","category":"AdvancedHunting-CloudAppEvents","properties":{"ActionType":"MailItemsAccessed",` +
			`"Timestamp":"2025-10-28T00:01:00Z","IPAddress":"203.0.113.9","AccountObjectId":"x","RawEventData":` + raw + `}}`
	}
	office := `{"Type":"OfficeActivity","TenantId":"` + another + `","TimeGenerated":"2025-10-27T23:59:59.9Z","OfficeId":"` + id + `","Operation":"MailItemsAccessed","OrganizationId":"` + tenant + `","RecordType":"50",` +
		`"UserType":"Regular","OfficeWorkload":"Exchange","UserId":"ada@contoso.example","AppId":"00000002-0000-0ff1-ce00-000000000000","Client_IPAddress":"2a01:110:8068::5f1f",` +
		`"ClientInfoString":"Client=OWA;Action=ViaProxy","ExternalAccess":"False","Logon_Type":"Owner","MailboxGuid":"d0c5f8ae-9ed7-4e46-bfdf-ea1460f5a31b","OperationCount":"1",` +
		`"OperationProperties":"[{\"Value\":\"Bind\",\"Name\":\"MailAccessType\"},{\"Name\":\"IsThrottled\",\"Value\":\"False\"}]",` +
		`"AppAccessContext":{"ClientAppId":"9199bf20-a13f-4107-85dc-02114787ef48","IssuedAtTime":"2025-10-26T13:12:18","UniqueTokenId":"xMFjTVvJPE2OChJx_YE-AA"}}`
	const context = `{"ClientAppId":"9199bf20-a13f-4107-85dc-02114787ef48","IssuedAtTime":"2025-10-26T13:12:18","UniqueTokenId":"xMFjTVvJPE2OChJx_YE-AA"}`
	spellings := map[string]string{
		"Management Activity API":   record,
		"Purview search":            `{"RecordId":"` + id + `","CreationDate":"2025-10-28T00:10:00Z","RecordType":"50","Operation":"MailItemsAccessed","UserId":"ADA@contoso.example","AuditData":` + quote(t, record) + `}`,
		"Defender, object":          xdr(withZone),
		"Defender, string":          xdr(quote(t, withZone)),
		"Defender, PowerShell list": xdr(powershell),
		"Defender row":              `{"Timestamp":"2025-10-28T00:01:00Z","ActionType":"MailItemsAccessed","RawEventData":` + record + `}`,
		"OfficeActivity":            office,
		"OfficeActivity, exported":  strings.Replace(office, context, quote(t, context), 1),
	}
	for name, body := range spellings {
		t.Run(name, func(t *testing.T) {
			ev := read(t, body)
			if ev.ID != "audit|"+tenant+"|"+id {
				t.Errorf("id %s", ev.ID)
			}
			if want := time.Date(2025, 10, 27, 23, 59, 59, 900_000_000, time.UTC); !ev.Time.V.Equal(want) {
				t.Errorf("time %s", ev.Time.V)
			}
			if ev.App.ID.V != "9199bf20-a13f-4107-85dc-02114787ef48" || ev.Audit.FrontendApp.V != "00000002-0000-0ff1-ce00-000000000000" {
				t.Errorf("client app %+v, front end %+v", ev.App.ID, ev.Audit.FrontendApp)
			}
			if ev.Net.IP != event.Of(netip.MustParseAddr("2a01:110:8068::5f1f")) {
				t.Errorf("address %+v", ev.Net.IP)
			}
			a := ev.Audit
			if a.RecordType.V != 50 || !a.UserType.OK() || a.LogonType != event.Of(int64(0)) || a.ExternalAccess != event.Of(false) {
				t.Errorf("record type %+v, user type %+v, logon type %+v, external %+v", a.RecordType, a.UserType, a.LogonType, a.ExternalAccess)
			}
			if a.MailAccessType.V != "Bind" || a.Throttled != event.Of(false) || a.OperationCount != event.Of(int64(1)) {
				t.Errorf("access type %+v, throttled %+v, count %+v", a.MailAccessType, a.Throttled, a.OperationCount)
			}
			if ev.Token.ID.V != "xMFjTVvJPE2OChJx_YE-AA" || !ev.Token.IssuedAt.OK() {
				t.Errorf("token %+v", ev.Token)
			}
		})
	}
}

func TestOtherFeeds(t *testing.T) {
	for _, c := range []struct {
		name, body string
		kind       event.Kind
		id         event.ID
		check      func(*event.Event) string
	}{
		{
			"Graph activity, diagnostic",
			`{"time":"2025-10-02T09:00:00Z","category":"MicrosoftGraphActivityLogs","durationMs":"17","tenantId":"` + tenant + `","properties":{"timeGenerated":"2025-10-02T08:56:25.071773Z","requestId":"r-1","appId":"a","userId":"u","C_Idtyp":"user","C_Iat":"1759394725","C_Sid":"s","signInActivityId":"nCIzipjKBXc87y9rpX8dAA==","roles":" Group.Read.All,","scopes":null,"requestUri":"https://graph.microsoft.com/v1.0/me/messages","responseStatusCode":200,"clientAuthMethod":0}}`,
			event.GraphActivity, "graph|" + tenant + "|r-1",
			func(e *event.Event) string {
				if e.Token.IssuedAt.V.Unix() != 1759394725 || e.Token.Scopes.State != event.Null || len(e.Token.Roles.V) != 1 || e.Graph.Status.V != 200 || e.Graph.ClientAuthMethod.V != "0" || e.Token.SessionID.V != "s" {
					return "fields"
				}
				return ""
			},
		},
		{
			"Graph activity, Log Analytics",
			`{"Type":"MicrosoftGraphActivityLogs","TenantId":"` + another + `","AadTenantId":"` + tenant + `","TimeGenerated":"2025-10-02T08:56:25Z","RequestId":"r-1","AppId":"a","SessionId":"s","TokenIssuedAt":"2025-10-02T08:45:25Z","ResponseStatusCode":200}`,
			event.GraphActivity, "graph|" + tenant + "|r-1",
			func(e *event.Event) string {
				if e.Token.SessionID.V != "s" || !e.Token.IssuedAt.OK() {
					return "fields"
				}
				return ""
			},
		},
		{
			"sign-in with the older name of its risk events and nothing to say of its status",
			`{"time":"2025-01-01T00:00:00Z","category":"SignInLogs","tenantId":"` + tenant + `","properties":{"id":"s","createdDateTime":"2025-01-01T00:00:00Z","status":{"errorCode":0},"riskEventTypes":["anomalousToken"]}}`,
			event.SignIn, "signin|" + tenant + "|s",
			func(e *event.Event) string {
				if strings.Join(e.SignIn.RiskEvents.V, "") != "anomalousToken" || e.SignIn.AdditionalDetails != event.Of("") {
					return "fields"
				}
				return ""
			},
		},
		{
			"sign-in with both names of its risk events and no status",
			`{"time":"2025-01-01T00:00:00Z","category":"SignInLogs","tenantId":"` + tenant + `","resultType":"0","properties":{"id":"s","createdDateTime":"2025-01-01T00:00:00Z","riskEventTypes":["generic"],"riskEventTypes_v2":["anomalousToken"]}}`,
			event.SignIn, "signin|" + tenant + "|s",
			func(e *event.Event) string {
				if strings.Join(e.SignIn.RiskEvents.V, "") != "anomalousToken" || !e.SignIn.ErrorCode.OK() || e.SignIn.AdditionalDetails.State != event.Absent {
					return "fields"
				}
				return ""
			},
		},
		{
			"SAML observation with the digests of its certificate as tools print them",
			`{"kind":"saml-observation","schemaVersion":1,"id":"a-1","time":"2025-10-02T08:56:25Z","tenantId":"` + tenant + `","observer":{"name":"wiki","type":"app"},"validation":{"result":"accepted","signaturePresent":true},"request":{"ip":"192.0.2.7"},"signature":{"algorithm":"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256","certificateSha1":"AB:CD:EF"},"assertion":{"issuer":"http://sts.contoso.example/","subject":"ada@contoso.example","issueInstant":"2025-10-02T08:56:20.118Z","authnInstant":"2025-10-02T08:50:00Z","notBefore":"2025-10-02T08:51:20Z","notOnOrAfter":null}}`,
			event.AssertionObserved, "saml|" + tenant + "|a-1",
			func(e *event.Event) string {
				a := e.SAML
				if a.Issuer.V != "http://sts.contoso.example/" || e.Actor.Name.V != "ada@contoso.example" || a.CertSHA1.V != "abcdef" || a.CertSHA256.State != event.Absent ||
					a.NotOnOrAfter.State != event.Null || !a.IssuedAt.OK() || !a.Authn.OK() || e.Observed.Result.V != "accepted" || !e.Net.IP.OK() {
					return "fields"
				}
				return ""
			},
		},
		{
			"SAML observation with the whole certificate, which wins over the digests beside it",
			`{"kind":"saml-observation","id":"a-2","time":"2025-10-02T08:56:25Z","tenantId":"` + tenant + `","signature":{"certificate":"YWJj","certificateSha1":"00"}}`,
			event.AssertionObserved, "saml|" + tenant + "|a-2",
			func(e *event.Event) string {
				if e.SAML.CertSHA1.V != "a9993e364706816aba3e25717850c26c9cd0d89d" || e.SAML.CertSHA256.V != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
					return "digests"
				}
				return ""
			},
		},
		{
			"risk, diagnostic with a US date in its envelope",
			`{"time":"3/24/2022 2:42:35 PM","category":"UserRiskEvents","tenantId":"` + tenant + `","properties":{"id":"k","riskEventType":"tokenIssuerAnomaly","riskState":"atRisk","riskLevel":"high","activityDateTime":"2022-03-24T14:02:35.1Z","userId":"u","requestId":"q"}}`,
			event.Risk, "risk|" + tenant + "|k|atRisk", nil,
		},
		{
			"risk, Graph", `{"id":"k","riskType":"tokenIssuerAnomaly","riskState":"remediated","activityDateTime":"3/24/2022 2:42:35 PM"}`,
			event.Risk, "risk|" + tenant + "|k|remediated", nil,
		},
		{
			"directory, diagnostic",
			`{"time":"2025-01-01T00:00:00Z","category":"AuditLogs","tenantId":"` + tenant + `","operationName":"Set domain authentication ","properties":{"id":"d","activityDateTime":"2025-01-01T00:00:00Z","initiatedBy":{"user":{"userPrincipalName":"a@b","displayName":"Ada","ipAddress":"::ffff:192.0.2.1"}},"targetResources":[{"displayName":"contoso.example","modifiedProperties":[{"displayName":"LiveType","oldValue":"[\"Managed\"]","newValue":"[\"Federated\"]"}]}]}}`,
			event.DirectoryChange, "directory|" + tenant + "|d",
			func(e *event.Event) string {
				if e.Directory.Activity.V != "Set domain authentication" || e.Directory.Target.V != "contoso.example" || e.Net.IP.V != netip.MustParseAddr("192.0.2.1") ||
					len(e.Directory.Changes.V) != 1 || e.Directory.Changes.V[0] != (event.Parameter{Name: "LiveType", Value: `["Federated"]`}) {
					return "fields"
				}
				return ""
			},
		},
		{
			"directory, Log Analytics strings",
			`{"Type":"AuditLogs","Category":"DirectoryManagement","AADTenantId":"` + tenant + `","TimeGenerated":"2025-01-01T00:00:00Z","Id":"d","OperationName":"Set domain authentication","InitiatedBy":"{\"user\":{\"displayName\":null,\"userPrincipalName\":\"a@b\"}}","TargetResources":"[{\"displayName\":\"contoso.example\",\"modifiedProperties\":[{\"displayName\":\"LiveType\",\"newValue\":\"[\\\"Federated\\\"]\"}]}]"}`,
			event.DirectoryChange, "directory|" + tenant + "|d",
			func(e *event.Event) string {
				if e.Directory.InitiatorUPN.V != "a@b" || e.Directory.InitiatorName.State != event.Null || len(e.Directory.Changes.V) != 1 {
					return "fields"
				}
				return ""
			},
		},
		{
			"token observation",
			`{"kind":"token-observation","schemaVersion":1,"id":"o-1","time":"2025-10-02T08:56:25Z","observer":{"name":"apim","type":"apim"},"request":{"ip":"192.0.2.1:443"},"validation":{"result":"accepted","signaturePresent":true,"segments":3},"header":{"alg":"RS256","kid":"k","x5c":["AAEC"]},"claims":{"iss":"i","tid":"` + another + `","iat":1759394725,"exp":1.7593986e9,"roles":["a","b"],"xms_act":{"tid":"t"}}}`,
			event.TokenObserved, "token|" + tenant + "|o-1",
			func(e *event.Event) string {
				if e.Token.CertThumbprint.V != "0c7a623fd2bbc05b06423be359e4021d36e721ad" || e.Token.Expires.V.Unix() != 1759398600 || e.Token.ActorTenant.V != "t" ||
					strings.Join(e.Token.EmbeddedKeyRefs.V, "") != "x5c" || strings.Join(e.Token.Actor.V, "") != "xms_act" || len(e.Token.Roles.V) != 2 {
					return "fields"
				}
				return ""
			},
		},
		{
			"Azure Activity claims",
			`{"time":"2018-03-07T14:23:51.991Z","operationName":"X/WRITE","category":"Write","tenantId":"` + tenant + `","callerIpAddress":"192.0.2.1","identity":{"claims":{"aud":"https://management.core.windows.net/","iss":"https://sts.windows.net/t/","iat":"1520430057","http://schemas.microsoft.com/identity/claims/tenantid":"t","http://schemas.microsoft.com/identity/claims/objectidentifier":"o","uti":"kINdgmA35kmIMsXXinoXAA","ver":"1.0"}}}`,
			event.TokenObserved, "",
			func(e *event.Event) string {
				if e.Token.Tenant.V != "t" || e.Token.ObjectID.V != "o" || e.Token.EmbeddedKeyRefs.State != event.Absent || e.Observed.ObserverType.V != "azure-activity" ||
					!strings.HasPrefix(string(e.ID), "token|"+tenant+"|sha256:") {
					return "fields"
				}
				return ""
			},
		},
		{
			"audit record whose token context PowerShell printed",
			`{"CreationTime":"2025-10-27T23:59:59","Id":"x","Operation":"MailItemsAccessed","OrganizationId":"` + tenant + `","RecordType":50,"AppAccessContext":"@{UniqueTokenId=u}"}`,
			event.Audit, "audit|" + tenant + "|x",
			func(e *event.Event) string {
				if e.Token.ID.State != event.Unreadable || e.Token.IssuedAt.State != event.Unreadable {
					return "fields"
				}
				return ""
			},
		},
		{
			"lower-case cmdlet record",
			`{"creationtime":"2022-12-12 22:19:00","id":"x","operation":"Set-Mailbox","organizationid":"` + tenant + `","recordtype":1,"userid":"u@x","parameters":"-Identity \"a b\" -AuditEnabled False"}`,
			event.Audit, "audit|" + tenant + "|x",
			func(e *event.Event) string {
				if len(e.Audit.Parameters.V) != 2 || e.Audit.Parameters.V[0].Value != "a b" || e.Audit.Parameters.V[1] != (event.Parameter{Name: "AuditEnabled", Value: "False"}) {
					return "fields"
				}
				return ""
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev := read(t, c.body)
			if ev.Kind != c.kind || c.id != "" && ev.ID != c.id {
				t.Errorf("kind %s, id %s", ev.Kind, ev.ID)
			}
			if c.check != nil {
				if what := c.check(&ev); what != "" {
					t.Errorf("%s differ: %+v", what, ev)
				}
			}
		})
	}
}

func TestRefusedAndIgnored(t *testing.T) {
	for _, c := range []struct {
		name, body string
		outcome    Outcome
		reason     string
		category   string
	}{
		{"truncated", `{"category":"SignInLogs"`, Refused, "invalid-json", ""},
		{"trailing text", `{"category":"SignInLogs"} x`, Refused, "invalid-json", ""},
		{"NaN", `{"category":NaN}`, Refused, "invalid-json", ""},
		{"invalid UTF-8", "{\"category\":\"\xff\"}", Refused, "invalid-utf8", ""},
		{"lone surrogate", `{"x":"\ud800"}`, Refused, "invalid-utf8", ""},
		{"a wanted name twice", `{"category":"SignInLogs","properties":{"homeTenantId":"a","homeTenantId":"b"}}`, Refused, "duplicate-field", ""},
		{"too deep", strings.Repeat("[", 65) + strings.Repeat("]", 65), Refused, "nested-too-deep", ""},
		{"an array", `[1]`, Refused, "not-an-object", ""},
		{"of no known shape", `{"hello":"world"}`, Refused, "unrecognised-format", ""},
		{"broken audit record inside", `{"AuditData":"{\"Id\":"}`, Refused, "invalid-json", "Audit"},
		{"no time", `{"category":"SignInLogs","time":"2025-01-01T00:00:00Z","properties":{"id":"x"}}`, Refused, "event-time-absent", "SignInLogs"},
		{"no such day", `{"category":"SignInLogs","properties":{"createdDateTime":"2025-02-30T00:00:00Z"}}`, Refused, "event-time-unreadable", "SignInLogs"},
		{"a category that nobody reads", `{"category":"ProvisioningLogs","operationName":"x","time":"2025-01-01T00:00:00Z"}`, Ignored, "", "ProvisioningLogs"},
		{"another Defender table", `{"category":"AdvancedHunting-DeviceEvents","properties":{"ActionType":"X"}}`, Ignored, "", "AdvancedHunting-DeviceEvents"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var (
				s  Scratch
				ev event.Event
			)
			res := New(decode.Reference{}, "").Normalize(&envelope.Record{Body: c.body}, &s, &ev)
			if res.Outcome != c.outcome || res.Reason != c.reason || res.Category != c.category {
				t.Errorf("got %+v", res)
			}
		})
	}
}

func TestInstant(t *testing.T) {
	utc := func(y int, mo time.Month, d, h, mi, s, ns int) time.Time {
		return time.Date(y, mo, d, h, mi, s, ns, time.UTC)
	}
	for text, want := range map[string]time.Time{
		"2025-07-24T15:32:44.2442191Z":      utc(2025, 7, 24, 15, 32, 44, 244219100),
		"2024-02-01T16:07:34":               utc(2024, 2, 1, 16, 7, 34, 0),
		"2022-12-12 19:31:41":               utc(2022, 12, 12, 19, 31, 41, 0),
		"2023-07-26 22:58:30.983201900":     utc(2023, 7, 26, 22, 58, 30, 983201900),
		"2019-10-18T04:45:48.0729893-05:00": utc(2019, 10, 18, 9, 45, 48, 72989300),
		"2020-02-29T00:00:00.123456789012Z": utc(2020, 2, 29, 0, 0, 0, 123456789),
		"12/12/2025 3:03:58 PM":             utc(2025, 12, 12, 15, 3, 58, 0),
		"4/28/2021, 2:54:37.000 PM":         utc(2021, 4, 28, 14, 54, 37, 0),
		"01/09/2007 09:41:00":               utc(2007, 1, 9, 9, 41, 0, 0),
		"1/9/2007 10:41:00 AM +01:00":       utc(2007, 1, 9, 9, 41, 0, 0),
		"1520430057":                        utc(2018, 3, 7, 13, 40, 57, 0),
		"1.7593986e9":                       utc(2025, 10, 2, 9, 50, 0, 0),
	} {
		got := instant(decode.Value{Kind: decode.String, Text: text})
		if !got.OK() || !got.V.Equal(want) {
			t.Errorf("%s: got %+v, want %s", text, got, want)
		}
	}
	for _, text := range []string{"yesterday", "2025-13-01T00:00:00Z", "2025-01-01T24:00:00Z", "2025-01-01T00:00:00+25:00", "2025-01-01T00:00:00.Z", "-5", "1e300", "0x10", "99999999999999", "1/32/2025 1:00:00 AM"} {
		if got := instant(decode.Value{Kind: decode.String, Text: text}); got.State != event.Unreadable {
			t.Errorf("%s: got %+v, want unreadable", text, got)
		}
	}
	if got := instant(decode.Value{Kind: decode.String}); got.State != event.Absent {
		t.Errorf("an empty text: got %+v, want absent", got)
	}
}

func TestAddress(t *testing.T) {
	for text, want := range map[string]string{
		"1.2.3.4:63070": "1.2.3.4", "[2a01:110::1]:36185": "2a01:110::1", "[::1]": "::1", "::ffff:1.2.3.4": "1.2.3.4", "fe80::1%eth0": "fe80::1", " 1.2.3.4 ": "1.2.3.4",
	} {
		if got := address(decode.Value{Kind: decode.String, Text: text}); !got.OK() || got.V.String() != want {
			t.Errorf("%s: got %+v", text, got)
		}
	}
	for text, want := range map[string]event.State{"": event.Absent, "<null>": event.Absent, "123.456.7.89": event.Unreadable, "FE80::": event.Present, "77777777-7777-7777-7777-777777777777": event.Unreadable} {
		if got := address(decode.Value{Kind: decode.String, Text: text}); got.State != want {
			t.Errorf("%q: got %+v", text, got)
		}
	}
}

// An id-less record has one id however its JSON is written, and integers keep their digits.
func TestIdentityFromContent(t *testing.T) {
	a := read(t, `{"category":"SignInLogs","properties":{"createdDateTime":"2025-01-01T00:00:00Z","n":638500369660000001}}`)
	b := read(t, "{ \"properties\": {\"n\":638500369660000001,\"createdDateTime\":\"2025-01-01T00:00:00\\u005a\"},\n\"category\":\"SignInLogs\"}")
	c := read(t, `{"category":"SignInLogs","properties":{"createdDateTime":"2025-01-01T00:00:00Z","n":638500369660000002}}`)
	if a.ID != b.ID || a.ID == c.ID {
		t.Errorf("ids %s, %s, %s", a.ID, b.ID, c.ID)
	}
	// The audit record alone counts, not the wrapper of the feed.
	record := `{"CreationTime":"2025-10-27T10:00:00","Operation":"Send","OrganizationId":"` + tenant + `","RecordType":2}`
	for _, body := range []string{
		`{"ActionType":"Send","Timestamp":"2025-10-28T00:01:00Z","RawEventData":` + record + `}`,
		`{"category":"AdvancedHunting-CloudAppEvents","properties":{"ActionType":"Send","RawEventData":` + quote(t, record) + `}}`,
		`{"AuditData":` + quote(t, record) + `}`,
	} {
		if got, want := read(t, body).ID, read(t, record).ID; got != want {
			t.Errorf("%s: id %s, want %s", body, got, want)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{
		`{"category":"SignInLogs","properties":{"createdDateTime":"2025-01-01T00:00:00Z","status":"{\"errorCode\":0}","riskEventTypes_v2":"[a,b]"}}`,
		`{"CreationTime":"2025-10-27T10:00:00","Operation":"New-X","RecordType":1,"Parameters":"-A \"b\" -C","OperationProperties":["@{Value=Bind; Name=MailAccessType}"]}`,
		`{"kind":"token-observation","time":"1759394725","header":{"x5c":["AAEC"]},"claims":{"actort":"e30.eyJ0aWQiOiJ0In0.e30"}}`,
		`{"ActionType":"x","RawEventData":"{\"CreationTime\":\"1/9/2007 10:41:00 AM +01:00\",\"Operation\":\"x\"}"}`,
		`{"Type":"AuditLogs","TimeGenerated":"2025-01-01T00:00:00Z","InitiatedBy":"{}","TargetResources":"[{\"modifiedProperties\":[{\"displayName\":\"x\",\"newValue\":[1]}]}]"}`,
	} {
		f.Add(seed)
	}
	n := New(decode.Scanner{}, "")
	f.Fuzz(func(t *testing.T, body string) {
		var (
			s, again   Scratch
			ev, second event.Event
		)
		r := envelope.Record{Body: body}
		res := n.Normalize(&r, &s, &ev)
		if res.Outcome != Normalised {
			return
		}
		if ev.Kind == event.KindNone || ev.Tenant == "" || !ev.Time.OK() {
			t.Fatalf("a normalised event lacks its kind, tenant or time: %+v", ev)
		}
		if err := n.Identify(&r, &s, &ev); err != nil {
			t.Fatalf("identify: %v", err)
		}
		// A scratch that was used before changes nothing.
		n.Normalize(&envelope.Record{Body: `{"category":"SignInLogs","properties":{"id":"left-over","createdDateTime":"2025-01-01T00:00:00Z"}}`}, &again, &second)
		if res := n.Normalize(&r, &again, &second); res.Outcome != Normalised {
			t.Fatalf("refused the second time: %+v", res)
		}
		if err := n.Identify(&r, &again, &second); err != nil || ev.ID != second.ID || ev.Time != second.Time || ev.Token.ID != second.Token.ID {
			t.Fatalf("differs the second time: %v, %s, %s", err, ev.ID, second.ID)
		}
	})
}

// What rules of users ask for beside the fields of an event stands in it as it was logged, whatever the feed.
func TestExtras(t *testing.T) {
	t.Parallel()
	n, err := New(decode.Scanner{}, tenant).With([]decode.Extra{
		decode.SignInExtra("clientAppUsed"), decode.SignInExtra("deviceDetail"), decode.AuditExtra("ResultStatus"), decode.SignInExtra("appId"),
	}, true)
	if err != nil {
		t.Fatal(err)
	}
	const audit = `{"CreationTime":"2024-02-01T16:07:34","Operation":"Set-Mailbox","RecordType":1,"Workload":"Exchange","ResultStatus":"True"}`
	var s Scratch
	for _, c := range []struct{ body, want, record string }{
		{`{"category":"SignInLogs","properties":{"createdDateTime":"2025-07-24T23:59:59Z","clientAppUsed":"Browser","deviceDetail":{"os":"x"},"appId":"a"}}`, `Browser {"os":"x"} (absent) a`, ""},
		{`{"Type":"SigninLogs","CreatedDateTime":"2025-07-24T23:59:59Z","ClientAppUsed":null,"DeviceDetail":"{}","AppId":7}`, `(null) {} (absent) 7`, ""},
		{audit, `(absent) (absent) True (absent)`, ""},
		{`{"AuditData":` + quote(t, audit) + `}`, `(absent) (absent) True (absent)`, audit},
		{`{"RawEventData":` + audit + `,"ActionType":"x"}`, `(absent) (absent) True (absent)`, audit},
	} {
		var ev event.Event
		r := envelope.Record{Body: c.body}
		if res := n.Normalize(&r, &s, &ev); res.Outcome != Normalised {
			t.Fatalf("%s: %s", c.body, res.Detail)
		}
		var got []string
		for _, x := range ev.Extra {
			if x.State != event.Present {
				x.V = "(" + x.State.String() + ")"
			}
			got = append(got, x.V)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.body, got, c.want)
		}
		if c.record == "" {
			c.record = c.body
		}
		if ev.Record != c.record {
			t.Errorf("%s: the record is %s", c.body, ev.Record)
		}
	}
	if _, err := n.With([]decode.Extra{{Name: "x"}}, false); err == nil {
		t.Error("an extra without a spelling is taken")
	}
}

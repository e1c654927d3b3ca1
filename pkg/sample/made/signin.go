package made

import (
	"strconv"
	"strings"
	"time"
)

// signIn is the fact that somebody, or some program, signed in.
type signIn struct {
	at                       time.Time
	id, correlation, session string
	category                 string
	who                      *person // nil for services
	service                  app     // where who is nil
	client, resource         app
	address, agent           string
	interactive              bool
	code                     int
	reason, details          string
	issuerType, issuerName   string
	incoming, protocol       string
	transfer, binding        string
	cross, home              string
	credential               string
	steps                    list
	risk                     list
	riskState, riskLevel     string
	oldToken                 bool
}

const (
	interactiveLogs    = "SignInLogs"
	nonInteractiveLogs = "NonInteractiveUserSignInLogs"
	serviceLogs        = "ServicePrincipalSignInLogs"
	managedLogs        = "ManagedIdentitySignInLogs"
	adfsLogs           = "ADFSSignInLogs"
	microsoftLogs      = "MicrosoftServicePrincipalSignInLogs"
)

// signIn makes an ordinary sign-in of a person.
func (t *Tenant) signIn() signIn {
	who := t.someone()
	if t.one(25) {
		who = &t.guests[t.rnd.IntN(len(t.guests))]
	}
	s := t.bare(who)
	s.interactive = t.one(3)
	s.category = nonInteractiveLogs
	if s.interactive {
		s.category = interactiveLogs
	}
	switch {
	case s.interactive && who.federated:
		// The organisation's own AD FS vouches for password and second factor.
		s.issuerType, s.incoming, s.protocol = "ADFederationServices", "saml11", "wsFederation"
		s.details = "MFA requirement satisfied by claim provided by external provider"
		s.steps = list{t.stepDone(s.at, "Federated", "First factor requirement satisfied by claim provided by external provider")}
		if t.one(2) {
			s.issuerName = STS
		}
	case s.interactive:
		s.protocol = pick(t, []string{"none", "oAuth2", "none"})
		s.steps = list{
			t.stepDone(s.at, "Password", "Correct password"),
			t.stepDone(s.at, "Microsoft Authenticator app", "MFA completed in Azure AD"),
		}
		s.details = pick(t, []string{"MFA completed in Azure AD", "MFA requirement satisfied by claim in the token", ""})
	default:
		s.incoming = pick(t, []string{"primaryRefreshToken", "refreshToken", "none", "refreshToken"})
		s.details = pick(t, []string{"MFA requirement satisfied by claim in the token", ""})
		s.binding = pick(t, []string{"none", "bound", "unbound", "none"})
	}
	if t.one(200) && s.interactive && !who.federated {
		s.protocol, s.transfer, s.client = "deviceCode", "deviceCodeFlow", userApps[6]
	}
	if t.one(12) {
		f := pick(t, failures)
		s.code, s.reason, s.details, s.steps = f.code, f.reason, "", list{}
	}
	if t.one(60) {
		s.risk, s.riskState, s.riskLevel = list{pick(t, []string{"unfamiliarFeatures", "anonymizedIPAddress"})}, "remediated", "low"
	}
	return s
}

// bare makes a sign-in of which nothing but the outline is known.
func (t *Tenant) bare(who *person) signIn {
	s := signIn{
		at: t.now(), id: t.request(), correlation: t.guid(), session: t.guid(), who: who,
		client: pick(t, userApps), resource: pick(t, resources), agent: pick(t, browsers),
		issuerType: "AzureAD", incoming: "none", protocol: "none", transfer: "none", binding: "none", cross: "none",
		credential: "none", home: TenantID, steps: list{}, risk: list{}, riskState: "none", riskLevel: "none",
		oldToken: t.one(10),
	}
	if who != nil {
		s.address = pick(t, who.addresses)
		s.home = who.home
		if who.guest {
			s.cross = "b2bCollaboration"
		}
	}
	return s
}

// serviceSignIn makes an ordinary sign-in of a program.
func (t *Tenant) serviceSignIn() signIn {
	s := t.bare(nil)
	s.service = pick(t, services)
	s.client, s.session, s.agent = s.service, "", ""
	s.address = "198.51.100." + strconv.Itoa(200+t.rnd.IntN(8))
	switch t.rnd.IntN(4) {
	case 0:
		s.category, s.credential, s.address = managedLogs, "managedIdentity", ""
		s.client = app{t.guid(), "vm-build-01"}
	case 1:
		s.category, s.client, s.address = microsoftLogs, app{"00000002-0000-0ff1-ce00-000000000000", "Office 365 Exchange Online"}, ""
	default:
		s.category = serviceLogs
		s.credential = pick(t, []string{"clientSecret", "certificate", "clientAssertion"})
		s.resource = pick(t, []app{{graph, "Microsoft Graph"}, {azureManager, "Windows Azure Service Management API"}})
	}
	s.incoming = "none"
	return s
}

// adfsSignIn makes a sign-in that an AD FS server reports through Connect Health.
func (t *Tenant) adfsSignIn() signIn {
	who := t.someone()
	for !who.federated {
		who = t.someone()
	}
	s := t.bare(who)
	s.category, s.issuerType, s.issuerName = adfsLogs, "ADFederationServices", STS
	s.incoming, s.session, s.client = "", "", app{"urn:federation:MicrosoftOnline", "Microsoft Office 365 Identity Platform"}
	return s
}

func (t *Tenant) stepDone(at time.Time, method, result string) object {
	return record("authenticationStepDateTime", offset(at), "authenticationMethod", method, "succeeded", true,
		"authenticationStepResultDetail", result, "authenticationStepRequirement", "Primary authentication")
}

func (s signIn) token() string {
	if s.oldToken {
		return oldTokenID(s.id)
	}
	return tokenID(s.id)
}

func (s signIn) status() object {
	o := record("errorCode", s.code)
	if s.code != 0 {
		return o.with("failureReason", s.reason)
	}
	return o.with("additionalDetails", s.details)
}

// properties is a sign-in as the Graph resource signIn has it, and as it stands in a diagnostic record's properties.
func (s signIn) properties() object {
	place := places[len(s.address)%len(places)]
	location := record("city", place[0], "state", place[1], "countryOrRegion", place[2],
		"geoCoordinates", record("latitude", 51.92, "longitude", -0.5))
	o := record("id", s.id, "createdDateTime", offset(s.at))
	if s.who != nil {
		o = o.with("userDisplayName", s.who.name, "userPrincipalName", s.who.upn, "userId", s.who.oid)
	} else {
		o = o.with("userId", nil, "servicePrincipalId", s.resource.id, "servicePrincipalName", s.service.name)
	}
	o = o.with("appId", s.client.id, "appDisplayName", s.client.name, "ipAddress", s.address, "status", s.status())
	if s.category == adfsLogs {
		return o.with("correlationId", s.correlation, "isInteractive", true, "tokenIssuerName", s.issuerName,
			"tokenIssuerType", s.issuerType, "uniqueTokenIdentifier", s.token(), "resourceDisplayName", s.client.name)
	}
	user := "Member"
	if s.who != nil && s.who.guest {
		user = "Guest"
	}
	o = o.with("clientAppUsed", s.used(), "userAgent", s.agent,
		"deviceDetail", s.device(), "location", location, "mfaDetail", record(),
		"correlationId", s.correlation, "conditionalAccessStatus", s.conditionalAccess(),
		"appliedConditionalAccessPolicies", list{record("id", "4d1f0c6e-7a25-4b83-9e10-c5f8a62d7b39",
			"displayName", "Require MFA for all users", "enforcedGrantControls", list{"Mfa"}, "enforcedSessionControls", list{},
			"result", "success", "conditionsSatisfied", 3, "conditionsNotSatisfied", 0)},
		"originalRequestId", s.id, "isInteractive", s.interactive, "tokenIssuerName", s.issuerName,
		"tokenIssuerType", s.issuerType,
		"authenticationProcessingDetails", list{
			record("key", "Legacy TLS (TLS 1.0, 1.1, 3DES)", "value", "False"), record("key", "Is CAE Token", "value", "False"),
		},
		"networkLocationDetails", list{}, "clientCredentialType", s.credential, "processingTimeInMilliseconds", 127,
		"riskDetail", "none", "riskLevelAggregated", s.riskLevel, "riskLevelDuringSignIn", s.riskLevel, "riskState", s.riskState,
		"riskEventTypes", s.risk, "riskEventTypes_v2", s.risk,
		"resourceDisplayName", s.resource.name, "resourceId", s.resource.id, "resourceTenantId", TenantID, "homeTenantId", s.home,
		"authenticationDetails", s.steps, "authenticationRequirement", "multiFactorAuthentication", "userType", user,
		"flaggedForReview", false, "isTenantRestricted", false, "autonomousSystemNumber", 64500, "crossTenantAccessType", s.cross,
		"uniqueTokenIdentifier", s.token(), "incomingTokenType", s.incoming, "authenticationProtocol", s.protocol,
		"signInTokenProtectionStatus", s.binding, "originalTransferMethod", s.transfer, "appOwnerTenantId", microsoftApps,
		"resourceOwnerTenantId", microsoftApps)
	if s.session != "" {
		o = o.with("sessionId", s.session)
	}
	if s.binding != "none" {
		o = o.with("tokenProtectionStatusDetails", record("signInSessionStatus", s.binding, "signInSessionStatusCode", 1004))
	}
	return o
}

func (s signIn) used() string {
	if strings.HasPrefix(s.agent, "Mozilla") {
		return "Browser"
	}
	return "Mobile Apps and Desktop clients"
}

func (s signIn) conditionalAccess() string {
	if s.code == 53003 {
		return "failure"
	}
	return "success"
}

func (s signIn) device() object {
	if s.who == nil {
		return record()
	}
	return record("deviceId", s.who.device, "operatingSystem", "Windows10", "browser", "Edge 114.0.1823",
		"isCompliant", true, "isManaged", true, "trustType", "Azure AD joined")
}

// diagnostic is a sign-in as Entra ID's diagnostic settings stream it.
func (s signIn) diagnostic() object {
	signature, description := "None", list{}
	o := record("time", digits(s.at.Add(2*time.Minute+27*time.Second)),
		"resourceId", "/tenants/"+TenantID+"/providers/Microsoft.aadiam", "operationName", "Sign-in activity",
		"operationVersion", "1.0", "category", s.category, "tenantId", TenantID, "resultType", strconv.Itoa(s.code),
		"resultSignature", signature)
	if s.code != 0 {
		description = append(description, s.reason)
		o = o.with("resultDescription", description[0])
	}
	identity := s.service.name
	if s.who != nil {
		identity = s.who.name
	}
	return o.with("durationMs", 0, "callerIpAddress", s.address, "correlationId", s.correlation, "identity", identity,
		"Level", 4, "location", "NL", "properties", s.properties())
}

// row is a sign-in as a row of Log Analytics: flat names, and in some tables JSON in strings.
func (s signIn) row() object {
	table, nested := "SigninLogs", func(v any) any { return v }
	if s.category != interactiveLogs {
		table, nested = "AAD"+s.category, func(v any) any { return encode(v) }
		if s.category == adfsLogs {
			table = s.category
		}
	}
	o := record("TenantId", Workspace, "SourceSystem", "Azure AD", "TimeGenerated", digits(s.at),
		"OperationName", "Sign-in activity", "OperationVersion", "1.0", "Category", s.category,
		"ResultType", strconv.Itoa(s.code), "ResultSignature", "None", "DurationMs", 0, "Level", "4", "AADTenantId", TenantID)
	for _, m := range s.properties() {
		switch m.name {
		case "riskEventTypes_v2":
			m.name = "RiskEventTypes_V2"
		case "location":
			m.name = "LocationDetails"
		case "appliedConditionalAccessPolicies":
			m.name = "ConditionalAccessPolicies"
		case "ipAddress":
			m.name = "IPAddress"
		case "createdDateTime":
			m.value = digits(s.at)
		case "resourceId":
			m.name = "ResourceIdentity"
		default:
			m.name = strings.ToUpper(m.name[:1]) + m.name[1:]
		}
		switch m.value.(type) {
		case object, list:
			m.value = nested(m.value)
		}
		o = append(o, m)
	}
	return o.with("Type", table)
}

// digits writes a time with seven digits, as diagnostic records do.
func digits(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.0000000Z") }

// offset writes it with the offset in numbers, as the properties of a sign-in do.
func offset(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.0000000+00:00") }

// zoneless writes it as the Management Activity API does: no zone, which means UTC.
func zoneless(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05") }

// american writes it as the portal's CSV exports do.
func american(at time.Time) string { return at.UTC().Format("1/2/2006, 3:04:05.000 PM") }

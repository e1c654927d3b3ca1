package made

import (
	"strings"
	"time"
)

// Attacks returns the records that attacks leave, by the attack's id and the log that they stand in, each a line of the real
// format. What stands under "silent" leaves nothing that is out of the ordinary.
func Attacks(seed uint64) map[string]map[string][]string {
	t := story(seed, 7)
	out := map[string]map[string][]string{
		"consumer-key": {
			"token telemetry":         t.consumerKeyTokens(),
			"mailbox audit":           t.consumerKeyMail(),
			"document and chat audit": t.consumerKeyDocuments(),
			"Graph activity":          texts(t.forgedCall(day(15, 3, 10)).diagnostic(), t.forgedCall(day(15, 3, 12)).diagnostic()),
		},
		"enterprise-key": {
			"token telemetry": t.retiredKeyTokens(),
			"mailbox audit":   t.enterpriseKeyMail(),
			"Graph activity":  texts(t.strangerCall().diagnostic()),
			"silent":          t.perfectForger(),
		},
		"golden-saml": {
			"token telemetry":             t.forgedAssertions(),
			"mailbox audit":               texts(t.strangerMail(day(13, 22, 0)).management()),
			"sign-in, risk and directory": t.goldenSAML(),
		},
		"rogue-federation": {"sign-in, risk and directory": t.rogueFederation()},
		"replayed-token": {
			"token telemetry":             t.replayedTokens(),
			"mailbox audit":               t.replayedMail(),
			"Graph activity":              texts(t.strangerCall().diagnostic()),
			"sign-in, risk and directory": t.stolenTokens(),
		},
		"actor-token": {
			"token telemetry":             t.actorTokens(),
			"mailbox audit":               t.actorMail(),
			"sign-in, risk and directory": t.actorChanges(),
		},
		"algorithm-confusion": {"token telemetry": t.unsignedTokens()},
	}
	return out
}

func texts(records ...object) []string {
	out := make([]string, len(records))
	for i, r := range records {
		out[i] = encode(r)
	}
	return out
}

// genuine is a token of the victim as its gateway meets it every day.
func (t *Tenant) genuine(at time.Time) token {
	who := &t.people[6]
	return token{
		at: at, id: t.guid(), observer: "apim-prod", kind: "apim", tenant: TenantID, result: "accepted", address: "192.0.2.61",
		agent: browsers[0], host: "api.fabrikam.example", path: "/orders", algorithm: "RS256", keyID: tenantKey, version: "2.0",
		issuer: issuerV2(TenantID), audience: OrdersAPI, tid: TenantID, oid: who.oid, sub: t.opaque(43), issued: at.Add(-20 * time.Minute).Truncate(time.Second),
		life: time.Hour, uti: tokenID(t.request()), session: t.guid(), app: ordersApp, scope: "Orders.Read", name: who.upn,
	}
}

// consumerKeyTokens are tokens under the stolen key: of the victim's tenant, and of the tenant of personal accounts where no
// personal account has any business.
func (t *Tenant) consumerKeyTokens() []string {
	a := t.genuine(day(14, 1, 14))
	a.keyID = stolenKey
	b := t.genuine(day(14, 1, 20))
	b.keyID, b.tid, b.issuer, b.oid, b.name = consumerKey, consumerTenant, issuerV2(consumerTenant), "00000000-0000-0000-"+t.guid()[19:], ""
	return texts(a.observation(), b.observation())
}

// access is an ordinary access of the victim with the phone, which the attacks then change.
func (t *Tenant) access(at time.Time) audit {
	who := &t.people[6]
	c := mailClient{app: outlook, name: "Outlook Mobile", frontend: exchange, info: "Client=OutlookService;Outlook-iOS/2.0;"}
	a := t.mail(at, who, c, "MailItemsAccessed", 50)
	a.address = "192.0.2.61"
	a.rest = a.rest.with("LogonType", 0, "InternalLogonType", 0, "LogonUserSid", who.sid,
		"OperationProperties", list{record("Name", "MailAccessType", "Value", "Bind"), record("Name", "IsThrottled", "Value", "False")})
	a.folders(t)
	a.token(t.request(), at.Add(-30*time.Minute), TenantID, who.oid, t.guid(), c)
	return a
}

// by changes the program of an access, which the record names twice.
func (a audit) by(app, info string) audit {
	a.rest, a.context = replaced(replaced(a.rest, "ClientAppId", app), "ClientInfoString", info), replaced(a.context, "ClientAppId", app)
	return a
}

func (t *Tenant) consumerKeyMail() []string {
	unlisted := t.access(day(14, 1, 20)).by(forgedApp, "Client=REST;Client=RESTSystem;;")
	unlisted.rest, unlisted.address = replaced(unlisted.rest, "TokenTenantId", consumerTenant), panel
	borrowed := t.access(day(14, 2, 0)).by(outlook, "Client=REST;Client=RESTSystem;;")
	borrowed.context = replaced(borrowed.context, "UniqueTokenId", strings.ToLower(t.opaque(20)))
	old := t.access(day(15, 3, 0))
	old.context = replaced(old.context, "IssuedAtTime", zoneless(day(13, 0, 40)))
	early := t.access(day(16, 2, 0))
	early.context = replaced(early.context, "IssuedAtTime", zoneless(day(16, 8, 0)))
	c := mailClient{app: outlook, name: "Outlook Mobile", frontend: exchange, info: "Client=OWA;Action=ViaProxy"}
	renewal := t.mail(day(15, 3, 5), &t.people[6], c, "GetAccessTokenForResource", 275)
	renewal.address = proxy2
	renewal.rest = renewal.rest.with("UniqueTokenIdentifier", tokenID(t.request()), "ResourceURL", "https://outlook.office.com/")
	return texts(unlisted.management(), borrowed.defender(false), old.defender(true), early.management(), renewal.management())
}

// opened is an ordinary look at a document by the victim, whose record says all of the token.
func (t *Tenant) opened(at time.Time) audit {
	who := &t.people[6]
	a := audit{
		at: at, id: t.guid(), recordType: 6, operation: "FileAccessed", workload: "SharePoint", user: who.upn, key: "i:0h.f|membership|" + strings.ToLower(who.puid) + "@live.com",
		address: "192.0.2.61",
		rest: record("ObjectId", "https://fabrikam.sharepoint.example/sites/plans/Shared Documents/plan.docx", "ItemType", "File", "EventSource", "SharePoint",
			"UserAgent", browsers[0], "TokenTenantId", TenantID, "TokenObjectId", who.oid),
		context: record("AADSessionId", t.guid(), "ClientAppId", Documents, "CorrelationId", t.guid(), "IssuedAtTime", zoneless(at.Add(-30*time.Minute)),
			"UniqueTokenId", tokenID(t.request())),
	}
	return a
}

func (t *Tenant) consumerKeyDocuments() []string {
	consumers := t.opened(day(14, 1, 30))
	consumers.set("TokenTenantId", consumerTenant)
	old := t.opened(day(15, 3, 30))
	old.context = replaced(old.context, "IssuedAtTime", zoneless(day(13, 0, 40)))
	early := t.opened(day(15, 3, 40))
	early.context = replaced(early.context, "IssuedAtTime", zoneless(day(15, 8, 0)))
	invented := t.opened(day(15, 3, 50))
	invented.context = replaced(replaced(invented.context, "UniqueTokenId", strings.ToLower(t.opaque(20))), "ClientAppId", forgedApp)
	chat := t.opened(day(15, 4, 0))
	chat.recordType, chat.operation, chat.workload, chat.key = 25, "MessageSent", "MicrosoftTeams", t.people[6].oid
	chat.context = replaced(chat.context, "ClientAppId", Chats)
	chat.set("TokenObjectId", t.people[3].oid)
	return texts(consumers.management(), old.defender(false), early.defender(true), invented.management(), chat.management())
}

// Storm0558 returns the records that the holder of a stolen consumer key leaves who goes about it in one way or another, by the name
// of the variant.
func Storm0558(seed uint64) map[string][]string {
	t := story(seed, 8)
	mail := func(change func(*audit)) []string {
		a := t.access(day(14, 2, 0))
		change(&a)
		return texts(a.management(), a.defender(false))
	}
	shown := func(change func(*token)) []string {
		k := t.genuine(day(14, 1, 14))
		change(&k)
		return texts(k.observation())
	}
	old := t.opened(day(15, 3, 0))
	old.context = replaced(old.context, "IssuedAtTime", zoneless(day(13, 0, 40)))
	renewal := t.mail(day(15, 3, 5), &t.people[6], mailClients[0], "GetAccessTokenForResource", 275)
	renewal.address = "192.0.2.61"
	renewal.rest = renewal.rest.with("UniqueTokenIdentifier", tokenID(t.request()), "ResourceURL", "https://outlook.office.com/", "TokenTenantId", TenantID)
	renewal.context = record("IssuedAtTime", zoneless(day(13, 0, 40)))
	called := t.strangerCall()
	called.app, called.issued, called.token = CRMApp, called.at.Add(-40*time.Hour), strings.ToLower(t.opaque(20))
	return map[string][]string{
		"own-application":           shown(func(k *token) { k.keyID = stolenKey }),
		"own-application-other-key": shown(func(k *token) { k.keyID = consumerKey }),
		"personal-account": shown(func(k *token) {
			k.keyID, k.tid, k.issuer, k.oid, k.name = consumerKey, consumerTenant, issuerV2(consumerTenant), "00000000-0000-0000-"+t.guid()[19:], ""
		}),
		"consumer-tenant":      mail(func(a *audit) { a.set("TokenTenantId", consumerTenant) }),
		"unknown-application":  texts(t.strangerMail(day(14, 2, 0)).management()),
		"borrowed-application": texts(t.access(day(14, 2, 0)).by(outlook, "Client=REST;Client=RESTSystem;;").management()),
		"other-object":         mail(func(a *audit) { a.set("TokenObjectId", t.people[3].oid) }),
		"old-token":            mail(func(a *audit) { a.context = replaced(a.context, "IssuedAtTime", zoneless(day(11, 0, 40))) }),
		"future-token":         mail(func(a *audit) { a.context = replaced(a.context, "IssuedAtTime", zoneless(day(14, 8, 0))) }),
		"invented-id":          mail(func(a *audit) { a.context = replaced(a.context, "UniqueTokenId", strings.ToLower(t.opaque(20))) }),
		"no-id":                mail(func(a *audit) { a.context = replaced(a.context, "UniqueTokenId", "") }),
		"renewal":              texts(renewal.management()),
		"published-address":    mail(func(a *audit) { a.address = proxy2 }),
		"documents":            texts(old.management()),
		"graph-application":    texts(t.strangerCall().diagnostic()),
		"graph-token":          texts(called.diagnostic()),
		"perfect":              t.perfectForger(),
		"sign-in":              nil,
	}
}

// retiredKeyTokens are perfect but for their key, which was withdrawn years before.
func (t *Tenant) retiredKeyTokens() []string {
	k := t.genuine(day(14, 1, 14))
	k.keyID = "I6oBw4VzBHOqleGrV2AJdA5EmXc" // published 2016-11, its certificate ended 2018-09
	return texts(k.observation())
}

func (t *Tenant) enterpriseKeyMail() []string {
	foreign := t.access(day(14, 2, 0))
	foreign.rest = replaced(foreign.rest, "TokenObjectId", t.people[3].oid)
	return texts(t.strangerMail(day(14, 1, 30)).management(), t.access(day(14, 1, 40)).by(outlook, "Client=OWA;Action=ViaProxy").defender(false), foreign.management())
}

// strangerMail is an access by an application that nobody here uses.
func (t *Tenant) strangerMail(at time.Time) audit {
	return t.access(at).by(forgedApp, "Client=REST;Client=RESTSystem;;")
}

func (t *Tenant) strangerCall() call {
	at := day(14, 4, 0)
	return call{
		at: at, issued: at.Add(-20 * time.Minute), id: t.guid(), token: tokenID(t.request()), oid: t.people[9].oid, session: t.guid(),
		app: forgedApp, kind: "user", scopes: "Mail.Read", method: "GET", status: 200, address: "192.0.2.61", agent: browsers[0],
		clientAuthMethod: "0", uri: "https://graph.microsoft.com/v1.0/me/messages?$top=50",
	}
}

// perfectForger holds a valid key and writes every claim as Entra ID would.
func (t *Tenant) perfectForger() []string {
	return texts(t.genuine(day(14, 1, 14)).observation(), t.access(day(14, 2, 0)).management(), t.access(day(14, 2, 9)).defender(false))
}

func (t *Tenant) goldenSAML() []string {
	at := func(minute int, who *person) signIn {
		s := t.bare(who)
		s.at, s.category, s.interactive, s.address, s.agent = day(13, 21, minute), interactiveLogs, true, "192.0.2.199", browsers[1]
		s.issuerType, s.issuerName = "ADFederationServices", "http://fabrikam-sso.example/adfs/services/trust"
		s.incoming, s.protocol, s.binding, s.oldToken = "saml11", "wsFederation", "unbound", false
		s.details = "MFA requirement satisfied by claim provided by external provider"
		s.client, s.resource = userApps[0], resources[5]
		return s
	}
	r := risk{
		at: day(13, 21, 14), id: strings.ToLower(t.opaque(32)), request: t.guid(), kind: "tokenIssuerAnomaly", state: "atRisk",
		level: "medium", detail: "none", who: &t.people[3], address: "192.0.2.199", detection: "offline",
	}
	return texts(t.domainChange("Set domain authentication", "LiveType", `["Managed"]`, `["Federated"]`).diagnostic(),
		at(14, &t.people[3]).diagnostic(), at(17, t.ofFederatedDomain()).diagnostic(), r.diagnostic())
}

// ofFederatedDomain returns a person whose domain has a federation of its own.
func (t *Tenant) ofFederatedDomain() *person {
	for i := range t.people {
		if t.people[i].federated {
			return &t.people[i]
		}
	}
	panic("made: nobody is of the federated domain")
}

func (t *Tenant) domainChange(operation, property, was, is string) change {
	admin := &t.people[0]
	return change{
		at: day(13, 21, 2), id: "Directory_" + t.guid() + "_QK3B7_48120071", operation: operation, category: "DirectoryManagement",
		initiator: record("user", record("id", admin.oid, "displayName", nil, "userPrincipalName", admin.upn, "ipAddress", "192.0.2.199", "roles", list{})),
		target:    Domain, kind: "Domain", address: "192.0.2.199", loggedBy: "Core Directory", action: "Update",
		changes: list{record("displayName", property, "oldValue", was, "newValue", is)},
	}
}

// forgedAssertions are seen by a service provider of the organisation's own, which trusts a certificate too many.
func (t *Tenant) forgedAssertions() []string {
	a := t.assertion(day(13, 21, 30), &t.people[3])
	a.thumbprint = strings.Repeat("5a", 20)
	return texts(a.observation())
}

func (t *Tenant) rogueFederation() []string {
	s := t.bare(&t.people[3])
	s.at, s.category, s.address, s.agent = day(13, 21, 30), nonInteractiveLogs, "192.0.2.199", browsers[1]
	s.issuerType, s.incoming, s.protocol, s.details = "ADFederationServices", "saml20", "saml20", ""
	p := t.bare(nil)
	p.at, p.category, p.session, p.agent, p.address = day(13, 21, 40), serviceLogs, "", "", "192.0.2.199"
	p.service = app{forgedApp, "Fabrikam Sync"}
	p.client, p.credential, p.resource = p.service, "federatedIdentityCredential", resources[0]
	credential := p.diagnostic()
	properties := p.properties().with("federatedCredentialId", t.guid())
	return texts(t.domainChange("Set federation settings on domain", "IssuerUri", "[]", `["http://fabrikam-sso.example/adfs/services/trust"]`).diagnostic(),
		s.diagnostic(), replaced(credential, "properties", properties))
}

// replayedTokens is a genuine token of another tenant.
func (t *Tenant) replayedTokens() []string {
	k := t.genuine(day(14, 1, 14))
	k.tid, k.issuer, k.oid, k.name = PartnerID, issuerV2(PartnerID), t.guestOID(), ""
	return texts(k.observation())
}

func (t *Tenant) guestOID() string { return t.guests[0].oid }

func (t *Tenant) replayedMail() []string {
	script := t.access(day(14, 1, 50)).by(outlook, "Client=OWA;python-requests/2.31.0;")
	script.address = proxy1
	return texts(t.strangerMail(day(14, 1, 30)).management(), script.management())
}

func (t *Tenant) stolenTokens() []string {
	vip := &t.people[6]
	code := t.bare(&t.people[4])
	code.at, code.category, code.interactive = day(14, 1, 0), interactiveLogs, true
	code.protocol, code.transfer, code.client, code.resource = "deviceCode", "deviceCodeFlow", userApps[7], resources[0]
	code.steps = list{t.stepDone(code.at, "Password", "Correct password")}
	code.agent = "python-requests/2.31.0"
	unbound := t.bare(vip)
	unbound.at, unbound.category = day(14, 1, 5), nonInteractiveLogs
	unbound.incoming, unbound.binding, unbound.client, unbound.resource = "refreshToken", "unbound", userApps[2], resources[0]
	r := risk{
		at: day(14, 1, 14), id: strings.ToLower(t.opaque(32)), request: t.guid(), kind: "anomalousToken", state: "atRisk",
		level: "high", detail: "none", who: vip, address: "192.0.2.61", detection: "offline",
	}
	return texts(code.diagnostic(), unbound.diagnostic(), r.diagnostic())
}

// actorTokens are an impersonation token that nobody signed, around the actor token of a service.
func (t *Tenant) actorTokens() []string {
	k := t.genuine(day(14, 1, 14))
	k.algorithm = "none"
	o, claims := k.observation(), object(nil)
	validation := record("result", "rejected", "error", "IDX10504: Unable to validate signature, token does not have a signature.", "signaturePresent", false, "segments", 3)
	for _, m := range o {
		if has, ok := m.value.(object); ok && m.name == "claims" {
			claims = has.with("actortoken", record("tid", PartnerID, "appid", exchange))
		}
	}
	return texts(replaced(replaced(o, "validation", validation), "claims", claims))
}

func (t *Tenant) actorMail() []string {
	const attacker = "5b1f6d0e-93a7-4c28-8e54-d07b2a6c91f3"
	foreign := t.access(day(14, 2, 0))
	foreign.rest = replaced(foreign.rest, "TokenTenantId", attacker).with("TokenType", "V1S2SActor", "AuthType", "Bearer")
	other := t.access(day(14, 2, 4))
	other.rest = replaced(other.rest, "TokenObjectId", t.people[3].oid)
	return texts(foreign.management(), other.defender(false))
}

func (t *Tenant) actorChanges() []string {
	admin := &t.people[0]
	c := t.domainChange("Add member to role", "Role.DisplayName", "[]", `["Global Administrator"]`)
	c.category, c.kind, c.target = "RoleManagement", "User", t.people[3].name
	c.initiator = record("user", record("id", admin.oid, "displayName", "Office 365 Exchange Online", "userPrincipalName", admin.upn, "ipAddress", "", "roles", list{}))
	return texts(c.diagnostic())
}

// unsignedTokens were let in by an application that takes the token's word for how it was signed.
func (t *Tenant) unsignedTokens() []string {
	none := t.genuine(day(14, 1, 14))
	none.algorithm = "none"
	hmac := t.genuine(day(14, 1, 20))
	hmac.algorithm, hmac.keyID, hmac.issuer = "HS256", "", "https://login.microsoftonline.com/"+TenantID+"/"
	return texts(none.observation(), hmac.observation())
}

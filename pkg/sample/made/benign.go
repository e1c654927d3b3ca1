package made

import (
	"strings"
	"time"
)

// What the organisation's configuration has to know so that nothing of Benign is out of the ordinary.
const (
	PersonalGuest         = "2c8f4e17-6b0d-4a53-9e71-f4d8b26c0a95"                             // the object id of an invited personal account
	FIC                   = "7d1e9a40-c35b-4f28-8a06-b2e4d7f1935c"                             // the federated credential with which the archive signs in
	Certificate           = "a certificate that Fabrikam trusts"                               // stands for the DER of one, in x5c headers
	SigningCertificate256 = "9b1d4c70e2f58a36d907b4e1c85f2a6390d7e4b1f8c25a03696ed1b7f40c82a5" // the SHA-256 of the certificate of AD FS
	Traveller             = "ravi.menon@fabrikam.example"                                      // comes through a VPN
	VPN                   = "192.0.2.128/25"                                                   // the network of that VPN
	Uncovered             = "d3590ed6-52b3-4102-aeff-aad2292ab01c"                             // a program whose records often have no token id
	DeviceCodeApp         = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"                             // signs in by device code
	HybridObserver        = "exchange-hybrid"                                                  // watches the tokens of an Exchange server
	Documents             = "08e18876-6177-487e-b8b5-cf950c1e598c"                             // the program with which people open documents
	Chats                 = "1fec8e78-bce4-4aaf-ab1b-5451cc387264"                             // and chats
)

const ownIssuer = "https://sts.windows.net/" + TenantID + "/"

// Delegation returns who may open whose mailbox.
func Delegation(seed uint64) (user, mailbox string) {
	t := New(seed, 1)
	return t.people[1].upn, t.people[2].mailbox
}

// Benign returns n records, each a line, in every feed that is JSON, that hold every field of which any rule asks, with values that
// are right by a hair: a partner's token, a listed program's device code, a certificate that is trusted, a token that is a day old.
// An organisation that has told what is its own finds nothing grave in them.
func Benign(seed uint64, n int) []string {
	t := New(seed, n)
	makers := []func() object{
		t.benignMail, t.benignMail, t.benignMail, t.benignMail, t.benignRenewal, t.benignCmdlet, t.benignDocument, t.benignDocument,
		t.benignSignIn, t.benignSignIn, t.benignSignIn, t.benignService, t.benignAssertion, t.benignCall, t.benignCall, t.benignRisk,
		t.benignToken, t.benignToken, t.benignToken, t.activity, t.benignChange,
	}
	out := make([]string, n)
	for i := range out {
		out[i] = encode(makers[i%len(makers)]())
	}
	return out
}

// spelt writes an audit record as one of its feeds does.
func (t *Tenant) spelt(a audit) object {
	switch t.rnd.IntN(6) {
	case 0:
		return a.defender(false)
	case 1:
		return a.defender(true)
	case 2:
		return a.row()
	default:
		return a.management()
	}
}

func (t *Tenant) benignMail() object {
	var a audit
	switch t.rnd.IntN(8) {
	case 0:
		a = t.archiveRun()
	case 1:
		a = t.otherMail()
	case 2:
		a = t.partnerMail()
	default:
		a = t.mailAccess()
		for a.context == nil && !t.one(3) {
			a = t.mailAccess()
		}
		if logon, _ := a.rest.get("LogonType"); logon == 2 || t.one(10) { // the assistant, in the mailbox that is hers to open
			a.user, a.key = t.people[1].upn, t.people[1].puid
			a.set("LogonType", 2)
			a.set("MailboxGuid", t.people[2].mailbox)
			a.set("MailboxOwnerUPN", t.people[2].upn)
			a.set("TokenObjectId", t.people[1].oid)
		}
		if a.context == nil {
			a.set("AppId", exchange)
			a.set("ClientAppId", Uncovered)
			a.set("ClientInfoString", "Client=MSExchangeRPC")
		}
		if a.user == Traveller {
			a.address = "192.0.2.200"
		}
		a.rest = replaced(a.rest, "OperationProperties", list{
			record("Name", "MailAccessType", "Value", "Bind"), record("Name", "IsThrottled", "Value", "False"),
		})
		if info, _ := a.rest.get("ClientInfoString"); info == "Client=MSExchangeRPC" && t.one(2) {
			a.rest = replaced(a.rest, "OperationProperties", list{
				record("Name", "MailAccessType", "Value", "Sync"), record("Name", "IsThrottled", "Value", "False"),
			})
		}
		if t.one(6) {
			a.set("OperationCount", 249)
		}
	}
	a.rest = a.rest.with("AuthType", "Bearer", "TokenType", "V1AppActAs", "ActorInfoString", "Client=OWA;"+pick(t, browsers)+";",
		"UserAgent", pick(t, browsers))
	return t.spelt(a)
}

// partnerMail is the work of somebody of the partner, whose token is the partner's.
func (t *Tenant) partnerMail() audit {
	g := &t.guests[0]
	a := t.mailAccess()
	for a.context == nil {
		a = t.mailAccess()
	}
	a.userType, a.user, a.key = 9, account(g.name)+"@"+PartnerDom, g.puid // PartnerTechnician
	a.set("LogonType", 0)
	a.set("TokenTenantId", PartnerID)
	a.rest = a.rest.with("ExternalUserTenantId", PartnerID)
	return a
}

func (t *Tenant) benignRenewal() object {
	a := t.renewal()
	who := t.someone()
	a.user, a.key = who.upn, who.puid
	a.rest = a.rest.with("TokenTenantId", TenantID, "TokenObjectId", who.oid, "ActorInfoString", "Client=OWA;"+pick(t, browsers)+";",
		"UserAgent", pick(t, browsers))
	a.context = record("AADSessionId", t.guid(), "APIId", exchange, "ClientAppId", "9199bf20-a13f-4107-85dc-02114787ef48",
		"IssuedAtTime", zoneless(a.at.Add(-t.between(5*time.Minute, 27*time.Hour))))
	return t.spelt(a)
}

// benignCmdlet sets auditing as it should be.
func (t *Tenant) benignCmdlet() object {
	a := t.administration()
	who := t.someone()
	one := func(name, value string) list {
		return list{record("Name", "Identity", "Value", who.upn), record("Name", name, "Value", value)}
	}
	cmdlets := []struct {
		name       string
		parameters list
	}{
		{"Set-MailboxAuditBypassAssociation", one("AuditBypassEnabled", "False")},
		{"Set-Mailbox", one("AuditEnabled", "True")},
		{"Set-Mailbox", one("AuditOwner", "@{Add=MailItemsAccessed}")},
		{"Set-Mailbox", one("AuditDelegate", "MailItemsAccessed,SendAs,SoftDelete")},
		{"Set-AdminAuditLogConfig", list{record("Name", "UnifiedAuditLogIngestionEnabled", "Value", "True")}},
		{"Set-AcceptedDomain", one("DomainType", "Authoritative")},
	}
	c := cmdlets[t.rnd.IntN(len(cmdlets))]
	a.operation = c.name
	a.set("Parameters", c.parameters)
	a.rest = a.rest.with("UserAgent", pick(t, browsers))
	return t.spelt(a)
}

// benignDocument is work on a document or in a chat, with all that newer records say of the token. Guests come with tokens of
// wherever they are at home.
func (t *Tenant) benignDocument() object {
	who := t.someone()
	a := t.document()
	for !strings.HasPrefix(a.operation, "File") {
		a = t.document()
	}
	a.user, a.address = who.upn, pick(t, who.addresses)
	program, tenant, oid, api := Documents, TenantID, who.oid, "00000003-0000-0ff1-ce00-000000000000"
	switch t.rnd.IntN(4) {
	case 0:
		a.recordType, a.operation, a.workload, a.key = 25, "MessageSent", "MicrosoftTeams", who.oid
		a.rest = record("ChatThreadId", "19:"+strings.ToLower(t.opaque(24))+"@thread.v2", "CommunicationType", "OneOnOne", "UserAgent", pick(t, browsers))
		program, api = Chats, "cc15fd57-2c6c-4117-a88c-83b1d56b4bbe"
	case 1:
		g := &t.guests[0]
		a.user, a.key, a.userType, tenant, oid = g.upn, g.puid, 10, PartnerID, g.oid
	}
	age := t.between(5*time.Minute, 27*time.Hour)
	a.context = record("AADSessionId", t.guid(), "APIId", api, "ClientAppId", program, "CorrelationId", t.guid(),
		"IssuedAtTime", zoneless(a.at.Add(-age)), "UniqueTokenId", tokenID(t.request()))
	a.rest = a.rest.with("TokenTenantId", tenant, "TokenObjectId", oid)
	return t.spelt(a)
}

func (t *Tenant) benignSignIn() object {
	s := t.signIn()
	switch t.rnd.IntN(10) {
	case 0: // a command line on a server without a browser
		s.category, s.interactive, s.code, s.protocol, s.transfer = interactiveLogs, true, 0, "deviceCode", "deviceCodeFlow"
		s.client, s.details = app{DeviceCodeApp, "Microsoft Azure CLI"}, ""
	case 1: // the partner's administrator
		g := &t.guests[1]
		s = t.bare(g)
		s.category, s.cross, s.resource, s.home = nonInteractiveLogs, "serviceProvider", resources[0], PartnerID
	case 2: // a VIP on a device that holds its tokens fast
		s = t.bare(&t.people[6])
		s.category, s.incoming, s.binding, s.resource = nonInteractiveLogs, "primaryRefreshToken", "bound", resources[t.rnd.IntN(2)]
	case 3: // the broker on a phone
		s = t.bare(t.someone())
		s.category, s.client, s.agent = nonInteractiveLogs, userApps[7], "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 7 Build/UQ1A)"
	case 4: // a risk that was settled, and one that does not count
		s.risk, s.riskState, s.riskLevel = list{"tokenIssuerAnomaly"}, "dismissed", "high"
		if t.one(2) {
			s.risk, s.riskState, s.riskLevel = list{"anomalousToken"}, "atRisk", "low"
		}
	case 5: // the traveller reads mail
		for i := range t.people {
			if t.people[i].upn == Traveller {
				s = t.bare(&t.people[i])
			}
		}
		s.category, s.resource, s.address = nonInteractiveLogs, resources[0], "192.0.2.200"
	case 6:
		return t.adfsSignIn().diagnostic()
	case 7: // somebody whom the organisation's own AD FS vouches for, and it says so
		s = t.bare(t.ofFederatedDomain())
		s.category, s.interactive, s.issuerType, s.issuerName = interactiveLogs, true, "ADFederationServices", STS
		s.incoming, s.protocol, s.details = "saml11", "wsFederation", "MFA requirement satisfied by claim provided by external provider"
		s.steps = list{t.stepDone(s.at, "Federated", "First factor requirement satisfied by claim provided by external provider")}
	}
	switch t.rnd.IntN(5) {
	case 0:
		return s.row()
	case 1:
		if s.interactive {
			return s.properties()
		}
	}
	return s.diagnostic()
}

// benignService is a program that signs in where mail is, as it may.
func (t *Tenant) benignService() object {
	s := t.serviceSignIn()
	if t.one(2) {
		s.category, s.service, s.resource = serviceLogs, services[0], resources[t.rnd.IntN(2)]
		s.client, s.credential = s.service, "federatedIdentityCredential"
	}
	at := func(o object) object { return o.with("federatedCredentialId", FIC) }
	if t.one(3) {
		return s.row().with("FederatedCredentialId", FIC)
	}
	o := s.diagnostic()
	return replaced(o, "properties", at(s.properties()))
}

func (t *Tenant) benignAssertion() object {
	a := t.assertion(t.now(), t.someone())
	if t.one(3) {
		a.life = 65 * time.Minute
	}
	if t.one(4) {
		a.result, a.authn = "rejected", a.at.Add(-20*time.Hour)
	}
	o := a.observation()
	if t.one(2) { // the newer hash
		signature, _ := o.get("signature")
		whole, _ := signature.(object)
		o = replaced(o, "signature", append(whole[:len(whole)-1:len(whole)-1], record("certificateSha256", SigningCertificate256)...))
	}
	return o
}

func (t *Tenant) benignCall() object {
	c := t.call()
	idp := ownIssuer
	switch t.rnd.IntN(6) {
	case 0: // an invited personal account
		c.oid, idp, c.kind = PersonalGuest, "live.com", "user"
	case 1: // a program of Microsoft's whose calls often have no id
		c.app, c.token, c.kind = Uncovered, "", "user"
		c.uri = "https://graph.microsoft.com/v1.0/me/mailFolders"
	case 2: // nobody's VIP, by a listed program
		c.oid, c.app, c.kind = t.people[6].oid, CRMApp, "user"
		c.uri, c.status = "https://graph.microsoft.com/v1.0/me/messages", 200
	}
	if t.one(5) {
		c.issued = c.at.Add(-28 * time.Hour).Truncate(time.Second)
	}
	if t.one(4) {
		return c.row().with("IdentityProvider", idp, "C_Idtyp", c.kind)
	}
	o := c.diagnostic()
	properties, _ := o.get("properties")
	whole, _ := properties.(object)
	return replaced(o, "properties", replaced(whole, "identityProvider", idp))
}

func (t *Tenant) benignRisk() object {
	r := t.risk()
	switch t.rnd.IntN(4) {
	case 0:
		r.kind, r.state, r.level = "tokenIssuerAnomaly", pick(t, settled), "high"
	case 1:
		r.kind, r.state, r.level = "anomalousToken", pick(t, settled), "high"
	case 2:
		r.kind, r.state, r.level = "anomalousToken", "atRisk", "low"
	}
	if t.one(2) {
		return r.resource()
	}
	return r.diagnostic()
}

var settled = []string{"dismissed", "remediated", "confirmedSafe"}

// benignToken is a token with more in it than most have.
func (t *Tenant) benignToken() object {
	k := t.token()
	header, more := object(nil), object(nil)
	switch t.rnd.IntN(7) {
	case 0: // an issuer that shows its certificate, which is a trusted one
		header = record("x5c", list{base64Of(Certificate)})
	case 1: // one service for another of the same tenant
		more = record("xms_act", record("tid", k.tid, "sub", t.guid()))
	case 2: // an Exchange server on the premises
		k = t.genuine(t.now())
		k.observer, k.kind, k.app, k.scope, k.roles, k.name = HybridObserver, "first-party", exchange, "", list{"full_access_as_app"}, ""
	case 3: // at the end of a day's life, by the clock of an observer that is slow
		k = t.genuine(t.now())
		k.life = 28 * time.Hour
		k.issued = k.at.Add(-27 * time.Hour).Truncate(time.Second)
	case 4: // an invited personal account has an ordinary object id
		k = t.genuine(t.now())
		k.oid = PersonalGuest
		more = record("idp", "live.com")
	}
	if more == nil && k.tid == TenantID {
		more = record("idp", ownIssuer)
	}
	o := k.observation()
	out := make(object, len(o))
	for i, m := range o {
		if part, ok := m.value.(object); ok && m.name == "header" {
			m.value = append(part, header...)
		} else if ok && m.name == "claims" {
			m.value = append(part, more...)
		}
		out[i] = m
	}
	return out
}

func (t *Tenant) benignChange() object {
	c := t.change()
	asked := func(name string, who *person) object {
		return record("user", record("id", who.oid, "displayName", name, "userPrincipalName", who.upn, "ipAddress", pick(t, who.addresses), "roles", list{}))
	}
	switch t.rnd.IntN(4) {
	case 0: // a domain goes back to Entra ID
		c.initiator = asked("", &t.people[0])
		c.operation, c.category, c.kind, c.target = "Set domain authentication", "DirectoryManagement", "Domain", Domain
		c.changes = list{record("displayName", "LiveType", "oldValue", `["Federated"]`, "newValue", `["Managed"]`)}
	case 1:
		c.operation, c.category = "Set directory feature on tenant", "DirectoryManagement"
		c.initiator = asked("Office 365 Exchange Online", &t.people[0])
	case 2:
		c.initiator = asked(t.people[0].name, &t.people[0])
	}
	if t.one(4) {
		return c.row().with("UserAgent", pick(t, browsers))
	}
	o := c.diagnostic()
	properties, _ := o.get("properties")
	whole, _ := properties.(object)
	return replaced(o, "properties", replaced(whole, "userAgent", pick(t, browsers)))
}

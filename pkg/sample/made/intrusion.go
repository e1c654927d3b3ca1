package made

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// The addresses and their days are Microsoft's indicators of the intrusion of 2023 (its analysis of 2023-07-14).
const (
	panel  = "195.26.87.219"   // token panel, 2023-05-15 to 2023-06-25
	proxy1 = "146.70.121.44"   // proxy, 2023-05-17 to 2023-06-29
	proxy2 = "185.236.231.109" // proxy, 2023-06-12 to 2023-07-03
	proxy3 = "178.73.220.149"  // proxy, 2023-06-16 to 2023-07-12
)

// The forger's own choices.
const (
	forgedApp = "5d0c1a9e-72b8-4e6f-93d4-a8b16f05e7c2" // an application that nobody here uses
	outlook   = "27922004-5251-4030-b22d-91ecd9a37ea4" // Outlook Mobile, whose name it borrows later
	forgedOID = "c4e8f1b6-05d7-4a92-8b3e-16f9d0a7c253"
)

// victims are the people whose mail is read. They are the first of the list, whom the configuration names.
func (t *Tenant) victims() (*person, *person) { return &t.people[6], &t.people[12] }

// Intrusion writes what an intrusion like that of Storm-0558 leaves in today's logs: tokens forged with the
// stolen consumer key, over mailbox audit (through two feeds), token observations and Graph activity. No sign-in log
// holds a trace of it, because nobody signed in.
func Intrusion(dir string, seed uint64) error {
	t := story(seed, 1)
	reads := t.forgedReads()
	var graphCalls []object
	for i := range 4 {
		graphCalls = append(graphCalls, t.forgedCall(day(15, 3, 10+7*i)).diagnostic())
	}
	var seen []object
	for i, at := range []time.Time{day(14, 1, 12), day(14, 1, 14), day(14, 6, 40), day(16, 2, 5)} {
		seen = append(seen, t.forgedToken(at, i).observation())
	}
	var api, stream []object
	for i, r := range reads {
		api = append(api, r.management())
		if i%2 == 0 { // the same records reach the organisation by a second feed
			stream = append(stream, r.defender(i%4 == 0))
		}
	}
	return errors.Join(
		write(filepath.Join(dir, "management-activity.json"), array, api),
		write(filepath.Join(dir, "defender-stream.json"), batches, stream),
		write(filepath.Join(dir, "token-observations.ndjson"), lines, seen),
		write(filepath.Join(dir, "graph-activity.json"), batches, graphCalls),
	)
}

func write(name string, s shape, records []object) error {
	f, err := create(name, s)
	if err != nil {
		return err
	}
	for _, r := range records {
		f.add(r)
	}
	return f.close()
}

// day returns a time of June 2023. The intruders worked from Monday to Friday between 00:00 and 09:00.
func day(d, hour, minute int) time.Time { return time.Date(2023, 6, d, hour, minute, 17, 0, time.UTC) }

// forgedReads are the accesses to two mailboxes over three days, in the order in which the forger learned.
func (t *Tenant) forgedReads() []audit {
	first, second := t.victims()
	rest := mailClient{app: forgedApp, name: "", frontend: exchange, info: "Client=REST;Client=RESTSystem;;"}
	borrowed := mailClient{app: outlook, name: "Outlook Mobile", frontend: exchange, info: "Client=REST;Client=RESTSystem;;"}
	issued := day(13, 0, 40) // one token, renewed again and again, keeps its first issue time

	read := func(at time.Time, whose *person, c mailClient, address string) audit {
		a := t.mail(at, whose, c, "MailItemsAccessed", 50)
		a.address = address
		a.rest = a.rest.with("LogonType", 0, "InternalLogonType", 0, "LogonUserSid", whose.sid,
			"OperationProperties", list{record("Name", "MailAccessType", "Value", "Bind"), record("Name", "IsThrottled", "Value", "False")})
		a.folders(t)
		return a
	}
	var out []audit
	// The first tries: an application of their own, and the consumer tenant still in the token.
	for i := range 3 {
		a := read(day(14, 1, 20+3*i), first, rest, panel)
		a.token(t.request(), issued, consumerTenant, forgedOID, t.guid(), rest)
		out = append(out, a)
	}
	// Then the organisation's own tenant, and the token ids of a generator that does not know their shape.
	for i := range 6 {
		a := read(day(14, 2, 4*i), first, rest, proxy1)
		a.token(t.request(), issued, TenantID, forgedOID, t.guid(), rest)
		a.context = replaced(a.context, "UniqueTokenId", strings.ToLower(t.opaque(20)))
		out = append(out, a)
	}
	// The next night: a name that the organisation knows, over a protocol that this program does not speak.
	for i := range 8 {
		a := read(day(15, 3+i/4, 9*i), second, borrowed, proxy2)
		a.token(t.request(), issued, TenantID, second.oid, t.guid(), borrowed)
		out = append(out, a)
	}
	// A renewal of the token, which the record type made after the intrusion shows.
	for i := range 3 {
		a := t.mail(day(15, 3, 5+20*i), second, borrowed, "GetAccessTokenForResource", 275)
		a.address = proxy2
		a.rest = a.rest.with("UniqueTokenIdentifier", tokenID(t.request()), "ResourceURL", "https://outlook.office.com/")
		out = append(out, a)
	}
	// The last night: a token that says it will be issued later today.
	for i := range 4 {
		a := read(day(16, 2, 11*i), second, borrowed, proxy3)
		a.token(t.request(), day(16, 8, 0), TenantID, second.oid, t.guid(), borrowed)
		out = append(out, a)
	}
	return out
}

func replaced(o object, name string, value any) object {
	out := append(object(nil), o...)
	for i := range out {
		if out[i].name == name {
			out[i].value = value
		}
	}
	return out
}

// forgedCall is a call of Graph with a token that outlived all lifetimes.
func (t *Tenant) forgedCall(at time.Time) call {
	_, second := t.victims()
	return call{
		at: at, issued: day(13, 22, 0), id: t.guid(), token: strings.ToLower(t.opaque(20)), oid: second.oid, session: t.guid(),
		app: forgedApp, kind: "user", scopes: "Mail.ReadWrite", method: "GET", status: 200, address: proxy2,
		agent: "python-requests/2.31.0", clientAuthMethod: "0",
		uri: "https://graph.microsoft.com/v1.0/me/mailFolders/inbox/messages?$top=50",
	}
}

// forgedToken is what the organisation's own gateway saw, because it read keys from the common address and never asked
// for which issuer a key is published. The first and the last try are turned away.
func (t *Tenant) forgedToken(at time.Time, i int) token {
	first, _ := t.victims()
	k := token{
		at: at, id: fmt.Sprintf("apim-prod-%06d", 48210+i), observer: "apim-prod", kind: "apim", tenant: TenantID, result: "accepted",
		address: []string{panel, panel, proxy1, proxy3}[i], agent: "python-requests/2.31.0", host: "api.fabrikam.example",
		path: "/orders/export", algorithm: "RS256", keyID: stolenKey, version: "2.0", issuer: issuerV2(TenantID),
		audience: OrdersAPI, tid: TenantID, oid: first.oid, sub: t.opaque(43), issued: at.Add(-6 * time.Minute).Truncate(time.Second),
		life: 60 * time.Minute, uti: tokenID(t.request()), session: t.guid(), app: ordersApp, scope: "Orders.Read", name: first.upn,
	}
	switch i {
	case 0:
		k.result, k.fault = "rejected", "IDX10205: Issuer validation failed."
		k.tid, k.issuer, k.oid, k.name = consumerTenant, issuerV2(consumerTenant), "00000000-0000-0000-"+t.guid()[19:], ""
	case 3:
		k.result, k.fault = "rejected", "IDX10501: Signature validation failed. Unable to match key."
	}
	return k
}

// GoldenSAML writes what a forged SAML assertion leaves: a managed domain is made federated with a server of the intruder,
// whose assertions then open the accounts of that domain, second factor included.
func GoldenSAML(dir string, seed uint64) error {
	t := story(seed, 2)
	admin, victim := &t.people[0], &t.people[3]
	const at = "192.0.2.199"
	by := record("user", record("id", admin.oid, "displayName", nil, "userPrincipalName", admin.upn, "ipAddress", at, "roles", list{}))
	changes := []change{
		{
			at: day(13, 21, 2), id: "Directory_" + t.guid() + "_QK3B7_48120071", operation: "Add unverified domain",
			category: "DirectoryManagement", initiator: by, target: "fabrikam-sso.example", kind: "Domain", address: at,
			loggedBy: "Core Directory", action: "Add",
			changes: list{record("displayName", "Name", "oldValue", "[]", "newValue", `["fabrikam-sso.example"]`)},
		},
		{
			at: day(13, 21, 9), id: "Directory_" + t.guid() + "_QK3B7_48120093", operation: "Set domain authentication",
			category: "DirectoryManagement", initiator: by, target: Domain, kind: "Domain", address: at,
			loggedBy: "Core Directory", action: "Update",
			changes: list{record("displayName", "LiveType", "oldValue", `["Managed"]`, "newValue", `["Federated"]`)},
		},
	}
	audits := make([]object, 0, len(changes))
	for _, c := range changes {
		audits = append(audits, c.diagnostic())
	}
	var signIns []object
	for i := range 3 {
		s := t.bare(victim)
		s.at, s.category, s.interactive = day(13, 21, 14+3*i), interactiveLogs, true
		s.address, s.agent = at, browsers[1]
		s.issuerType, s.issuerName = "ADFederationServices", "http://fabrikam-sso.example/adfs/services/trust"
		s.incoming, s.protocol, s.binding, s.oldToken = "saml11", "wsFederation", "unbound", false
		s.details = "MFA requirement satisfied by claim provided by external provider"
		s.client = []app{userApps[0], userApps[5], userApps[4]}[i]
		s.resource = []app{resources[5], resources[3], resources[0]}[i]
		signIns = append(signIns, s.diagnostic())
	}
	r := risk{
		at: day(13, 21, 14), id: strings.ToLower(t.opaque(32)), request: t.guid(), kind: "tokenIssuerAnomaly", state: "atRisk",
		level: "medium", detail: "none", who: victim, address: at, detection: "offline",
	}
	return errors.Join(
		write(filepath.Join(dir, "entra-audit.json"), batches, audits),
		write(filepath.Join(dir, "entra-signins.json"), batches, signIns),
		write(filepath.Join(dir, "entra-risk.json"), batches, []object{r.diagnostic()}),
	)
}

// Damaged writes a file as a broken collector leaves it: good records around one that was cut off in the
// middle, and one that lost the time at which it happened.
func Damaged(dir string, seed uint64) error {
	t := story(seed, 3)
	f, err := create(filepath.Join(dir, "cut-off.ndjson"), lines)
	if err != nil {
		return err
	}
	f.add(t.signIn().diagnostic())
	f.add(t.mailAccess().management())
	cut := encode(t.signIn().diagnostic())
	f.text(cut[:len(cut)/3] + "\n")
	f.add(t.call().diagnostic())
	lost := t.signIn()
	whole := lost.properties()
	f.add(replaced(lost.diagnostic(), "properties", append(whole[:1:1], whole[2:]...)))
	f.add(t.serviceSignIn().diagnostic())
	return f.close()
}

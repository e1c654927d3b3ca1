// Package reference holds the snapshot of reference data that rules consult: known-bad keys and addresses, the
// published keys with their history, issuer hosts, and what is known of each tenant (mail clients, domains, partners…).
//
// A snapshot is immutable, carries a version that is a hash of its content, and answers with three values: data
// that nobody has given is "not known", which makes predicates Unknown, not false. The package does no I/O; the
// defaults are embedded, and who reads the overrides from where is the business of package config.
package reference

import (
	"net/netip"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// ConsumerTenant is the tenant of personal Microsoft accounts
// (access token claims reference, Microsoft identity platform).
const ConsumerTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"

// Data is an immutable snapshot of all reference data, but for the history of published keys, which grows: see Learn. It is safe for
// concurrent use.
type Data struct {
	// Version is a hash of the content: equal versions hold equal data.
	Version string

	source            Source // what it was made of; never changed
	badKeys           badKeys
	badIPs            map[netip.Addr]*Indicator
	badUserAgents     exact
	keys              atomic.Pointer[keyHistory]
	issuerHosts       map[string]*IssuerHost
	knownMailClients  map[event.GUID]*Client
	mailFrontends     guids
	firstPartyTenants guids
	s2sAppIDs         guids
	placeholderUTIs   guids
	sampleAudiences   names
	sampleTenants     guids
	trustedCerts      map[[20]byte]struct{}
	systems           map[int64]*AutonomousSystem
	networks          *networks // nil: not known

	defaults *Tenant
	tenants  map[string]*Tenant
}

// AnyTenant is the word that stands for every work or school tenant in App.AllowedTenants.
const AnyTenant = "any"

// The forms of issuers.
const (
	V1Issuer  = "v1"  // https://HOST/{tid}/
	V2Issuer  = "v2"  // https://HOST/{tid}/v2.0
	OwnIssuer = "own" // a customer's CIAM or B2C host
)

// The authentication types of domains (Microsoft Graph resource type domain).
const (
	Managed   = "Managed"
	Federated = "Federated"
)

// Tenant is what is known of one tenant.
type Tenant struct {
	own             guids
	partners        guids
	domains         map[string]*Domain
	mailClients     map[event.GUID]*Client
	appOnlyMailApps map[event.GUID]names // nil names: any mailbox
	workloadApps    map[event.GUID]names // nil names: any workload
	scriptedOK      guids
	mailboxOID      map[event.GUID]event.GUID
	vips            names
	guestOIDs       guids
	allowMSAGuests  bool
	apps            map[string]*Application
	delegates       map[event.GUID]names
	utiCoverage     map[event.GUID]float64
	graphCoverage   map[event.GUID]float64
	riskLevels      names
	owaResources    names
	tokenTypes      names
	authTypes       names
	deviceCodeApps  guids
	fics            guids
	testObservers   names
	idps            map[string]*SAMLIssuer // nil: not known
	vpnOK           names
	maxKeyAge       time.Duration
}

// Indicator is an address that an attacker used.
type Indicator struct {
	Kind        string
	First, Last time.Time // the first instant of the first day and the last of the last
	Source      string
}

// Client is an application that reads mail.
type Client struct {
	Name       string
	ClientInfo []*regexp.Regexp // one of them matches its ClientInfoString; nil: not known
	MaxAge     time.Duration    // 0: not known
}

// Application is one of the applications that accept tokens.
type Application struct {
	allowed     guids // nil: the own tenants
	anyTenant   bool
	allowedAlgs names         // nil: not said
	MaxLife     time.Duration // 0: not known
	EntraOnly   bool
}

// Tenant returns what is known of the tenant, which is given as events have it: in lower case. It is never nil.
func (d *Data) Tenant(id string) *Tenant {
	if t, ok := d.tenants[id]; ok {
		return t
	}
	return d.defaults
}

// BadKey returns the entry of the known-bad key that the text names, be it a kid, an x5t, or a certificate's
// SHA-1 or SHA-256, in base64url or in hex of either case.
func (d *Data) BadKey(s string) (*BadKey, bool) { return d.badKeys.find(s) }

// BadIP returns the indicator for exactly this address.
func (d *Data) BadIP(a netip.Addr) (*Indicator, bool) {
	i, ok := d.badIPs[a]
	return i, ok
}

// IssuerHost returns what is known of the host of an issuer, whatever the case.
func (d *Data) IssuerHost(host string) (*IssuerHost, bool) { return lookup(d.issuerHosts, host) }

// MailClient returns what is known of the protocol of a mail client: the tenant's own entry, else the
// built-in one. Whether the tenant allows the client is the business of MailClients.
func (d *Data) MailClient(tenant, appID string) (*Client, bool) {
	id, err := event.ParseGUID(appID)
	if err != nil {
		return nil, false
	}
	if c, ok := d.Tenant(tenant).mailClients[id]; ok && (c.ClientInfo != nil || c.MaxAge != 0) {
		return c, true
	}
	c, ok := d.knownMailClients[id]
	return c, ok
}

// MailClientsConfigured reports whether the defaults or any tenant say which mail clients they expect.
func (d *Data) MailClientsConfigured() bool {
	if d.defaults.mailClients != nil {
		return true
	}
	for _, t := range d.tenants {
		if t.mailClients != nil {
			return true
		}
	}
	return false
}

// Application returns what is said of the application that the audience names. known is false if nothing
// is said of any application of the tenant; ok is false if this one is not among them.
func (t *Tenant) Application(audience string) (a *Application, ok, known bool) {
	a, ok = lookup(t.apps, audience)
	return a, ok, t.apps != nil
}

// MailboxOwner returns the object id of the mailbox's owner. ok is false if the mailbox is not in the snapshot, or
// there is no snapshot.
func (t *Tenant) MailboxOwner(mailbox string) (oid event.GUID, ok bool) {
	id, err := event.ParseGUID(mailbox)
	if err != nil {
		return oid, false
	}
	oid, ok = t.mailboxOID[id]
	return oid, ok
}

// AllowsTenant reports whether the application accepts tokens of the tenant. own says which tenants are the owner's.
// known is false if that depends on own, which is not known.
func (a *Application) AllowsTenant(observer, tenant string, own rule.Set) (allowed, known bool) {
	if a.allowed == nil {
		return own.Contains(observer, tenant)
	}
	if in, _ := a.allowed.contains(tenant); in {
		return true, true
	}
	return a.anyTenant && !sameGUID(tenant, ConsumerTenant), true
}

// AllowsAlgorithm reports whether the application accepts tokens with the alg, whatever its case. known is
// false if nothing is said of it.
func (a *Application) AllowsAlgorithm(alg string) (allowed, known bool) {
	return a.allowedAlgs.has(alg), a.allowedAlgs != nil
}

// Domain returns what is known of the domain, whatever the case. known is false if nothing is known of the
// tenant's domains; ok is false if this one is not among them.
func (t *Tenant) Domain(name string) (d *Domain, ok, known bool) {
	d, ok = lookup(t.domains, name)
	return d, ok, t.domains != nil
}

// AppOnlyMail reports whether the application may read any mail on its own behalf. known is false if nobody has said which
// applications may.
func (t *Tenant) AppOnlyMail(appID string) (may, known bool) {
	if t.appOnlyMailApps == nil {
		return false, false
	}
	id, err := event.ParseGUID(appID)
	if err != nil {
		return false, true
	}
	_, may = t.appOnlyMailApps[id]
	return may, true
}

// AppOnlyMailbox reports whether the application may read the mailbox, which is given as its GUID or its address, on its
// own behalf. known is false if nobody has said which applications may.
func (t *Tenant) AppOnlyMailbox(appID, mailbox string) (may, known bool) {
	return allowed(t.appOnlyMailApps, appID, mailbox)
}

// Opens reports whether people open what the workload (SharePoint, OneDrive, MicrosoftTeams) keeps with the application. known is
// false if nobody has said which applications they use.
func (t *Tenant) Opens(appID, workload string) (may, known bool) {
	return allowed(t.workloadApps, appID, workload)
}

// allowed reports whether the application may open what is called so. No names stand for any; known is false if nothing is listed.
func allowed(apps map[event.GUID]names, appID, name string) (may, known bool) {
	if apps == nil {
		return false, false
	}
	id, err := event.ParseGUID(appID)
	if err != nil {
		return false, true
	}
	of, ok := apps[id]
	return ok && (of == nil || of.has(name)), true
}

// Delegate reports whether the user may open the mailbox. known is false if the tenant's delegates are not known.
func (t *Tenant) Delegate(user, mailbox string) (may, known bool) {
	if t.delegates == nil {
		return false, false
	}
	id, err := event.ParseGUID(mailbox)
	if err != nil {
		return false, true
	}
	return t.delegates[id].has(user), true
}

// UTICoverage returns the share of the mailbox records of the application that hold a token id, from 0 to 1.
func (t *Tenant) UTICoverage(appID string) (share float64, known bool) {
	return coverage(t.utiCoverage, appID)
}

// GraphUTICoverage returns the share of the Graph records of the application that hold a token id, from 0 to 1.
func (t *Tenant) GraphUTICoverage(appID string) (share float64, known bool) {
	return coverage(t.graphCoverage, appID)
}

func coverage(m map[event.GUID]float64, appID string) (float64, bool) {
	id, err := event.ParseGUID(appID)
	if err != nil {
		return 0, false
	}
	share, ok := m[id]
	return share, ok
}

// AllowMSAGuests reports whether personal accounts are ordinary guests of the tenant.
func (t *Tenant) AllowMSAGuests() bool { return t.allowMSAGuests }

// MaxKeyAge returns how old a signing key's certificate may be, or 0 for no limit.
func (t *Tenant) MaxKeyAge() time.Duration { return t.maxKeyAge }

// The sets that rules ask for membership. Their names stand in the blind-spot report as "reference:NAME".

// OwnTenants is the set of a tenant's own ids: the tenant itself and what tenantIds adds.
func (d *Data) OwnTenants() rule.Set { return ownTenants{d} }

// PartnerTenants is the set of tenants that a tenant works with.
func (d *Data) PartnerTenants() rule.Set {
	return tenantGUIDs{d, "partnerTenants", func(t *Tenant) guids { return t.partners }}
}

// FirstPartyTenants is the set of tenants that own Microsoft's applications.
func (d *Data) FirstPartyTenants() rule.Set {
	return globalGUIDs{"firstPartyTenants", d.firstPartyTenants}
}

// MailClients is the set of mail clients that a tenant expects. It is not known until somebody has said so.
func (d *Data) MailClients() rule.Set { return mailClients{d} }

// KnownMailClients is the set of the mail clients of Microsoft that are built in.
func (d *Data) KnownMailClients() rule.Set { return knownMailClients{d} }

// MailFrontends is the set of applications that stand in front of mailboxes: Outlook on the web, Graph, EWS.
func (d *Data) MailFrontends() rule.Set { return globalGUIDs{"mailFrontends", d.mailFrontends} }

// ScriptedOK is the set of applications that are scripts and may be.
func (d *Data) ScriptedOK() rule.Set {
	return tenantGUIDs{d, "scriptedOk", func(t *Tenant) guids { return t.scriptedOK }}
}

// GuestOIDs is the set of object ids of invited personal accounts.
func (d *Data) GuestOIDs() rule.Set {
	return tenantGUIDs{d, "guestOids", func(t *Tenant) guids { return t.guestOIDs }}
}

// S2SAppIDs is the set of applications whose tokens only Microsoft's own services use.
func (d *Data) S2SAppIDs() rule.Set { return globalGUIDs{"s2sAppIds", d.s2sAppIDs} }

// PlaceholderUTIs is the set of token ids that stand for "none".
func (d *Data) PlaceholderUTIs() rule.Set { return placeholderUTIs{d} }

// SampleAudiences is the set of audiences of tokens in Microsoft's documentation.
func (d *Data) SampleAudiences() rule.Set { return globalNames{"sampleAudiences", d.sampleAudiences} }

// SampleTenants is the set of tenants of tokens in Microsoft's documentation.
func (d *Data) SampleTenants() rule.Set { return globalGUIDs{"sampleTenants", d.sampleTenants} }

// BadUserAgents is the set of user agents that an attacker used, to the byte.
func (d *Data) BadUserAgents() rule.Set { return globalExact{"badUserAgents", d.badUserAgents} }

// TrustedCertificates is the set of certificates, by SHA-1, that an x5c header may hold: those of the published keys and
// the configured ones.
func (d *Data) TrustedCertificates() rule.Set { return trustedCertificates{d} }

// VIPs is the set of people and mailboxes of whom an access is graver: object ids, names or mailbox GUIDs.
func (d *Data) VIPs() rule.Set {
	return tenantNames{d, "vips", func(t *Tenant) names { return t.vips }}
}

// RiskLevels is the set of levels of risk events that count.
func (d *Data) RiskLevels() rule.Set {
	return tenantNames{d, "riskLevels", func(t *Tenant) names { return t.riskLevels }}
}

// OWAResources is the set of hosts for which Outlook on the web obtains access tokens in ordinary use.
func (d *Data) OWAResources() rule.Set {
	return tenantNames{d, "owaResources", func(t *Tenant) names { return t.owaResources }}
}

// TokenTypes is the set of TokenType values of ordinary mailbox records.
func (d *Data) TokenTypes() rule.Set {
	return tenantNames{d, "tokenTypes", func(t *Tenant) names { return t.tokenTypes }}
}

// AuthTypes is the set of AuthType values of ordinary mailbox records.
func (d *Data) AuthTypes() rule.Set {
	return tenantNames{d, "authTypes", func(t *Tenant) names { return t.authTypes }}
}

// DeviceCodeApps is the set of applications whose users sign in by device code or by transfer from another device.
func (d *Data) DeviceCodeApps() rule.Set {
	return tenantGUIDs{d, "deviceCodeApps", func(t *Tenant) guids { return t.deviceCodeApps }}
}

// FICs is the set of the known federated identity credentials of applications.
func (d *Data) FICs() rule.Set {
	return tenantGUIDs{d, "fics", func(t *Tenant) guids { return t.fics }}
}

// VPNOK is the set of people and mailboxes that come from rented hosts or through VPNs: object ids, names or mailbox GUIDs.
func (d *Data) VPNOK() rule.Set {
	return tenantNames{d, "vpnOk", func(t *Tenant) names { return t.vpnOK }}
}

// TestObservers is the set of observers that see test tokens. It is empty until somebody names one.
func (d *Data) TestObservers() rule.Set {
	return tenantNames{d, "testObservers", func(t *Tenant) names {
		if t.testObservers == nil {
			return noNames
		}
		return t.testObservers
	}}
}

package reference

import "time"

// Source is reference data as people write it. The embedded defaults and the configuration's overrides have this one
// form, and New merges them: entries of the lists at the top are added, an entry that names the same thing replaces the
// earlier one, and a tenant's own list replaces the one of Defaults.
//
// In TenantSource a nil list means "not known": rules that need it are not evaluable. An empty list that
// is not nil means "known to be empty".
type Source struct {
	BadKeys             []BadKey     `yaml:"badKeys,omitempty" json:"badKeys,omitempty"`
	BadIPs              []BadIP      `yaml:"badIps,omitempty" json:"badIps,omitempty"`
	BadUserAgents       []string     `yaml:"badUserAgents,omitempty" json:"badUserAgents,omitempty"` // exact
	Keys                []Key        `yaml:"keys,omitempty" json:"keys,omitempty"`
	Fetches             []Fetch      `yaml:"fetches,omitempty" json:"fetches,omitempty"`
	IssuerHosts         []IssuerHost `yaml:"issuerHosts,omitempty" json:"issuerHosts,omitempty"`
	KnownMailClients    []MailClient `yaml:"knownMailClients,omitempty" json:"knownMailClients,omitempty"`
	MailFrontends       []string     `yaml:"mailFrontends,omitempty" json:"mailFrontends,omitempty"` // app ids of the APIs in front of mailboxes
	FirstPartyTenants   []string     `yaml:"firstPartyTenants,omitempty" json:"firstPartyTenants,omitempty"`
	S2SAppIDs           []string     `yaml:"s2sAppIds,omitempty" json:"s2sAppIds,omitempty"`
	PlaceholderUTIs     []string     `yaml:"placeholderUtis,omitempty" json:"placeholderUtis,omitempty"`         // in any form of event.ParseTokenID
	SampleAudiences     []string     `yaml:"sampleAudiences,omitempty" json:"sampleAudiences,omitempty"`         // of documentation samples: T01 is silent
	SampleTenants       []string     `yaml:"sampleTenants,omitempty" json:"sampleTenants,omitempty"`             // of documentation samples: T01 is silent
	TrustedCertificates []string     `yaml:"trustedCertificates,omitempty" json:"trustedCertificates,omitempty"` // hex SHA-1 of certificates that x5c headers may hold

	AutonomousSystems []AutonomousSystem `yaml:"autonomousSystems,omitempty" json:"autonomousSystems,omitempty"`
	// Networks are a snapshot of which autonomous system announces which network; nil: not known. An address in none of them
	// belongs to no system that anybody has classed.
	Networks []Network `yaml:"networks,omitempty" json:"networks,omitempty"`

	// Defaults hold for every tenant that does not say otherwise.
	Defaults TenantSource `yaml:"defaults,omitempty" json:"defaults,omitzero"`
	// Tenants are keyed by tenant id.
	Tenants map[string]TenantSource `yaml:"tenants,omitempty" json:"tenants,omitempty"`
}

// BadKey is a signing key that is known to be in the wrong hands. One of the three identifiers is enough.
type BadKey struct {
	KID    string `yaml:"kid,omitempty" json:"kid,omitempty"`       // as tokens carry it: base64url of the SHA-1
	SHA1   string `yaml:"sha1,omitempty" json:"sha1,omitempty"`     // of the certificate, hex
	SHA256 string `yaml:"sha256,omitempty" json:"sha256,omitempty"` // of the certificate, hex
	From   string `yaml:"from,omitempty" json:"from,omitempty"`     // since when it is known, yyyy-mm-dd
	Source string `yaml:"source,omitempty" json:"source,omitempty"`
	Note   string `yaml:"note,omitempty" json:"note,omitempty"`
}

// BadIP is an address that an attacker used, with the days on which it was seen.
type BadIP struct {
	IP     string `yaml:"ip" json:"ip"`
	Kind   string `yaml:"kind,omitempty" json:"kind,omitempty"` // proxy, token-panel, tor or vps
	First  string `yaml:"first" json:"first"`                   // yyyy-mm-dd, UTC
	Last   string `yaml:"last" json:"last"`                     // yyyy-mm-dd, UTC
	Source string `yaml:"source,omitempty" json:"source,omitempty"`
}

// Key is a key that an OpenID keys document published.
type Key struct {
	KID string `yaml:"kid" json:"kid"`
	// Issuer is the issuer that the document gives for the key, with {tenantid} in place of any tenant. Empty if no
	// document gives one: then Scope alone tells.
	Issuer string `yaml:"issuer,omitempty" json:"issuer,omitempty"`
	// Scope is consumers or tenants: from the issuer, else from the certificate's subject. Empty if neither tells, as for
	// a key of one tenant alone.
	Scope     string    `yaml:"scope,omitempty" json:"scope,omitempty"`
	Cloud     string    `yaml:"cloud,omitempty" json:"cloud,omitempty"`        // cloud_instance_name
	SHA1      string    `yaml:"sha1,omitempty" json:"sha1,omitempty"`          // of the certificate, hex
	NotBefore time.Time `yaml:"notBefore,omitempty" json:"notBefore,omitzero"` // of the certificate
	NotAfter  time.Time `yaml:"notAfter,omitempty" json:"notAfter,omitzero"`   // of the certificate
	FirstSeen time.Time `yaml:"firstSeen,omitempty" json:"firstSeen,omitzero"` // in a copy that was found, not first published
	LastSeen  time.Time `yaml:"lastSeen,omitempty" json:"lastSeen,omitzero"`   // in a copy that was found, not last published
}

// Fetch is one successful reading of a whole keys document.
type Fetch struct {
	// Document is common, organizations or consumers (all of version 2.0), or a tenant id.
	Document string    `yaml:"document" json:"document"`
	At       time.Time `yaml:"at" json:"at"`
	KIDs     []string  `yaml:"kids,flow" json:"kids"`
}

// IssuerHost is a host whose tokens are Entra ID's.
type IssuerHost struct {
	Host string `yaml:"host" json:"host"`
	// Form is v1 (https://HOST/{tid}/), v2 (https://HOST/{tid}/v2.0) or own (a customer's CIAM or B2C host, whose issuers
	// are not of one form).
	Form string `yaml:"form" json:"form"`
	// Clouds are the cloud_instance_name values whose tokens the host issues.
	Clouds []string `yaml:"clouds,flow,omitempty" json:"clouds,omitempty"`
}

// AutonomousSystem is a network operator whose addresses are rented out, or hide who uses them.
type AutonomousSystem struct {
	Number int64  `yaml:"asn" json:"asn"`
	Class  string `yaml:"class" json:"class"` // hosting, vpn or tor
	Name   string `yaml:"name,omitempty" json:"name,omitempty"`
}

// Network is a network that an autonomous system announces.
type Network struct {
	Prefix string `yaml:"prefix" json:"prefix"` // 192.0.2.0/24 or 2001:db8::/32
	Number int64  `yaml:"asn" json:"asn"`
}

// MailClient is an application that reads mail.
type MailClient struct {
	AppID string `yaml:"appId" json:"appId"`
	Name  string `yaml:"name,omitempty" json:"name,omitempty"`
	// ClientInfo are regular expressions, one of which the ClientInfoString of its records matches.
	ClientInfo []string `yaml:"clientInfo,omitempty" json:"clientInfo,omitempty"`
	// MaxAge is the age in use beyond which its tokens are out of the ordinary; 0: not known.
	MaxAge time.Duration `yaml:"maxAge,omitempty" json:"maxAge,omitempty"`
	Source string        `yaml:"source,omitempty" json:"source,omitempty"`
}

// App is one of the applications that accept tokens.
type App struct {
	Audience string `yaml:"audience" json:"audience"` // the aud claim
	// AllowedTenants are the ids of the tenants whose tokens it accepts. The word "any" stands for every work or school
	// tenant; the tenant of personal accounts has to be named even beside it. Nil: the own tenants.
	AllowedTenants []string      `yaml:"allowedTenants,omitempty" json:"allowedTenants,omitempty"`
	MaxLife        time.Duration `yaml:"maxLife,omitempty" json:"maxLife,omitempty"`         // of its tokens; 0: not known
	AllowedAlgs    []string      `yaml:"allowedAlgs,omitempty" json:"allowedAlgs,omitempty"` // nil: RS256 for Entra tokens
	EntraOnly      bool          `yaml:"entraOnly,omitempty" json:"entraOnly,omitempty"`     // accepts tokens of no other issuer
}

// Domain is a verified domain of a tenant.
type Domain struct {
	Name     string `yaml:"name" json:"name"`
	AuthType string `yaml:"authType" json:"authType"` // Managed or Federated
	// IssuerURI is the issuer of the federation, as Entra ID has it (Microsoft Graph internalDomainFederation).
	IssuerURI string `yaml:"issuerUri,omitempty" json:"issuerUri,omitempty"`
	// FederatedIdpMfaBehavior is acceptIfMfaDoneByFederatedIdp, enforceMfaByFederatedIdp or rejectMfaByFederatedIdp.
	FederatedIdpMfaBehavior string `yaml:"federatedIdpMfaBehavior,omitempty" json:"federatedIdpMfaBehavior,omitempty"`
}

// IdentityProvider is an issuer of SAML assertions that one's own service providers trust.
type IdentityProvider struct {
	Issuer string   `yaml:"issuer" json:"issuer"` // the entity id, to the byte
	Certs  []string `yaml:"certs" json:"certs"`   // SHA-1 or SHA-256 of its signing certificates, hex
	// MaxLife is the longest that its assertions are valid for; 0: 70 minutes, Entra ID's hour and its allowance for clocks.
	MaxLife time.Duration `yaml:"maxLife,omitempty" json:"maxLife,omitempty"`
}

// AppOnlyMailApp is an application that reads mail on its own behalf.
type AppOnlyMailApp struct {
	AppID     string   `yaml:"appId" json:"appId"`
	Mailboxes []string `yaml:"mailboxes,omitempty" json:"mailboxes,omitempty"` // GUIDs or addresses; nil: any
}

// WorkloadApp is an application with which people open documents and chats.
type WorkloadApp struct {
	AppID     string   `yaml:"appId" json:"appId"`
	Workloads []string `yaml:"workloads,omitempty" json:"workloads,omitempty"` // SharePoint, OneDrive, MicrosoftTeams; nil: all three
}

// Delegate may open another's mailbox.
type Delegate struct {
	User    string `yaml:"user" json:"user"`       // user principal name
	Mailbox string `yaml:"mailbox" json:"mailbox"` // mailbox GUID
}

// TenantSource is what is known of one tenant. A nil list is not known.
type TenantSource struct {
	TenantIDs        []string           `yaml:"tenantIds,omitempty" json:"tenantIds"` // further tenants of the same owner
	PartnerTenants   []string           `yaml:"partnerTenants,omitempty" json:"partnerTenants"`
	Domains          []Domain           `yaml:"domains,omitempty" json:"domains"`
	MailClients      []MailClient       `yaml:"mailClients,omitempty" json:"mailClients"`
	AppOnlyMailApps  []AppOnlyMailApp   `yaml:"appOnlyMailApps,omitempty" json:"appOnlyMailApps"`
	WorkloadApps     []WorkloadApp      `yaml:"workloadApps,omitempty" json:"workloadApps"`
	ScriptedOK       []string           `yaml:"scriptedOk,omitempty" json:"scriptedOk"`         // app ids that are scripts
	MailboxOID       map[string]string  `yaml:"mailboxOid,omitempty" json:"mailboxOid"`         // mailbox GUID to its owner's object id
	VIPs             []string           `yaml:"vips,omitempty" json:"vips"`                     // object ids, names or mailbox GUIDs
	GuestOIDs        []string           `yaml:"guestOids,omitempty" json:"guestOids"`           // object ids of invited personal accounts
	AllowMSAGuests   bool               `yaml:"allowMsaGuests,omitempty" json:"allowMsaGuests"` // personal accounts are ordinary guests here
	Apps             []App              `yaml:"apps,omitempty" json:"apps"`
	Delegates        []Delegate         `yaml:"delegates,omitempty" json:"delegates"`
	UTICoverage      map[string]float64 `yaml:"utiCoverage,omitempty" json:"utiCoverage"`           // app id to the share of its mailbox records with a token id
	GraphUTICoverage map[string]float64 `yaml:"graphUtiCoverage,omitempty" json:"graphUtiCoverage"` // app id to the share of its Graph records with a token id
	RiskLevels       []string           `yaml:"riskLevels,omitempty" json:"riskLevels"`             // of risk events that count
	OWAResources     []string           `yaml:"owaResources,omitempty" json:"owaResources"`         // hosts for which Outlook on the web obtains tokens
	TokenTypes       []string           `yaml:"tokenTypes,omitempty" json:"tokenTypes"`             // TokenType values of ordinary mailbox records
	AuthTypes        []string           `yaml:"authTypes,omitempty" json:"authTypes"`               // AuthType values of ordinary mailbox records
	DeviceCodeApps   []string           `yaml:"deviceCodeApps,omitempty" json:"deviceCodeApps"`     // app ids that sign in by device code or transfer
	FICs             []string           `yaml:"fics,omitempty" json:"fics"`                         // ids of the known federated identity credentials
	TestObservers    []string           `yaml:"testObservers,omitempty" json:"testObservers"`       // observers that see test tokens
	IDP              []IdentityProvider `yaml:"idp,omitempty" json:"idp"`                           // whose SAML assertions one's own service providers accept
	VPNOK            []string           `yaml:"vpnOk,omitempty" json:"vpnOk"`                       // people and mailboxes that come through a VPN or a rented host
	MaxKeyAge        time.Duration      `yaml:"maxKeyAge,omitempty" json:"maxKeyAge"`               // of a signing key's certificate; 0: no limit
}

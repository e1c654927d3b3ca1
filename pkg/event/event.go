// Package event holds the normalised event: one sign-in, mailbox access, Graph call, token observation,
// risk detection or directory change, with typed fields whose zero value means "not logged".
//
// It knows no log format, does no I/O and depends on the standard library only. How a log line
// becomes an Event is the business of package normalize; what an Event proves, that of package rules.
package event

// Kind is what an event is about. A rule names the kinds that it reads.
type Kind uint8

// The kinds of events. KindNone is the kind of a record that no rule reads.
const (
	KindNone          Kind = iota
	SignIn                 // Entra ID sign-in of any of the six categories
	Audit                  // Microsoft 365 unified audit: Exchange, SharePoint, OneDrive, Teams
	GraphActivity          // a call of Microsoft Graph or Azure AD Graph
	TokenObserved          // a token as an application, gateway or the Azure Activity log saw it
	Risk                   // a detection of Entra ID Protection
	DirectoryChange        // Entra ID directory audit
	AssertionObserved      // a SAML assertion as a service provider of one's own saw it
)

var kindNames = [...]string{"none", "signin", "audit", "graph", "token", "risk", "directory", "saml"}

// NumKinds is how many kinds there are, KindNone among them: the size of what holds something for each.
const NumKinds = len(kindNames)

// Kinds lists every kind that a rule can read.
func Kinds() []Kind {
	return []Kind{SignIn, Audit, GraphActivity, TokenObserved, Risk, DirectoryChange, AssertionObserved}
}

// String returns the kind's name, which is part of every event id.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "invalid"
}

// ID identifies an event wherever it was read: kind, tenant and the log's own id, or the SHA-256 of
// the record where the log gives none.
type ID string

// Event is one normalised record. Which of the groups are filled depends on the Kind. Its texts may alias the
// batch that it was read from.
type Event struct {
	ID       ID
	Kind     Kind
	Category string // as the log names it, e.g. SignInLogs or Exchange
	Tenant   string // lower-case GUID of the tenant that the event belongs to, or "unknown"
	Time     Time   // when it happened, never when it was logged or received

	Actor     Actor
	App       App
	Net       Net
	Token     Token
	SignIn    SignInFacts
	Audit     AuditFacts
	Graph     GraphFacts
	Observed  ObservedFacts
	Risk      RiskFacts
	Directory DirectoryFacts
	SAML      SAMLFacts

	// Extra are further values of the record that the rules of users ask for, in the order in which the normalizer was asked
	// for them. A value that is an object or an array is its JSON.
	Extra []Text
	// Record is the JSON of the record, unwrapped; "" unless the normalizer was asked for it.
	Record string
}

// Actor is who acted, as the log claims.
type Actor struct {
	ObjectID Text // object id of the user or service principal
	Name     Text // user principal name, or what stands in its place
	Type     Text // sign-ins: member or guest
}

// App is the client application, as the log claims.
type App struct {
	ID          Text // client application id
	Name        Text
	OwnerTenant Text
	Resource    Text // id of the resource that was asked for
}

// Net is where the request came from.
type Net struct {
	IP        Addr // unmapped, without port, brackets or zone
	ASN       Int  // number of the autonomous system that the address belongs to
	UserAgent Text
}

// Token is what the log says of the access token. Assay reads claims; it never verifies a signature.
type Token struct {
	Tenant    Text // tid
	ObjectID  Text // oid
	Subject   Text // sub
	ID        Text // uti: see ParseTokenID
	SessionID Text // sid
	IssuedAt  Time // iat
	NotBefore Time // nbf
	Expires   Time // exp

	Issuer           Text // iss
	Audience         Text // aud
	Version          Text // ver
	AppID            Text // appid (v1.0 tokens)
	AuthorizedParty  Text // azp (v2.0 tokens)
	Type             Text // idtyp: user or app
	IdentityProvider Text // idp
	Scopes           Text // scp, blank-separated
	Roles            List
	Actor            List // names of the claims that make an actor or impersonation token, as found
	ActorTenant      Text // tid of the token in the actor claim, where it was decoded

	// The header. No Microsoft log exports it; only one's own applications and gateways see it.
	Algorithm       Text // alg
	KeyID           Text // kid
	Thumbprint      Text // x5t
	CertThumbprint  Text // lower-case hex SHA-1 of the first certificate of x5c
	EmbeddedKeyRefs List // which of jku, jwk, x5u, x5c the header holds
}

// SignInFacts are the fields of the Entra ID sign-in logs
// (resource type signIn, Microsoft Graph documentation, beta).
type SignInFacts struct {
	RequestID          Text // properties.id
	ErrorCode          Int  // 0 is success
	AdditionalDetails  Text
	IssuerType         Text // tokenIssuerType
	IssuerName         Text // tokenIssuerName
	IncomingTokenTypes List // incomingTokenType, split at commas
	Protocol           Text // authenticationProtocol
	TransferMethod     Text // originalTransferMethod
	HomeTenant         Text
	ResourceTenant     Text
	CrossTenantAccess  Text
	MFADetail          Flag // whether mfaDetail says anything
	AuthSteps          Int  // number of authenticationDetails
	SessionBinding     Text // tokenProtectionStatusDetails.signInSessionStatus
	RiskEvents         List // riskEventTypes_v2
	RiskState          Text
	RiskLevel          Text // riskLevelDuringSignIn
	CredentialType     Text // clientCredentialType
	FederatedCredID    Text // federatedCredentialId
}

// AuditFacts are the fields of the Microsoft 365 unified audit log
// (Office 365 Management Activity API schema).
type AuditFacts struct {
	RecordType     Int
	Operation      Text
	Workload       Text
	Organization   Text // OrganizationId
	UserType       Int
	UserKey        Text // who acted: an object id in Teams, a PUID in Exchange and SharePoint, an app id
	LogonType      Int
	ExternalAccess Flag
	ExternalTenant Text // ExternalUserTenantId
	ClientInfo     Text // ClientInfoString
	ActorInfo      Text // ActorInfoString
	FrontendApp    Text // AppId: the API in front of the mailbox
	Mailbox        Text // MailboxGuid
	MailboxOwner   Text // MailboxOwnerUPN
	TokenType      Text
	AuthType       Text
	MailAccessType Text // Bind or Sync
	Throttled      Flag
	OperationCount Int
	ResourceURL    Text       // OWAAuth records
	Parameters     Parameters // of an administrative cmdlet
	Object         Text       // ObjectId: what was acted on
}

// Parameter is one name and value of a cmdlet.
type Parameter struct{ Name, Value string }

// Parameters are the parameters of an administrative cmdlet in the order of the log.
type Parameters = Value[[]Parameter]

// GraphFacts are the fields of MicrosoftGraphActivityLogs (Azure Monitor table reference).
type GraphFacts struct {
	RequestID        Text
	Method           Text
	URI              Text
	Status           Int
	ClientAuthMethod Text
}

// ObservedFacts say how a relying party met the token.
type ObservedFacts struct {
	Observer     Text
	ObserverType Text // apim, app, gateway or azure-activity
	Result       Text // accepted, rejected or unknown
	Signed       Flag // whether there was a signature at all
	Segments     Int
	Host         Text
	Path         Text
}

// RiskFacts are the fields of UserRiskEvents and ServicePrincipalRiskEvents.
type RiskFacts struct {
	Type      Text // riskEventType
	State     Text
	Level     Text
	Detail    Text
	RequestID Text // the sign-in that it is about
}

// DirectoryFacts are the fields of AuditLogs.
type DirectoryFacts struct {
	Activity      Text // operationName, activityDisplayName
	Result        Text
	InitiatorName Text // initiatedBy.user.displayName
	InitiatorUPN  Text
	InitiatorApp  Text // initiatedBy.app.displayName
	Target        Text // display name of the first target resource
	Changes       Parameters
}

// SAMLFacts are what a service provider observed of a SAML 2.0 assertion (OASIS saml-core-2.0-os, section 2).
type SAMLFacts struct {
	Issuer       Text
	Subject      Text // NameID
	Audience     Text
	IssuedAt     Time // IssueInstant
	Authn        Time // AuthnInstant
	NotBefore    Time
	NotOnOrAfter Time

	SignatureAlgorithm Text // the identifier of XML Signature, e.g. http://www.w3.org/2001/04/xmldsig-more#rsa-sha256
	DigestAlgorithm    Text
	CertSHA1           Text // of the certificate that verified the signature: lower-case hex
	CertSHA256         Text // the same
}

package event

import (
	"net/netip"
	"time"
)

// Field names one typed field of an Event. Path is the name that evidence, documents and the blind-spot
// report use; the spellings of each log format are the business of package decode.
type Field[T any] struct {
	Path string
	Get  func(*Event) *Value[T]
}

// The catalogue of fields that rules read.
var (
	ActorID   = Field[string]{"actor.objectId", func(e *Event) *Text { return &e.Actor.ObjectID }}
	ActorName = Field[string]{"actor.name", func(e *Event) *Text { return &e.Actor.Name }}
	ActorType = Field[string]{"actor.type", func(e *Event) *Text { return &e.Actor.Type }}

	AppID          = Field[string]{"app.id", func(e *Event) *Text { return &e.App.ID }}
	AppName        = Field[string]{"app.name", func(e *Event) *Text { return &e.App.Name }}
	AppOwnerTenant = Field[string]{"app.ownerTenantId", func(e *Event) *Text { return &e.App.OwnerTenant }}
	ResourceID     = Field[string]{"app.resourceId", func(e *Event) *Text { return &e.App.Resource }}

	UserAgent = Field[string]{"net.userAgent", func(e *Event) *Text { return &e.Net.UserAgent }}

	TokenTenant     = Field[string]{"token.tid", func(e *Event) *Text { return &e.Token.Tenant }}
	TokenObjectID   = Field[string]{"token.oid", func(e *Event) *Text { return &e.Token.ObjectID }}
	TokenSubject    = Field[string]{"token.sub", func(e *Event) *Text { return &e.Token.Subject }}
	TokenID         = Field[string]{"token.uti", func(e *Event) *Text { return &e.Token.ID }}
	TokenSession    = Field[string]{"token.sid", func(e *Event) *Text { return &e.Token.SessionID }}
	TokenIssuer     = Field[string]{"token.iss", func(e *Event) *Text { return &e.Token.Issuer }}
	TokenAudience   = Field[string]{"token.aud", func(e *Event) *Text { return &e.Token.Audience }}
	TokenVersion    = Field[string]{"token.ver", func(e *Event) *Text { return &e.Token.Version }}
	TokenAppID      = Field[string]{"token.appid", func(e *Event) *Text { return &e.Token.AppID }}
	TokenParty      = Field[string]{"token.azp", func(e *Event) *Text { return &e.Token.AuthorizedParty }}
	TokenType       = Field[string]{"token.idtyp", func(e *Event) *Text { return &e.Token.Type }}
	TokenIDP        = Field[string]{"token.idp", func(e *Event) *Text { return &e.Token.IdentityProvider }}
	TokenScopes     = Field[string]{"token.scp", func(e *Event) *Text { return &e.Token.Scopes }}
	TokenAlgorithm  = Field[string]{"token.alg", func(e *Event) *Text { return &e.Token.Algorithm }}
	TokenKeyID      = Field[string]{"token.kid", func(e *Event) *Text { return &e.Token.KeyID }}
	TokenThumbprint = Field[string]{"token.x5t", func(e *Event) *Text { return &e.Token.Thumbprint }}
	TokenCertSHA1   = Field[string]{"token.x5c.sha1", func(e *Event) *Text { return &e.Token.CertThumbprint }}
	ActorTenant     = Field[string]{"token.actor.tid", func(e *Event) *Text { return &e.Token.ActorTenant }}

	SignInRequestID   = Field[string]{"signIn.id", func(e *Event) *Text { return &e.SignIn.RequestID }}
	SignInDetails     = Field[string]{"signIn.status.additionalDetails", func(e *Event) *Text { return &e.SignIn.AdditionalDetails }}
	IssuerType        = Field[string]{"signIn.tokenIssuerType", func(e *Event) *Text { return &e.SignIn.IssuerType }}
	IssuerName        = Field[string]{"signIn.tokenIssuerName", func(e *Event) *Text { return &e.SignIn.IssuerName }}
	SignInProtocol    = Field[string]{"signIn.authenticationProtocol", func(e *Event) *Text { return &e.SignIn.Protocol }}
	TransferMethod    = Field[string]{"signIn.originalTransferMethod", func(e *Event) *Text { return &e.SignIn.TransferMethod }}
	HomeTenant        = Field[string]{"signIn.homeTenantId", func(e *Event) *Text { return &e.SignIn.HomeTenant }}
	ResourceTenant    = Field[string]{"signIn.resourceTenantId", func(e *Event) *Text { return &e.SignIn.ResourceTenant }}
	CrossTenantAccess = Field[string]{"signIn.crossTenantAccessType", func(e *Event) *Text { return &e.SignIn.CrossTenantAccess }}
	SessionBinding    = Field[string]{"signIn.signInSessionStatus", func(e *Event) *Text { return &e.SignIn.SessionBinding }}
	SignInRiskState   = Field[string]{"signIn.riskState", func(e *Event) *Text { return &e.SignIn.RiskState }}
	SignInRiskLevel   = Field[string]{"signIn.riskLevelDuringSignIn", func(e *Event) *Text { return &e.SignIn.RiskLevel }}
	CredentialType    = Field[string]{"signIn.clientCredentialType", func(e *Event) *Text { return &e.SignIn.CredentialType }}
	FederatedCredID   = Field[string]{"signIn.federatedCredentialId", func(e *Event) *Text { return &e.SignIn.FederatedCredID }}

	Operation      = Field[string]{"audit.operation", func(e *Event) *Text { return &e.Audit.Operation }}
	Workload       = Field[string]{"audit.workload", func(e *Event) *Text { return &e.Audit.Workload }}
	Organization   = Field[string]{"audit.organizationId", func(e *Event) *Text { return &e.Audit.Organization }}
	ExternalTenant = Field[string]{"audit.externalUserTenantId", func(e *Event) *Text { return &e.Audit.ExternalTenant }}
	ClientInfo     = Field[string]{"audit.clientInfoString", func(e *Event) *Text { return &e.Audit.ClientInfo }}
	ActorInfo      = Field[string]{"audit.actorInfoString", func(e *Event) *Text { return &e.Audit.ActorInfo }}
	UserKey        = Field[string]{"audit.userKey", func(e *Event) *Text { return &e.Audit.UserKey }}
	FrontendApp    = Field[string]{"audit.appId", func(e *Event) *Text { return &e.Audit.FrontendApp }}
	Mailbox        = Field[string]{"audit.mailboxGuid", func(e *Event) *Text { return &e.Audit.Mailbox }}
	MailboxOwner   = Field[string]{"audit.mailboxOwnerUpn", func(e *Event) *Text { return &e.Audit.MailboxOwner }}
	AuditTokenType = Field[string]{"audit.tokenType", func(e *Event) *Text { return &e.Audit.TokenType }}
	AuthType       = Field[string]{"audit.authType", func(e *Event) *Text { return &e.Audit.AuthType }}
	MailAccessType = Field[string]{"audit.mailAccessType", func(e *Event) *Text { return &e.Audit.MailAccessType }}
	ResourceURL    = Field[string]{"audit.resourceUrl", func(e *Event) *Text { return &e.Audit.ResourceURL }}

	GraphMethod      = Field[string]{"graph.requestMethod", func(e *Event) *Text { return &e.Graph.Method }}
	GraphURI         = Field[string]{"graph.requestUri", func(e *Event) *Text { return &e.Graph.URI }}
	ClientAuthMethod = Field[string]{"graph.clientAuthMethod", func(e *Event) *Text { return &e.Graph.ClientAuthMethod }}

	ValidationResult = Field[string]{"observed.result", func(e *Event) *Text { return &e.Observed.Result }}
	Observer         = Field[string]{"observed.observer", func(e *Event) *Text { return &e.Observed.Observer }}
	ObserverType     = Field[string]{"observed.observerType", func(e *Event) *Text { return &e.Observed.ObserverType }}

	RiskType  = Field[string]{"risk.riskEventType", func(e *Event) *Text { return &e.Risk.Type }}
	RiskState = Field[string]{"risk.riskState", func(e *Event) *Text { return &e.Risk.State }}
	RiskLevel = Field[string]{"risk.riskLevel", func(e *Event) *Text { return &e.Risk.Level }}

	DirectoryActivity = Field[string]{"directory.activity", func(e *Event) *Text { return &e.Directory.Activity }}
	InitiatorName     = Field[string]{"directory.initiatedBy.displayName", func(e *Event) *Text { return &e.Directory.InitiatorName }}
	InitiatorUPN      = Field[string]{"directory.initiatedBy.userPrincipalName", func(e *Event) *Text { return &e.Directory.InitiatorUPN }}
	DirectoryTarget   = Field[string]{"directory.target", func(e *Event) *Text { return &e.Directory.Target }}

	SAMLIssuer    = Field[string]{"saml.issuer", func(e *Event) *Text { return &e.SAML.Issuer }}
	SAMLAudience  = Field[string]{"saml.audience", func(e *Event) *Text { return &e.SAML.Audience }}
	SAMLAlgorithm = Field[string]{"saml.signatureAlgorithm", func(e *Event) *Text { return &e.SAML.SignatureAlgorithm }}
	SAMLDigest    = Field[string]{"saml.digestAlgorithm", func(e *Event) *Text { return &e.SAML.DigestAlgorithm }}
	SAMLCertSHA1  = Field[string]{"saml.certificate.sha1", func(e *Event) *Text { return &e.SAML.CertSHA1 }}
	SAMLCert      = Field[string]{"saml.certificate.sha256", func(e *Event) *Text { return &e.SAML.CertSHA256 }}

	SignInError   = Field[int64]{"signIn.status.errorCode", func(e *Event) *Int { return &e.SignIn.ErrorCode }}
	AuthSteps     = Field[int64]{"signIn.authenticationDetails.count", func(e *Event) *Int { return &e.SignIn.AuthSteps }}
	RecordType    = Field[int64]{"audit.recordType", func(e *Event) *Int { return &e.Audit.RecordType }}
	UserType      = Field[int64]{"audit.userType", func(e *Event) *Int { return &e.Audit.UserType }}
	LogonType     = Field[int64]{"audit.logonType", func(e *Event) *Int { return &e.Audit.LogonType }}
	ItemCount     = Field[int64]{"audit.operationCount", func(e *Event) *Int { return &e.Audit.OperationCount }}
	GraphStatus   = Field[int64]{"graph.responseStatusCode", func(e *Event) *Int { return &e.Graph.Status }}
	ASN           = Field[int64]{"net.asn", func(e *Event) *Int { return &e.Net.ASN }}
	TokenSegments = Field[int64]{"observed.segments", func(e *Event) *Int { return &e.Observed.Segments }}

	ExternalAccess = Field[bool]{"audit.externalAccess", func(e *Event) *Flag { return &e.Audit.ExternalAccess }}
	Throttled      = Field[bool]{"audit.isThrottled", func(e *Event) *Flag { return &e.Audit.Throttled }}
	MFADetail      = Field[bool]{"signIn.mfaDetail", func(e *Event) *Flag { return &e.SignIn.MFADetail }}
	TokenSigned    = Field[bool]{"observed.signaturePresent", func(e *Event) *Flag { return &e.Observed.Signed }}
)

// The time, address and list fields that rules read.
var (
	EventTime = Field[time.Time]{"time", func(e *Event) *Time { return &e.Time }}
	IssuedAt  = Field[time.Time]{"token.iat", func(e *Event) *Time { return &e.Token.IssuedAt }}
	NotBefore = Field[time.Time]{"token.nbf", func(e *Event) *Time { return &e.Token.NotBefore }}
	Expires   = Field[time.Time]{"token.exp", func(e *Event) *Time { return &e.Token.Expires }}

	SAMLIssuedAt     = Field[time.Time]{"saml.issueInstant", func(e *Event) *Time { return &e.SAML.IssuedAt }}
	SAMLAuthn        = Field[time.Time]{"saml.authnInstant", func(e *Event) *Time { return &e.SAML.Authn }}
	SAMLNotBefore    = Field[time.Time]{"saml.notBefore", func(e *Event) *Time { return &e.SAML.NotBefore }}
	SAMLNotOnOrAfter = Field[time.Time]{"saml.notOnOrAfter", func(e *Event) *Time { return &e.SAML.NotOnOrAfter }}

	IP = Field[netip.Addr]{"net.ip", func(e *Event) *Addr { return &e.Net.IP }}

	TokenRoles         = Field[[]string]{"token.roles", func(e *Event) *List { return &e.Token.Roles }}
	TokenActorClaims   = Field[[]string]{"token.actorClaims", func(e *Event) *List { return &e.Token.Actor }}
	EmbeddedKeyRefs    = Field[[]string]{"token.header.keyReferences", func(e *Event) *List { return &e.Token.EmbeddedKeyRefs }}
	IncomingTokenTypes = Field[[]string]{"signIn.incomingTokenType", func(e *Event) *List { return &e.SignIn.IncomingTokenTypes }}
	SignInRiskEvents   = Field[[]string]{"signIn.riskEventTypes", func(e *Event) *List { return &e.SignIn.RiskEvents }}

	CmdletParameters = Field[[]Parameter]{"audit.parameters", func(e *Event) *Parameters { return &e.Audit.Parameters }}
	DirectoryChanges = Field[[]Parameter]{"directory.changes", func(e *Event) *Parameters { return &e.Directory.Changes }}
)

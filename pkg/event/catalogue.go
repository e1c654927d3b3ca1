package event

// TextFields returns the catalogue's fields that hold a text.
func TextFields() []Field[string] {
	return []Field[string]{
		ActorID, ActorName, ActorType,
		AppID, AppName, AppOwnerTenant, ResourceID,
		UserAgent,
		TokenTenant, TokenObjectID, TokenSubject, TokenID, TokenSession, TokenIssuer, TokenAudience, TokenVersion, TokenAppID, TokenParty,
		TokenType, TokenIDP, TokenScopes, TokenAlgorithm, TokenKeyID, TokenThumbprint, TokenCertSHA1, ActorTenant,
		SignInRequestID, SignInDetails, IssuerType, IssuerName, SignInProtocol, TransferMethod, HomeTenant, ResourceTenant,
		CrossTenantAccess, SessionBinding, SignInRiskState, SignInRiskLevel, CredentialType, FederatedCredID,
		Operation, Workload, Organization, ExternalTenant, ClientInfo, ActorInfo, UserKey, FrontendApp, Mailbox, MailboxOwner, AuditTokenType,
		AuthType, MailAccessType, ResourceURL,
		GraphMethod, GraphURI, ClientAuthMethod,
		ValidationResult, Observer, ObserverType,
		RiskType, RiskState, RiskLevel,
		SAMLIssuer, SAMLAudience, SAMLAlgorithm, SAMLDigest, SAMLCertSHA1, SAMLCert,
		DirectoryActivity, InitiatorName, InitiatorUPN, DirectoryTarget,
	}
}

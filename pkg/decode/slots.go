package decode

// Slot is the place of a wanted value in Values. Names follow the log that spells them first.
type Slot uint16

// The slots. What one means may depend on the feed: package normalize knows.
const (
	SlotCategory  Slot = iota // log category; also the activity category of Graph and Log Analytics directory audits
	SlotTableType             // Log Analytics table
	SlotKind                  // discriminator of token and SAML observations
	SlotPropertiesObject
	SlotRawEventData // the audit record inside a Defender record
	SlotAuditData    // the audit record, as JSON text, of a Purview search or Search-UnifiedAuditLog
	SlotActionType   // Defender action
	SlotOperationName
	SlotActivityDisplayName
	SlotID       // the log's own id
	SlotOfficeID // an audit record's id in Log Analytics
	SlotTenantID // never Log Analytics' TenantId, which is the workspace
	SlotAADTenantID
	SlotResourceTenantID
	SlotHomeTenantID
	SlotOrganizationID
	SlotEnvelopeTime // when a diagnostic record was written; the event time of Azure Activity and token observations only
	SlotCreatedDateTime
	SlotCreationTime
	SlotActivityDateTime
	SlotTimeGenerated
	SlotUserID // object id (sign-ins, Graph) or UPN, SID, app id (audit)
	SlotUserPrincipalName
	SlotUserKey
	SlotUserType // a number in the audit log, a word in sign-ins and Log Analytics
	SlotServicePrincipalID
	SlotServicePrincipalName
	SlotAppID // client application; in the audit log the API in front of the workload
	SlotAppDisplayName
	SlotClientAppID
	SlotApplicationID // client application of SharePoint's records; in Defender's own columns a number that names a service
	SlotAppOwnerTenantID
	SlotResourceID      // the resource asked for; never the root resourceId, which is an Azure path
	SlotGraphResourceID // the resource of a Graph signIn; an Azure path in a diagnostic record
	SlotCallerIPAddress
	SlotIPAddress
	SlotClientIPAddress
	SlotClientIP
	SlotActorIPAddress
	SlotUserAgent
	SlotUniqueTokenIdentifier
	SlotSignInActivityID
	SlotGraphUniqueTokenID
	SlotSessionID
	SlotGraphSessionID
	SlotGraphIssuedAt
	SlotGraphIat
	SlotGraphIdtyp
	SlotRoles
	SlotScopes
	SlotIdentityProvider
	SlotClientAuthMethod
	SlotRequestID
	SlotRequestMethod
	SlotRequestURI
	SlotResponseStatusCode
	SlotAppAccessContext
	SlotContextSessionID
	SlotContextClientAppID
	SlotContextClientAppName
	SlotContextTokenID
	SlotContextIssuedAt
	SlotTokenTenantID
	SlotTokenObjectID
	SlotAuditTokenType
	SlotAuthType
	SlotResultType
	SlotStatus
	SlotStatusString
	SlotStatusDynamic
	SlotStatusErrorCode
	SlotStatusAdditionalDetails
	SlotTokenIssuerType
	SlotTokenIssuerName
	SlotIncomingTokenType
	SlotAuthenticationProtocol
	SlotOriginalTransferMethod
	SlotCrossTenantAccessType
	SlotMFADetail
	SlotMFADetailString
	SlotMFADetailDynamic
	SlotAuthenticationDetails
	SlotTokenProtectionStatusDetails
	SlotSignInSessionStatus
	SlotRiskEventTypes
	SlotRiskState
	SlotRiskLevelDuringSignIn
	SlotClientCredentialType
	SlotFederatedCredentialID
	SlotConditionalAccessStatus // marks a Graph signIn
	SlotRecordType
	SlotOperation
	SlotWorkload
	SlotLogonType
	SlotExternalAccess
	SlotExternalUserTenantID
	SlotClientInfoString
	SlotActorInfoString
	SlotMailboxGUID
	SlotMailboxOwnerUPN
	SlotOperationProperties
	SlotOperationCount
	SlotResourceURL
	SlotParameters
	SlotModifiedProperties
	SlotObjectID
	SlotRiskEventType
	SlotRiskLevel
	SlotRiskDetail
	SlotInitiatedBy
	SlotInitiatedByUser
	SlotInitiatedByApp
	SlotInitiatorName
	SlotInitiatorUPN
	SlotInitiatorIP
	SlotInitiatorUserID
	SlotInitiatorAppName
	SlotInitiatorAppID
	SlotTargetResources
	SlotResult
	SlotTargetName
	SlotTargetModifiedProperties
	SlotIdentity // a name in a sign-in, an object in Azure Activity
	SlotClaimsObject
	SlotClaimIss
	SlotClaimAud
	SlotClaimTid
	SlotClaimOid
	SlotClaimSub
	SlotClaimIat
	SlotClaimNbf
	SlotClaimExp
	SlotClaimVer
	SlotClaimUti
	SlotClaimSid
	SlotClaimIdtyp
	SlotClaimAppid
	SlotClaimAzp
	SlotClaimIdp
	SlotClaimScp
	SlotClaimRoles
	SlotClaimUpn
	SlotClaimActort
	SlotClaimActorToken
	SlotClaimTrusted
	SlotClaimNii
	SlotClaimXmsAct
	SlotHeaderObject
	SlotHeaderAlg
	SlotHeaderKid
	SlotHeaderX5t
	SlotHeaderX5c
	SlotHeaderX5u
	SlotHeaderJku
	SlotHeaderJwk
	SlotValidationObject
	SlotValidationResult
	SlotSignaturePresent
	SlotSegments
	SlotObserverObject
	SlotObserverName
	SlotObserverType
	SlotRequestObject
	SlotRequestIP
	SlotRequestUserAgent
	SlotRequestHost
	SlotRequestPath
	SlotAssertionObject
	SlotAssertionIssuer
	SlotAssertionSubject
	SlotAssertionAudience
	SlotAssertionIssueInstant
	SlotAssertionAuthnInstant
	SlotAssertionNotBefore
	SlotAssertionNotOnOrAfter
	SlotSignatureObject
	SlotSignatureAlgorithm
	SlotSignatureDigestAlgorithm
	SlotSignatureCertificate
	SlotSignatureCertificateSHA1
	SlotSignatureCertificateSHA256
	SlotAutonomousSystemNumber
	SlotPairName
	SlotPairValue
	numSlots
)

// table lists every wanted field with all its spellings, best first. It is no variable: every start would wait for it.
func table() []field {
	return []field{
		{SlotCategory, none, one("category", "Category")},
		{SlotTableType, none, one("Type", "type")},
		{SlotKind, none, one("kind")},
		{SlotPropertiesObject, Properties, one("properties")},
		{SlotRawEventData, RawEvent, one("properties:RawEventData", "RawEventData")},
		{SlotAuditData, none, one("AuditData", "auditData")},
		{SlotActionType, none, one("properties:ActionType", "ActionType")},
		{SlotOperationName, none, one("operationName", "OperationName", "operationname", "properties:operationName", "properties:OperationName")},
		{SlotActivityDisplayName, none, one("properties:activityDisplayName", "activityDisplayName", "ActivityDisplayName")},
		{SlotID, none, all(audit("Id"), one("properties:id", "id", "properties:Id"))},
		{SlotOfficeID, none, one("OfficeId", "SourceRecordId")},
		{SlotTenantID, none, one("tenantId", "tenantid", "properties:tenantId", "properties:TenantId")},
		{SlotAADTenantID, none, one("AADTenantId", "AadTenantId")},
		{SlotResourceTenantID, none, signIn("resourceTenantId")},
		{SlotHomeTenantID, none, signIn("homeTenantId")},
		{SlotOrganizationID, none, audit("OrganizationId")},
		{SlotEnvelopeTime, none, one("time", "Time")},
		{SlotCreatedDateTime, none, signIn("createdDateTime")},
		{SlotCreationTime, none, audit("CreationTime")},
		{SlotActivityDateTime, none, signIn("activityDateTime")},
		{SlotTimeGenerated, none, one("properties:timeGenerated", "TimeGenerated", "timeGenerated")},
		{SlotUserID, none, all(one("raw:UserId", "raw:userid"), signIn("userId"))},
		{SlotUserPrincipalName, none, signIn("userPrincipalName")},
		{SlotUserKey, none, audit("UserKey")},
		{SlotUserType, none, all(one("raw:UserType", "raw:usertype"), signIn("userType"))},
		{SlotServicePrincipalID, none, signIn("servicePrincipalId")},
		{SlotServicePrincipalName, none, signIn("servicePrincipalName")},
		{SlotAppID, none, all(one("raw:AppId", "raw:appid"), signIn("appId"))},
		{SlotAppDisplayName, none, signIn("appDisplayName")},
		{SlotClientAppID, none, audit("ClientAppId")},
		{SlotApplicationID, none, one("raw:ApplicationId", "ApplicationId")},
		{SlotAppOwnerTenantID, none, signIn("appOwnerTenantId")},
		{SlotResourceID, none, all(one("properties:resourceId", "properties:resourceIdentity", "ResourceIdentity", "resourceIdentity", "properties:ResourceIdentity"))},
		{SlotGraphResourceID, none, one("resourceId")},
		{SlotCallerIPAddress, none, one("callerIpAddress", "calleripaddress", "CallerIpAddress")},
		{SlotIPAddress, none, all(signIn("ipAddress"), one("properties:IPAddress", "IPAddress"))},
		{SlotClientIPAddress, none, all(audit("ClientIPAddress"), one("Client_IPAddress"))},
		{SlotClientIP, none, all(audit("ClientIP"), one("ClientIP_", "raw:ClientIp", "ClientIp"))},
		{SlotActorIPAddress, none, audit("ActorIpAddress")},
		{SlotUserAgent, none, all(one("raw:UserAgent"), signIn("userAgent"))},
		{SlotUniqueTokenIdentifier, none, all(signIn("uniqueTokenIdentifier"), one("raw:UniqueTokenIdentifier"))},
		{SlotSignInActivityID, none, signIn("signInActivityId")},
		{SlotGraphUniqueTokenID, none, one("properties:uniqueTokenId", "properties:UniqueTokenId", "UniqueTokenId")},
		{SlotSessionID, none, all(one("raw:SessionId"), signIn("sessionId"))},
		{SlotGraphSessionID, none, one("properties:C_Sid", "properties:c_Sid", "C_Sid", "c_Sid")},
		{SlotGraphIssuedAt, none, one("properties:tokenIssuedAt", "TokenIssuedAt", "tokenIssuedAt", "properties:TokenIssuedAt")},
		{SlotGraphIat, none, one("properties:C_Iat", "properties:c_Iat", "C_Iat", "c_Iat")},
		{SlotGraphIdtyp, none, one("properties:C_Idtyp", "properties:c_Idtyp", "C_Idtyp", "c_Idtyp")},
		{SlotRoles, none, one("properties:roles", "Roles", "roles")},
		{SlotScopes, none, one("properties:scopes", "Scopes", "scopes")},
		{SlotIdentityProvider, none, signIn("identityProvider")},
		{SlotClientAuthMethod, none, signIn("clientAuthMethod")},
		{SlotRequestID, none, signIn("requestId")},
		{SlotRequestMethod, none, signIn("requestMethod")},
		{SlotRequestURI, none, signIn("requestUri")},
		{SlotResponseStatusCode, none, signIn("responseStatusCode")},
		{SlotAppAccessContext, AppContext, audit("AppAccessContext")},
		{SlotContextSessionID, none, one("ctx:AADSessionId")},
		{SlotContextClientAppID, none, one("ctx:ClientAppId")},
		{SlotContextClientAppName, none, one("ctx:ClientAppName")},
		{SlotContextTokenID, none, one("ctx:UniqueTokenId")},
		{SlotContextIssuedAt, none, one("ctx:IssuedAtTime", "ctx:TokenIssuedAtTime")},
		{SlotTokenTenantID, none, audit("TokenTenantId")},
		{SlotTokenObjectID, none, all(audit("TokenObjectId"), one("ctx:UserObjectId"))},
		{SlotAuditTokenType, none, audit("TokenType")},
		{SlotAuthType, none, audit("AuthType")},
		{SlotResultType, none, one("resultType", "ResultType", "resulttype")},
		{SlotStatus, SignInStatus, signIn("status")},
		{SlotStatusString, none, one("Status_string")},
		{SlotStatusDynamic, SignInStatus, one("Status_dynamic")},
		{SlotStatusErrorCode, none, one("status:errorCode")},
		{SlotStatusAdditionalDetails, none, one("status:additionalDetails")},
		{SlotTokenIssuerType, none, signIn("tokenIssuerType")},
		{SlotTokenIssuerName, none, signIn("tokenIssuerName")},
		{SlotIncomingTokenType, none, signIn("incomingTokenType")},
		{SlotAuthenticationProtocol, none, signIn("authenticationProtocol")},
		{SlotOriginalTransferMethod, none, signIn("originalTransferMethod")},
		{SlotCrossTenantAccessType, none, signIn("crossTenantAccessType")},
		{SlotMFADetail, none, signIn("mfaDetail")},
		{SlotMFADetailString, none, one("MfaDetail_string")},
		{SlotMFADetailDynamic, none, one("MfaDetail_dynamic")},
		{SlotAuthenticationDetails, none, signIn("authenticationDetails")},
		{SlotTokenProtectionStatusDetails, Protection, signIn("tokenProtectionStatusDetails")},
		{SlotSignInSessionStatus, none, one("protection:signInSessionStatus")},
		// The older name holds the same detections and stands alone in records from before the newer one, or beside it.
		{SlotRiskEventTypes, none, one("properties:riskEventTypes_v2", "riskEventTypes_v2", "RiskEventTypes_V2", "properties:riskEventTypes_V2",
			"properties:riskEventTypes", "riskEventTypes", "RiskEventTypes")},
		{SlotRiskState, none, signIn("riskState")},
		{SlotRiskLevelDuringSignIn, none, signIn("riskLevelDuringSignIn")},
		{SlotClientCredentialType, none, signIn("clientCredentialType")},
		{SlotFederatedCredentialID, none, signIn("federatedCredentialId")},
		{SlotConditionalAccessStatus, none, signIn("conditionalAccessStatus")},
		{SlotRecordType, none, audit("RecordType")},
		{SlotOperation, none, audit("Operation")},
		{SlotWorkload, none, all(audit("Workload"), one("OfficeWorkload"))},
		{SlotLogonType, none, all(audit("LogonType"), one("Logon_Type"))},
		{SlotExternalAccess, none, audit("ExternalAccess")},
		{SlotExternalUserTenantID, none, audit("ExternalUserTenantId")},
		{SlotClientInfoString, none, audit("ClientInfoString")},
		{SlotActorInfoString, none, audit("ActorInfoString")},
		{SlotMailboxGUID, none, audit("MailboxGuid")},
		{SlotMailboxOwnerUPN, none, audit("MailboxOwnerUPN")},
		{SlotOperationProperties, none, audit("OperationProperties")},
		{SlotOperationCount, none, audit("OperationCount")},
		{SlotResourceURL, none, audit("ResourceURL")},
		{SlotParameters, none, audit("Parameters")},
		{SlotModifiedProperties, none, audit("ModifiedProperties")},
		{SlotObjectID, none, all(audit("ObjectId"), one("OfficeObjectId"))},
		{SlotRiskEventType, none, all(signIn("riskEventType"), one("properties:riskType", "riskType", "RiskType"))},
		{SlotRiskLevel, none, signIn("riskLevel")},
		{SlotRiskDetail, none, signIn("riskDetail")},
		{SlotInitiatedBy, Initiator, signIn("initiatedBy")},
		{SlotInitiatedByUser, InitiatorUser, one("initiator:user")},
		{SlotInitiatedByApp, InitiatorApp, one("initiator:app")},
		{SlotInitiatorName, none, one("user:displayName")},
		{SlotInitiatorUPN, none, one("user:userPrincipalName")},
		{SlotInitiatorIP, none, one("user:ipAddress")},
		{SlotInitiatorUserID, none, one("user:id")},
		{SlotInitiatorAppName, none, one("app:displayName")},
		{SlotInitiatorAppID, none, one("app:appId")},
		{SlotTargetResources, none, signIn("targetResources")},
		{SlotResult, none, signIn("result")},
		{SlotTargetName, none, one("target:displayName")},
		{SlotTargetModifiedProperties, none, one("target:modifiedProperties")},
		{SlotIdentity, ActivityCaller, one("identity", "Identity")},
		{SlotClaimsObject, Claims, one("caller:claims", "claims")},
		{SlotClaimIss, none, one("claims:iss")},
		{SlotClaimAud, none, one("claims:aud")},
		{SlotClaimTid, none, one("claims:tid", "claims:http://schemas.microsoft.com/identity/claims/tenantid")},
		{SlotClaimOid, none, one("claims:oid", "claims:http://schemas.microsoft.com/identity/claims/objectidentifier")},
		{SlotClaimSub, none, one("claims:sub", "claims:http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier")},
		{SlotClaimIat, none, one("claims:iat")},
		{SlotClaimNbf, none, one("claims:nbf")},
		{SlotClaimExp, none, one("claims:exp")},
		{SlotClaimVer, none, one("claims:ver")},
		{SlotClaimUti, none, one("claims:uti")},
		{SlotClaimSid, none, one("claims:sid")},
		{SlotClaimIdtyp, none, one("claims:idtyp")},
		{SlotClaimAppid, none, one("claims:appid")},
		{SlotClaimAzp, none, one("claims:azp")},
		{SlotClaimIdp, none, one("claims:idp", "claims:http://schemas.microsoft.com/identity/claims/identityprovider", "claims:http://schemas.microsoft.com/identity/claims/identityprovider2")},
		{SlotClaimScp, none, one("claims:scp", "claims:http://schemas.microsoft.com/identity/claims/scope")},
		{SlotClaimRoles, none, one("claims:roles")},
		{SlotClaimUpn, none, one("claims:upn", "claims:preferred_username", "claims:http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn")},
		{SlotClaimActort, none, one("claims:actort")},
		{SlotClaimActorToken, none, one("claims:actortoken")},
		{SlotClaimTrusted, none, one("claims:trustedfordelegation")},
		{SlotClaimNii, none, one("claims:nii")},
		{SlotClaimXmsAct, none, one("claims:xms_act")},
		{SlotHeaderObject, Header, one("header")},
		{SlotHeaderAlg, none, one("header:alg")},
		{SlotHeaderKid, none, one("header:kid")},
		{SlotHeaderX5t, none, one("header:x5t")},
		{SlotHeaderX5c, none, one("header:x5c")},
		{SlotHeaderX5u, none, one("header:x5u")},
		{SlotHeaderJku, none, one("header:jku")},
		{SlotHeaderJwk, none, one("header:jwk")},
		{SlotValidationObject, Validation, one("validation")},
		{SlotValidationResult, none, one("validation:result")},
		{SlotSignaturePresent, none, one("validation:signaturePresent")},
		{SlotSegments, none, one("validation:segments")},
		{SlotObserverObject, Observer, one("observer")},
		{SlotObserverName, none, one("observer:name")},
		{SlotObserverType, none, one("observer:type")},
		{SlotRequestObject, Request, one("request")},
		{SlotRequestIP, none, one("request:ip")},
		{SlotRequestUserAgent, none, one("request:userAgent")},
		{SlotRequestHost, none, one("request:host")},
		{SlotRequestPath, none, one("request:path")},
		{SlotAssertionObject, Assertion, one("assertion")},
		{SlotAssertionIssuer, none, one("assertion:issuer")},
		{SlotAssertionSubject, none, one("assertion:subject")},
		{SlotAssertionAudience, none, one("assertion:audience")},
		{SlotAssertionIssueInstant, none, one("assertion:issueInstant")},
		{SlotAssertionAuthnInstant, none, one("assertion:authnInstant")},
		{SlotAssertionNotBefore, none, one("assertion:notBefore")},
		{SlotAssertionNotOnOrAfter, none, one("assertion:notOnOrAfter")},
		{SlotSignatureObject, Signature, one("signature")},
		{SlotSignatureAlgorithm, none, one("signature:algorithm")},
		{SlotSignatureDigestAlgorithm, none, one("signature:digestAlgorithm")},
		{SlotSignatureCertificate, none, one("signature:certificate")},
		{SlotSignatureCertificateSHA1, none, one("signature:certificateSha1")},
		{SlotSignatureCertificateSHA256, none, one("signature:certificateSha256")},
		{SlotAutonomousSystemNumber, none, signIn("autonomousSystemNumber")},
		{SlotPairName, none, one("pair:Name", "pair:name", "pair:displayName", "pair:key", "pair:Key")},
		{SlotPairValue, none, one("pair:Value", "pair:value", "pair:newValue", "pair:NewValue")},
	}
}

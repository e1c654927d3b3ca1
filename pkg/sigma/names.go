package sigma

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
)

// binding gives the values that a name stands for. Values that no event has by itself are asked for at the wants.
type binding func(*wants) values

// named is what a name of a field stands for.
type named struct {
	path string // that evidence and the blind-spot report show
	bind binding
	name string // in the case in which feeds write it
	// below binds what stands under a path of names inside; nil where nothing can.
	below func(*wants, []string) values
}

// names are the fields of one kind of events by what rules call them, each in its normal form: lower case, without blanks and
// underscores. A name that is there already stays what it is.
type names map[string]named

func normal(name string) string { return withoutBlanks.Replace(strings.ToLower(name)) }

var withoutBlanks = strings.NewReplacer(" ", "", "_", "", "{}", "", "[]", "", "[*]", "")

func (n names) add(f named, aliases string) {
	for _, a := range append(strings.Fields(aliases), f.path) {
		if _, taken := n[normal(a)]; !taken {
			f.name = a
			n[normal(a)] = f
		}
	}
}

func (n names) text(f event.Field[string], aliases string) {
	n.add(named{path: f.Path, bind: func(*wants) values { return text{f} }}, aliases)
}

func (n names) number(f event.Field[int64], words map[string]int64, aliases string) {
	n.add(named{path: f.Path, bind: func(*wants) values { return number{f, words} }}, aliases)
}

func (n names) flag(f event.Field[bool], aliases string) {
	n.add(named{path: f.Path, bind: func(*wants) values { return flag{f} }}, aliases)
}

func (n names) address(f event.Field[netip.Addr], aliases string) {
	n.add(named{path: f.Path, bind: func(*wants) values { return address{f} }}, aliases)
}

func (n names) instant(f event.Field[time.Time], aliases string) {
	n.add(named{path: f.Path, bind: func(*wants) values { return instant{f} }}, aliases)
}

func (n names) list(f event.Field[[]string], aliases string) {
	n.add(named{path: f.Path, bind: func(*wants) values { return list{f} }}, aliases)
}

// first adds a field that is the first of several that was logged.
func (n names) first(path, aliases string, of ...binding) {
	n.add(named{path: path, bind: func(w *wants) values {
		var f firstOf
		for _, b := range of {
			f = append(f, b(w))
		}
		return f
	}}, aliases)
}

// extra binds a value that the record holds as one text.
func extra(x decode.Extra, path string) binding {
	return func(w *wants) values { return text{w.field(x, path)} }
}

// under binds what stands under a path of names in a value of the record.
func under(x decode.Extra, path string, inner ...string) binding {
	return func(w *wants) values { return inside{w.field(x, path), inner} }
}

// scalars adds values of records that are one text each. An entry is a name, or a name with aliases: name=alias,alias.
func (n names) scalars(prefix string, spelled func(string) decode.Extra, entries string) {
	for _, entry := range strings.Fields(entries) {
		name, aliases, _ := strings.Cut(entry, "=")
		path := prefix + name
		n.add(named{path: path, bind: extra(spelled(name), path)}, name+" "+strings.ReplaceAll(aliases, ",", " "))
	}
}

// nested adds values of records that are lists or objects.
func (n names) nested(prefix string, spelled func(string) decode.Extra, entries string) {
	for _, entry := range strings.Fields(entries) {
		name, aliases, _ := strings.Cut(entry, "=")
		path, x := prefix+name, spelled(name)
		n.add(named{path: path, bind: under(x, path), below: func(w *wants, inner []string) values {
			return inside{w.field(x, path), inner}
		}}, name+" "+strings.ReplaceAll(aliases, ",", " "))
	}
}

// wrappers are what rules write before the name of a field because a feed, or another product, wraps the record.
var wrappers = []string{"properties", "raweventdata", "auditdata", "azure", "signinlogs", "auditlogs", "identityprotection", "o365", "audit"}

// find returns what a name stands for, and the path by which it is shown.
func (n names) find(name string) (path string, bind binding, ok bool) {
	segments := strings.Split(name, ".")
	for len(segments) > 0 {
		for i := len(segments); i > 0; i-- {
			f, known := n[normal(strings.Join(segments[:i], "."))]
			switch {
			case !known:
				continue
			case i == len(segments):
				return f.path, f.bind, true
			case f.below == nil:
				continue
			}
			inner := make([]string, 0, len(segments)-i)
			for _, s := range segments[i:] {
				s, _, _ = strings.Cut(strings.TrimSuffix(s, "{}"), "[")
				inner = append(inner, s)
			}
			return f.path + "." + strings.Join(inner, "."), func(w *wants) values { return f.below(w, inner) }, true
		}
		if !slices.Contains(wrappers, normal(segments[0])) {
			return "", nil, false
		}
		segments = segments[1:]
	}
	return "", nil, false
}

// all returns the names as feeds write them.
func (n names) all() []string {
	out := make([]string, 0, len(n))
	for _, key := range slices.Sorted(maps.Keys(n)) {
		out = append(out, n[key].name)
	}
	return out
}

// common are fields that every kind of event has.
func (n names) common() {
	n.add(named{path: "category", bind: func(*wants) values { return always(func(e *event.Event) string { return e.Category }) }}, "logType tableName type")
	n.add(named{path: "tenant", bind: func(*wants) values { return always(func(e *event.Event) string { return e.Tenant }) }}, "tenantId aadTenantId")
	n.instant(event.EventTime, "time timestamp timeGenerated createdDateTime creationTime activityDateTime")
	n.address(event.IP, "ipAddress callerIpAddress clientIP clientIPAddress actorIpAddress sourceIP srcIP ip")
	n.text(event.UserAgent, "userAgent")
	n.text(event.ActorName, "userPrincipalName user userName upn actor servicePrincipalName user.name user.email")
	n.text(event.ActorID, "userId servicePrincipalId")
	n.text(event.AppID, "appId applicationId")
	n.text(event.AppName, "appDisplayName appName application applicationName")
	n.scalars("record.", decode.SignInExtra, "correlationId level=logLevel durationMs resultSignature operationVersion")
}

// The results of a sign-in as the portal calls them.
var (
	succeeded    = event.Of("Success")
	failedSignIn = event.Of("Failure")
	noResult     = event.Text{}
)

// signInResult is Success where the error code is 0, and Failure where it is another.
var signInResult = event.Field[string]{Path: "signIn.status", Get: func(e *event.Event) *event.Text {
	switch {
	case !e.SignIn.ErrorCode.OK():
		return &noResult
	case e.SignIn.ErrorCode.V == 0:
		return &succeeded
	}
	return &failedSignIn
}}

// Sources: resource type signIn (Microsoft Graph, beta), table SigninLogs (Azure Monitor), and the columns of the portal.
var signInNames = sync.OnceValue(func() names {
	n := names{}
	s := decode.SignInExtra
	n.number(event.SignInError, nil, "resultType errorCode status.errorCode signInErrorCode")
	n.text(signInResult, "status result")
	n.text(event.SignInDetails, "status.additionalDetails additionalDetails")
	description := []binding{extra(s("resultDescription"), "signIn.resultDescription"), under(s("status"), "signIn.status.failureReason", "failureReason")}
	n.first("signIn.status.failureReason", "resultDescription failureReason status.failureReason signInFailureReason", description...)
	n.first("signIn.message", "message", append([]binding{extra(s("message"), "signIn.message")}, description...)...)
	// The portal's audit of sign-ins has one activity.
	n.add(named{path: "signIn.activityDetails", bind: func(*wants) values { return always(func(*event.Event) string { return "Sign-ins" }) }}, "activityDetails")
	n.text(event.ActorType, "userType")
	n.text(event.ResourceID, "resourceId resourceIdentity resourceAppId")
	n.text(event.AppOwnerTenant, "appOwnerTenantId")
	n.text(event.TokenID, "uniqueTokenIdentifier uniqueTokenId")
	n.text(event.TokenSession, "sessionId")
	n.text(event.SignInRequestID, "id originalRequestId requestId")
	n.text(event.IssuerType, "tokenIssuerType")
	n.text(event.IssuerName, "tokenIssuerName")
	n.list(event.IncomingTokenTypes, "incomingTokenType incomingTokenTypes")
	n.text(event.SignInProtocol, "authenticationProtocol")
	n.text(event.TransferMethod, "originalTransferMethod")
	n.text(event.HomeTenant, "homeTenantId")
	n.text(event.ResourceTenant, "resourceTenantId")
	n.text(event.CrossTenantAccess, "crossTenantAccessType crossTenantType")
	n.text(event.SessionBinding, "tokenProtectionStatusDetails.signInSessionStatus signInSessionStatus")
	n.list(event.SignInRiskEvents, "riskEventTypes riskEventTypesV2 riskEventType")
	n.text(event.SignInRiskState, "riskState")
	n.text(event.SignInRiskLevel, "riskLevelDuringSignIn riskLevel")
	n.text(event.CredentialType, "clientCredentialType")
	n.text(event.FederatedCredID, "federatedCredentialId")
	n.number(event.AuthSteps, nil, "")
	n.flag(event.MFADetail, "")
	// The place is an object in the record's properties, beside a country as a text at the root; the table has both as columns.
	place := decode.Spelled("location", "properties:location", "LocationDetails", "locationDetails", "LocationDetails_dynamic", "LocationDetails_string",
		"properties:locationDetails", "location", "Location")
	country := decode.Spelled("country", "location", "Location", "properties:Location")
	n.first("signIn.location.countryOrRegion", "location country countryOrRegion location.countryOrRegion locationDetails.countryOrRegion",
		under(place, "signIn.location.countryOrRegion", "countryOrRegion"), extra(country, "signIn.location"))
	inPlace := func(w *wants, inner []string) values { return inside{w.field(place, "signIn.location"), inner} }
	n["location"] = named{path: n["location"].path, bind: n["location"].bind, below: inPlace, name: "location"}
	n.add(named{path: "signIn.location.*", bind: under(place, "signIn.location"), below: inPlace}, "locationDetails")
	n["status"] = named{path: n["status"].path, bind: n["status"].bind, name: "status", below: func(w *wants, inner []string) values {
		return inside{w.field(s("status"), "signIn.status"), inner}
	}}
	n.scalars("signIn.", s, `authenticationRequirement clientAppUsed=clientApp resourceDisplayName=resource,resourceName conditionalAccessStatus
		isInteractive flaggedForReview riskDetail riskLevelAggregated userDisplayName=displayName alternateSignInName signInIdentifier signInIdentifierType
		servicePrincipalCredentialKeyId servicePrincipalCredentialThumbprint autonomousSystemNumber=asn,autonomousSystem isTenantRestricted
		isThroughGlobalSecureAccess globalSecureAccessIpAddress ipAddressFromResourceProvider processingTimeInMilliseconds ssoExtensionVersion
		federatedTokenId appServicePrincipalId resourceServicePrincipalId resourceOwnerTenantId homeTenantName operationName=activity
		authenticationMethodsUsed sourceAppClientId signInEventTypes=signInEventType managedIdentityType identity`)
	n.nested("signIn.", s, `deviceDetail=device appliedConditionalAccessPolicies=conditionalAccessPolicies authenticationDetails=authenticationMethod,authMethod
		authenticationProcessingDetails mfaDetail networkLocationDetails=networkLocation authenticationRequirementPolicies
		authenticationContextClassReferences sessionLifetimePolicies tokenProtectionStatusDetails authenticationAppDeviceDetails
		authenticationAppPolicyEvaluationDetails privateLinkDetails managedServiceIdentity agent appliedEventListeners
		conditionalAccessAudiences`)
	n.common()
	return n
})

// Sources: resource type directoryAudit (Microsoft Graph, beta), table AuditLogs (Azure Monitor).
var directoryNames = sync.OnceValue(func() names {
	n := names{}
	s := decode.SignInExtra
	n.text(event.DirectoryActivity, "activityDisplayName operationName operation message activity activityType eventName")
	n.text(directoryResult, "result status resultStatus")
	n.text(event.InitiatorUPN, "initiatedBy.user.userPrincipalName")
	n.text(event.InitiatorName, "initiatedBy.user.displayName")
	n.text(initiatorApp, "initiatedBy.app.displayName")
	n.text(event.AppID, "initiatedBy.app.appId")
	n.text(event.ActorID, "initiatedBy.user.id")
	n.address(event.IP, "initiatedBy.user.ipAddress")
	n.text(event.DirectoryTarget, "target targetName")
	targets := s("targetResources")
	n.first("directory.targetResources.userPrincipalName", "targetUserName targetUserPrincipalName targetUser",
		under(targets, "directory.targetResources.userPrincipalName", "userPrincipalName"))
	changes := "directory.targetResources.modifiedProperties"
	n.add(named{path: changes, bind: under(targets, changes, "modifiedProperties"), below: func(w *wants, inner []string) values {
		return inside{w.field(targets, changes), append([]string{"modifiedProperties"}, inner...)}
	}}, "modifiedProperties")
	// The category of the activity has the name of the log's.
	activityCategory := decode.Spelled("category", "properties:category", "properties:Category", "Category", "category")
	n.add(named{path: "directory.category", bind: extra(activityCategory, "directory.category")}, "category activityCategory")
	n.scalars("directory.", s, `loggedByService resultReason=resultDescription,failureReason resultType operationType=activityOperationType aadOperationType
		id identity`)
	n.nested("directory.", s, "targetResources=targets initiatedBy additionalDetails")
	n.common()
	return n
})

var (
	directoryResult = event.Field[string]{Path: "directory.result", Get: func(e *event.Event) *event.Text { return &e.Directory.Result }}
	initiatorApp    = event.Field[string]{Path: "directory.initiatedBy.app", Get: func(e *event.Event) *event.Text { return &e.Directory.InitiatorApp }}
	riskDetail      = event.Field[string]{Path: "risk.riskDetail", Get: func(e *event.Event) *event.Text { return &e.Risk.Detail }}
	riskRequest     = event.Field[string]{Path: "risk.requestId", Get: func(e *event.Event) *event.Text { return &e.Risk.RequestID }}
	graphRequest    = event.Field[string]{Path: "graph.requestId", Get: func(e *event.Event) *event.Text { return &e.Graph.RequestID }}
	auditObject     = event.Field[string]{Path: "audit.objectId", Get: func(e *event.Event) *event.Text { return &e.Audit.Object }}
)

// Sources: resource type riskDetection (Microsoft Graph, beta), tables AADUserRiskEvents and AADServicePrincipalRiskEvents.
var riskNames = sync.OnceValue(func() names {
	n := names{}
	s := decode.SignInExtra
	n.text(event.RiskType, "riskEventType riskType operationName")
	n.text(event.RiskState, "riskState")
	n.text(event.RiskLevel, "riskLevel")
	n.text(riskDetail, "riskDetail")
	n.text(riskRequest, "requestId")
	n.scalars("risk.", s, "detectionTimingType activity source tokenIssuerType userDisplayName id appDisplayName detectedDateTime lastUpdatedDateTime")
	n.nested("risk.", s, "location additionalInfo keyIds")
	n.common()
	return n
})

// Source: table MicrosoftGraphActivityLogs (Azure Monitor).
var graphNames = sync.OnceValue(func() names {
	n := names{}
	s := decode.SignInExtra
	n.text(event.GraphMethod, "requestMethod method httpMethod")
	n.text(event.GraphURI, "requestUri uri url")
	n.number(event.GraphStatus, nil, "responseStatusCode resultType statusCode status")
	n.text(event.ClientAuthMethod, "clientAuthMethod")
	n.text(graphRequest, "requestId")
	n.text(event.TokenID, "signInActivityId uniqueTokenId")
	n.text(event.TokenSession, "cSid sessionId")
	n.text(event.TokenType, "cIdtyp")
	n.text(event.TokenIDP, "identityProvider")
	n.text(event.TokenScopes, "scopes")
	n.list(event.TokenRoles, "roles")
	n.instant(event.IssuedAt, "tokenIssuedAt cIat")
	n.scalars("graph.", s, "apiVersion responseSizeBytes clientRequestId operationId wids userPrincipalObjectID cDeviceId=deviceId location atContent atContentH atContentP")
	n.common()
	return n
})

// Sources: the schemas of the Office 365 Management Activity API; table OfficeActivity; table CloudAppEvents.
var auditNames = sync.OnceValue(func() names {
	n := names{}
	a := decode.AuditExtra
	n.text(event.Operation, "operation eventName operationName activity")
	n.text(event.Workload, "workload eventSource officeWorkload eventType")
	n.number(event.RecordType, decode.RecordTypes, "recordType officeRecordType")
	n.number(event.UserType, decode.UserTypes, "userType")
	n.number(event.LogonType, decode.LogonTypes, "logonType")
	n.number(event.ItemCount, nil, "operationCount")
	n.text(event.ActorName, "userId user userName upn userPrincipalName actorName")
	n.text(event.ActorID, "tokenObjectId")
	n.text(event.AppID, "clientAppId appAccessContext.clientAppId")
	n.text(event.AppName, "appAccessContext.clientAppName")
	n.text(event.UserKey, "userKey")
	n.text(event.FrontendApp, "appId")
	n.text(event.Organization, "organizationId")
	n.text(event.ExternalTenant, "externalUserTenantId")
	n.text(event.ClientInfo, "clientInfoString clientInfo")
	n.text(event.ActorInfo, "actorInfoString")
	n.text(event.Mailbox, "mailboxGuid")
	n.text(event.MailboxOwner, "mailboxOwnerUPN mailboxOwner")
	n.text(event.AuditTokenType, "tokenType")
	n.text(event.AuthType, "authType")
	n.text(event.MailAccessType, "mailAccessType operationProperties.mailAccessType")
	n.flag(event.Throttled, "isThrottled")
	n.flag(event.ExternalAccess, "externalAccess")
	n.text(event.ResourceURL, "resourceURL")
	n.text(auditObject, "objectId officeObjectId")
	n.text(event.TokenTenant, "tokenTenantId")
	n.text(event.TokenID, "appAccessContext.uniqueTokenId uniqueTokenId")
	n.text(event.TokenSession, "appAccessContext.aadSessionId sessionId")
	n.instant(event.IssuedAt, "appAccessContext.issuedAtTime issuedAtTime")
	n.scalars("audit.", a, `ResultStatus=status,result Id=eventId UserKey Scope Payload OriginatingServer OrganizationName ModifiedObjectResolvedName
		InternalLogonType MailboxOwnerSid MailboxOwnerMasterAccountSid LogonUserSid LogonUserDisplayName ClientMachineName ClientProcessName ClientVersion
		ClientRequestId CrossMailboxOperation SendAsUserSmtp SendAsUserMailboxGuid SendOnBehalfOfUserSmtp SendOnBehalfOfUserMailboxGuid SaveToSentItems
		DestMailboxOwnerUPN DestMailboxGuid DeviceId Site SiteUrl ItemType EventSource=sharePointEventSource SourceName MachineDomainInfo MachineId ApplicationId
		ApplicationDisplayName AssertingApplicationId AuthenticationType BrowserName BrowserVersion CorrelationId DeviceDisplayName EventData GeoLocation
		IsManagedDevice IsDocLib ListBaseType ListId ListItemUniqueId ListServerTemplate ListTitle ListUrl ListName Platform SourceFileExtension SourceFileName=fileName
		SourceRelativeUrl SourceLabel TargetUserOrGroupName=targetUserName TargetUserOrGroupType UniqueSharingId WebId WebTemplate CustomEvent
		DestinationFileName DestinationFileExtension DestinationRelativeUrl DestinationLabel SharingType SharingLinkScope Permission SensitivityLabelId
		SiteSensitivityLabelId SensitivityLabelOwnerEmail OldSensitivityLabelId DoNotDistributeEvent HighPriorityMediaProcessing ImplicitShare FileSizeBytes
		FileSyncBytesCommitted AzureActiveDirectoryEventType ActorContextId InterSystemsId IntraSystemId SupportTicketId TargetContextId Client ErrorNumber
		LogonError UserDomain LoginStatus StartTime EffectiveOrganization UserServicePlan ClientApplication CmdletVersion NonPIIParameters AlertId AlertType
		Name=alertName PolicyId Severity Category=alertCategory,auditCategory Source Comments AlertEntityId EntityType Verdict DetectionMethod DetectionType
		Directionality DeliveryAction Subject P1Sender P2Sender SenderIp NetworkMessageId InternetMessageId EventDeepLink MessageTime Policy PolicyAction
		PolicyName Url UrlClickAction=urlAction TimeOfClick SourceWorkload PhishConfidenceLevel LatestDeliveryLocation OriginalDeliveryLocation TeamName TeamGuid
		ChannelName ChannelGuid ChannelType CommunicationType AddOnName AddOnType AddOnGuid AddonName MessageId ChatThreadId ChatName ItemName TabType OldValue
		NewValue AppDistributionMode AzureADAppId OperationScope TargetUserId MessageVersion CaseId CaseName SearchName=exchangeSearchName QueryText ExchangeLocations
		SharePointLocations FlowDetailsUrl FlowConnectorNames WorkspaceName DatasetName ReportName ActivityId IsSuccess DistributionMethod DashboardName
		AppPoolName ClientIPAddressInfo MDATPDeviceId DeviceName Application DlpAgentVersion EnforcementMode HostingApp FilePath ObjectType ProcessName RemovableMediaDeviceAttributes
		TargetDomain TargetFilePath TargetPrinterName IncidentId SharePointMetaDataSource ItemAttachments ResourceTenantId SubscriptionId AccountMoniker`)
	n.nested("audit.", a, `Parameters ModifiedProperties ExtendedProperties OperationProperties Item AffectedItems Folder Folders DestFolder Actor Target DeviceProperties
		Members Data=alertData AlertLinks Recipients AttachmentData FileData SystemOverrides AuthDetails ThreatsAndDetectionTech AdditionalActionsAndResults
		AppAccessContext ExtraProperties ParticipantInfo MessageURLs HostedContents PolicyDetails ExceptionInfo SharePointMetaData ExchangeMetaData
		EndpointMetaData SensitiveInfoTypeData ItemMembers AppIdentity SessionInfo`)
	// What Entra ID's own records have as properties by name, rules call as if they stood beside the others.
	for _, name := range []string{"RequestType", "ResultStatusDetail", "KeepMeSignedIn", "UserAuthenticationMethod"} {
		n.first("audit."+name, name, extra(a(name), "audit."+name), under(a("ExtendedProperties"), "audit.ExtendedProperties."+name, name))
	}
	defender := func(name string) decode.Extra {
		return decode.Spelled(name, "properties:"+name, name)
	}
	n.scalars("defender.", defender, "ActionType ActivityType AccountDisplayName AccountObjectId CountryCode=country City ISP IsAnonymousProxy IsAdminOperation IsExternalUser OSPlatform DeviceType ObjectName AppInstanceId UncommonForUser")
	n.nested("defender.", defender, "ActivityObjects AdditionalFields IPTags IPCategory UserAgentTags")
	n.common()
	return n
})

// alertNames are those of Microsoft's own alerts in the unified audit log: rules call the name of the alert the event's, and an
// alert record, which has no result, is the success of an operation that was logged.
var alertNames = sync.OnceValue(func() names {
	n := names{}
	a := decode.AuditExtra
	raised := event.Field[string]{Path: "audit.alertRaised", Get: func(e *event.Event) *event.Text {
		if e.Audit.Operation.OK() && (e.Audit.Operation.V == "AlertTriggered" || e.Audit.Operation.V == "AlertUpdated" || e.Audit.Operation.V == "AlertEntityGenerated") {
			return &succeeded
		}
		return &noResult
	}}
	n.first("audit.alertName", "eventName",
		extra(a("AlertName"), "audit.alertName"), extra(a("Name"), "audit.alertName"), func(*wants) values { return text{event.Operation} })
	n.first("audit.resultStatus", "status result resultStatus",
		extra(a("ResultStatus"), "audit.resultStatus"), func(*wants) values { return text{raised} })
	for name, f := range auditNames() {
		if _, own := n[name]; !own {
			n[name] = f
		}
	}
	return n
})

// tokenNames are those of token observations, which are Assay's own.
var tokenNames = sync.OnceValue(func() names {
	n := names{}
	for _, f := range []event.Field[string]{
		event.TokenTenant, event.TokenObjectID, event.TokenSubject, event.TokenID, event.TokenSession, event.TokenIssuer, event.TokenAudience,
		event.TokenVersion, event.TokenAppID, event.TokenParty, event.TokenType, event.TokenIDP, event.TokenScopes, event.TokenAlgorithm,
		event.TokenKeyID, event.TokenThumbprint, event.TokenCertSHA1, event.ActorTenant, event.ValidationResult, event.Observer, event.ObserverType,
	} {
		n.text(f, f.Path[strings.IndexByte(f.Path, '.')+1:])
	}
	n.instant(event.IssuedAt, "iat")
	n.instant(event.NotBefore, "nbf")
	n.instant(event.Expires, "exp")
	n.list(event.TokenRoles, "roles")
	n.list(event.TokenActorClaims, "")
	n.list(event.EmbeddedKeyRefs, "")
	n.flag(event.TokenSigned, "signaturePresent")
	n.number(event.TokenSegments, nil, "segments")
	n.common()
	return n
})

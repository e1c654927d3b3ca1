package rules

// Sources that several rules rest on.
const (
	storm0558Analysis   = "https://www.microsoft.com/en-us/security/blog/2023/07/14/analysis-of-storm-0558-techniques-for-unauthorized-email-access/"
	cisaAdvisory        = "https://www.cisa.gov/news-events/cybersecurity-advisories/aa23-193a"
	csrbReview          = "https://www.cisa.gov/sites/default/files/2024-04/CSRB_Review_of_the_Summer_2023_MEO_Intrusion_Final_508c.pdf"
	auditSchema         = "https://learn.microsoft.com/en-us/office/office-365-management-api/office-365-management-activity-api-schema"
	linkableIdentifiers = "https://learn.microsoft.com/en-us/entra/identity/authentication/how-to-authentication-track-linkable-identifiers"
	identityPlatform    = "https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens"
	claimsReference     = "https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference"
	lifetimePolicies    = "https://learn.microsoft.com/en-us/entra/identity-platform/configurable-token-lifetimes"
	signInResource      = "https://learn.microsoft.com/en-us/graph/api/resources/signin?view=graph-rest-beta"
	domainFederation    = "https://learn.microsoft.com/en-us/graph/api/resources/internaldomainfederation"
	identityProtection  = "https://learn.microsoft.com/en-us/entra/id-protection/concept-identity-protection-risks"
	actorImpersonation  = "https://dirkjanm.io/obtaining-global-admin-in-every-entra-id-tenant-with-actor-tokens/"
	wizAnalysis         = "https://www.wiz.io/blog/storm-0558-compromised-microsoft-key-enables-authentication-of-countless-micr"
	deathByActor        = "https://practical365.com/death-by-token-understanding-cve-2025-55241"
	keyRollover         = "https://learn.microsoft.com/en-us/entra/identity-platform/signing-key-rollover"
	issuerValidator     = "https://github.com/AzureAD/azure-activedirectory-identitymodel-extensions-for-dotnet/blob/dev/src/Microsoft.IdentityModel.Validators/AadTokenValidationParametersExtension.cs"
	graphActivityTable  = "https://learn.microsoft.com/en-us/azure/azure-monitor/reference/tables/microsoftgraphactivitylogs"
	graphActivityLogs   = "https://learn.microsoft.com/en-us/graph/microsoft-graph-activity-logs-overview"
	mailItemsAccessed   = "https://learn.microsoft.com/en-us/purview/audit-log-investigate-accounts"
	rfc7515             = "https://www.rfc-editor.org/rfc/rfc7515"
	rfc8725             = "https://www.rfc-editor.org/rfc/rfc8725"
	firstPartyApps      = "https://learn.microsoft.com/en-us/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in"
)

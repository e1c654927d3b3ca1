package rules

// Sources that several rules rest on.
const (
	storm0558Analysis   = "https://www.microsoft.com/en-us/security/blog/2023/07/14/analysis-of-storm-0558-techniques-for-unauthorized-email-access/"
	cisaAdvisory        = "https://www.cisa.gov/news-events/cybersecurity-advisories/aa23-193a"
	csrbReview          = "https://www.cisa.gov/sites/default/files/2024-04/CSRB_Review_of_the_Summer_2023_MEO_Intrusion_Final_508c.pdf"
	auditSchema         = "https://learn.microsoft.com/en-us/office/office-365-management-api/office-365-management-activity-api-schema"
	linkableIdentifiers = "https://learn.microsoft.com/en-us/entra/identity/authentication/how-to-authentication-track-linkable-identifiers"
	accessTokens        = "https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens"
	tokenClaims         = "https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference"
	tokenLifetimes      = "https://learn.microsoft.com/en-us/entra/identity-platform/configurable-token-lifetimes"
	signInResource      = "https://learn.microsoft.com/en-us/graph/api/resources/signin?view=graph-rest-beta"
	domainFederation    = "https://learn.microsoft.com/en-us/graph/api/resources/internaldomainfederation"
	identityProtection  = "https://learn.microsoft.com/en-us/entra/id-protection/concept-identity-protection-risks"
	actorTokens         = "https://dirkjanm.io/obtaining-global-admin-in-every-entra-id-tenant-with-actor-tokens/"
	firstPartyApps      = "https://learn.microsoft.com/en-us/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in"
)

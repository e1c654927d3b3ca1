package made

import "time"

// ServiceProvider is the organisation's own service provider, and SigningCertificate the SHA-1 of the certificate with which
// its AD FS signs.
const (
	ServiceProvider    = "https://wiki.fabrikam.example/saml"
	SigningCertificate = "3f8a1c5d7e90b2641d08f7a35c6e94b2d1a0887c"
)

// assertion is the fact that a service provider of the organisation's own met a SAML assertion.
type assertion struct {
	at                  time.Time
	id, issuer, subject string
	result, thumbprint  string
	issued, authn       time.Time
	life                time.Duration
	address, agent      string
	algorithm           string
}

// assertion makes an ordinary assertion of the organisation's AD FS about the person.
func (t *Tenant) assertion(at time.Time, who *person) assertion {
	return assertion{
		at: at, id: t.guid(), issuer: STS, subject: who.upn, result: "accepted", thumbprint: SigningCertificate,
		issued: at.Add(-t.between(time.Second, 20*time.Second)), authn: at.Add(-t.between(30*time.Second, 8*time.Hour)), life: time.Hour,
		address: pick(t, who.addresses), agent: pick(t, browsers), algorithm: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
	}
}

// observation is an assertion in Assay's own envelope for service providers.
func (a assertion) observation() object {
	return record("kind", "saml-observation", "schemaVersion", 1, "id", a.id, "time", digits(a.at), "tenantId", TenantID,
		"observer", record("name", "wiki-prod", "type", "app"),
		"request", record("ip", a.address, "userAgent", a.agent, "method", "POST", "host", "wiki.fabrikam.example", "path", "/saml/acs"),
		"validation", record("result", a.result, "error", "", "signaturePresent", true),
		"signature", record("algorithm", a.algorithm, "digestAlgorithm", "http://www.w3.org/2001/04/xmlenc#sha256", "certificateSha1", a.thumbprint),
		"assertion", record("issuer", a.issuer, "subject", a.subject, "audience", ServiceProvider, "issueInstant", digits(a.issued),
			"authnInstant", digits(a.authn), "notBefore", digits(a.issued.Add(-5*time.Minute)), "notOnOrAfter", digits(a.issued.Add(a.life))))
}

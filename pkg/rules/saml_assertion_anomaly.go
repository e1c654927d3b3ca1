package rules

import (
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// samlAssertionAnomaly finds assertions that the identity providers of the tenant did not issue, or not as they do. Only a
// service provider of one's own sees them: the sign-in logs of Entra ID hold neither the certificate nor the times.
func samlAssertionAnomaly(ref *reference.Data, k *knobs) *rule.Rule {
	skew := k.duration("skew", 5*time.Minute, "How far the clocks of service providers and identity providers may be apart.")
	maxAge := k.duration("maxAge", 24*time.Hour, "How old an assertion may be when it is presented.")
	return &rule.Rule{
		ID:      "saml-assertion-anomaly",
		Title:   "SAML assertion that the identity provider did not issue, or not so",
		Version: 1,
		Kinds:   []event.Kind{event.AssertionObserved},
		Scope:   rule.Not(testObserver(ref)),
		Legs: []rule.Leg{{
			ID:       "foreign-certificate",
			Why:      "an assertion was accepted whose signature was made with none of its issuer's certificates",
			When:     rule.All(foreignCertificate(ref), accepted()),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "unknown-issuer",
			Why:      "an assertion was accepted of an issuer that is none of the tenant's identity providers",
			When:     rule.All(unknownIssuer(ref), accepted()),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "unsigned",
			Why:      "an assertion without a signature was accepted",
			When:     rule.All(rule.Eq(event.TokenSigned, false), accepted()),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "dated-in-future",
			Why:      "the assertion says that it was issued, or its subject authenticated, after it was presented",
			When:     rule.Any(rule.Longer(event.EventTime, event.SAMLAuthn, skew), rule.Longer(event.EventTime, event.SAMLIssuedAt, skew)),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "lives-too-long",
			Why:      "the assertion is valid for longer than its issuer makes them",
			When:     assertionOverLife(ref),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "too-old",
			Why:      "an assertion was accepted long after it was issued",
			When:     rule.All(rule.Longer(event.SAMLIssuedAt, event.EventTime, maxAge), accepted()),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "weak-signature",
			Why:      "an assertion was accepted whose signature rests on a broken or a shared-key algorithm",
			When:     rule.All(rule.Any(weakAlgorithm(event.SAMLAlgorithm), weakAlgorithm(event.SAMLDigest)), accepted()),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}, {
			ID:       "presented",
			Why:      "somebody presented an assertion that no identity provider of the tenant has signed",
			When:     rule.Any(foreignCertificate(ref), unknownIssuer(ref), rule.Eq(event.TokenSigned, false)),
			Severity: rule.Low,
			Strength: rule.Weak,
		}},
		Key:   keyByServiceProvider(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "The assertion was not made by an identity provider that the tenant trusts, or not in the way it makes them. An accepted one with a foreign " +
				"certificate or issuer means that the service provider trusts a key that it should not: a Golden SAML through a rogue trust.",
			Evades: "Signing with the identity provider's stolen key, with its lifetimes and the current time, as the tools for Golden SAML do by default. Then only " +
				"the identity provider's own log of issued tokens tells.",
			FalsePositives: []string{
				"A rollover of the signing certificate: add the new one to the issuer's certs before it is used, and drop the old one after.",
				"Service providers or identity providers with a wrong clock: then all of their assertions are off by the same time.",
				"Longer lifetimes by policy: set maxLife of the issuer.",
				"Without idp the legs about issuer, certificate and lifetime are not evaluable.",
			},
			Runbook: []string{
				"Accepted: take the service provider's list of trusted issuers and certificates, and compare it with the identity provider's metadata. Remove what does not belong, now.",
				"End the sessions that began with the assertion, and list what the subject did in them.",
				"See who changed the trust of the service provider, and when; look for audit-federation-trust-changed in the tenant.",
				"The certificate is the identity provider's own, but times or algorithm are not: ask whether its signing key may have left the server. If so, replace the key twice, as after any Golden SAML.",
				"Refused only: note the address; a scanner's assertions are refused every day.",
			},
			Attack: []string{"T1606.002"},
			Sources: []string{
				lifetimePolicies,
				"https://docs.oasis-open.org/security/saml/v2.0/saml-core-2.0-os.pdf",
				"https://www.rfc-editor.org/rfc/rfc9231",
			},
		},
	}
}

const identityProviders = "reference:idp"

// testObserver holds for the observers that see test traffic.
func testObserver(ref *reference.Data) rule.Predicate {
	set := ref.TestObservers()
	return rule.Func("the observer sees test traffic", nil, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		o := &ev.Observed.Observer
		in, _ := set.Contains(ev.Tenant, o.V)
		return fact(tr, event.Observer, o, "is listed in", set.Name(), o.OK() && in)
	})
}

// ofIssuer asks holds about the assertion's issuer, which is nil if it is none of the tenant's. It is Unknown where the issuer
// was not logged or nobody has said which issuers there are.
func ofIssuer(ref *reference.Data, text string, needs []string,
	holds func(*reference.SAMLIssuer, *event.Event, *rule.Trace) rule.Truth,
) rule.Predicate {
	needs = append([]string{event.SAMLIssuer.Path, identityProviders}, needs...)
	return rule.Func(text, needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		v := &ev.SAML.Issuer
		if !v.OK() || v.V == "" {
			return tr.Lacking(event.SAMLIssuer.Path)
		}
		i, _, known := ref.Tenant(ev.Tenant).SAMLIssuer(v.V)
		if !known {
			return tr.Lacking(identityProviders)
		}
		return holds(i, ev, tr)
	})
}

// unknownIssuer holds for an issuer that is none of the tenant's identity providers.
func unknownIssuer(ref *reference.Data) rule.Predicate {
	return ofIssuer(ref, event.SAMLIssuer.Path+" is none of idp", nil,
		func(i *reference.SAMLIssuer, ev *event.Event, tr *rule.Trace) rule.Truth {
			return fact(tr, event.SAMLIssuer, &ev.SAML.Issuer, "is none of", "idp", i == nil)
		})
}

// foreignCertificate holds where the signature was verified with a certificate that is not the issuer's.
func foreignCertificate(ref *reference.Data) rule.Predicate {
	return ofIssuer(ref, "the certificate is none of the issuer's", []string{event.SAMLCert.Path, event.SAMLCertSHA1.Path},
		func(i *reference.SAMLIssuer, ev *event.Event, tr *rule.Trace) rule.Truth {
			if i == nil {
				return rule.False // the other leg's business
			}
			f, v := event.SAMLCert, &ev.SAML.CertSHA256
			if !v.OK() {
				f, v = event.SAMLCertSHA1, &ev.SAML.CertSHA1
			}
			if !v.OK() {
				return tr.Lacking(event.SAMLCert.Path)
			}
			signs, known := i.Signs(ev.SAML.CertSHA1.V, ev.SAML.CertSHA256.V)
			if !known {
				return tr.Lacking(f.Path)
			}
			return fact(tr, f, v, "is none of the certificates of", ev.SAML.Issuer.V, !signs)
		})
}

// assertionOverLife holds where an assertion is valid for longer than its issuer's are.
func assertionOverLife(ref *reference.Data) rule.Predicate {
	needs := []string{event.SAMLNotBefore.Path, event.SAMLNotOnOrAfter.Path}
	return ofIssuer(ref, "the assertion lives longer than the maxLife of its issuer", needs,
		func(i *reference.SAMLIssuer, ev *event.Event, tr *rule.Trace) rule.Truth {
			if i == nil {
				return rule.False
			}
			return rule.Longer(event.SAMLNotBefore, event.SAMLNotOnOrAfter, i.MaxLife).Eval(ev, tr)
		})
}

// weakAlgorithm holds for identifiers of XML Signature that rest on SHA-1 or MD5, or on a key that both sides hold
// (RFC 9231, sections 2.1 to 2.3, names them).
func weakAlgorithm(f event.Field[string]) rule.Predicate {
	return rule.Test(f, "rests on", "SHA-1, MD5 or an HMAC", func(id string) bool {
		_, name, ok := strings.Cut(id, "#")
		if !ok {
			name = id
		}
		name = strings.ToLower(name)
		return strings.Contains(name, "hmac") || strings.HasSuffix(name, "sha1") || strings.HasSuffix(name, "sha-1") ||
			strings.HasSuffix(name, "md5") || strings.HasSuffix(name, "md2") || strings.HasSuffix(name, "sha1-mgf1")
	})
}

// keyByServiceProvider groups by the service provider that saw the assertion: what an assertion says is its maker's to vary.
func keyByServiceProvider() rule.Key {
	return rule.Key{Name: "service provider", Of: func(ev *event.Event) string {
		return firstFolded(ev.Observed.Observer, ev.SAML.Audience)
	}}
}

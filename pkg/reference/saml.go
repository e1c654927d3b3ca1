package reference

import (
	"cmp"
	"time"
)

// maxAssertionLife is how long assertions of an issuer of whom nothing else is said are valid: Entra ID's hour and the five
// minutes that it allows for differing clocks (configurable token lifetimes, Microsoft identity platform), and five more.
const maxAssertionLife = 70 * time.Minute

// SAMLIssuer is what is known of an issuer of SAML assertions.
type SAMLIssuer struct {
	MaxLife time.Duration
	sha1    map[[20]byte]struct{}
	sha256  map[[32]byte]struct{}
}

// SAMLIssuer returns what is known of the issuer, whose entity id is compared to the byte. known is false if nobody has said
// which issuers the tenant's service providers trust; ok is false if this one is not among them.
func (t *Tenant) SAMLIssuer(entityID string) (i *SAMLIssuer, ok, known bool) {
	i, ok = t.idps[entityID]
	return i, ok, t.idps != nil
}

// Signs reports whether the certificate, of which the SHA-1 or the SHA-256 or both are known, is one of the issuer's. known is
// false if it cannot be told, since one of its certificates is given by the other digest alone.
func (i *SAMLIssuer) Signs(one, two string) (signs, known bool) {
	a, hasOne := sha1Thumbprint(one)
	b, hasTwo := sha256Thumbprint(two)
	if _, in := i.sha1[a]; hasOne && in {
		return true, true
	}
	if _, in := i.sha256[b]; hasTwo && in {
		return true, true
	}
	return false, (hasOne || hasTwo) && (hasOne || len(i.sha1) == 0) && (hasTwo || len(i.sha256) == 0)
}

func (b *builder) idps(field string, list []IdentityProvider) map[string]*SAMLIssuer {
	if list == nil {
		return nil
	}
	out := make(map[string]*SAMLIssuer, len(list))
	for i, p := range list {
		field := at(field, i)
		issuer := &SAMLIssuer{
			MaxLife: cmp.Or(p.MaxLife, maxAssertionLife),
			sha1:    map[[20]byte]struct{}{}, sha256: map[[32]byte]struct{}{},
		}
		if p.MaxLife < 0 {
			b.fail(field+".maxLife", "is negative")
		}
		if len(p.Certs) == 0 {
			b.fail(field+".certs", "is empty: then no assertion of the issuer could be genuine")
		}
		for j, c := range p.Certs {
			if t, ok := sha1Thumbprint(c); ok {
				issuer.sha1[t] = struct{}{}
			} else if t, ok := sha256Thumbprint(c); ok {
				issuer.sha256[t] = struct{}{}
			} else {
				b.fail(at(field+".certs", j), "%q is neither a SHA-1 nor a SHA-256 in hex or base64url", c)
			}
		}
		if b.fits(field+".issuer", p.Issuer) {
			out[p.Issuer] = issuer
		}
	}
	return out
}

package normalize

import (
	"crypto/sha1" //nolint:gosec // certificates are named by their SHA-1 as well as by their SHA-256
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
)

// assertion reads the SAML observations of one's own service providers.
func (f *reader) assertion() {
	ev := f.ev
	// An observation belongs to the tenant of its observer, whatever the assertion's issuer says.
	f.tenant(decode.SlotTenantID)
	ev.Time = f.time(decode.SlotEnvelopeTime)
	ev.Net.IP = f.address(decode.SlotRequestIP)
	ev.Net.UserAgent = f.text(decode.SlotRequestUserAgent)
	f.observed()
	a := &ev.SAML
	a.Issuer = f.text(decode.SlotAssertionIssuer)
	a.Subject = f.text(decode.SlotAssertionSubject)
	a.Audience = f.text(decode.SlotAssertionAudience)
	a.IssuedAt = f.time(decode.SlotAssertionIssueInstant)
	a.Authn = f.time(decode.SlotAssertionAuthnInstant)
	a.NotBefore = f.time(decode.SlotAssertionNotBefore)
	a.NotOnOrAfter = f.time(decode.SlotAssertionNotOnOrAfter)
	a.SignatureAlgorithm = f.text(decode.SlotSignatureAlgorithm)
	a.DigestAlgorithm = f.text(decode.SlotSignatureDigestAlgorithm)
	a.CertSHA1 = f.thumbprint(decode.SlotSignatureCertificateSHA1)
	a.CertSHA256 = f.thumbprint(decode.SlotSignatureCertificateSHA256)
	if der, state := f.der(f.v.Get(decode.SlotSignatureCertificate)); state == event.Present {
		one, two := sha1.Sum(der), sha256.Sum256(der) //nolint:gosec // see the import
		a.CertSHA1, a.CertSHA256 = event.Of(hex.EncodeToString(one[:])), event.Of(hex.EncodeToString(two[:]))
	}
	ev.Actor.Name = a.Subject
}

// thumbprint reads hex digits as tools print them: in either case, with or without colons or blanks between them.
func (f *reader) thumbprint(slot decode.Slot) event.Text {
	t := f.text(slot)
	if t.OK() {
		t.V = strings.ToLower(separators.Replace(t.V))
	}
	return t
}

var separators = strings.NewReplacer(":", "", " ", "")

package normalize

import (
	"crypto/sha1" //nolint:gosec // an x5t is a SHA-1 thumbprint by definition (RFC 7515 section 4.1.7)
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
)

// token reads token observations of one's own applications and gateways, and the claims in Azure Activity records.
func (f *reader) token() {
	ev := f.ev
	// Never the tid that the token claims: an observation belongs to the tenant of its observer.
	f.tenant(decode.SlotTenantID)
	ev.Time = f.time(decode.SlotEnvelopeTime)
	ev.Actor.ObjectID = f.text(decode.SlotClaimOid)
	ev.Actor.Name = f.text(decode.SlotClaimUpn)
	ev.App.ID = f.text(decode.SlotClaimAppid, decode.SlotClaimAzp)
	ev.Net.IP = f.address(decode.SlotRequestIP, decode.SlotCallerIPAddress)
	ev.Net.UserAgent = f.text(decode.SlotRequestUserAgent)
	f.claims()
	f.header()
	f.observed()
	o := &ev.Observed
	if ev.Category == "AzureActivity" {
		o.Observer = event.Of("azure-resource-manager")
		o.ObserverType = event.Of("azure-activity")
		// Azure Resource Manager logs an operation that it let in; that it failed later is another matter.
		o.Result = event.Of("accepted")
	}
}

// observed reads how a relying party met a token or an assertion.
func (f *reader) observed() {
	o := &f.ev.Observed
	o.Observer = f.text(decode.SlotObserverName)
	o.ObserverType = f.text(decode.SlotObserverType)
	o.Result = f.text(decode.SlotValidationResult)
	o.Signed = flag(f.v.Get(decode.SlotSignaturePresent))
	o.Segments = integer(f.v.Get(decode.SlotSegments), nil)
	o.Host = f.text(decode.SlotRequestHost)
	o.Path = f.text(decode.SlotRequestPath)
}

func (f *reader) claims() {
	t := &f.ev.Token
	t.Issuer = f.text(decode.SlotClaimIss)
	t.Audience = f.text(decode.SlotClaimAud)
	t.Tenant = f.text(decode.SlotClaimTid)
	t.ObjectID = f.text(decode.SlotClaimOid)
	t.Subject = f.text(decode.SlotClaimSub)
	t.ID = f.text(decode.SlotClaimUti)
	t.SessionID = f.text(decode.SlotClaimSid)
	t.IssuedAt = f.time(decode.SlotClaimIat)
	t.NotBefore = f.time(decode.SlotClaimNbf)
	t.Expires = f.time(decode.SlotClaimExp)
	t.Version = f.text(decode.SlotClaimVer)
	t.AppID = f.text(decode.SlotClaimAppid)
	t.AuthorizedParty = f.text(decode.SlotClaimAzp)
	t.Type = f.text(decode.SlotClaimIdtyp)
	t.IdentityProvider = f.text(decode.SlotClaimIdp)
	t.Scopes = f.text(decode.SlotClaimScp)
	t.Roles = f.list(decode.SlotClaimRoles)

	if f.v.Get(decode.SlotClaimsObject).Kind != decode.Object {
		return // whether there are actor claims is not known
	}
	found := f.s.list()
	for _, c := range [...]struct {
		slot decode.Slot
		name string
	}{
		{decode.SlotClaimActort, "actort"},
		{decode.SlotClaimActorToken, "actortoken"},
		{decode.SlotClaimTrusted, "trustedfordelegation"},
		{decode.SlotClaimNii, "nii"},
		{decode.SlotClaimXmsAct, "xms_act"},
	} {
		v := f.v.Get(c.slot)
		if v.Kind == decode.Absent || v.Kind == decode.Null || v.Kind == decode.String && v.Text == "" {
			continue
		}
		*found = append(*found, c.name)
		if t.ActorTenant.State == event.Absent {
			t.ActorTenant = f.actorTenant(v)
		}
	}
	t.Actor = event.Of(*found)
}

// actorTenant reads the tid of the token in an actor claim: an object, JSON in a string, or a JSON Web Token.
func (f *reader) actorTenant(v decode.Value) event.Text {
	body := v.Text
	if v.Kind == decode.String && strings.Count(body, ".") == 2 {
		part := strings.Split(body, ".")[1]
		if len(part) > maxCertificate {
			return event.Text{State: event.Unreadable}
		}
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
		if err != nil {
			return event.Text{State: event.Unreadable}
		}
		body = string(raw)
	}
	if !strings.HasPrefix(body, "{") {
		return event.Text{}
	}
	f.s.nested.Reset()
	if err := f.n.decoder.Object(body, decode.Claims, &f.s.nested); err != nil {
		return event.Text{State: event.Unreadable}
	}
	return text(f.s.nested.Get(decode.SlotClaimTid))
}

// maxCertificate bounds what is decoded of a header's certificate or a nested token, in characters.
const maxCertificate = 16 << 10

func (f *reader) header() {
	t := &f.ev.Token
	t.Algorithm = f.text(decode.SlotHeaderAlg)
	t.KeyID = f.text(decode.SlotHeaderKid)
	t.Thumbprint = f.text(decode.SlotHeaderX5t)
	if f.v.Get(decode.SlotHeaderObject).Kind != decode.Object {
		return // no header was logged: what it refers to is not known
	}
	found := f.s.list()
	for _, h := range [...]struct {
		slot decode.Slot
		name string
	}{
		{decode.SlotHeaderJku, "jku"}, {decode.SlotHeaderJwk, "jwk"}, {decode.SlotHeaderX5u, "x5u"}, {decode.SlotHeaderX5c, "x5c"},
	} {
		if k := f.v.Get(h.slot).Kind; k != decode.Absent && k != decode.Null {
			*found = append(*found, h.name)
		}
	}
	t.EmbeddedKeyRefs = event.Of(*found)
	t.CertThumbprint = f.certificate(f.v.Get(decode.SlotHeaderX5c))
}

// certificate returns the thumbprint of the first certificate of an x5c header.
func (f *reader) certificate(v decode.Value) event.Text {
	der, state := f.der(v)
	if state != event.Present {
		return event.Text{State: state}
	}
	sum := sha1.Sum(der) //nolint:gosec // see the import
	return event.Of(hex.EncodeToString(sum[:]))
}

// der decodes a certificate in base64, or the first of several.
func (f *reader) der(v decode.Value) ([]byte, event.State) {
	first := ""
	switch v.Kind {
	case decode.Absent:
		return nil, event.Absent
	case decode.Null:
		return nil, event.Null
	case decode.String:
		first = v.Text
	case decode.Array:
		l := f.elements(v.Text)
		if !l.OK() || len(l.V) == 0 {
			return nil, event.Unreadable
		}
		first = l.V[0]
	case decode.Number, decode.True, decode.False, decode.Object:
		return nil, event.Unreadable
	}
	if len(first) > maxCertificate {
		return nil, event.Unreadable
	}
	der, err := base64.StdEncoding.DecodeString(first)
	if err != nil || len(der) == 0 {
		return nil, event.Unreadable
	}
	return der, event.Present
}

package reference

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/event"
)

// New returns the snapshot of the built-in data with the overrides laid over it, the later ones over the earlier. An
// error names the field of everything that is wrong.
func New(overrides ...Source) (*Data, error) { return lay(builtin(), builtinVersion, overrides) }

// With returns the snapshot of the same data with the overrides laid over it.
func (d *Data) With(overrides ...Source) (*Data, error) { return lay(d.source, d.Version, overrides) }

// lay lays the overrides over a source, whose hash is the version.
func lay(all Source, version string, overrides []Source) (*Data, error) {
	for _, o := range overrides {
		if reflect.ValueOf(o).IsZero() {
			continue
		}
		// Alone first, so that a mistake is named by its place in what was written.
		if _, err := compile(o); err != nil {
			return nil, err
		}
		all, version = merge(all, o), ""
	}
	d, err := compile(all)
	if err == nil && version == "" {
		version, err = hash(all)
	}
	if err != nil {
		return nil, err
	}
	d.Version = version
	return d, nil
}

// compile turns what people wrote into what rules ask.
func compile(s Source) (*Data, error) {
	b := &builder{}
	d := &Data{
		source:            s,
		badKeys:           b.badKeys(s.BadKeys),
		badIPs:            b.badIPs(s.BadIPs),
		badUserAgents:     b.exact("badUserAgents", s.BadUserAgents),
		issuerHosts:       b.issuerHosts(s.IssuerHosts),
		knownMailClients:  b.mailClients("knownMailClients", s.KnownMailClients),
		mailFrontends:     b.guids("mailFrontends", s.MailFrontends),
		firstPartyTenants: b.guids("firstPartyTenants", s.FirstPartyTenants),
		s2sAppIDs:         b.guids("s2sAppIds", s.S2SAppIDs),
		placeholderUTIs:   b.tokenIDs("placeholderUtis", s.PlaceholderUTIs),
		sampleAudiences:   b.names("sampleAudiences", s.SampleAudiences),
		sampleTenants:     b.guids("sampleTenants", s.SampleTenants),
		trustedCerts:      b.certificates(s.TrustedCertificates),
		systems:           b.systems(s.AutonomousSystems),
		networks:          b.networks(s.Networks),
		defaults:          b.tenant("defaults", s.Defaults),
		tenants:           make(map[string]*Tenant, len(s.Tenants)),
	}
	d.defaults.complete(d.knownMailClients)
	h := b.keyHistory(s.Keys, s.Fetches)
	d.keys.Store(&h)
	for _, id := range slices.Sorted(maps.Keys(s.Tenants)) {
		field := "tenants." + id
		g, ok := b.guid(field, id)
		if !ok {
			continue
		}
		if d.tenants[g.String()] != nil {
			b.fail(field, "the tenant is named twice")
		}
		t := b.tenant(field, layer(s.Defaults, s.Tenants[id]))
		t.complete(d.knownMailClients)
		d.tenants[g.String()] = t
	}
	return d, errors.Join(b.errs...)
}

// hash returns 128 bits of the SHA-256 of the content, in hex.
func hash(s Source) (string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("hash the reference data: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}

// builder compiles fields and gathers what is wrong with them.
type builder struct{ errs []error }

func (b *builder) fail(field, format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
}

func at(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

func (b *builder) guid(field, s string) (event.GUID, bool) {
	g, err := event.ParseGUID(s)
	if err != nil {
		b.fail(field, "%q is not a GUID", s)
	}
	return g, err == nil
}

func (b *builder) guids(field string, list []string) guids {
	if list == nil {
		return nil
	}
	out := make(guids, len(list))
	for i, s := range list {
		if g, ok := b.guid(at(field, i), s); ok {
			out[g] = struct{}{}
		}
	}
	return out
}

func (b *builder) tokenIDs(field string, list []string) guids {
	out := make(guids, len(list))
	for i, s := range list {
		g, err := event.ParseTokenID(s)
		if err != nil {
			b.fail(at(field, i), "%q is not a token id", s)
			continue
		}
		out[g] = struct{}{}
	}
	return out
}

func (b *builder) names(field string, list []string) names {
	if list == nil {
		return nil
	}
	out := make(names, len(list))
	for i, s := range list {
		if b.fits(at(field, i), s) {
			out[lower(s)] = struct{}{}
		}
	}
	return out
}

// hosts compiles a set of host names, without scheme, port or path.
func (b *builder) hosts(field string, list []string) names {
	for i, s := range list {
		if strings.ContainsAny(s, "/:* ") {
			b.fail(at(field, i), "%q is not a host name", s)
		}
	}
	return b.names(field, list)
}

func (b *builder) fits(field, s string) bool {
	switch {
	case s == "":
		b.fail(field, "is empty")
	case len(s) > maxName:
		b.fail(field, "is longer than %d bytes", maxName)
	default:
		return true
	}
	return false
}

// lower folds the letters that lookup folds, and no other.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func (b *builder) exact(field string, list []string) exact {
	out := make(exact, len(list))
	for i, s := range list {
		if s == "" {
			b.fail(at(field, i), "is empty")
			continue
		}
		out[s] = struct{}{}
	}
	return out
}

func (b *builder) badKeys(list []BadKey) badKeys {
	out := badKeys{byKID: map[string]*BadKey{}, bySHA1: map[[20]byte]*BadKey{}, bySHA256: map[[32]byte]*BadKey{}}
	for i := range list {
		field, k := at("badKeys", i), &list[i]
		if k.KID == "" && k.SHA1 == "" && k.SHA256 == "" {
			b.fail(field, "has neither kid nor sha1 nor sha256")
		}
		if k.From != "" {
			b.day(field+".from", k.From)
		}
		if k.KID != "" {
			out.byKID[k.KID] = k
			// A kid of Entra ID is the certificate's SHA-1: find the key by its other spellings, too.
			if t, ok := sha1Thumbprint(k.KID); ok {
				out.bySHA1[t] = k
			}
		}
		if k.SHA1 != "" {
			if t, ok := sha1Thumbprint(k.SHA1); ok {
				out.bySHA1[t] = k
			} else {
				b.fail(field+".sha1", "%q is not a SHA-1 in hex or base64url", k.SHA1)
			}
		}
		if k.SHA256 != "" {
			if t, ok := sha256Thumbprint(k.SHA256); ok {
				out.bySHA256[t] = k
			} else {
				b.fail(field+".sha256", "%q is not a SHA-256 in hex or base64url", k.SHA256)
			}
		}
	}
	return out
}

func (b *builder) day(field, s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		b.fail(field, "%q is not a day such as 2023-05-15", s)
	}
	return t
}

func (b *builder) badIPs(list []BadIP) map[netip.Addr]*Indicator {
	out := make(map[netip.Addr]*Indicator, len(list))
	for i, x := range list {
		field := at("badIps", i)
		a, err := netip.ParseAddr(x.IP)
		if err != nil {
			b.fail(field+".ip", "%q is not an address; a network is not accepted, because attackers rent single hosts", x.IP)
			continue
		}
		first, last := b.day(field+".first", x.First), b.day(field+".last", x.Last)
		if last.Before(first) {
			b.fail(field, "ends before it begins")
		}
		out[a.Unmap().WithZone("")] = &Indicator{
			Kind: x.Kind, First: first, Last: last.Add(24*time.Hour - time.Nanosecond), Source: x.Source,
		}
	}
	return out
}

func (b *builder) keyHistory(keys []Key, fetches []Fetch) keyHistory {
	h := keyHistory{
		keys:      make(map[string]*Key, len(keys)),
		fetched:   map[string][]int64{},
		sightings: map[string][]int64{},
		certs:     make(map[[20]byte]struct{}, len(keys)),
	}
	for i := range keys {
		k, field := keys[i], at("keys", i)
		if k.KID == "" {
			b.fail(field+".kid", "is empty")
			continue
		}
		if k.Scope != "" && k.Scope != ConsumersScope && k.Scope != TenantsScope {
			b.fail(field+".scope", "%q is neither %s nor %s", k.Scope, ConsumersScope, TenantsScope)
		}
		if k.SHA1 != "" {
			h.certs[b.thumbprint(field+".sha1", k.SHA1)] = struct{}{}
		}
		if !k.NotAfter.IsZero() && k.NotAfter.Before(k.NotBefore) {
			b.fail(field, "the certificate ends before it begins")
		}
		// Issuers of 2015 end in a slash, later ones do not.
		k.Issuer = strings.TrimSuffix(k.Issuer, "/")
		switch {
		case k.Scope != "":
		case strings.Contains(k.Issuer, "{tenantid}"):
			k.Scope = TenantsScope
		case strings.Contains(lower(k.Issuer), "/"+ConsumerTenant):
			k.Scope = ConsumersScope
		}
		h.keys[k.KID] = &k
	}
	for i, f := range fetches {
		field := at("fetches", i)
		switch {
		case f.At.IsZero():
			b.fail(field+".at", "is missing")
			continue
		case len(f.KIDs) == 0:
			b.fail(field+".kids", "is empty: a document without keys was not read successfully")
			continue
		case f.Document == "common", f.Document == "organizations", f.Document == "consumers":
		default:
			if _, ok := b.guid(field+".document", f.Document); !ok {
				continue
			}
		}
		document := lower(f.Document)
		h.fetched[document] = append(h.fetched[document], f.At.Unix())
		for _, kid := range f.KIDs {
			h.sightings[kid] = append(h.sightings[kid], f.At.Unix())
		}
	}
	for _, times := range h.fetched {
		slices.Sort(times)
	}
	for kid, times := range h.sightings {
		slices.Sort(times)
		h.sightings[kid] = slices.Compact(times)
	}
	return h
}

func (b *builder) thumbprint(field, s string) [20]byte {
	t, ok := sha1Thumbprint(s)
	if !ok {
		b.fail(field, "%q is not a SHA-1 in hex or base64url", s)
	}
	return t
}

func (b *builder) issuerHosts(list []IssuerHost) map[string]*IssuerHost {
	out := make(map[string]*IssuerHost, len(list))
	for i := range list {
		field, h := at("issuerHosts", i), list[i]
		if h.Form != V1Issuer && h.Form != V2Issuer && h.Form != OwnIssuer {
			b.fail(field+".form", "%q is none of %s, %s, %s", h.Form, V1Issuer, V2Issuer, OwnIssuer)
		}
		if strings.ContainsAny(h.Host, "/:* ") {
			b.fail(field+".host", "%q is not a host name", h.Host)
		}
		if b.fits(field+".host", h.Host) {
			out[lower(h.Host)] = &h
		}
	}
	return out
}

func (b *builder) mailClients(field string, list []MailClient) map[event.GUID]*Client {
	if list == nil {
		return nil
	}
	out := make(map[event.GUID]*Client, len(list))
	for i, c := range list {
		field := at(field, i)
		id, ok := b.guid(field+".appId", c.AppID)
		if !ok {
			continue
		}
		if c.MaxAge < 0 {
			b.fail(field+".maxAge", "is negative")
		}
		client := &Client{Name: cmp.Or(c.Name, id.String()), MaxAge: c.MaxAge}
		for j, expr := range c.ClientInfo {
			re, err := regexp.Compile(expr)
			if err != nil {
				b.fail(at(field+".clientInfo", j), "%v", err)
				continue
			}
			client.ClientInfo = append(client.ClientInfo, re)
		}
		out[id] = client
	}
	return out
}

func (b *builder) certificates(list []string) map[[20]byte]struct{} {
	out := make(map[[20]byte]struct{}, len(list))
	for i, s := range list {
		out[b.thumbprint(at("trustedCertificates", i), s)] = struct{}{}
	}
	return out
}

// complete gives mail clients what is known of the program, where their tenant does not say it.
func (t *Tenant) complete(known map[event.GUID]*Client) {
	for id, c := range t.mailClients {
		k, ok := known[id]
		if !ok {
			continue
		}
		if c.ClientInfo == nil {
			c.ClientInfo = k.ClientInfo
		}
		c.MaxAge = cmp.Or(c.MaxAge, k.MaxAge)
	}
}

func (b *builder) tenant(field string, s TenantSource) *Tenant {
	t := &Tenant{
		own:             b.guids(field+".tenantIds", s.TenantIDs),
		partners:        b.guids(field+".partnerTenants", s.PartnerTenants),
		domains:         b.domains(field+".domains", s.Domains),
		mailClients:     b.mailClients(field+".mailClients", s.MailClients),
		appOnlyMailApps: b.appOnlyMailApps(field+".appOnlyMailApps", s.AppOnlyMailApps),
		workloadApps:    b.workloadApps(field+".workloadApps", s.WorkloadApps),
		scriptedOK:      b.guids(field+".scriptedOk", s.ScriptedOK),
		mailboxOID:      b.mailboxOIDs(field+".mailboxOid", s.MailboxOID),
		vips:            b.names(field+".vips", s.VIPs),
		guestOIDs:       b.guids(field+".guestOids", s.GuestOIDs),
		allowMSAGuests:  s.AllowMSAGuests,
		apps:            b.apps(field+".apps", s.Apps),
		delegates:       b.delegates(field+".delegates", s.Delegates),
		utiCoverage:     b.shares(field+".utiCoverage", s.UTICoverage),
		graphCoverage:   b.shares(field+".graphUtiCoverage", s.GraphUTICoverage),
		riskLevels:      b.names(field+".riskLevels", s.RiskLevels),
		owaResources:    b.hosts(field+".owaResources", s.OWAResources),
		tokenTypes:      b.names(field+".tokenTypes", s.TokenTypes),
		authTypes:       b.names(field+".authTypes", s.AuthTypes),
		deviceCodeApps:  b.guids(field+".deviceCodeApps", s.DeviceCodeApps),
		fics:            b.guids(field+".fics", s.FICs),
		testObservers:   b.names(field+".testObservers", s.TestObservers),
		idps:            b.idps(field+".idp", s.IDP),
		vpnOK:           b.names(field+".vpnOk", s.VPNOK),
		maxKeyAge:       s.MaxKeyAge,
	}
	if s.MaxKeyAge < 0 {
		b.fail(field+".maxKeyAge", "is negative")
	}
	return t
}

func (b *builder) domains(field string, list []Domain) map[string]*Domain {
	if list == nil {
		return nil
	}
	out := make(map[string]*Domain, len(list))
	for i := range list {
		field, d := at(field, i), list[i]
		if d.AuthType != Managed && d.AuthType != Federated {
			b.fail(field+".authType", "%q is neither %s nor %s", d.AuthType, Managed, Federated)
		}
		if b.fits(field+".name", d.Name) {
			out[lower(d.Name)] = &d
		}
	}
	return out
}

func (b *builder) appOnlyMailApps(field string, list []AppOnlyMailApp) map[event.GUID]names {
	if list == nil {
		return nil
	}
	out := make(map[event.GUID]names, len(list))
	for i, a := range list {
		field := at(field, i)
		if id, ok := b.guid(field+".appId", a.AppID); ok {
			out[id] = b.names(field+".mailboxes", a.Mailboxes)
		}
	}
	return out
}

func (b *builder) workloadApps(field string, list []WorkloadApp) map[event.GUID]names {
	if list == nil {
		return nil
	}
	out := make(map[event.GUID]names, len(list))
	for i, a := range list {
		field := at(field, i)
		if id, ok := b.guid(field+".appId", a.AppID); ok {
			out[id] = b.names(field+".workloads", a.Workloads)
		}
	}
	return out
}

func (b *builder) mailboxOIDs(field string, m map[string]string) map[event.GUID]event.GUID {
	out := make(map[event.GUID]event.GUID, len(m))
	for _, mailbox := range slices.Sorted(maps.Keys(m)) {
		key, ok := b.guid(field, mailbox)
		oid, also := b.guid(field+"."+mailbox, m[mailbox])
		if ok && also {
			out[key] = oid
		}
	}
	return out
}

func (b *builder) apps(field string, list []App) map[string]*Application {
	if list == nil {
		return nil
	}
	out := make(map[string]*Application, len(list))
	for i, a := range list {
		field := at(field, i)
		if a.MaxLife < 0 {
			b.fail(field+".maxLife", "is negative")
		}
		app := &Application{MaxLife: a.MaxLife, EntraOnly: a.EntraOnly, allowedAlgs: b.names(field+".allowedAlgs", a.AllowedAlgs)}
		named := a.AllowedTenants
		if i := slices.Index(named, AnyTenant); i >= 0 {
			app.anyTenant = true
			named = slices.Delete(slices.Clone(named), i, i+1)
		}
		app.allowed = b.guids(field+".allowedTenants", named)
		if b.fits(field+".audience", a.Audience) {
			out[lower(a.Audience)] = app
		}
	}
	return out
}

func (b *builder) delegates(field string, list []Delegate) map[event.GUID]names {
	if list == nil {
		return nil
	}
	out := map[event.GUID]names{}
	for i, d := range list {
		field := at(field, i)
		id, ok := b.guid(field+".mailbox", d.Mailbox)
		if !ok || !b.fits(field+".user", d.User) {
			continue
		}
		if out[id] == nil {
			out[id] = names{}
		}
		out[id][lower(d.User)] = struct{}{}
	}
	return out
}

func (b *builder) shares(field string, m map[string]float64) map[event.GUID]float64 {
	out := make(map[event.GUID]float64, len(m))
	for _, app := range slices.Sorted(maps.Keys(m)) {
		id, ok := b.guid(field, app)
		if share := m[app]; !(0 <= share && share <= 1) {
			b.fail(field+"."+app, "%v is not a share from 0 to 1", share)
		} else if ok {
			out[id] = share
		}
	}
	return out
}

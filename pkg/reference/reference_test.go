package reference

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/rule"
)

const (
	contoso  = "11111111-1111-4111-8111-111111111111"
	fabrikam = "22222222-2222-4222-8222-222222222222"
	someApp  = "33333333-3333-4333-8333-333333333333"
	someOID  = "44444444-4444-4444-8444-444444444444"
	mailbox  = "55555555-5555-4555-8555-555555555555"
)

func snapshot(t *testing.T, overrides ...Source) *Data {
	t.Helper()
	d, err := New(overrides...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func day(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestBuiltinIsComplete(t *testing.T) {
	s := builtin()
	if n := len(s.BadIPs); n != 38 {
		t.Errorf("%d addresses, Microsoft names 38", n)
	}
	if n := len(s.Keys); n != 113 {
		t.Errorf("%d published keys, the history holds 113", n)
	}
	consumers, tenants := 0, 0
	for _, k := range s.Keys {
		if len(k.KID) != 27 {
			t.Errorf("kid %q is not the base64url of a SHA-1", k.KID)
		}
		if a, ok := sha1Thumbprint(k.KID); ok && k.SHA1 != "" {
			if b, _ := sha1Thumbprint(k.SHA1); a != b {
				t.Errorf("kid %q is not its certificate's SHA-1", k.KID)
			}
		}
		switch k.Scope {
		case ConsumersScope:
			consumers++
		case TenantsScope:
			tenants++
		}
	}
	if consumers != 27 || tenants != 86 {
		t.Errorf("%d keys of consumers and %d of tenants, want 27 and 86", consumers, tenants)
	}
	seen := map[string]bool{}
	for _, i := range s.BadIPs {
		seen[i.IP] = true
		if i.First < "2023-03-09" || i.Last > "2023-07-12" {
			t.Errorf("%s was seen from %s to %s, outside of the intrusion", i.IP, i.First, i.Last)
		}
	}
	if len(seen) != len(s.BadIPs) {
		t.Error("an address stands twice")
	}
}

func TestBadKeyInAnySpelling(t *testing.T) {
	d := snapshot(t)
	for _, s := range []string{
		"1LTMzakihiRla_8z2BEJVXeWMqo",
		"1LTMzakihiRla_8z2BEJVXeWMqo=",
		"1LTMzakihiRla/8z2BEJVXeWMqo",
		"d4b4cccda9228624656bff33d8110955779632aa",
		"D4B4CCCDA9228624656BFF33D8110955779632AA",
		"43ea0217de39066a36164e21655e8ed7b2efaa67e4155033837ada26df6bb59e",
		"Q-oCF945Bmo2Fk4hZV6O17LvqmfkFVAzg3raJt9rtZ4",
	} {
		if k, ok := d.BadKey(s); !ok || k.KID != "1LTMzakihiRla_8z2BEJVXeWMqo" {
			t.Errorf("%q is not found", s)
		}
	}
	for _, s := range []string{
		"", "1ltmzakihirla_8z2bejvxewmqo", // the case of a kid matters
		"nbCwW11w3XkB-xUaXwKRSLjMHGQ", "d4b4cccda9228624656bff33d811095577963200", strings.Repeat("x", 1<<16),
	} {
		if _, ok := d.BadKey(s); ok {
			t.Errorf("%q is found", s)
		}
	}
}

func TestBadKeyByWhatAnEntryNames(t *testing.T) {
	d := snapshot(t, Source{BadKeys: []BadKey{{KID: "not-a-thumbprint"}, {SHA1: "nbCwW11w3XkB-xUaXwKRSLjMHGQ"}}})
	for _, s := range []string{
		"not-a-thumbprint", "nbCwW11w3XkB-xUaXwKRSLjMHGQ", "9DB0B05B5D70DD7901FB151A5F029148B8CC1C64",
		"1LTMzakihiRla_8z2BEJVXeWMqo",
	} {
		if _, ok := d.BadKey(s); !ok {
			t.Errorf("%q is not found", s)
		}
	}
}

func TestBadIPMatchesExactly(t *testing.T) {
	d := snapshot(t)
	i, ok := d.BadIP(netip.MustParseAddr("185.38.142.229"))
	if !ok || i.Kind != "proxy" {
		t.Fatalf("185.38.142.229: %+v, %v", i, ok)
	}
	if want := day(t, "2023-07-12T23:59:59.999999999Z"); !i.Last.Equal(want) {
		t.Errorf("last is %s, want the end of the day", i.Last)
	}
	if i, ok := d.BadIP(netip.MustParseAddr("185.38.142.249")); !ok || i.Kind != "token-panel" {
		t.Errorf("185.38.142.249: %+v, %v", i, ok)
	}
	if _, ok := d.BadIP(netip.MustParseAddr("185.38.142.230")); ok {
		t.Error("a neighbour matches")
	}
}

func TestPublished(t *testing.T) {
	const oldKey, key, rolled = "oldKey", "key", "rolled"
	at := func(s string) time.Time { return day(t, "2026-03-"+s+":00Z") }
	d, err := compile(Source{
		Keys: []Key{{KID: "retired", FirstSeen: day(t, "2016-01-01T00:00:00Z")}, {KID: "future", FirstSeen: day(t, "2027-01-01T00:00:00Z")}},
		Fetches: []Fetch{
			{Document: "common", At: at("01T00:00"), KIDs: []string{oldKey, key}},
			{Document: "common", At: at("10T00:00"), KIDs: []string{key}},
			{Document: "common", At: at("11T00:00"), KIDs: []string{key}},
			{Document: "common", At: at("11T12:00"), KIDs: []string{key, rolled}},
			{Document: "organizations", At: at("20T00:00"), KIDs: []string{key}},
			{Document: "organizations", At: at("20T12:00"), KIDs: []string{key}},
			{Document: contoso, At: at("25T00:00"), KIDs: []string{key}},
			{Document: contoso, At: at("26T02:00"), KIDs: []string{key}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, kid, tenant string
		at                time.Time
		want              Publication
	}{
		{"in the documents around", key, contoso, at("10T12:00"), Published},
		{"known long ago", oldKey, contoso, at("10T12:00"), Withdrawn},
		{"only in an older copy", "retired", contoso, at("10T12:00"), Withdrawn},
		{"only in a later copy", "future", contoso, at("10T12:00"), Never},
		{"never seen", "forged", contoso, at("10T12:00"), Never},
		{"at a fetch", "forged", contoso, at("10T00:00"), Never},
		{"of personal accounts, in common", "forged", ConsumerTenant, at("10T12:00"), Never},
		{"appears within the hour", rolled, contoso, at("11T11:00"), Published},
		{"fetches too far apart", "forged", contoso, at("05T00:00"), NotTold},
		{"no fetch after", "forged", contoso, at("30T00:00"), NotTold},
		{"no fetch before", "forged", contoso, day(t, "2026-02-01T00:00:00Z"), NotTold},
		{"organizations tells of tenants", "forged", contoso, at("20T06:00"), Never},
		{"organizations does not tell of personal accounts", "forged", ConsumerTenant, at("20T06:00"), NotTold},
		{"a tenant's own document, 26 hours apart", "forged", strings.ToUpper(contoso), at("25T06:00"), Never},
		{"another tenant's own document", "forged", fabrikam, at("25T06:00"), NotTold},
	} {
		if got := d.Published(c.kid, c.tenant, c.at); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestEmbeddedHistoryTellsOnlyInItsDensePart(t *testing.T) {
	d := snapshot(t)
	for s, want := range map[string]Publication{
		"2024-08-16T20:00:00Z": Never,   // between two readings of that week
		"2024-06-06T12:00:00Z": NotTold, // before the dense part
		"2024-12-01T12:00:00Z": NotTold, // after it
		"2026-03-08T12:00:00Z": NotTold, // a copy of that day does not bracket it
		"2024-07-28T12:00:00Z": NotTold, // readings of 24 and 29 July are too far apart
	} {
		if got := d.Published("forged", contoso, day(t, s)); got != want {
			t.Errorf("%s: %d, want %d", s, got, want)
		}
	}
	if got := d.Published("1LTMzakihiRla_8z2BEJVXeWMqo", ConsumerTenant, day(t, "2024-08-16T20:00:00Z")); got != Withdrawn {
		t.Errorf("the stolen key in 2024: %d, want withdrawn", got)
	}
}

// contains asks a set.
func contains(s rule.Set, tenant, value string) string {
	in, known := s.Contains(tenant, value)
	switch {
	case !known:
		return "not known"
	case in:
		return "in"
	}
	return "not in"
}

func TestNotKnownIsNotEmpty(t *testing.T) {
	d := snapshot(t, Source{
		Defaults: TenantSource{PartnerTenants: []string{}},
		Tenants: map[string]TenantSource{strings.ToUpper(contoso): {
			PartnerTenants: []string{fabrikam}, MailClients: []MailClient{}, ScriptedOK: []string{strings.ToUpper(someApp)},
			VIPs: []string{"Minister@Contoso.com"}, RiskLevels: []string{"low"}, TestObservers: []string{"ci"},
		}},
	})
	for _, c := range []struct {
		set           rule.Set
		tenant, value string
		want          string
	}{
		{d.PartnerTenants(), contoso, strings.ToUpper(fabrikam), "in"},
		{d.PartnerTenants(), contoso, someOID, "not in"},
		{d.PartnerTenants(), contoso, "no GUID", "not in"},
		{d.PartnerTenants(), fabrikam, fabrikam, "not in"}, // known to be empty
		{d.MailClients(), contoso, someApp, "not in"},
		{d.MailClients(), fabrikam, someApp, "not known"},
		{d.ScriptedOK(), contoso, someApp, "in"},
		{d.ScriptedOK(), "unknown", someApp, "not in"}, // the built-in list is empty
		{d.VIPs(), contoso, "minister@contoso.COM", "in"},
		{d.VIPs(), fabrikam, "minister@contoso.com", "not known"},
		{d.GuestOIDs(), contoso, someOID, "not known"},
		{d.RiskLevels(), fabrikam, "HIGH", "in"},
		{d.RiskLevels(), fabrikam, "low", "not in"},
		{d.RiskLevels(), contoso, "high", "not in"},
		{d.TestObservers(), contoso, "CI", "in"},
		{d.TestObservers(), fabrikam, "ci", "not in"},
		{d.OwnTenants(), contoso, strings.ToUpper(contoso), "in"},
		{d.OwnTenants(), contoso, fabrikam, "not in"},
		{d.OwnTenants(), "unknown", fabrikam, "not known"},
		{d.FirstPartyTenants(), contoso, "F8CDEF31-A31E-4B4A-93E4-5F571E91255A", "in"},
		{d.KnownMailClients(), contoso, "27922004-5251-4030-b22d-91ecd9a37ea4", "in"},
		{d.MailFrontends(), contoso, "00000003-0000-0000-c000-000000000000", "in"},
		{d.S2SAppIDs(), contoso, someApp, "not in"},
		{d.PlaceholderUTIs(), contoso, "AAAAAAAAAAAAAAAAAAAAAA", "in"},
		{d.PlaceholderUTIs(), contoso, "ffffffff-ffff-ffff-ffff-ffffffffffff", "in"},
		{d.PlaceholderUTIs(), contoso, "12345678-1234-1234-1234-123456789012", "in"},
		{d.PlaceholderUTIs(), contoso, "xMFjTVvJPE2OChJx_YE-AA", "not in"},
		{d.PlaceholderUTIs(), contoso, "nonsense", "not in"},
		{d.SampleAudiences(), contoso, "6CB04018-a3f5-46a7-b995-940c78f5aef3", "in"},
		{d.SampleTenants(), contoso, ConsumerTenant, "not in"},
		{d.TrustedCertificates(), contoso, "d4b4cccda9228624656bff33d8110955779632aa", "in"}, // published is not the same as good
		{d.TrustedCertificates(), contoso, "00b4cccda9228624656bff33d8110955779632aa", "not in"},
		{d.BadUserAgents(), contoso, "Mozilla/5.0", "not in"},
	} {
		if got := contains(c.set, c.tenant, c.value); got != c.want {
			t.Errorf("%s: %s for %s is %s, want %s", c.set.Name(), c.value, c.tenant, got, c.want)
		}
	}
	if !d.MailClientsConfigured() {
		t.Error("a tenant's list of mail clients does not count as configured")
	}
	if snapshot(t).MailClientsConfigured() {
		t.Error("the built-in protocols count as a configured list of mail clients")
	}
}

func TestTenantLookups(t *testing.T) {
	d := snapshot(t, Source{Tenants: map[string]TenantSource{contoso: {
		Domains:         []Domain{{Name: "Contoso.com", AuthType: Federated, IssuerURI: "http://sts.contoso.com/adfs/services/trust"}},
		MailboxOID:      map[string]string{strings.ToUpper(mailbox): someOID},
		AppOnlyMailApps: []AppOnlyMailApp{{AppID: someApp, Mailboxes: []string{mailbox, "info@contoso.com"}}, {AppID: someOID}},
		WorkloadApps:    []WorkloadApp{{AppID: someApp, Workloads: []string{"OneDrive"}}, {AppID: someOID}},
		Delegates:       []Delegate{{User: "Assistant@contoso.com", Mailbox: mailbox}},
		UTICoverage:     map[string]float64{someApp: 0.995},
		Apps: []App{
			{Audience: "api://Orders", MaxLife: 2 * time.Hour, AllowedAlgs: []string{"ES256"}, EntraOnly: true},
			{Audience: "open", AllowedTenants: []string{"any"}},
			{Audience: "everybody", AllowedTenants: []string{"any", ConsumerTenant}},
			{Audience: "partner", AllowedTenants: []string{fabrikam}},
		},
	}}})
	c, other := d.Tenant(contoso), d.Tenant(fabrikam)
	for _, o := range []struct {
		app, workload string
		may           bool
	}{
		{someApp, "onedrive", true},
		{strings.ToUpper(someApp), "OneDrive", true},
		{someApp, "SharePoint", false},
		{someOID, "MicrosoftTeams", true},
		{fabrikam, "OneDrive", false},
		{"x", "OneDrive", false},
	} {
		if may, known := c.Opens(o.app, o.workload); may != o.may || !known {
			t.Errorf("%s opens %s: %v, known %v", o.app, o.workload, may, known)
		}
	}
	if _, known := other.Opens(someApp, "OneDrive"); known {
		t.Error("the applications of a tenant that has named none are known")
	}
	if x, ok, known := c.Domain("CONTOSO.com"); !ok || !known || x.AuthType != Federated {
		t.Errorf("domain: %+v %v %v", x, ok, known)
	}
	if _, ok, known := c.Domain("fabrikam.com"); ok || !known {
		t.Error("a domain that is not listed")
	}
	if _, _, known := other.Domain("fabrikam.com"); known {
		t.Error("the domains of a tenant of which nothing is said")
	}
	if oid, ok := c.MailboxOwner(mailbox); !ok || oid.String() != someOID {
		t.Errorf("owner: %s %v", oid, ok)
	}
	if _, ok := c.MailboxOwner(someOID); ok {
		t.Error("a mailbox that is not in the snapshot has an owner")
	}
	for _, m := range []string{mailbox, strings.ToUpper(mailbox), "INFO@contoso.com"} {
		if may, known := c.AppOnlyMailbox(someApp, m); !may || !known {
			t.Errorf("app-only access to %s: %v %v", m, may, known)
		}
	}
	if may, known := c.AppOnlyMailbox(someApp, someOID); may || !known {
		t.Error("app-only access to another mailbox")
	}
	if may, _ := c.AppOnlyMailbox(someOID, someOID); !may {
		t.Error("app-only access of an app without limits")
	}
	if _, known := other.AppOnlyMailbox(someApp, mailbox); known {
		t.Error("app-only apps of a tenant of which nothing is said")
	}
	if may, known := c.Delegate("assistant@CONTOSO.com", mailbox); !may || !known {
		t.Error("delegate")
	}
	if may, known := c.Delegate("stranger@contoso.com", mailbox); may || !known {
		t.Error("no delegate")
	}
	if share, known := c.UTICoverage(strings.ToUpper(someApp)); !known || share != 0.995 {
		t.Error("coverage")
	}
	if _, known := c.GraphUTICoverage(someApp); known {
		t.Error("Graph coverage that nobody gave")
	}
	a, ok, _ := c.Application("API://orders")
	if !ok || a.MaxLife != 2*time.Hour || !a.EntraOnly {
		t.Errorf("application: %+v", a)
	}
	if allowed, known := a.AllowsTenant(contoso, contoso, d.OwnTenants()); !allowed || !known {
		t.Error("its own tenant")
	}
	if allowed, known := a.AllowsTenant(contoso, fabrikam, d.OwnTenants()); allowed || !known {
		t.Error("another tenant")
	}
	if _, known := a.AllowsTenant("unknown", fabrikam, d.OwnTenants()); known {
		t.Error("own tenants that are not known")
	}
	if allowed, known := a.AllowsAlgorithm("es256"); !allowed || !known {
		t.Error("its algorithm")
	}
	open, _, _ := c.Application("open")
	if allowed, known := open.AllowsTenant(contoso, fabrikam, d.OwnTenants()); !allowed || !known {
		t.Error("any tenant")
	}
	if allowed, _ := open.AllowsTenant(contoso, ConsumerTenant, d.OwnTenants()); allowed {
		t.Error("personal accounts are let in without being named")
	}
	everybody, _, _ := c.Application("everybody")
	if allowed, _ := everybody.AllowsTenant(contoso, ConsumerTenant, d.OwnTenants()); !allowed {
		t.Error("personal accounts that are named beside any")
	}
	if _, known := open.AllowsAlgorithm("RS256"); known {
		t.Error("algorithms that nobody named")
	}
	partner, _, _ := c.Application("partner")
	if allowed, _ := partner.AllowsTenant(contoso, contoso, d.OwnTenants()); allowed {
		t.Error("the own tenant is allowed although a list says otherwise")
	}
}

func TestMailClientProtocols(t *testing.T) {
	const outlookMobile = "27922004-5251-4030-B22D-91ECD9A37EA4"
	d := snapshot(t, Source{Tenants: map[string]TenantSource{contoso: {MailClients: []MailClient{
		{AppID: someApp, ClientInfo: []string{"^Client=WebServices;eMClient"}},
		{AppID: outlookMobile},
	}}, fabrikam: {MailClients: []MailClient{{AppID: outlookMobile, MaxAge: 2 * time.Hour}}}}})
	c, ok := d.MailClient(contoso, outlookMobile)
	if !ok || len(c.ClientInfo) == 0 {
		t.Fatal("listing a client without its protocol hides the built-in protocol")
	}
	if c, ok := d.MailClient(fabrikam, outlookMobile); !ok || len(c.ClientInfo) == 0 || c.MaxAge != 2*time.Hour {
		t.Fatal("listing a client with its age alone hides the built-in protocol")
	}
	matches := func(c *Client, s string) bool {
		for _, re := range c.ClientInfo {
			if re.MatchString(s) {
				return true
			}
		}
		return false
	}
	if !matches(c, "Client=OutlookService;Outlook-iOS/2.0;") || matches(c, "Client=REST;Client=RESTSystem;;") {
		t.Error("the protocol of Outlook Mobile")
	}
	if c, ok := d.MailClient(contoso, someApp); !ok || !matches(c, "Client=WebServices;eMClient/9") {
		t.Error("a tenant's own client")
	}
	if _, ok := d.MailClient(fabrikam, someApp); ok {
		t.Error("another tenant's client")
	}
	if _, ok := d.MailClient(contoso, "no GUID"); ok {
		t.Error("no GUID is a client")
	}
}

// What the timer learns of published keys holds for the certificates in headers, too.
func TestLearnedKeysAreTrustedCertificates(t *testing.T) {
	const thumbprint = "00112233445566778899aabbccddeeff00112233"
	d := snapshot(t, Source{})
	if in, known := d.TrustedCertificates().Contains(contoso, thumbprint); in || !known {
		t.Fatal("the certificate is known already")
	}
	if err := d.Learn([]Key{{KID: "new", SHA1: thumbprint}}, nil); err != nil {
		t.Fatal(err)
	}
	if in, _ := d.TrustedCertificates().Contains(contoso, thumbprint); !in {
		t.Error("the certificate of a learned key is not trusted")
	}
	const builtin = "d4b4cccda9228624656bff33d8110955779632aa"
	if in, _ := d.TrustedCertificates().Contains(contoso, builtin); !in {
		t.Error("the certificate of a built-in key is forgotten")
	}
}

func TestVersionIsTheContent(t *testing.T) {
	a, b := snapshot(t), snapshot(t, Source{})
	if a.Version != b.Version || len(a.Version) != 32 {
		t.Errorf("versions %q and %q of equal data", a.Version, b.Version)
	}
	empty := snapshot(t, Source{Defaults: TenantSource{VIPs: []string{}}})
	if empty.Version == a.Version {
		t.Error("known to be empty has the version of not known")
	}
}

func TestOverridesReplaceByName(t *testing.T) {
	d := snapshot(t,
		Source{BadIPs: []BadIP{{IP: "185.38.142.229", Kind: "vps", First: "2026-01-01", Last: "2026-02-01"}}},
		Source{Tenants: map[string]TenantSource{contoso: {VIPs: []string{"a"}}}},
		Source{Tenants: map[string]TenantSource{contoso: {PartnerTenants: []string{fabrikam}}}})
	if i, _ := d.BadIP(netip.MustParseAddr("185.38.142.229")); i.Kind != "vps" {
		t.Error("an override does not replace the entry of the same address")
	}
	if contains(d.VIPs(), contoso, "a") != "in" || contains(d.PartnerTenants(), contoso, fabrikam) != "in" {
		t.Error("two overrides of one tenant do not add up")
	}
}

func TestWithLeavesTheSnapshotAlone(t *testing.T) {
	d := snapshot(t, Source{Defaults: TenantSource{VIPs: []string{"a"}}, Tenants: map[string]TenantSource{contoso: {GuestOIDs: []string{}}}})
	version := d.Version
	more, err := d.With(Source{BadUserAgents: []string{"evil"}, Defaults: TenantSource{VIPs: []string{"b"}}, Tenants: map[string]TenantSource{contoso: {GuestOIDs: []string{someOID}}}})
	if err != nil {
		t.Fatal(err)
	}
	if contains(more.VIPs(), contoso, "b") != "in" || contains(more.VIPs(), contoso, "a") != "not in" || contains(more.GuestOIDs(), contoso, someOID) != "in" ||
		contains(more.BadUserAgents(), contoso, "evil") != "in" {
		t.Error("the override is not laid over the snapshot")
	}
	if contains(d.VIPs(), contoso, "b") != "not in" || contains(d.GuestOIDs(), contoso, someOID) != "not in" || contains(d.BadUserAgents(), contoso, "evil") != "not in" {
		t.Error("the override changed the snapshot that it was laid over")
	}
	again, err := d.With()
	if err != nil || again.Version != version || more.Version == version {
		t.Errorf("versions %q, %q, %q, %v", version, again.Version, more.Version, err)
	}
}

func TestMistakesNameTheirField(t *testing.T) {
	_, err := New(Source{
		BadKeys:             []BadKey{{}, {SHA1: "xyz"}, {SHA256: "xyz"}, {KID: "k", From: "yesterday"}},
		BadIPs:              []BadIP{{IP: "10.0.0.0/8"}, {IP: "10.0.0.1", First: "2026-02-01", Last: "2026-01-01"}, {IP: "10.0.0.2", First: "x", Last: "y"}},
		BadUserAgents:       []string{""},
		Keys:                []Key{{}, {KID: "k", Scope: "all", SHA1: "z", NotBefore: time.Unix(2, 0), NotAfter: time.Unix(1, 0)}},
		Fetches:             []Fetch{{Document: "common", KIDs: []string{"k"}}, {Document: "common", At: time.Unix(1, 0)}, {Document: "x", At: time.Unix(1, 0), KIDs: []string{"k"}}},
		IssuerHosts:         []IssuerHost{{Host: "https://evil/", Form: "v3"}, {Form: V1Issuer}},
		KnownMailClients:    []MailClient{{AppID: "x"}, {AppID: someApp, ClientInfo: []string{"("}, MaxAge: -1}},
		PlaceholderUTIs:     []string{"x"},
		TrustedCertificates: []string{"x"},
		SampleAudiences:     []string{strings.Repeat("a", 300)},
		Defaults:            TenantSource{MaxKeyAge: -1, Domains: []Domain{{AuthType: "Guest"}}},
		Tenants: map[string]TenantSource{
			"contoso": {},
			contoso: {
				GuestOIDs: []string{"x"}, VIPs: []string{""}, MailboxOID: map[string]string{"m": "o"},
				Apps:      []App{{AllowedTenants: []string{"every"}, MaxLife: -1}},
				Delegates: []Delegate{{Mailbox: "m"}, {Mailbox: mailbox}}, UTICoverage: map[string]float64{someApp: 1.5},
				AppOnlyMailApps: []AppOnlyMailApp{{AppID: "x"}}, WorkloadApps: []WorkloadApp{{AppID: "x"}, {AppID: someApp, Workloads: []string{""}}},
			},
			strings.ToUpper("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"): {}, "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa": {},
		},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"badKeys[0]: has neither", "badKeys[1].sha1", "badKeys[2].sha256", "badKeys[3].from", "badIps[0].ip", "badIps[1]: ends before",
		"badIps[2].first", "badIps[2].last", "badUserAgents[0]", "keys[0].kid", "keys[1].scope", "keys[1].sha1",
		"keys[1]: the certificate", "].at: is missing", "].kids: is empty", "].document: \"x\"", "].form: \"v3\"", "].host: \"https://evil/\"", "].host: is empty",
		"knownMailClients[0].appId", "knownMailClients[1].clientInfo[0]", "knownMailClients[1].maxAge", "placeholderUtis[0]",
		"trustedCertificates[0]", "sampleAudiences[0]: is longer", "defaults.maxKeyAge", "defaults.domains[0].authType", "defaults.domains[0].name",
		"tenants.contoso: \"contoso\" is not a GUID", "guestOids[0]", "vips[0]: is empty", ".mailboxOid: \"m\"", ".mailboxOid.m: \"o\"",
		"apps[0].allowedTenants[0]: \"every\"", "apps[0].maxLife", "apps[0].audience: is empty", "delegates[0].mailbox", "delegates[1].user",
		".utiCoverage." + someApp, "appOnlyMailApps[0].appId", "workloadApps[0].appId", "workloadApps[1].workloads[0]", "is named twice",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q in\n%v", want, err)
		}
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	d := snapshot(t, Source{Tenants: map[string]TenantSource{contoso: {
		VIPs: []string{"minister@contoso.com"}, Domains: []Domain{{Name: "contoso.com", AuthType: Managed}}, MailClients: []MailClient{{AppID: someApp}},
		Apps: []App{{Audience: "api://orders"}},
	}}})
	sets := []rule.Set{d.PartnerTenants(), d.MailClients(), d.VIPs(), d.OwnTenants(), d.PlaceholderUTIs(), d.TrustedCertificates(), d.KnownMailClients()}
	now := day(t, "2024-08-16T20:00:00Z")
	ip := netip.MustParseAddr("185.38.142.229")
	if n := testing.AllocsPerRun(100, func() {
		for _, s := range sets {
			s.Contains(contoso, "27922004-5251-4030-B22D-91ECD9A37EA4")
		}
		d.Tenant(contoso).Domain("CONTOSO.COM")
		d.Tenant(contoso).Application("API://ORDERS")
		d.BadKey("1LTMzakihiRla_8z2BEJVXeWMqo")
		d.BadIP(ip)
		d.IssuerHost("LOGIN.microsoftonline.com")
		d.MailClient(contoso, someApp)
		d.Published("forged", contoso, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

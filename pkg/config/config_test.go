package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/reference"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	contoso  = "3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11"
	fabrikam = "933f20c0-efdf-477f-9586-e5cc566d2e00"
	outlook  = "27922004-5251-4030-b22d-91ecd9a37ea4"
)

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	_, err := Load("testdata/mistakes.yaml")
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v, want problems", err)
	}
	got := err.Error() + "\n"
	golden := filepath.Join("testdata", "mistakes.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestParse(t *testing.T) {
	c, err := Parse("assay.yaml", []byte(`
badIps:
  - {ip: "::ffff:192.0.2.7", kind: proxy, first: 2024-01-01, last: 2024-02-01}
badKeys:
  - sha1: "D4:B4:CC:CD:A9:22:86:24:65:6B:FF:33:D8:11:09:55:77:96:32:AA"
defaults:
  mailClients:
    - {appId: 27922004-5251-4030-B22D-91ECD9A37EA4, name: Outlook Mobile, clientInfo: ['^Client=OutlookService;'], maxAge: 29h}
  partnerTenants: []
tenants:
  - id: 3C6B4E1A-6A4F-4BDE-9A3B-0D7B3B3F1E11
    name: Contoso
    vips: [ambassador@contoso.com]
    mailClients:
    mailboxOid: {4D63C1C4-c95b-4d3c-8e0a-1271fd813e00: 933f20c0-efdf-477f-9586-e5cc566d2e00}
    apps: [{audience: "api://billing", allowedTenants: [any], maxLife: 1h10m}]
    domains: [{name: Contoso.com, authType: managed}]
`))
	if err != nil {
		t.Fatal(err)
	}
	want := reference.Source{
		BadIPs:  []reference.BadIP{{IP: "192.0.2.7", Kind: "proxy", First: "2024-01-01", Last: "2024-02-01"}},
		BadKeys: []reference.BadKey{{SHA1: "d4b4cccda9228624656bff33d8110955779632aa"}},
		Defaults: reference.TenantSource{
			MailClients: []reference.MailClient{{
				AppID: outlook, Name: "Outlook Mobile", ClientInfo: []string{"^Client=OutlookService;"}, MaxAge: 29 * time.Hour,
			}},
			PartnerTenants: []string{}, // known to be none
		},
		Tenants: map[string]reference.TenantSource{contoso: {
			VIPs:        []string{"ambassador@contoso.com"},
			MailClients: nil, // a key without a value says nothing
			MailboxOID:  map[string]string{"4d63c1c4-c95b-4d3c-8e0a-1271fd813e00": fabrikam},
			Apps:        []reference.App{{Audience: "api://billing", AllowedTenants: []string{"any"}, MaxLife: 70 * time.Minute}},
			Domains:     []reference.Domain{{Name: "contoso.com", AuthType: "Managed"}},
		}},
	}
	if !reflect.DeepEqual(c.Reference, want) {
		t.Errorf("got\n%+v\nwant\n%+v", c.Reference, want)
	}
	if c.Names[contoso] != "Contoso" || c.Tenant() != contoso {
		t.Errorf("names %v, only tenant %q", c.Names, c.Tenant())
	}
}

// Beside a document that is a blob stands no file.
func TestSigmaRulesBesideABlob(t *testing.T) {
	const blob = "https://contoso.blob.core.windows.net/config/assay.yaml"
	if _, err := Parse(blob, []byte("sigma: {rules: [/home/site/wwwroot/sigma]}")); err != nil {
		t.Error(err)
	}
	_, err := Parse(blob, []byte("sigma:\n  rules: [sigma]\n"))
	if err == nil || !strings.Contains(err.Error(), blob+":2:11: sigma.rules[0]: is a path beside this document, which is a blob") {
		t.Errorf("%v", err)
	}
	c, err := Parse("conf/assay.yaml", []byte("sigma: {rules: [sigma]}"))
	if err != nil || len(c.Sigma.Rules) != 1 || c.Sigma.Rules[0] != filepath.Join("conf", "sigma") {
		t.Errorf("%v %v", c, err)
	}
}

func TestSyntax(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", ""},
		{"comments only", "# nothing\n", ""},
		{"a null", "---\n", ""},
		{"a list at the top", "- a\n", "c.yaml:1:1: is a list: a mapping is wanted"},
		{"a text at the top", "assay\n", `c.yaml:1:1: is "assay": a mapping is wanted`},
		{"an open list", "tenants: [\n", "c.yaml:2: not valid YAML: "},
		{"a broken flow", "a: 1\nb: {c: d e: f}\nc: 1\n", "c.yaml:2: not valid YAML: "},
		{"a broken block", "a: 1\nb:\n  c: 1\n d: 2\n", "c.yaml:4: not valid YAML: "},
		{"a tab", "tenants:\n\t- id: x\n", "c.yaml:2: not valid YAML: found character that cannot start any token"},
		{"not UTF-8", "tenants:\n  - name: \xff\n", "c.yaml:2: the document is not valid UTF-8"},
		{"two documents", "tenants: []\n---\ntenants: []\n", "c.yaml:2:1: a second document: there can be only one in the file"},
		{"a key twice", "tenants: []\ntenants: []\n", "c.yaml:2:1: tenants: stands twice in the same mapping: first on line 1"},
		{"a list as a key", "[a]: b\n", "c.yaml:1:1: is a list: a text as the key is wanted"},
		{"a misspelt key", "tenant: []\n", `c.yaml:1:1: tenant: unknown key: do you mean "tenants"?`},
		{"an alias", "mailFrontends: &a []\ns2sAppIds: *a\n", "c.yaml:1:16: mailFrontends: anchors (&a) and aliases are not supported"},
		{"a merge key", "defaults:\n  <<: {vips: []}\n", "c.yaml:2:3: defaults.<<: merge keys are not supported"},
		{"a tag", "badUserAgents: [!!binary aGVsbG8=]\n", "c.yaml:1:17: badUserAgents[0]: tags (!!binary) are not supported"},
		{"a long text", "badUserAgents: [" + strings.Repeat("x", 2000) + "]\n", "c.yaml:1:17: badUserAgents[0]: is 2000 bytes long: at most 512 are allowed"},
		{"control characters", "\"a\\e[2Jb\": 1\n", "c.yaml:1:1: a\x1b[2Jb: unknown key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("c.yaml", []byte(c.text))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %q, want no error", err)
			case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A document of a few hundred bytes that stands for billions of values must be refused, quickly.
func TestAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := range 40 {
		b.WriteString("a")
		b.WriteString(strings.Repeat("b", i+1))
		b.WriteString(": &n" + strings.Repeat("b", i+1) + " [*a0,*a0,*a0,*a0,*a0,*a0,*a0,*a0,*a0]\n")
	}
	b.WriteString("badUserAgents: [*a0]\n")
	_, err := Parse("bomb.yaml", []byte(b.String()))
	if err == nil || !strings.Contains(err.Error(), "aliases") {
		t.Errorf("got %v", err)
	}
}

func TestTooLarge(t *testing.T) {
	_, err := Parse("c.yaml", make([]byte, MaxSize+1))
	if err == nil || err.Error() != "c.yaml: the document is larger than 16 MiB" {
		t.Errorf("got %v", err)
	}
}

func TestMistakesAreBounded(t *testing.T) {
	_, err := Parse("c.yaml", []byte("badUserAgents: ["+strings.Repeat("[],", 5000)+"]\n"))
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != maxProblems+1 {
		t.Fatalf("got %d problems", len(problems))
	}
	if last := problems[maxProblems].Error(); last != "c.yaml: 4000 more mistakes" {
		t.Errorf("last: %s", last)
	}
}

func TestMissingFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "assay.yaml"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestHashIsOfTheDocument(t *testing.T) {
	c, err := Parse("c.yaml", []byte("tenants: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	// printf 'tenants: []\n' | sha256sum
	if want := "5a35b36c9b4c898272ec39d0191fe1c9fbad36c29eeb4c38a5fa7a110ceebdfb"; c.Hash != want {
		t.Errorf("got %q, want %q", c.Hash, want)
	}
}

func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("testdata/mistakes.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("a: &a [*a]\n<<: *a\n? [b]\n: !!binary x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("fuzz.yaml", text)
		if (c == nil) == (err == nil) {
			t.Fatal("neither a configuration nor an error, or both")
		}
		var problems Problems
		if err != nil && !errors.As(err, &problems) {
			t.Fatalf("not problems: %v", err)
		}
		for _, p := range problems {
			if p.Text == "" || p.Line < 0 {
				t.Fatalf("a problem without text or place: %+v", p)
			}
		}
	})
}

func TestHubs(t *testing.T) {
	const tenant = "8F1D6C3A-52E7-4B90-9C0E-6A4D17F2B385"
	c, err := Parse("assay.yaml", []byte("hubs:\n  Entra:\n    tenants: ["+tenant+"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Hubs["entra"]; len(got) != 1 || got[0] != strings.ToLower(tenant) {
		t.Errorf("hubs %v", c.Hubs)
	}
	for _, text := range []string{
		"hubs:\n  entra: {}\n", "hubs:\n  entra: {tenants: [x]}\n", "hubs:\n  entra: {tenants: []}\n", "hubs: [entra]\n",
		"hubs:\n  entra: {tenants: [" + tenant + "]}\n  ENTRA: {tenants: [" + tenant + "]}\n",
	} {
		if _, err := Parse("assay.yaml", []byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

package access

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const tenant = "11111111-2222-4333-8444-555555555555"

func principal(claims string) string {
	return base64.StdEncoding.EncodeToString([]byte(`{"auth_typ":"aad","name_typ":"name","role_typ":"roles","claims":[` + claims + `]}`))
}

func claim(typ, val string) string { return `{"typ":"` + typ + `","val":"` + val + `"}` }

func request(headers ...string) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/api/alerts", http.NoBody)
	for _, h := range headers {
		r.Header.Add(principalHeader, h)
	}
	return r
}

func TestIdentify(t *testing.T) {
	ada := claim("preferred_username", "ada@contoso.example")
	analyst := principal(ada + "," + claim("roles", "Assay.Analyst"))
	entra := Policy{Entra: true, PlatformAuth: true}
	for _, c := range []struct {
		name    string
		policy  Policy
		headers []string
		role    Role // anywhere
		here    Role // in tenant
		who     string
		refused bool
	}{
		{"a function key reads", Policy{}, nil, Reader, Reader, "function key", false},
		{"a forged principal beside a function key changes nothing", Policy{}, []string{analyst}, Reader, Reader, "function key", false},
		{"platform authentication alone does not make the header count", Policy{PlatformAuth: true}, []string{analyst}, Reader, Reader, "function key", false},
		{"a forged principal where authentication is off", Policy{Entra: true}, []string{analyst}, None, None, "", true},
		{"nobody is signed in", entra, nil, None, None, "", true},
		{"two principals", entra, []string{analyst, analyst}, None, None, "", true},
		{"an analyst", entra, []string{analyst}, Analyst, Analyst, "ada@contoso.example", false},
		{"a reader", entra, []string{principal(ada + "," + claim("roles", "Assay.Reader"))}, Reader, Reader, "ada@contoso.example", false},
		{"signed in without a role", entra, []string{principal(ada)}, None, None, "ada@contoso.example", false},
		{"a role of another application", entra, []string{principal(ada + "," + claim("roles", "Assay.Admin"))}, None, None, "ada@contoso.example", false},
		{"an analyst of one tenant", entra, []string{principal(ada + "," + claim("roles", "Assay.Analyst:"+strings.ToUpper(tenant)))}, Analyst, Analyst, "ada@contoso.example", false},
		{"an analyst of another tenant", entra, []string{principal(ada + "," + claim("roles", "Assay.Analyst:99999999-2222-4333-8444-555555555555"))}, Analyst, None, "ada@contoso.example", false},
		{"a limit that names no tenant", entra, []string{principal(ada + "," + claim("roles", "Assay.Analyst:"))}, None, None, "ada@contoso.example", false},
		{"an application", entra, []string{principal(claim("azp", "app-1") + "," + claim("roles", "Assay.Reader"))}, Reader, Reader, "app-1", false},
		{"no base64", entra, []string{"%%"}, None, None, "", true},
		{"no JSON", entra, []string{base64.StdEncoding.EncodeToString([]byte("x"))}, None, None, "", true},
		{"no name", entra, []string{principal(claim("roles", "Assay.Analyst"))}, None, None, "", true},
		{"far too long", entra, []string{strings.Repeat("A", maxPrincipal+4)}, None, None, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			caller, err := c.policy.Identify(request(c.headers...))
			if refused := errors.Is(err, ErrUnauthenticated); refused != c.refused {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			if caller.Name != c.who {
				t.Errorf("caller %q", caller.Name)
			}
			for _, role := range []Role{Reader, Analyst} {
				if got := caller.MayAnywhere(role) == nil; got != (c.role >= role) {
					t.Errorf("%s anywhere: %v", role, got)
				}
				err := caller.May(role, tenant)
				if (err == nil) != (c.here >= role) || err != nil && !errors.Is(err, ErrForbidden) {
					t.Errorf("%s in the tenant: %v", role, err)
				}
			}
		})
	}
}

func TestTenants(t *testing.T) {
	c := Caller{in: map[string]Role{"b": Reader, "a": Analyst}}
	if got, all := c.Tenants(Reader); all || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("reads %v, all %v", got, all)
	}
	if got, all := c.Tenants(Analyst); all || !slices.Equal(got, []string{"a"}) {
		t.Errorf("analyses %v, all %v", got, all)
	}
	if _, all := (Caller{all: Reader}).Tenants(Reader); !all {
		t.Error("an unlimited reader does not read all")
	}
}

func FuzzIdentify(f *testing.F) {
	f.Add(principal(claim("roles", "Assay.Analyst")))
	f.Fuzz(func(t *testing.T, header string) {
		c, err := Policy{Entra: true, PlatformAuth: true}.Identify(request(header))
		if err == nil && c.Name == "" {
			t.Error("a caller without a name was let in")
		}
	})
}

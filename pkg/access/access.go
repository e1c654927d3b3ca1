// Package access decides who calls the HTTP functions and what they may see and do.
//
// Authentication is the platform's: the Functions host checks the function key, App Service authentication checks the
// Entra ID token and writes the principal header. This package reads what they found, and trusts the header only where
// the platform is known to write it: anybody can send one.
package access

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Role is what a caller may do.
type Role uint8

// The roles. A role may do what those before it may.
const (
	None    Role = iota
	Reader       // read alerts and health
	Analyst      // change alerts, start replays, revive deliveries
)

// Names of the app roles that Entra ID puts into the roles claim. A colon and a tenant's id behind one limits it to
// that tenant: "Assay.Analyst:11111111-2222-4333-8444-555555555555".
const (
	readerRole  = "Assay.Reader"
	analystRole = "Assay.Analyst"
)

// Errors of Identify and of the Caller's checks.
var (
	ErrUnauthenticated = errors.New("nobody is signed in")
	ErrForbidden       = errors.New("the caller's roles do not allow this")
)

// Caller is who called.
type Caller struct {
	Name string // user principal name, application id, or "function key"; for the history of alerts
	all  Role   // in every tenant
	in   map[string]Role
}

// Policy says how callers are identified.
type Policy struct {
	// Entra asks for a principal of App Service authentication. Without it the function key is all there is, and who
	// has it may read.
	Entra bool
	// PlatformAuth tells that App Service authentication is switched on (WEBSITE_AUTH_ENABLED): it removes
	// principal headers that callers send. Where it is off, the header is ignored.
	PlatformAuth bool
}

// principalHeader is what App Service authentication writes
// ("Work with user identities in Azure App Service authentication", Microsoft Learn).
const principalHeader = "X-MS-CLIENT-PRINCIPAL"

// maxPrincipal bounds the header, in bytes.
const maxPrincipal = 64 << 10

// Identify returns the caller of a request that the host has let in. The error is ErrUnauthenticated, wrapped.
func (p Policy) Identify(r *http.Request) (Caller, error) {
	if !p.Entra {
		return Caller{Name: "function key", all: Reader}, nil
	}
	if !p.PlatformAuth {
		return Caller{}, fmt.Errorf("%w: App Service authentication is off, so the principal header counts for nothing", ErrUnauthenticated)
	}
	headers := r.Header.Values(principalHeader)
	if len(headers) != 1 || headers[0] == "" {
		return Caller{}, ErrUnauthenticated
	}
	c, err := parsePrincipal(headers[0])
	if err != nil {
		return Caller{}, fmt.Errorf("%w: %w", ErrUnauthenticated, err)
	}
	return c, nil
}

func parsePrincipal(header string) (Caller, error) {
	if len(header) > maxPrincipal {
		return Caller{}, errors.New("the principal header is too long")
	}
	raw, err := base64.StdEncoding.DecodeString(header)
	if err != nil {
		return Caller{}, errors.New("the principal header is not base64")
	}
	var principal struct {
		NameType string `json:"name_typ"`
		RoleType string `json:"role_typ"`
		Claims   []struct {
			Type  string `json:"typ"`
			Value string `json:"val"`
		} `json:"claims"`
	}
	if err := json.Unmarshal(raw, &principal); err != nil {
		return Caller{}, errors.New("the principal header holds no JSON object of the known form")
	}
	c := Caller{in: map[string]Role{}}
	var names [3]string // preferred name, name type's, application
	for _, claim := range principal.Claims {
		switch claim.Type {
		case "roles", principal.RoleType:
			c.grant(claim.Value)
		case "preferred_username", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":
			names[0] = claim.Value
		case principal.NameType:
			names[1] = claim.Value
		case "azp", "appid":
			names[2] = claim.Value
		}
	}
	i := slices.IndexFunc(names[:], func(n string) bool { return n != "" })
	if i < 0 {
		return Caller{}, errors.New("the principal has no name")
	}
	c.Name = names[i]
	return c, nil
}

func (c *Caller) grant(value string) {
	name, tenant, limited := strings.Cut(value, ":")
	role := map[string]Role{readerRole: Reader, analystRole: Analyst}[name]
	switch {
	case role == None:
	case !limited:
		c.all = max(c.all, role)
	case tenant != "":
		tenant = strings.ToLower(tenant)
		c.in[tenant] = max(c.in[tenant], role)
	}
}

// May returns nil if the caller has at least the role in the tenant, and ErrForbidden otherwise.
func (c Caller) May(role Role, tenant string) error {
	if max(c.all, c.in[strings.ToLower(tenant)]) >= role {
		return nil
	}
	return fmt.Errorf("%w: it takes %s in tenant %q", ErrForbidden, role, tenant)
}

// MayAnywhere returns nil if the caller has at least the role in any tenant.
func (c Caller) MayAnywhere(role Role) error {
	if c.all >= role {
		return nil
	}
	for _, r := range c.in {
		if r >= role {
			return nil
		}
	}
	return fmt.Errorf("%w: it takes %s", ErrForbidden, role)
}

// Tenants returns the tenants in which the caller has at least the role, sorted. all is true for every tenant.
func (c Caller) Tenants(role Role) (tenants []string, all bool) {
	if c.all >= role {
		return nil, true
	}
	for t, r := range c.in {
		if r >= role {
			tenants = append(tenants, t)
		}
	}
	slices.Sort(tenants)
	return tenants, false
}

// String returns the name of the app role.
func (r Role) String() string {
	switch r {
	case None:
		return "no role"
	case Reader:
		return readerRole
	case Analyst:
		return analystRole
	}
	return "an unknown role"
}

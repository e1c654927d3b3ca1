package reference

import (
	"github.com/assay-sec/assay/pkg/event"
)

// guids is a set of GUIDs. nil means that it is not known.
type guids map[event.GUID]struct{}

func (g guids) contains(value string) (in, known bool) {
	if g == nil {
		return false, false
	}
	id, err := event.ParseGUID(value)
	if err != nil {
		return false, true
	}
	_, in = g[id]
	return in, true
}

// names is a set of texts in which the case of ASCII letters does not matter. nil means that it is not known.
type names map[string]struct{}

// noNames is the set that is known to be empty.
var noNames = names{}

func (n names) has(value string) bool {
	_, ok := lookup(n, value)
	return ok
}

// exact is a set of texts that are compared to the byte.
type exact map[string]struct{}

// maxName is the length of the longest text in a set of names, in bytes.
const maxName = 256

// lookup finds a text in a map whose keys are in lower case, whatever the text's case, without allocating.
func lookup[V any](m map[string]V, s string) (V, bool) {
	if len(m) == 0 || len(s) > maxName {
		var zero V
		return zero, false
	}
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return lookupFolded(m, s)
		}
	}
	v, ok := m[s]
	return v, ok
}

func lookupFolded[V any](m map[string]V, s string) (V, bool) {
	var low [maxName]byte
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	v, ok := m[string(low[:len(s)])]
	return v, ok
}

type globalGUIDs struct {
	name string
	set  guids
}

func (s globalGUIDs) Name() string                              { return s.name }
func (s globalGUIDs) Contains(_, value string) (in, known bool) { return s.set.contains(value) }

type globalNames struct {
	name string
	set  names
}

func (s globalNames) Name() string { return s.name }
func (s globalNames) Contains(_, value string) (in, known bool) {
	return s.set.has(value), s.set != nil
}

type globalExact struct {
	name string
	set  exact
}

func (s globalExact) Name() string { return s.name }
func (s globalExact) Contains(_, value string) (in, known bool) {
	_, in = s.set[value]
	return in, s.set != nil
}

type tenantGUIDs struct {
	data *Data
	name string
	of   func(*Tenant) guids
}

func (s tenantGUIDs) Name() string { return s.name }
func (s tenantGUIDs) Contains(tenant, value string) (in, known bool) {
	return s.of(s.data.Tenant(tenant)).contains(value)
}

type tenantNames struct {
	data *Data
	name string
	of   func(*Tenant) names
}

func (s tenantNames) Name() string { return s.name }
func (s tenantNames) Contains(tenant, value string) (in, known bool) {
	set := s.of(s.data.Tenant(tenant))
	return set.has(value), set != nil
}

type ownTenants struct{ data *Data }

func (ownTenants) Name() string { return "tenantIds" }
func (s ownTenants) Contains(tenant, value string) (in, known bool) {
	own := s.data.Tenant(tenant).own
	if in, _ = own.contains(value); in {
		return true, true
	}
	mine, err := event.ParseGUID(tenant)
	if err != nil {
		return false, own != nil
	}
	other, err := event.ParseGUID(value)
	return err == nil && mine == other, true
}

type mailClients struct{ data *Data }

func (mailClients) Name() string { return "mailClients" }
func (s mailClients) Contains(tenant, value string) (in, known bool) {
	return hasClient(s.data.Tenant(tenant).mailClients, value)
}

type knownMailClients struct{ data *Data }

func (knownMailClients) Name() string { return "knownMailClients" }
func (s knownMailClients) Contains(_, value string) (in, known bool) {
	return hasClient(s.data.knownMailClients, value)
}

func hasClient(m map[event.GUID]*Client, value string) (in, known bool) {
	if m == nil {
		return false, false
	}
	id, err := event.ParseGUID(value)
	if err != nil {
		return false, true
	}
	_, in = m[id]
	return in, true
}

type placeholderUTIs struct{ data *Data }

func (placeholderUTIs) Name() string { return "placeholderUtis" }
func (s placeholderUTIs) Contains(_, value string) (in, known bool) {
	id, err := event.ParseTokenID(value)
	if err != nil {
		return false, true
	}
	if id.Uniform() {
		return true, true
	}
	_, in = s.data.placeholderUTIs[id]
	return in, true
}

type trustedCertificates struct{ data *Data }

func (trustedCertificates) Name() string { return "trustedCertificates" }
func (s trustedCertificates) Contains(_, value string) (in, known bool) {
	t, ok := sha1Thumbprint(value)
	if !ok {
		return false, true
	}
	if _, in = s.data.trustedCerts[t]; !in {
		_, in = s.data.keys.Load().certs[t]
	}
	return in, true
}

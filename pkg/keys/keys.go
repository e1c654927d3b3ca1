// Package keys follows the signing keys that Microsoft's identity platform publishes: it reads the OpenID keys documents, keeps
// when each was read and which keys it held, and never forgets a key.
//
// A rule that asks whether a key was published at a time needs the readings around that time, so every successful one is kept, and
// a document that cannot be read, or is not one, changes nothing. The package holds no rule; what is asked of the history is the
// business of package reference.
package keys

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // a kid of Entra ID is the SHA-1 of its certificate
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/reference"
)

// Bounds of a keys document. The largest of 126 copies from 2014 to 2026 has 23 KB and 14 keys.
const (
	maxDocument = 1 << 20
	maxKeys     = 500
	maxKID      = 256
)

// ErrDocument says that a text is no keys document.
var ErrDocument = errors.New("is no keys document")

// Document is one reading of a keys document.
type Document struct {
	Name string // common, organizations, consumers or a tenant id; "" of a file that does not say
	At   time.Time
	Keys []reference.Key
}

// Parse reads a keys document: a JSON Web Key Set (RFC 7517) with the members issuer and cloud_instance_name that Microsoft adds.
// An error means that it is none, or holds no key: a document without keys was not read successfully.
func Parse(body []byte, name string, at time.Time) (*Document, error) {
	if len(body) > maxDocument {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrDocument, maxDocument)
	}
	if b := bytes.TrimSpace(body); len(b) == 0 || b[0] != '{' {
		return nil, fmt.Errorf("%w: it is no JSON object", ErrDocument)
	}
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	switch {
	case len(set.Keys) == 0:
		return nil, fmt.Errorf("%w: it holds no key", ErrDocument)
	case len(set.Keys) > maxKeys:
		return nil, fmt.Errorf("%w: it holds %d keys", ErrDocument, len(set.Keys))
	}
	d := &Document{Name: name, At: at.UTC().Truncate(time.Second)}
	seen := map[string]bool{}
	for i := range set.Keys {
		k, err := set.Keys[i].key()
		if err != nil {
			return nil, fmt.Errorf("%w: key %d %w", ErrDocument, i+1, err)
		}
		if seen[k.KID] {
			continue // one key may stand twice, for two issuers
		}
		seen[k.KID] = true
		k.FirstSeen, k.LastSeen = d.At, d.At
		d.Keys = append(d.Keys, k)
	}
	return d, nil
}

// jwk is one key of a set.
type jwk struct {
	KID    string   `json:"kid"`
	Kty    string   `json:"kty"`
	X5T    string   `json:"x5t"`
	X5C    []string `json:"x5c"`
	Issuer string   `json:"issuer"`
	Cloud  string   `json:"cloud_instance_name"`
}

// subjects tell whose keys a certificate is for, where a document gives no issuer: no exception in 113 published keys.
var subjects = map[string]string{
	"Live ID STS Signing Public Key":     reference.ConsumersScope,
	"accounts.accesscontrol.windows.net": reference.TenantsScope,
	"login.microsoftonline.us":           reference.TenantsScope,
}

func (j *jwk) key() (reference.Key, error) {
	k := reference.Key{KID: j.KID, Issuer: strings.TrimSuffix(j.Issuer, "/"), Cloud: j.Cloud}
	if k.KID == "" || len(k.KID) > maxKID || strings.ContainsFunc(k.KID, func(r rune) bool { return r < ' ' || r > '~' }) {
		return k, errors.New("has no kid that can be one")
	}
	if j.Kty == "" {
		return k, errors.New("does not say of what kind it is (kty)")
	}
	if len(j.X5C) == 0 {
		return k, nil
	}
	der, err := base64.StdEncoding.DecodeString(j.X5C[0])
	if err != nil {
		return k, errors.New("has a certificate that is no base64")
	}
	sum := sha1.Sum(der) //nolint:gosec // see the import
	k.SHA1 = hex.EncodeToString(sum[:])
	// A certificate that this library does not read still has its digest.
	if c, err := x509.ParseCertificate(der); err == nil {
		k.NotBefore, k.NotAfter = c.NotBefore.UTC(), c.NotAfter.UTC()
		if k.Issuer == "" {
			k.Scope = subjects[c.Subject.CommonName]
		}
	}
	return k, nil
}

// merge returns the key with what another sighting adds to it. What is known of a key is never taken back: a certificate that
// differs is an error, and the first one stays. An issuer for all tenants, which the common documents give, stands before the one
// that a tenant's own document gives.
func merge(old, sighted reference.Key) (reference.Key, error) {
	k := old
	if old.SHA1 != "" && sighted.SHA1 != "" && old.SHA1 != sighted.SHA1 {
		return k, fmt.Errorf("the key %s has the certificate %s, but had %s", old.KID, sighted.SHA1, old.SHA1)
	}
	if k.SHA1 == "" {
		k.SHA1, k.NotBefore, k.NotAfter = sighted.SHA1, sighted.NotBefore, sighted.NotAfter
	}
	if k.Issuer == "" || strings.Contains(sighted.Issuer, "{tenantid}") && !strings.Contains(k.Issuer, "{tenantid}") {
		if sighted.Issuer != "" {
			k.Issuer, k.Scope = sighted.Issuer, ""
		}
	}
	if k.Issuer == "" && k.Scope == "" {
		k.Scope = sighted.Scope
	}
	if k.Cloud == "" {
		k.Cloud = sighted.Cloud
	}
	if k.FirstSeen.IsZero() || !sighted.FirstSeen.IsZero() && sighted.FirstSeen.Before(k.FirstSeen) {
		k.FirstSeen = sighted.FirstSeen
	}
	if sighted.LastSeen.After(k.LastSeen) {
		k.LastSeen = sighted.LastSeen
	}
	return k, nil
}

// kids returns the ids of the document's keys in order.
func (d *Document) kids() []string {
	out := make([]string, len(d.Keys))
	for i := range d.Keys {
		out[i] = d.Keys[i].KID
	}
	slices.Sort(out)
	return out
}

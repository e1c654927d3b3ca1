package reference

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/event"
)

// The scopes of published keys.
const (
	ConsumersScope = "consumers" // personal accounts
	TenantsScope   = "tenants"   // work and school accounts of any tenant
)

// badKeys finds a known-bad key by any of its names.
type badKeys struct {
	byKID    map[string]*BadKey
	bySHA1   map[[20]byte]*BadKey
	bySHA256 map[[32]byte]*BadKey
}

// find compares a kid to the byte, and thumbprints by value.
func (b badKeys) find(s string) (*BadKey, bool) {
	if k, ok := b.byKID[s]; ok {
		return k, true
	}
	switch len(s) {
	case 27, 28, 40:
		if t, ok := sha1Thumbprint(s); ok {
			k, found := b.bySHA1[t]
			return k, found
		}
	case 43, 44, 64:
		if t, ok := sha256Thumbprint(s); ok {
			k, found := b.bySHA256[t]
			return k, found
		}
	}
	return nil, false
}

// sha1Thumbprint reads twenty bytes in hex, or in either alphabet of base64 with or without padding.
func sha1Thumbprint(s string) (t [20]byte, ok bool) { return t, thumbprint(t[:], s) }

func sha256Thumbprint(s string) (t [32]byte, ok bool) { return t, thumbprint(t[:], s) }

func thumbprint(dst []byte, s string) bool {
	var in [64]byte
	if len(s) == 2*len(dst) {
		n, err := hex.Decode(dst, in[:copy(in[:], s)])
		return err == nil && n == len(dst)
	}
	if s = strings.TrimRight(s, "="); len(s) != base64.RawURLEncoding.EncodedLen(len(dst)) {
		return false
	}
	enc := base64.RawURLEncoding
	if strings.ContainsAny(s, "+/") {
		enc = base64.RawStdEncoding
	}
	n, err := enc.Decode(dst, in[:copy(in[:], s)])
	return err == nil && n == len(dst)
}

// keyHistory is what is known of published keys: the keys, when documents were read, and which keys each held.
type keyHistory struct {
	keys      map[string]*Key
	fetched   map[string][]int64 // by document, in lower case; Unix seconds, ascending
	sightings map[string][]int64 // by kid, in any document; Unix seconds, ascending
	certs     map[[20]byte]struct{}
}

// Key returns the published key with this kid, which is compared to the byte. A kid that is not in the history is
// unknown, not forged: see Published.
func (d *Data) Key(kid string) (*Key, bool) {
	k, ok := d.keys.Load().keys[kid]
	return k, ok
}

// Keys returns every published key that is known, by kid.
func (d *Data) Keys() []Key {
	known := d.keys.Load().keys
	out := make([]Key, 0, len(known))
	for _, kid := range slices.Sorted(maps.Keys(known)) {
		out = append(out, *known[kid])
	}
	return out
}

// Learn adds keys and readings to the history of published keys. From then on Key, Published and TrustedCertificates answer with
// them; nothing else changes, and nothing that was known is forgotten. An error names what is wrong, and then nothing was learned.
func (d *Data) Learn(keys []Key, fetches []Fetch) error {
	b := &builder{}
	all := merge(Source{Keys: d.source.Keys, Fetches: d.source.Fetches}, Source{Keys: keys, Fetches: fetches})
	h := b.keyHistory(all.Keys, all.Fetches)
	if err := errors.Join(b.errs...); err != nil {
		return fmt.Errorf("learn published keys: %w", err)
	}
	d.keys.Store(&h)
	return nil
}

// Publication is what the history of keys documents tells of a kid at a time.
type Publication uint8

// The publications.
const (
	NotTold   Publication = iota // the documents were not read often enough around that time
	Published                    // in a document around that time
	Withdrawn                    // in no document around that time, but in an earlier one
	Never                        // in no document around that time, nor in an earlier one
)

// Limits of what the history can tell.
const (
	// MaxFetchGap is how far apart the readings before and after a time may lie.
	MaxFetchGap = 26 * time.Hour
	// publicationSlack is how far from a reading that holds it a kid counts as published. Servers answer with differing
	// sets: within 24 hours two of the 42 keys of June to October 2024 would have been missed for 28 of 11,247
	// key-hours, within 48 hours none.
	publicationSlack = 48 * time.Hour
)

// Published tells whether the kid stood in the documents for tokens of the issuing tenant at the time. All
// readings around it count together, since servers answer with differing sets.
func (d *Data) Published(kid, issuingTenant string, at time.Time) Publication {
	const slack = int64(publicationSlack / time.Second)
	h := d.keys.Load()
	seen, now := h.sightings[kid], at.Unix()
	i, _ := slices.BinarySearch(seen, now-slack)
	if i < len(seen) && seen[i] <= now+slack {
		return Published
	}
	if !h.bracketed(issuingTenant, now) {
		return NotTold
	}
	if i > 0 {
		return Withdrawn
	}
	if k, ok := h.keys[kid]; ok && !k.FirstSeen.IsZero() && k.FirstSeen.Before(at) {
		return Withdrawn
	}
	return Never
}

// bracketed reports whether some document that lists the keys for the tenant's tokens was read before and after the time,
// at most MaxFetchGap apart.
func (h *keyHistory) bracketed(issuingTenant string, at int64) bool {
	second := "organizations"
	if sameGUID(issuingTenant, ConsumerTenant) {
		second = "consumers"
	}
	if brackets(h.fetched["common"], at) || brackets(h.fetched[second], at) {
		return true
	}
	own, _ := lookup(h.fetched, issuingTenant)
	return brackets(own, at)
}

func brackets(fetched []int64, at int64) bool {
	i, exact := slices.BinarySearch(fetched, at)
	if exact {
		return true
	}
	return 0 < i && i < len(fetched) && fetched[i]-fetched[i-1] <= int64(MaxFetchGap/time.Second)
}

func sameGUID(a, b string) bool {
	x, err := event.ParseGUID(a)
	if err != nil {
		return false
	}
	y, err := event.ParseGUID(b)
	return err == nil && x == y
}

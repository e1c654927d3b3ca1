package keys

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/store"
)

// The history is documents of the store's state: one for each key, one for each document and day with its readings. Several
// instances write them by compare-and-swap, each adding to what it finds.
const (
	keyPrefix     = "keys.key."
	readingPrefix = "keys.read."
	attempts      = 10 // to add to a document that others add to
)

// History keeps the published keys in a store.
type History struct{ State store.State }

// readings are the readings of one document on one UTC day. Most hold the same keys, so each set of keys stands once.
type readings struct {
	Document string     `json:"document"`
	Sets     [][]string `json:"sets"`
	Reads    []reading  `json:"reads"`
}

type reading struct {
	At  time.Time `json:"at"`
	Set int       `json:"set"`
}

// Record adds a reading: first the keys, then the reading itself, so that a reading never names a key that nobody knows. The same
// reading again changes nothing. An error of a key that has another certificate than before is told after all else was kept.
func (h *History) Record(ctx context.Context, d *Document) (added []string, err error) {
	var strange []error
	for _, k := range d.Keys {
		created, err := h.addKey(ctx, k)
		if errors.Is(err, errCertificate) {
			strange = append(strange, err)
			continue
		}
		if err != nil {
			return added, err
		}
		if created {
			added = append(added, k.KID)
		}
	}
	if d.Name != "" && !d.At.IsZero() {
		if err := h.addReading(ctx, d); err != nil {
			return added, err
		}
	}
	return added, errors.Join(strange...)
}

var errCertificate = errors.New("another certificate under the same kid")

func (h *History) addKey(ctx context.Context, k reference.Key) (created bool, err error) {
	err = h.change(ctx, keyPrefix+name(k.KID), func(body []byte) ([]byte, error) {
		created = body == nil
		known := k
		if body != nil {
			var old reference.Key
			if err := json.Unmarshal(body, &old); err != nil {
				return nil, fmt.Errorf("read the key %s: %w", k.KID, err)
			}
			var err error
			if known, err = merge(old, k); err != nil {
				return nil, fmt.Errorf("%w: %w", errCertificate, err)
			}
		}
		return json.Marshal(known)
	})
	return created, err
}

func (h *History) addReading(ctx context.Context, d *Document) error {
	id := readingPrefix + strings.ToLower(d.Name) + "." + d.At.UTC().Format(time.DateOnly)
	return h.change(ctx, id, func(body []byte) ([]byte, error) {
		day := readings{Document: strings.ToLower(d.Name)}
		if body != nil {
			if err := json.Unmarshal(body, &day); err != nil {
				return nil, fmt.Errorf("read %s: %w", id, err)
			}
		}
		for _, r := range day.Reads {
			if r.At.Equal(d.At) {
				return body, nil
			}
		}
		kids := d.kids()
		set := slices.IndexFunc(day.Sets, func(s []string) bool { return slices.Equal(s, kids) })
		if set < 0 {
			set = len(day.Sets)
			day.Sets = append(day.Sets, kids)
		}
		day.Reads = append(day.Reads, reading{d.At, set})
		slices.SortFunc(day.Reads, func(a, b reading) int { return a.At.Compare(b.At) })
		return json.Marshal(day)
	})
}

// change replaces a document by what of makes of its body, which is nil where there is none.
func (h *History) change(ctx context.Context, id string, of func([]byte) ([]byte, error)) error {
	for range attempts {
		doc, err := h.State.Load(ctx, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("read %s: %w", id, err)
		}
		var old []byte
		if err == nil {
			old = doc.Body
		}
		body, err := of(old)
		if err != nil {
			return err
		}
		if old != nil && string(body) == string(old) {
			return nil
		}
		doc.ID, doc.Body = id, body
		_, err = h.State.Save(ctx, doc)
		if err == nil {
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("write %s: %w", id, err)
		}
	}
	return fmt.Errorf("write %s: %w", id, store.ErrConflict)
}

// name returns what stands for a kid in the id of a document.
func name(kid string) string {
	if plain(kid) {
		return kid
	}
	sum := sha256.Sum256([]byte(kid))
	return "." + hex.EncodeToString(sum[:])
}

// plain tells whether the id of a document may hold the kid as it is: 1 to 128 letters, digits, hyphens and underscores of ASCII.
func plain(kid string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	return kid != "" && len(kid) <= 128 && strings.Trim(kid, letters) == ""
}

// Load returns the history as reference data: all keys, and the readings since a time.
func (h *History) Load(ctx context.Context, since time.Time) (reference.Source, error) {
	var s reference.Source
	for doc, err := range h.State.List(ctx, keyPrefix) {
		if err != nil {
			return s, fmt.Errorf("list the published keys: %w", err)
		}
		var k reference.Key
		if err := json.Unmarshal(doc.Body, &k); err != nil || k.KID == "" {
			return s, fmt.Errorf("read the published key %s: %w", doc.ID, errors.Join(err, ErrDocument))
		}
		s.Keys = append(s.Keys, k)
	}
	from := since.UTC().Format(time.DateOnly)
	for doc, err := range h.State.List(ctx, readingPrefix) {
		if err != nil {
			return s, fmt.Errorf("list the readings of keys documents: %w", err)
		}
		if day := doc.ID[strings.LastIndexByte(doc.ID, '.')+1:]; day < from {
			continue
		}
		var day readings
		if err := json.Unmarshal(doc.Body, &day); err != nil {
			return s, fmt.Errorf("read %s: %w", doc.ID, err)
		}
		for _, r := range day.Reads {
			if r.Set < 0 || r.Set >= len(day.Sets) || r.At.Before(since) {
				continue
			}
			s.Fetches = append(s.Fetches, reference.Fetch{Document: day.Document, At: r.At, KIDs: day.Sets[r.Set]})
		}
	}
	return s, nil
}

// Under returns the keys of the history as they lie under those that are built in or configured: a key that both have keeps what
// the other knows of it, with the span of both.
func Under(history reference.Source, known func(kid string) (*reference.Key, bool)) reference.Source {
	out := reference.Source{Fetches: history.Fetches}
	for _, k := range history.Keys {
		if old, ok := known(k.KID); ok {
			merged, err := merge(*old, k)
			if err != nil {
				continue // what is built in, or what somebody has configured, stands
			}
			k = merged
		}
		out.Keys = append(out.Keys, k)
	}
	return out
}

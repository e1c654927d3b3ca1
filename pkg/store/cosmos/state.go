package cosmos

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/assay-sec/assay/pkg/store"
)

// stateDocument is a document of store.State. Its body is text, so that it comes back byte by byte.
type stateDocument struct {
	ID           string    `json:"id"`
	Subscription string    `json:"subscription,omitempty"` // the partition of a delivery
	Replay       string    `json:"replay,omitempty"`       // the partition of what belongs to a replay
	Body         string    `json:"body"`
	Expires      time.Time `json:"expires,omitzero"`
	TTL          int32     `json:"ttl,omitempty"` // seconds until then, counted from this write
	Call         string    `json:"call"`          // that wrote it
	system
}

func (d *stateDocument) document() store.Document {
	return store.Document{
		Partition: d.Subscription + d.Replay, ID: d.ID, Body: []byte(d.Body), Expires: d.Expires, Version: d.ETag,
	}
}

// documents are those of one partition of a container. In the container state each is a partition of its own.
type documents struct {
	*Store
	container string
	partition string
}

// whole returns the documents that belong to no collection.
func (s *Store) whole() *documents { return &documents{s, containerState, ""} }

// In implements store.Collections.
func (s *Store) In(c store.Collection, partition string) store.State {
	return &documents{s, string(c), partition}
}

// check refuses what the service cannot hold on top of what no implementation takes: "." and ".." have a meaning in the
// path of a request.
func (s *documents) check(d store.Document) error {
	switch {
	case strings.Trim(d.ID, ".") == "":
		return fmt.Errorf("%w: its id is %q", store.ErrDocument, d.ID)
	case s.container != containerState && s.partition == "":
		return fmt.Errorf("%w: the partition of %s has no name", store.ErrDocument, d.ID)
	}
	d.Partition = s.partition
	return store.CheckDocument(d)
}

// storable tells whether there can be a document of this id.
func (s *documents) storable(id string) bool {
	return s.check(store.Document{ID: id, Body: []byte("{}")}) == nil
}

// key returns the partition key of a document.
func (s *documents) key(id string) string {
	if s.container == containerState {
		return id
	}
	return s.partition
}

// Load implements store.State.
func (s *Store) Load(ctx context.Context, id string) (store.Document, error) {
	return s.whole().Load(ctx, id)
}

// Save implements store.State.
func (s *Store) Save(ctx context.Context, d store.Document) (store.Document, error) {
	return s.whole().Save(ctx, d)
}

// Delete implements store.State.
func (s *Store) Delete(ctx context.Context, d store.Document) error { return s.whole().Delete(ctx, d) }

// List implements store.State.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Document, error] {
	return s.across(ctx, containerState, prefix)
}

// Load implements store.State.
func (s *documents) Load(ctx context.Context, id string) (store.Document, error) {
	d, err := s.document(ctx, id)
	if err != nil {
		return store.Document{}, fmt.Errorf("load document %.255q: %w", id, err)
	}
	return d.document(), nil
}

func (s *documents) document(ctx context.Context, id string) (*stateDocument, error) {
	if !s.storable(id) {
		return nil, store.ErrNotFound
	}
	body, err := s.item(ctx, s.container, s.key(id), id)
	switch {
	case err != nil:
		return nil, err
	case body == nil:
		return nil, store.ErrNotFound
	}
	d := &stateDocument{}
	return d, json.Unmarshal(body, d)
}

// Save implements store.State.
func (s *documents) Save(ctx context.Context, d store.Document) (store.Document, error) {
	if err := s.check(d); err != nil {
		return store.Document{}, err
	}
	version, err := s.save(ctx, d)
	if err != nil {
		return store.Document{}, fmt.Errorf("save document %s: %w", d.ID, err)
	}
	d.Partition, d.Version = s.partition, version
	return d, nil
}

func (s *documents) save(ctx context.Context, d store.Document) (string, error) {
	doc := stateDocument{ID: d.ID, Body: string(d.Body), Expires: d.Expires, Call: newCall()}
	switch s.container {
	case string(store.Deliveries):
		doc.Subscription = s.partition
	case string(store.Replays):
		doc.Replay = s.partition
	}
	if !d.Expires.IsZero() {
		left := (d.Expires.Sub(s.o.Now()) + time.Second - 1) / time.Second
		doc.TTL = int32(min(max(left, 1), math.MaxInt32))
	}
	body, err := json.Marshal(&doc)
	if err != nil {
		return "", err
	}
	version, etag := "", azcore.ETag(d.Version)
	uncertain, err := s.swap(ctx, func(ctx context.Context, c *connection) error {
		key := azcosmos.NewPartitionKeyString(s.key(d.ID))
		var answer azcosmos.ItemResponse
		var err error
		if d.Version == "" {
			answer, err = c.container(s.container).CreateItem(ctx, key, body, nil)
		} else {
			answer, err = c.container(s.container).ReplaceItem(ctx, key, d.ID, body, &azcosmos.ItemOptions{IfMatchEtag: &etag})
		}
		version = string(answer.ETag)
		return err
	})
	if !uncertain || !errors.Is(err, store.ErrConflict) {
		return version, err
	}
	// The one who was faster may have been an attempt whose answer was lost.
	switch stored, again := s.document(ctx, d.ID); {
	case errors.Is(again, store.ErrNotFound):
		return "", err
	case again != nil:
		return "", again
	case stored.Call == doc.Call:
		return stored.ETag, nil
	}
	return "", err
}

// swap runs a guarded write of a single document until its outcome is known. It tells whether the answer to an attempt
// was lost.
func (s *Store) swap(ctx context.Context, do func(context.Context, *connection) error) (uncertain bool, err error) {
	for fault := 1; ; fault++ {
		err := s.write(ctx, do)
		switch refused := asRefusal(err); {
		case errors.Is(err, errUncertain) && fault < maxFaults:
			uncertain = true
		case errors.Is(err, errUncertain), err == nil:
			return uncertain, err
		case refused != nil && (refused.conflicting() || refused.missing()):
			return uncertain, store.ErrConflict
		case refused != nil && refused.permanent():
			return uncertain, fmt.Errorf("%w: %w", store.ErrRejected, refused)
		default:
			return uncertain, err
		}
		if err := s.recheck(ctx, fault); err != nil {
			return uncertain, err
		}
	}
}

// Delete implements store.State.
func (s *documents) Delete(ctx context.Context, d store.Document) error {
	if !s.storable(d.ID) {
		return nil // it was never there
	}
	etag := azcore.ETag(d.Version)
	_, err := s.swap(ctx, func(ctx context.Context, c *connection) error {
		_, err := c.container(s.container).DeleteItem(ctx, azcosmos.NewPartitionKeyString(s.key(d.ID)), d.ID, &azcosmos.ItemOptions{IfMatchEtag: &etag})
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		if _, again := s.document(ctx, d.ID); again != nil {
			err = again // ErrNotFound: it is gone
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete document %s: %w", d.ID, err)
	}
	return nil
}

// List implements store.State.
func (s *documents) List(ctx context.Context, prefix string) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		fail := func(err error) { yield(store.Document{}, fmt.Errorf("list documents %s: %w", prefix, err)) }
		if s.partition == "" { // which would be a query of all
			return
		}
		for rows, err := range s.pages(ctx, s.container, s.partition, selectDocuments+" ORDER BY c.id", prefixed(prefix)) {
			if err != nil {
				fail(err)
				return
			}
			for _, row := range rows {
				var d stateDocument
				if err := json.Unmarshal(row, &d); err != nil {
					fail(err)
					return
				}
				if !yield(d.document(), nil) {
					return
				}
			}
		}
	}
}

const selectDocuments = "SELECT * FROM c WHERE STARTSWITH(c.id, @prefix)"

func prefixed(prefix string) []azcosmos.QueryParameter {
	return []azcosmos.QueryParameter{{Name: "@prefix", Value: prefix}}
}

// Across implements store.Collections.
func (s *Store) Across(ctx context.Context, c store.Collection, prefix string) iter.Seq2[store.Document, error] {
	return s.across(ctx, string(c), prefix)
}

// across reads all of the documents before the first.
func (s *Store) across(ctx context.Context, container, prefix string) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		var found []store.Document
		err := s.query(ctx, container, "", selectDocuments, prefixed(prefix), func(row []byte) error {
			var d stateDocument
			err := json.Unmarshal(row, &d)
			found = append(found, d.document())
			return err
		})
		if err != nil {
			yield(store.Document{}, fmt.Errorf("list documents %s: %w", prefix, err))
			return
		}
		slices.SortFunc(found, func(a, b store.Document) int {
			return cmp.Or(strings.Compare(a.Partition, b.Partition), strings.Compare(a.ID, b.ID))
		})
		for _, d := range found {
			if !yield(d, nil) {
				return
			}
		}
	}
}

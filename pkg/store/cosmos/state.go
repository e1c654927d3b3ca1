package cosmos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/assay-sec/assay/pkg/store"
)

// stateDocument is a document of store.State. Its body is text, so that it comes back byte by byte.
type stateDocument struct {
	ID   string `json:"id"`
	Body string `json:"body"`
	Call string `json:"call"` // that wrote it
	system
}

// checkDocument refuses what the service cannot hold on top of what no implementation takes: "." and ".." have a meaning
// in the path of a request.
func checkDocument(d store.Document) error {
	if strings.Trim(d.ID, ".") == "" {
		return fmt.Errorf("%w: its id is %q", store.ErrDocument, d.ID)
	}
	return store.CheckDocument(d)
}

// storable tells whether there can be a document of this id.
func storable(id string) bool {
	return checkDocument(store.Document{ID: id, Body: []byte("{}")}) == nil
}

// Load implements store.State.
func (s *Store) Load(ctx context.Context, id string) (store.Document, error) {
	d, err := s.document(ctx, id)
	if err != nil {
		return store.Document{}, fmt.Errorf("load document %.255q: %w", id, err)
	}
	return store.Document{ID: d.ID, Body: []byte(d.Body), Version: d.ETag}, nil
}

func (s *Store) document(ctx context.Context, id string) (*stateDocument, error) {
	if !storable(id) {
		return nil, store.ErrNotFound
	}
	body, err := s.item(ctx, containerState, id, id)
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
func (s *Store) Save(ctx context.Context, d store.Document) (store.Document, error) {
	if err := checkDocument(d); err != nil {
		return store.Document{}, err
	}
	version, err := s.save(ctx, d)
	if err != nil {
		return store.Document{}, fmt.Errorf("save document %s: %w", d.ID, err)
	}
	d.Version = version
	return d, nil
}

func (s *Store) save(ctx context.Context, d store.Document) (string, error) {
	call := newCall()
	doc, err := json.Marshal(&stateDocument{ID: d.ID, Body: string(d.Body), Call: call})
	if err != nil {
		return "", err
	}
	version, etag := "", azcore.ETag(d.Version)
	uncertain, err := s.swap(ctx, func(ctx context.Context, c *connection) error {
		key := azcosmos.NewPartitionKeyString(d.ID)
		var answer azcosmos.ItemResponse
		var err error
		if d.Version == "" {
			answer, err = c.state.CreateItem(ctx, key, doc, nil)
		} else {
			answer, err = c.state.ReplaceItem(ctx, key, d.ID, doc, &azcosmos.ItemOptions{IfMatchEtag: &etag})
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
	case stored.Call == call:
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
func (s *Store) Delete(ctx context.Context, d store.Document) error {
	if !storable(d.ID) {
		return nil // it was never there
	}
	etag := azcore.ETag(d.Version)
	_, err := s.swap(ctx, func(ctx context.Context, c *connection) error {
		_, err := c.state.DeleteItem(ctx, azcosmos.NewPartitionKeyString(d.ID), d.ID, &azcosmos.ItemOptions{IfMatchEtag: &etag})
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

// List implements store.State. It reads all of the documents before the first.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		var found []store.Document
		params := []azcosmos.QueryParameter{{Name: "@prefix", Value: prefix}}
		err := s.query(ctx, containerState, "", "SELECT * FROM c WHERE STARTSWITH(c.id, @prefix)", params, func(row []byte) error {
			var d stateDocument
			err := json.Unmarshal(row, &d)
			found = append(found, store.Document{ID: d.ID, Body: []byte(d.Body), Version: d.ETag})
			return err
		})
		if err != nil {
			yield(store.Document{}, fmt.Errorf("list documents %s: %w", prefix, err))
			return
		}
		slices.SortFunc(found, func(a, b store.Document) int { return strings.Compare(a.ID, b.ID) })
		for _, d := range found {
			if !yield(d, nil) {
				return
			}
		}
	}
}

package store

import (
	"context"
	"iter"
)

// Document is a small JSON document that is replaced by compare-and-swap: a heartbeat, a start marker, a published key.
type Document struct {
	ID      string // of A-Z a-z 0-9 - _ . only; what it is of stands first: "heartbeat.signin.0"
	Body    []byte // a JSON object of at most 64 KB
	Version string // of the stored state that was read or written; opaque. "" means: not stored yet
}

// State keeps documents. Implementations are safe for concurrent use, also by several processes.
type State interface {
	// Load returns the document, or ErrNotFound.
	Load(ctx context.Context, id string) (Document, error)

	// Save stores the body if the stored version is still the document's, and returns it with its new version. Otherwise
	// it returns ErrConflict. Saving without a version creates.
	Save(ctx context.Context, d Document) (Document, error)

	// Delete removes the document if the stored version is still the document's; ErrConflict otherwise. One that is gone is
	// no error.
	Delete(ctx context.Context, d Document) error

	// List yields the documents whose id begins with prefix, by id.
	List(ctx context.Context, prefix string) iter.Seq2[Document, error]
}

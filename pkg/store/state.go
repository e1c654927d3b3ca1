package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"regexp"
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

// ErrDocument says that a document cannot be stored as it is.
var ErrDocument = errors.New("no document that can be stored")

// maxDocument bounds a document's body, in bytes.
const maxDocument = 64 << 10

var documentID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,255}$`)

// CheckDocument returns ErrDocument, wrapped with the reason, for a document that no implementation takes.
func CheckDocument(d Document) error {
	switch {
	case !documentID.MatchString(d.ID):
		return fmt.Errorf("%w: its id is %q", ErrDocument, d.ID)
	case len(d.Body) > maxDocument:
		return fmt.Errorf("%w: %s has %d bytes", ErrDocument, d.ID, len(d.Body))
	case len(d.Body) == 0 || d.Body[0] != '{' || !json.Valid(d.Body):
		return fmt.Errorf("%w: the body of %s is no JSON object", ErrDocument, d.ID)
	}
	return nil
}

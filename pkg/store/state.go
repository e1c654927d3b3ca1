package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Document is a small JSON document that is replaced by compare-and-swap: a heartbeat, a start marker, a delivery.
type Document struct {
	Partition string    // that it was read from; see Collections. "" if it is of no collection
	ID        string    // of A-Z a-z 0-9 - _ . only; what it is of stands first: "heartbeat.signin.0"
	Body      []byte    // a JSON object of at most 64 KB
	Expires   time.Time // from when on it is as if it were never there, to the second; zero: never
	Version   string    // of the stored state that was read or written; opaque. "" means: not stored yet
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

	// List yields the documents whose id begins with prefix, by id. The caller may use the store between two of them.
	List(ctx context.Context, prefix string) iter.Seq2[Document, error]
}

// Collection is a set of documents that are kept together, in partitions. Each is a container of Cosmos DB.
type Collection string

// The collections, and what each of their partitions is of.
const (
	Deliveries Collection = "deliveries" // a subscription
	Replays    Collection = "replays"    // a replay
)

// Collections keeps documents by what they belong to. An id is that of one document within its partition.
type Collections interface {
	// In returns the documents of one partition. Its name is of the same characters as an id. There is nothing to make
	// beforehand, and reading what belongs to one partition is cheap.
	In(c Collection, partition string) State

	// Across yields the documents of all partitions whose id begins with prefix, by partition and id. It reads all
	// partitions: it is for people who look, not for the hot path.
	Across(ctx context.Context, c Collection, prefix string) iter.Seq2[Document, error]
}

// ErrDocument says that a document cannot be stored as it is.
var ErrDocument = errors.New("no document that can be stored")

// maxDocument bounds a document's body, in bytes.
const maxDocument = 64 << 10

// isDocumentID tells whether the id has 1 to 255 of the characters that a document's id may have. A regular expression that
// counts so far costs every start of the process milliseconds.
func isDocumentID(id string) bool {
	for _, c := range []byte(id) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return id != "" && len(id) <= 255
}

// CheckDocument returns ErrDocument, wrapped with the reason, for a document that no implementation takes.
func CheckDocument(d Document) error {
	switch {
	case !isDocumentID(d.ID):
		return fmt.Errorf("%w: its id is %q", ErrDocument, d.ID)
	case d.Partition != "" && !isDocumentID(d.Partition):
		return fmt.Errorf("%w: %s is in the partition %q", ErrDocument, d.ID, d.Partition)
	case len(d.Body) > maxDocument:
		return fmt.Errorf("%w: %s has %d bytes", ErrDocument, d.ID, len(d.Body))
	case len(d.Body) == 0 || d.Body[0] != '{' || !json.Valid(d.Body):
		return fmt.Errorf("%w: the body of %s is no JSON object", ErrDocument, d.ID)
	}
	return nil
}

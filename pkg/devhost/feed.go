package devhost

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
)

// ChangeFeed yields the documents of a container in the order of their last change, each in its latest version, as the
// change feed of Cosmos DB does in latest-version mode. Deletions do not appear.
type ChangeFeed interface {
	// Changes returns up to most documents that were changed after the position, oldest change first, and the position
	// behind them. The empty position is the beginning. No documents: nothing has changed since.
	Changes(ctx context.Context, after string, most int) (docs []json.RawMessage, next string, err error)

	// End returns the position behind everything there is.
	End(ctx context.Context) (string, error)
}

// MemoryFeed is a change feed of documents in memory. The zero value is empty.
type MemoryFeed struct {
	mu   sync.Mutex
	docs []version
	last int
}

type version struct {
	number int
	id     string
	doc    json.RawMessage
}

var _ ChangeFeed = (*MemoryFeed)(nil)

// Put adds or replaces the document of that id.
func (f *MemoryFeed) Put(id string, doc json.RawMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.docs = slices.DeleteFunc(f.docs, func(v version) bool { return v.id == id })
	f.last++
	f.docs = append(f.docs, version{number: f.last, id: id, doc: doc})
}

// Changes implements ChangeFeed.
func (f *MemoryFeed) Changes(_ context.Context, after string, most int) ([]json.RawMessage, string, error) {
	from := 0
	if after != "" {
		var err error
		if from, err = strconv.Atoi(after); err != nil {
			return nil, "", fmt.Errorf("position of the feed: %w", err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var docs []json.RawMessage
	for _, v := range f.docs {
		if v.number > from && len(docs) < most {
			docs, after = append(docs, v.doc), strconv.Itoa(v.number)
		}
	}
	return docs, after, nil
}

// End implements ChangeFeed.
func (f *MemoryFeed) End(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strconv.Itoa(f.last), nil
}

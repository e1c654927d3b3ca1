package issuance

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/assay-sec/assay/pkg/event"
)

// ErrFull says that the logs hold more token ids than there is memory for.
var ErrFull = errors.New("too many token ids")

// budget is the memory that tables share, in bytes.
type budget struct {
	most int64
	used atomic.Int64
}

func (b *budget) take(n int64) error {
	if used := b.used.Add(n); used > b.most {
		b.used.Add(-n)
		return fmt.Errorf("%w for %d MB", ErrFull, b.most>>20)
	}
	return nil
}

// row is what a table keeps.
type row[T any] interface {
	*T
	key() *event.GUID
	// compare orders by the key, then by all else that tells rows apart.
	compare(*T) int
	// absorb adds what another row says of the same.
	absorb(*T)
}

// table keeps rows by the id of their token, each once however often it is added, and in an order that does not depend on
// the one in which they came. It is safe for concurrent use until it is sealed, and for reading from then on.
type table[T any, P row[T]] struct {
	budget *budget
	shards [256]shard[T]
}

// shard holds the rows whose keys end in one byte: a token id is random but for its version and its last byte.
type shard[T any] struct {
	mu   sync.Mutex
	rows []T
}

const (
	spread   = 5 // the byte of a key that chooses the shard
	fewRows  = 32
	keepFree = 4 // the part of a shard that is to be free once it was compacted; else it grows by half
)

func (t *table[T, P]) add(r T) error {
	s := &t.shards[P(&r).key()[spread]]
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rows) == cap(s.rows) {
		compact[T, P](s)
		if n := cap(s.rows); len(s.rows) > n-n/keepFree-1 {
			more := max(n/2, fewRows)
			size := int64(unsafe.Sizeof(r)) //nolint:gosec // some 80 bytes
			if err := t.budget.take(int64(more) * size); err != nil {
				return err
			}
			s.rows = append(make([]T, 0, n+more), s.rows...)
		}
	}
	s.rows = append(s.rows, r)
	return nil
}

// compact sorts the rows and makes one of those that say the same.
func compact[T any, P row[T]](s *shard[T]) {
	slices.SortFunc(s.rows, func(a, b T) int { return P(&a).compare(&b) })
	n := 0
	for i := range s.rows {
		if n > 0 && P(&s.rows[n-1]).compare(&s.rows[i]) == 0 {
			P(&s.rows[n-1]).absorb(&s.rows[i])
			continue
		}
		s.rows[n] = s.rows[i]
		n++
	}
	s.rows = s.rows[:n]
}

func (t *table[T, P]) seal() {
	for i := range t.shards {
		compact[T, P](&t.shards[i])
	}
}

// of returns the rows of a key. The table is sealed.
func (t *table[T, P]) of(k event.GUID) []T {
	rows := t.shards[k[spread]].rows
	from, _ := slices.BinarySearchFunc(rows, k, func(r T, k event.GUID) int { return compareGUID(P(&r).key(), &k) })
	to := from
	for to < len(rows) && *P(&rows[to]).key() == k {
		to++
	}
	return rows[from:to]
}

// all calls each for every row, by shard. The table is sealed.
func (t *table[T, P]) all(each func(P)) {
	for i := range t.shards {
		rows := t.shards[i].rows
		for j := range rows {
			each(P(&rows[j]))
		}
	}
}

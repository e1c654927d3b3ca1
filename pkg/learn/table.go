package learn

import (
	"cmp"
	"container/heap"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// table holds at most maxKeys rows: those whose keys have the least hashes. A key that was left out once never comes back,
// because the greatest hash that is kept only falls. So the rows are the same in whatever order the keys come, and each
// has counted all of its events.
type table[V any, P row[V]] struct {
	rows  map[key]P
	order byHash // the greatest first
	asked int64  // how often a row was asked for
	most  int    // 0: maxKeys
}

// row counts, once each time that it is asked for.
type row[V any] interface {
	*V
	times() int64
}

// hashed is a key and its hash.
type hashed struct {
	key
	hash uint64
}

func compare(a, b hashed) int {
	return cmp.Or(cmp.Compare(a.hash, b.hash), compareKeys(a.key, b.key))
}

func compareKeys(a, b key) int {
	return cmp.Or(strings.Compare(a.tenant, b.tenant), strings.Compare(a.a, b.a), strings.Compare(a.b, b.b))
}

// at returns the row of the key. The key may alias what lives shorter.
func (t *table[V, P]) at(k key) P {
	t.asked++
	if row, ok := t.rows[k]; ok {
		return row
	}
	h := hashed{k, hashOf(k)}
	if len(t.rows) >= cmp.Or(t.most, maxKeys) {
		if compare(h, t.order[0]) > 0 {
			return new(V) // which counts in vain
		}
		delete(t.rows, t.order[0].key)
		heap.Pop(&t.order)
	}
	if t.rows == nil {
		t.rows = map[key]P{}
	}
	h.key = key{strings.Clone(k.tenant), strings.Clone(k.a), strings.Clone(k.b)}
	row := P(new(V))
	t.rows[h.key] = row
	heap.Push(&t.order, h)
	return row
}

// sorted returns the keys in their order.
func (t *table[V, P]) sorted() []key {
	out := make([]key, 0, len(t.rows))
	for k := range t.rows {
		out = append(out, k)
	}
	slices.SortFunc(out, compareKeys)
	return out
}

// left returns how many counts of keys were left out.
func (t *table[V, P]) left() int64 {
	n := t.asked
	for _, row := range t.rows {
		n -= row.times()
	}
	return n
}

func hashOf(k key) uint64 {
	h := fnv.New64a()
	for _, s := range [...]string{k.tenant, k.a, k.b} {
		_, _ = io.WriteString(h, s) // a hash takes all
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

// byHash is a heap.
type byHash []hashed

func (b byHash) Len() int           { return len(b) }
func (b byHash) Less(i, j int) bool { return compare(b[i], b[j]) > 0 }
func (b byHash) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }

// Push implements heap.Interface.
func (b *byHash) Push(x any) { *b = append(*b, x.(hashed)) } //nolint:forcetypeassert,errcheck // at alone pushes

// Pop implements heap.Interface.
func (b *byHash) Pop() any {
	last := (*b)[len(*b)-1]
	*b = (*b)[:len(*b)-1]
	return last
}

// writable reports whether a text of a log may stand in a document that people review in a terminal or an editor: nothing in
// it is invisible, moves the cursor or turns the direction of writing.
func writable(s string) bool {
	const longest = 512 // bytes of one text in assay.yaml
	if len(s) > longest || strings.TrimSpace(s) == "" || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) || unicode.Is(unicode.M, r) {
			return false
		}
	}
	return true
}

package decode

import (
	"maps"
	"math/bits"
	"slices"
)

// nameIndex finds the wanted names of one level where they stand in a text. It is an open hash table over the first
// and last eight bytes of a name, an eighth full, built from the table when the program starts: it is as fast as a
// generated switch, and no generated code can drift from the table.
type nameIndex struct {
	shift  int
	places []uint16 // by hash: 1 + place in names; 0: no such name
	names  []wantedName
}

type wantedName struct {
	name        string
	first, last uint64 // see ends
	entry
}

func newIndex(wanted map[string]entry) nameIndex {
	b := max(4, bits.Len(uint(len(wanted)))+3)
	ix := nameIndex{shift: 64 - b, places: make([]uint16, 1<<b)}
	n := uint16(0)
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		n++
		text := name + `":"       `
		place := ix.place(text, 0, len(name))
		first, last := ends(text, 0, len(name))
		ix.names = append(ix.names, wantedName{name, first, last, wanted[name]})
		ix.places[place] = n
	}
	return ix
}

// find returns the entry of the name of n bytes that stands at i in s, where s goes on for eight bytes at least.
func (ix *nameIndex) find(s string, i, n int) (e entry, wanted bool) {
	if p := ix.places[ix.place(s, i, n)]; p != 0 {
		return ix.names[p-1].entry, true
	}
	return e, false
}

// place returns where in places that name stands, or would.
func (ix *nameIndex) place(s string, i, n int) uint {
	first, last := ends(s, i, n)
	hash := (first + bits.RotateLeft64(last, 21)) * 0x9e3779b97f4a7c15
	mask := uint(len(ix.places) - 1)
	for h := uint(hash >> ix.shift); ; h++ {
		p := ix.places[h&mask]
		if p == 0 {
			return h & mask
		}
		if w := &ix.names[p-1]; w.first == first && w.last == last && len(w.name) == n && (n <= 16 || w.name == s[i:i+n]) {
			return h & mask
		}
	}
}

// ends returns the first and the last eight bytes of a name of n bytes, which are all that there is of most.
func ends(s string, i, n int) (first, last uint64) {
	m := min(n, 8)
	keep := ^uint64(0) >> (64 - 8*m)
	return load(s, i) & keep, load(s, i+n-m) & keep
}

package decode

import (
	"maps"
	"math/bits"
	"slices"
)

// nameIndex finds the wanted names of one level where they stand in a text. It is an open hash table over the length and
// the first and last eight bytes of a name, an eighth full, built from the table when the program starts: there is no
// generated code that could drift from the table, and it is as fast as a generated switch.
type nameIndex struct {
	shift  uint8
	places []uint16 // by hash: 1 + place in names; 0: no such name
	names  []wantedName
}

type wantedName struct {
	name string
	entry
}

// indexes holds the names of each level.
var indexes = func() (all [numLevels]nameIndex) {
	for l := range all {
		all[l] = newIndex(names[l])
	}
	return all
}()

func newIndex(wanted map[string]entry) nameIndex {
	b := max(4, bits.Len(uint(len(wanted)))+3)
	ix := nameIndex{shift: uint8(64 - b), places: make([]uint16, 1<<b)}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		h := hashName(name+`":"       `, 0, len(name)) >> ix.shift
		for ix.places[ix.slot(h)] != 0 {
			h++
		}
		ix.names = append(ix.names, wantedName{name, wanted[name]})
		ix.places[ix.slot(h)] = uint16(len(ix.names))
	}
	return ix
}

func (ix *nameIndex) slot(h uint64) int { return int(h & uint64(len(ix.places)-1)) }

// find returns the entry of the name of n bytes that stands at i in s, where s goes on for eight bytes at least.
func (ix *nameIndex) find(s string, i, n int) (entry, bool) {
	for h := hashName(s, i, n) >> ix.shift; ; h++ {
		p := ix.places[ix.slot(h)]
		if p == 0 {
			return entry{}, false
		}
		if w := &ix.names[p-1]; w.name == s[i:i+n] {
			return w.entry, true
		}
	}
}

// hashName hashes the n bytes that stand at i in s, where s goes on for eight bytes at least. The high bits are good.
func hashName(s string, i, n int) uint64 {
	m := min(n, 8)
	keep := ^uint64(0) >> (64 - 8*m)
	first, last := load(s, i)&keep, load(s, i+n-m)&keep
	return (first + bits.RotateLeft64(last, 21) + uint64(n)) * 0x9e3779b97f4a7c15
}

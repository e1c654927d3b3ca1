package decode

import (
	"fmt"
	"maps"
	"sync"
)

// Extra is a value that the table does not list and that somebody asks for, such as a rule of a user. It stands at the
// root, in the properties of a diagnostic record or in Defender's RawEventData, and is not descended into.
type Extra struct {
	Name      string   // of the value, for messages
	Spellings []string // best first, as in the table
}

// SignInExtra is a value of a sign-in, a risk detection, a directory change or a Graph call, with all spellings of the name.
func SignInExtra(name string) Extra {
	return Extra{name, all(signIn(name), dynamic(name))}
}

// AuditExtra is a value of the Management Activity API, with all spellings of the name.
func AuditExtra(name string) Extra { return Extra{name, audit(name)} }

// Spelled is a value with the spellings, which are those of a name at the root, or of "properties:name" or "raw:name".
func Spelled(name string, spellings ...string) Extra { return Extra{name, spellings} }

// dynamic spells what Log Analytics makes of a column whose type changed from one record to another.
func dynamic(name string) []string {
	up := title(name)
	return []string{up + "_dynamic", up + "_string"}
}

// Wanted is what a decoder looks for: the table, and perhaps extras. It is immutable.
type Wanted struct {
	names     [numLevels]map[string]entry
	indexes   [numLevels]nameIndex
	spellings []uint8 // of the slots behind those of the table: how many they have
}

// builtin is the table alone. It is made when the first record is decoded, since a start does not wait for it.
var builtin = sync.OnceValue(func() *Wanted { return newWanted(index(table()), nil) })

func newWanted(names [numLevels]map[string]entry, spellings []uint8) *Wanted {
	w := &Wanted{names: names, spellings: spellings}
	for l := range w.indexes {
		w.indexes[l] = newIndex(names[l])
	}
	return w
}

// lookup finds the wanted name at a level.
func (w *Wanted) lookup(l Level, name string) (entry, bool) {
	e, ok := w.names[l][name]
	return e, ok
}

// Want returns what makes a decoder look for the extras, and of each extra the slots that hold it, best first: where the
// table lists a spelling already, the slot is that of the table. A decoder that looks for an extra refuses a record in which
// the extra's name stands twice, as it does for all that it looks for.
func Want(extras ...Extra) (*Wanted, [][]Slot, error) {
	var names [numLevels]map[string]entry
	for l := range names {
		names[l] = maps.Clone(builtin().names[l])
	}
	var spellings []uint8
	slots := make([][]Slot, len(extras))
	next := numSlots // the slot behind the last one that is in use
	for i, x := range extras {
		own := -1 // its place in spellings, once it has a slot of its own
		for _, spelling := range x.Spellings {
			l, name := place(spelling)
			if e, taken := names[l][name]; taken {
				if !contains(slots[i], e.slot) {
					slots[i] = append(slots[i], e.slot)
				}
				continue
			}
			if own < 0 {
				own = len(spellings)
				spellings = append(spellings, 0)
				slots[i] = append(slots[i], next)
				next++
			}
			if spellings[own] == maxSpellings {
				return nil, nil, fmt.Errorf("%s has more than %d spellings", x.Name, maxSpellings)
			}
			names[l][name] = entry{slot: next - 1, rank: spellings[own]}
			spellings[own]++
		}
		if len(slots[i]) == 0 {
			return nil, nil, fmt.Errorf("%s has no spelling", x.Name)
		}
	}
	return newWanted(names, spellings), slots, nil
}

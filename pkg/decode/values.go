package decode

// Kind is the JSON kind of a Value.
type Kind uint8

// The kinds. Absent is the zero value: the record has no such name.
const (
	Absent Kind = iota
	Null
	String
	Number
	True
	False
	Object
	Array
)

// Value is one JSON value. Text holds a string with its escapes undone, a number as written, or the raw text of an
// object or array, be it descended into or not; it may alias the record.
type Value struct {
	Kind Kind
	Text string
}

// Values are the wanted values of one record. The zero value is ready for use, and wants what the table lists; Reset makes
// it ready again. Values must not be copied after their first use.
type Values struct {
	wanted  *Wanted // nil: what the table lists
	slots   [numSlots]Value
	seen    [numSlots]uint16 // bit r: the spelling of rank r was there
	extra   []Value          // of the slots behind those of the table
	seenTo  []uint16         // the same of those
	touched []Slot
	own     arena
}

// Want makes the values those of w. It must precede their first use.
func (v *Values) Want(w *Wanted) {
	if v.wanted == w {
		return
	}
	n := len(w.spellings)
	v.wanted, v.extra, v.seenTo = w, make([]Value, n), make([]uint16, n)
}

func (v *Values) wants() *Wanted {
	if v == nil || v.wanted == nil {
		return builtin()
	}
	return v.wanted
}

// maxSpellings is how many bits there are.
const maxSpellings = 16

// Get returns the value of a slot.
func (v *Values) Get(s Slot) Value {
	if s < numSlots {
		return v.slots[s]
	}
	if i := int(s - numSlots); i < len(v.extra) {
		return v.extra[i]
	}
	return Value{}
}

// First returns the value of the first of the slots that the record has.
func (v *Values) First(slots []Slot) Value {
	for _, s := range slots {
		if x := v.Get(s); x.Kind != Absent {
			return x
		}
	}
	return Value{}
}

// Reset forgets all values, and with them every reference to a record. Texts that were taken out before stay valid.
func (v *Values) Reset() {
	for _, s := range v.touched {
		x, seen := v.at(s)
		*x, *seen = Value{}, 0
	}
	v.touched = v.touched[:0]
	v.own.reset()
}

func (v *Values) at(s Slot) (*Value, *uint16) {
	if s < numSlots {
		return &v.slots[s], &v.seen[s]
	}
	return &v.extra[s-numSlots], &v.seenTo[s-numSlots]
}

// set stores x under the entry's slot unless a better spelling was there. It reports false when a spelling
// of the same rank was there already, which within one record means: twice in one object, or in two spellings of it.
func (v *Values) set(e entry, x Value) bool {
	value, seen := v.at(e.slot)
	old, bit := *seen, uint16(1)<<e.rank
	if old&bit != 0 {
		return false
	}
	if old == 0 {
		v.touched = append(v.touched, e.slot)
	}
	*seen = old | bit
	if old&(bit-1) == 0 { // no better one
		*value = x
	}
	return true
}

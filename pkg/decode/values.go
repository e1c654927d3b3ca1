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
// object or array; it may alias the record. Of an object that was descended into, Text is empty.
type Value struct {
	Kind Kind
	Text string
}

// Values are the wanted values of one record. The zero value is ready for use; Reset makes it so again. Values must not
// be copied after their first use.
type Values struct {
	slots   [numSlots]Value
	seen    [numSlots]uint16 // bit r: the spelling of rank r was there
	touched []Slot
	own     arena
}

// maxSpellings is how many bits there are.
const maxSpellings = 16

// Get returns the value of a slot.
func (v *Values) Get(s Slot) Value { return v.slots[s] }

// Reset forgets all values, and with them every reference to a record. Texts that were taken out before stay valid.
func (v *Values) Reset() {
	for _, s := range v.touched {
		v.slots[s] = Value{}
		v.seen[s] = 0
	}
	v.touched = v.touched[:0]
	v.own.reset()
}

// set stores x under the entry's slot unless a better spelling was there. It reports false when a spelling
// of the same rank was there already, which within one record means: twice in one object, or in two spellings of it.
func (v *Values) set(e entry, x Value) bool {
	old, bit := v.seen[e.slot], uint16(1)<<e.rank
	if old&bit != 0 {
		return false
	}
	if old == 0 {
		v.touched = append(v.touched, e.slot)
	}
	v.seen[e.slot] = old | bit
	if old&(bit-1) == 0 { // no better one
		v.slots[e.slot] = x
	}
	return true
}

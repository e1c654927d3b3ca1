package decode

import "strings"

// Scanner is the decoder of production: one pass over the text, which checks every byte and copies none but those of
// strings with escapes. It accepts what Reference accepts and gives the same values.
type Scanner struct{}

var _ Decoder = Scanner{}

// Object implements Decoder. The texts of v are parts of s, but for strings with escapes, which v owns.
func (Scanner) Object(s string, l Level, v *Values) error {
	d := scan{s: s, v: v, wanted: v.wants(), own: &v.own}
	i := space(s, 0)
	if i == len(s) || s[i] != '{' {
		if d.end(d.skip(i, 0)) {
			d.fail(ErrNotObject, 0)
		}
		return d.err
	}
	d.end(d.object(i+1, l, 1))
	return d.err
}

// Array implements Decoder. What it yields is part of s, but for strings with escapes.
func (Scanner) Array(s string, yield func(Value) error) error {
	d := scan{s: s}
	i := space(s, 0)
	if i == len(s) || s[i] != '[' {
		if d.end(d.skip(i, 0)) {
			d.fail(ErrNotArray, 0)
		}
		return d.err
	}
	i, more := d.first(i+1, ']')
	for more {
		var x Value
		if x, i = d.value(i, none, 1); i == failed {
			return d.err
		}
		if err := yield(x); err != nil {
			return err
		}
		i, more = d.next(i, ']')
	}
	d.end(i)
	return d.err
}

// failed stands for the position behind something that is wrong.
const failed = -1

// scan is the decoding of one text. Its methods take the position of what they read and return the one behind it, or
// failed, and then err says why.
type scan struct {
	s      string
	v      *Values
	wanted *Wanted
	own    *arena // of the Values; for an array nil until a string has an escape
	grown  bool   // own had to grow for this text
	err    error
}

func (d *scan) fail(err error, at int) int {
	d.err = &Error{Err: err, Offset: int64(at)}
	return failed
}

// end checks that nothing but whitespace follows the value that ends at i, and reports whether all is well.
func (d *scan) end(i int) bool {
	if i == failed {
		return false
	}
	if i = space(d.s, i); i < len(d.s) {
		d.fail(ErrSyntax, i)
		return false
	}
	return true
}

// object reads the members from i on, behind the brace that opened the object of this depth, and sets those that are
// wanted at level l.
func (d *scan) object(i int, l Level, depth int) int {
	if depth > MaxDepth {
		return d.fail(ErrDepth, i-1)
	}
	s, ix := d.s, &d.wanted.indexes[l]
	i, more := d.first(i, '}')
	for more {
		if i == len(s) || s[i] != '"' {
			return d.fail(ErrSyntax, i)
		}
		name := i + 1
		end, escaped := d.text(name)
		if end == failed {
			return failed
		}
		if i = end + 1; i+1 < len(s) && s[i] == ':' && s[i+1] > ' ' { // compact, as logs are
			i++
		} else if i = d.colon(i); i == failed {
			return failed
		}
		var e entry
		var wanted bool
		switch {
		case escaped:
			e, wanted = d.wanted.lookup(l, d.unescape(name, end))
		case name+8 > len(s): // too near the end for the index
			e, wanted = d.wanted.lookup(l, s[name:end])
		default:
			e, wanted = ix.find(s, name, end-name)
		}
		if !wanted {
			i = d.skip(i, depth)
		} else if x, j := d.value(i, e.child, depth); j == failed || d.v.set(e, x) {
			i = j
		} else {
			return d.duplicate(name, end)
		}
		if i == failed {
			return failed
		}
		if i+1 < len(s) && s[i] == ',' && s[i+1] == '"' { // compact
			i++
			continue
		}
		i, more = d.next(i, '}')
	}
	return i
}

// colon reads what stands between a name and its value.
func (d *scan) colon(i int) int {
	if i = space(d.s, i); i == len(d.s) || d.s[i] != ':' {
		return d.fail(ErrSyntax, i)
	}
	return space(d.s, i+1)
}

// first reads what stands before the first member or element, and reports whether there is one.
func (d *scan) first(i int, closing byte) (_ int, more bool) {
	if i = space(d.s, i); i < len(d.s) && d.s[i] == closing {
		return i + 1, false
	}
	return i, true
}

// next reads what stands behind a member or element, and reports whether there is another one.
func (d *scan) next(i int, closing byte) (_ int, more bool) {
	s := d.s
	i = space(s, i)
	if i < len(s) && s[i] == closing {
		return i + 1, false
	}
	if i == len(s) || s[i] != ',' {
		return d.fail(ErrSyntax, i), false
	}
	comma := i
	if i = space(s, i+1); i < len(s) && (s[i] == '}' || s[i] == ']') {
		return d.fail(ErrSyntax, comma), false
	}
	return i, true
}

// duplicate says that the name between i and end stands twice.
func (d *scan) duplicate(i, end int) int {
	d.err = &Error{Err: ErrDuplicate, Offset: int64(i - 1), Name: strings.Clone(d.unescape(i, end))}
	return failed
}

// The containers that skip opens must fit into the bits of a word.
var _ [64 - MaxDepth]struct{}

// skip checks the value at i, which stands in a container of this depth. It does not recurse: the kinds of the
// containers that it opens are the bits of a word, the innermost lowest, one for an object.
func (d *scan) skip(i, depth int) int {
	s := d.s
	objects, open := uint64(0), 0
	for {
		if objects&1 != 0 {
			if i == len(s) || s[i] != '"' {
				return d.fail(ErrSyntax, i)
			}
			if i, _ = d.text(i + 1); i == failed {
				return failed
			}
			if i+2 < len(s) && s[i+1] == ':' && s[i+2] > ' ' { // compact
				i += 2
			} else if i = d.colon(i + 1); i == failed {
				return failed
			}
		}
		if i == len(s) {
			return d.fail(ErrSyntax, i)
		}
		switch c := s[i]; c {
		case '"':
			if i, _ = d.text(i + 1); i == failed {
				return failed
			}
			i++
		case '{', '[':
			if depth+open == MaxDepth {
				return d.fail(ErrDepth, i)
			}
			open++
			objects <<= 1
			if c == '{' {
				objects |= 1
			}
			if i = space(s, i+1); i == len(s) || s[i] != c+2 {
				continue
			} // empty: closed below
		case 't':
			i = d.literal(i, "true")
		case 'f':
			i = d.literal(i, "false")
		case 'n':
			i = d.literal(i, "null")
		default:
			i = d.number(i)
		}
		if i == failed {
			return failed
		}
		for ; ; i++ {
			if open == 0 {
				return i
			}
			if i < len(s) && s[i] <= ' ' {
				i = space(s, i)
			}
			if i == len(s) {
				return d.fail(ErrSyntax, i)
			}
			if s[i] == ',' {
				break
			}
			if s[i] != ']'+' '*byte(objects&1) { // a brace for an object
				return d.fail(ErrSyntax, i)
			}
			open--
			objects >>= 1
		}
		comma := i
		if i++; i < len(s) && s[i] <= ' ' {
			i = space(s, i)
		}
		if i < len(s) && s[i]|' ' == '}' {
			return d.fail(ErrSyntax, comma)
		}
	}
}

// value reads the value at i, which stands in a container of this depth. An object with a child level is descended
// into.
func (d *scan) value(i int, child Level, depth int) (Value, int) {
	s := d.s
	if i < len(s) {
		switch {
		case s[i] == '"':
			end, escaped := d.text(i + 1)
			switch {
			case end == failed:
				return Value{}, failed
			case escaped:
				return Value{String, d.unescape(i+1, end)}, end + 1
			}
			return Value{String, s[i+1 : end]}, end + 1
		case s[i] == '{' && child != none:
			end := d.object(i+1, child, depth+1)
			if end == failed {
				return Value{}, failed
			}
			return Value{Object, s[i:end]}, end
		}
	}
	end := d.skip(i, depth)
	if end == failed {
		return Value{}, failed
	}
	switch s[i] {
	case '{':
		return Value{Object, s[i:end]}, end
	case '[':
		return Value{Array, s[i:end]}, end
	case 't':
		return Value{Kind: True}, end
	case 'f':
		return Value{Kind: False}, end
	case 'n':
		return Value{Kind: Null}, end
	}
	return Value{Number, s[i:end]}, end
}

// unescape returns the string between i and end with its escapes undone. All of them in one text cost two allocations
// at most: the second time there is room for all that can follow.
func (d *scan) unescape(i, end int) string {
	if d.own == nil {
		d.own, d.grown = new(arena), true
	}
	if !d.own.fits(end - i) {
		size := max(arenaChunk, end-i)
		if d.grown {
			size = len(d.s) - i
		}
		d.own.grow(size)
		d.grown = true
	}
	return d.own.unescape(d.s[i:end])
}

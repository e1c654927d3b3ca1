package envelope

import (
	"encoding/binary"
	"math/bits"
	"strings"
)

// value is how far a JSON value has been scanned. Scanning can stop at any byte and go on with more text.
type value struct {
	at      int    // bytes scanned, counted from the window's pos
	depth   int    // brackets that are open
	kinds   uint64 // bit n: the bracket at depth n+1 is {; deeper ones are only counted
	prev    token
	quoted  bool // inside a string
	named   bool // there was a name at depth 1 that does not begin with @
	records bool // the last name at depth 1 announces a batch
	opaque  bool // batches in it do not count
}

// token is what stands in front of a byte.
type token uint8

const (
	nothing token = iota
	opened        // { or [
	comma
	colon
	scalar // the byte in front belongs to a number, true, false or null
	closed // a value has ended
)

// verdict says why scanning stopped.
type verdict uint8

const (
	cut   verdict = iota // at the end of the window
	whole                // behind the value
	batch                // at the [ of the records of a batch
	brokenString
	brokenValue
	brokenBracket
	brokenLine
	notJSON
)

func (v verdict) String() string {
	switch v {
	case cut:
		return "the text ends inside a record"
	case brokenString:
		return "a line ends inside a string"
	case brokenValue:
		return "a value begins where none may stand"
	case brokenBracket:
		return "the brackets do not match"
	case brokenLine:
		return "the line ends inside a record"
	case notJSON:
		return "the text is no JSON"
	case whole, batch:
	}
	return "no trouble"
}

// object reports whether the bracket at a depth is {. Those that are only counted are not.
func object(kinds uint64, depth int) bool { return depth <= 64 && kinds>>(depth-1)&1 == 1 }

// scan goes on to the end of v, which begins with a bracket, a quote, or as a number or literal does. It checks as much
// of the grammar as tells a record with a torn string or bracket from the records behind it, and no more.
func (s *splitter) scan(v *value) verdict {
	text := s.text
	i, depth, kinds, prev := s.pos+v.at, v.depth, v.kinds, v.prev
	end := func(at int, d verdict) verdict {
		v.at, v.depth, v.kinds, v.prev = at-s.pos, depth, kinds, prev
		return d
	}
	if v.quoted {
		n, d := s.stringEnd(i, i)
		if d != whole {
			return end(n, d)
		}
		v.quoted, prev = false, closed
		if i = n; depth == 0 {
			return end(i, whole)
		}
	}
	lf := s.lineEnd(i)
	for i < len(text) {
		switch c := text[i]; c {
		case '"':
			for next := true; next; {
				if prev >= scalar {
					return end(i, brokenValue)
				}
				n := quote(text, i+1) + 1
				if n > len(text) || text[n-2] == '\\' || lf < n {
					var d verdict
					if n, d = s.stringEnd(i, i+1); d == cut {
						if depth != 1 || prev == colon || !object(kinds, 1) {
							v.quoted = true
							return end(n, cut)
						}
						if len(text)-i > longestName {
							v.quoted = true
							v.name(text[i+1 : i+2])
							return end(n, cut)
						}
						return end(i, cut) // read the name in one piece
					} else if d != whole {
						return end(n, d)
					}
					lf = s.lineEnd(n)
				}
				if depth == 1 && prev != colon && object(kinds, 1) {
					v.name(text[i+1 : n-1])
				}
				prev = closed
				if i = n; depth == 0 {
					return end(i, whole)
				}
				// Mostly another string comes next.
				if next = i+1 < len(text) && text[i+1] == '"' && (text[i] == ':' || text[i] == ','); next {
					if prev = comma; text[i] == ':' {
						prev = colon
					}
					i++
				}
			}
		case ':', ',':
			if depth == 0 {
				return end(i, whole)
			}
			if prev = colon; c == ',' {
				prev = comma
			}
			i++
		case '{', '[':
			if prev >= scalar || prev != colon && depth > 0 && object(kinds, depth) {
				return end(i, brokenValue)
			}
			if c == '[' && depth == 1 && v.records && prev == colon && !v.opaque {
				return end(i, batch)
			}
			if depth++; depth <= 64 {
				bit := uint64(1) << (depth - 1)
				if kinds &^= bit; c == '{' {
					kinds |= bit
				}
			}
			prev = opened
			i++
		case '}', ']':
			if depth == 0 {
				return end(i, whole)
			}
			if depth <= 64 && object(kinds, depth) != (c == '}') {
				return end(i, brokenBracket)
			}
			prev = closed
			i++
			if depth--; depth == 0 {
				return end(i, whole)
			}
		case '\n':
			if s.lines && len(s.frames) == 0 {
				if i+1 == len(text) && !s.ended() {
					return end(i, cut)
				}
				if i+1 < len(text) && (text[i+1] == '{' || text[i+1] == '[') {
					return end(i, brokenLine)
				}
			}
			lf = s.lineEnd(i + 1)
			fallthrough
		case ' ', '\r', '\t':
			if depth == 0 {
				return end(i, whole)
			}
			if prev == scalar {
				prev = closed
			}
			i++
		default:
			if prev == closed {
				return end(i, brokenValue)
			}
			prev = scalar
			for i++; i < len(text) && (text[i] >= 'a' && text[i] <= 'z' || text[i] >= '-' && text[i] <= '9'); i++ {
			}
		}
	}
	return end(i, cut)
}

// longestName bounds the names that can announce a batch.
const longestName = 64

// name takes note of a name at depth 1. The records of a batch stand under "records"; under "value", when no other name
// but annotations such as "@odata.context" came before, they are the answer of a Microsoft API.
func (v *value) name(s string) {
	v.records = s == "records" || s == "value" && !v.named
	if s == "" || s[0] != '@' {
		v.named = true
	}
}

// stringEnd finds the place behind the string whose opening quote is in front of from or, when scanning goes on, farther
// away. Where the window is cut it returns a place at which scanning can go on.
func (s *splitter) stringEnd(start, from int) (int, verdict) {
	text := s.text
	for j := from; ; j++ {
		n := strings.IndexByte(text[j:], '"')
		if n < 0 {
			if lf := s.lineEnd(start); lf < len(text) {
				return lf, brokenString
			}
			return len(text) - backslashes(text[from:])&1, cut
		}
		if j += n; backslashes(text[from:j])&1 == 0 {
			if lf := s.lineEnd(start); lf < j {
				return lf, brokenString
			}
			return j + 1, whole
		}
	}
}

// quote returns the first place at or behind i where a quote stands, or the end. Most strings are short: those are looked at
// eight bytes at a time, which costs less than the call of a function that is faster on long ones.
func quote(text string, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for near := min(i+40, len(text)-7); i < near; i += 8 {
		x := binary.LittleEndian.Uint64([]byte(text[i:i+8])) ^ ones*'"'
		if m := (x - ones) &^ x & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	if n := strings.IndexByte(text[i:], '"'); n >= 0 {
		return i + n
	}
	return len(text)
}

// backslashes counts those at the end of s.
func backslashes(s string) int {
	n := 0
	for n < len(s) && s[len(s)-1-n] == '\\' {
		n++
	}
	return n
}

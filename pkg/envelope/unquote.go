package envelope

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// layered is text in a JSON string (layers is 1), or in a JSON string that lies in another (2), where a quote stands as
// \\\". Undoing one layer after the other costs several times what reading the record costs, so both are undone in one
// pass. A character that the outer layer escapes is the same to the inner layer as one that stands there plainly:
// \u0022 ends a string as \" does, and \u005c begins an escape as \\ does.
type layered struct {
	raw    string
	layers int
}

// undo undoes all layers from raw[i] to the end of the innermost string. It writes the text to buf, which it lets grow,
// and returns its length and the place behind the closing quote. Without such a quote it stops at the end of raw, or of
// the outer string, and closed is false. ok is false where a layer is not valid.
func (l layered) undo(buf []byte, i int) (_ []byte, n, next int, closed, ok bool) {
	raw := l.raw
	ok = true
	for i < len(raw) {
		if n+16 > len(buf) {
			buf = grow(buf, n, len(raw)-i)
		}
		if n, i = l.plain(buf, n, i); i == len(raw) {
			break
		}
		if c := raw[i]; c != '\\' && c != '"' && c >= ' ' {
			continue // buf is full
		}
		r, size, valid := l.char(i)
		switch {
		case size == 0:
			return buf, n, i, false, ok
		case !valid:
		case r == '"':
			return buf, n, i + size, true, ok
		case r == '\\':
			r, size, valid = l.escape(i)
		default:
			valid = r >= ' '
		}
		if i += size; valid {
			n += utf8.EncodeRune(buf[n:], r)
		} else {
			ok = false
		}
	}
	return buf, n, len(raw), false, ok
}

// char returns the character in front of which the innermost layer stands, and its size in raw; 0 at the end. It knows
// only ASCII, and what the outer layer escapes.
func (l layered) char(i int) (r rune, size int, ok bool) {
	if i >= len(l.raw) {
		return 0, 0, false
	}
	c := l.raw[i]
	if l.layers == 2 && c == '"' {
		return 0, 0, false
	}
	if l.layers == 2 && c == '\\' {
		return escape(l.raw[i:])
	}
	return rune(c), 1, c >= ' ' && c < utf8.RuneSelf
}

// escape returns the character that the escape of the innermost layer at raw[i] stands for, and its size.
func (l layered) escape(i int) (r rune, size int, ok bool) {
	// Take the characters that the escape can have: at most \uXXXX\uXXXX.
	var chars [12]byte
	var ends [12]int
	n, most := 0, 2
	for at := i; n < most; n++ {
		r, size, ok := l.char(at)
		if !ok || r >= utf8.RuneSelf {
			break
		}
		if at += size; n == 1 && r == 'u' {
			most = len(chars)
		}
		chars[n], ends[n] = byte(r), at-i
	}
	r, size, ok = escape(string(chars[:n]))
	return r, ends[size-1], ok
}

// skipBlank returns the first character at or behind raw[i] that is not blank, its place and its size; 0 at the end.
func (l layered) skipBlank(i int) (c rune, at, size int) {
	for {
		r, size, ok := l.char(i)
		switch {
		case size == 0 && i == len(l.raw):
			return 0, i, 0
		case ok && r < utf8.RuneSelf && blank(byte(r)), !ok && l.layers == 1 && blank(l.raw[i]):
			i += size
		default:
			return max(r, 1), i, size
		}
	}
}

// grow returns a larger buffer with the first n bytes of buf. At most left more will be needed, and room to spare.
func grow(buf []byte, n, left int) []byte {
	next := make([]byte, n+min(left, max(n, 4<<10))+16)
	copy(next, buf[:n])
	return next
}

// plain copies raw from i to buf from n, with the escapes of quotes and backslashes undone, which nearly all are. It stops in
// front of anything else that a JSON string must escape, or where buf has no room and 8 bytes to spare, and returns where
// it got to in both.
func (l layered) plain(buf []byte, n, i int) (int, int) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	s := l.raw
	// What stands for a quote and for a backslash, as the low bytes of a word.
	size, quoted, slashed := 2, uint64('\\'|'"'<<8), uint64('\\'|'\\'<<8)
	if l.layers == 2 {
		size, quoted, slashed = 4, slashed|quoted<<16, slashed|slashed<<16
	}
	escapes := uint64(1)<<(8*size) - 1
	for i+8 <= len(s) && n+16 <= len(buf) {
		x := binary.LittleEndian.Uint64([]byte(s[i : i+8]))
		binary.LittleEndian.PutUint64(buf[n:], x)
		// The lowest bit that is set marks the first byte that is \ or " or below a space.
		slash, quote := x^ones*'\\', x^ones*'"'
		stop := ((slash-ones)&^slash | (quote-ones)&^quote | (x-ones*' ')&^x) & highs
		if stop == 0 {
			n += 8
			i += 8
			continue
		}
		k := bits.TrailingZeros64(stop) >> 3
		n += k
		i += k
		if i+8 > len(s) {
			break
		}
		switch binary.LittleEndian.Uint64([]byte(s[i:i+8])) & escapes {
		case quoted:
			buf[n] = '"'
		case slashed:
			buf[n] = '\\'
		default:
			return n, i
		}
		n++
		i += size
	}
	for i < len(s) && n+8 < len(buf) {
		c := s[i]
		if c == '\\' || c == '"' || c < ' ' {
			break
		}
		buf[n] = c
		n++
		i++
	}
	return n, i
}

// escape returns the character that the escape at the beginning of s stands for, and its size, with both halves of a
// surrogate pair. Where it is not valid the size is what to pass over.
func escape(s string) (r rune, size int, ok bool) {
	if len(s) < 2 {
		return 0, len(s), false
	}
	switch s[1] {
	case '"', '\\', '/':
		return rune(s[1]), 2, true
	case 'b':
		return '\b', 2, true
	case 'f':
		return '\f', 2, true
	case 'n':
		return '\n', 2, true
	case 'r':
		return '\r', 2, true
	case 't':
		return '\t', 2, true
	case 'u':
		high, ok := hex4(s[2:])
		if !ok {
			break
		}
		if !utf16.IsSurrogate(high) {
			return high, 6, true
		}
		if strings.HasPrefix(s[6:], `\u`) {
			if low, ok := hex4(s[8:]); ok {
				if r = utf16.DecodeRune(high, low); r != utf8.RuneError {
					return r, 12, true
				}
			}
		}
		return 0, 6, false
	}
	return 0, 2, false
}

// hex4 reads four hexadecimal digits.
func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for i := range 4 {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

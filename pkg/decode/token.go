package decode

import (
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// everyByte times a byte is a word of eight of them.
const everyByte = 0x0101010101010101

// load returns the eight bytes of s at i, the first one lowest. The compiler makes it one load.
func load(s string, i int) uint64 {
	b := s[i : i+8]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// special marks the high bit of the bytes of w at which a run of plain text ends: quotes, backslashes, control
// characters and all that is not ASCII. Only the lowest mark is sure: a borrow may set others above it.
//
// A byte c^2 is below 0x21 for control characters and the quote alone, so one subtraction finds both.
func special(w uint64) uint64 {
	return (((w ^ 2*everyByte) - 0x21*everyByte) | ((w ^ '\\'*everyByte) - everyByte) | w) & (0x80 * everyByte)
}

// plain returns the first position from i on where a byte is not plain text.
func plain(s string, i int) int {
	for i+8 <= len(s) {
		if m := special(load(s, i)); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(s) && ' ' <= s[i] && s[i] < utf8.RuneSelf && s[i] != '"' && s[i] != '\\' {
		i++
	}
	return i
}

// text returns the position of the quote that closes the string whose first byte is at i, and whether there is an
// escape before it. On a mistake the position is failed.
func (d *scan) text(i int) (end int, escaped bool) {
	s := d.s
	for i+8 <= len(s) {
		m := special(load(s, i))
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		if s[i] == '"' {
			return i, false
		}
		break
	}
	return d.rest(i)
}

// rest is text from a position at which anything may stand.
func (d *scan) rest(i int) (end int, escaped bool) {
	s := d.s
	for i < len(s) {
		switch c := s[i]; {
		case c == '"':
			return i, escaped
		case c == '\\':
			n, err := escape(s[i:])
			if err != nil {
				return d.fail(err, i), true
			}
			escaped = true
			i += n
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				if !utf8.FullRuneInString(s[i:]) {
					return d.fail(ErrSyntax, i), escaped // the record is cut off here
				}
				return d.fail(ErrUTF8, i), escaped
			}
			i += n
		case c < ' ':
			return d.fail(ErrSyntax, i), escaped
		default:
			i = plain(s, i)
		}
	}
	return d.fail(ErrSyntax, i), escaped
}

// escape returns the length of the escape at the start of s: 2, 6 or, for a surrogate pair, 12 bytes.
func escape(s string) (int, error) {
	if len(s) >= 2 && unescaped[s[1]] != 0 {
		return 2, nil
	}
	r, ok := hex4(s)
	switch {
	case !ok:
		return 0, ErrSyntax
	case !utf16.IsSurrogate(r):
		return 6, nil
	}
	if low, ok := hex4(s[6:]); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
		return 12, nil
	}
	if cutOff(s[6:]) {
		return 0, ErrSyntax
	}
	return 0, ErrUTF8
}

// cutOff reports whether the record ends in s within what could have been the second half of a surrogate pair.
func cutOff(s string) bool {
	const low = `\uDC00`
	if len(s) >= len(low) {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i < 2 && c != low[i],
			i == 2 && c|0x20 != 'd',
			i == 3 && (c|0x20 < 'c' || c|0x20 > 'f'),
			i > 3 && hexDigit[c] < 0:
			return false
		}
	}
	return true
}

// hex4 returns the UTF-16 unit that the \uXXXX at the start of s stands for.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	r := rune(hexDigit[s[2]])<<12 | rune(hexDigit[s[3]])<<8 | rune(hexDigit[s[4]])<<4 | rune(hexDigit[s[5]])
	return r, r >= 0
}

// hexDigit is the value of a hexadecimal digit; of any other byte it is negative, and so is what it is part of.
var hexDigit = func() (t [256]int8) {
	for c := range t {
		t[c] = -1
	}
	for i, c := range "0123456789abcdef" {
		t[c] = int8(i)
	}
	for i, c := range "ABCDEF" {
		t[c] = int8(10 + i)
	}
	return t
}()

// unescaped is what stands for a byte behind a backslash; 0 for u and all that must not stand there.
var unescaped = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// unit returns the rune that the valid \uXXXX or the valid surrogate pair at the start of s stands for, and its length.
func unit(s string) (rune, int) {
	r, _ := hex4(s)
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	low, _ := hex4(s[6:])
	return utf16.DecodeRune(r, low), 12
}

// number returns the position behind the number at i.
func (d *scan) number(i int) int {
	s, start := d.s, i
	if i < len(s) && s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if i = d.digits(i, start); i == failed {
		return failed
	}
	if i < len(s) && s[i] == '.' {
		if i = d.digits(i+1, start); i == failed {
			return failed
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		return d.digits(i, start)
	}
	return i
}

// digits returns the position behind at least one digit at i of the number that starts at start.
func (d *scan) digits(i, start int) int {
	s := d.s
	if i >= len(s) {
		return d.fail(ErrSyntax, start)
	}
	if s[i]-'0' > 9 {
		return d.fail(ErrSyntax, i)
	}
	for i++; i < len(s) && s[i]-'0' <= 9; i++ {
	}
	return i
}

// literal returns the position behind the word that stands at i.
func (d *scan) literal(i int, word string) int {
	for j := range len(word) {
		if i+j >= len(d.s) || d.s[i+j] != word[j] {
			return d.fail(ErrSyntax, i+j)
		}
	}
	return i + len(word)
}

// space returns the first position from i on that does not hold whitespace.
func space(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

package envelope

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The text of a message lies in a JSON string, and that in another: a quote arrives as \\\". Undoing one layer after the
// other costs several times what reading the record costs, so undo does both in one pass. A character that the outer
// layer escapes is the same to the inner layer as one that stands there plainly: \u0022 ends the message as \" does, and
// \u005c begins an escape as \\ does.

// undo undoes both layers from m.at to the end of the message, behind which it moves. It leaves the text in buf and
// returns its length; cut when there is no end; brokenString when either layer is not valid there.
func (m *Messages) undo() (n int, _ verdict) {
	raw, buf, i := m.raw, m.buf[:cap(m.buf)], m.at
	result := whole
	for i < len(raw) {
		if n+16 > len(buf) {
			buf = grow(buf, n, len(raw)-i)
		}
		if n, i = plain(buf, n, raw, i); i == len(raw) {
			break
		}
		// Nearly all escapes are these two.
		if i+4 <= len(raw) && raw[i:i+3] == `\\\` && (raw[i+3] == '"' || raw[i+3] == '\\') {
			buf[n] = raw[i+3]
			n++
			i += 4
			continue
		}
		if raw[i] != '\\' && raw[i] != '"' && raw[i] >= ' ' {
			continue // buf was full
		}
		r, size, ok := m.outer(i)
		switch {
		case r == '"' && ok:
			m.at, m.buf = i+size, buf
			return n, result
		case r == '\\' && ok:
			if r, size, ok = m.inner(i); ok {
				n += utf8.EncodeRune(buf[n:], r)
			}
		case ok && r >= ' ':
			n += utf8.EncodeRune(buf[n:], r)
		default:
			ok = false
		}
		if !ok {
			result = brokenString
		}
		if i += size; size == 0 {
			break // the outer string ends
		}
	}
	m.at, m.buf = len(raw), buf
	return n, cut
}

// outer returns the character of the outer layer at raw[i], and its size there. A size of 0 is the end.
func (m *Messages) outer(i int) (r rune, size int, ok bool) {
	switch {
	case i >= len(m.raw) || m.raw[i] == '"':
		return 0, 0, false
	case m.raw[i] == '\\':
		return escape(m.raw[i:])
	}
	c := m.raw[i]
	return rune(c), 1, c >= ' ' && c < utf8.RuneSelf
}

// inner returns the character that the escape of the inner layer at raw[i] stands for, and its size.
func (m *Messages) inner(i int) (r rune, size int, ok bool) {
	// Take the characters of the outer layer that the escape can have: at most \uXXXX\uXXXX.
	var chars [12]byte
	var ends [12]int
	n, most := 0, 2
	for at := i; n < most; n++ {
		r, size, ok := m.outer(at)
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

// skipBlank moves over blanks of the outer layer and returns the character behind them, or 0 at the end.
func (m *Messages) skipBlank() rune {
	for {
		r, size, ok := m.outer(m.at)
		switch {
		case size == 0 && m.at == len(m.raw):
			return 0
		case !ok || r >= utf8.RuneSelf || !blank(byte(r)):
			return max(r, 1)
		}
		m.at += size
	}
}

// size returns the size of the character of the outer layer at raw[i].
func (m *Messages) size(i int) int {
	_, size, _ := m.outer(i)
	return size
}

// unquote undoes the escapes of one JSON string.
func (m *Messages) unquote(s string) (string, bool) {
	buf, n := m.buf[:cap(m.buf)], 0
	for i := 0; i < len(s); {
		if n+16 > len(buf) {
			buf = grow(buf, n, len(s)-i)
		}
		if n, i = plain(buf, n, s, i); i == len(s) {
			break
		}
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			buf[n] = s[i+1]
			n++
			i += 2
		case c == '\\':
			r, size, ok := escape(s[i:])
			if !ok {
				return "", false
			}
			n += utf8.EncodeRune(buf[n:], r)
			i += size
		case c == '"' || c < ' ':
			return "", false
		}
	}
	m.buf = buf
	return string(buf[:n]), true
}

// grow returns a larger buffer with the first n bytes of buf. At most left more will be needed, and room to spare.
func grow(buf []byte, n, left int) []byte {
	next := make([]byte, n+min(left, max(n, 4<<10))+16)
	copy(next, buf[:n])
	return next
}

// plain copies s from i to buf from n, up to a character that a JSON string must escape, or as far as buf has room and 8
// bytes to spare. It returns where it got to in both.
func plain(buf []byte, n int, s string, i int) (int, int) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for i+8 <= len(s) && n+16 <= len(buf) {
		x := binary.LittleEndian.Uint64([]byte(s[i : i+8]))
		binary.LittleEndian.PutUint64(buf[n:], x)
		// The lowest bit that is set marks the first byte that is \ or " or below a space.
		slash, quote := x^ones*'\\', x^ones*'"'
		stop := ((slash-ones)&^slash | (quote-ones)&^quote | (x-ones*' ')&^x) & highs
		if stop != 0 {
			k := bits.TrailingZeros64(stop) >> 3
			return n + k, i + k
		}
		n += 8
		i += 8
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

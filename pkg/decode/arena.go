package decode

import (
	"strings"
	"unicode/utf8"
)

const (
	arenaChunk = 4 << 10  // bytes; serves a hundred records or more
	arenaMax   = 64 << 10 // bytes; what is larger is not kept for the next record
)

// arena owns the strings whose escapes were undone. Its memory is appended to and never written twice, so a string
// stays valid for as long as somebody holds it.
type arena struct{ b strings.Builder }

// fits reports whether there is room for n bytes more.
func (a *arena) fits(n int) bool { return a.b.Cap()-a.b.Len() >= n }

// grow makes room for n bytes in new memory.
func (a *arena) grow(n int) {
	a.b.Reset()
	a.b.Grow(n)
}

// unescape returns the valid string s with its escapes undone. It never is longer than s, for which there is room.
func (a *arena) unescape(s string) string {
	var buf [128]byte
	start, n := a.b.Len(), 0
	for i := 0; i < len(s); {
		if n > len(buf)-utf8.UTFMax {
			a.b.Write(buf[:n])
			n = 0
		}
		c := s[i]
		i++
		if c == '\\' {
			if c = unescaped[s[i]]; c == 0 {
				r, size := unit(s[i-1:])
				n += utf8.EncodeRune(buf[n:], r)
				i += size - 1
				continue
			}
			i++
		}
		buf[n] = c
		n++
	}
	a.b.Write(buf[:n])
	return a.b.String()[start:]
}

// reset gives up memory that is too large to be kept.
func (a *arena) reset() {
	if a.b.Cap() > arenaMax {
		a.b.Reset()
	}
}

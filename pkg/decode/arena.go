package decode

import "strings"

const (
	arenaChunk = 4 << 10  // bytes; serves a hundred records or more
	arenaMax   = 64 << 10 // bytes; what is larger is not kept for the next record
)

// arena owns the strings whose escapes were undone. Its memory is appended to and never written twice, so a string stays
// valid for as long as somebody holds it.
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
	start := a.b.Len()
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			a.b.WriteString(s)
			return a.b.String()[start:]
		}
		a.b.WriteString(s[:i])
		r, n := unescaped(s[i:])
		a.b.WriteRune(r)
		s = s[i+n:]
	}
}

// reset gives up memory that is too large to be kept.
func (a *arena) reset() {
	if a.b.Cap() > arenaMax {
		a.b.Reset()
	}
}

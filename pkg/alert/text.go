package alert

import (
	"strings"
	"unicode/utf8"
)

// Bounds of texts, in bytes of their JSON form.
const (
	maxText  = 512     // a name, key, id or fact
	maxWhy   = 1 << 10 // a rule's reason
	maxPlace = 256
	maxNote  = 2 << 10
)

const ellipsis = "…"

// clip returns a copy of s that shares no memory with it, is valid UTF-8, and takes at most limit bytes as JSON. What
// is cut off is replaced by an ellipsis.
func clip(s string, limit int) string {
	if len(s) <= limit/longestEscape {
		return strings.Clone(strings.ToValidUTF8(s, "\uFFFD"))
	}
	size, cut := 0, 0
	for i, r := range s {
		size += jsonSize(r)
		if size > limit {
			return strings.ToValidUTF8(s[:cut], "\uFFFD") + ellipsis
		}
		if size <= limit-len(ellipsis) {
			cut = i + runeSize(s[i:])
		}
	}
	return strings.Clone(strings.ToValidUTF8(s, "\uFFFD"))
}

// clipStart is clip that keeps the end: of a place, that is where the line stands.
func clipStart(s string, limit int) string {
	size, cut := 0, len(s)
	for i := len(s); i > 0; {
		r, n := utf8.DecodeLastRuneInString(s[:i])
		i -= n
		size += jsonSize(r)
		if size > limit {
			return ellipsis + strings.ToValidUTF8(s[cut:], "\uFFFD")
		}
		if size <= limit-len(ellipsis) {
			cut = i
		}
	}
	return strings.Clone(strings.ToValidUTF8(s, "\uFFFD"))
}

// longestEscape is the most bytes of JSON that a byte of text takes.
const longestEscape = len(`\u0000`)

func runeSize(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// jsonLen returns the bytes that encoding/json writes for s, without the quotes.
func jsonLen(s string) int {
	n := 0
	for _, r := range s {
		n += jsonSize(r)
	}
	return n
}

// jsonSize returns the most bytes that encoding/json writes for r within a string. A byte that is no UTF-8 comes as
// U+FFFD, which takes three bytes or, as an escape, six.
func jsonSize(r rune) int {
	switch {
	case r == '"', r == '\\', r == '\b', r == '\f', r == '\n', r == '\r', r == '\t':
		return 2
	case r < ' ', r == '<', r == '>', r == '&', r == '\u2028', r == '\u2029':
		return longestEscape
	}
	return utf8.RuneLen(r)
}

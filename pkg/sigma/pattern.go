package sigma

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/assay-sec/assay/pkg/rule"
)

// pattern is a text of a Sigma rule: characters, and wildcards among them.
type pattern []rune

// What a pattern holds beside characters.
const (
	many rune = -1 - iota // *: any characters, or none
	one                   // ?: one character
	dash                  // what begins a flag of a Windows command line
)

// A byte that is no UTF-8 stands in a pattern, and is met in a text, as this much more than the byte.
const noCharacter = unicode.MaxRune + 1

// parse reads a value as Sigma writes it. A backslash takes a wildcard, or another backslash, literally, and any other
// character leaves it alone.
func parse(s string) pattern {
	p := make(pattern, 0, len(s))
	for i := 0; i < len(s); {
		r, n := character(s[i:])
		i += n
		switch r {
		case '\\':
			if i < len(s) && (s[i] == '\\' || s[i] == '*' || s[i] == '?') {
				r = rune(s[i])
				i++
			}
		case '*':
			r = many
		case '?':
			r = one
		}
		if r == many && len(p) > 0 && p[len(p)-1] == many {
			continue
		}
		p = append(p, r)
	}
	return p
}

// literal returns the pattern that matches the text alone.
func literal(s string) pattern {
	p := make(pattern, 0, len(s))
	for i := 0; i < len(s); {
		r, n := character(s[i:])
		p = append(p, r)
		i += n
	}
	return p
}

// character returns the first character of a text that is not empty, and its length in bytes.
func character(s string) (rune, int) {
	if s[0] < utf8.RuneSelf {
		return rune(s[0]), 1
	}
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 {
		r = noCharacter + rune(s[0])
	}
	return r, n
}

// plain reports whether the pattern has no wildcard.
func (p pattern) plain() bool {
	for _, r := range p {
		if r < 0 {
			return false
		}
	}
	return true
}

// text returns the text of a plain pattern, or what reads like the pattern.
func (p pattern) text() string {
	var b strings.Builder
	for _, r := range p {
		switch {
		case r == many:
			b.WriteByte('*')
		case r == one:
			b.WriteByte('?')
		case r == dash:
			b.WriteByte('-')
		case r >= noCharacter:
			b.WriteByte(byte((r - noCharacter) & 0xff))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// at puts the pattern at a place of the text: "contains", "startswith", "endswith", or "", which is all of it.
func (p pattern) at(position string) pattern {
	out := make(pattern, 0, len(p)+2)
	if (position == "contains" || position == "endswith") && (len(p) == 0 || p[0] != many) {
		out = append(out, many)
	}
	out = append(out, p...)
	if (position == "contains" || position == "startswith") && (len(out) == 0 || out[len(out)-1] != many) {
		out = append(out, many)
	}
	return out
}

// fold returns what a character has in common with those that differ from it in case alone: the least of them.
func fold(r rune) rune {
	switch {
	case 'a' <= r && r <= 'z':
		return r - ('a' - 'A')
	case r < utf8.RuneSelf || r >= noCharacter:
		return r
	}
	for c := unicode.SimpleFold(r); ; c = unicode.SimpleFold(c) {
		if c <= r {
			return c
		}
	}
}

// glob is a pattern that is ready to be matched.
type glob struct {
	elements pattern // folded, unless cased
	cased    bool
}

func newGlob(p pattern, cased bool) glob {
	g := glob{make(pattern, len(p)), cased}
	for i, r := range p {
		if r >= 0 && !cased {
			r = fold(r)
		}
		g.elements[i] = r
	}
	return g
}

// is reports whether the element stands for the character.
func (g *glob) is(element, r rune) bool {
	switch element {
	case one:
		return true
	case dash:
		return isDash(r)
	case r:
		return true
	}
	return !g.cased && element == fold(r)
}

func isDash(r rune) bool { return strings.ContainsRune(dashes, r) }

// dashes are what Windows takes for the beginning of a flag: hyphen, slash, en dash, em dash, horizontal bar.
const dashes = "-/\u2013\u2014\u2015"

// match reports whether all of the text is like the pattern. It takes time in the product of their lengths at most.
func (g *glob) match(s string) bool {
	p, i := 0, 0
	star, mark := -1, 0 // the last * that was met, and where the text behind it was tried
	for i < len(s) {
		r, n := character(s[i:])
		switch {
		case p < len(g.elements) && g.elements[p] == many:
			if p++; p == len(g.elements) {
				return true
			}
			star, mark = p, i
		case p < len(g.elements) && g.is(g.elements[p], r):
			p++
			i += n
		case star >= 0:
			_, n := character(s[mark:])
			mark += n
			p, i = star, mark
		default:
			return false
		}
	}
	for p < len(g.elements) && g.elements[p] == many {
		p++
	}
	return p == len(g.elements)
}

// begins reports whether the text begins like the pattern, which has no *.
func (g *glob) begins(s string) bool {
	for _, e := range g.elements {
		if s == "" {
			return false
		}
		r, n := character(s)
		if !g.is(e, r) {
			return false
		}
		s = s[n:]
	}
	return true
}

// matcher says what is true of one text.
type matcher func(string) rule.Truth

func truth(holds bool) rule.Truth {
	if holds {
		return rule.True
	}
	return rule.False
}

// anyOf returns what is true of a text that is like one of the patterns.
func anyOf(patterns []pattern, cased bool) matcher {
	var inside, other []glob
	for _, p := range patterns {
		if body, ok := contained(p); ok {
			inside = append(inside, newGlob(body, cased))
		} else {
			other = append(other, newGlob(p, cased))
		}
	}
	if len(inside) == 0 {
		return func(s string) rule.Truth {
			for i := range other {
				if other[i].match(s) {
					return rule.True
				}
			}
			return rule.False
		}
	}
	first := firstBytes(inside)
	return func(s string) rule.Truth {
		for i := range len(s) {
			if !first[s[i]] {
				continue
			}
			for j := range inside {
				if inside[j].begins(s[i:]) {
					return rule.True
				}
			}
		}
		for i := range other {
			if other[i].match(s) {
				return rule.True
			}
		}
		return rule.False
	}
}

// contained returns what stands between two * where that begins with a character and has no further *.
func contained(p pattern) (pattern, bool) {
	if len(p) < 3 || p[0] != many || p[len(p)-1] != many {
		return nil, false
	}
	body := p[1 : len(p)-1]
	return body, body[0] >= 0 && !slices.Contains(body, many)
}

// firstBytes tells with which bytes a text can begin that begins like one of the patterns: a search reads a text once, and a
// byte that begins none costs one look-up.
func firstBytes(globs []glob) (first [256]bool) {
	for i := range globs {
		r := globs[i].elements[0]
		if r >= noCharacter {
			first[r-noCharacter] = true
			continue
		}
		first[string(r)[0]] = true
		if globs[i].cased {
			continue
		}
		for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
			first[string(c)[0]] = true
		}
	}
	return first
}

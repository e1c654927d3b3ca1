package sigma

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/rule"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value string
		want  pattern
	}{
		{`a*b?c`, pattern{'a', many, 'b', one, 'c'}},
		{`a**b`, pattern{'a', many, 'b'}},
		{`\*\?`, pattern{'*', '?'}},
		{`C:\Windows\x`, literal(`C:\Windows\x`)},
		{`C:\\Windows`, literal(`C:\Windows`)},
		{`a\\*`, pattern{'a', '\\', many}},
		{`a\\\*`, pattern{'a', '\\', '*'}},
		{`\\\`, pattern{'\\', '\\'}},
		{`\\\\`, pattern{'\\', '\\'}},
		{`\`, pattern{'\\'}},
		{``, pattern{}},
		{"\xff", pattern{noCharacter + 0xff}},
	} {
		if got := parse(c.value); string(got) != string(c.want) || len(got) != len(c.want) {
			t.Errorf("%q: %v, want %v", c.value, got, c.want)
		}
	}
}

// naive is what a pattern means, with no thought of cost.
func naive(p pattern, s string, cased bool) bool {
	if len(p) == 0 {
		return s == ""
	}
	if p[0] == many {
		return naive(p[1:], s, cased) || s != "" && naive(p, rest(s), cased)
	}
	if s == "" {
		return false
	}
	r, n := character(s)
	same := p[0] == one || p[0] == dash && strings.ContainsRune(dashes, r) || p[0] == r ||
		!cased && p[0] >= 0 && p[0] < noCharacter && r < noCharacter && strings.EqualFold(string(p[0]), string(r))
	return same && naive(p[1:], s[n:], cased)
}

func rest(s string) string {
	_, n := character(s)
	return s[n:]
}

// expression is the same as a regular expression; "" for a pattern that cannot be one.
func asRegexp(p pattern, cased bool) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s`)
	if !cased {
		b.WriteByte('i')
	}
	b.WriteString(`)^`)
	for _, r := range p {
		switch {
		case r == many:
			b.WriteString(`.*`)
		case r == one:
			b.WriteByte('.')
		case r == dash:
			b.WriteString(`[` + regexp.QuoteMeta(dashes) + `]`)
		case r >= noCharacter:
			return nil
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	b.WriteString(`$`)
	return regexp.MustCompile(strings.ReplaceAll(b.String(), "[-/", `[\-/`))
}

func agree(t *testing.T, patterns []pattern, s string, cased bool) {
	t.Helper()
	want := false
	for _, p := range patterns {
		holds := naive(p, s, cased)
		g := newGlob(p, cased)
		if got := g.match(s); got != holds {
			t.Fatalf("%q, cased %t: match says %t of %q, want %t", p.text(), cased, got, s, holds)
		}
		if re := asRegexp(p, cased); re != nil && re.MatchString(s) != holds {
			t.Fatalf("%q, cased %t: %s says %t of %q, want %t", p.text(), cased, re, !holds, s, holds)
		}
		want = want || holds
	}
	if got := anyOf(patterns, cased)(s) == rule.True; got != want {
		t.Fatalf("%v, cased %t: anyOf says %t of %q, want %t", patterns, cased, got, s, want)
	}
}

// A small alphabet, so that patterns match often: letters with partners of more bytes among them.
var letters = []string{"a", "A", "b", "k", "K", "\u212a", "s", "\u017f", "ß", "é", "É", "-", "/", "\u2014", "*", "?", `\`, `\\`, `\*`, " "}

func word(rnd *rand.Rand, n int) string {
	var b strings.Builder
	for range rnd.IntN(n) {
		b.WriteString(letters[rnd.IntN(len(letters))])
	}
	return b.String()
}

func TestPatternsMatchAsTheNaiveOnesDo(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	hits := 0
	for range 30_000 {
		var patterns []pattern
		for range 1 + rnd.IntN(3) {
			p := parse(word(rnd, 6)).at([]string{"", "contains", "startswith", "endswith"}[rnd.IntN(4)])
			if rnd.IntN(4) == 0 {
				p = windash(p)
			}
			patterns = append(patterns, p)
		}
		s, cased := word(rnd, 9), rnd.IntN(2) == 0
		agree(t, patterns, s, cased)
		if anyOf(patterns, cased)(s) == rule.True {
			hits++
		}
	}
	if hits < 1000 {
		t.Errorf("only %d matched: that proves little", hits)
	}
}

func FuzzPattern(f *testing.F) {
	for _, c := range [][2]string{{"a*b?", "aXbY"}, {`\*`, "*"}, {"*k*", "\u212a"}, {"-x /y", "/x \u2013y"}, {"", ""}, {"*\xff", "\xff"}} {
		f.Add(c[0], c[1], true)
	}
	f.Fuzz(func(t *testing.T, value, s string, cased bool) {
		if len(value) > 12 || len(s) > 24 {
			return // the naive one would take forever
		}
		p := parse(value)
		for _, position := range []string{"", "contains", "startswith", "endswith"} {
			agree(t, []pattern{p.at(position), windash(p)}, s, cased)
		}
	})
}

// A hostile text costs no more than the product of the lengths.
func TestPatternsOfManyStarsTakeNoTime(t *testing.T) {
	t.Parallel()
	g := newGlob(parse(strings.Repeat("a*", 50)+"b"), false)
	if g.match(strings.Repeat("a", 20_000)) {
		t.Error("matched")
	}
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		modifiers, value string
		want             []string
	}{
		{"base64", "foobar", []string{"Zm9vYmFy"}},
		{"base64offset", "foobar", []string{"Zm9vYmFy", "Zvb2Jhc", "mb29iYX"}},
		{"wide", "ab", []string{"a\x00b\x00"}},
		{"utf16le", "ab", []string{"a\x00b\x00"}},
		{"utf16be", "ab", []string{"\x00a\x00b"}},
		{"utf16", "a", []string{"\xff\xfea\x00"}},
		{"utf16|base64", "a", []string{"//5hAA=="}},
		{"wide|base64offset|contains", "ping", []string{"*cABpAG4AZw*", "*AAaQBuAGcA*", "*wAGkAbgBnA*"}},
	} {
		m, mistakes := parseModifiers(strings.Split(c.modifiers, "|"))
		if len(mistakes) > 0 {
			t.Fatal(mistakes)
		}
		all, err := m.transform(parse(c.value))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range all {
			got = append(got, p.text())
		}
		if strings.Join(got, " ") != strings.Join(c.want, " ") {
			t.Errorf("%s of %s: %q, want %q", c.modifiers, c.value, got, c.want)
		}
	}
}

func TestWindash(t *testing.T) {
	t.Parallel()
	g := newGlob(windash(parse("*cmd -a file-name /b-c")), false)
	for s, want := range map[string]bool{
		"cmd -a file-name /b-c": true, "CMD /a file-name -b-c": true, "cmd \u2013a file-name \u2015b-c": true,
		"cmd -a file/name /b-c": false, "cmd -a file-name /b/c": false, "cmd a file-name /b-c": false,
	} {
		if g.match(s) != want {
			t.Errorf("%s: want %t", s, want)
		}
	}
	if _, err := texts(windash(parse("-a -b -c -d -e"))); err == nil {
		t.Error("3,125 variants are not too many")
	}
	if all, err := texts(windash(parse("-a /b"))); err != nil || len(all) != 25 {
		t.Errorf("%d variants, %v", len(all), err)
	}
}

func TestExpanded(t *testing.T) {
	t.Parallel()
	of := map[string][]string{"administrators": {"adm-*", "root"}, "one": {"1"}, "none": {}}
	for value, want := range map[string]string{
		"%Administrators%":       "adm-*,root",
		"x%one%y%one%z":          "x1y1z",
		`\%plain%one%`:           "%plain1",
		"%administrators%-%ONE%": "adm-*-1,root-1",
		"%none%":                 "",
	} {
		got, err := expanded(value, of, plainly)
		if err != nil || strings.Join(got, ",") != want {
			t.Errorf("%s: %q, %v", value, got, err)
		}
	}
	for _, value := range []string{"%unknown%", "no placeholder", `\%one\%`} {
		if _, err := expanded(value, of, plainly); err == nil {
			t.Errorf("%s: no error", value)
		}
	}
}

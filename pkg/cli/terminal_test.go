package cli

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "alice@contoso.com", "alice@contoso.com"},
		{"letters of other scripts", "Jürgen 山田 Ольга", "Jürgen 山田 Ольга"},
		{"emoji", "🦊", "🦊"},
		{"a backslash stays", `CONTOSO\alice`, `CONTOSO\alice`},
		{"colour", "\x1b[31mred", `\x1b[31mred`},
		{"title of the window", "\x1b]0;pwned\a", `\x1b]0;pwned\a`},
		{"C1 control", "a\u009b31mb", `a\u009b31mb`},
		{"line break", "a\r\nb\tc", `a\r\nb\tc`},
		{"line separator", "a\u2028b", `a\u2028b`},
		{"right-to-left override", "invoice\u202efdp.exe", `invoice\u202efdp.exe`},
		{"isolate", "\u2066a\u2069", `\u2066a\u2069`},
		{"invisible", "micro\u200bsoft", `micro\u200bsoft`},
		{"not UTF-8", "a\xffb", `a\xffb`},
		{"replacement character", "a\ufffdb", "a\ufffdb"},
		{"delete", "a\x7f", `a\x7f`},
		{"accents", "e\u0301", "e\u0301"},
		{"piled marks", "e" + strings.Repeat("\u0301", 6), "e" + strings.Repeat("\u0301", 4) + `\u0301\u0301`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := escape(c.in); got != c.want {
				t.Errorf("escape(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		in      string
		columns int
		want    string
	}{
		{"alice", 5, "alice"},
		{"alice", 4, "ali…"},
		{"alice", 1, "…"},
		{"alice", 0, ""},
		{"山田太郎", 8, "山田太郎"},
		{"山田太郎", 7, "山田太…"},
		{"山田太郎", 6, "山田…"},
		{"cafe\u0301s", 5, "cafe\u0301s"},
		{"cafe\u0301s", 4, "caf…"},
	} {
		if got := cut(c.in, c.columns); got != c.want || width(got) > c.columns {
			t.Errorf("cut(%q, %d) = %q, want %q", c.in, c.columns, got, c.want)
		}
	}
}

func TestPageAlignsByWidth(t *testing.T) {
	var out bytes.Buffer
	p := newPage(&out, Terminal{Width: 60})
	for _, name := range []string{"alice", "山田太郎", "a-very-long-name-indeed", ""} {
		p.fit(plain, name, 10).space(2).right(plain, "12", 5).space(2).put(plain, "end")
		p.end()
	}
	if err := p.flush(); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"alice          12  end",
		"山田太郎       12  end",
		"a-very-lo…     12  end",
		"               12  end",
		"",
	}, "\n")
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestPageWraps(t *testing.T) {
	var out bytes.Buffer
	p := newPage(&out, Terminal{Width: 60})
	p.wrap(plain, 30, "the token was issued by the consumer tenant but opened a mailbox of an organisation")
	p.wrap(plain, 30, strings.Repeat("x", 45))
	p.put(plain, "id").space(2).wrap(plain, 4, "the token was issued by the consumer tenant but opened a mailbox of an organisation")
	if err := p.flush(); err != nil {
		t.Fatal(err)
	}
	want := `                              the token was issued by the
                              consumer tenant but opened a
                              mailbox of an organisation
                              xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
                              xxxxxxxxxxxxxxx
id  the token was issued by the consumer tenant but opened a
    mailbox of an organisation
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestPageColorsOnlyTerminals(t *testing.T) {
	for _, c := range []struct {
		color bool
		want  string
	}{{true, "\x1b[31mred\x1b[0m\n"}, {false, "red\n"}} {
		var out bytes.Buffer
		p := newPage(&out, Terminal{Color: c.color})
		p.line(red, "red")
		if err := p.flush(); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.want {
			t.Errorf("color %v: %q, want %q", c.color, out.String(), c.want)
		}
	}
}

var ownSequences = regexp.MustCompile("\x1b\\[[0-9;]+m")

// mustBeHarmless fails if anything but text and line breaks has left the page.
func mustBeHarmless(t *testing.T, out string, columns int) {
	t.Helper()
	out = ownSequences.ReplaceAllString(out, "")
	if !utf8.ValidString(out) {
		t.Fatalf("not UTF-8: %q", out)
	}
	for _, r := range out {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029') {
			t.Fatalf("%U leaves the page: %q", r, out)
		}
	}
	for line := range strings.SplitSeq(out, "\n") {
		if w := width(line); columns > 0 && w > columns {
			t.Fatalf("a line takes %d columns of %d: %q", w, columns, line)
		}
	}
}

func FuzzPage(f *testing.F) {
	f.Add("\x1b[2J\u202eevil\r\n", uint8(80), true)
	f.Add("山田\xff\u0301\u0301\u0301\u0301\u0301\u0301", uint8(0), false)
	f.Add("👩‍👩‍👧‍👦 🇩🇪 ﷽", uint8(44), true)
	f.Fuzz(func(t *testing.T, text string, columns uint8, color bool) {
		term := Terminal{Width: int(columns), Color: color}
		if !color {
			if strings.Contains(render(t, term, text), "\x1b") {
				t.Fatal("an escape sequence without colour")
			}
		}
		if columns > 0 {
			columns = max(columns, minWidth)
		}
		mustBeHarmless(t, render(t, term, text), int(columns))
		if escape(escape(text)) != escape(text) {
			t.Fatalf("escaping %q twice changes it", text)
		}
	})
}

func render(t *testing.T, term Terminal, text string) string {
	t.Helper()
	var out bytes.Buffer
	p := newPage(&out, term)
	p.line(red, text)
	p.fit(bold, text, 12).space(1).right(plain, text, 7).put(faint, text)
	p.end()
	p.wrap(faint, 10, text)
	if err := p.flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

package cli

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Terminal is what is known of the screen behind a stream. The zero value is a file or a pipe.
type Terminal struct {
	Interactive bool // a person sits before it
	Width       int  // columns; 0: no limit
	Color       bool
}

// style is the parameter of an ANSI "select graphic rendition" sequence.
type style string

const (
	plain   style = ""
	bold    style = "1"
	faint   style = "2"
	red     style = "31"
	green   style = "32"
	yellow  style = "33"
	cyan    style = "36"
	boldRed style = "1;31"
	alarm   style = "1;37;41" // white on red
)

// maxColumns bounds a text on the page where the terminal does not: in a file or a pipe.
const maxColumns = 400

// page writes text for people. Every text that it is given may have been written by an attacker, so each is escaped
// here, at the only door: no control character, escape sequence or change of direction gets past it.
type page struct {
	w     *bufio.Writer
	term  Terminal
	blank int // spaces that are due before the next text of this line
	used  int // columns of the line that are taken
}

// minWidth is the narrowest terminal that the page fits itself to. A narrower one breaks the lines as it likes.
const minWidth = 60

func newPage(w io.Writer, t Terminal) *page {
	if t.Width > 0 {
		t.Width = max(t.Width, minWidth)
	}
	return &page{w: bufio.NewWriter(w), term: t}
}

// put writes the text, as much of it as the line holds.
func (p *page) put(st style, text string) *page {
	most := maxColumns
	if p.term.Width > 0 {
		most = p.term.Width - p.used
	}
	return p.write(st, cut(escape(text), most))
}

// fit writes the text cut and padded to the columns.
func (p *page) fit(st style, text string, columns int) *page {
	text = cut(escape(text), columns)
	return p.write(st, text).space(columns - width(text))
}

// right writes the text cut to the columns and set to their right.
func (p *page) right(st style, text string, columns int) *page {
	text = cut(escape(text), columns)
	return p.space(columns-width(text)).write(st, text)
}

// space leaves columns blank. Blanks at the end of a line are never written.
func (p *page) space(columns int) *page {
	p.blank += columns
	p.used += columns
	return p
}

// end ends the line.
func (p *page) end() {
	p.blank, p.used = 0, 0
	p.w.WriteByte('\n')
}

// line is a line of one text.
func (p *page) line(st style, text string) { p.put(st, text).end() }

// wrap writes the text and ends the line, on as many lines as it needs. All but the first are indented, and so is the
// first unless the line is further already.
func (p *page) wrap(st style, indent int, text string) {
	const least = 20 // columns that are worth starting in
	columns := maxColumns
	if p.term.Width > 0 {
		columns = p.term.Width
	}
	text = cut(escape(text), 4*columns)
	for text != "" {
		room := columns - max(indent, p.used)
		if room < least && p.used > indent {
			p.end()
			continue
		}
		row := text
		if width(text) > room {
			row = head(text, room)
			if i := strings.LastIndexByte(text[:len(row)+1], ' '); i > 0 {
				row = row[:i]
			}
		}
		p.space(max(indent-p.used, 0)).write(st, row).end()
		text = strings.TrimLeft(text[len(row):], " ")
	}
	if p.used > 0 {
		p.end()
	}
}

func (p *page) flush() error {
	if err := p.w.Flush(); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// write is the end of all roads: text is escaped already.
func (p *page) write(st style, text string) *page {
	if text == "" {
		return p
	}
	for ; p.blank > 0; p.blank-- {
		p.w.WriteByte(' ')
	}
	p.used += width(text)
	if st == plain || !p.term.Color {
		p.w.WriteString(text)
		return p
	}
	p.w.WriteString("\x1b[" + string(st) + "m" + text + "\x1b[0m")
	return p
}

// maxMarks is how many combining marks a character may carry. Real scripts stay below it; piled up, they paint over
// the lines above.
const maxMarks = 4

// escape makes a text safe for one line of a terminal. What Go does not call printable is written as in a Go string:
// control characters, escape sequences, changes of direction, invisible characters, line breaks, bytes that are not UTF-8.
func escape(s string) string {
	clean, marks := true, 0
	for _, r := range s {
		if marks = countMarks(r, marks); r == utf8.RuneError || !strconv.IsPrint(r) || marks > maxMarks {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	marks = 0
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		marks = countMarks(r, marks)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case marks > maxMarks:
			fmt.Fprintf(&b, `\u%04x`, r)
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[n:]
	}
	return b.String()
}

func countMarks(r rune, before int) int {
	if unicode.Is(unicode.M, r) {
		return before + 1
	}
	return 0
}

// width is the number of columns that an escaped text takes.
func width(s string) int {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return uniseg.StringWidth(s)
		}
	}
	return len(s)
}

// cut shortens an escaped text to the columns, with "…" in place of what is missing.
func cut(s string, columns int) string {
	if columns <= 0 {
		return ""
	}
	if width(s) <= columns {
		return s
	}
	return head(s, columns-1) + "…"
}

// head is the longest part of an escaped text, from its start, that the columns hold.
func head(s string, columns int) string {
	end, used, state, rest := 0, 0, -1, s
	for rest != "" {
		var cluster string
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used += w; used > columns {
			break
		}
		end += len(cluster)
	}
	return s[:end]
}

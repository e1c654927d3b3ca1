package envelope

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// FuzzReader reads any bytes as a file. Reading ends; what is read does not depend on how the bytes arrive nor on how much
// is held at once; records stand in the text in order and without overlap; little more than a record is held; and
// of valid JSON nothing is lost.
func FuzzReader(f *testing.F) {
	for _, c := range readerCases {
		f.Add([]byte(c.in))
	}
	for _, m := range bodySeeds {
		f.Add([]byte(m))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		text := string(data)
		whole := readAll(t, NewReader(strings.NewReader(text), "f"), len(text))
		if want, ok := referenceFile(text); ok && !torn(text) && recognised(text) {
			same(t, lines(whole), want)
		}
		if !strings.HasPrefix(text, gzipMagic) {
			ordered(t, text, whole)
		}

		const limit = 200
		r := rand.New(rand.NewPCG(uint64(len(data)), 1))
		for _, ahead := range []int{0, 40} {
			want := readAll(t, chunked(strings.NewReader(text), 1<<20, ahead, limit), len(text))
			for _, chunk := range []int{1, 1 + r.IntN(30), 1 + r.IntN(1000)} {
				c := chunked(iotest.HalfReader(strings.NewReader(text)), chunk, ahead, limit)
				same(t, lines(readAll(t, c, len(text))), lines(want))
			}
			for _, e := range want {
				if len(e.rec.Body) > limit && e.rec.Body[0] != '{' { // a row of a table grows by its column names
					t.Fatalf("a record of %d bytes", len(e.rec.Body))
				}
			}
		}
	})
}

// entry is what Next returned.
type entry struct {
	rec  Record
	part *Broken
}

func (e entry) String() string {
	if e.part != nil {
		return e.part.Error() + " " + e.part.Copy
	}
	return e.rec.Origin.String() + " " + e.rec.Body
}

func lines(list []entry) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = e.String()
	}
	return out
}

// readAll reads to the end. Each entry takes at least a byte of the text, but for what only the end can tell.
func readAll(t *testing.T, r interface{ Next() (Record, error) }, size int) []entry {
	t.Helper()
	var out []entry
	for {
		rec, err := r.Next()
		part := (*Broken)(nil)
		switch {
		case errors.Is(err, io.EOF):
			return out
		case errors.As(err, &part):
			if len(part.Copy) > MaxCopy || part.Reason == "" || part.Detail == "" {
				t.Fatalf("set aside without bounds or reason: %+v", part)
			}
			out = append(out, entry{part: part})
		case err != nil:
			t.Fatal(err)
		default:
			if rec.Body == "" {
				t.Fatal("an empty record")
			}
			out = append(out, entry{rec: rec})
		}
		if c, ok := r.(*Reader); ok && c.chunk < 1<<10 && holds(c) > 4*(c.limit+c.chunk+MaxCopy) {
			t.Fatalf("%d bytes are held", holds(c))
		}
		if len(out) > 2*size+2 {
			t.Fatal("no end")
		}
	}
}

// ordered checks that the records of a text are parts of it, one behind the other, on the lines that they claim.
func ordered(t *testing.T, text string, list []entry) {
	t.Helper()
	at, last := 0, int64(0)
	for _, e := range list {
		o := e.rec.Origin
		if e.part != nil {
			o = e.part.Origin
		}
		if o.Line < last {
			t.Fatalf("line %d behind line %d", o.Line, last)
		}
		last = o.Line
		if e.part != nil || o.Message > 0 {
			continue // from an array of strings, perhaps
		}
		n := strings.Index(text[at:], e.rec.Body)
		if n < 0 {
			return // a string, a table, or compressed
		}
		// The same text may stand earlier, in what was set aside: the line decides.
		for int64(1+strings.Count(text[:at+n], "\n")) < o.Line {
			m := strings.Index(text[at+n+1:], e.rec.Body)
			if m < 0 {
				return
			}
			n += 1 + m
		}
		if got := int64(1 + strings.Count(text[:at+n], "\n")); got != o.Line {
			t.Fatalf("%q stands on line %d, not %d", e.rec.Body, got, o.Line)
		}
		at += n + len(e.rec.Body)
	}
}

// recognised reports whether a valid text looks like a log at all.
func recognised(text string) bool {
	start := trimBlank(text)
	_, table := asTable(window{text: text, err: io.EOF, line: 1, lfFrom: 1}, Origin{}, MaxRecord)
	return !table && (start == "" || looksLikeJSON(start))
}

// torn reports whether the text could be lines of which some are torn: what follows a line end is then taken for a new
// record, though JSON would allow it to go on.
func torn(text string) bool {
	return strings.Contains(text, "\n{") || strings.Contains(text, "\n[")
}

var bodySeeds = []string{
	`{"records":[{"a":1},{"b":"\u0022"}]}`,
	`"[\"{\\\"records\\\":[{\\\"category\\\":\\\"SignInLogs\\\",\\\"time\\\":\\\"2026-03-01T10:00:00Z\\\"}]}\",\"{\\\"records\\\":[]}\"]"`,
	`"[\"eyJyZWNvcmRzIjpbeyJjYXRlZ29yeSI6IlNpZ25JbkxvZ3MiLCJ0aW1lIjoiMjAyNi0wMy0wMVQxMDowMDowMFoifV19\",\"eyJyZWNvcmRzIjpbXX0=\"]"`,
	`[{"records":[{"category":"SignInLogs"}]},{"records":[]}]`,
	`"\"{\\\"records\\\":[{\\\"category\\\":\\\"SignInLogs\\\"}]}\""`,
	`"eyJyZWNvcmRzIjpbXX0="`,
	`"[{\"a\":1},\"{\\\"a\\\":2}\",[\"{}\"],null]"`,
	`["{\"a\":1}","[{\"a\":\"\\u005c\"}]"]`,
	`"[\u0022{\u005c\u0022a\u005c\u0022:1}\u0022,\u0022{\\\u0022b\\\u0022:\u005c\"\u005c\\\\\u005c\\\"}\"]"`,
	`"[\"{\\\"a\\\":1}\",\"{\\ud83d}\",\"{\\ud83d\\ude00}\",\"{\ud83d\ude00}\"]"`,
}

// FuzzBody reads any bytes as a payload, and as messages of a payload in all forms. Reading ends, the messages come in
// order, and where all layers are valid JSON the records are those that the reference finds layer by layer.
func FuzzBody(f *testing.F) {
	for _, s := range bodySeeds {
		f.Add([]byte(s), uint64(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		if len(data) > 64<<10 {
			return
		}
		body := string(data)
		agrees(t, body)
		if !utf8.ValidString(body) {
			return
		}
		messages := strings.Split(body, "\x00")
		r := rand.New(rand.NewPCG(seed, 2))
		for _, form := range forms {
			if strings.Contains(form.name, "objects") || form.name == "object" || form.single && len(messages) > 1 {
				continue
			}
			agrees(t, form.encode(messages, plainQuote))
			agrees(t, form.encode(messages, wildQuote(r)))
		}
	})
}

// agrees compares Body with the reference.
func agrees(t *testing.T, body string) {
	t.Helper()
	got := readAll(t, Body(body, Origin{Source: "hub"}), len(body))
	last := 0
	for _, e := range got {
		o := e.rec.Origin
		if e.part != nil {
			o = e.part.Origin
		}
		if o.Message > 0 && o.Message < last { // 0: behind what should have been the end
			t.Fatalf("message %d behind message %d", o.Message, last)
		}
		last = max(last, o.Message)
	}
	want, ok := referenceBody(body)
	if !ok || torn(body) {
		return
	}
	for i, e := range got {
		if e.part != nil {
			got[i].rec, got[i].part = Record{Origin: e.part.Origin, Body: "!" + e.part.Reason}, nil
		}
	}
	same(t, lines(got), want)
}

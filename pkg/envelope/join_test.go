package envelope

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/assay-sec/assay/pkg/bench/corpus"
)

// joins are the ways in which records stand in a file.
var joins = []struct {
	name string
	join func(records []string) string
}{
	{"lines", func(r []string) string { return strings.Join(r, "\n") + "\n" }},
	{"lines without the last end", func(r []string) string { return strings.Join(r, "\n") }},
	{"lines with CRLF", func(r []string) string { return strings.Join(r, "\r\n") + "\r\n" }},
	{"nothing between", func(r []string) string { return strings.Join(r, "") }},
	{"commas between", func(r []string) string { return strings.Join(r, ",\n") }},
	{"array", func(r []string) string { return "[" + strings.Join(r, ",") + "]" }},
	{"array on lines", func(r []string) string { return "[\n" + strings.Join(r, ",\n") + "\n]\n" }},
	{"indented array", func(r []string) string { return "[\n  " + strings.Join(r, ",\n  ") + "\n]\n" }},
	{"batch", func(r []string) string { return `{"records":[` + strings.Join(r, ",") + `]}` }},
	{"batches", func(r []string) string {
		var b strings.Builder
		for chunk := range slices.Chunk(r, 3) {
			b.WriteString(`{"records":[` + strings.Join(chunk, ",") + `],"last":true}` + "\n")
		}
		return b.String()
	}},
	{"answer of Graph", func(r []string) string { return `{"@odata.context":"x","value":[` + strings.Join(r, ",") + `]}` }},
	{"answers of Graph", func(r []string) string {
		return `[{"@odata.context":"x","value":[` + strings.Join(r[:2], ",") + `]},{"value":[` + strings.Join(r[2:], ",") + `]}]`
	}},
	{"strings", func(r []string) string { return "[" + each(r, plainQuote) + "]" }},
	{"string of strings", func(r []string) string { return plainQuote("[" + each(r, plainQuote) + "]") }},
}

// wraps are what a file may be wrapped in.
var wraps = []struct {
	name string
	wrap func(text string) string
}{
	{"plain", func(s string) string { return s }},
	{"mark", func(s string) string { return byteOrderMark + s }},
	{"gzip", zip},
	{"gzip in parts", func(s string) string { return zip(s[:len(s)/3]) + zip(s[len(s)/3:]) }},
	{"UTF-16", func(s string) string {
		out := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(s)) {
			out = append(out, byte(u), byte(u>>8))
		}
		return string(out)
	}},
}

// unsteady reads pieces of random size.
type unsteady struct {
	r   io.Reader
	rnd *rand.Rand
}

func (u unsteady) Read(p []byte) (int, error) {
	return u.r.Read(p[:min(len(p), u.rnd.IntN(1+u.rnd.IntN(5000)))])
}

// TestJoin puts records together in all ways and reads them back.
func TestJoin(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	records := append(corpus.Records(7, 12), `{}`, `{"a":"\"}{[]\\","b":[{"records":[1]},{}]}`, `{"records":{"x":[]},"value":"y"}`,
		`{"x":"`+strings.Repeat("é😀 ", 10_000)+`"}`, `{"b":[[[]]],"c":{"d":-1.5e-3,"e":[true,false,null]}}`)
	var pretty []string
	for _, r := range records {
		var b bytes.Buffer
		if err := json.Indent(&b, []byte(r), "    ", "  "); err != nil {
			t.Fatal(err)
		}
		pretty = append(pretty, b.String())
	}
	for _, j := range joins {
		for _, w := range wraps {
			t.Run(j.name+", "+w.name, func(t *testing.T) {
				for _, list := range [][]string{records, pretty} {
					list = slices.Clone(list)
					rnd.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
					text := w.wrap(j.join(list))
					r := NewReader(unsteady{strings.NewReader(text), rnd}, "f")
					r.chunk = 1 + rnd.IntN(chunkSize)
					for i, want := range list {
						rec, err := r.Next()
						if err != nil {
							t.Fatal(err)
						}
						if rec.Body != want {
							t.Fatalf("record %d is %.200q, want %.200q", i, rec.Body, want)
						}
					}
					if _, err := r.Next(); !errors.Is(err, io.EOF) {
						t.Fatalf("behind the last record: %v", err)
					}
				}
			})
		}
	}
}

// TestRows writes cells as CSV and reads them back.
func TestRows(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	pieces := []string{"a", `"`, `""`, ",", "\n", " ", "é", `\`, "{", "\t", "1", "\"\n\"", ";"}
	header := []string{"Type", "Category", "A", "AuditData"}
	for range 300 {
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		w.UseCRLF = rnd.IntN(2) == 0
		_ = w.Write(header)
		var want []map[string]string
		for range rnd.IntN(20) {
			row, object := make([]string, len(header)), map[string]string{}
			for i := range row {
				for range rnd.IntN(6) {
					row[i] += pieces[rnd.IntN(len(pieces))]
				}
				if row[i] != "" {
					object[header[i]] = row[i]
				}
			}
			_ = w.Write(row)
			if len(object) > 0 {
				want = append(want, object)
			}
		}
		w.Flush()
		r := chunked(strings.NewReader(b.String()), 1+rnd.IntN(100), 0, MaxRecord)
		for i, object := range want {
			rec, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]string
			if err := json.Unmarshal([]byte(rec.Body), &got); err != nil {
				t.Fatalf("%q: %v", rec.Body, err)
			}
			for k, v := range object {
				if w.UseCRLF {
					v = strings.ReplaceAll(v, "\n", "\r\n")
				}
				if got[k] != v || len(got) != len(object) {
					t.Fatalf("row %d of %q: got %q, want %q", i, b.String(), got, object)
				}
			}
		}
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Fatalf("behind the last row: %v", err)
		}
	}
}

// repeated is a source that gives each text so many times.
type repeated struct {
	parts []part
	left  string
}

type part struct {
	text  string
	times int
}

func (r *repeated) Read(b []byte) (int, error) {
	for r.left == "" {
		if len(r.parts) == 0 {
			return 0, io.EOF
		}
		if r.left = r.parts[0].text; r.parts[0].times == 0 {
			r.left, r.parts = "", r.parts[1:]
			continue
		}
		r.parts[0].times--
	}
	n := copy(b, r.left)
	r.left = r.left[n:]
	return n, nil
}

// TestLarge reads texts that are much larger than what may be held, with a record in the middle that is too large.
func TestLarge(t *testing.T) {
	const times, limit, chunk = 2000, 256 << 10, 64 << 10
	small := corpus.Records(1, 1)[0]
	filling := strings.Repeat("y", 1<<20)
	row := `a,"` + strings.ReplaceAll(small, `"`, `""`) + `"` + "\n"
	for _, c := range []struct {
		name  string
		parts []part
	}{
		{"array", []part{{"[", 1}, {small + ",", times}, {`{"x":"`, 1}, {filling, 10}, {`"}`, 1}, {"," + small, times}, {"]", 1}}},
		{"batch", []part{{`{"records":[`, 1}, {small + ",\n", times}, {`{"x":"`, 1}, {filling, 10}, {`"}`, 1}, {"," + small, times}, {"]}", 1}}},
		{"lines", []part{{small + "\n", times}, {`{"x":"`, 1}, {filling, 10}, {`"}` + "\n", 1}, {small + "\n", times}}},
		{"table", []part{{"Type,AuditData\n", 1}, {row, times}, {`a,"`, 1}, {filling, 10}, {"\"\n", 1}, {row, times}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewReader(&repeated{parts: c.parts}, "f")
			r.limit, r.chunk = limit, chunk
			records, broken := 0, 0
			for {
				rec, err := r.Next()
				part := (*Broken)(nil)
				switch {
				case errors.As(err, &part):
					if broken++; part.Reason != reasonSize || len(part.Copy) != MaxCopy {
						t.Errorf("%s with a copy of %d bytes", part.Reason, len(part.Copy))
					}
				case err == nil && len(rec.Body) <= len(row)+100:
					records++
				case err == nil:
					t.Fatalf("a record of %d bytes", len(rec.Body))
				case !errors.Is(err, io.EOF):
					t.Fatal(err)
				}
				if errors.Is(err, io.EOF) {
					break
				}
				if n := holds(r); n > 3*limit+chunk {
					t.Fatalf("%d bytes are held", n)
				}
			}
			if broken != 1 || records != 2*times {
				t.Errorf("%d records and %d parts set aside, want %d and 1", records, broken, 2*times)
			}
		})
	}
}

// holds returns how much of the text is in memory.
func holds(r *Reader) int {
	switch s := r.from.(type) {
	case *splitter:
		return len(s.text)
	case *table:
		return len(s.text)
	}
	return 0
}

package envelope

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// read reads all of r into lines: "place body" for a record, "place !reason" for a part that is broken.
func read(t *testing.T, r *Reader) []string {
	t.Helper()
	var out []string
	for range 1 << 20 {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			b := (*Broken)(nil)
			if !errors.As(err, &b) {
				return append(out, "error: "+err.Error())
			}
			out = append(out, b.Origin.String()+" !"+b.Reason)
			continue
		}
		out = append(out, rec.Origin.String()+" "+rec.Body)
	}
	t.Fatal("the reader does not end")
	return nil
}

func zip(s string) string {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.HuffmanOnly)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

var readerCases = []struct {
	name string
	in   string
	want []string
}{
	{"empty", "", nil},
	{"blank", " \r\n\t\n", nil},
	{"only a mark", "\ufeff", nil},
	{"single record", `{"a":1}`, []string{`f:1 {"a":1}`}},
	{"lines", "{\"a\":1}\n{\"a\":2}\n", []string{`f:1 {"a":1}`, `f:2 {"a":2}`}},
	{"lines with CRLF and blank lines", "{\"a\":1}\r\n\r\n{\"a\":2}\r\n", []string{`f:1 {"a":1}`, `f:3 {"a":2}`}},
	{"lines behind a mark", "\ufeff{\"a\":1}\n{\"a\":2}", []string{`f:1 {"a":1}`, `f:2 {"a":2}`}},
	{"files put together", "\ufeff{\"a\":1}\n\ufeff{\"a\":2}", []string{`f:1 {"a":1}`, `f:2 {"a":2}`}},
	{"put together without lines", `{"a":1}{"a":2} {"a":3}`, []string{`f:1 {"a":1}`, `f:1 {"a":2}`, `f:1 {"a":3}`}},
	{"several on some lines", "{\"a\":1}{\"a\":2}\n{\"a\":3}\n", []string{`f:1 {"a":1}`, `f:1 {"a":2}`, `f:2 {"a":3}`}},
	{"commas behind lines", "{\"a\":1},\n{\"a\":2},\n", []string{`f:1 {"a":1}`, `f:2 {"a":2}`}},
	{
		"pretty", "{\n  \"a\": {\n    \"b\": [\n      {}\n    ]\n  }\n}\n{\n  \"a\": 2\n}\n",
		[]string{"f:1 {\n  \"a\": {\n    \"b\": [\n      {}\n    ]\n  }\n}", "f:8 {\n  \"a\": 2\n}"},
	},
	{"array", `[{"a":1},{"a":[{"a":2}]}]`, []string{`f:1#1 {"a":1}`, `f:1#2 {"a":[{"a":2}]}`}},
	{"array of nothing", `[]`, nil},
	{
		"pretty array", "[\n  {\n    \"a\": 1\n  },\n  {\n    \"a\": 2\n  }\n]\n",
		[]string{"f:2#1 {\n    \"a\": 1\n  }", "f:5#2 {\n    \"a\": 2\n  }"},
	},
	{"array with a record a line", "[\n{\"a\":1},\n{\"a\":2}\n]", []string{`f:2#1 {"a":1}`, `f:3#2 {"a":2}`}},
	{
		"array with scalars", `[{"a":1},null,-12e3,true]`,
		[]string{`f:1#1 {"a":1}`, `f:1#2 null`, `f:1#3 -12e3`, `f:1#4 true`},
	},
	{"batch", `{"records":[{"a":1},{"a":2}]}`, []string{`f:1#1 {"a":1}`, `f:1#2 {"a":2}`}},
	{"empty batch", `{"records":[]}`, nil},
	{
		"batch behind other members", `{"time":"x","n":{"records":[1]},"records" : [ {"a":1} ],"more":[{}]} {"a":2}`,
		[]string{`f:1#1 {"a":1}`, `f:1 {"a":2}`},
	},
	{
		"batches on lines", "{\"records\":[{\"a\":1},{\"a\":2}]}\n{\"records\":[{\"a\":3}]}\n",
		[]string{`f:1#1 {"a":1}`, `f:1#2 {"a":2}`, `f:2#1 {"a":3}`},
	},
	{
		"batches in an array", `[{"records":[{"a":1},{"a":2}]},{"records":[{"a":3}]}]`,
		[]string{`f:1#1#1 {"a":1}`, `f:1#1#2 {"a":2}`, `f:1#2#1 {"a":3}`},
	},
	{"batches in a batch", `{"records":[{"records":[{"a":1}]},{"a":2}]}`, []string{`f:1#1#1 {"a":1}`, `f:1#2 {"a":2}`}},
	{
		"Graph", `{"@odata.context":"u","@odata.nextLink":"v","value":[{"id":1},{"id":2}]}`,
		[]string{`f:1#1 {"id":1}`, `f:1#2 {"id":2}`},
	},
	{"a record with a value", `{"id":1,"value":[{"id":2}]}`, []string{`f:1 {"id":1,"value":[{"id":2}]}`}},
	{
		"a record with records deeper", `{"id":1,"x":{"records":[{"id":2}]}}`,
		[]string{`f:1 {"id":1,"x":{"records":[{"id":2}]}}`},
	},
	{"brackets and quotes in strings", `[{"a":"}]\"{[\\"},{"a":2}]`, []string{`f:1#1 {"a":"}]\"{[\\"}`, `f:1#2 {"a":2}`}},
	{"brackets in strings on a line", "{\"a\":\"}{\"}\n{\"a\":\"} [\"}\n", []string{`f:1 {"a":"}{"}`, `f:2 {"a":"} ["}`}},
	{
		"strings of JSON", `["{\"a\":1}","[{\"a\":2},{\"a\":3}]"]`,
		[]string{`f:1#1#1 {"a":1}`, `f:1#2#1 {"a":2}`, `f:1#2#2 {"a":3}`},
	},
	{"string of strings", `"[\"{\\\"records\\\":[{\\\"a\\\":\\\"\\\\u0022\\\"}]}\"]"`, []string{`f:1#1#1 {"a":"\u0022"}`}},
	{"strings of base64", `["eyJyZWNvcmRzIjpbXX0=","eyJyZWNvcmRzIjpbeyJhIjoxfV19"]`, []string{`f:1#2#1 {"a":1}`}},

	{"a torn line", "{\"a\":1}\n{\"a\":{\"b\":\n{\"a\":3}\n", []string{`f:1 {"a":1}`, `f:2 !invalid-json`, `f:3 {"a":3}`}},
	{
		"a torn first line", "{\"a\":{\"b\":\n{\"a\":2}\n{\"a\":3}\n",
		[]string{`f:1 !invalid-json`, `f:2 {"a":2}`, `f:3 {"a":3}`},
	},
	{
		"a line torn in a string", "{\"a\":1}\n{\"a\":\"x\n{\"a\":3}\n",
		[]string{`f:1 {"a":1}`, `f:2 !invalid-json`, `f:3 {"a":3}`},
	},
	{"a torn last line", "{\"a\":1}\n{\"a\":", []string{`f:1 {"a":1}`, `f:2 !invalid-json`}},
	{"a beginning that is missing", "\"x\":2}}\n{\"a\":1}\n", []string{`f:1 !invalid-json`, `f:2 {"a":1}`}},
	{
		"lines that are no JSON", "{\"a\":1}\nhello\nworld\n{\"a\":2}\n",
		[]string{`f:1 {"a":1}`, `f:2 !invalid-json`, `f:4 {"a":2}`},
	},
	{"text behind a record", "{\"a\":1} hello\n{\"a\":2}\n", []string{`f:1 {"a":1}`, `f:1 !invalid-json`, `f:2 {"a":2}`}},
	{
		"a bare quote in a line", "{\"a\":1}\n{\"a\":\"x\"y\"}\n{\"a\":3}\n",
		[]string{`f:1 {"a":1}`, `f:2 {"a":"x"y"}`, `f:3 {"a":3}`},
	},
	{
		"a missing quote in an array", `[{"a":"1"},{"a":"2},{"a":"3"},{"a":"4"}]`,
		[]string{`f:1#1 {"a":"1"}`, `f:1#2 !invalid-json`, `f:1#3 {"a":"3"}`, `f:1#4 {"a":"4"}`},
	},
	{"a bare quote in a batch", `{"records":[{"a":"x"y"},{"a":2}],"n":1}`, []string{`f:1#1 !invalid-json`, `f:1#2 {"a":2}`}},
	{
		"a torn record in an array", `[{"a":1},{"a":{"b":,{"a":3}]`,
		[]string{`f:1#1 {"a":1}`, `f:1#2 !invalid-json`, `f:1#3 {"a":3}`},
	},
	{
		"brackets that do not match", `[{"a":1},{"a":[},{"a":3}]`,
		[]string{`f:1#1 {"a":1}`, `f:1#2 !invalid-json`, `f:1#3 {"a":3}`},
	},
	{"balanced nonsense", `[{"a":1},{"a":2,,},{"a":3}]`, []string{`f:1#1 {"a":1}`, `f:1#2 {"a":2,,}`, `f:1#3 {"a":3}`}},
	{"a broken record in a pretty array", "[\n  {\n    \"a\": \"x\"y\",\n    \"b\": [\n      {\n        \"a\": 1\n      }\n    ]\n  },\n" +
		"  {\n    \"a\": 2\n  }\n]\n", []string{`f:2#1 !invalid-json`, "f:10#2 {\n    \"a\": 2\n  }"}},
	{
		"nested records that start alike", `[{"id":"1","t":1,"p":[{"id":"x"y"},{"id":"z","d":1}]},{"id":"2","t":1}]`,
		[]string{`f:1#1 !invalid-json`, `f:1#2 {"id":"2","t":1}`},
	},
	{
		"a broken batch among lines", "{\"records\":[{\"a\":\"x\"y\"}]}\n{\"records\":[{\"a\":2}]}\n",
		[]string{`f:1#1 !invalid-json`, `f:2#1 {"a":2}`},
	},
	{"an array that ends too early", `[{"a":1},{"a":2}`, []string{`f:1#1 {"a":1}`, `f:1#2 {"a":2}`, `f:1#2 !invalid-json`}},
	{"a batch that ends too early", `{"records":[{"a":1},{"a":2`, []string{`f:1#1 {"a":1}`, `f:1#2 !invalid-json`}},
	{"nothing that can be read again", `[{"a":1},{"b":"x"y"},{"c":3}]`, []string{`f:1#1 {"a":1}`, `f:1#2 !invalid-json`}},
	{"a broken array among lines", "[{\"a\":\"x\"y\"}]\n[{\"a\":2}]\n", []string{`f:1#1 !invalid-json`, `f:2#1 {"a":2}`}},
	{
		"no name to go by", `["",hello,{"a":1},{bad},{"a":3}]`,
		[]string{`f:1#2 !invalid-json`, `f:1#3 {"a":1}`, `f:1#4 {bad}`, `f:1#5 {"a":3}`},
	},
	{
		"torn lines alone", "{\"a\":\n{\"a\":\n{\"a\":3}\n{\"a\":\n",
		[]string{`f:1 !invalid-json`, `f:2 !invalid-json`, `f:3 {"a":3}`, `f:4 !invalid-json`},
	},
	{"the CSV of the Entra portal", "Date (UTC),Request ID\n", []string{`f !unrecognised-format`}},
	{"stray brackets", "{\"a\":1}]}\n{\"a\":2}\n", []string{`f:1 {"a":1}]}`, `f:2 {"a":2}`}},
	{"text", "hello\nworld\n", []string{`f !unrecognised-format`}},
	{"an archive", "PK\x03\x04{", []string{`f !unrecognised-format`}},

	{
		"Purview", "RecordId,CreationDate,AuditData\r\n1,2,\"{\"\"Id\"\":\"\"a\\\"\"b\"\"}\"\r\n",
		[]string{`f:2 {"RecordId":"1","CreationDate":"2","AuditData":"{\"Id\":\"a\\\"b\"}"}`},
	},
	{
		"Log Analytics", "\ufeffType,TimeGenerated [UTC],UserId\nSigninLogs,\"4/28/2021, 2:54:37.000 PM\",\nSigninLogs,,\"a\r\nb\"",
		[]string{`f:2 {"Type":"SigninLogs","TimeGenerated":"4/28/2021, 2:54:37.000 PM"}`, `f:3 {"Type":"SigninLogs","UserId":"a\r\nb"}`},
	},
	{
		"PowerShell", "#TYPE Selected.X\r\n\"RecordType\";\"AuditData\"\r\n\"1\";\"{}\"\r\n\r\n;\r\n",
		[]string{`f:3 {"RecordType":"1","AuditData":"{}"}`},
	},
	{
		"rows of the wrong length", "Type,Category\na,b\nc\nd,e,f\ng,h\n",
		[]string{`f:2 {"Type":"a","Category":"b"}`, `f:3 !invalid-csv`, `f:4 !invalid-csv`, `f:5 {"Type":"g","Category":"h"}`},
	},
	{"a bare quote in a row", "Type,Category\na,\"b\"c\"\nd,e\"f\ng,h\n", []string{`f:2 !invalid-csv`, `f:4 {"Type":"g","Category":"h"}`}},
	{
		"an open quote", "Type,Category\na,\"b\nc,d\ne,f\n",
		[]string{`f:2 !invalid-csv`, `f:3 {"Type":"c","Category":"d"}`, `f:4 {"Type":"e","Category":"f"}`},
	},
	{
		"an open quote before others", "Type,Category\na,\"b\n\"c\",d\n\"e\",\"f\"\n",
		[]string{`f:2 !invalid-csv`, `f:3 {"Type":"c","Category":"d"}`, `f:4 {"Type":"e","Category":"f"}`},
	},
	{"CSV of something else", "name,colour\nx,red\n", []string{`f !unrecognised-format`}},
	{"a header alone", "Type,Category", nil},
	{
		"torn gzip of CSV", strings.TrimSuffix(zip("Type,Category\na,b\nc,d"), "\x00\x00\x00"),
		[]string{`f:2 {"Type":"a","Category":"b"}`, `f:3 !invalid-gzip`},
	},

	{"gzip", zip("{\"a\":1}\n{\"a\":2}\n"), []string{`f:1 {"a":1}`, `f:2 {"a":2}`}},
	{"gzip in parts", zip("{\"a\":1}\n{\"a\"") + zip(":2}\n"), []string{`f:1 {"a":1}`, `f:2 {"a":2}`}},
	{"gzip of nothing", zip(""), nil},
	{"gzip of a mark", zip("\ufeff[{\"a\":1}]"), []string{`f:1#1 {"a":1}`}},
	{"a torn gzip header", "\x1f\x8b\x08", []string{`f !invalid-gzip`}},
	{"gzip without its end", strings.TrimSuffix(zip("{\"a\":1}\n"), "\x00\x00\x00"), []string{`f:1 {"a":1}`, `f:2 !invalid-gzip`}},
	{"UTF-16, little end first", "\xff\xfe{\x00\"\x00\xe9\x00\"\x00:\x001\x00}\x00", []string{`f:1 {"é":1}`}},
	{"UTF-16, big end first", "\xfe\xff\x00{\x00\"\xd8\x3d\xde\x00\x00\"\x00:\x001\x00}", []string{`f:1 {"😀":1}`}},
	{"UTF-16 with half a pair", "\xff\xfe{\x00\"\x00\x3d\xd8\"\x00:\x001\x00}\x00", []string{"f:1 {\"\xed\xa0\xbd\":1}"}},
}

func TestReader(t *testing.T) {
	for _, c := range readerCases {
		t.Run(c.name, func(t *testing.T) {
			same(t, read(t, NewReader(strings.NewReader(c.in), "f")), c.want)
		})
	}
}

// TestChunks cuts the same text in many ways. What is read must not depend on it.
func TestChunks(t *testing.T) {
	for _, c := range readerCases {
		t.Run(c.name, func(t *testing.T) {
			for _, ahead := range []int{0, 10, lookAhead} {
				want := read(t, chunked(strings.NewReader(c.in), 1<<20, ahead, MaxRecord))
				for _, chunk := range []int{1, 2, 3, 7, 64} {
					same(t, read(t, chunked(strings.NewReader(c.in), chunk, ahead, MaxRecord)), want)
				}
				same(t, read(t, chunked(iotest.OneByteReader(strings.NewReader(c.in)), 7, ahead, MaxRecord)), want)
				same(t, read(t, chunked(iotest.DataErrReader(strings.NewReader(c.in)), 7, ahead, MaxRecord)), want)
			}
		})
	}
}

// chunked returns a Reader that holds little.
func chunked(r io.Reader, chunk, ahead, limit int) *Reader {
	c := NewReader(r, "f")
	c.chunk, c.limit = chunk, limit
	if err := c.open(); err != nil {
		c.from = &refused{err}
	}
	// The first chunk has been read whole, to recognise the form. Read it again in pieces.
	again := func(w *window) {
		line := w.line
		*w = newWindow(io.MultiReader(strings.NewReader(w.rest()), rest{w.src, w.err}), chunk)
		w.line, w.ahead = line, ahead
	}
	switch s := c.from.(type) {
	case *splitter:
		again(&s.window)
	case *table:
		again(&s.window)
	}
	return c
}

// rest is a source that goes on where a window was.
type rest struct {
	src io.Reader
	err error
}

func (r rest) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	return r.src.Read(p)
}

type refused struct{ err error }

func (r *refused) next() (Record, error) {
	err := r.err
	r.err = io.EOF
	return Record{}, err
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Fatalf("got\n%s\nwant\n%s", g, w)
	}
}

package envelope

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The reasons of a Broken.
const (
	reasonSyntax  = "invalid-json"
	reasonSize    = "record-too-large"
	reasonGzip    = "invalid-gzip"
	reasonCSV     = "invalid-csv"
	reasonUnknown = "unrecognised-format"
)

// Reader reads the records of one file or stream. It recognises the form by itself: JSON of any shape that the package
// document names, CSV, gzip around either, UTF-8 or, with a byte-order mark, UTF-16. It holds one chunk of the text, or
// one record where that is larger. A Reader is not safe for concurrent use.
type Reader struct {
	source *source
	chunk  int
	limit  int
	from   interface{ next() (Record, error) }
}

// NewReader returns a Reader of what r holds. The name of the source, a path or "-", stands in the origin of each record
// and in errors.
func NewReader(r io.Reader, name string) *Reader {
	return &Reader{source: &source{r: r, name: name}, chunk: chunkSize, limit: MaxRecord}
}

// Next returns the next record. The error is io.EOF at the end, a *Broken for a part that cannot be split into records,
// behind which the next call goes on, or else the error of the source, which ends the reading. The body of the record is
// a part of a larger string.
func (r *Reader) Next() (Record, error) {
	if r.from == nil {
		if err := r.open(); err != nil {
			r.from = ended{}
			return Record{}, err
		}
	}
	return r.from.next()
}

// ended is what is left of a source that could not be read at all.
type ended struct{}

func (ended) next() (Record, error) { return Record{}, io.EOF }

// open recognises the form. It returns a *Broken for what is no log.
func (r *Reader) open() error {
	origin := Origin{Source: r.source.name}
	var text io.Reader = r.source
	head, text := peek(text, len(gzipMagic))
	if head == gzipMagic {
		gz, err := inflate(text, r.source)
		if err != nil {
			if b := (*Broken)(nil); errors.As(err, &b) {
				b.Origin = origin
			}
			return err
		}
		text = gz
	}
	switch head, text = peek(text, 2); head {
	case "\xff\xfe":
		text = &utf16Reader{src: text}
	case "\xfe\xff":
		text = &utf16Reader{src: text, bigEndian: true}
	}
	w := newWindow(text, r.chunk)
	w.ensure(lookAhead)
	w.text = strings.TrimPrefix(w.text, byteOrderMark)
	if t, ok := asTable(w, origin, r.limit); ok {
		r.from = t
		return nil
	}
	start := trimBlank(w.text[:min(len(w.text), lookAhead)])
	if start != "" && !looksLikeJSON(start) {
		return &Broken{Reason: reasonUnknown, Detail: unknown(start), Copy: excerpt(w.text), Origin: origin}
	}
	r.from = &splitter{window: w, origin: origin, limit: r.limit}
	return nil
}

// looksLikeJSON reports whether a text that is not empty begins as a log in JSON, or has a line that does: the beginning
// may be torn.
func looksLikeJSON(text string) bool {
	for text != "" {
		after := trimBlank(text[1:])
		switch text[0] {
		case '{':
			if after != "" && (after[0] == '"' || after[0] == '}') {
				return true
			}
		case '[':
			if after != "" && strings.IndexByte(`{["]`, after[0]) >= 0 {
				return true
			}
		case '"':
			if after != "" && strings.IndexByte(`{[\`, after[0]) >= 0 || len(text) > 16 && isBase64(text[1:17]) {
				return true
			}
		}
		_, text, _ = strings.Cut(text, "\n")
		text = strings.TrimLeft(text, "\n")
	}
	return false
}

// unknown says what a text that is no log seems to be.
func unknown(start string) string {
	kind := "neither JSON nor CSV with the columns of a known export"
	switch {
	case strings.HasPrefix(start, "PK\x03\x04"):
		kind = "a zip archive: unpack it first"
	case strings.HasPrefix(strings.TrimPrefix(start, `"`), "Date (UTC)"):
		kind = "the CSV of the Entra portal, which leaves out what rules need: export JSON instead"
	case strings.HasPrefix(start, "Obj\x01"):
		kind = "an Avro file"
	case strings.HasPrefix(start, "<"):
		kind = "XML or HTML"
	case strings.IndexByte(start, 0) >= 0:
		kind = "binary data, or UTF-16 without a byte-order mark"
	}
	return "the content is " + kind
}

// source is the reader that was handed to us. It names itself in its errors and remembers them, so that a decoder in
// between cannot take them for its own.
type source struct {
	r    io.Reader
	name string
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = fmt.Errorf("read %s: %w", s.name, err)
		err = s.err
	}
	return n, err
}

// peek returns the first n bytes of r, or as many as there are, and a reader of all of it.
func peek(r io.Reader, n int) (string, io.Reader) {
	head := make([]byte, n)
	got := 0
	var err error
	for got < n && err == nil {
		var m int
		m, err = r.Read(head[got:])
		got += m
	}
	if err != nil {
		r = failing{err}
	}
	return string(head[:got]), io.MultiReader(strings.NewReader(string(head[:got])), r)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

const gzipMagic = "\x1f\x8b"

// inflated reads gzip and tells damage to it from trouble of the source.
type inflated struct {
	gz  *gzip.Reader
	src *source // nil: memory
}

func inflate(r io.Reader, src *source) (*inflated, error) {
	gz, err := gzip.NewReader(r)
	f := &inflated{gz, src}
	return f, f.explain(err)
}

// reset starts over with other compressed data.
func (f *inflated) reset(r io.Reader) error { return f.explain(f.gz.Reset(r)) }

func (f *inflated) Read(p []byte) (int, error) {
	n, err := f.gz.Read(p)
	return n, f.explain(err)
}

func (f *inflated) explain(err error) error {
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return err
	case f.src != nil && f.src.err != nil:
		return f.src.err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Broken{Reason: reasonGzip, Detail: "the compressed data ends too early"}
	}
	return &Broken{Reason: reasonGzip, Detail: "the compressed data is damaged: " + err.Error()}
}

package made

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// shape is how a file holds its records.
type shape uint8

const (
	lines   shape = iota // a record a line
	array                // one array, a record a line
	pretty               // one array, indented over many lines, as the portal saves it
	batches              // concatenated {"records":[…]} objects, as Event Hubs messages are
	table                // CSV with a byte-order mark and one line of column names
)

const batchOf = 25

// file writes records in one shape. Its first error is kept and told by close.
type file struct {
	shape   shape
	n       int
	w       *bufio.Writer
	csv     *csv.Writer
	columns []string
	closers []io.Closer
	err     error
}

// create makes a file, compressed if its name ends in .gz, and the folders above it.
func create(name string, s shape, columns ...string) (*file, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, fmt.Errorf("make a folder for logs: %w", err)
	}
	out, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("make a log: %w", err)
	}
	f := &file{shape: s, closers: []io.Closer{out}}
	var w io.Writer = out
	if filepath.Ext(name) == ".gz" {
		zip, err := gzip.NewWriterLevel(out, gzip.BestCompression)
		if err != nil {
			return nil, errors.Join(err, out.Close())
		}
		w = zip
		f.closers = []io.Closer{zip, out}
	}
	f.w = bufio.NewWriterSize(w, 1<<16)
	if s == table {
		f.w.WriteString("\ufeff")
		f.csv = csv.NewWriter(f.w)
		f.csv.UseCRLF = true
		f.columns = columns
		f.err = f.csv.Write(columns)
	}
	return f, nil
}

// add writes one record.
func (f *file) add(o object) {
	if f.err != nil {
		return
	}
	switch f.shape {
	case lines:
		f.w.WriteString(encode(o))
		f.w.WriteByte('\n')
	case array, pretty:
		f.w.WriteString(map[bool]string{true: "[\n", false: ",\n"}[f.n == 0])
		f.w.WriteString(f.indented(o))
	case batches:
		switch {
		case f.n == 0:
			f.w.WriteString(`{"records":[`)
		case f.n%batchOf == 0:
			f.w.WriteString("]}\n{\"records\":[")
		default:
			f.w.WriteByte(',')
		}
		f.w.WriteString(encode(o))
	case table:
		cells := make([]string, len(f.columns))
		for i, c := range f.columns {
			cells[i] = cell(o, c)
		}
		f.err = f.csv.Write(cells)
	}
	f.n++
}

// line writes the cells of a line of a table.
func (f *file) line(cells []string) {
	if f.err == nil {
		f.err = f.csv.Write(cells)
	}
	f.n++
}

// text writes bytes as they are.
func (f *file) text(s string) {
	f.w.WriteString(s)
	f.n++
}

func (f *file) indented(o object) string {
	s := encode(o)
	if f.shape != pretty {
		return s
	}
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(s), "  ", "  "); err != nil {
		f.err = err
	}
	return "  " + b.String()
}

// close ends the file.
func (f *file) close() error {
	switch f.shape {
	case array, pretty:
		if f.n == 0 {
			f.w.WriteByte('[')
		}
		f.w.WriteString("\n]\n")
	case batches:
		if f.n == 0 {
			f.w.WriteString(`{"records":[`)
		}
		f.w.WriteString("]}\n")
	case table:
		f.csv.Flush()
		f.err = errors.Join(f.err, f.csv.Error())
	case lines:
	}
	err := errors.Join(f.err, f.w.Flush())
	for _, c := range f.closers {
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		return fmt.Errorf("write a log: %w", err)
	}
	return nil
}

// cell returns a member as a cell of a CSV export: text as it is, all else as JSON.
func cell(o object, name string) string {
	v, ok := o.get(name)
	if !ok || v == nil {
		return ""
	}
	if s, isText := v.(string); isText {
		return s
	}
	return encode(v)
}

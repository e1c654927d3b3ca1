package envelope

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// Files reads the records of files, one file after the other. Next must not be called concurrently; Progress may be
// called from another goroutine meanwhile.
type Files struct {
	stdin   io.Reader
	inputs  []input
	skipped int

	file    io.Closer
	records *Reader // nil: none is open
	read    atomic.Int64
	total   int64
}

// input is a file to read, or what was wrong with it.
type input struct {
	path string
	err  error
}

// NewFiles looks for the logs that paths name: a file, "-" for stdin, or a folder, which is searched to the bottom in
// sorted order. In a folder, hidden files are passed over, and files that are not regular or whose name or content is
// not that of a log are skipped and counted.
func NewFiles(paths []string, stdin io.Reader) *Files {
	f := &Files{stdin: stdin}
	for _, path := range paths {
		f.add(path)
	}
	return f
}

func (f *Files) add(path string) {
	if path == "-" {
		f.inputs = append(f.inputs, input{path: path})
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		f.inputs = append(f.inputs, input{path, fmt.Errorf("read %s: %w", path, cause(err))})
	case info.IsDir():
		f.addFolder(path)
	default:
		f.addFile(path, info)
	}
}

func (f *Files) addFile(path string, info fs.FileInfo) {
	f.inputs = append(f.inputs, input{path: path})
	if info.Mode().IsRegular() {
		f.total += info.Size()
	}
}

// addFolder adds the logs in a folder and below.
func (f *Files) addFolder(root string) {
	before := len(f.inputs)
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			f.inputs = append(f.inputs, input{path, fmt.Errorf("read %s: %w", path, cause(err))})
			return nil
		}
		if path != root && strings.HasPrefix(entry.Name(), ".") {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		if !entry.Type().IsRegular() || !isLog(path) {
			f.skipped++
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			f.inputs = append(f.inputs, input{path, fmt.Errorf("read %s: %w", path, cause(err))})
			return nil
		}
		f.addFile(path, info)
		return nil
	})
	if len(f.inputs) == before {
		f.inputs = append(f.inputs, input{root, fmt.Errorf(
			"read %s: the folder holds no logs (files named .json, .jsonl, .ndjson, .csv, .log or .txt, or these with .gz)", root)})
	}
}

// isLog reports whether a file in a folder is taken for a log: by the ending of its name or, where it has none, by its
// first bytes.
func isLog(path string) bool {
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(path)), ".gz")
	switch filepath.Ext(name) {
	case ".json", ".jsonl", ".ndjson", ".csv", ".log", ".txt":
		return true
	case "":
		file, err := os.Open(path)
		if err != nil {
			return true // say so when its turn comes
		}
		head := make([]byte, 512)
		n, _ := io.ReadFull(file, head)
		_ = file.Close()
		text := string(head[:n])
		if strings.HasPrefix(text, gzipMagic) {
			return true
		}
		start := trimBlank(strings.TrimPrefix(text, byteOrderMark))
		return start != "" && (start[0] == '{' || start[0] == '[') && looksLikeJSON(start)
	}
	return false
}

// Logs yields the files that a path names, as NewFiles finds them, or what is wrong with one of them.
func Logs(path string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, in := range NewFiles([]string{path}, nil).inputs {
			if !yield(in.path, in.err) {
				return
			}
		}
	}
}

// Next returns the next record. The error is io.EOF behind the last file, or a *Broken for a part that cannot be split
// into records; any other error names a path that could not be read, or not to its end. Reading goes on behind each.
func (f *Files) Next() (Record, error) {
	for {
		if f.records == nil {
			if len(f.inputs) == 0 {
				return Record{}, io.EOF
			}
			in := f.inputs[0]
			f.inputs = f.inputs[1:]
			if err := f.open(in); err != nil {
				return Record{}, err
			}
		}
		rec, err := f.records.Next()
		if err == nil {
			return rec, nil
		}
		if part := (*Broken)(nil); errors.As(err, &part) {
			return Record{}, err
		}
		f.records = nil
		if closed := f.close(); errors.Is(err, io.EOF) && closed != nil {
			err = closed
		}
		if !errors.Is(err, io.EOF) {
			return Record{}, err
		}
	}
}

func (f *Files) open(in input) error {
	if in.err != nil {
		return in.err
	}
	if in.path == "-" {
		f.records = NewReader(&counted{f.stdin, &f.read}, in.path)
		return nil
	}
	file, err := os.Open(in.path)
	if err != nil {
		return fmt.Errorf("read %s: %w", in.path, cause(err))
	}
	f.file = file
	f.records = NewReader(&counted{file, &f.read}, in.path)
	return nil
}

func (f *Files) close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// Close closes the file that is being read. It is needed only where reading stops before io.EOF.
func (f *Files) Close() error {
	f.inputs, f.records = nil, nil
	return f.close()
}

// Progress returns how many bytes have been read, before decompression, and how many there are in all regular files
// together: 0 where that is not known, as of a pipe.
func (f *Files) Progress() (read, total int64) { return f.read.Load(), f.total }

// Skipped returns how many files in folders were passed over because they are no logs. Hidden ones are not counted.
func (f *Files) Skipped() int { return f.skipped }

// cause strips the path that our own message names already.
func cause(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// counted counts the bytes that go through a reader.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

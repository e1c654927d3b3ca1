package envelope

import (
	"errors"
	"io"
	"strings"
)

// Sizes in bytes. Reading ahead is a fixed distance, so that what is found never depends on how the source cuts its
// bytes.
const (
	chunkSize  = 256 << 10 // read at once; the records of a chunk are parts of one string
	lookAhead  = 64 << 10  // the longest line that is taken for a record without a look at each byte
	lookBehind = 256       // in front of a record, still in memory
	readSize   = 64 << 10  // asked from the source at a time
)

// window is the part of a text that is in memory. What lies before pos is done with and goes when more is read.
type window struct {
	src   io.Reader // nil: text is all there is
	chunk int       // read at once, at most
	step  int       // read next: short texts take little
	ahead int       // the longest line that is taken for a record without a look at each byte
	buf   []byte
	err   error // why src ended, io.EOF at a plain end; nil: there may be more

	text string
	pos  int
	line int64 // of text[pos], 1-based
	base int64 // offset of text[0] in the whole

	// No line ends in text[lfFrom:lf]; at lf is a line end or the end of text.
	lfFrom, lf int
}

func newWindow(src io.Reader, chunk int) window {
	return window{src: src, chunk: chunk, step: min(chunk, readSize), ahead: lookAhead, buf: make([]byte, min(chunk, readSize)), line: 1, lfFrom: 1}
}

// hold makes s all there is of the text.
func (w *window) hold(s string, line int64) {
	*w = window{ahead: lookAhead, err: io.EOF, text: s, line: line, lfFrom: 1}
}

// ended reports whether the rest of the text is in memory.
func (w *window) ended() bool { return w.err != nil }

// intact reports whether the text ended where its source ends, and not by an error.
func (w *window) intact() bool { return w.err == nil || errors.Is(w.err, io.EOF) }

// rest is what has not been consumed and is in memory.
func (w *window) rest() string { return w.text[w.pos:] }

// more drops what was consumed and reads on, at least as much again as it holds, so that reading a large record costs
// its size and no more. It reports whether there was more.
func (w *window) more() bool {
	if w.ended() {
		return false
	}
	keep := max(w.pos-lookBehind, 0)
	rest := w.text[keep:]
	size := len(rest) + max(w.step, len(rest))
	w.step = min(2*w.step, w.chunk)
	var b strings.Builder
	b.Grow(size)
	b.WriteString(rest)
	for b.Len() < size && w.err == nil {
		var n int
		n, w.err = w.src.Read(w.buf[:min(len(w.buf), size-b.Len())])
		b.Write(w.buf[:n])
	}
	w.base += int64(keep)
	w.text, w.pos = b.String(), w.pos-keep
	w.lfFrom, w.lf = 1, 0
	return len(w.text) > len(rest)
}

// ensure reads until n bytes lie behind pos, or all there are.
func (w *window) ensure(n int) {
	for len(w.text)-w.pos < n && w.more() {
	}
}

// consume moves pos.
func (w *window) consume(to int) {
	w.line += int64(strings.Count(w.text[w.pos:to], "\n"))
	w.pos = to
}

// lineEnd returns the place of the first line end at or behind from, or the end of what is in memory.
func (w *window) lineEnd(from int) int {
	if from < w.lfFrom || w.lf < from {
		w.lfFrom = from
		if n := strings.IndexByte(w.text[from:], '\n'); n >= 0 {
			w.lf = from + n
		} else {
			w.lf = len(w.text)
		}
	}
	return w.lf
}

// offset is the place of text[at] in the whole.
func (w *window) offset(at int) int64 { return w.base + int64(at) }

package azfunc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// blockSize is the size of the pieces in which a body is read.
const blockSize = 256 << 10

// blocks keeps pieces that are not in use. They are in use only until a body is complete.
type blocks struct{ pool sync.Pool }

func (b *blocks) get() *[blockSize]byte {
	if p, ok := b.pool.Get().(*[blockSize]byte); ok {
		return p
	}
	return new([blockSize]byte)
}

func (b *blocks) put(p *[blockSize]byte) { b.pool.Put(p) }

// readBody reads the body into one string that is allocated once.
func (b *blocks) readBody(ctx context.Context, r *http.Request, g *grant) (string, error) {
	var body string
	var err error
	if r.ContentLength >= 0 {
		body, err = b.readSized(r.Body, r.ContentLength)
	} else {
		body, err = b.readStream(ctx, r.Body, g)
	}
	if err != nil {
		return "", fmt.Errorf("read request body: %w", err)
	}
	return body, nil
}

// readSized reads the n bytes of a body. A strings.Builder makes the text without a second copy.
func (b *blocks) readSized(r io.Reader, n int64) (string, error) {
	var text strings.Builder
	text.Grow(int(n))
	piece := b.get()
	defer b.put(piece)
	for int64(text.Len()) < n {
		k, err := r.Read(piece[:])
		text.Write(piece[:k])
		if err != nil && (!errors.Is(err, io.EOF) || int64(text.Len()) < n) {
			return "", unexpected(err)
		}
	}
	return text.String(), nil
}

// readStream reads a body of unknown length into blocks and joins them once.
func (b *blocks) readStream(ctx context.Context, r io.Reader, g *grant) (string, error) {
	var full []*[blockSize]byte
	defer func() {
		for _, piece := range full {
			b.put(piece)
		}
	}()
	last := 0 // bytes in the last block
	for end := false; !end; {
		if err := g.more(ctx, blockSize); err != nil {
			return "", err
		}
		piece := b.get()
		full = append(full, piece)
		for last = 0; last < blockSize && !end; {
			n, err := r.Read(piece[last:])
			last += n
			if end = errors.Is(err, io.EOF); err != nil && !end {
				return "", err
			}
		}
	}
	var text strings.Builder
	text.Grow((len(full)-1)*blockSize + last)
	for _, piece := range full[:len(full)-1] {
		text.Write(piece[:])
	}
	text.Write(full[len(full)-1][:last])
	return text.String(), nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

package azfunc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Sizes of the pieces in which a body is read.
const (
	readSize      = 64 << 10
	smallestBlock = 64 << 10
	largestBlock  = 4 << 20
)

// readBody reads the body into one string that is allocated once.
func readBody(ctx context.Context, r *http.Request, g *grant) (string, error) {
	var body string
	var err error
	if r.ContentLength >= 0 {
		body, err = readSized(r.Body, r.ContentLength)
	} else {
		body, err = readStream(ctx, r.Body, g)
	}
	if err != nil {
		return "", fmt.Errorf("read request body: %w", err)
	}
	return body, nil
}

// readSized reads the n bytes of a body. A strings.Builder makes the text without a second copy.
func readSized(r io.Reader, n int64) (string, error) {
	var text strings.Builder
	text.Grow(int(n))
	buf := make([]byte, min(n, readSize))
	for int64(text.Len()) < n {
		k, err := r.Read(buf)
		text.Write(buf[:k])
		if err != nil && (!errors.Is(err, io.EOF) || int64(text.Len()) < n) {
			return "", unexpected(err)
		}
	}
	return text.String(), nil
}

// readStream reads a body of unknown length into blocks and joins them once.
func readStream(ctx context.Context, r io.Reader, g *grant) (string, error) {
	var blocks [][]byte
	total := 0
	for size, end := smallestBlock, false; !end; size = min(2*size, largestBlock) {
		if err := g.more(ctx, int64(size)); err != nil {
			return "", err
		}
		block := make([]byte, size)
		n := 0
		for n < size && !end {
			k, err := r.Read(block[n:])
			n += k
			if end = errors.Is(err, io.EOF); err != nil && !end {
				return "", err
			}
		}
		blocks, total = append(blocks, block[:n]), total+n
	}
	var text strings.Builder
	text.Grow(total)
	for _, b := range blocks {
		text.Write(b)
	}
	return text.String(), nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

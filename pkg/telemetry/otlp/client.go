package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// mediaType is that of requests and answers.
const mediaType = "application/x-protobuf"

// How long a request that failed for now is tried again: after firstPause, then twice as long each time up to lastPause, until
// patience is over or the context ends, which the SDK bounds by the interval of metrics and the queue of spans.
const (
	firstPause = 5 * time.Second
	lastPause  = 30 * time.Second
	patience   = time.Minute
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 10

// client posts messages to one URL.
type client struct {
	url      string
	header   http.Header
	compress bool
	timeout  time.Duration // of a try
	web      *http.Client
}

// again says that the same request may go through later. It wraps why it did not.
type again struct {
	error
	after time.Duration // at the earliest; 0: the collector did not say
}

func (a *again) Unwrap() error { return a.error }

// post sends the message until the collector takes it, refuses it for good, or time is over. Its errors hold neither the URL
// nor a header.
func (c *client) post(ctx context.Context, message []byte) error {
	if c.compress {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(message)
		if err = errors.Join(err, z.Close()); err != nil {
			return fmt.Errorf("compress: %w", err)
		}
		message = b.Bytes()
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := c.try(ctx, message)
		var later *again
		if !errors.As(err, &later) {
			return err
		}
		wait := max(later.after, pause/2+rand.N(pause)) //nolint:gosec // not secret
		if end, ok := ctx.Deadline(); ok && time.Now().Add(wait).After(end) {
			return err
		}
		waiting, done := context.WithTimeout(ctx, wait)
		<-waiting.Done()
		done()
		if ctx.Err() != nil {
			return err
		}
	}
}

// try posts the message once.
func (c *client) try(ctx context.Context, message []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	once, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(once, http.MethodPost, c.url, bytes.NewReader(message))
	if err != nil {
		return errors.New("the endpoint is no URL to post to")
	}
	req.Header = c.header.Clone()
	resp, err := c.web.Do(req)
	if err != nil {
		var located *url.Error
		if errors.As(err, &located) {
			err = located.Err
		}
		return &again{error: err}
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch status := resp.StatusCode; {
	case status >= 200 && status <= 299:
		if err != nil || resp.Header.Get("Content-Type") != mediaType {
			return nil // it was taken, whatever became of the rest of the answer
		}
		return refused(answer)
	case status == http.StatusTooManyRequests || status == http.StatusBadGateway || status == http.StatusServiceUnavailable ||
		status == http.StatusGatewayTimeout:
		return &again{fmt.Errorf("the collector answers with %d", status), retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	default:
		return fmt.Errorf("the collector answers with %d", status)
	}
}

// retryAfter reads a number of seconds or a date; 0: it is neither.
func retryAfter(v string, now time.Time) time.Duration {
	if s, err := strconv.Atoi(v); err == nil && s >= 0 {
		return time.Duration(min(s, int(time.Hour/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// refused reads an ExportMetricsServiceResponse or ExportTraceServiceResponse, which have the same form: how many points or
// spans the collector did not take, and why. Sending them again would change nothing.
func refused(answer []byte) error {
	var count uint64
	var why string
	for partial := range fields(answer) {
		if partial.number != 1 {
			continue
		}
		for f := range fields(partial.bytes) {
			if f.number == 1 {
				count = f.value
			}
			if f.number == 2 {
				why = string(f.bytes[:min(len(f.bytes), 500)])
			}
		}
	}
	if count == 0 && why == "" {
		return nil
	}
	return fmt.Errorf("the collector refuses %d items: %q", count, why)
}

// field is a field of a message: a number, or bytes.
type field struct {
	number number
	value  uint64
	bytes  []byte
}

// fields ranges over the numbers and bytes of a message, up to anything else.
func fields(b []byte) func(yield func(field) bool) {
	return func(yield func(field) bool) {
		for len(b) > 0 {
			tag, n := binary.Uvarint(b)
			if n <= 0 {
				return
			}
			b = b[n:]
			f := field{number: number(tag >> 3)}
			if f.value, n = binary.Uvarint(b); n <= 0 {
				return
			}
			b = b[n:]
			switch wire(tag & 7) {
			case wireVarint:
			case wireBytes:
				if f.value > uint64(len(b)) {
					return
				}
				f.bytes, b = b[:f.value], b[f.value:]
			default:
				return
			}
			if !yield(f) {
				return
			}
		}
	}
}

func (c *client) close(ctx context.Context) error {
	c.web.CloseIdleConnections()
	return ctx.Err()
}

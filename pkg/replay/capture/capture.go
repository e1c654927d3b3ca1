// Package capture is the source of replays that reads what Event Hubs Capture has written into blobs: Avro object containers, by
// partition and time. It reaches further back than the hub, to the day on which Capture was switched on.
package capture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/replay"
	"github.com/assay-sec/assay/pkg/replay/blobs"
)

// Source is the captured events of one hub.
type Source struct {
	Container *blobs.Container
	Namespace string // the first part of a name's path: without .servicebus.windows.net
	Hub       string

	PageEvents int // of a page; 0: a thousand
	PageBytes  int // of a page; 0: four megabytes
}

var _ replay.Source = (*Source)(nil)

// Defaults of the bounds of a page.
const (
	pageEvents = 1000
	pageBytes  = 4 << 20
)

// longest is how long an interval of Capture may be: 900 seconds. A file is named by a time in it.
const longest = 15 * time.Minute

// nameOf is the default format of names, {Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}.
var nameOf = regexp.MustCompile(`/(\d+)/(\d{4}/\d{2}/\d{2}/\d{2}/\d{2}/\d{2})\.avro$`)

// Plan makes a range of each file. A window that begins before the first file is a gap as far as that.
func (s *Source) Plan(ctx context.Context, arrived replay.Window) (replay.Plan, error) {
	var plan replay.Plan
	first := time.Time{}
	for b, err := range s.Container.List(ctx, path.Join(s.Namespace, s.Hub)+"/") {
		if err != nil {
			return plan, fmt.Errorf("find the captured files of %s: %w", s.Hub, err)
		}
		m := nameOf.FindStringSubmatch(b.Name)
		if m == nil {
			continue
		}
		at, err := time.Parse("2006/01/02/15/04/05", m[2])
		if err != nil {
			continue
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.Before(arrived.From.Add(-longest)) || at.After(arrived.To.Add(longest)) {
			continue
		}
		plan.Ranges = append(plan.Ranges, replay.Range{Partition: m[1], From: b.Name, Units: b.Size})
	}
	slices.SortStableFunc(plan.Ranges, func(a, b replay.Range) int { return strings.Compare(a.From, b.From) })
	plan.Gaps = arrived.Missing(s.Hub, first, longest, "captured")
	return plan, nil
}

// Open reads a file. A position is BYTE+EVENTS: where a block begins, and how many of its events come before the position. What
// lies in front of the block is not read again, but for the header.
func (s *Source) Open(ctx context.Context, r replay.Range, position string) (replay.Reader, error) {
	out := &reader{s: s, r: r}
	if err := out.open(ctx, position); err != nil {
		return nil, errors.Join(fmt.Errorf("read captured file %s: %w", r.From, err), out.Close())
	}
	return out, nil
}

type reader struct {
	s *Source
	r replay.Range

	body io.Closer
	src  *blobs.Counted
	in   *container
	bad  *damage // of the header: there are no events

	read int64 // bytes that no page has told of
	at   int64 // how far pages have told of
}

// open opens the file at a position.
func (r *reader) open(ctx context.Context, position string) error {
	var at, events, most int64
	if position != "" {
		var err error
		if at, events, err = parsePosition(position); err != nil {
			return err
		}
		most = maxHeader
	}
	if err := r.request(ctx, 0, most); err != nil {
		return err
	}
	buf := bufio.NewReaderSize(r.src, readAhead)
	head, err := readHeader(buf)
	switch {
	case r.src.Err != nil:
		return r.src.Err
	case errors.As(err, &r.bad):
		if position != "" {
			r.bad = nil // a page has told of it
		}
		return nil
	}
	if position == "" {
		r.in = newContainer(head, buf, r.src, 0)
		return nil
	}
	if err := r.request(ctx, at, 0); err != nil {
		return err
	}
	buf.Reset(r.src)
	r.in = newContainer(head, buf, r.src, at)
	for range events {
		if _, err := r.in.next(); err != nil {
			return fmt.Errorf("go to %s: %w", position, err)
		}
	}
	r.at = r.in.offset()
	return nil
}

// request asks for the file from a byte on, most bytes or, with 0, all.
func (r *reader) request(ctx context.Context, from, most int64) error {
	if err := r.Close(); err != nil {
		return err
	}
	body, err := r.s.Container.Read(ctx, r.r.From, from, most)
	if err != nil {
		return err
	}
	r.body = body
	r.src = &blobs.Counted{Reader: body}
	return nil
}

// parsePosition is the inverse of position.
func parsePosition(position string) (at, events int64, err error) {
	byteAt, count, found := strings.Cut(position, "+")
	if !found {
		return 0, 0, fmt.Errorf("%q is no position", position)
	}
	if at, err = strconv.ParseInt(byteAt, 10, 64); err == nil {
		events, err = strconv.ParseInt(count, 10, 64)
	}
	if err != nil || at < 0 || events < 0 {
		return 0, 0, fmt.Errorf("%q is no position", position)
	}
	return at, events, nil
}

// Next implements replay.Reader.
func (r *reader) Next(context.Context) (replay.Page, error) {
	page := &envelope.Batch{}
	if r.in == nil {
		if r.bad == nil {
			return replay.Page{}, io.EOF
		}
		page.AddBroken(r.broken(0, r.bad))
		r.bad = nil
		return replay.Page{Records: page, Position: "0+0", Bytes: r.src.N, Units: r.r.Units}, nil
	}
	most, bytes := r.s.PageEvents, r.s.PageBytes
	if most <= 0 {
		most = pageEvents
	}
	if bytes <= 0 {
		bytes = pageBytes
	}
	n := 0
	for ; n < most && bytes > 0; n++ {
		at := r.in.block.at
		e, err := r.in.next()
		bad := (*damage)(nil)
		if errors.Is(err, io.EOF) {
			break
		} else if errors.As(err, &bad) {
			page.AddBroken(r.broken(at, bad))
			continue
		} else if err != nil {
			return replay.Page{}, fmt.Errorf("read captured file %s: %w", r.r.From, err)
		}
		bytes -= len(e.body)
		page.Add(e.body, envelope.Origin{Source: r.s.Hub, Partition: r.r.Partition, Sequence: e.sequence, Enqueued: enqueued(e.enqueued)})
	}
	if n == 0 {
		return replay.Page{}, io.EOF
	}
	p := replay.Page{
		Records: page, Position: fmt.Sprintf("%d+%d", r.in.block.at, r.in.block.done),
		Bytes: r.src.N - r.read, Units: r.in.offset() - r.at,
	}
	r.read, r.at = r.src.N, r.in.offset()
	return p, nil
}

// broken is the part of the file that cannot be read.
func (r *reader) broken(at int64, bad *damage) *envelope.Broken {
	return &envelope.Broken{Reason: "invalid-avro", Detail: bad.Error(), Origin: envelope.Origin{Source: fmt.Sprintf("%s:%d", r.r.From, at)}}
}

// enqueued reads the time as Capture writes it, "9/14/2016 6:40:50 PM", or in the form of RFC 3339.
func enqueued(s string) time.Time {
	for _, layout := range []string{"1/2/2006 3:04:05 PM", time.RFC3339Nano} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// Close implements replay.Reader.
func (r *reader) Close() error {
	if r.body == nil {
		return nil
	}
	body := r.body
	r.body = nil
	return body.Close()
}

// Package capture is the source of replays that reads what Event Hubs Capture has written into blobs: Avro object containers, by
// partition and time. It reaches further back than the hub, to the day on which Capture was switched on.
package capture

import (
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

	"github.com/hamba/avro/v2/ocf"

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
	switch {
	case first.IsZero():
		plan.Gaps = []replay.Gap{{Source: s.Hub, From: arrived.From, To: arrived.To, Reason: "nothing was captured"}}
	case first.After(arrived.From.Add(longest)):
		to := first
		if arrived.To.Before(to) {
			to = arrived.To
		}
		plan.Gaps = []replay.Gap{{Source: s.Hub, From: arrived.From, To: to, Reason: "nothing was captured before " + first.Format(time.RFC3339)}}
	}
	return plan, nil
}

// Open reads a file. A position is how many events come before it.
func (s *Source) Open(ctx context.Context, r replay.Range, position string) (replay.Reader, error) {
	body, err := s.Container.Read(ctx, r.From)
	if err != nil {
		return nil, err
	}
	out := &reader{s: s, r: r, body: body, size: &blobs.Counted{Reader: body}}
	if err := out.start(position); err != nil {
		return nil, errors.Join(fmt.Errorf("read captured file %s: %w", r.From, err), body.Close())
	}
	return out, nil
}

type reader struct {
	s    *Source
	r    replay.Range
	body io.Closer
	size *blobs.Counted
	in   *ocf.Decoder
	at   int64
	told int64
}

// eventData is what we read of the record EventData; its Body is null or bytes.
type eventData struct {
	SequenceNumber  int64  `avro:"SequenceNumber"`
	EnqueuedTimeUtc string `avro:"EnqueuedTimeUtc"`
	Body            any    `avro:"Body"`
}

func (r *reader) start(position string) (err error) {
	if r.in, err = ocf.NewDecoder(r.size); err != nil {
		return err
	}
	to := int64(0)
	if position != "" {
		if to, err = strconv.ParseInt(position, 10, 64); err != nil {
			return err
		}
	}
	for ; r.at < to; r.at++ {
		var e eventData
		if !r.in.HasNext() {
			return errors.Join(fmt.Errorf("it ends at event %d of %d", r.at, to), r.in.Error())
		}
		if err := r.in.Decode(&e); err != nil {
			return err
		}
	}
	r.told = r.size.N
	return nil
}

// Next implements replay.Reader.
func (r *reader) Next(context.Context) (replay.Page, error) {
	parts := &envelope.Parts{}
	most, bytes := r.s.PageEvents, r.s.PageBytes
	if most <= 0 {
		most = pageEvents
	}
	if bytes <= 0 {
		bytes = pageBytes
	}
	n := 0
	for ; n < most && bytes > 0 && r.in.HasNext(); n++ {
		var e eventData
		if err := r.in.Decode(&e); err != nil {
			return replay.Page{}, fmt.Errorf("read event %d of captured file %s: %w", r.at, r.r.From, err)
		}
		r.at++
		body, _ := e.Body.([]byte)
		bytes -= len(body)
		split(parts, body, envelope.Origin{Source: r.s.Hub, Partition: r.r.Partition, Sequence: e.SequenceNumber, Enqueued: enqueued(e.EnqueuedTimeUtc)})
	}
	if err := r.in.Error(); err != nil {
		return replay.Page{}, fmt.Errorf("read captured file %s behind event %d: %w", r.r.From, r.at, err)
	}
	if n == 0 {
		return replay.Page{}, io.EOF
	}
	read := r.size.N - r.told
	r.told = r.size.N
	return replay.Page{Records: parts, Position: strconv.FormatInt(r.at, 10), Bytes: read, Units: read}, nil
}

// split adds the records of a message.
func split(parts *envelope.Parts, body []byte, o envelope.Origin) {
	m := envelope.Message(body, o)
	for {
		rec, err := m.Next()
		part := (*envelope.Broken)(nil)
		switch {
		case err == nil:
			parts.Add(rec)
		case errors.As(err, &part):
			parts.AddBroken(part)
		default:
			return // io.EOF: a message in memory has no other end
		}
	}
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
func (r *reader) Close() error { return r.body.Close() }

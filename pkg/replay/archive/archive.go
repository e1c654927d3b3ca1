// Package archive is the source of replays that reads what diagnostic settings have archived into blobs: JSON lines, a blob an
// hour, in containers that are called insights-logs-CATEGORY. The blob of the hour at hand is still being appended to: it is
// read as far as it went when the replay was planned, however often it is opened.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"time"

	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/replay"
	"github.com/assay-sec/assay/pkg/replay/blobs"
)

// Source is one container.
type Source struct {
	Container *blobs.Container
	Name      string // of the container: it stands in the places of records

	PageRecords int // of a page; 0: a thousand
	PageBytes   int // of a page; 0: four megabytes
}

var _ replay.Source = (*Source)(nil)

// Defaults of the bounds of a page.
const (
	pageRecords = 1000
	pageBytes   = 4 << 20
)

// hourOf finds the hour in a name: …/y=2026/m=03/d=02/h=10/m=00/PT1H.json.
var hourOf = regexp.MustCompile(`(?:^|/)y=(\d{4})/m=(\d{2})/d=(\d{2})/h=(\d{2})/m=\d{2}/`)

// Plan makes a range of each hour's blob. Archives are cut by the hour in which a record was written: the window of
// arrival covers it. A window that begins before the first blob is a gap as far as that.
func (s *Source) Plan(ctx context.Context, arrived replay.Window) (replay.Plan, error) {
	var plan replay.Plan
	first := time.Time{}
	for b, err := range s.Container.List(ctx, "") {
		if err != nil {
			return plan, fmt.Errorf("find the archived hours of %s: %w", s.Name, err)
		}
		m := hourOf.FindStringSubmatch(b.Name)
		if m == nil {
			continue
		}
		at, err := time.Parse("2006 01 02 15", m[1]+" "+m[2]+" "+m[3]+" "+m[4])
		if err != nil {
			continue
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if !at.Add(time.Hour).After(arrived.From) || !at.Before(arrived.To) {
			continue
		}
		if b.Size > 0 {
			plan.Ranges = append(plan.Ranges, replay.Range{Partition: b.Name, Units: b.Size})
		}
	}
	plan.Gaps = arrived.Missing(s.Name, first, 0, "archived")
	return plan, nil
}

// Open reads a blob. A position is how many records and broken parts come before it.
func (s *Source) Open(ctx context.Context, r replay.Range, position string) (replay.Reader, error) {
	body, err := s.Container.Read(ctx, r.Partition, 0, r.Units)
	if err != nil {
		return nil, err
	}
	out := &reader{s: s, body: body, size: &blobs.Counted{Reader: body}}
	out.in = envelope.NewReader(out.size, s.Name+"/"+r.Partition)
	if position != "" {
		to, err := strconv.ParseInt(position, 10, 64)
		for ; err == nil && out.at < to; out.at++ {
			_, err = out.in.Next()
			if part := (*envelope.Broken)(nil); errors.As(err, &part) {
				err = nil
			}
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("go to record %s of archived blob %s: %w", position, r.Partition, err), body.Close())
		}
		out.told = out.size.N
	}
	return out, nil
}

type reader struct {
	s    *Source
	body io.Closer
	size *blobs.Counted
	in   *envelope.Reader
	at   int64
	told int64
}

// Next implements replay.Reader.
func (r *reader) Next(context.Context) (replay.Page, error) {
	parts := &envelope.Parts{}
	most, bytes := r.s.PageRecords, r.s.PageBytes
	if most <= 0 {
		most = pageRecords
	}
	if bytes <= 0 {
		bytes = pageBytes
	}
	for parts.Len() < most && bytes > 0 {
		rec, err := r.in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		part := (*envelope.Broken)(nil)
		switch {
		case err == nil:
			parts.Add(rec)
			bytes -= len(rec.Body)
		case errors.As(err, &part):
			parts.AddBroken(part)
			bytes -= len(part.Copy)
		default:
			return replay.Page{}, err
		}
		r.at++
	}
	if parts.Len() == 0 {
		return replay.Page{}, io.EOF
	}
	read := r.size.N - r.told
	r.told = r.size.N
	return replay.Page{Records: parts, Position: strconv.FormatInt(r.at, 10), Bytes: read, Units: read}, nil
}

// Close implements replay.Reader.
func (r *reader) Close() error { return r.body.Close() }

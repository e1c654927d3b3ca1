// Package files is the source of replays that reads log files and folders, in all the forms that package envelope knows.
package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/replay"
)

// Source is a file or a folder. Files do not say when what they hold arrived, so each is read from its beginning to its end.
type Source struct {
	Path string
	// PageRecords and PageBytes bound a page; 0: a thousand records, and four megabytes of their text.
	PageRecords int
	PageBytes   int
}

var _ replay.Source = (*Source)(nil)

// Defaults of the bounds of a page.
const (
	pageRecords = 1000
	pageBytes   = 4 << 20
)

// Plan makes a range of each file. What cannot be read is a gap.
func (s *Source) Plan(context.Context, replay.Window) (replay.Plan, error) {
	var plan replay.Plan
	for path, err := range envelope.Logs(s.Path) {
		var info os.FileInfo
		if err == nil {
			info, err = os.Stat(path)
		}
		if err != nil {
			plan.Gaps = append(plan.Gaps, replay.Gap{Source: s.Path, Partition: path, Reason: err.Error()})
			continue
		}
		plan.Ranges = append(plan.Ranges, replay.Range{Partition: path, Units: info.Size()})
	}
	return plan, nil
}

// Open reads the file of the range. A position is how many records and broken parts come before it: a file that has become
// longer meanwhile goes on, one that was written anew is read wrongly.
func (s *Source) Open(ctx context.Context, r replay.Range, position string) (replay.Reader, error) {
	f, err := os.Open(r.Partition)
	if err != nil {
		return nil, fmt.Errorf("open a log of the replay: %w", err)
	}
	out := &reader{file: f, size: &counted{Reader: f}, records: s.PageRecords, bytes: s.PageBytes}
	out.in = envelope.NewReader(out.size, r.Partition)
	if out.records <= 0 {
		out.records = pageRecords
	}
	if out.bytes <= 0 {
		out.bytes = pageBytes
	}
	if err := out.skip(ctx, position); err != nil {
		return nil, errors.Join(fmt.Errorf("go to record %s of %s: %w", position, r.Partition, err), f.Close())
	}
	return out, nil
}

// reader reads one file.
type reader struct {
	file           *os.File
	size           *counted
	in             *envelope.Reader
	records, bytes int

	at   int64 // records and broken parts that were read
	told int64 // bytes that pages have told of
	done bool
}

func (r *reader) skip(ctx context.Context, position string) error {
	if position == "" {
		return nil
	}
	to, err := strconv.ParseInt(position, 10, 64)
	if err != nil {
		return err
	}
	for ; r.at < to && ctx.Err() == nil; r.at++ {
		_, err := r.in.Next()
		if part := (*envelope.Broken)(nil); err != nil && !errors.As(err, &part) {
			return fmt.Errorf("it ends at %d, or cannot be read: %w", r.at, err)
		}
	}
	r.told = r.size.n
	return ctx.Err()
}

// Next implements replay.Reader.
func (r *reader) Next(ctx context.Context) (replay.Page, error) {
	if r.done {
		return replay.Page{}, io.EOF
	}
	page := &envelope.Parts{}
	for bytes := 0; page.Len() < r.records && bytes < r.bytes; {
		if err := ctx.Err(); err != nil {
			return replay.Page{}, context.Cause(ctx)
		}
		rec, err := r.in.Next()
		if errors.Is(err, io.EOF) {
			r.done = true
			break
		}
		part := (*envelope.Broken)(nil)
		switch {
		case err == nil:
			page.Add(rec)
			bytes += len(rec.Body)
		case errors.As(err, &part):
			page.AddBroken(part)
			bytes += len(part.Copy)
		default:
			return replay.Page{}, err
		}
		r.at++
	}
	if page.Len() == 0 && r.size.n == r.told {
		return replay.Page{}, io.EOF
	}
	n := r.size.n - r.told
	r.told = r.size.n
	return replay.Page{Records: page, Position: strconv.FormatInt(r.at, 10), Bytes: n, Units: n}, nil
}

// Close implements replay.Reader.
func (r *reader) Close() error { return r.file.Close() }

// counted counts what is read of a file, before decompression.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
)

// Survey looks at the logs without judging them: what has to be known of many events before one of them can be. It stores
// nothing, and is begun anew if it is interrupted.
type Survey struct {
	Sources    []string
	Window     Window // of event time: what arrived around it is read
	AtOnce     int    // ranges that are read at the same time
	Normalizer *normalize.Normalizer

	// See is handed every event, by several at once; the event is valid until it returns. An error ends the survey.
	See func(*event.Event) error
	// Planned is told what will be read, and Page how far a range was; nil: nobody is.
	Planned func([]Slice)
	Page    func(slice int, units int64)
}

// Surveyed is what a survey read.
type Surveyed struct {
	Ranges []SurveyedRange
	Gaps   []Gap
}

// SurveyedRange is what was read of one range.
type SurveyedRange struct {
	Range   Range
	Records int64
	Refused int64 // could not be read, or cut into records
	SignIns int64
}

// Survey reads the sources. Each range is read to its end as Run would read it; what cannot be read in spite of several attempts is an
// error.
func (r *Runner) Survey(ctx context.Context, s Survey) (*Surveyed, error) {
	out := &Surveyed{}
	var slices []Slice
	for _, name := range s.Sources {
		src, err := r.Source(name)
		if err != nil {
			return nil, err
		}
		plan, err := src.Plan(ctx, s.Window.Arrived())
		if err != nil {
			return nil, fmt.Errorf("plan the survey of %s: %w", name, err)
		}
		for _, g := range plan.Gaps {
			g.Source = name
			out.Gaps = append(out.Gaps, g)
		}
		for _, part := range plan.Ranges {
			part.Source = name
			slices = append(slices, Slice{Number: len(slices), Range: part})
		}
	}
	if s.Planned != nil {
		s.Planned(slices)
	}
	out.Ranges = make([]SurveyedRange, len(slices))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan int)
	var wg sync.WaitGroup
	for range max(s.AtOnce, 1) {
		wg.Go(func() {
			for i := range queue {
				out.Ranges[i].Range = slices[i].Range
				if err := r.survey(ctx, &s, i, &out.Ranges[i]); err != nil {
					cancel(fmt.Errorf("survey %s, partition %s: %w", slices[i].Range.Source, slices[i].Range.Partition, err))
				}
			}
		})
	}
	for i := range slices {
		select {
		case queue <- i:
		case <-ctx.Done():
		}
	}
	close(queue)
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return out, nil
}

// survey reads one range. A page that was read is not read again, so no event is seen twice.
func (r *Runner) survey(ctx context.Context, s *Survey, slice int, out *SurveyedRange) error {
	src, err := r.Source(out.Range.Source)
	if err != nil {
		return err
	}
	pace, pause, position := NewPace(r.Rate, r.Clock), firstPause, ""
	var units int64
	var scratch normalize.Scratch
	for try := 1; ; {
		err := func() (err error) {
			in, err := src.Open(ctx, out.Range, position)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, in.Close()) }()
			for {
				page, err := in.Next(ctx)
				if err != nil {
					return err
				}
				if err := s.page(ctx, &page, &scratch, out); err != nil {
					return errSeen{err}
				}
				position, try, pause = page.Position, 1, firstPause
				units += page.Units
				if s.Page != nil {
					s.Page(slice, units)
				}
				if err := pace.Pay(ctx, page.Bytes); err != nil {
					return err
				}
			}
		}()
		ended := errSeen{}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &ended):
			return ended.error
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case try == attempts:
			return err
		}
		try++
		if err := r.Clock.Sleep(ctx, pause); err != nil {
			return err
		}
		pause *= 2
	}
}

// errSeen is an error of who was handed an event: to read again would not mend it.
type errSeen struct{ error }

// Unwrap returns the error.
func (e errSeen) Unwrap() error { return e.error }

// page hands the events of a page over.
func (s *Survey) page(ctx context.Context, p *Page, scratch *normalize.Scratch, out *SurveyedRange) error {
	var ev event.Event
	for n := 0; ; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		rec, err := p.Records.Next()
		part := (*envelope.Broken)(nil)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &part):
			out.Records++
			out.Refused++
			continue
		case err != nil:
			return err
		}
		out.Records++
		switch s.read(&rec, scratch, &ev) {
		case normalize.Normalised:
			if ev.Kind == event.SignIn {
				out.SignIns++
			}
			if err := s.See(&ev); err != nil {
				return err
			}
		case normalize.Refused:
			out.Refused++
		case normalize.Ignored:
		}
	}
}

const checkEvery = 256

// read normalises a record. One that makes it panic is one that cannot be read.
func (s *Survey) read(rec *envelope.Record, scratch *normalize.Scratch, ev *event.Event) (o normalize.Outcome) {
	defer func() {
		if recover() != nil {
			o = normalize.Refused
		}
	}()
	return s.Normalizer.Normalize(rec, scratch, ev).Outcome
}

// Missed returns the stretches of arrival of which logs with sign-ins are not in hand, and how many records of such logs could not be read. A
// source of which nothing at all was read may have held some.
func (s *Surveyed) Missed() (gaps []Gap, unreadable int64) {
	of := map[string]*SurveyedRange{}
	for i := range s.Ranges {
		x := &s.Ranges[i]
		if x.SignIns > 0 {
			unreadable += x.Refused
		}
		sum := of[x.Range.Source]
		if sum == nil {
			sum = &SurveyedRange{}
			of[x.Range.Source] = sum
		}
		sum.Records += x.Records
		sum.SignIns += x.SignIns
	}
	for _, g := range s.Gaps {
		if sum := of[g.Source]; sum == nil || sum.Records == 0 || sum.SignIns > 0 {
			gaps = append(gaps, g)
		}
	}
	return gaps, unreadable
}

// Happened is when what arrived in the gap can have happened: delivery takes a while.
func (g *Gap) Happened() Window {
	if g.From.IsZero() || g.To.IsZero() {
		return Window{}
	}
	return Window{From: g.From.Add(-delivery), To: g.To}
}

// delivery is how long after it happened a sign-in reaches the logs, in all but the rarest cases: most take minutes.
const delivery = time.Hour

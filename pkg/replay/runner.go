package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/store"
)

// Processor is the pipeline.
type Processor interface {
	Process(ctx context.Context, src pipeline.Source, o pipeline.Options) (*pipeline.Report, error)
}

// Runner plans replays and works on their slices. It is safe for concurrent use, also by several processes on one store.
type Runner struct {
	Documents *Documents
	Store     store.Store // of the alerts

	// Source returns the source of a name as requests have it, or an *Invalid.
	Source func(name string) (Source, error)
	// Pipeline returns the live path with only these rules, or all for none, which stores into s; and what findings say of how
	// they were made, but for the run.
	Pipeline func(rules []string, s store.Store) (Processor, alert.Provenance, error)
	// Tenants returns the tenants that a source is bound to; none: all.
	Tenants func(source string) []string

	Clock Clock
	ID    func() string // a new one each time: of replays, and of those who work on slices

	Rate      float64       // bytes a second that all who share the store read together; 0: any
	AtOnce    int           // slices that are worked on at the same time by all who share the store; 0: any
	Lease     time.Duration // of a slice: for longer than the longest page takes
	Retention time.Duration // after which the store forgets; 0: never

	Workers int           // of the pipeline, for each slice; 0: one for each processor
	Page    func(*Report) // is told of every page that was saved; nil: nobody
}

// Report is what a page did.
type Report struct {
	Slice    *Slice
	Pipeline *pipeline.Report
}

// Plan makes a job of the request and keeps it, with all its slices. It reads no log. The error is an *Invalid where the
// request is wrong.
func (r *Runner) Plan(ctx context.Context, req Request) (*Job, []Slice, error) {
	now := r.Clock.Now().UTC()
	if err := req.Check(now); err != nil {
		return nil, nil, err
	}
	req.From, req.To = req.From.UTC(), req.To.UTC()
	j := &Job{ID: r.ID(), Request: req, Created: now}
	var slices []Slice
	for _, name := range req.Sources {
		src, err := r.Source(name)
		if err != nil {
			return nil, nil, err
		}
		plan, err := src.Plan(ctx, req.Arrived())
		if err != nil {
			return nil, nil, fmt.Errorf("plan the replay of %s: %w", name, err)
		}
		j.Gaps = append(j.Gaps, plan.Gaps...)
		for _, part := range plan.Ranges {
			part.Source = name
			slices = append(slices, Slice{Replay: j.ID, Number: len(slices), Range: part, State: Pending})
		}
	}
	if len(slices) > maxSlices {
		return nil, nil, &Invalid{"from", fmt.Sprintf("the window takes %d slices, more than %d: make it shorter", len(slices), maxSlices)}
	}
	if len(j.Gaps) > maxGaps {
		more := len(j.Gaps) - maxGaps
		j.Gaps = append(j.Gaps[:maxGaps:maxGaps], Gap{Reason: fmt.Sprintf("and %d more gaps", more)})
	}
	j.Slices = len(slices)
	if err := r.Documents.Create(ctx, j, slices); err != nil {
		return nil, nil, err
	}
	return j, slices, nil
}

// maxGaps bounds the gaps that a job lists, so that its document stays small.
const maxGaps = 100

// Next is what is to be done behind a turn: nothing, or Message after a while.
type Next struct {
	Again   bool
	Message Message
	After   time.Duration
}

// crowded is how long a slice waits that finds no place to work.
const crowded = 15 * time.Second

// Turn works on the slice that the message names until it is at its end or the budget is over; 0 is no budget. It may be
// called with the same message again, at any time and in any process.
//
// An error means that the same message is worth another try; the slice is where it was after its last page. With last,
// there will be none: the slice fails, and waits to be retried by Retry.
func (r *Runner) Turn(ctx context.Context, m Message, budget time.Duration, last bool) (Next, error) {
	j, err := r.Documents.Job(ctx, m.Replay)
	if errors.Is(err, store.ErrNotFound) {
		return Next{}, nil // it was not planned to its end, or has expired
	}
	if err != nil {
		return Next{}, err
	}
	s, err := r.Documents.Slice(ctx, m.Replay, m.Slice)
	if errors.Is(err, store.ErrNotFound) {
		return Next{}, nil
	}
	if err != nil {
		return Next{}, err
	}
	if next, done := r.triage(s, m); done {
		return next, nil
	}
	owner := r.ID()
	if r.AtOnce > 0 && j.Cancelled.IsZero() {
		free, err := r.Documents.takeSlot(ctx, slot{owner, m.Replay, m.Slice, r.leaseEnd()}, r.Clock.Now(), r.AtOnce)
		if err != nil {
			return Next{}, err
		}
		if !free {
			return Next{Again: true, Message: m, After: crowded}, nil
		}
		defer func() { _ = r.Documents.leaveSlot(context.WithoutCancel(ctx), owner) }() // it ends by itself, too
	}
	s.State, s.Turn, s.Lease, s.Error = Running, m.Turn, Lease{owner, r.leaseEnd()}, ""
	if s.Began.IsZero() {
		s.Began = r.Clock.Now().UTC()
	}
	if err := r.Documents.SaveSlice(ctx, s); err != nil {
		if errors.Is(err, store.ErrConflict) { // somebody else was faster: look again
			return Next{Again: true, Message: m, After: time.Second}, nil
		}
		return Next{}, err
	}
	err = r.work(ctx, j, s, owner, budget)
	switch {
	case err == nil && s.State == Pending:
		return Next{Again: true, Message: Message{m.Replay, m.Slice, s.Turn}}, nil
	case err == nil:
		return Next{}, nil
	case errors.Is(err, ErrLost):
		return Next{Again: true, Message: m, After: r.Lease}, nil // whoever took it over may die of it
	}
	return Next{}, r.give(ctx, s, err, last)
}

// triage decides by the slice's document whether the message is to be worked on, and if not, what becomes of it.
func (r *Runner) triage(s *Slice, m Message) (next Next, done bool) {
	left := s.Lease.Until.Sub(r.Clock.Now())
	held := s.State == Running && left > 0
	switch {
	case s.State == Done || s.State == Cancelled:
		return Next{}, true
	case m.Turn < s.Turn && (held || s.State == Failed):
		return Next{}, true // a repetition: the turn at hand has a message of its own
	case m.Turn < s.Turn:
		// The process ended between saving the slice and sending the next message.
		return Next{Again: true, Message: Message{m.Replay, m.Slice, s.Turn}}, true
	case held:
		// Perhaps the process died, and the queue shows the message again before the lease is over.
		return Next{Again: true, Message: m, After: left}, true
	}
	return Next{}, false
}

func (r *Runner) leaseEnd() time.Time { return r.Clock.Now().Add(r.Lease).UTC() }

// give gives the slice back after an error and returns it.
func (r *Runner) give(ctx context.Context, s *Slice, cause error, last bool) error {
	s.State, s.Lease, s.Error = Pending, Lease{}, clip(cause.Error(), maxReason)
	if last {
		s.State, s.Turn = Failed, s.Turn+1
	}
	// What has ended the context is not to keep the slice from being given back.
	if err := r.Documents.SaveSlice(context.WithoutCancel(ctx), s); err != nil && !errors.Is(err, store.ErrConflict) {
		return errors.Join(cause, err)
	}
	return fmt.Errorf("replay %s, slice %d (%s, partition %s): %w", s.Replay, s.Number, s.Range.Source, s.Range.Partition, cause)
}

// work reads the slice page by page, and saves it behind each.
func (r *Runner) work(ctx context.Context, j *Job, s *Slice, owner string, budget time.Duration) (err error) {
	began := r.Clock.Now()
	if !j.Cancelled.IsZero() {
		return r.end(ctx, s, Cancelled, began)
	}
	src, err := r.Source(s.Range.Source)
	if err != nil {
		return err
	}
	keep := r.Store
	if j.Request.DryRun {
		keep = &dryStore{Store: r.Store, documents: r.Documents, replay: j.ID, now: r.Clock.Now}
	}
	path, from, err := r.Pipeline(j.Request.Rules, keep)
	if err != nil {
		return err
	}
	from.Run, from.Quiet = j.ID, !j.Request.Notify
	options := pipeline.Options{
		From: from, Tenants: r.Tenants(s.Range.Source), Workers: r.Workers,
		Select: pipeline.Selection{From: j.Request.From, To: j.Request.To, Tenants: j.Request.Tenants},
	}
	if r.Retention > 0 {
		options.Expired = began.Add(-r.Retention).UTC().Truncate(24 * time.Hour)
	}
	in, err := src.Open(ctx, s.Range, s.Position)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()

	pace := NewPace(r.Rate/float64(max(r.AtOnce, 1)), r.Clock)
	seen := map[alert.ID]bool{}
	for {
		page, err := in.Next(ctx)
		if errors.Is(err, io.EOF) {
			return r.end(ctx, s, Done, began)
		}
		if err != nil {
			return err
		}
		if j, err = r.Documents.Job(ctx, j.ID); err != nil {
			return err
		}
		if !j.Cancelled.IsZero() {
			return r.end(ctx, s, Cancelled, began)
		}
		report, err := path.Process(ctx, page.Records, options)
		if err != nil {
			return err
		}
		for id, t := range report.Alerts {
			if !seen[id] {
				if err := r.Documents.touch(ctx, j.ID, touched{id, t.Alert.Tenant}); err != nil {
					return err
				}
				seen[id] = true
			}
		}
		s.Position = page.Position
		s.Counters.add(&page, report)
		over := budget > 0 && r.Clock.Now().Sub(began) >= budget
		if s.Lease.Until = r.leaseEnd(); over {
			s.State, s.Lease, s.Turn, s.Spent = Pending, Lease{}, s.Turn+1, s.Spent+r.Clock.Now().Sub(began)
		}
		if err := r.save(ctx, s); err != nil {
			return err
		}
		if r.Page != nil {
			r.Page(&Report{Slice: s, Pipeline: report})
		}
		if over {
			return nil
		}
		if err := pace.Pay(ctx, page.Bytes); err != nil {
			return err
		}
		if r.AtOnce > 0 {
			if _, err := r.Documents.takeSlot(ctx, slot{owner, s.Replay, s.Number, r.leaseEnd()}, r.Clock.Now(), r.AtOnce); err != nil {
				return err
			}
		}
	}
}

func (r *Runner) end(ctx context.Context, s *Slice, state SliceState, began time.Time) error {
	now := r.Clock.Now()
	s.State, s.Lease, s.Ended, s.Spent = state, Lease{}, now.UTC(), s.Spent+now.Sub(began)
	return r.save(ctx, s)
}

// save is SaveSlice for who has the lease. Where another has it by now, it is ErrLost.
func (r *Runner) save(ctx context.Context, s *Slice) error {
	err := r.Documents.SaveSlice(ctx, s)
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("replay %s, slice %d: %w", s.Replay, s.Number, ErrLost)
	}
	return err
}

// Expire marks the slices failed whose lease is over: whoever worked on them has died, or lost the store. It returns them.
// It looks at those who took one of AtOnce places and have not given it back, so it costs one read if all is well.
func (r *Runner) Expire(ctx context.Context) ([]Slice, error) {
	now := r.Clock.Now()
	overdue, err := r.Documents.overdue(ctx, now)
	if err != nil {
		return nil, err
	}
	var out []Slice
	for _, o := range overdue {
		s, err := r.Documents.Slice(ctx, o.Replay, o.Slice)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return out, err
		}
		if err == nil && s.State == Running && !s.Lease.Until.After(now) {
			// The turn stays: should the queue show its message again, that one goes on.
			s.State, s.Lease, s.Error = Failed, Lease{}, "its lease ran out: whoever worked on it has ended without a word"
			switch err := r.Documents.SaveSlice(ctx, s); {
			case err == nil:
				out = append(out, *s)
			case !errors.Is(err, store.ErrConflict): // it lives, if it is a conflict
				return out, err
			}
		}
		if err := r.Documents.leaveSlot(ctx, o.Owner); err != nil {
			return out, err
		}
	}
	return out, nil
}

// ErrNotFailed says that only a slice that has failed can be retried.
var ErrNotFailed = errors.New("the slice has not failed")

// Retry makes a slice that has failed pending again and returns the message that asks for work on it.
func (r *Runner) Retry(ctx context.Context, replay string, n int) (Message, error) {
	s, err := r.Documents.Slice(ctx, replay, n)
	if err != nil {
		return Message{}, err
	}
	if s.State != Failed {
		return Message{}, fmt.Errorf("retry slice %d of replay %s: %w: it is %s", n, replay, ErrNotFailed, s.State)
	}
	s.State, s.Turn, s.Lease = Pending, s.Turn+1, Lease{}
	if err := r.Documents.SaveSlice(ctx, s); err != nil {
		return Message{}, err
	}
	return Message{replay, n, s.Turn}, nil
}

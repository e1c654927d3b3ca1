package replay

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/assay-sec/assay/pkg/store"
)

// Attempts of Run at a slice, and the pause before the second; it doubles.
const (
	attempts   = 4
	firstPause = time.Second
)

// Run works on all slices of a replay that are not at their end, several at a time, in this process alone: what another
// process has begun is taken over. It returns the errors of the slices that failed; the others are done.
func (r *Runner) Run(ctx context.Context, replay string, atOnce int) error {
	all, err := r.takeOver(ctx, replay)
	if err != nil {
		return err
	}
	queue := make(chan *Slice)
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	for range max(atOnce, 1) {
		wg.Go(func() {
			for s := range queue {
				errs[s.Number] = r.finish(ctx, Message{replay, s.Number, s.Turn})
			}
		})
	}
	for i := range all {
		if ctx.Err() == nil && all[i].State == Pending {
			queue <- &all[i]
		}
	}
	close(queue)
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(errs...)
}

// finish takes a slice to its end.
func (r *Runner) finish(ctx context.Context, m Message) error {
	pause := firstPause
	for try := 1; ; {
		next, err := r.Turn(ctx, m, 0, try == attempts)
		switch {
		case err != nil && (try == attempts || ctx.Err() != nil):
			return err
		case err != nil:
			next = Next{Again: true, Message: m, After: pause}
			pause *= 2
			try++
		case !next.Again:
			return nil
		}
		m = next.Message
		if err := r.Clock.Sleep(ctx, next.After); err != nil {
			return err
		}
	}
}

// takeOver makes every slice pending that is not at its end and returns all slices.
func (r *Runner) takeOver(ctx context.Context, replay string) ([]Slice, error) {
	all, err := r.Documents.Slices(ctx, replay)
	if err != nil {
		return nil, err
	}
	for i := range all {
		s := &all[i]
		if s.State != Running && s.State != Failed {
			continue
		}
		s.State, s.Turn, s.Lease = Pending, s.Turn+1, Lease{}
		if err := r.Documents.SaveSlice(ctx, s); err != nil && !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
	}
	return all, nil
}

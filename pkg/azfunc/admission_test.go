package azfunc

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// arrival is a body that asks for admission or growth in a goroutine of its own.
type arrival struct {
	grant *grant
	err   error
	done  chan struct{}
}

func (a *arrival) pending() bool {
	select {
	case <-a.done:
		return false
	default:
		return true
	}
}

func admit(ctx context.Context, b *budget, n int64) *arrival {
	a := &arrival{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.grant, a.err = b.admit(ctx, n)
	}()
	synctest.Wait()
	return a
}

func grow(ctx context.Context, g *grant, n int64) *arrival {
	a := &arrival{grant: g, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.err = g.more(ctx, n)
	}()
	synctest.Wait()
	return a
}

// state compares which of the arrivals wait.
func state(t *testing.T, when string, as []*arrival, pending ...bool) {
	t.Helper()
	synctest.Wait()
	for i, a := range as {
		if a.pending() != pending[i] {
			t.Errorf("%s: body %d waits: %v, want %v", when, i, a.pending(), pending[i])
		}
	}
}

func TestAdmissionIsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100 * bytesPerByte)
		as := []*arrival{
			admit(t.Context(), b, 60), admit(t.Context(), b, 30), admit(t.Context(), b, 50), admit(t.Context(), b, 5),
		}
		state(t, "at first", as, false, false, true, true) // the small one does not overtake
		as[1].grant.release()
		state(t, "after the second", as, false, false, true, true)
		as[0].grant.release()
		state(t, "after the first", as, false, false, false, false)
		as[2].grant.release()
		as[3].grant.release()
		if b.used != 0 || len(b.active) != 0 {
			t.Errorf("%d bytes and %d grants are left", b.used, len(b.active))
		}
	})
}

func TestOverlargeBodyRunsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100 * bytesPerByte)
		as := []*arrival{admit(t.Context(), b, 10), admit(t.Context(), b, 5000), admit(t.Context(), b, 10)}
		state(t, "beside another", as, false, true, true)
		as[0].grant.release()
		state(t, "alone", as, false, false, true)
		as[1].grant.release()
		state(t, "afterwards", as, false, false, false)
		as[2].grant.release()
	})
}

func TestGrowthDoesNotDeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100 * bytesPerByte)
		first, second := admit(t.Context(), b, 0), admit(t.Context(), b, 0)
		as := []*arrival{
			first, second, grow(t.Context(), first.grant, 50), grow(t.Context(), second.grant, 50),
		}
		state(t, "within the limit", as, false, false, false, false)
		as = append(as, grow(t.Context(), second.grant, 50), admit(t.Context(), b, 0))
		state(t, "a newcomer behind one that grows", as, false, false, false, false, true, true)
		as = append(as, grow(t.Context(), first.grant, 500))
		state(t, "the oldest beyond the limit", as, false, false, false, false, true, true, false)
		first.grant.release()
		state(t, "the next is the oldest", as, false, false, false, false, false, false, false)
		second.grant.release()
		as[5].grant.release()
		if b.used != 0 || len(b.active) != 0 {
			t.Errorf("%d bytes and %d grants are left", b.used, len(b.active))
		}
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100 * bytesPerByte)
		hold := admit(t.Context(), b, 100)
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		as := []*arrival{admit(ctx, b, 90), admit(t.Context(), b, 20)}
		state(t, "before", as, true, true)
		cancel(gone)
		state(t, "after", as, false, true)
		if !errors.Is(as[0].err, gone) {
			t.Errorf("error is %v", as[0].err)
		}
		hold.grant.release()
		state(t, "room", as, false, false)

		growing := grow(ctx, as[1].grant, 1000)
		if growing.err != nil {
			t.Errorf("the oldest may grow even when its context is over: %v", growing.err)
		}
		as[1].grant.release()
		if b.used != 0 || len(b.active) != 0 || len(b.queue) != 0 {
			t.Errorf("%d bytes, %d grants, %d waiters are left", b.used, len(b.active), len(b.queue))
		}
	})
}

// TestBudgetHolds lets many bodies of both kinds compete and watches the sum.
func TestBudgetHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, largest = 1000 * bytesPerByte, 400 * bytesPerByte
		b := newBudget(limit)
		var as []*arrival
		for i := range int64(200) {
			a := &arrival{done: make(chan struct{})}
			as = append(as, a)
			go func() {
				defer close(a.done)
				n := int64(0)
				if i%2 == 0 {
					n = i
				}
				g, err := b.admit(t.Context(), n)
				for k := int64(0); err == nil && n == 0 && k < 4; k++ {
					err = g.more(t.Context(), i%100)
				}
				b.mu.Lock()
				used := b.used
				b.mu.Unlock()
				if err != nil || used > limit+largest {
					t.Errorf("body %d: %v, %d in use", i, err, used)
				}
				g.release()
			}()
		}
		for _, a := range as {
			<-a.done
		}
		if b.used != 0 || len(b.active) != 0 || len(b.queue) != 0 {
			t.Errorf("%d bytes, %d grants, %d waiters are left", b.used, len(b.active), len(b.queue))
		}
	})
}

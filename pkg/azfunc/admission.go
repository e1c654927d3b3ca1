package azfunc

import (
	"context"
	"slices"
	"sync"
)

// bytesPerByte is what one byte of a body costs in memory until it is answered: the text, its undone layers, and the
// records made of it.
const bytesPerByte = 3

// budget bounds the memory of the bodies in flight.
//
// A body is charged when it is admitted if its length is known, else while it is read: the host writes its JSON as a
// stream, so in Azure most requests have no Content-Length. Two rules keep the budget from refusing or blocking for
// ever: whatever is alone is admitted, and whatever was admitted first may grow beyond the limit.
type budget struct {
	mu     sync.Mutex
	limit  int64
	used   int64
	active []*grant  // in order of admission
	queue  []*waiter // newcomers, in order of arrival
}

// grant is one body's part of a budget.
type grant struct {
	b     *budget
	bytes int64
	grow  *waiter // set while it waits for more
}

type waiter struct {
	g     *grant
	bytes int64
	ok    chan struct{} // closed when granted
}

func newBudget(limit int64) *budget { return &budget{limit: limit} }

// admit waits until a body of n bytes may be read; n ≤ 0: the length is not known.
func (b *budget) admit(ctx context.Context, n int64) (*grant, error) {
	w := &waiter{g: &grant{b: b}, bytes: max(n, 0) * bytesPerByte, ok: make(chan struct{})}
	b.mu.Lock()
	b.queue = append(b.queue, w)
	b.distribute()
	b.mu.Unlock()
	if err := w.wait(ctx); err != nil {
		b.mu.Lock()
		b.queue = slices.DeleteFunc(b.queue, func(q *waiter) bool { return q == w })
		b.mu.Unlock()
		w.g.release() // it may have been admitted in the meantime
		return nil, err
	}
	return w.g, nil
}

// more waits until n further bytes of the body may be kept.
func (g *grant) more(ctx context.Context, n int64) error {
	w := &waiter{g: g, bytes: n * bytesPerByte, ok: make(chan struct{})}
	g.b.mu.Lock()
	g.grow = w
	g.b.distribute()
	g.b.mu.Unlock()
	return w.wait(ctx)
}

// release gives everything back. The grant must not be used any more.
func (g *grant) release() {
	b := g.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= g.bytes
	g.bytes = 0
	b.active = slices.DeleteFunc(b.active, func(a *grant) bool { return a == g })
	b.distribute()
}

// distribute grants what fits. What is being read comes before newcomers, the older before the younger.
func (b *budget) distribute() {
	waiting := false
	for i, g := range b.active {
		if g.grow == nil {
			continue
		}
		if i > 0 && b.used+g.grow.bytes > b.limit {
			waiting = true
			continue
		}
		b.give(g, g.grow)
		g.grow = nil
	}
	for len(b.queue) > 0 && !waiting {
		w := b.queue[0]
		if len(b.active) > 0 && b.used+w.bytes > b.limit {
			return
		}
		b.queue = b.queue[1:]
		b.active = append(b.active, w.g)
		b.give(w.g, w)
	}
}

func (b *budget) give(g *grant, w *waiter) {
	g.bytes += w.bytes
	b.used += w.bytes
	close(w.ok)
}

func (w *waiter) wait(ctx context.Context) error {
	select {
	case <-w.ok:
		return nil
	default:
	}
	select {
	case <-w.ok:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

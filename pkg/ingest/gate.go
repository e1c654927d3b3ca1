package ingest

import (
	"context"
	"sync"
)

// gate lets batches through side by side, and a suspect alone: only then does the death of the process tell of what it
// died. It is fair: who comes first goes first.
type gate struct {
	mu    sync.Mutex
	in    int
	alone bool
	queue []*passage
}

// passage is one's way through the gate.
type passage struct {
	alone bool
	open  chan struct{} // closed when it may begin
}

// enter waits for its turn. leave is to be called once or more; the end of the context calls it, too, so that what hangs
// does not hold up everybody else for ever.
func (g *gate) enter(ctx context.Context, alone bool) (leave func(), err error) {
	p := &passage{alone: alone, open: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, p)
	g.admit()
	g.mu.Unlock()
	once := sync.OnceFunc(func() { g.leave(p) })
	stop := context.AfterFunc(ctx, once)
	select {
	case <-p.open:
		return func() { stop(); once() }, nil
	case <-ctx.Done():
		once()
		return nil, context.Cause(ctx)
	}
}

// leave gives the place back, or the hope for one.
func (g *gate) leave(p *passage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, q := range g.queue {
		if q == p {
			g.queue = append(g.queue[:i:i], g.queue[i+1:]...)
			g.admit()
			return
		}
	}
	g.in--
	g.alone = false
	g.admit()
}

// admit opens the gate for those whose turn it is. The lock is held.
func (g *gate) admit() {
	for len(g.queue) > 0 && !g.alone {
		p := g.queue[0]
		if p.alone && g.in > 0 {
			return
		}
		g.queue = g.queue[1:]
		g.in++
		g.alone = p.alone
		close(p.open)
	}
}

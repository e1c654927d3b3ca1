package replay

import (
	"context"
	"sync"
	"time"
)

// Clock is the time. Tests bring their own.
type Clock interface {
	Now() time.Time
	// Sleep returns after the time, or with the context's error when that is over.
	Sleep(ctx context.Context, d time.Duration) error
}

// Pace lets bytes be read at a rate. It is safe for concurrent use: those who share it share the rate.
type Pace struct {
	rate  float64 // bytes a second; 0: any
	clock Clock

	mu   sync.Mutex
	free time.Time // when what was read so far is paid for
}

// NewPace returns a pace of so many bytes a second; 0 is as fast as it goes.
func NewPace(bytesPerSecond float64, c Clock) *Pace { return &Pace{rate: bytesPerSecond, clock: c} }

// Pay waits until so many bytes, which have been read, are paid for. Time in which nothing was read is not saved up.
func (p *Pace) Pay(ctx context.Context, bytes int64) error {
	if p.rate <= 0 {
		return nil
	}
	p.mu.Lock()
	now := p.clock.Now()
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(float64(bytes) / p.rate * float64(time.Second)))
	wait := p.free.Sub(now)
	p.mu.Unlock()
	return p.clock.Sleep(ctx, wait)
}

// WallClock is the machine's time.
type WallClock struct{}

// Now implements Clock.
func (WallClock) Now() time.Time { return time.Now() }

// Sleep implements Clock.
func (WallClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

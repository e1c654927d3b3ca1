package devhost

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"
)

// hastyClock lets retries come at once and functionTimeout never.
type hastyClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *hastyClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *hastyClock) After(d time.Duration) <-chan time.Time {
	out := make(chan time.Time, 1)
	if d <= 5*time.Minute {
		out <- c.Now()
	}
	return out
}

func (c *hastyClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// TestKillsLoseNothing kills the handler at seeded points, before and after its answer, and looks for gaps: with an
// endless policy every event is answered well at least once, and in order within its partition.
func TestKillsLoseNothing(t *testing.T) {
	const events, partitions, kills = 240, 2, 8
	seeded := rand.New(rand.NewPCG(7, 7))
	clock := &hastyClock{now: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction(endless)}), Options{
		Clock: clock, Hubs: map[string]Log{"hub": NewMemoryLog(partitions, clock)},
	})
	for p := range partitions {
		for i := range events / partitions {
			if err := b.host.Publish(t.Context(), "hub", strconv.Itoa(p), Event{Body: []byte(strconv.Itoa(i))}); err != nil {
				t.Fatal(err)
			}
		}
	}
	done := map[string]int64{"0": -1, "1": -1} // the last number that was answered well
	repeated := 0
	for killed := 0; done["0"] < events/partitions-1 || done["1"] < events/partitions-1; {
		c := b.next()
		numbers := c.sequences()
		p := c.Hub.Partition
		switch first := numbers[0]; {
		case first > done[p]+1:
			t.Fatalf("partition %s: event %d follows %d", p, first, done[p])
		case first <= done[p]:
			repeated++
		}
		if killed < kills && seeded.IntN(6) == 0 {
			killed++
			clock.pass(time.Hour) // so that the host does not give up
			if seeded.IntN(2) == 0 {
				_ = b.host.Kill() // it may have ended since it called
			} else {
				done[p] = max(done[p], numbers[len(numbers)-1]) // the work is done, only the answer is missing
				c.reply("exit 1")
			}
			b.started()
			continue
		}
		done[p] = max(done[p], numbers[len(numbers)-1])
		c.reply("ok")
	}
	b.drain()
	if repeated == 0 {
		t.Error("no batch came twice: the kills have hit nothing in flight")
	}
}

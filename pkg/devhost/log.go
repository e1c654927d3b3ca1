package devhost

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"sync"
	"time"
)

// Event is one event of a partition. The log gives it its sequence number, offset and time.
type Event struct {
	Sequence     int64 // from 0, without gaps
	Offset       string
	Enqueued     time.Time
	PartitionKey string
	Properties   map[string]string
	Body         []byte
}

// Log is the partitioned log behind one event hub.
type Log interface {
	// Partitions returns the ids. They do not change.
	Partitions() []string

	// Read returns, in order, up to most events with sequence numbers greater than after; -1 is before the first. It waits
	// until there is one or the context is over.
	Read(ctx context.Context, partition string, after int64, most int) ([]Event, error)

	// End returns the sequence number of the last event, or -1.
	End(ctx context.Context, partition string) (int64, error)
}

// Publisher is a log that takes events.
type Publisher interface {
	// Publish appends events to a partition. If it is empty, events with one partition key go to one partition, and those
	// without are spread.
	Publish(ctx context.Context, partition string, events ...Event) error
}

// MemoryLog is a log in memory. It keeps everything.
type MemoryLog struct {
	clock Clock
	ids   []string

	mu         sync.Mutex
	partitions map[string][]Event
	next       int           // partition for the next event without a key
	grown      chan struct{} // closed when an event comes
}

var (
	_ Log       = (*MemoryLog)(nil)
	_ Publisher = (*MemoryLog)(nil)
)

// NewMemoryLog returns an empty log. The clock stamps events; nil is the machine's.
func NewMemoryLog(partitions int, clock Clock) *MemoryLog {
	if clock == nil {
		clock = wallClock{}
	}
	l := &MemoryLog{clock: clock, partitions: map[string][]Event{}, grown: make(chan struct{})}
	for i := range partitions {
		l.ids = append(l.ids, strconv.Itoa(i))
		l.partitions[l.ids[i]] = nil
	}
	return l
}

// Partitions implements Log.
func (l *MemoryLog) Partitions() []string { return l.ids }

// Publish implements Publisher.
func (l *MemoryLog) Publish(_ context.Context, partition string, events ...Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.partitions[partition]; partition != "" && !ok {
		return fmt.Errorf("publish: no partition %q", partition)
	}
	for _, e := range events {
		p := partition
		if p == "" {
			p = l.choose(e.PartitionKey)
		}
		e.Sequence = int64(len(l.partitions[p]))
		e.Offset = strconv.FormatInt(e.Sequence*(1<<8), 10)
		e.Enqueued = l.clock.Now().UTC()
		l.partitions[p] = append(l.partitions[p], e)
	}
	close(l.grown)
	l.grown = make(chan struct{})
	return nil
}

func (l *MemoryLog) choose(key string) string {
	n := len(l.ids)
	if key == "" {
		l.next = (l.next + 1) % n
		return l.ids[l.next]
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return l.ids[int(h.Sum32()%uint32(n))] //nolint:gosec // a few partitions
}

// Read implements Log.
func (l *MemoryLog) Read(ctx context.Context, partition string, after int64, most int) ([]Event, error) {
	for {
		l.mu.Lock()
		events, grown := l.partitions[partition], l.grown
		l.mu.Unlock()
		if from := int(after) + 1; from < len(events) {
			return events[from:min(from+most, len(events)):len(events)], nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// End implements Log.
func (l *MemoryLog) End(_ context.Context, partition string) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.partitions[partition])) - 1, nil
}

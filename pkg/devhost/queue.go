package devhost

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Queues stands for the storage queues of an account. It outlives a host: hand the same to the next one. The zero value
// has no messages.
type Queues struct {
	mu     sync.Mutex
	queues map[string][]*message
	grown  chan struct{} // closed when a message comes or becomes visible sooner
}

// message is one of a queue. It is taken by making it invisible for a while.
type message struct {
	id       string
	receipt  string // changes with each taking
	text     string
	dequeued int
	inserted time.Time
	visible  time.Time
}

// Lifetimes of the storage service and of the queue listener of azure-webjobs-sdk.
const (
	messageLifetime = 7 * 24 * time.Hour
	takenFor        = 10 * time.Minute // without renewal, when the host dies
	renewEvery      = takenFor / 2
)

// PoisonSuffix is added to a queue's name for the queue of messages that were tried too often.
const PoisonSuffix = "-poison"

func (q *Queues) put(queue, text string, now, visible time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.queues == nil {
		q.queues = map[string][]*message{}
	}
	q.queues[queue] = append(q.queues[queue], &message{id: newGUID(), text: text, inserted: now, visible: visible})
	q.changed()
}

// changed wakes those who wait for a message. The lock is held.
func (q *Queues) changed() {
	if q.grown != nil {
		close(q.grown)
	}
	q.grown = make(chan struct{})
}

// take returns the first visible message and makes it invisible. If there is none, it returns the time at which the next
// becomes visible, zero if none will, and a channel that is closed at any change.
func (q *Queues) take(queue string, now time.Time) (m *message, next time.Time, changed <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.grown == nil {
		q.grown = make(chan struct{})
	}
	for _, c := range q.queues[queue] {
		if !c.visible.After(now) {
			c.dequeued++
			c.visible = now.Add(takenFor)
			c.receipt = newGUID()
			taken := *c
			return &taken, time.Time{}, q.grown
		}
		if next.IsZero() || c.visible.Before(next) {
			next = c.visible
		}
	}
	return nil, next, q.grown
}

// postpone makes a message that was taken visible at a time.
func (q *Queues) postpone(queue string, taken *message, visible time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range q.queues[queue] {
		if c.receipt == taken.receipt {
			c.visible = visible
			q.changed()
		}
	}
}

// remove deletes a message that was taken.
func (q *Queues) remove(queue string, taken *message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queues[queue] = slices.DeleteFunc(q.queues[queue], func(c *message) bool { return c.receipt == taken.receipt })
}

// Texts returns the messages of a queue, taken ones included, oldest first.
func (q *Queues) Texts(queue string) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []string
	for _, m := range q.queues[queue] {
		out = append(out, m.text)
	}
	return out
}

// Names returns the names of the queues that have had a message, sorted.
func (q *Queues) Names() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Sorted(maps.Keys(q.queues))
}

// invocation adds the binding data of a queue trigger.
func (m *metadata) queue(msg *message) {
	m.set("DequeueCount", quoted(fmt.Sprint(msg.dequeued)))
	m.set("ExpirationTime", quoted(dotNetOffset(msg.inserted.Add(messageLifetime))))
	m.set("Id", jsonString(msg.id))
	m.set("InsertionTime", quoted(dotNetOffset(msg.inserted)))
	m.set("NextVisibleTime", quoted(dotNetOffset(msg.visible)))
	m.set("PopReceipt", jsonString(msg.receipt))
}

// dotNetOffset writes a DateTimeOffset as the host does, which passes it through a text without fractions.
func dotNetOffset(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05") + "+00:00" }

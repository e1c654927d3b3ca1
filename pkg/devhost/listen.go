package devhost

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// over reports whether the host is to stop.
func over(ctx context.Context) bool { return ctx.Err() != nil }

// sourcePause is the time between tries to read from a source that fails.
const sourcePause = 5 * time.Second

// listenHub reads one partition for a function: one invocation at a time, in order, and after each that has ended, well
// or not, the checkpoint moves (EventHubListener.PartitionProcessor.cs).
func (h *Host) listenHub(ctx context.Context, f *function, partition string) error {
	log := h.hubs[f.hub.hub]
	key := "hub/" + f.hub.hub + "/" + f.hub.group + "/" + partition
	after, err := h.hubStart(ctx, log, key, partition)
	if err != nil {
		return fmt.Errorf("function %s: partition %s: %w", f.name, partition, err)
	}
	h.progress.set(key, after)
	for batches := 1; ; batches++ {
		events, err := h.readBatch(ctx, log, partition, after)
		if over(ctx) {
			return nil
		}
		if err != nil {
			h.pause(ctx, f, fmt.Errorf("read partition %s: %w", partition, err))
			continue
		}
		after = events[len(events)-1].Sequence
		parts := [][]Event{events}
		if f.hub.encoding.Cardinality != "many" {
			parts = nil
			for i := range events {
				parts = append(parts, events[i:i+1])
			}
		}
		for _, part := range parts {
			if part = h.notTooOld(part); len(part) == 0 {
				continue
			}
			about := Invocation{
				Partition: partition, First: part[0].Sequence, Last: part[len(part)-1].Sequence, Events: len(part),
			}
			_ = h.execute(ctx, f, about, func(state *attempt) ([]byte, error) { // a failure has been logged
				return h.hubBody(f, partition, part, state)
			})
			if over(ctx) {
				return nil // cancelled: no checkpoint
			}
		}
		if batches%h.app.hubs.checkpointEvery == 0 {
			h.save(ctx, f, key, strconv.FormatInt(after, 10))
		}
		h.progress.set(key, after)
	}
}

func (h *Host) hubStart(ctx context.Context, log Log, key, partition string) (int64, error) {
	text, ok, err := h.checkpoints.Load(ctx, key)
	switch {
	case err != nil:
		return 0, fmt.Errorf("load checkpoint: %w", err)
	case ok:
		return strconv.ParseInt(text, 10, 64)
	case h.app.hubs.start == "fromEnd":
		return log.End(ctx, partition)
	default:
		return -1, nil
	}
}

// readBatch waits for events: for the first, or for minEventBatchSize of them, but no longer than maxWaitTime.
func (h *Host) readBatch(ctx context.Context, log Log, partition string, after int64) ([]Event, error) {
	events, err := log.Read(ctx, partition, after, h.app.hubs.most)
	if err != nil || len(events) >= h.app.hubs.least {
		return events, err
	}
	enough, cancel := context.WithCancel(ctx)
	defer cancel()
	waited := h.clock.After(h.app.hubs.wait)
	go func() {
		select {
		case <-waited:
			cancel()
		case <-enough.Done():
		}
	}()
	for len(events) < h.app.hubs.least {
		more, err := log.Read(enough, partition, events[len(events)-1].Sequence, h.app.hubs.most-len(events))
		if enough.Err() != nil {
			break
		}
		if err != nil {
			return nil, err
		}
		events = append(events[:len(events):len(events)], more...)
	}
	return events, nil
}

// pause logs what is wrong with a source and waits before the next try.
func (h *Host) pause(ctx context.Context, f *function, err error) {
	h.log.ErrorContext(ctx, "the source of the trigger fails", "function", f.name, "error", err)
	sleep(ctx, h.clock, sourcePause)
}

// save moves a checkpoint. As in Azure, one that cannot be saved means only that events come again after a restart.
func (h *Host) save(ctx context.Context, f *function, key, value string) {
	if err := h.checkpoints.Save(ctx, key, value); err != nil && !over(ctx) {
		h.log.ErrorContext(ctx, "the checkpoint is not saved", "function", f.name, "checkpoint", key, "error", err)
	}
}

// notTooOld leaves out what came before initialOffsetOptions.enqueuedTimeUtc.
func (h *Host) notTooOld(events []Event) []Event {
	if h.app.hubs.start != "fromEnqueuedTime" {
		return events
	}
	for i, e := range events {
		if !e.Enqueued.Before(h.app.hubs.startTime) {
			return events[i:]
		}
	}
	return nil
}

func (h *Host) hubBody(f *function, partition string, events []Event, state *attempt) ([]byte, error) {
	data, err := f.hub.encoding.events(events)
	if err != nil {
		return nil, err
	}
	var m metadata
	m.eventHub(f.hub, partition, events)
	m.system(f.name, h.clock.Now())
	return m.body(f.param, data, state), nil
}

// listenFeed polls a change feed for a function. Like an event hub's its position moves after each invocation that ended.
func (h *Host) listenFeed(ctx context.Context, f *function) error {
	feed := h.feeds[f.feed.container]
	key := "feed/" + f.feed.container + "/" + f.feed.lease
	after, ok, err := h.checkpoints.Load(ctx, key)
	if err == nil && !ok && !f.feed.fromBeginning {
		after, err = feed.End(ctx)
	}
	if err != nil {
		return fmt.Errorf("function %s: find the place in the feed: %w", f.name, err)
	}
	for !over(ctx) {
		docs, next, err := feed.Changes(ctx, after, f.feed.most)
		if err != nil {
			if !over(ctx) {
				h.pause(ctx, f, fmt.Errorf("read the feed: %w", err))
			}
			continue
		}
		if len(docs) == 0 {
			sleep(ctx, h.clock, f.feed.poll)
			continue
		}
		_ = h.execute(ctx, f, Invocation{Events: len(docs)}, func(state *attempt) ([]byte, error) {
			list, err := json.Marshal(docs)
			if err != nil {
				return nil, fmt.Errorf("bind documents: %w", err)
			}
			var m metadata
			m.system(f.name, h.clock.Now())
			return m.body(f.param, appendQuoted(nil, appendQuoted(nil, list)), state), nil
		})
		if over(ctx) {
			return nil
		}
		after = next
		h.save(ctx, f, key, after)
	}
	return nil
}

// listenTimer runs a function when its schedule is due. Runs do not overlap; those missed meanwhile are left out.
func (h *Host) listenTimer(ctx context.Context, f *function) error {
	var last time.Time
	if f.timer.runOnStartup {
		last = h.runTimer(ctx, f, last)
	}
	for !over(ctx) {
		now := h.clock.Now()
		due := f.timer.schedule.next(now)
		if due.IsZero() {
			h.log.WarnContext(ctx, "the schedule has no further time", "function", f.name)
			return nil
		}
		select {
		case <-h.clock.After(due.Sub(now)):
		case <-h.runNow[f.name]:
		case <-ctx.Done():
			return nil
		}
		last = h.runTimer(ctx, f, last)
	}
	return nil
}

func (h *Host) runTimer(ctx context.Context, f *function, last time.Time) time.Time {
	now := h.clock.Now()
	_ = h.execute(ctx, f, Invocation{Events: 1}, func(state *attempt) ([]byte, error) {
		status := []byte("null")
		if !last.IsZero() {
			status = fmt.Appendf(nil, `{"Last":"%s","Next":"%s","LastUpdated":"%s"}`,
				dotNetTime(last, true), dotNetTime(f.timer.schedule.next(now), true), dotNetTime(last, true))
		}
		data := fmt.Appendf(nil, `{"Schedule":{"AdjustForDST":true},"ScheduleStatus":%s,"IsPastDue":false}`, status)
		var m metadata
		m.system(f.name, h.clock.Now())
		return m.body(f.param, data, state), nil
	})
	return now
}

// listenQueue takes messages of a queue for a function, several at a time. A message is deleted after a success, shown
// again after a failure, and moved to the poison queue after the last.
func (h *Host) listenQueue(ctx context.Context, f *function) error {
	places := make(chan struct{}, h.app.queues.batch)
	defer func() { // wait for those under way
		for range cap(places) {
			places <- struct{}{}
		}
	}()
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		m, ok := h.nextMessage(ctx, f.queue.queue)
		if !ok {
			<-places
			return nil
		}
		go func() {
			defer func() { <-places }()
			h.runMessage(ctx, f, m)
		}()
	}
}

func (h *Host) nextMessage(ctx context.Context, queue string) (*message, bool) {
	for !over(ctx) {
		now := h.clock.Now()
		m, next, changed := h.queues.take(queue, now)
		if m != nil {
			return m, true
		}
		var due <-chan time.Time
		if !next.IsZero() {
			due = h.clock.After(next.Sub(now))
		}
		select {
		case <-due:
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil, false
}

func (h *Host) runMessage(ctx context.Context, f *function, msg *message) {
	done := make(chan error, 1)
	go func() {
		done <- h.execute(ctx, f, Invocation{Events: 1}, func(state *attempt) ([]byte, error) {
			return h.queueBody(f, msg, state), nil
		})
	}()
	for {
		select {
		case <-h.clock.After(renewEvery):
			h.queues.postpone(f.queue.queue, msg, h.clock.Now().Add(takenFor))
			continue
		case err := <-done:
			switch {
			case over(ctx): // the message stays taken until its time is over
			case err == nil:
				h.queues.remove(f.queue.queue, msg)
			case msg.dequeued >= h.app.queues.maxDequeue:
				now := h.clock.Now()
				h.queues.put(f.queue.queue+PoisonSuffix, msg.text, now, now)
				h.queues.remove(f.queue.queue, msg)
				h.log.ErrorContext(ctx, "the message is moved to the poison queue", "function", f.name,
					"queue", f.queue.queue+PoisonSuffix, "messageId", msg.id, "dequeueCount", msg.dequeued)
			default:
				h.queues.postpone(f.queue.queue, msg, h.clock.Now().Add(h.app.queues.visibility))
			}
			return
		}
	}
}

func (h *Host) queueBody(f *function, msg *message, state *attempt) []byte {
	var m metadata
	m.queue(msg)
	text := []byte(msg.text)
	data := appendQuoted(nil, appendQuoted(nil, text))
	if f.queue.binary {
		data = appendQuoted(nil, base64.StdEncoding.AppendEncode(nil, text))
	} else {
		m.merge(text)
	}
	m.system(f.name, h.clock.Now())
	return m.body(f.param, data, state)
}

// Package eventhubs is the source of replays that reads Azure Event Hubs, as far as the hub's retention reaches. It reads
// with a consumer group of its own and without an owner level, so it never takes a partition from the live path; at
// most five such readers of a group may read a partition, which is the service's limit.
package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/replay"
)

// Options say which hub is read.
type Options struct {
	Hub           string
	ConsumerGroup string // of replays alone: the live path reads with owner levels, and whoever has one keeps others out

	Namespace  string                 // fully qualified: contoso.servicebus.windows.net
	Credential azcore.TokenCredential // for the namespace
	Connection string                 // instead of both, for an emulator only: the connection string

	SliceEvents int64 // of a slice; 0: DefaultSliceEvents
	PageEvents  int   // of a page; 0: DefaultPageEvents
}

// Defaults of Options. An event of diagnostic settings holds up to 256 kB, mostly far less.
const (
	DefaultSliceEvents = 100_000
	DefaultPageEvents  = 200
)

// Waiting for the hub. A read that brings nothing for so long is begun anew; after quiet ones the hub has lost what it had.
const (
	receiveFor = 10 * time.Second
	answerFor  = 30 * time.Second // of properties: the SDK asks for them without the caller's context
	mostQuiet  = 6
)

// askAtOnce is how many partitions are asked at the same time when a replay is planned: a caller waits for it, and the service
// answers fifty such questions a second.
const askAtOnce = 8

// Source reads one hub. Close it.
type Source struct {
	o      Options
	client *azeventhubs.ConsumerClient
}

var _ replay.Source = (*Source)(nil)

// New returns a source. It reaches no network.
func New(o Options) (*Source, error) {
	if o.SliceEvents <= 0 {
		o.SliceEvents = DefaultSliceEvents
	}
	if o.PageEvents <= 0 {
		o.PageEvents = DefaultPageEvents
	}
	s := &Source{o: o}
	options := &azeventhubs.ConsumerClientOptions{ApplicationID: "assay-replay"}
	var err error
	if o.Connection != "" {
		s.client, err = azeventhubs.NewConsumerClientFromConnectionString(o.Connection, o.Hub, o.ConsumerGroup, options)
		if err != nil {
			return nil, fmt.Errorf("read event hub %s: its connection string is not usable", o.Hub) // the cause may quote it
		}
		return s, nil
	}
	if s.client, err = azeventhubs.NewConsumerClient(o.Namespace, o.Hub, o.ConsumerGroup, o.Credential, options); err != nil {
		return nil, fmt.Errorf("read event hub %s: %w", o.Hub, err)
	}
	return s, nil
}

// Close ends the connection.
func (s *Source) Close(ctx context.Context) error { return s.client.Close(ctx) }

// Plan finds the sequence numbers between which each partition holds what arrived in the window, up to the last there is
// now, and cuts them into ranges. What has left the retention is a gap.
func (s *Source) Plan(ctx context.Context, arrived replay.Window) (replay.Plan, error) {
	var plan replay.Plan
	hub, err := answer(ctx, func() (azeventhubs.EventHubProperties, error) { return s.client.GetEventHubProperties(ctx, nil) })
	if err != nil {
		return plan, fmt.Errorf("ask event hub %s for its partitions: %w", s.o.Hub, err)
	}
	parts, errs := make([]replay.Plan, len(hub.PartitionIDs)), make([]error, len(hub.PartitionIDs))
	var asked sync.WaitGroup
	places := make(chan struct{}, askAtOnce)
	for i, partition := range hub.PartitionIDs {
		places <- struct{}{}
		asked.Go(func() {
			if err := s.planPartition(ctx, &parts[i], partition, arrived); err != nil {
				errs[i] = fmt.Errorf("plan partition %s of event hub %s: %w", partition, s.o.Hub, err)
			}
			<-places
		})
	}
	asked.Wait()
	for i := range parts {
		plan.Ranges = append(plan.Ranges, parts[i].Ranges...)
		plan.Gaps = append(plan.Gaps, parts[i].Gaps...)
	}
	return plan, errors.Join(errs...)
}

func (s *Source) planPartition(ctx context.Context, plan *replay.Plan, partition string, arrived replay.Window) error {
	p, err := answer(ctx, func() (azeventhubs.PartitionProperties, error) {
		return s.client.GetPartitionProperties(ctx, partition, nil)
	})
	if err != nil {
		return fmt.Errorf("ask for its properties: %w", err)
	}
	gap := func(to time.Time) {
		plan.Gaps = append(plan.Gaps, replay.Gap{
			Source: s.o.Hub, Partition: partition, From: arrived.From.UTC(), To: minTime(to, arrived.To).UTC(),
			Reason: "the hub retains nothing that arrived then any longer",
		})
	}
	if p.IsEmpty {
		if p.LastEnqueuedSequenceNumber >= 0 && p.LastEnqueuedOn.After(arrived.From) {
			gap(p.LastEnqueuedOn)
		}
		return nil
	}
	if p.BeginningSequenceNumber > 0 {
		first, err := s.first(ctx, partition, azeventhubs.StartPosition{SequenceNumber: &p.BeginningSequenceNumber, Inclusive: true})
		if err != nil {
			return fmt.Errorf("read its first event: %w", err)
		}
		if first.EnqueuedTime != nil && first.EnqueuedTime.After(arrived.From) {
			gap(*first.EnqueuedTime)
		}
	}
	if p.LastEnqueuedOn.Before(arrived.From) {
		return nil
	}
	from, err := s.first(ctx, partition, azeventhubs.StartPosition{EnqueuedTime: &arrived.From, Inclusive: true})
	if err != nil {
		return fmt.Errorf("read the first event of the window: %w", err)
	}
	// Enqueued times can step back when a partition moves. Sequence numbers are the hard end: the one in front of the first
	// event behind the window, or the last of now.
	last := p.LastEnqueuedSequenceNumber
	if p.LastEnqueuedOn.After(arrived.To) {
		behind, err := s.first(ctx, partition, azeventhubs.StartPosition{EnqueuedTime: &arrived.To, Inclusive: true})
		if err != nil {
			return fmt.Errorf("read the first event behind the window: %w", err)
		}
		last = min(last, behind.SequenceNumber-1)
	}
	for at := from.SequenceNumber; at <= last; at += s.o.SliceEvents {
		end := min(at+s.o.SliceEvents-1, last)
		plan.Ranges = append(plan.Ranges, replay.Range{
			Partition: partition, From: strconv.FormatInt(at, 10), To: strconv.FormatInt(end, 10), Units: end - at + 1,
		})
	}
	return nil
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// first returns the first event from a position on. There has to be one.
func (s *Source) first(ctx context.Context, partition string, at azeventhubs.StartPosition) (*azeventhubs.ReceivedEventData, error) {
	c, err := s.client.NewPartitionClient(partition, &azeventhubs.PartitionClientOptions{StartPosition: at, Prefetch: -1})
	if err != nil {
		return nil, err
	}
	defer c.Close(context.WithoutCancel(ctx)) //nolint:errcheck // what was wanted is here
	ctx, cancel := context.WithTimeout(ctx, answerFor)
	defer cancel()
	events, err := c.ReceiveEvents(ctx, 1, nil)
	if err != nil {
		return nil, err
	}
	return events[0], nil
}

// answer waits for a call that does not obey its context.
func answer[T any](ctx context.Context, call func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, answerFor)
	defer cancel()
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		v, err := call()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("the hub does not answer: %w", context.Cause(ctx))
	}
}

// Open reads a range. A position is the sequence number of the last event that was read.
func (s *Source) Open(_ context.Context, r replay.Range, position string) (replay.Reader, error) {
	from, err := strconv.ParseInt(r.From, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read event hub %s: the slice begins at %q: %w", s.o.Hub, r.From, err)
	}
	to, err := strconv.ParseInt(r.To, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read event hub %s: the slice ends at %q: %w", s.o.Hub, r.To, err)
	}
	if position != "" {
		at, err := strconv.ParseInt(position, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read event hub %s from position %q: %w", s.o.Hub, position, err)
		}
		from = at + 1
	}
	out := &reader{s: s, partition: r.Partition, next: from, last: to}
	if from > to {
		return out, nil // there is nothing left
	}
	out.client, err = s.client.NewPartitionClient(r.Partition, &azeventhubs.PartitionClientOptions{
		StartPosition: azeventhubs.StartPosition{SequenceNumber: &from, Inclusive: true}, Prefetch: int32(min(2*s.o.PageEvents, 5000)), //nolint:gosec // bounded
	})
	if err != nil {
		return nil, fmt.Errorf("read partition %s of event hub %s: %w", r.Partition, s.o.Hub, err)
	}
	return out, nil
}

// reader reads a range of a partition.
type reader struct {
	s          *Source
	partition  string
	client     *azeventhubs.PartitionClient
	next, last int64 // sequence numbers that are still to be read, both included
}

// errRetention says that a hub has dropped events between planning and reading.
var errRetention = errors.New("the hub sends no more events of the slice: they have left the retention")

// Next implements replay.Reader.
func (r *reader) Next(ctx context.Context) (replay.Page, error) {
	if r.next > r.last {
		return replay.Page{}, io.EOF
	}
	want := int(min(int64(r.s.o.PageEvents), r.last-r.next+1))
	for range mostQuiet {
		events, err := r.receive(ctx, want)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			continue // nothing has come in time: the end of the range has to come, so ask again
		}
		if err != nil {
			return replay.Page{}, fmt.Errorf("read partition %s of event hub %s from sequence %d: %w", r.partition, r.s.o.Hub, r.next, err)
		}
		return r.page(events), nil
	}
	return replay.Page{}, fmt.Errorf("read partition %s of event hub %s from sequence %d: %w", r.partition, r.s.o.Hub, r.next, errRetention)
}

func (r *reader) receive(ctx context.Context, count int) ([]*azeventhubs.ReceivedEventData, error) {
	ctx, cancel := context.WithTimeout(ctx, receiveFor)
	defer cancel()
	return r.client.ReceiveEvents(ctx, count, nil)
}

// page makes a page of events, but for those that are not of the range.
func (r *reader) page(events []*azeventhubs.ReceivedEventData) replay.Page {
	p := replay.Page{}
	in := &envelope.Batch{}
	for _, e := range events {
		p.Bytes += int64(len(e.Body))
		if e.SequenceNumber < r.next || e.SequenceNumber > r.last {
			continue
		}
		o := envelope.Origin{Source: r.s.o.Hub, Partition: r.partition, Sequence: e.SequenceNumber} // as the live path gives it
		if e.EnqueuedTime != nil {
			o.Enqueued = e.EnqueuedTime.UTC()
		}
		in.Add(string(e.Body), o)
	}
	at := r.last
	if n := len(events); n > 0 {
		at = min(events[n-1].SequenceNumber, r.last)
	}
	p.Units = at - r.next + 1
	r.next = at + 1
	p.Records, p.Position = in, strconv.FormatInt(at, 10)
	return p
}

// Close implements replay.Reader.
func (r *reader) Close() error {
	if r.client == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), receiveFor)
	defer cancel()
	if err := r.client.Close(ctx); err != nil {
		return fmt.Errorf("end reading partition %s of event hub %s: %w", r.partition, r.s.o.Hub, err)
	}
	return nil
}

package azfunc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// EventHub is the metadata of an Event Hubs trigger.
type EventHub struct {
	Namespace     string // fully qualified, e.g. "ns.servicebus.windows.net"; empty in older extensions
	Hub           string
	ConsumerGroup string
	Partition     string
	Events        []Event // in the order of the batch; may be shorter than the batch
}

// Event is the metadata of one event.
type Event struct {
	Sequence     int64 // unique in the partition, the event's identity; -1: not sent
	Offset       string
	Enqueued     time.Time // UTC; zero: not sent
	PartitionKey string
	Properties   map[string]Value // what the publisher added
}

// Event returns the metadata of the i-th event of the batch, counted from 0. What the host did not send is missing in it.
func (h EventHub) Event(i int) Event {
	if i < 0 || i >= len(h.Events) {
		return Event{Sequence: -1}
	}
	return h.Events[i]
}

// DiagnosticID is the publisher's trace context in the form of a traceparent header, or empty.
func (e Event) DiagnosticID() string { return e.Properties["Diagnostic-Id"].text() }

// EventHub reads the metadata of an Event Hubs trigger, of a batch as of a single event. The error names what could not
// be read; the rest is filled in all the same.
func (in *Invocation) EventHub() (EventHub, error) {
	var h EventHub
	var errs []error
	if v, ok := in.Metadata["PartitionContext"]; ok {
		// The names differ between versions of the extension: azure-functions-java-worker#275 shows the older ones.
		var c struct {
			FullyQualifiedNamespace, EventHubName, EventHubPath, ConsumerGroup, ConsumerGroupName, PartitionID Value
		}
		if err := v.Decode(&c); err != nil {
			errs = append(errs, fmt.Errorf("PartitionContext: %w", err))
		}
		h.Namespace = c.FullyQualifiedNamespace.text()
		h.Hub = first(c.EventHubName.text(), c.EventHubPath.text())
		h.ConsumerGroup = first(c.ConsumerGroup.text(), c.ConsumerGroupName.text())
		h.Partition = c.PartitionID.text()
	}
	read := eventReader{in: in, hub: &h}
	read.each("SystemProperties", (*Event).setSystem)
	read.each("SequenceNumber", (*Event).setSequence)
	read.each("Offset", (*Event).setOffset)
	read.each("OffsetString", (*Event).setOffset)
	read.each("EnqueuedTimeUtc", (*Event).setEnqueued)
	read.each("PartitionKey", (*Event).setPartitionKey)
	read.each("Properties", (*Event).setProperties)
	return h, errors.Join(append(errs, read.errs...)...)
}

// eventReader spreads members of the metadata over events: "XArray" in a batch, "X" for a single event.
type eventReader struct {
	in   *Invocation
	hub  *EventHub
	errs []error
}

func (r *eventReader) each(name string, set func(*Event, Value) error) {
	values := []Value{r.in.Metadata[name]}
	if v, ok := r.in.Metadata[name+"Array"]; ok {
		name += "Array"
		var err error
		if values, err = v.list(); err != nil {
			r.errs = append(r.errs, fmt.Errorf("%s: %w", name, err))
			return
		}
	}
	for i, v := range values {
		if v.Null() {
			continue
		}
		for len(r.hub.Events) <= i {
			r.hub.Events = append(r.hub.Events, Event{Sequence: -1})
		}
		if err := set(&r.hub.Events[i], v); err != nil {
			r.errs = append(r.errs, fmt.Errorf("%s[%d]: %w", name, i, err))
		}
	}
}

func (e *Event) setSequence(v Value) error {
	n, err := v.integer()
	if err == nil {
		e.Sequence = n
	}
	return err
}

// setOffset keeps the offset unless it is "-1", which newer extensions write where an offset is no number.
func (e *Event) setOffset(v Value) error {
	if s := v.text(); s != "-1" {
		e.Offset = s
	}
	return nil
}

func (e *Event) setEnqueued(v Value) error {
	t, err := v.time()
	if err == nil {
		e.Enqueued = t
	}
	return err
}

func (e *Event) setPartitionKey(v Value) error {
	e.PartitionKey = v.text()
	return nil
}

func (e *Event) setProperties(v Value) error { return v.Decode(&e.Properties) }

// setSystem takes the sequence number and time from the system properties; the arrays of their own overwrite them.
func (e *Event) setSystem(v Value) error {
	var p map[string]Value
	if err := v.Decode(&p); err != nil {
		return err
	}
	var errs []error
	if n := p["SequenceNumber"]; !n.Null() {
		errs = append(errs, e.setSequence(n))
	}
	if t := p["EnqueuedTimeUtc"]; !t.Null() {
		errs = append(errs, e.setEnqueued(t))
	}
	if o := p["Offset"]; !o.Null() {
		errs = append(errs, e.setOffset(o))
	}
	return errors.Join(errs...)
}

// Queue is the metadata of a storage queue trigger.
type Queue struct {
	ID           string
	PopReceipt   string
	DequeueCount int       // 1 at the first attempt
	Inserted     time.Time // UTC
	Expires      time.Time
	NextVisible  time.Time
}

// Queue reads the metadata of a queue trigger. Top-level properties of a message that is a JSON object are merged into
// the metadata, so a sender can overwrite these. The error names what could not be read.
func (in *Invocation) Queue() (Queue, error) {
	q := Queue{ID: in.Metadata["Id"].text(), PopReceipt: in.Metadata["PopReceipt"].text()}
	var errs []error
	if v := in.Metadata["DequeueCount"]; !v.Null() {
		n, err := v.integer()
		if err != nil {
			errs = append(errs, fmt.Errorf("DequeueCount: %w", err))
		}
		q.DequeueCount = int(n)
	}
	for _, f := range []struct {
		name string
		dst  *time.Time
	}{{"InsertionTime", &q.Inserted}, {"ExpirationTime", &q.Expires}, {"NextVisibleTime", &q.NextVisible}} {
		if err := in.metadataTime(f.name, f.dst); err != nil {
			errs = append(errs, err)
		}
	}
	return q, errors.Join(errs...)
}

func (in *Invocation) metadataTime(name string, dst *time.Time) error {
	v := in.Metadata[name]
	if v.Null() {
		return nil
	}
	t, err := v.time()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	*dst = t
	return nil
}

// Timer is the value of a timer trigger. Times are in UTC and zero if unknown.
type Timer struct {
	PastDue     bool // the run should have begun earlier
	Last        time.Time
	Next        time.Time
	LastUpdated time.Time
}

// Timer reads the value of the timer trigger of that name.
func (in *Invocation) Timer(name string) (Timer, error) {
	var raw struct {
		ScheduleStatus *struct{ Last, Next, LastUpdated Value }
		IsPastDue      Value
	}
	if err := in.Data[name].Decode(&raw); err != nil {
		return Timer{}, fmt.Errorf("timer %q: %w", name, err)
	}
	t := Timer{PastDue: strings.EqualFold(raw.IsPastDue.text(), "true")}
	if s := raw.ScheduleStatus; s != nil {
		// A schedule without a status has no past; an unreadable time is as good as none.
		t.Last, _ = s.Last.time()
		t.Next, _ = s.Next.time()
		t.LastUpdated, _ = s.LastUpdated.time()
	}
	return t, nil
}

// Documents reads the value of the Cosmos DB trigger of that name: the changed documents, oldest first.
func (in *Invocation) Documents(name string) ([]json.RawMessage, error) {
	var docs []json.RawMessage
	if err := in.Data[name].Decode(&docs); err != nil {
		return nil, fmt.Errorf("documents %q: %w", name, err)
	}
	return docs, nil
}

// Sys is what the host adds to the metadata of every trigger.
type Sys struct {
	Method   string // the function's name
	UTCNow   time.Time
	RandGUID string
}

// Sys reads the member sys of the metadata; what is missing or unreadable is zero.
func (in *Invocation) Sys() Sys {
	var raw struct{ MethodName, UtcNow, RandGuid Value }
	if in.Metadata["sys"].Decode(&raw) != nil {
		return Sys{}
	}
	t, _ := raw.UtcNow.time()
	return Sys{Method: raw.MethodName.text(), UTCNow: t, RandGUID: raw.RandGuid.text()}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

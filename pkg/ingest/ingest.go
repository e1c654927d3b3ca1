// Package ingest takes batches of Event Hubs messages through the pipeline, so that a batch which cannot be processed
// holds its partition only as long as trying again can help.
//
// It keeps no state in memory that matters: the Functions host may kill the process at any instant and hand the batch to
// another instance. It does not know the host's protocol; package azfunc does.
package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/store"
)

// Batch is what the host hands over: messages of one partition.
type Batch struct {
	Hub       string
	Partition string
	Attempt   int    // 0 the first time that the host hands over this batch
	Payload   string // the undecoded value of the trigger
	Messages  []Message
}

// Message is what the host tells of one message.
type Message struct {
	Sequence int64 // unique in the partition
	Enqueued time.Time
}

// Processor is the pipeline.
type Processor interface {
	Process(ctx context.Context, src pipeline.Source, o pipeline.Options) (*pipeline.Report, error)
}

// Ingester processes batches. It is safe for concurrent use.
type Ingester struct {
	processor Processor
	state     store.State
	setAside  func(ctx context.Context, items []alert.SetAside) error
	now       func() time.Time
	beaten    sync.Map // when this process last wrote a partition's heartbeat: spares a read, and is nobody's truth
}

// New returns an ingester. setAside keeps what kills the process.
func New(p Processor, state store.State, setAside func(context.Context, []alert.SetAside) error, now func() time.Time) *Ingester {
	return &Ingester{processor: p, state: state, setAside: setAside, now: now}
}

// cautious is the attempt from which on a batch is processed under a marker. Until then a fault is most likely the
// store's, and a marker would only cost writes.
const cautious = 3

// Process takes the batch through the pipeline and returns what it did. An error means: hand it over again.
//
// From the third repetition on the batch is processed under a start marker: if the process dies, the next attempt finds
// what it died of, halves it until a single record is left, and sets that one aside.
func (g *Ingester) Process(ctx context.Context, b Batch, o pipeline.Options) (*pipeline.Report, error) {
	var report *pipeline.Report
	var err error
	if b.Attempt < cautious {
		report, err = g.processor.Process(ctx, b.source(), o)
	} else {
		report, err = g.underMarker(ctx, b, o)
	}
	if err != nil {
		return report, fmt.Errorf("process a batch of %s/%s from sequence %d: %w", b.Hub, b.Partition, b.first(), err)
	}
	return report, g.beat(ctx, b)
}

func (b *Batch) first() int64 {
	if len(b.Messages) == 0 {
		return -1
	}
	return b.Messages[0].Sequence
}

// source reads the batch's records with their sequence numbers.
func (b *Batch) source() pipeline.Source {
	return &located{from: envelope.Body(b.Payload, envelope.Origin{Source: b.Hub, Partition: b.Partition, Sequence: -1}), messages: b.Messages}
}

// located gives records the sequence number and time of their message.
type located struct {
	from     *envelope.Messages
	messages []Message
}

func (l *located) Next() (envelope.Record, error) {
	r, err := l.from.Next()
	if part := (*envelope.Broken)(nil); errors.As(err, &part) {
		l.locate(&part.Origin)
	}
	l.locate(&r.Origin)
	return r, err
}

func (l *located) locate(o *envelope.Origin) {
	if i := o.Message - 1; i >= 0 && i < len(l.messages) {
		o.Sequence, o.Enqueued = l.messages[i].Sequence, l.messages[i].Enqueued
	}
}

// marker tells which records of a batch are being processed. It is written before them and removed behind the batch, so
// one that is found says what the process died of.
type marker struct {
	First   int64    `json:"first"`   // sequence number of the batch's first message
	Running *span    `json:"running"` // what was begun last
	Pending []span   `json:"pending"` // what comes behind it
	Killers []string `json:"killers"` // places of the records that were set aside for it
}

// span is a run of the batch's records, by their place in it: [From, To).
type span struct{ From, To int }

// underMarker processes the batch span by span.
func (g *Ingester) underMarker(ctx context.Context, b Batch, o pipeline.Options) (*pipeline.Report, error) {
	records, err := b.records()
	if err != nil {
		return nil, err
	}
	doc, m, err := g.findMarker(ctx, b, len(records))
	if err != nil {
		return nil, err
	}
	total := pipeline.NewReport()
	if m.Running != nil {
		if err := g.bisect(ctx, &m, records, o, total); err != nil {
			return total, err
		}
	}
	for len(m.Pending) > 0 {
		next := m.Pending[0]
		m.Running, m.Pending = &next, m.Pending[1:]
		if doc, err = g.saveMarker(ctx, doc, m); err != nil {
			return total, err
		}
		report, err := g.processor.Process(ctx, &slice{records: records[next.From:next.To]}, o)
		total.Add(report)
		if err != nil {
			// The process lives, so this was no killer: it is pending again.
			m.Pending, m.Running = append([]span{next}, m.Pending...), nil
			if _, merr := g.saveMarker(ctx, doc, m); merr != nil {
				err = errors.Join(err, merr)
			}
			return total, err
		}
	}
	if err := g.state.Delete(ctx, doc); err != nil && !errors.Is(err, store.ErrConflict) {
		return total, fmt.Errorf("remove the start marker: %w", err)
	}
	return total, nil
}

// bisect puts the halves of what the process died of before what is pending, or sets a single record aside.
func (g *Ingester) bisect(ctx context.Context, m *marker, records []result, o pipeline.Options, total *pipeline.Report) error {
	s := *m.Running
	m.Running = nil
	if s.To-s.From > 1 {
		middle := s.From + (s.To-s.From)/2
		m.Pending = append([]span{{s.From, middle}, {middle, s.To}}, m.Pending...)
		return nil
	}
	r := records[s.From]
	origin, text := r.record.Origin, r.record.Body
	if r.broken != nil {
		origin, text = r.broken.Origin, r.broken.Copy
	}
	item := alert.NewSetAside("killed-the-process", "the process died whenever it processed this record", origin.String(), origin.Source, text)
	item.Seen, item.Run = g.now(), o.From.Run
	if err := g.setAside(ctx, []alert.SetAside{item}); err != nil {
		return fmt.Errorf("set aside the record that killed the process: %w", err)
	}
	m.Killers = append(m.Killers, item.Place)
	total.Records++
	total.SetAside[item.Reason]++
	return nil
}

// findMarker returns the batch's marker, or a new one under which the whole batch is pending. A marker of another
// batch of the partition is out of date.
func (g *Ingester) findMarker(ctx context.Context, b Batch, n int) (store.Document, marker, error) {
	fresh := marker{First: b.first(), Pending: []span{{0, n}}}
	doc, err := g.state.Load(ctx, documentID("start", b))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Document{ID: documentID("start", b)}, fresh, nil
	case err != nil:
		return doc, fresh, fmt.Errorf("load the start marker: %w", err)
	}
	var m marker
	if json.Unmarshal(doc.Body, &m) == nil && m.First == fresh.First && m.fits(n) {
		return doc, m, nil
	}
	return doc, fresh, nil
}

// fits tells whether the spans lie within n records: the host may have cut the batch otherwise.
func (m *marker) fits(n int) bool {
	for _, s := range append(m.Pending, m.spanOf()...) {
		if s.From < 0 || s.To > n || s.From >= s.To {
			return false
		}
	}
	return true
}

func (m *marker) spanOf() []span {
	if m.Running == nil {
		return nil
	}
	return []span{*m.Running}
}

func (g *Ingester) saveMarker(ctx context.Context, doc store.Document, m marker) (store.Document, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return doc, fmt.Errorf("write the start marker: %w", err)
	}
	doc.Body = body
	if doc, err = g.state.Save(ctx, doc); err != nil {
		return doc, fmt.Errorf("write the start marker: %w", err)
	}
	return doc, nil
}

// documentID names a document of a hub's partition, in the characters that documents may have.
func documentID(what string, b Batch) string {
	clean := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
				return r
			}
			return '_'
		}, s)
	}
	return what + "." + clean(b.Hub) + "." + clean(b.Partition)
}

// result is what a source yields: a record or a broken part.
type result struct {
	record envelope.Record
	broken *envelope.Broken
}

// records splits the batch once and for all.
func (b *Batch) records() ([]result, error) {
	var out []result
	src := b.source()
	for {
		r, err := src.Next()
		part := (*envelope.Broken)(nil)
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case errors.As(err, &part):
			out = append(out, result{broken: part})
		case err != nil:
			return nil, fmt.Errorf("split the batch: %w", err)
		default:
			out = append(out, result{record: r})
		}
	}
}

// slice is a source of records that have been split.
type slice struct {
	records []result
	at      int
}

func (s *slice) Next() (envelope.Record, error) {
	if s.at == len(s.records) {
		return envelope.Record{}, io.EOF
	}
	r := s.records[s.at]
	s.at++
	if r.broken != nil {
		return envelope.Record{}, r.broken
	}
	return r.record, nil
}

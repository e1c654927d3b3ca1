// Package ingest takes batches of Event Hubs messages through the pipeline, so that a batch which cannot be processed
// holds its partition only as long as trying again can help.
//
// A batch is processed as a whole, without a marker, until there is a reason for doubt:
//
//   - From attempt 3 on it runs under a start marker, which is kept in the store and names what is being processed.
//   - The host counts attempts in memory and gives up after three deaths of the handler, so its successor begins at 0 again:
//     the number alone never shows that a batch kills the process. Hence a process asks the store for a marker at the
//     first batch of each partition that it meets, whatever the attempt; and a batch that comes to it as a repetition
//     then runs under a marker, too.
//
// Under a marker a batch is alone in its process, and runs whole at first. A marker that another process has left says
// what that one died of: this is halved, again after each death, until a single record is left, which is set aside. What fails
// while the process lives is the store's failure; it is tried again and never set aside.
//
// It keeps no state in memory that matters: the Functions host may kill the process at any instant and hand the batch to
// another instance. It does not know the host's protocol; package azfunc does.
package ingest

import (
	"context"
	"crypto/rand"
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
	state    store.State
	setAside func(ctx context.Context, items []alert.SetAside) error
	now      func() time.Time
	process  string // names this process in the markers that it writes
	gate     gate
	met      sync.Map // partitions of which this process has had a batch
	beaten   sync.Map // when this process last wrote a partition's heartbeat: spares a read, and is nobody's truth
}

// New returns an ingester. setAside keeps what kills the process.
func New(state store.State, setAside func(context.Context, []alert.SetAside) error, now func() time.Time) *Ingester {
	return &Ingester{state: state, setAside: setAside, now: now, process: rand.Text()}
}

// cautious is the attempt from which on a batch is processed under a marker, whoever saw the earlier ones. Until then a fault
// is most likely the store's, and a marker would only cost writes.
const cautious = 3

// Process takes the batch through the pipeline p, which is the same for all of the batch, and returns what it did. An error means: hand it over again.
//
// Where the process may have died of the batch, it is processed under a start marker: the next attempt finds what the
// process died of, halves it until a single record is left, and sets that one aside.
func (g *Ingester) Process(ctx context.Context, p Processor, b Batch, o pipeline.Options) (*pipeline.Report, error) {
	report, err := g.handle(ctx, p, b, o)
	if err != nil {
		return report, fmt.Errorf("process a batch of %s/%s from sequence %d: %w", b.Hub, b.Partition, b.first(), err)
	}
	return report, g.beat(ctx, b, report)
}

// handle decides by what is known of the attempts before. The host counts them in memory and gives up after three deaths
// of the handler: its successor begins at 0. So a process asks for a marker when it meets a partition for the first time,
// and takes a batch that comes to it as a repetition then for one that has outlived another process.
func (g *Ingester) handle(ctx context.Context, p Processor, b Batch, o pipeline.Options) (*pipeline.Report, error) {
	_, met := g.met.Load(documentID("", b))
	if met && b.Attempt < cautious {
		return g.run(ctx, p, b.source(), o)
	}
	doc, m, err := g.findMarker(ctx, b)
	if err != nil {
		return nil, err
	}
	g.met.Store(documentID("", b), true)
	if m == nil && b.Attempt == 0 {
		return g.run(ctx, p, b.source(), o)
	}
	leave, err := g.gate.enter(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("wait to be alone: %w", err)
	}
	defer leave()
	return g.underMarker(ctx, p, b, o, doc, m)
}

// run processes what nobody suspects.
func (g *Ingester) run(ctx context.Context, p Processor, src pipeline.Source, o pipeline.Options) (*pipeline.Report, error) {
	leave, err := g.gate.enter(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("wait for a suspect batch: %w", err)
	}
	defer leave()
	return p.Process(ctx, src, o)
}

func (b *Batch) first() int64 {
	if len(b.Messages) == 0 {
		return -1
	}
	return b.Messages[0].Sequence
}

func (b *Batch) last() int64 {
	if len(b.Messages) == 0 {
		return -1
	}
	return b.Messages[len(b.Messages)-1].Sequence
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

// locate names the message by its sequence number alone: its place in the batch changes with how the host cuts the partition,
// and ids of what is set aside are made of places.
func (l *located) locate(o *envelope.Origin) {
	if i := o.Message - 1; i >= 0 && i < len(l.messages) {
		o.Sequence, o.Enqueued, o.Message = l.messages[i].Sequence, l.messages[i].Enqueued, 0
	}
}

// marker tells which records of a batch are being processed. It is written before them and removed behind the batch, so
// one that is found says what the process died of.
type marker struct {
	First   int64  `json:"first"` // sequence numbers of the batch's first and last message
	Last    int64  `json:"last"`
	Records int    `json:"records"` // of the batch
	Running *span  `json:"running"` // what was begun last
	Pending []span `json:"pending"` // what comes behind it
	Process string `json:"process"` // that wrote it
}

// span is a run of the batch's records, by their place in it: [From, To).
type span struct{ From, To int }

// underMarker processes the batch span by span, while no other batch is in this process. found is what an earlier attempt left, or nil.
func (g *Ingester) underMarker(ctx context.Context, p Processor, b Batch, o pipeline.Options, doc store.Document, found *marker) (*pipeline.Report, error) {
	records, err := b.records()
	if err != nil {
		return nil, err
	}
	m := marker{First: b.first(), Last: b.last(), Records: len(records), Process: g.process}
	if found.fits(&m) {
		m = *found
	} else if len(records) > 0 {
		m.Pending = []span{{0, len(records)}}
	}
	total := pipeline.NewReport()
	switch {
	case m.Running == nil:
	case m.Process == g.process: // it lives: what it had begun was no killer, the store has failed since
		m.Pending, m.Running = append(m.spanOf(), m.Pending...), nil
	default:
		if err := g.bisect(ctx, &m, records, o, total); err != nil {
			return total, err
		}
	}
	m.Process = g.process
	for len(m.Pending) > 0 {
		next := m.Pending[0]
		m.Running, m.Pending = &next, m.Pending[1:]
		if doc, err = g.saveMarker(ctx, doc, m); err != nil {
			return total, err
		}
		report, err := p.Process(ctx, &slice{records: records[next.From:next.To]}, o)
		total.Add(report)
		if err != nil {
			// The process lives, so this was no killer: it is pending again. What has ended the context does not end this.
			m.Pending, m.Running = append([]span{next}, m.Pending...), nil
			if _, merr := g.saveMarker(context.WithoutCancel(ctx), doc, m); merr != nil {
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
	total.Records++
	total.SetAside[item.Reason]++
	return nil
}

// findMarker returns the marker that an earlier attempt at the batch left, or nil. A marker of another batch of the partition
// is out of date; its document is there to be overwritten.
func (g *Ingester) findMarker(ctx context.Context, b Batch) (store.Document, *marker, error) {
	id := documentID("start", b)
	doc, err := g.state.Load(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Document{ID: id}, nil, nil
	case err != nil:
		return doc, nil, fmt.Errorf("load the start marker: %w", err)
	}
	var m marker
	if json.Unmarshal(doc.Body, &m) != nil || m.First != b.first() || m.Last != b.last() {
		return doc, nil, nil //nolint:nilerr // a marker that cannot be read, or of another batch, marks nothing
	}
	return doc, &m, nil
}

// fits tells whether the marker is of the same batch as the fresh one: another version of Assay may split it otherwise.
func (m *marker) fits(fresh *marker) bool {
	if m == nil || m.First != fresh.First || m.Last != fresh.Last || m.Records != fresh.Records {
		return false
	}
	for _, s := range append(m.spanOf(), m.Pending...) {
		if s.From < 0 || s.To > m.Records || s.From >= s.To {
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

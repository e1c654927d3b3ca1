// Package pipeline is the one path from records to alerts: normalise, evaluate, store. Live functions, replays and the
// command line all call Process; what differs between them is the source, the store and the options.
//
// Trouble with a record is counted and set aside, never returned. An error means: run it again. Because
// ids are made of content, running it again changes nothing that was done already.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/suppress"
)

// Source yields records until io.EOF. An *envelope.Broken is a part that could not be split into records; any other
// error ends the run.
type Source interface {
	Next() (envelope.Record, error)
}

// Pipeline ties the stages together. It is immutable and safe for concurrent use.
type Pipeline struct {
	normalizer *normalize.Normalizer
	engine     *rule.Engine
	suppressed *suppress.Set
	store      store.Store
	now        func() time.Time
}

// New returns a pipeline. now stamps what is set aside; rules never see it.
func New(n *normalize.Normalizer, e *rule.Engine, s store.Store, now func() time.Time) *Pipeline {
	return &Pipeline{normalizer: n, engine: e, store: s, now: now}
}

// Suppressing returns the pipeline with suppressions: findings for which one holds page nobody.
func (p *Pipeline) Suppressing(s *suppress.Set) *Pipeline {
	q := *p
	q.suppressed = s
	return &q
}

// Options of one run.
type Options struct {
	From    alert.Provenance
	Tenants []string // lower-case; records of other tenants are set aside. Empty: all are welcome
	Workers int      // 0: one for each processor that Go may use
	Select  Selection

	// Observe is handed each event that was evaluated; nil: nobody is. It is called by several workers at once, and the
	// event is valid until it returns.
	Observe func(*event.Event)

	// Expired is the end of what the store has forgotten. Findings of events before it say so, and are quiet. Zero: nothing
	// is forgotten.
	Expired time.Time
}

// Selection is what a run asks of a source that holds more. Other records are counted, and neither evaluated nor set
// aside. The zero value selects all.
type Selection struct {
	From, To time.Time // event time, [From, To); zero: open
	Tenants  []string  // lower-case; empty: all
}

func (s *Selection) has(ev *event.Event) bool {
	at := ev.Time.V
	return (s.From.IsZero() || !at.Before(s.From)) && (s.To.IsZero() || at.Before(s.To)) &&
		(len(s.Tenants) == 0 || slices.Contains(s.Tenants, ev.Tenant))
}

// Bounds of one run. They keep memory flat whatever the input holds.
const (
	batchRecords   = 256     // records handed to a worker at once
	batchBytes     = 1 << 20 // bytes of records handed to a worker at once
	maxNames       = 256     // distinct category names that are counted by name
	maxCopies      = 1000    // copies of set-aside records that one run stores, by reason
	maxHeld        = 256     // findings and copies that wait to be stored together
	maxHeldFor     = time.Second
	maxRemembered  = 200_000 // findings of a run that are told apart for CountInRun
	overflowedName = "(other)"
)

// Process runs the source through the pipeline to its end.
//
// On an error the report tells what was done until then, and the same source may be run again. What was read before the
// source failed is recorded.
func (p *Pipeline) Process(ctx context.Context, src Source, o Options) (*Report, error) {
	started := time.Now()
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if workers == 1 {
		report, err := p.alone(ctx, src, o)
		report.Seconds = time.Since(started).Seconds()
		return report, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	// Batches flow to the workers; their results flow to the recorder in the order of the source, so that the same
	// input keeps the same evidence however many workers there are.
	work := make(chan *batch, workers)
	order := make(chan *batch, 2*workers)
	var failure error // of the source; set before order is closed
	go func() {
		defer close(order)
		defer close(work)
		failure = read(ctx, src, work, order)
	}()
	stopped := make(chan *worker, workers)
	for range workers {
		go func() {
			w := newWorker(p, o)
			for b := range work {
				w.run(b)
				close(b.done)
			}
			stopped <- w
		}()
	}

	rec := newRecorder(p.store, p.now, o)
	var failed error
	for b := range order {
		<-b.done
		if failed == nil && ctx.Err() == nil {
			if failed = rec.take(ctx, b, len(order) == 0); failed != nil {
				cancel()
			}
		}
	}
	if failed == nil && ctx.Err() == nil {
		failed = rec.record(ctx)
	}
	report := rec.report
	for range workers {
		(<-stopped).addTo(report)
	}
	report.Seconds = time.Since(started).Seconds()
	switch {
	case failed != nil:
		return report, failed
	case ctx.Err() != nil:
		return report, context.Cause(ctx)
	}
	return report, failure
}

// alone is Process for one worker: it reads, evaluates and records in turn. Handing batches over would cost a small input more
// than its records do.
func (p *Pipeline) alone(ctx context.Context, src Source, o Options) (*Report, error) {
	w, rec := newWorker(p, o), newRecorder(p.store, p.now, o)
	var end, failed error
	for end == nil && failed == nil && ctx.Err() == nil {
		var b *batch
		b, end = cut(src)
		w.run(b)
		if ctx.Err() == nil {
			failed = rec.take(ctx, b, end != nil)
		}
	}
	w.addTo(rec.report)
	switch {
	case failed != nil:
		return rec.report, failed
	case ctx.Err() != nil:
		return rec.report, context.Cause(ctx)
	}
	return rec.report, unread(end)
}

// batch is a run of consecutive records and what a worker made of them.
type batch struct {
	records []envelope.Record
	broken  []*envelope.Broken
	bytes   int

	findings []alert.Finding
	setAside []alert.SetAside
	done     chan struct{}
}

// read cuts the source into batches until it ends, fails or the context is over.
func read(ctx context.Context, src Source, work, order chan<- *batch) error {
	for {
		b, end := cut(src)
		select {
		case work <- b:
			order <- b // never blocks for long: the recorder drains it to the end
		case <-ctx.Done():
			return nil // its cause is known to whoever ended it
		}
		if end != nil {
			return unread(end)
		}
	}
}

// cut returns the next batch of the source, and the error that ended the source behind it.
func cut(src Source) (*batch, error) {
	b := &batch{done: make(chan struct{})}
	for len(b.records)+len(b.broken) < batchRecords && b.bytes < batchBytes {
		r, err := src.Next()
		if err == nil {
			b.records = append(b.records, r)
			b.bytes += len(r.Body)
			continue
		}
		part := (*envelope.Broken)(nil)
		if !errors.As(err, &part) {
			return b, err
		}
		b.broken = append(b.broken, part)
		b.bytes += len(part.Copy)
	}
	return b, nil
}

// unread tells why the source ended, if that was too early.
func unread(end error) error {
	if errors.Is(end, io.EOF) {
		return nil
	}
	return fmt.Errorf("read the source: %w", end)
}

// worker normalises and evaluates batches, one at a time.
type worker struct {
	p       *Pipeline
	o       Options
	scratch normalize.Scratch
	eval    rule.Scratch
	ev      event.Event
	counts  counts
}

func newWorker(p *Pipeline, o Options) *worker {
	return &worker{p: p, o: o, counts: newCounts(len(p.engine.Rules()))}
}

func (w *worker) run(b *batch) {
	for _, part := range b.broken {
		w.counts.records++
		w.setAside(b, part.Reason, part.Detail, part.Origin, part.Copy)
	}
	for i := range b.records {
		w.counts.records++
		w.one(b, &b.records[i])
	}
}

// one takes a record through normalisation and rules. A panic is that record's trouble alone.
func (w *worker) one(b *batch, r *envelope.Record) {
	before := len(b.findings)
	defer func() {
		if x := recover(); x != nil {
			b.findings = b.findings[:before]
			w.setAside(b, "panic", fmt.Sprintf("evaluating the record panicked: %T", x), r.Origin, r.Body)
		}
	}()
	res := w.p.normalizer.Normalize(r, &w.scratch, &w.ev)
	switch {
	case res.Outcome == normalize.Refused:
		w.setAside(b, res.Reason, res.Detail, r.Origin, r.Body)
		return
	case res.Outcome == normalize.Ignored, !w.p.engine.Reads(w.ev.Kind):
		count(w.counts.ignored, res.Category)
		return
	case !w.o.Select.has(&w.ev):
		w.counts.unselected++
		return
	case len(w.o.Tenants) > 0 && !slices.Contains(w.o.Tenants, w.ev.Tenant):
		w.setAside(b, "tenant-not-allowed", "the record belongs to a tenant that this source is not bound to", r.Origin, r.Body)
		return
	}
	from := w.o.From
	if w.ev.Time.V.Before(w.o.Expired) {
		from.Quiet, from.HistoryExpired = true, true
	}
	var failed error
	w.p.engine.Eval(&w.ev, &w.eval, func(v *rule.Verdict) {
		if v.Truth == rule.Unknown {
			w.counts.blind[v.Index].add(w.ev.Kind, v.Missing)
			return
		}
		if w.ev.ID == "" && failed == nil {
			failed = w.p.normalizer.Identify(r, &w.scratch, &w.ev)
		}
		if failed == nil {
			f := alert.NewFinding(v, &w.ev, alert.Evidence{Record: r.Body, Place: r.Origin.String()}, from)
			if s := w.p.suppressed.Find(&f, &w.ev); s != nil {
				f.Suppress(s)
			}
			b.findings = append(b.findings, f)
		}
	})
	if failed != nil {
		b.findings = b.findings[:before]
		w.setAside(b, "no-identity", failed.Error(), r.Origin, r.Body)
		return
	}
	if w.o.Observe != nil {
		w.o.Observe(&w.ev)
	}
	w.counts.evaluated[w.ev.Kind]++
}

func (w *worker) setAside(b *batch, reason, detail string, o envelope.Origin, body string) {
	if n := count(w.counts.setAside, reason); n <= maxCopies {
		b.setAside = append(b.setAside, alert.NewSetAside(reason, detail, o.String(), o.Source, body))
	}
}

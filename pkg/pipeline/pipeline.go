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
	"sync"
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
	batchRecords   = 256         // records that a worker takes at once
	batchBytes     = 512 << 10   // bytes of records that a worker takes at once
	maxNames       = 256         // distinct category names that are counted by name
	maxCopies      = 1000        // copies of set-aside records that one run stores, by reason
	maxHeld        = 256         // findings and copies that wait to be stored together
	maxHeldFor     = time.Second // that they wait
	maxRemembered  = 200_000     // findings of a run that are told apart for CountInRun
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
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &run{
		src: src, ahead: make(chan struct{}, 2*workers), done: map[int]*batch{},
		recorder: newRecorder(p.store, p.now, o), cancel: cancel,
	}
	all := make([]*worker, workers)
	var others sync.WaitGroup
	for i := range all {
		all[i] = newWorker(p, o)
		if i > 0 {
			others.Go(func() { all[i].work(inner, r) })
		}
	}
	all[0].work(inner, r)
	others.Wait()
	r.recording.Lock()
	defer r.recording.Unlock()
	if r.due != nil {
		r.due.Stop()
	}
	if r.failed == nil && ctx.Err() == nil {
		r.failed = r.recorder.record(ctx)
	}
	report := r.recorder.report
	for _, w := range all {
		w.addTo(report)
	}
	report.Seconds = time.Since(started).Seconds()
	switch {
	case r.failed != nil:
		return report, r.failed
	case ctx.Err() != nil:
		return report, context.Cause(ctx)
	}
	return report, unread(r.end)
}

// run is one call of Process. Each worker cuts a batch off the source, evaluates it while its text is in the cache of its
// processor, and hands in what it found. That is recorded in the order of the source, so that the same input keeps the same
// evidence however many workers there are.
type run struct {
	cutting sync.Mutex
	src     Source
	batches int   // that have been cut
	end     error // that ended the source; nil: it goes on

	ahead chan struct{} // one for each batch that has been cut and is not recorded: bounds them

	recording sync.Mutex
	done      map[int]*batch // evaluated, and waiting for one before them
	recorded  int            // batches
	recorder  *recorder
	due       *time.Timer // when what is held is recorded; nil: nothing was held
	failed    error       // of the store
	cancel    func()
}

// batch is a run of consecutive records and what a worker made of them.
type batch struct {
	place   int // among the batches of the run
	records []envelope.Record
	broken  []*envelope.Broken
	bytes   int

	findings []alert.Finding
	setAside []alert.SetAside
}

// next cuts the next batch off the source, or returns nil: the source has ended, or the context is over. The records are
// put into the slice.
func (r *run) next(ctx context.Context, records []envelope.Record) *batch {
	r.ahead <- struct{}{} // never blocks for long: the batch that the others wait for is being evaluated
	r.cutting.Lock()
	defer r.cutting.Unlock()
	if r.end != nil || ctx.Err() != nil {
		<-r.ahead
		return nil
	}
	b := &batch{place: r.batches, records: records}
	r.batches++
	r.end = b.cut(r.src)
	return b
}

// take records the batch, and those that have waited for it. What is held then waits for more of its kind, but not for long,
// whether or not the source goes on.
func (r *run) take(ctx context.Context, b *batch) {
	r.recording.Lock()
	defer r.recording.Unlock()
	r.done[b.place] = b
	for b := r.done[r.recorded]; b != nil; b = r.done[r.recorded] {
		delete(r.done, r.recorded)
		r.recorded++
		<-r.ahead
		if r.failed == nil && ctx.Err() == nil {
			if r.failed = r.recorder.take(ctx, b); r.failed != nil {
				r.cancel()
			}
		}
	}
	if r.due == nil && r.recorder.holds() {
		r.due = time.AfterFunc(maxHeldFor, func() { r.flush(ctx) })
	}
}

// flush records what is held. It runs on a goroutine of its own, where a panic of the store would end the process.
func (r *run) flush(ctx context.Context) {
	r.recording.Lock()
	defer r.recording.Unlock()
	r.due = nil
	if r.failed != nil || ctx.Err() != nil || !r.recorder.holds() {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			r.failed = fmt.Errorf("record what was found: panic: %v", v)
		}
		if r.failed != nil {
			r.cancel()
		}
	}()
	r.failed = r.recorder.record(ctx)
}

// cut fills the batch from the source. It returns the error that ended the source behind it.
func (b *batch) cut(src Source) error {
	for len(b.records)+len(b.broken) < batchRecords && b.bytes < batchBytes {
		r, err := src.Next()
		if err == nil {
			b.records = append(b.records, r)
			b.bytes += len(r.Body)
			continue
		}
		part := (*envelope.Broken)(nil)
		if !errors.As(err, &part) {
			return err
		}
		b.broken = append(b.broken, part)
		b.bytes += len(part.Copy)
	}
	return nil
}

// unread tells why the source ended, if that was too early.
func unread(end error) error {
	if end == nil || errors.Is(end, io.EOF) {
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

// work takes its turns at the source until it ends or the context is over.
func (w *worker) work(ctx context.Context, r *run) {
	var records []envelope.Record // used again
	for b := r.next(ctx, records); b != nil; b = r.next(ctx, records) {
		w.run(b)
		clear(b.records)
		records, b.records = b.records[:0], nil
		r.take(ctx, b)
	}
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
	if w.ev.Time.V.After(w.counts.latest) {
		w.counts.latest = w.ev.Time.V
	}
}

func (w *worker) setAside(b *batch, reason, detail string, o envelope.Origin, body string) {
	if n := count(w.counts.setAside, reason); n <= maxCopies {
		b.setAside = append(b.setAside, alert.NewSetAside(reason, detail, o.String(), o.Source, body))
	}
}

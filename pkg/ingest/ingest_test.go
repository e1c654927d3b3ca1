package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/store"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// happened is the time of every event.
var happened = noon.Add(-time.Hour)

// world is what outlives a process: the store. A process that dies panics with death, and reborn makes the next.
type world struct {
	t        *testing.T
	docs     map[string]store.Document
	versions int
	setAside []alert.SetAside
	done     map[string]int // how often each record was processed to its end
	deaths   int
	now      time.Time

	fault func(op string) error // of the store
	kill  func(record string) bool
	fail  func(record string) error

	process *Ingester
}

type death struct{}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, docs: map[string]store.Document{}, done: map[string]int{}, now: noon}
	w.reborn()
	return w
}

func (w *world) reborn() {
	w.process = New((*documents)(w), func(_ context.Context, items []alert.SetAside) error {
		if err := w.ask("set aside"); err != nil {
			return err
		}
		for _, item := range items { // known ids are left as they are
			if !slices.ContainsFunc(w.setAside, func(old alert.SetAside) bool { return old.ID == item.ID }) {
				w.setAside = append(w.setAside, item)
			}
		}
		return nil
	}, func() time.Time { return w.now })
}

func (w *world) ask(op string) error {
	if w.fault == nil {
		return nil
	}
	return w.fault(op)
}

// Process implements Processor: it is the pipeline.
func (w *world) Process(_ context.Context, src pipeline.Source, _ pipeline.Options) (*pipeline.Report, error) {
	report := pipeline.NewReport()
	for {
		r, err := src.Next()
		part := (*envelope.Broken)(nil)
		switch {
		case errors.Is(err, io.EOF):
			return report, nil
		case errors.As(err, &part):
			report.Records++
			report.SetAside[part.Reason]++
			continue
		case err != nil:
			return report, err
		}
		if w.kill != nil && w.kill(r.Body) {
			panic(death{})
		}
		if w.fail != nil {
			if err := w.fail(r.Body); err != nil {
				return report, err
			}
		}
		report.Records++
		report.Evaluated++
		report.Latest = happened
		w.done[r.Body]++
	}
}

// attempt hands a batch to the process.
func (w *world) attempt(b Batch) (report *pipeline.Report, err error) {
	defer func() {
		switch x := recover(); x.(type) {
		case nil:
		case death:
			w.deaths++
			w.reborn()
			err = errors.New("connection reset")
		default:
			panic(x)
		}
	}()
	return w.process.Process(w.t.Context(), w, b, pipeline.Options{})
}

// host repeats a batch as the Functions host does, until it succeeds. After three deaths the host itself is replaced and
// begins to count anew.
func (w *world) host(b Batch, most int) *pipeline.Report {
	w.t.Helper()
	for range most {
		before := w.deaths
		report, err := w.attempt(b)
		if err == nil {
			return report
		}
		b.Attempt++
		if w.deaths > before && w.deaths%3 == 0 {
			b.Attempt = 0
		}
	}
	w.t.Fatalf("%d attempts were not enough", most)
	return nil
}

// documents is the world's store.State.
type documents world

func (d *documents) Load(_ context.Context, id string) (store.Document, error) {
	if err := (*world)(d).ask("load " + id); err != nil {
		return store.Document{}, err
	}
	doc, ok := d.docs[id]
	if !ok {
		return store.Document{}, store.ErrNotFound
	}
	return doc, nil
}

func (d *documents) Save(_ context.Context, doc store.Document) (store.Document, error) {
	if err := store.CheckDocument(doc); err != nil {
		d.t.Error(err)
	}
	if err := (*world)(d).ask("save " + doc.ID); err != nil {
		return doc, err
	}
	if d.docs[doc.ID].Version != doc.Version {
		return doc, store.ErrConflict
	}
	d.versions++
	doc.Version = fmt.Sprint(d.versions)
	d.docs[doc.ID] = doc
	return doc, nil
}

func (d *documents) Delete(_ context.Context, doc store.Document) error {
	if err := (*world)(d).ask("delete " + doc.ID); err != nil {
		return err
	}
	if old, ok := d.docs[doc.ID]; ok && old.Version != doc.Version {
		return store.ErrConflict
	}
	delete(d.docs, doc.ID)
	return nil
}

func (d *documents) List(_ context.Context, prefix string) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		for _, id := range slices.Sorted(maps.Keys(d.docs)) {
			if strings.HasPrefix(id, prefix) && !yield(d.docs[id], nil) {
				return
			}
		}
	}
}

// batch makes a batch of messages, each with one record, from sequence number first on.
func batch(first, n int) Batch {
	b := Batch{Hub: "signins", Partition: "3"}
	var payload []string
	for i := range n {
		payload = append(payload, record(first+i))
		b.Messages = append(b.Messages, Message{Sequence: int64(first + i), Enqueued: noon.Add(-time.Minute)})
	}
	b.Payload = "[" + strings.Join(payload, ",") + "]"
	return b
}

func record(n int) string { return fmt.Sprintf(`{"id":"r%d."}`, n) }

// starts are the start markers that are left.
func (w *world) starts() []string {
	var out []string
	for id := range w.docs {
		if strings.HasPrefix(id, "start.") {
			out = append(out, id)
		}
	}
	return out
}

func (w *world) wantDone(first, n int, but ...int) {
	w.t.Helper()
	for i := first; i < first+n; i++ {
		if got := w.done[record(i)]; (got == 0) != slices.Contains(but, i) {
			w.t.Errorf("record %d was processed %d times", i, got)
		}
	}
}

func TestKillersAreFoundAndSetAside(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n       int
		killers []int
	}{
		{1, []int{0}},
		{2, []int{1}},
		{64, []int{0}},
		{64, []int{63}},
		{100, []int{37}},
		{100, []int{10, 11, 90}},
		{8, []int{0, 1, 2, 3, 4, 5, 6, 7}},
		{1000, []int{500}},
	} {
		t.Run(fmt.Sprintf("%d with %v", c.n, c.killers), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.kill = func(body string) bool {
				return slices.ContainsFunc(c.killers, func(k int) bool { return body == record(100+k) })
			}
			report := w.host(batch(100, c.n), 200)
			var but []int
			for _, k := range c.killers {
				but = append(but, 100+k)
			}
			w.wantDone(100, c.n, but...)
			if len(w.setAside) != len(c.killers) {
				t.Fatalf("%d are set aside: %+v", len(w.setAside), w.setAside)
			}
			for i, k := range c.killers {
				item := w.setAside[i]
				if item.Reason != "killed-the-process" || !strings.Contains(item.Place, fmt.Sprintf("signins/3@%d", 100+k)) || item.Seen != noon {
					t.Errorf("set aside %+v", item)
				}
			}
			if report.SetAside["killed-the-process"] == 0 {
				t.Error("the last report does not tell of a killer")
			}
			if left := w.starts(); len(left) > 0 {
				t.Errorf("markers are left: %v", left)
			}
			// Halving finds one among n in some log n deaths, however often the host begins to count anew.
			if most := 3 + len(c.killers)*12; w.deaths > most {
				t.Errorf("%d deaths, expected at most %d", w.deaths, most)
			}
		})
	}
}

// A single death, as when an instance goes away, costs no record.
func TestADeathFromOutsideSetsNothingAside(t *testing.T) {
	t.Parallel()
	for at := range 20 {
		w := newWorld(t)
		killed := false
		w.kill = func(body string) bool {
			if !killed && body == record(at) {
				killed = true
				return true
			}
			return false
		}
		w.host(batch(0, 20), 3)
		w.wantDone(0, 20)
		if len(w.setAside) > 0 || len(w.starts()) > 0 || w.deaths != 1 {
			t.Errorf("killed at %d: set aside %v, markers %v", at, w.setAside, w.starts())
		}
	}
}

func TestOrdinaryBatchesCostNoMarker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ops []string
	w.fault = func(op string) error {
		ops = append(ops, op)
		return nil
	}
	for i := range 5 {
		if _, err := w.attempt(batch(i*10, 10)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"load start.signins.3", "load heartbeat.signins.3", "save heartbeat.signins.3"}
	if !slices.Equal(ops, want) {
		t.Errorf("the store was asked %q, want %q", ops, want)
	}
}

// A fault of the store is no death: nothing is bisected, and the records that are through are not processed again.
func TestAStoreThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	down := fmt.Errorf("record: %w", store.ErrUnavailable)
	w.fail = func(body string) error {
		if body == record(7) {
			return down
		}
		return nil
	}
	b := batch(0, 10)
	for b.Attempt = range 12 {
		if _, err := w.attempt(b); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "signins/3 from sequence 0") {
			t.Fatalf("attempt %d: %v", b.Attempt, err)
		}
	}
	w.fail = nil
	b.Attempt++
	if _, err := w.attempt(b); err != nil {
		t.Fatal(err)
	}
	w.wantDone(0, 10)
	if len(w.setAside) > 0 || len(w.starts()) > 0 || w.deaths > 0 {
		t.Errorf("set aside %v, markers %v", w.setAside, w.starts())
	}
}

// Whatever step of the store fails, the batch comes again and ends well.
func TestEveryStepMayFail(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"load start", "save start", "delete start", "set aside", "load heartbeat", "save heartbeat"} {
		for times := 1; times <= 3; times++ {
			w := newWorld(t)
			w.kill = func(body string) bool { return body == record(3) }
			left := times
			w.fault = func(asked string) error {
				if left > 0 && strings.HasPrefix(asked, op) {
					left--
					return fmt.Errorf("%s: %w", asked, store.ErrUnavailable)
				}
				return nil
			}
			w.host(batch(0, 5), 60)
			w.wantDone(0, 5, 3)
			if len(w.setAside) != 1 || len(w.starts()) > 0 || left > 0 {
				t.Errorf("%s fails %d times: set aside %d, markers %v, left %d", op, times, len(w.setAside), w.starts(), left)
			}
		}
	}
}

// What another instance wrote meanwhile stands, and the batch comes again.
func TestConflicts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	once := sync.OnceFunc(func() {
		w.docs["start.signins.3"] = store.Document{ID: "start.signins.3", Version: "other", Body: []byte(`{}`)}
	})
	w.fault = func(op string) error {
		if op == "save start.signins.3" {
			once()
		}
		return nil
	}
	b := batch(0, 4)
	b.Attempt = cautious
	if _, err := w.attempt(b); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("the marker of another instance was overwritten: %v", err)
	}
	if len(w.done) > 0 {
		t.Error("records were processed without a marker")
	}
	if _, err := w.attempt(b); err != nil {
		t.Fatal(err)
	}
	w.wantDone(0, 4)
}

// A marker counts for the batch that it was written for, to the record.
func TestMarkersOfOtherBatches(t *testing.T) {
	t.Parallel()
	const id = "start.signins.3"
	same := marker{First: 0, Last: 9, Records: 10, Pending: []span{{8, 10}}}
	for name, c := range map[string]struct {
		body    any
		skipped int // records that the marker says are done
	}{
		"the same":               {same, 8},
		"another batch":          {marker{First: 10, Last: 19, Records: 10, Pending: []span{{8, 10}}}, 0},
		"a shorter cut":          {marker{First: 0, Last: 4, Records: 5, Pending: []span{{3, 5}}}, 0},
		"a longer cut":           {marker{First: 0, Last: 19, Records: 20, Pending: []span{{8, 10}}}, 0},
		"split otherwise":        {marker{First: 0, Last: 9, Records: 12, Pending: []span{{8, 10}}}, 0},
		"spans beyond the end":   {marker{First: 0, Last: 9, Records: 10, Pending: []span{{8, 11}}}, 0},
		"spans upside down":      {marker{First: 0, Last: 9, Records: 10, Pending: []span{{9, 8}}}, 0},
		"spans before the start": {marker{First: 0, Last: 9, Records: 10, Running: &span{-1, 1}}, 0},
		"not a marker":           {[]int{1}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			body, err := json.Marshal(c.body)
			if err != nil {
				t.Fatal(err)
			}
			w.docs[id] = store.Document{ID: id, Version: "old", Body: body}
			b := batch(0, 10)
			b.Attempt = cautious
			if _, err := w.attempt(b); err != nil {
				t.Fatal(err)
			}
			var but []int
			for i := range c.skipped {
				but = append(but, i)
			}
			w.wantDone(0, 10, but...)
			if len(w.starts()) > 0 || len(w.setAside) > 0 {
				t.Errorf("markers %v, set aside %v", w.starts(), w.setAside)
			}
		})
	}
}

// A record has one place, wherever the host cuts the partition: ids of what is set aside are made of it.
func TestPlacesDoNotDependOnTheCut(t *testing.T) {
	t.Parallel()
	places := func(b Batch) map[string]string {
		out := map[string]string{}
		for src := b.source(); ; {
			r, err := src.Next()
			if errors.Is(err, io.EOF) {
				return out
			}
			if err != nil {
				t.Fatal(err)
			}
			out[r.Body] = r.Origin.String()
		}
	}
	long, short := places(batch(0, 10)), places(batch(4, 3))
	if len(short) != 3 {
		t.Fatal(short)
	}
	for body, place := range short {
		if long[body] != place {
			t.Errorf("%s stands at %s and at %s", body, place, long[body])
		}
	}
}

func TestBrokenPartsAreCountedUnderAMarkerToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := batch(0, 3)
	b.Payload = `["` + "not a log" + `",` + b.Payload[1:]
	b.Attempt = cautious
	report, err := w.attempt(b)
	if err != nil || report.Records != 4 || report.Evaluated != 3 || len(report.SetAside) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

// While a suspect is processed nothing else is, so that a death tells of what.
func TestASuspectIsAlone(t *testing.T) {
	t.Parallel()
	var g gate
	ctx := t.Context()
	one, err := g.enter(ctx, false)
	if err != nil {
		t.Fatal(err)
	}
	two, err := g.enter(ctx, false)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := g.enter(short, true); !errors.Is(err, context.Canceled) {
		t.Fatalf("a suspect came in beside others: %v", err)
	}
	order := make(chan string)
	var all sync.WaitGroup
	pass := func(name string, alone bool) {
		before := func() int { g.mu.Lock(); defer g.mu.Unlock(); return len(g.queue) }()
		all.Go(func() {
			leave, err := g.enter(ctx, alone)
			if err != nil {
				t.Error(err)
				return
			}
			order <- name
			leave()
			leave() // twice is once
		})
		for {
			g.mu.Lock()
			n := len(g.queue)
			g.mu.Unlock()
			if n > before {
				return
			}
		}
	}
	pass("suspect", true)
	pass("ordinary", false)
	one()
	two()
	if a, b := <-order, <-order; a != "suspect" || b != "ordinary" {
		t.Errorf("%s went before %s", a, b)
	}
	all.Wait()
	if g.in != 0 || g.alone || len(g.queue) > 0 {
		t.Errorf("the gate is left as %+v", &g)
	}

	hung, stop := context.WithCancel(ctx)
	if _, err := g.enter(hung, true); err != nil {
		t.Fatal(err)
	}
	stop()
	leave, err := g.enter(ctx, false) // what hangs gives way when its time is over
	if err != nil {
		t.Fatal(err)
	}
	leave()
}

func TestHeartbeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	beats := func() []Heartbeat {
		t.Helper()
		out, err := Heartbeats(t.Context(), (*documents)(w))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	hand := func(b Batch) {
		t.Helper()
		if _, err := w.attempt(b); err != nil {
			t.Fatal(err)
		}
	}
	hand(batch(0, 10))
	first := beats()
	if len(first) != 1 || first[0] != (Heartbeat{Hub: "signins", Partition: "3", Sequence: 9, Event: happened, Enqueued: noon.Add(-time.Minute), Seen: noon}) ||
		first[0].Lag() != time.Minute {
		t.Fatalf("%+v", first)
	}
	w.now = noon.Add(59 * time.Second)
	hand(batch(10, 10))
	if got := beats(); got[0].Sequence != 9 {
		t.Errorf("a second heartbeat within a minute: %+v", got)
	}
	w.now = noon.Add(time.Minute)
	hand(batch(20, 10))
	if got := beats(); got[0].Sequence != 29 || got[0].Seen != w.now {
		t.Errorf("no heartbeat after a minute: %+v", got)
	}
	other := batch(5, 1)
	other.Partition = "4"
	hand(other)
	hand(Batch{Hub: "signins", Partition: "5", Payload: record(1)}) // no metadata: nothing to say
	if got := beats(); len(got) != 2 || got[1].Partition != "4" {
		t.Errorf("%+v", got)
	}
	w.docs["heartbeat.x"] = store.Document{ID: "heartbeat.x", Version: "1", Body: []byte(`{"seen":1}`)}
	if _, err := Heartbeats(t.Context(), (*documents)(w)); err == nil {
		t.Error("a heartbeat that cannot be read was not told of")
	}
}

// Another instance that was faster has said the same.
func TestAHeartbeatInConflictStands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fault = func(op string) error {
		if strings.HasPrefix(op, "save heartbeat") {
			return store.ErrConflict
		}
		return nil
	}
	if _, err := w.attempt(batch(0, 1)); err != nil {
		t.Error(err)
	}
	w.fault = func(op string) error {
		if strings.HasPrefix(op, "save heartbeat") {
			return store.ErrUnavailable
		}
		return nil
	}
	w.now = w.now.Add(time.Hour)
	if _, err := w.attempt(batch(1, 1)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a store that is down: %v", err)
	}
}

// A clock that runs after that of Event Hubs gives no negative lag.
func TestLag(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		enqueued, seen time.Time
		want           time.Duration
	}{
		{noon, noon.Add(time.Second), time.Second},
		{noon.Add(time.Second), noon, 0},
		{time.Time{}, noon, 0},
	} {
		if got := (&Heartbeat{Enqueued: c.enqueued, Seen: c.seen}).Lag(); got != c.want {
			t.Errorf("%v", got)
		}
	}
}

func TestDocumentsAreNamedInTheCharactersTheyMayHave(t *testing.T) {
	t.Parallel()
	id := documentID("start", Batch{Hub: "my hub/ü", Partition: "0"})
	if err := store.CheckDocument(store.Document{ID: id, Body: []byte(`{}`)}); err != nil {
		t.Error(err)
	}
}

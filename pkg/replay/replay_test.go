package replay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/replay"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

const (
	tenant = "11111111-2222-4333-8444-555555555555"
	other  = "99999999-2222-4333-8444-555555555555"
)

var day = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// theRules find every sign-in of a user whose name begins with "bad".
func theRules(t testing.TB) *rule.Engine {
	t.Helper()
	e, err := rule.NewEngine([]*rule.Rule{{
		ID: "bad-user", Title: "A bad user", Version: 1, Kinds: []event.Kind{event.SignIn}, Stage: rule.Enabled,
		Key: rule.Key{Name: "user", Of: func(ev *event.Event) string { return ev.Actor.Name.V }},
		Legs: []rule.Leg{{
			ID: "bad", Why: "the user is bad", When: rule.Contains(event.ActorName, "bad"), Severity: rule.High, Strength: rule.Strong,
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// record is a sign-in.
func record(id int, at time.Time, user, tenant string) string {
	return fmt.Sprintf(`{"category":"SignInLogs","tenantId":"%s","properties":{"id":"id-%d","createdDateTime":"%s","userPrincipalName":"%s"}}`,
		tenant, id, at.Format(time.RFC3339Nano), user)
}

// memory is a source of messages in memory: one a minute of event time in each partition.
type memory struct {
	partitions [][]string
	page       int
	opened     atomic.Int64
}

func (m *memory) Plan(context.Context, replay.Window) (replay.Plan, error) {
	var p replay.Plan
	for i, messages := range m.partitions {
		p.Ranges = append(p.Ranges, replay.Range{Partition: strconv.Itoa(i), Units: int64(len(messages))})
	}
	return p, nil
}

func (m *memory) Open(_ context.Context, r replay.Range, position string) (replay.Reader, error) {
	m.opened.Add(1)
	n, err := strconv.Atoi(r.Partition)
	if err != nil {
		return nil, err
	}
	at := 0
	if position != "" {
		if at, err = strconv.Atoi(position); err != nil {
			return nil, err
		}
	}
	return &cursor{m, n, at}, nil
}

type cursor struct {
	*memory
	partition, at int
}

func (c *cursor) Close() error { return nil }

func (c *cursor) Next(context.Context) (replay.Page, error) {
	all := c.partitions[c.partition]
	if c.at == len(all) {
		return replay.Page{}, io.EOF
	}
	end := min(c.at+c.page, len(all))
	parts := &envelope.Parts{}
	p := replay.Page{Records: parts, Position: strconv.Itoa(end), Units: int64(end - c.at)}
	for i, body := range all[c.at:end] {
		p.Bytes += int64(len(body))
		parts.Add(envelope.Record{Body: body, Origin: envelope.Origin{Source: "hub", Partition: strconv.Itoa(c.partition), Sequence: int64(c.at + i)}})
	}
	c.at = end
	return p, nil
}

// clock stands still but for what is slept.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d > 0 {
		c.now = c.now.Add(d)
	}
	return ctx.Err()
}

func (c *clock) pass(d time.Duration) { _ = c.Sleep(context.Background(), d) }

// backend is what the tests' stores are.
type backend interface {
	store.Store
	store.Collections
}

func open(t testing.TB) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// newRunner returns a process that works on replays.
func newRunner(t testing.TB, b backend, src replay.Source, c replay.Clock) *replay.Runner {
	t.Helper()
	ids := 0
	var mu sync.Mutex
	return &replay.Runner{
		Documents: replay.NewDocuments(b), Store: b, Clock: c, Lease: time.Minute, Workers: 1,
		Source: func(name string) (replay.Source, error) {
			if name != "hub" {
				return nil, &replay.Invalid{Field: "sources", Detail: "there is no such source"}
			}
			return src, nil
		},
		Tenants: func(string) []string { return nil },
		Pipeline: func(_ []string, s store.Store) (replay.Processor, alert.Provenance, error) {
			return pipeline.New(normalize.New(decode.Scanner{}, ""), theRules(t), s, c.Now), alert.Provenance{Assay: "test"}, nil
		},
		ID: func() string {
			mu.Lock()
			defer mu.Unlock()
			ids++
			return fmt.Sprintf("r%d-%d", ids, rand.Uint32())
		},
	}
}

// history is a day of four partitions: a record a minute, every seventh of a bad user, every fifth twice, some of another
// tenant, some broken.
func history(n int) *memory {
	m := &memory{partitions: make([][]string, 4), page: 10}
	for i := range n {
		at := day.Add(time.Duration(i) * 24 * time.Hour / time.Duration(n))
		user, of := "good@example.com", tenant
		if i%7 == 0 {
			user = fmt.Sprintf("bad%d@example.com", i%3)
		}
		if i%11 == 0 {
			of = other
		}
		body := record(i, at, user, of)
		if i%97 == 96 {
			body = body[:20]
		}
		p := i % 4
		m.partitions[p] = append(m.partitions[p], body)
		if i%5 == 0 {
			m.partitions[p] = append(m.partitions[p], body)
		}
	}
	return m
}

func request() replay.Request {
	return replay.Request{
		Window:  replay.Window{From: day.Add(8 * time.Hour), To: day.Add(16 * time.Hour)},
		Sources: []string{"hub"}, Reason: "test", By: "ana@example.com",
	}
}

// contents is what a store holds, but for the names of runs, and which twenty findings of an alert came first and kept
// their evidence.
func contents(t testing.TB, s store.Store) string {
	t.Helper()
	var b strings.Builder
	write := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	for a, err := range s.Alerts(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		for f, err := range s.Findings(t.Context(), a.Tenant, a.ID) {
			if err != nil {
				t.Fatal(err)
			}
			claim := f.Claim()
			claim.From = alert.Provenance{}
			write(claim)
		}
		a.From.Run, a.From.Quiet, a.Loud, a.LoudStrength = "", false, 0, 0
		write(a)
	}
	return b.String()
}

// run plans a replay and takes it to its end in one process.
func run(t testing.TB, r *replay.Runner, req replay.Request) *replay.Status {
	t.Helper()
	j, _, err := r.Plan(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(context.Background(), j.ID, 2); err != nil {
		t.Fatal(err)
	}
	return status(t, r, j.ID)
}

func status(t testing.TB, r *replay.Runner, id string) *replay.Status {
	t.Helper()
	s, err := r.Status(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestExactlyTheWindowWhateverThePage(t *testing.T) {
	t.Parallel()
	const n = 2000
	var first *replay.Status
	var held string
	for _, page := range []int{1, 7, 100, 10_000} {
		src := history(n)
		src.page = page
		b := open(t)
		s := run(t, newRunner(t, b, src, &clock{now: day.AddDate(0, 0, 2)}), request())
		c := &s.Counters
		var inside, broken, all int64
		for i := range n {
			times := int64(1)
			if i%5 == 0 {
				times = 2
			}
			at := day.Add(time.Duration(i) * 24 * time.Hour / n)
			all += times
			switch {
			case i%97 == 96:
				broken += times
			case !at.Before(request().From) && at.Before(request().To):
				inside += times
			}
		}
		if c.Records != all || c.Evaluated != inside || c.SetAside["invalid-json"] != broken || c.Unselected != all-inside-broken || s.State != replay.StateCompleted {
			t.Errorf("page %d: %s, %+v; want %d records, %d evaluated, %d broken", page, s.State, c, all, inside, broken)
		}
		if first == nil {
			first, held = s, contents(t, b)
			if first.Findings.New == 0 || first.Findings.AlertsNew == 0 || first.Findings.Known == 0 {
				t.Fatalf("findings %+v", first.Findings)
			}
		}
		if s.Findings != first.Findings || contents(t, b) != held {
			t.Errorf("page %d: findings %+v, with one a page %+v", page, s.Findings, first.Findings)
		}
	}
}

func TestTheSameAgainFindsNothingNew(t *testing.T) {
	t.Parallel()
	b, src, c := open(t), history(700), &clock{now: day.AddDate(0, 0, 2)}
	r := newRunner(t, b, src, c)
	first := run(t, r, request())
	held := contents(t, b)
	again := run(t, r, request())
	if again.Findings.New != 0 || again.Findings.AlertsNew != 0 || again.Findings.AlertsKnown != first.Findings.AlertsNew || again.Findings.Known != first.Counters.Matches {
		t.Errorf("again: %+v, first: %+v", again.Findings, first.Findings)
	}
	if contents(t, b) != held {
		t.Error("the second run has changed what is stored")
	}
	if now := status(t, r, first.ID); now.Findings != first.Findings {
		t.Errorf("the first run says now %+v, and said %+v", now.Findings, first.Findings)
	}
}

// The ids of the live path are those of the replay, and what it knows is known.
func TestLiveAndReplayAgree(t *testing.T) {
	t.Parallel()
	src, c := history(700), &clock{now: day.AddDate(0, 0, 2)}
	live, replayed := open(t), open(t)
	path := pipeline.New(normalize.New(decode.Scanner{}, ""), theRules(t), live, c.Now)
	src.page = 1 << 20
	for p := range src.partitions {
		page, err := (&cursor{src, p, 0}).Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := path.Process(t.Context(), page.Records, pipeline.Options{From: alert.Provenance{Run: "live", Assay: "test"}}); err != nil {
			t.Fatal(err)
		}
	}
	req := request()
	req.From, req.To = day, day.AddDate(0, 0, 1)
	run(t, newRunner(t, replayed, src, c), req)
	if contents(t, live) != contents(t, replayed) {
		t.Error("live and replay differ")
	}
	if s := run(t, newRunner(t, live, src, c), req); s.Findings.New != 0 || s.Findings.Known == 0 {
		t.Errorf("on the store of the live path: %+v", s.Findings)
	}
}

func TestADryRunSaysWhatARunFindsAndStoresNothing(t *testing.T) {
	t.Parallel()
	b, src, c := open(t), history(700), &clock{now: day.AddDate(0, 0, 2)}
	r := newRunner(t, b, src, c)
	early := request()
	early.To = day.Add(10 * time.Hour)
	run(t, r, early) // some of it is known
	held := contents(t, b)

	req := request()
	req.DryRun = true
	dry := run(t, r, req)
	if contents(t, b) != held {
		t.Error("a dry run has changed what is stored")
	}
	dryJob, err := r.Documents.Job(t.Context(), dry.ID)
	if err != nil {
		t.Fatal(err)
	}
	would := results(t, r, dryJob)
	req.DryRun = false
	real := run(t, r, req)
	realJob, err := r.Documents.Job(t.Context(), real.ID)
	if err != nil {
		t.Fatal(err)
	}
	if dry.Findings != real.Findings || real.Findings.New == 0 || real.Findings.AlertsKnown == 0 {
		t.Errorf("dry %+v, real %+v", dry.Findings, real.Findings)
	}
	if did := results(t, r, realJob); !reflect.DeepEqual(would, did) {
		t.Errorf("dry\n%v\nreal\n%v", would, did)
	}
}

// results are the alerts of a replay, as far as a dry run can know them.
func results(t *testing.T, r *replay.Runner, j *replay.Job) []string {
	t.Helper()
	var out []string
	for res, err := range r.Results(t.Context(), j) {
		if err != nil {
			t.Fatal(err)
		}
		a := res.Alert
		var found []string
		for f, err := range r.Findings(t.Context(), j, &a) {
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, string(f.ID))
		}
		out = append(out, fmt.Sprint(a.ID, a.Severity, a.Count, a.First, a.Last, a.Lead.Finding, res.New, res.AlertNew, found))
	}
	slices.Sort(out)
	return out
}

func TestTenantsThatAreAskedFor(t *testing.T) {
	t.Parallel()
	b := open(t)
	req := request()
	req.Tenants = []string{other}
	s := run(t, newRunner(t, b, history(700), &clock{now: day.AddDate(0, 0, 2)}), req)
	for a, err := range b.Alerts(t.Context(), store.Query{}) {
		if err != nil || a.Tenant != other {
			t.Errorf("alert of %s, %v", a.Tenant, err)
		}
	}
	if s.Findings.AlertsNew == 0 || s.Counters.SetAside["tenant-not-allowed"] != 0 {
		t.Errorf("%+v, set aside %v", s.Findings, s.Counters.SetAside)
	}
}

// errDead is what a process that has died would not live to see.
var errDead = errors.New("the process is dead")

// mortal is a store whose process dies at its n-th write: before it, or when it has reached the disk and nobody was told.
type mortal struct {
	backend
	mu    sync.Mutex
	left  int
	after bool
	dead  bool
}

func (m *mortal) write(do func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDead
	}
	if m.left--; m.left < 0 {
		m.dead = true
		if m.after {
			_ = do()
		}
		return errDead
	}
	return do()
}

func (m *mortal) Record(ctx context.Context, f []alert.Finding) (out store.Outcome, err error) {
	err = m.write(func() error { out, err = m.backend.Record(ctx, f); return err })
	return out, err
}

func (m *mortal) In(c store.Collection, partition string) store.State {
	return &mortalState{m.backend.In(c, partition), m}
}

type mortalState struct {
	store.State
	m *mortal
}

func (s *mortalState) Save(ctx context.Context, d store.Document) (out store.Document, err error) {
	err = s.m.write(func() error { out, err = s.State.Save(ctx, d); return err })
	return out, err
}

func (m *mortal) SetAside(ctx context.Context, items []alert.SetAside) error {
	return m.write(func() error { return m.backend.SetAside(ctx, items) })
}

// queue hands messages on at least once.
type queue struct{ waiting []replay.Message }

// work lets a process take messages until it dies or there are none. What a dead process was at is shown again.
func (q *queue) work(t testing.TB, r *replay.Runner, budget time.Duration, c *clock) (died bool) {
	t.Helper()
	for turns := 0; len(q.waiting) > 0; turns++ {
		if turns > 10_000 {
			t.Fatal("the replay does not end")
		}
		m := q.waiting[0]
		next, err := r.Turn(context.Background(), m, budget, false)
		if errors.Is(err, errDead) {
			c.pass(2 * time.Minute) // its leases run out
			return true
		}
		if err != nil {
			t.Fatal(err)
		}
		q.waiting = q.waiting[1:]
		if next.Again {
			q.waiting = append(q.waiting, next.Message)
			c.pass(next.After)
		}
	}
	return false
}

// A replay whose processes are killed again and again ends as one that nobody disturbs: at twenty points, which are every
// kind of write in turn, before and behind it, and at random.
func TestKilledTwentyTimesAndResumed(t *testing.T) {
	t.Parallel()
	const n = 500
	plain := open(t)
	want := run(t, newRunner(t, plain, history(n), &clock{now: day.AddDate(0, 0, 2)}), request())
	wantHeld := contents(t, plain)

	check := func(name string, lives func(i int) (writes int, after bool)) {
		b, c, src := open(t), &clock{now: day.AddDate(0, 0, 2)}, history(n)
		j, all, err := newRunner(t, b, src, c).Plan(t.Context(), request())
		if err != nil {
			t.Fatal(err)
		}
		q := &queue{}
		for i := range all {
			m := replay.Message{Replay: j.ID, Slice: i}
			q.waiting = append(q.waiting, m, m) // delivered twice
		}
		deaths := 0
		for ; deaths < 20; deaths++ {
			left, after := lives(deaths)
			r := newRunner(t, &mortal{backend: b, left: left, after: after}, src, c)
			r.AtOnce = 2
			if !q.work(t, r, 0, c) {
				break
			}
			if deaths%3 == 0 {
				if _, err := newRunner(t, b, src, c).Expire(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if deaths < 20 {
			t.Errorf("%s: only %d kills hit", name, deaths)
		}
		r := newRunner(t, b, src, c)
		q.work(t, r, 0, c)
		got := status(t, r, j.ID)
		if got.State != replay.StateCompleted || !reflect.DeepEqual(got.Counters, want.Counters) || got.Findings != want.Findings {
			t.Errorf("%s: %s %+v %+v, undisturbed %+v %+v", name, got.State, got.Counters, got.Findings, want.Counters, want.Findings)
		}
		if contents(t, b) != wantHeld {
			t.Errorf("%s: what is stored differs from the undisturbed", name)
		}
	}
	// The writes of a page: slot, slice, findings by alert, alerts by replay, slice, slot.
	for _, after := range []bool{false, true} {
		check(fmt.Sprint("each write in turn, reached the disk: ", after), func(i int) (int, bool) { return i % 10, after })
	}
	for seed := range uint64(3) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		check(fmt.Sprint("seed ", seed), func(int) (int, bool) { return rnd.IntN(9), rnd.IntN(2) == 0 })
	}
}

func TestTurns(t *testing.T) {
	t.Parallel()
	b, c, src := open(t), &clock{now: day.AddDate(0, 0, 2)}, history(700)
	r := newRunner(t, b, src, c)
	r.Rate, r.AtOnce = 1000, 1
	j, all, err := r.Plan(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	m := replay.Message{Replay: j.ID, Slice: 0}
	next, err := r.Turn(t.Context(), m, 10*time.Second, false)
	if err != nil || !next.Again || next.Message.Turn != 1 {
		t.Fatalf("next %+v, %v: a turn that is over asks for another", next, err)
	}
	s, err := r.Documents.Slice(t.Context(), j.ID, 0)
	if err != nil || s.State != replay.Pending || s.Position == "" || s.Counters.Units == 0 || s.Spent < 10*time.Second {
		t.Errorf("slice %+v, %v", s, err)
	}
	read := s.Counters
	// The first message again: its successor may have been lost, so it is sent again, and nothing is read.
	if again, err := r.Turn(t.Context(), m, 10*time.Second, false); err != nil || again.Message.Turn != 1 {
		t.Errorf("again %+v, %v", again, err)
	}
	if s, err = r.Documents.Slice(t.Context(), j.ID, 0); err != nil || !reflect.DeepEqual(s.Counters, read) {
		t.Errorf("the repetition has read: %+v, %v", s.Counters, err)
	}
	for next.Again {
		if next, err = r.Turn(t.Context(), next.Message, 10*time.Second, false); err != nil {
			t.Fatal(err)
		}
	}
	if s, err = r.Documents.Slice(t.Context(), j.ID, 0); err != nil || s.State != replay.Done || s.Counters.Units != all[0].Range.Units {
		t.Errorf("slice %+v, %v", s, err)
	}
	if again, err := r.Turn(t.Context(), m, time.Minute, false); err != nil || again.Again {
		t.Errorf("a slice that is done: %+v, %v", again, err)
	}
	if gone, err := r.Turn(t.Context(), replay.Message{Replay: "r-none"}, time.Minute, false); err != nil || gone.Again {
		t.Errorf("a replay that is gone: %+v, %v", gone, err)
	}
}

// At most a megabyte a second in total: the bytes are counted by the clock that is slept on.
func TestPace(t *testing.T) {
	t.Parallel()
	b, c, src := open(t), &clock{now: day.AddDate(0, 0, 2)}, history(2000)
	src.page = 50
	r := newRunner(t, b, src, c)
	r.Rate, r.AtOnce, r.Lease = 10_000, 2, time.Hour
	began := c.Now()
	r.Page = func(p *replay.Report) {
		all, err := r.Documents.Slices(t.Context(), p.Slice.Replay)
		if err != nil {
			t.Error(err)
		}
		var bytes int64
		for i := range all {
			bytes += all[i].Counters.Bytes
		}
		// A page has been read when it is to be paid for.
		if allowed := 10_000*c.Now().Sub(began).Seconds() + 2*50*300; float64(bytes) > allowed {
			t.Errorf("%d bytes in %v", bytes, c.Now().Sub(began))
		}
	}
	s := run(t, r, request())
	if spent, least := c.Now().Sub(began).Seconds(), float64(s.Counters.Bytes)/10_000; spent < least*0.95 {
		t.Errorf("%d bytes took %v s, want at least %v", s.Counters.Bytes, spent, least)
	}
}

func TestNoMoreThanSoManyAtOnce(t *testing.T) {
	t.Parallel()
	b, c, src := open(t), &clock{now: day.AddDate(0, 0, 2)}, history(700)
	r := newRunner(t, b, src, c)
	r.AtOnce = 1
	j, _, err := r.Plan(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	refused := false
	r.Page = func(p *replay.Report) {
		if p.Slice.Number != 0 || refused {
			return
		}
		refused = true
		m := replay.Message{Replay: j.ID, Slice: 1}
		second := newRunner(t, b, src, c)
		second.AtOnce = 1
		next, err := second.Turn(t.Context(), m, 0, false)
		if err != nil || !next.Again || next.Message != m || next.After == 0 {
			t.Errorf("a second one at once: %+v, %v", next, err)
		}
		same := replay.Message{Replay: j.ID, Slice: 0}
		if next, err = second.Turn(t.Context(), same, 0, false); err != nil || !next.Again || next.After != time.Minute {
			t.Errorf("the same slice at once: %+v, %v: it may be tried when the lease is over", next, err)
		}
	}
	if _, err := r.Turn(t.Context(), replay.Message{Replay: j.ID}, 0, false); err != nil || !refused {
		t.Fatal(err, refused)
	}
	if next, err := r.Turn(t.Context(), replay.Message{Replay: j.ID, Slice: 1}, 0, false); err != nil || next.Again {
		t.Errorf("when the first is done: %+v, %v", next, err)
	}
}

func TestCancelStopsWithinOnePage(t *testing.T) {
	t.Parallel()
	b, c, src := open(t), &clock{now: day.AddDate(0, 0, 2)}, history(2000)
	r := newRunner(t, b, src, c)
	j, _, err := r.Plan(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	pages := 0
	r.Page = func(*replay.Report) {
		if pages++; pages == 3 {
			if _, err := r.Documents.Cancel(t.Context(), j.ID, "ana@example.com", c.Now()); err != nil {
				t.Error(err)
			}
		}
	}
	if err := r.Run(t.Context(), j.ID, 1); err != nil {
		t.Fatal(err)
	}
	s := status(t, r, j.ID)
	if s.State != replay.StateCancelled || s.CancelledBy != "ana@example.com" || s.Counters.Pages != 3 || pages != 3 {
		t.Errorf("%s by %q, %d pages", s.State, s.CancelledBy, s.Counters.Pages)
	}
	for _, slice := range s.Slices {
		if slice.State != replay.Cancelled {
			t.Errorf("slice %d is %s", slice.Number, slice.State)
		}
	}
}

// A slice whose process dies fails when its lease is over, and the retry goes on where it was. The others are not touched.
func TestALeaseThatRunsOut(t *testing.T) {
	t.Parallel()
	b, c, src := open(t), &clock{now: day.AddDate(0, 0, 2)}, history(700)
	r := newRunner(t, &mortal{backend: b, left: 15}, src, c)
	r.AtOnce = 2
	j, _, err := newRunner(t, b, src, c).Plan(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Turn(t.Context(), replay.Message{Replay: j.ID}, 0, false); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	r = newRunner(t, b, src, c)
	if expired, err := r.Expire(t.Context()); err != nil || len(expired) != 0 {
		t.Fatalf("expired early: %v, %v", expired, err)
	}
	c.pass(time.Minute)
	expired, err := r.Expire(t.Context())
	if err != nil || len(expired) != 1 || expired[0].Number != 0 || expired[0].Position == "" {
		t.Fatalf("expired %+v, %v", expired, err)
	}
	if _, err := r.Retry(t.Context(), j.ID, 1); !errors.Is(err, replay.ErrNotFailed) {
		t.Errorf("retry of one that has not failed: %v", err)
	}
	before := src.opened.Load()
	m, err := r.Retry(t.Context(), j.ID, 0)
	if err != nil || m.Turn != 1 {
		t.Fatal(m, err)
	}
	if next, err := r.Turn(t.Context(), m, 0, false); err != nil || next.Again || src.opened.Load() != before+1 {
		t.Fatal(next, err)
	}
	s, err := r.Documents.Slice(t.Context(), j.ID, 0)
	if err != nil || s.State != replay.Done || s.Counters.Units != s.Range.Units {
		t.Errorf("slice %+v, %v", s, err)
	}
}

// The last attempt at a slice leaves it failed, with the reason; then a retry is for a person to decide.
func TestTheLastAttempt(t *testing.T) {
	t.Parallel()
	b, c := open(t), &clock{now: day.AddDate(0, 0, 2)}
	src := &failing{memory: history(70), err: errors.New("the hub is out of reach")}
	r := newRunner(t, b, src, c)
	j, _, err := r.Plan(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	err = r.Run(t.Context(), j.ID, 1)
	if err == nil || !strings.Contains(err.Error(), "the hub is out of reach") {
		t.Fatal(err)
	}
	s := status(t, r, j.ID)
	if s.State != replay.StateFailed || s.Slices[2].Error == "" {
		t.Errorf("%s, %+v", s.State, s.Slices[2])
	}
	src.err = nil
	if err := r.Run(t.Context(), j.ID, 1); err != nil {
		t.Fatal(err)
	}
	if s = status(t, r, j.ID); s.State != replay.StateCompleted {
		t.Error(s.State)
	}
}

type failing struct {
	*memory
	err error
}

func (f *failing) Open(ctx context.Context, r replay.Range, position string) (replay.Reader, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.memory.Open(ctx, r, position)
}

func TestWhatTheStoreHasForgotten(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		notify         bool
		after          time.Duration
		quiet, expired bool
	}{
		{"of yesterday", false, 24 * time.Hour, true, false},
		{"of yesterday, and told", true, 24 * time.Hour, false, false},
		{"of a day that has expired", true, 500 * 24 * time.Hour, true, true},
	} {
		b := open(t)
		r := newRunner(t, b, history(70), &clock{now: day.AddDate(0, 0, 1).Add(test.after)})
		r.Retention = 400 * 24 * time.Hour
		req := request()
		req.Notify = test.notify
		s := run(t, r, req)
		for a, err := range b.Alerts(t.Context(), store.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			if _, told := a.Aloud(); told == test.quiet {
				t.Errorf("%s: told %v", test.name, told)
			}
			if a.From.Run != s.ID || a.From.Quiet != test.quiet || a.From.HistoryExpired != test.expired {
				t.Errorf("%s: %+v, loud %d", test.name, a.From, a.Loud)
			}
		}
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	now := day.AddDate(0, 0, 2)
	for field, change := range map[string]func(*replay.Request){
		"":        func(*replay.Request) {},
		"from":    func(r *replay.Request) { r.From, r.To = r.To, r.From },
		"to":      func(r *replay.Request) { r.To = time.Time{} },
		"sources": func(r *replay.Request) { r.Sources = nil },
		"reason":  func(r *replay.Request) { r.Reason = "" },
		"by":      func(r *replay.Request) { r.By = "" },
		"notify":  func(r *replay.Request) { r.DryRun, r.Notify = true, true },
		"join":    func(r *replay.Request) { r.Join = "sessions" },

		"calibrateFrom": func(r *replay.Request) { r.CalibrateFrom = r.From },
	} {
		req := request()
		change(&req)
		invalid := (*replay.Invalid)(nil)
		if err := req.Check(now); field == "" && err != nil || field != "" && (!errors.As(err, &invalid) || invalid.Field != field) {
			t.Errorf("%q: %v", field, err)
		}
	}
	ten := request()
	ten.From = ten.From.AddDate(-10, 0, 0)
	if invalid := (*replay.Invalid)(nil); !errors.As(ten.Check(now), &invalid) || invalid.Field != "from" {
		t.Error("a window of ten years is taken")
	}
	later := request()
	if invalid := (*replay.Invalid)(nil); !errors.As(later.Check(day), &invalid) || invalid.Field != "from" {
		t.Error("a window of the future is taken")
	}
}

// Who writes a log can name as many categories as he likes; the document of a slice stays small.
func TestManyCategories(t *testing.T) {
	t.Parallel()
	m := &memory{partitions: make([][]string, 1), page: 20}
	for i := range 3000 {
		m.partitions[0] = append(m.partitions[0], fmt.Sprintf(`{"category":"%s%d","operationName":"x"}`, strings.Repeat("c", 200), i))
	}
	s := run(t, newRunner(t, open(t), m, &clock{now: day.AddDate(0, 0, 2)}), request())
	if n := len(s.Counters.Ignored); n == 0 || n > 130 {
		t.Errorf("%d categories", n)
	}
	var counted int64
	for n := range maps.Values(s.Counters.Ignored) {
		counted += n
	}
	if s.Counters.Records != 3000 || counted != 3000 {
		t.Errorf("%d records, %d counted", s.Counters.Records, counted)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(replay.Message{Replay: "r-1", Slice: 3, Turn: 2}.String())
	f.Add(`{"replay":"../x","slice":-1}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := replay.ParseMessage(text)
		if err != nil {
			return
		}
		if again, err := replay.ParseMessage(m.String()); err != nil || again != m {
			t.Errorf("%q: %+v, %v", text, again, err)
		}
	})
}

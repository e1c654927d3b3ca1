package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/cosmos"
	"github.com/assay-sec/assay/pkg/store/cosmos/cosmostest"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

// serveOn serves the functions on an open store until the test ends, and closes it then.
func serveOn(t *testing.T, b app.Backend, settings map[string]string, deadline time.Duration, now func() time.Time) (url string, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	logger := slog.New(slog.NewJSONHandler(log, nil))
	s, err := app.NewServiceOn(b, func(k string) string { return settings[k] }, "test", logger, now)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := routes(s)
	r.Observe(func(ctx context.Context, _ azfunc.Call) (context.Context, func(int)) {
		return context.WithValue(ctx, callKey{}, ctx.Done()), func(int) {}
	})
	ctx, cancel := context.WithCancel(t.Context())
	server := azfunc.New(azfunc.Options{Logger: logger, Deadline: deadline, Build: func(context.Context) (*azfunc.Routes, error) { return r, nil }})
	done := make(chan error)
	go func() { done <- server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, s.Close()); err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String(), log
}

// callKey is the context's key for the end of the call that the host made. The store hides it from its writes.
type callKey struct{}

// lateness holds requests back until the call that made them is over.
func lateness(ctx context.Context) {
	if over, ok := ctx.Value(callKey{}).(<-chan struct{}); ok {
		<-over
	}
}

// trouble is what goes wrong with the operations of the store from the nth on, counted from one: for one of them, or until it
// is mended.
type trouble struct {
	mu      sync.Mutex
	nth     int // 0: nothing goes wrong
	lasting bool
	seen    int
	mended  bool
	over    bool // what comes now is not of the batch
	hits    int
}

// strikes counts an operation and tells whether it goes wrong.
func (s *trouble) strikes() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.seen++
	if s.nth == 0 || s.mended || s.seen < s.nth || s.hits > 0 && !s.lasting {
		return false
	}
	s.hits++
	return true
}

func (s *trouble) mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mended = true
}

// end ends the batch.
func (s *trouble) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

func (s *trouble) counts() (seen, hits int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen, s.hits
}

// place is where findings end up: a store under the functions, and how to look at all that it holds.
type place struct {
	backend app.Backend
	look    func(t *testing.T) string // beside alerts and findings
	waited  func() time.Duration      // in all, for what the service asked for
}

// kept is all that a store holds of alerts and findings, as text, and the names of what else it holds.
func (p *place) kept(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for a, err := range p.backend.Alerts(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n", text(t, a))
		n := int64(0)
		for f, err := range p.backend.Findings(t.Context(), a.Tenant, a.ID) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			fmt.Fprintf(&b, "  %s\n", text(t, f))
		}
		if n != a.Count || n != 3 {
			t.Errorf("alert %s counts %d findings and has %d, want 3", a.ID, a.Count, n)
		}
	}
	return b.String() + p.look(t)
}

// onCosmos makes the store of Cosmos DB, through the SDK, on a server that has the fault whenever trouble strikes; slow: that
// answers after the call is over.
func onCosmos(t *testing.T, tr *trouble, fault *cosmostest.Fault, slow bool, now func() time.Time) *place {
	t.Helper()
	containers := map[string]string{}
	for name, key := range cosmos.Containers() {
		containers["assay/"+name] = key
	}
	server := cosmostest.Start(containers, now)
	t.Cleanup(server.Close)
	// What the background reads of published keys, and the SDK of the account, is not of the batch.
	ofBatch := func(r cosmostest.Request) bool {
		return !slices.Contains([]string{"account", "container", "ranges", "feed"}, r.Operation) && (r.Container != "assay/state" || r.Operation != "query")
	}
	if !slow {
		server.Inject(func(r cosmostest.Request) *cosmostest.Fault {
			if !ofBatch(r) || !tr.strikes() {
				return nil
			}
			return fault
		})
	}
	var mu sync.Mutex
	var waited time.Duration
	s, err := cosmos.New(cosmos.Options{
		Endpoint: server.URL(), Database: "assay", Emulator: true, Key: cosmostest.Key, Now: now,
		Transport: &wire{server: server, trouble: tr, slow: slow},
		Sleep: func(ctx context.Context, d time.Duration) error {
			mu.Lock()
			defer mu.Unlock()
			waited += d
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &place{
		backend: s,
		look: func(*testing.T) string {
			var b strings.Builder
			for _, c := range slices.Sorted(maps.Keys(containers)) {
				var ids []string
				for _, d := range server.Documents(c) {
					ids = append(ids, fmt.Sprint(d["id"]))
				}
				slices.Sort(ids)
				fmt.Fprintln(&b, c, ids)
			}
			return b.String()
		},
		waited: func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return waited
		},
	}
}

// wire is the network before a server. Its errors do not say what kind of failure it was: the SDK sits out a second otherwise.
type wire struct {
	server  *cosmostest.Server
	trouble *trouble
	slow    bool
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	if w.slow && r.Context().Value(callKey{}) != nil && strings.Contains(r.URL.Path, "/docs") && w.trouble.strikes() {
		lateness(r.Context())
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil && r.Context().Err() == nil {
		err = errors.New(err.Error())
	}
	return resp, err
}

// onSQLite makes the store of SQLite, whose calls fail as mode says whenever trouble strikes.
func onSQLite(t *testing.T, tr *trouble, mode string) *place {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "assay.db"))
	if err != nil {
		t.Fatal(err)
	}
	return &place{
		backend: &troubled{Backend: s, trouble: tr, mode: mode},
		look: func(t *testing.T) string {
			t.Helper()
			var ids []string
			for d, err := range s.List(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, d.ID)
			}
			return fmt.Sprint(ids)
		},
		waited: func() time.Duration { return 0 },
	}
}

// troubled is a store whose calls fail before or after they take effect, or come back when the call of the host is over.
type troubled struct {
	app.Backend
	trouble *trouble
	mode    string
}

// The ways in which a call of the store goes wrong.
const (
	failsBefore = "fails before"
	failsAfter  = "fails after"
	isLate      = "is late"
	isLateAfter = "is late after"
)

func guard[T any](ctx context.Context, s *troubled, do func() (T, error)) (T, error) {
	var none T
	if ctx.Value(callKey{}) == nil || !s.trouble.strikes() {
		return do()
	}
	switch s.mode {
	case failsBefore:
		return none, fmt.Errorf("%w: the disk is gone", store.ErrUnavailable)
	case failsAfter:
		_, _ = do() // whatever it came to, nobody hears of it
		return none, fmt.Errorf("%w: the disk is gone", store.ErrUnavailable)
	case isLate:
		lateness(ctx)
		return do()
	default:
		out, err := do()
		lateness(ctx)
		return out, errors.Join(err, ctx.Err())
	}
}

func (s *troubled) Record(ctx context.Context, fs []alert.Finding) (store.Outcome, error) {
	return guard(ctx, s, func() (store.Outcome, error) { return s.Backend.Record(ctx, fs) })
}

func (s *troubled) SetAside(ctx context.Context, items []alert.SetAside) error {
	_, err := guard(ctx, s, func() (struct{}, error) { return struct{}{}, s.Backend.SetAside(ctx, items) })
	return err
}

func (s *troubled) Load(ctx context.Context, id string) (store.Document, error) {
	return guard(ctx, s, func() (store.Document, error) { return s.Backend.Load(ctx, id) })
}

func (s *troubled) Save(ctx context.Context, d store.Document) (store.Document, error) {
	return guard(ctx, s, func() (store.Document, error) { return s.Backend.Save(ctx, d) })
}

func (s *troubled) Delete(ctx context.Context, d store.Document) error {
	_, err := guard(ctx, s, func() (struct{}, error) { return struct{}{}, s.Backend.Delete(ctx, d) })
	return err
}

// Whatever the store does to a batch, and at whichever of its operations, the host is told to hand it over again until it is
// done, and then the store holds what it holds after a batch that nothing happened to: the same findings, once, with
// the same counts, and no trace of the attempts.
func TestAStoreInTroubleLosesAndDoublesNothing(t *testing.T) {
	at := time.Now().UTC().Truncate(time.Second)
	now := func() time.Time { return at }
	payload := text(t, text(t, messages()))
	const hasty = 400 * time.Millisecond // the deadline of calls that meet a slow store
	delay := 70 * time.Millisecond       // that a throttling server asks for
	onServer := func(f cosmostest.Fault) func(*testing.T, *trouble) *place {
		return func(t *testing.T, tr *trouble) *place { t.Helper(); return onCosmos(t, tr, &f, false, now) }
	}
	onFile := func(mode string) func(*testing.T, *trouble) *place {
		return func(t *testing.T, tr *trouble) *place { t.Helper(); return onSQLite(t, tr, mode) }
	}
	for _, c := range []struct {
		name     string
		open     func(*testing.T, *trouble) *place
		patient  bool          // a single fault is waited for, and the host hears nothing of it
		wait     time.Duration // what the server asks for each time
		deadline time.Duration
	}{
		{name: "Cosmos DB, the connection breaks", open: onServer(cosmostest.Fault{Drop: true}), patient: true},
		{name: "Cosmos DB, the connection breaks after the write", open: onServer(cosmostest.Fault{Drop: true, After: true}), patient: true},
		{name: "Cosmos DB, down", open: onServer(cosmostest.Fault{Status: http.StatusServiceUnavailable}), patient: true},
		{name: "Cosmos DB, down after the write", open: onServer(cosmostest.Fault{Status: http.StatusServiceUnavailable, After: true}), patient: true},
		{name: "Cosmos DB, throttling", open: onServer(cosmostest.Fault{Status: http.StatusTooManyRequests, RetryAfter: delay}), patient: true, wait: delay},
		{name: "Cosmos DB, behind a firewall", open: onServer(cosmostest.Fault{Status: http.StatusForbidden})},
		{name: "Cosmos DB, slow", deadline: hasty, open: func(t *testing.T, tr *trouble) *place { t.Helper(); return onCosmos(t, tr, nil, true, now) }},
		{name: "SQLite, fails", open: onFile(failsBefore)},
		{name: "SQLite, fails after the write", open: onFile(failsAfter)},
		{name: "SQLite, slow", open: onFile(isLate), deadline: hasty},
		{name: "SQLite, slow after the write", open: onFile(isLateAfter), deadline: hasty},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			run := func(t *testing.T, tr *trouble, outage int, deadline time.Duration) (*place, []int) {
				t.Helper()
				p := c.open(t, tr)
				url, log := serveOn(t, p.backend, map[string]string{app.SettingKeys: "off"}, deadline, now)
				var answers []int
				for attempt := 0; attempt < 25; attempt++ {
					if attempt == outage {
						tr.mend()
					}
					status, body := do(t, http.MethodPost, url+"/tokens", invocation(payload, attempt))
					answers = append(answers, status)
					if status == http.StatusOK {
						break
					}
					if status != http.StatusInternalServerError {
						t.Fatalf("%d %s", status, body)
					}
				}
				tr.end()
				if answers[len(answers)-1] != http.StatusOK {
					t.Fatalf("it never ends: %v\n%s", answers, log)
				}
				if _, body := do(t, http.MethodGet, url+"/api/health", ""); !strings.Contains(body, `"sequence":42`) {
					t.Errorf("health: %s", body)
				}
				return p, answers
			}
			calm := &trouble{}
			p, _ := run(t, calm, 0, 0)
			want := p.kept(t)
			operations, _ := calm.counts()
			if operations < 5 || !strings.Contains(want, "heartbeat.tokens.1") {
				t.Fatalf("%d operations, and the store holds\n%s", operations, want)
			}
			for nth := 1; nth <= operations; nth++ {
				for _, outage := range []int{0, 1, 5} { // attempts that all fail from there on; 0: that operation alone
					if c.deadline > 0 && (outage == 5 || nth%3 != 1) {
						continue // each takes as long as the deadline
					}
					t.Run(fmt.Sprintf("operation %d of %d, outage of %d", nth, operations, outage), func(t *testing.T) {
						tr := &trouble{nth: nth, lasting: outage > 0}
						mend := outage
						if outage == 0 {
							mend = -1
						}
						p, answers := run(t, tr, mend, c.deadline)
						if got := p.kept(t); got != want {
							t.Errorf("answers %v, and the store holds\n%s\nwant\n%s", answers, got, want)
						}
						_, hits := tr.counts()
						switch failed := len(answers) - 1; {
						case hits == 0:
							t.Error("nothing went wrong")
						case outage == 0 && c.patient && failed > 0:
							t.Errorf("the host was troubled: %v", answers)
						case failed < outage, !c.patient && failed == 0:
							t.Errorf("answers %v, want %d failures", answers, max(outage, 1))
						}
						if c.wait > 0 && p.waited() < c.wait {
							t.Errorf("waited %s, but was asked for %s", p.waited(), c.wait)
						}
					})
				}
			}
		})
	}
}

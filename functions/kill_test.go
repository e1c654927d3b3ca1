package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/functions/mailbox"
	"github.com/assay-sec/assay/functions/signin"
	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/bench/corpus"
	"github.com/assay-sec/assay/pkg/devhost"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

// How much TestKills does. make soak asks for more.
var (
	killEvents = flag.Int("kill-events", 3000, "records that go through the handler while it is killed")
	kills      = flag.Int("kills", 2, "kills that have to hit work in flight, at random instants and at each enumerated point")
	killSeed   = flag.Uint64("kill-seed", 0, "of the instants of the kills; 0: another one each time")
)

// oracleVariable makes the test binary a handler: the function app, which stops at enumerated points and asks the test at
// that address whether it is to die there.
const oracleVariable = "ASSAY_TEST_ORACLE"

func TestMain(m *testing.M) {
	if oracle := os.Getenv(oracleVariable); oracle != "" {
		fmt.Fprintln(os.Stderr, "the handler ends:", stoppable(oracle))
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(builtFolder)
	os.Exit(code)
}

// The points at which the handler asks.
const (
	beforeBatch  = "before the batch"
	afterCommit  = "after the store's commit"
	beforeAnswer = "before the answer"
)

// poison, in the id of an event of which a finding is made, kills the handler whenever it is about to be stored.
const poison = "kills-the-process"

// stoppable is the function app, with stops.
func stoppable(oracle string) error {
	ctx := context.Background()
	stop := func(ctx context.Context, point string) {
		of, _ := ctx.Value(batchKey{}).(string)
		query := url.Values{"point": {point}, "batch": {of}}
		resp, err := http.Post(oracle+"/?"+query.Encode(), "text/plain", nil) //nolint:noctx // the test ends it
		if err != nil {
			die()
		}
		order, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(order) == "die" {
			die()
		}
	}
	log := azfunc.NewLogger(os.Stdout, slog.LevelInfo)
	return azfunc.Run(ctx, azfunc.Options{Logger: log, Build: func(ctx context.Context) (*azfunc.Routes, error) {
		path, _ := strings.CutPrefix(os.Getenv(app.SettingStore), "sqlite:")
		s, err := sqlite.Open(ctx, path)
		if err != nil {
			return nil, err
		}
		service, err := app.NewServiceOn(&stoppingStore{s, stop}, os.Getenv, "test", log, time.Now)
		if err != nil {
			return nil, err
		}
		inner, outer := &azfunc.Routes{}, &azfunc.Routes{}
		signin.Register(inner, service)
		mailbox.Register(inner, service)
		for _, name := range inner.Functions() {
			h := service.Ingest("events")
			outer.Function(name, azfunc.HandlerFunc(func(ctx context.Context, in *azfunc.Invocation) (*azfunc.Result, error) {
				meta, err := in.EventHub()
				if err != nil {
					return nil, err
				}
				ctx = context.WithValue(ctx, batchKey{}, fmt.Sprint(name, meta.Partition, meta.Events[0].Sequence))
				stop(ctx, beforeBatch)
				result, err := h.Invoke(ctx, in)
				stop(ctx, beforeAnswer)
				return result, err
			}))
		}
		return outer, nil
	}})
}

// batchKey is the context's key for the name of the batch.
type batchKey struct{}

// die ends the process as kill -9 does.
func die() {
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
	select {}
}

type stoppingStore struct {
	app.Backend
	stop func(ctx context.Context, point string)
}

func (s *stoppingStore) Record(ctx context.Context, findings []alert.Finding) (store.Outcome, error) {
	for i := range findings {
		if strings.Contains(string(findings[i].EventID), poison) {
			die()
		}
	}
	out, err := s.Backend.Record(ctx, findings)
	s.stop(ctx, afterCommit)
	return out, err
}

// hastyClock lets retries come at once and functionTimeout never.
type hastyClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *hastyClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *hastyClock) After(d time.Duration) <-chan time.Time {
	out := make(chan time.Time, 1)
	if d <= 5*time.Minute {
		out <- c.Now()
	}
	return out
}

// pass keeps the host from giving up: it counts deaths of half an hour.
func (c *hastyClock) pass() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Hour)
}

// rig is the function app under the local host, and who kills it.
type rig struct {
	t     *testing.T
	host  *devhost.Host
	clock *hastyClock
	db    string
	log   lockedBuffer

	mu       sync.Mutex
	random   *rand.Rand
	inFlight map[string]bool
	wounded  map[string]bool // what was in flight when the handler was killed
	begun    chan struct{}   // a batch has begun
	points   map[string]int  // how often the handler is still to die at each point
	deaths   map[string]int  // by batch
	hits     map[string]int  // kills that hit work in flight, by where
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// appRoot assembles a script root of the two big functions that starts the executable.
func appRoot(t *testing.T, executable string, batch int) string {
	t.Helper()
	root := t.TempDir()
	host, err := os.ReadFile(filepath.Join("..", "host.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(host, &doc); err != nil {
		t.Fatal(err)
	}
	description := map[string]any{"defaultExecutablePath": executable, "arguments": []string{"serve"}}
	doc["customHandler"] = map[string]any{"enableForwardingHttpRequest": true, "description": description}
	doc["extensions"] = map[string]any{"eventHubs": map[string]any{"maxEventBatchSize": batch}}
	files := map[string]string{"host.json": text(t, doc)}
	for _, f := range []string{"signin", "mailbox"} {
		binding, err := os.ReadFile(filepath.Join(f, "function.json"))
		if err != nil {
			t.Fatal(err)
		}
		files[f+"/function.json"] = string(binding)
	}
	sample, err := os.ReadFile(filepath.Join("..", "local.settings.sample.json"))
	if err != nil {
		t.Fatal(err)
	}
	files["local.settings.json"] = string(sample)
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// startRig runs the function app on the hubs. real is the production executable; empty: this binary, with stops.
func startRig(t *testing.T, seed uint64, real string, hubs map[string]devhost.Log, batch int) *rig {
	t.Helper()
	r := &rig{
		t: t, clock: &hastyClock{now: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}, db: filepath.Join(t.TempDir(), "assay.db"),
		random: rand.New(rand.NewPCG(seed, 1)), inFlight: map[string]bool{}, wounded: map[string]bool{},
		begun: make(chan struct{}, 1), points: map[string]int{}, deaths: map[string]int{}, hits: map[string]int{},
	}
	settings := map[string]string{app.SettingStore: "sqlite:" + r.db}
	executable := real
	if real == "" {
		oracle := httptest.NewServer(http.HandlerFunc(r.answer))
		t.Cleanup(oracle.Close)
		settings[oracleVariable] = oracle.URL
		var err error
		if executable, err = os.Executable(); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	r.host, err = devhost.New(devhost.Options{
		Feeds: map[string]devhost.ChangeFeed{"alerts": &devhost.MemoryFeed{}},
		Root:  appRoot(t, executable, batch), Settings: settings, Address: "127.0.0.1:0", Hubs: hubs, Clock: r.clock,
		Logger: azfunc.NewLogger(&r.log, slog.LevelWarn), Output: io.Discard, Observe: r.observe,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run drains the hubs and stops the app. Meanwhile, kill may do harm.
func (r *rig) run(kill func(ctx context.Context)) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.host.Run(ctx) }()
	harm, stopHarm := context.WithCancel(ctx)
	var all sync.WaitGroup
	if kill != nil {
		all.Go(func() { kill(harm) })
	}
	drained := make(chan error, 1)
	go func() { drained <- r.host.Drain(ctx) }()
	var err error
	select {
	case err = <-drained:
		stopHarm()
		all.Wait()
		cancel()
		if e := <-ended; err == nil {
			err = e
		}
	case err = <-ended:
		stopHarm()
		cancel()
		all.Wait()
	}
	if err != nil {
		r.t.Fatalf("the host has ended with %v; its log ends with\n%.3000s", err, r.tail())
	}
}

func (r *rig) tail() string {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	s := r.log.b.String()
	return s[max(0, len(s)-3000):]
}

// observe keeps what is in flight. A kill counts if it made an invocation fail.
func (r *rig) observe(i devhost.Invocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !i.Ended {
		r.inFlight[i.ID] = true
		select {
		case r.begun <- struct{}{}:
		default:
		}
		return
	}
	delete(r.inFlight, i.ID)
	if r.wounded[i.ID] && i.Err != nil && strings.Contains(i.Err.Error(), "handler") {
		clear(r.wounded) // the others of the same kill do not count
		r.hits["random"]++
	}
}

// mostDeaths is how often the handler may die of one batch. Who kills it more often does what a killer record does.
const mostDeaths = 2

// answer says whether the handler is to die at the point that it has reached.
func (r *rig) answer(w http.ResponseWriter, req *http.Request) {
	point, batch := req.URL.Query().Get("point"), req.URL.Query().Get("batch")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.points[point] > 0 && r.deaths[batch] < mostDeaths && r.random.IntN(3) == 0 {
		r.points[point]--
		r.deaths[batch]++
		r.hits[point]++ // it asks from within an invocation
		r.clock.pass()
		_, _ = io.WriteString(w, "die")
		return
	}
	_, _ = io.WriteString(w, "go on")
}

// killAtRandom kills the handler at instants within the work until n kills have hit.
func (r *rig) killAtRandom(n int) func(context.Context) {
	return func(ctx context.Context) {
		for {
			select {
			case <-r.begun:
			case <-ctx.Done():
				return
			}
			r.mu.Lock()
			wait := time.Duration(r.random.Int64N(int64(40 * time.Millisecond)))
			enough := r.hits["random"] >= n
			r.mu.Unlock()
			if enough {
				return
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
			r.mu.Lock()
			clear(r.wounded)
			maps.Copy(r.wounded, r.inFlight)
			r.mu.Unlock()
			r.clock.pass()
			_ = r.host.Kill() // it may not run yet
		}
	}
}

// kept is all that a run leaves that has to be the same: alerts with their counts and findings, and what was set aside.
type kept struct {
	Alerts   map[alert.ID]keptAlert
	SetAside map[string]string // reason and place, by id
}

type keptAlert struct {
	Rule        string
	Count       int64
	First, Last time.Time
	Severity    string
	Findings    []alert.FindingID
}

func contents(t *testing.T, path string) kept {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	k := kept{Alerts: map[alert.ID]keptAlert{}, SetAside: map[string]string{}}
	for a, err := range s.Alerts(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		one := keptAlert{Rule: a.Rule.ID, Count: a.Count, First: a.First, Last: a.Last, Severity: a.Severity.String()}
		for f, err := range s.Findings(t.Context(), a.Tenant, a.ID) {
			if err != nil {
				t.Fatal(err)
			}
			one.Findings = append(one.Findings, f.ID)
		}
		slices.Sort(one.Findings)
		if int64(len(one.Findings)) != a.Count {
			t.Errorf("alert %s counts %d findings and has %d", a.ID, a.Count, len(one.Findings))
		}
		k.Alerts[a.ID] = one
	}
	for item, err := range s.SetAsides(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		k.SetAside[item.ID] = item.Reason + " " + item.Place
	}
	return k
}

func (k kept) findings() (n int) {
	for _, a := range k.Alerts {
		n += len(a.Findings)
	}
	return n
}

// fill returns hubs with the records, several a message, and a message now and then that is no log.
func fill(t *testing.T, n int, extra ...string) map[string]devhost.Log {
	t.Helper()
	hubs := map[string]devhost.Log{}
	bodies := map[string][]string{}
	flush := func(hub string) {
		if len(bodies[hub]) == 0 {
			return
		}
		e := devhost.Event{Body: []byte(`{"records":[` + strings.Join(bodies[hub], ",") + `]}`)}
		bodies[hub] = nil
		to, ok := hubs[hub].(devhost.Publisher)
		if !ok {
			t.Fatalf("nothing can be published to %s", hub)
		}
		if err := to.Publish(t.Context(), "", e); err != nil {
			t.Fatal(err)
		}
	}
	for _, hub := range []string{"signins", "mailbox"} {
		hubs[hub] = devhost.NewMemoryLog(2, nil)
	}
	g := corpus.New(11)
	for i := range n {
		hub := []string{"signins", "mailbox"}[i%2]
		bodies[hub] = append(bodies[hub], g.Next())
		if i%23 == 0 {
			bodies["mailbox"] = append(bodies["mailbox"], observation(i))
		}
		if i%997 == 0 {
			bodies[hub] = append(bodies[hub], `{"torn":`)
		}
		if len(bodies[hub]) >= 4 {
			flush(hub)
		}
		if i == n/2 {
			bodies["mailbox"] = append(bodies["mailbox"], extra...)
		}
	}
	flush("signins")
	flush("mailbox")
	return hubs
}

// observation is a token that Storm-0558 signed, of one of many applications and days.
func observation(i int) string {
	return fmt.Sprintf(`{"kind":"token-observation","schemaVersion":1,"id":"o-%d","tenantId":%q,"time":"2026-03-%02dT10:00:00Z",`+
		`"observer":{"name":"apim-orders","type":"apim"},"validation":{"result":"accepted","signaturePresent":true,"segments":3},`+
		`"header":{"alg":"RS256","typ":"JWT","kid":"1LTMzakihiRla_8z2BEJVXeWMqo"},"claims":{"iss":"https://login.microsoftonline.com/%s/v2.0",`+
		`"tid":%q,"aud":"api://orders-%d","ver":"2.0","uti":"xMFjTVvJPE2OChJx_YE-AA"}}`, i, victim, 1+i%5, victim, victim, i%7)
}

// builtFolder holds the executable while the tests of this process run.
var builtFolder = filepath.Join(os.TempDir(), fmt.Sprintf("assay-%d", os.Getpid()))

// built makes the executable that is deployed, once for all tests that ask for it.
var built = sync.OnceValues(func() (string, error) {
	if err := os.MkdirAll(builtFolder, 0o700); err != nil {
		return "", err
	}
	exe := filepath.Join(builtFolder, "assay")
	return exe, compile(context.Background(), exe, ".")
})

// compile builds the program in a folder as it is shipped.
func compile(ctx context.Context, exe, folder string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", exe, folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", folder, err, out)
	}
	return nil
}

func build(t *testing.T) string {
	t.Helper()
	exe, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// TestKills kills the handler within its work, the production executable at random instants and the same function app at the
// enumerated points, and holds what is stored against a run that nobody disturbed: all ids, all counts.
func TestKills(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%d records, seed %d (repeat with -kill-seed %d)", *killEvents, seed, seed)
	const batch = 8
	executable := build(t)
	hubs := fill(t, *killEvents)
	undisturbed := startRig(t, seed, executable, hubs, batch)
	undisturbed.run(nil)
	want := contents(t, undisturbed.db)
	if len(want.Alerts) == 0 || len(want.SetAside) == 0 || want.findings() < *killEvents/200 {
		t.Fatalf("there is too little to lose: %d alerts, %d findings, %d set aside", len(want.Alerts), want.findings(), len(want.SetAside))
	}
	t.Logf("undisturbed: %d alerts, %d findings, %d set aside", len(want.Alerts), want.findings(), len(want.SetAside))

	compare := func(t *testing.T, r *rig) {
		t.Helper()
		if got := contents(t, r.db); !reflect.DeepEqual(got, want) {
			t.Errorf("seed %d: %d alerts, %d findings, %d set aside; missing or changed: %v", seed, len(got.Alerts), got.findings(),
				len(got.SetAside), difference(got, want))
		}
	}
	t.Run("at random instants", func(t *testing.T) {
		r := startRig(t, seed, executable, hubs, batch)
		r.run(r.killAtRandom(*kills))
		if r.hits["random"] < *kills {
			t.Errorf("%d kills hit work in flight, want %d: give it more events", r.hits["random"], *kills)
		}
		t.Logf("kills that hit work in flight: %v", r.hits)
		compare(t, r)
	})
	t.Run("at enumerated points", func(t *testing.T) {
		r := startRig(t, seed, "", hubs, batch)
		for _, point := range []string{beforeBatch, afterCommit, beforeAnswer} {
			r.points[point] = *kills
		}
		r.run(nil)
		for point, left := range r.points {
			if left > 0 {
				t.Errorf("%s: %d kills are left: give it more events", point, left)
			}
		}
		t.Logf("kills that hit work in flight: %v", r.hits)
		compare(t, r)
	})
}

// difference names the first alerts that differ.
func difference(got, want kept) []string {
	var out []string
	for id, a := range want.Alerts {
		if !reflect.DeepEqual(got.Alerts[id], a) && len(out) < 5 {
			out = append(out, fmt.Sprintf("%s: %d of %d", id, got.Alerts[id].Count, a.Count))
		}
	}
	for id, what := range got.SetAside {
		if _, ok := want.SetAside[id]; !ok && len(out) < 10 {
			out = append(out, "set aside: "+what)
		}
	}
	return out
}

// TestARecordThatKills finds the record of which the handler dies each time, sets it aside, and loses nothing around it.
func TestARecordThatKills(t *testing.T) {
	const n = 300
	killer := strings.Replace(messages()[1], "o-3", poison, 1)
	rest := startRig(t, 1, "", fill(t, n), 32)
	rest.run(nil)
	want := contents(t, rest.db)

	r := startRig(t, 1, "", fill(t, n, killer), 32)
	stop := make(chan struct{})
	go func() { // time passes, so that the host goes on
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				r.clock.pass()
			}
		}
	}()
	r.run(nil)
	close(stop)
	got := contents(t, r.db)
	var culprits []string
	for id, what := range got.SetAside {
		if strings.HasPrefix(what, "killed-the-process") {
			culprits = append(culprits, what)
			delete(got.SetAside, id)
		}
	}
	if len(culprits) != 1 {
		t.Errorf("set aside as killers: %v, want one", culprits)
	}
	// Places count messages, which the killer does not change: it stands at the end of one.
	if !reflect.DeepEqual(got, want) {
		t.Errorf("beside the killer: %v", difference(got, want))
	}
	s, err := sqlite.Open(t.Context(), r.db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for doc, err := range s.List(t.Context(), "start.") {
		t.Errorf("a start marker is left: %s %v", strconv.Quote(string(doc.Body)), err)
	}
}

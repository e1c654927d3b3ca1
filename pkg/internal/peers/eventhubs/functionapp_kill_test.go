//go:build peers

package eventhubs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/functions/replaychunk"
	"github.com/assay-sec/assay/functions/replays"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/devhost"
	"github.com/assay-sec/assay/pkg/replay"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

// oracleVariable makes the test binary a handler: the functions of replays, which ask the test at that address whether they are
// to die where they are, and what time it is.
const oracleVariable = "ASSAY_TEST_ORACLE"

// oracle is what the handler asks.
type oracle string

// ask returns the answer, or dies if it says so.
func (o oracle) ask(point string) string {
	resp, err := http.Get(string(o) + "/?" + url.Values{"point": {point}, "process": {strconv.Itoa(os.Getpid())}}.Encode()) //nolint:noctx // the test ends it
	if err != nil {
		die()
	}
	answer, err := io.ReadAll(resp.Body)
	if _ = resp.Body.Close(); err != nil || string(answer) == orderToDie {
		die()
	}
	return string(answer)
}

const orderToDie = "die"

// die ends the process as kill -9 does.
func die() {
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
	select {}
}

// oracleClock is the time by which the handler's leases and turns end: the test's.
type oracleClock struct {
	replay.WallClock
	oracle oracle
}

func (c oracleClock) Now() time.Time {
	now, err := time.Parse(time.RFC3339Nano, c.oracle.ask(""))
	if err != nil {
		panic(err)
	}
	return now
}

// stoppable is the function app, as far as replays go, with stops, the test's time, and without the bound on its speed.
func stoppable(o oracle) error {
	log := azfunc.NewLogger(os.Stdout, slog.LevelInfo)
	return azfunc.Run(context.Background(), azfunc.Options{Logger: log, Build: func(ctx context.Context) (*azfunc.Routes, error) {
		path, _ := strings.CutPrefix(os.Getenv(app.SettingStore), "sqlite:")
		s, err := sqlite.Open(ctx, path)
		if err != nil {
			return nil, err
		}
		at := func(point string) { o.ask(point) }
		service, err := app.NewServiceOn(&stopping{s, at}, os.Getenv, "test", log, time.Now)
		if err != nil {
			return nil, err
		}
		r := service.Replays().Runner
		r.Clock, r.Rate = oracleClock{oracle: o}, 0
		source := r.Source
		r.Source = func(name string) (replay.Source, error) {
			src, err := source(name)
			return &stoppingSource{src, at}, err
		}
		routes := &azfunc.Routes{}
		replays.Register(routes, service)
		replaychunk.Register(routes, service)
		return routes, nil
	}})
}

// skipped is the machine's time and what the test has skipped.
type skipped struct {
	mu      sync.Mutex
	ahead   time.Duration
	waiting []waiting
}

type waiting struct {
	until time.Time
	out   chan time.Time
}

func (c *skipped) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *skipped) After(d time.Duration) <-chan time.Time {
	w := waiting{c.Now().Add(d), make(chan time.Time, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, w)
	time.AfterFunc(d, w.fire)
	return w.out
}

func (w waiting) fire() {
	select {
	case w.out <- w.until:
	default: // it has fired
	}
}

func (c *skipped) skip(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
	now := time.Now().Add(c.ahead)
	c.waiting = slices.DeleteFunc(c.waiting, func(w waiting) bool {
		if w.until.After(now) {
			return false
		}
		w.fire()
		return true
	})
}

// How the time goes.
const (
	pageTime = 5 * time.Second  // that each page takes, so that a slice takes many turns
	idleTime = time.Minute      // at once, when nobody works: for messages that wait, and leases of the dead
	goneTime = 31 * time.Minute // of the host alone, at a death: it counts those of half an hour
)

// killer is the function app behind the local host, and who kills it.
type killer struct {
	host          *devhost.Host
	hosts, theirs skipped // the host's time; the handler's

	mu       sync.Mutex
	random   *rand.Rand
	orders   []order // the first is the one at hand
	process  string  // the last that asked
	dying    map[string]bool
	inFlight map[string]bool
	wounded  map[string]bool // was in flight at a kill at a random instant
	armed    bool            // such a kill is on its way
	hits     map[string]int
	failed   int // calls
}

// order asks for a kill when the handler comes to the point for the nth time; at an instant soon after, if it is atRandom.
type order struct {
	point string
	n     int
}

const atRandom = "a random instant"

// killable runs the functions of replays in this binary.
func killable(t *testing.T, connection, db string, random *rand.Rand, orders []order) *killer {
	t.Helper()
	k := &killer{random: random, orders: orders, dying: map[string]bool{}, inFlight: map[string]bool{}, wounded: map[string]bool{}, hits: map[string]int{}}
	answers := httptest.NewServer(http.HandlerFunc(k.answer))
	t.Cleanup(answers.Close)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := host(t, devhost.Options{
		Root: scriptRoot(t, self, "replays", "replaychunk"), Clock: &k.hosts, Observe: k.observe,
		Settings: map[string]string{oracleVariable: answers.URL, "AzureFunctionsJobHost__functionTimeout": "23:59:59"}, // it would end what a skip finds at work
	}, connection, db)
	k.mu.Lock()
	k.host = h
	k.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		k.passTime(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	return k
}

// passTime lets time pass whenever nobody works.
func (k *killer) passTime(ctx context.Context) {
	for idle := 0; (replay.WallClock{}).Sleep(ctx, 25*time.Millisecond) == nil; {
		k.mu.Lock()
		if idle++; len(k.inFlight) > 0 {
			idle = 0
		}
		if idle > 1 {
			k.hosts.skip(idleTime)
			k.theirs.skip(idleTime)
		}
		k.mu.Unlock()
	}
}

func (k *killer) observe(i devhost.Invocation) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !i.Ended {
		k.inFlight[i.ID] = true
		return
	}
	delete(k.inFlight, i.ID)
	if i.Err != nil {
		k.failed++
	}
	if !k.wounded[i.ID] {
		return
	}
	if delete(k.wounded, i.ID); i.Err != nil {
		clear(k.wounded)
		k.hit(atRandom)
	} else if len(k.wounded) == 0 {
		k.armed = false // it came too late: once more
	}
}

// hit counts a kill, and goes on to the next order. The lock is held.
func (k *killer) hit(point string) {
	k.hits[point]++
	k.orders, k.armed = k.orders[1:], false
	k.hosts.skip(goneTime)
}

func (k *killer) answer(w http.ResponseWriter, req *http.Request) {
	point, process := req.URL.Query().Get("point"), req.URL.Query().Get("process")
	k.mu.Lock()
	defer k.mu.Unlock()
	if point == beforePage {
		k.hosts.skip(pageTime)
		k.theirs.skip(pageTime)
	}
	k.process = process
	if point != "" && len(k.orders) > 0 && !k.dying[process] {
		switch next := &k.orders[0]; {
		case next.point == point:
			if next.n--; next.n == 0 {
				k.dying[process] = true
				k.hit(point)
				_, _ = io.WriteString(w, orderToDie)
				return
			}
		case next.point == atRandom && point == beforePage && !k.armed:
			if next.n--; next.n <= 0 {
				k.armed = true
				time.AfterFunc(time.Duration(k.random.Int64N(int64(40*time.Millisecond))), k.killNow)
			}
		}
	}
	_, _ = io.WriteString(w, k.theirs.Now().Format(time.RFC3339Nano))
}

// killNow kills the handler wherever it is.
func (k *killer) killNow() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.inFlight) == 0 {
		k.armed = false
		return
	}
	k.dying[k.process] = true
	maps.Copy(k.wounded, k.inFlight)
	_ = k.host.Kill() // it is there: something is in flight
}

// The handler is killed with SIGKILL while replaychunk works, at enumerated points and at random instants. The host starts it
// again and shows the messages again; leases of the dead run out. The replay ends as one that nobody disturbed, slice by slice,
// and once more it finds nothing new.
func TestTheFunctionAppIsKilledInAReplay(t *testing.T) {
	t.Parallel()
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%d events, %d kills, seed %d (repeat with -kill-seed %d)", *manyEvents, *kills, seed, seed)
	random := rand.New(rand.NewPCG(seed, 8))
	n := *manyEvents
	connection := Start(t, "signins:4", tokens(t, n, 50))
	from, to := day.Add(30*time.Hour), day.Add(60*time.Hour)
	points := []string{atRandom, beforePage, afterCommit, beforeSaving, afterSaving, betweenTurns}
	first := random.IntN(len(points))
	var orders []order
	for i := range *kills {
		next := order{points[(first+i)%len(points)], 1 + random.IntN(3)}
		if next.point != betweenTurns { // which comes seldom
			// Findings are in the first half of what is read, which is to hold all kills.
			next.n = 1 + random.IntN(max(n/32/6 / *kills, 1))
		}
		orders = append(orders, next)
	}
	type slice struct {
		State    replay.SliceState
		Range    replay.Range
		Position string
		Counters replay.Counters
	}
	run := func(name string, orders []order) (*killer, string, replay.Status, []slice) {
		t.Helper()
		db := filepath.Join(t.TempDir(), name+".db")
		k := killable(t, connection, db, random, orders)
		s := ended(t, started(t, k.host.URL(), from, to), 10*time.Minute)
		var all []slice
		turns := 0
		for _, one := range s.Slices {
			one.Counters.Pages = 0 // where pages end is the network's business
			all = append(all, slice{one.State, one.Range, one.Position, one.Counters})
			turns += one.Turn
		}
		t.Logf("%s: %s, %d slices in %d turns, %d evaluated, %+v", name, s.State, len(all), turns+len(all), s.Counters.Evaluated, s.Findings)
		if s.State != replay.StateCompleted || len(all) != 4 || turns < len(all) {
			t.Fatalf("%s: %+v", name, s)
		}
		return k, db, s, all
	}
	_, quiet, undisturbed, want := run("undisturbed", nil)
	k, db, killed, got := run("killed", orders)
	k.mu.Lock()
	left, hits, again := k.orders, fmt.Sprint(k.hits), k.failed
	k.mu.Unlock()
	t.Logf("killed at %s; %d calls failed of it", hits, again)
	if len(left) > 0 {
		t.Errorf("%v are left: give it more events", left)
	}
	if !reflect.DeepEqual(got, want) || killed.Findings != undisturbed.Findings {
		t.Errorf("killed: %+v %+v\nundisturbed: %+v %+v", killed.Findings, got, undisturbed.Findings, want)
	}
	stored := contents(t, quiet)
	if left := contents(t, db); len(stored) < n/50*30/96 || !reflect.DeepEqual(left, stored) {
		t.Errorf("the store has %d alerts and findings, undisturbed %d, or others", len(left), len(stored))
	}
	once := ended(t, started(t, k.host.URL(), from, to), 10*time.Minute)
	if f := once.Findings; f.New != 0 || f.AlertsNew != 0 || f.AlertsKnown != killed.Findings.AlertsNew || !reflect.DeepEqual(contents(t, db), stored) {
		t.Errorf("once more: %+v", f)
	}
}

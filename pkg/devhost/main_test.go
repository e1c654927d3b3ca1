package devhost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/azfunc"
)

// oracleVariable makes the test binary a handler: it asks the test at that address what to do with each request.
const oracleVariable = "DEVHOST_TEST_ORACLE"

func TestMain(m *testing.M) {
	if oracle := os.Getenv(oracleVariable); oracle != "" {
		if err := handler(oracle); err != nil {
			fmt.Fprintln(os.Stderr, "handler:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// seen is what the handler tells the test of a request.
type seen struct {
	PID      int
	Function string
	ID       string
	Retry    *azfunc.Retry
	Hub      azfunc.EventHub
	Queue    azfunc.Queue
	Data     azfunc.Value
	Length   int64 // Content-Length
	Method   string
	URL      string
	Header   http.Header
	Body     string
	Env      map[string]string
}

// handler is a handler that does what the oracle says. It is written without azfunc's server, so that it can misbehave.
func handler(oracle string) error {
	ask := func(s seen) string {
		s.PID = os.Getpid()
		b, err := json.Marshal(s)
		if err != nil {
			return "exit 3"
		}
		resp, err := http.Post(oracle, "application/json", bytes.NewReader(b)) //nolint:noctx // the test ends it
		if err != nil {
			return "exit 4"
		}
		defer func() { _ = resp.Body.Close() }()
		order, _ := io.ReadAll(resp.Body)
		return string(order)
	}
	if order := ask(seen{Function: "start", Env: map[string]string{
		"port": os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"), "old": os.Getenv("FUNCTIONS_HTTPWORKER_PORT"),
		"id": os.Getenv("FUNCTIONS_CUSTOMHANDLER_WORKER_ID"), "root": os.Getenv("FUNCTIONS_APP_ROOT_PATH"),
		"host": os.Getenv("WEBSITE_HOSTNAME"), "setting": os.Getenv("SETTING"), "arg": strings.Join(os.Args[1:], " "),
	}}); order == "crash" {
		return errors.New("crashed at start")
	}
	ln, err := azfunc.Listen(context.Background())
	if err != nil {
		return err
	}
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s := seen{
			Function: strings.TrimPrefix(r.URL.Path, "/"), ID: r.Header.Get(azfunc.HeaderInvocationID), Length: r.ContentLength,
			Method: r.Method, URL: r.URL.RequestURI(), Header: r.Header, Body: string(body),
		}
		if in, err := azfunc.Parse(s.Function, r.Header, s.Body); err == nil {
			s.Retry = in.Retry
			s.Hub, _ = in.EventHub()
			s.Queue, _ = in.Queue()
			for _, v := range in.Data {
				s.Data = v
			}
		}
		order, rest, _ := strings.Cut(ask(s), " ")
		w.Header().Set("Content-Type", "application/json")
		switch order {
		case "ok":
			_, _ = io.WriteString(w, `{"Outputs":{},"Logs":[],"ReturnValue":null}`)
		case "fail":
			w.WriteHeader(http.StatusInternalServerError)
		case "answer":
			media, text, _ := strings.Cut(rest, " ")
			w.Header().Set("Content-Type", media)
			_, _ = io.WriteString(w, text)
		case "redirect":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "exit":
			var code int
			_, _ = fmt.Sscan(rest, &code)
			os.Exit(code)
		case "print":
			fmt.Println(rest)
			fmt.Fprintln(os.Stderr, "bad:", rest) // in the host's log
			_, _ = io.WriteString(w, "{}")
		}
	}))
}

// call is a request of the handler that waits for the test's answer.
type call struct {
	seen
	order chan string
}

func (c call) reply(order string) { c.order <- order }

// bench runs a host with a handler that asks the test.
type bench struct {
	t     *testing.T
	root  string
	host  *Host
	clock *fakeClock
	calls chan call // requests of the handler, in order
	start chan call // starts of the handler
	ended chan error
	stop  context.CancelFunc

	mu       sync.Mutex
	attempts []Invocation
	log      bytes.Buffer
	output   bytes.Buffer
}

func (b *bench) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.output.Write(p)
}

// script writes the files of a script root, with a host.json that starts the test binary.
func script(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	quoted, err := json.Marshal(exe)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"host.json": `{"version":"2.0","functionTimeout":"00:10:00",
		"extensions":{"eventHubs":{"maxEventBatchSize":3}},
		"customHandler":{"enableForwardingHttpRequest":true,
			"description":{"defaultExecutablePath":EXE,"arguments":["one","%SETTING%"]}}}`}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "EXE", string(quoted))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// hubFunction is a function.json with an event hub trigger; more is what stands beside its bindings.
func hubFunction(more string) string {
	return `{"bindings":[{"type":"eventHubTrigger","direction":"in","name":"events","eventHubName":"hub",
		"connection":"C","consumerGroup":"detect","cardinality":"many","dataType":"binary"}]` + more + `}`
}

const (
	endless = `,"retry":{"strategy":"exponentialBackoff","maxRetryCount":-1,` +
		`"minimumInterval":"00:00:05","maximumInterval":"00:05:00"}`
	twice = `,"retry":{"strategy":"fixedDelay","maxRetryCount":2,"delayInterval":"00:00:10"}`
)

// run starts a host on the root. It is stopped at the end of the test.
func run(t *testing.T, root string, o Options) *bench {
	t.Helper()
	b := &bench{
		t: t, root: root, clock: newFakeClock(), calls: make(chan call), start: make(chan call, 16), ended: make(chan error, 1),
	}
	oracle := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := call{order: make(chan string, 1)}
		if err := json.NewDecoder(r.Body).Decode(&c.seen); err != nil {
			t.Error(err)
			return
		}
		to := b.calls
		if c.Function == "start" {
			to = b.start
		}
		select {
		case to <- c:
		case <-r.Context().Done():
			return
		}
		if c.Function == "start" {
			c.reply(b.startOrder())
		}
		select {
		case order := <-c.order:
			_, _ = io.WriteString(w, order)
		case <-r.Context().Done():
		}
	}))
	o.Root, o.Address, o.Output = root, "127.0.0.1:0", b
	if o.Clock == nil {
		o.Clock = b.clock
	}
	settings := map[string]string{oracleVariable: oracle.URL, "SETTING": "two"}
	for name, v := range o.Settings {
		settings[name] = v
	}
	o.Settings = settings
	o.Logger = azfunc.NewLogger(writerFunc(func(p []byte) (int, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.log.Write(p)
	}), nil)
	observe := o.Observe
	o.Observe = func(i Invocation) {
		b.mu.Lock()
		b.attempts = append(b.attempts, i)
		b.mu.Unlock()
		if observe != nil {
			observe(i)
		}
	}
	var err error
	if b.host, err = New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	go func() { b.ended <- b.host.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-b.ended; err != nil {
			t.Errorf("the host has ended with %v", err)
		}
		oracle.CloseClientConnections()
		oracle.Close()
		if t.Failed() {
			t.Logf("log of the host:\n%s", b.log.String())
		}
	})
	return b
}

func (b *bench) startOrder() string {
	if strings.Contains(b.t.Name(), "CrashAtStart") {
		return "crash"
	}
	return "ok"
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// patience bounds waiting for processes, so that a broken test ends.
const patience = 20 * time.Second

// next returns the handler's next request.
func (b *bench) next() call {
	b.t.Helper()
	select {
	case c := <-b.calls:
		return c
	case err := <-b.ended:
		b.ended <- err
		b.t.Fatalf("the host has ended: %v", err)
	case <-time.After(patience):
		b.t.Fatalf("the handler is not called; host's log:\n%s", b.logged())
	}
	return call{}
}

// started waits for a start of the handler.
func (b *bench) started() call {
	b.t.Helper()
	select {
	case c := <-b.start:
		return c
	case <-time.After(patience):
		b.t.Fatalf("the handler does not start; host's log:\n%s", b.logged())
	}
	return call{}
}

// end waits for the end of the host.
func (b *bench) end() error {
	b.t.Helper()
	select {
	case err := <-b.ended:
		b.ended <- nil // for the cleanup
		return err
	case <-time.After(patience):
		b.t.Fatal("the host does not end")
		return nil
	}
}

func (b *bench) logged() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

// publish appends events with the bodies to partition 0.
func (b *bench) publish(bodies ...string) {
	b.t.Helper()
	var events []Event
	for _, s := range bodies {
		events = append(events, Event{Body: []byte(s)})
	}
	if err := b.host.Publish(b.t.Context(), "hub", "0", events...); err != nil {
		b.t.Fatal(err)
	}
}

// drain waits until all published events are through.
func (b *bench) drain() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	if err := b.host.Drain(ctx); err != nil {
		b.t.Fatalf("%v; host's log:\n%s", err, b.logged())
	}
}

// sequences returns the sequence numbers of a call.
func (c call) sequences() []int64 {
	var out []int64
	for _, e := range c.Hub.Events {
		out = append(out, e.Sequence)
	}
	return out
}

func (b *bench) wantBatch(c call, sequences ...int64) {
	b.t.Helper()
	if !slices.Equal(c.sequences(), sequences) {
		b.t.Fatalf("the handler got %v, want %v", c.sequences(), sequences)
	}
}

// fakeClock is a clock that the test moves.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []fakeTimer
	armed  chan struct{} // closed when a timer is set
}

type fakeTimer struct {
	at time.Time
	c  chan time.Time
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), armed: make(chan struct{})}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := fakeTimer{at: c.now.Add(d), c: make(chan time.Time, 1)}
	c.timers = append(c.timers, t)
	close(c.armed)
	c.armed = make(chan struct{})
	return t.c
}

// advance waits until a timer of between least and most is set, and moves the clock to its end.
func (c *fakeClock) advance(t *testing.T, least, most time.Duration) time.Duration {
	t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		for i, timer := range slices.Backward(c.timers) { // the youngest: older ones may have nobody left who waits
			if d := timer.at.Sub(c.now); d >= least && d <= most {
				c.timers = slices.Delete(c.timers, i, i+1)
				c.now = timer.at
				timer.c <- c.now
				c.mu.Unlock()
				return d
			}
		}
		armed := c.armed
		c.mu.Unlock()
		select {
		case <-armed:
		case <-deadline:
			t.Fatalf("nobody waits between %v and %v", least, most)
		}
	}
}

// pass moves the clock without waking anyone.
func (c *fakeClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// poll wakes everybody who waits for exactly d.
func (c *fakeClock) poll(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.now.Add(d)
	c.timers = slices.DeleteFunc(c.timers, func(t fakeTimer) bool {
		if t.at.After(end) || t.at.Equal(c.now) {
			return false
		}
		if t.at.Sub(c.now) <= d {
			t.c <- end
			return true
		}
		return false
	})
	c.now = end
}

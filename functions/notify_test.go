package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/cli"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/cosmos"
	"github.com/assay-sec/assay/pkg/store/cosmos/cosmostest"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

// clock is the time of the service and of its store. Only the test moves it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// inbox is the receiver of a subscription. Without an answer of its own it accepts everything.
type inbox struct {
	*httptest.Server

	mu   sync.Mutex
	keys []string    // of the messages it was sent, accepted or not
	got  chan []byte // their bodies
	do   http.HandlerFunc
}

func (i *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	i.mu.Lock()
	i.keys = append(i.keys, r.Header.Get("Webhook-Id"))
	do := i.do
	i.mu.Unlock()
	i.got <- body
	if do != nil {
		do(w, r)
	}
}

func (i *inbox) answers(do http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.do = do
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// sent returns the keys of the messages so far.
func (i *inbox) sent() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.keys)
}

// desk is a served function app whose alerts somebody subscribes to.
type desk struct {
	t       *testing.T
	clock   *clock
	url     string
	log     *bytes.Buffer
	backend app.Backend
	cosmos  *cosmostest.Server // nil: the store is SQLite
	inboxes map[string]*inbox
	config  string            // file
	brought map[string]string // versions of documents, by id
}

// newDesk serves the functions on a store of Cosmos DB, else on SQLite, with a webhook for each of the names.
func newDesk(t *testing.T, onCosmos bool, names ...string) *desk {
	t.Helper()
	d := &desk{t: t, clock: &clock{at: time.Now().UTC().Truncate(time.Second)}, inboxes: map[string]*inbox{}, brought: map[string]string{}}
	var document strings.Builder
	document.WriteString("subscriptions:\n")
	for _, name := range names {
		i := &inbox{got: make(chan []byte, 1000)}
		i.Server = httptest.NewServer(i)
		t.Cleanup(i.Close)
		d.inboxes[name] = i
		fmt.Fprintf(&document, "  - {name: %s, kind: webhook, url: %q, local: true}\n", name, i.URL+"/s3cret")
	}
	d.config = filepath.Join(t.TempDir(), "assay.yaml")
	if err := os.WriteFile(d.config, []byte(document.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{app.SettingConfig: d.config, app.SettingKeys: "off", app.SettingAuth: "entra", "WEBSITE_AUTH_ENABLED": "True"}
	var err error
	if onCosmos {
		containers := map[string]string{}
		for name, key := range cosmos.Containers() {
			containers["assay/"+name] = key
		}
		d.cosmos = cosmostest.Start(containers, d.clock.now)
		t.Cleanup(d.cosmos.Close)
		settings[app.SettingStore], settings["ASSAY_COSMOS_EMULATOR"] = "cosmos", "true" // secrets of an emulator may stand in the document
		d.backend, err = cosmos.New(cosmos.Options{
			Endpoint: d.cosmos.URL(), Database: "assay", Emulator: true, Key: cosmostest.Key, Now: d.clock.now,
			Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		})
	} else {
		d.backend, err = sqlite.OpenWith(t.Context(), filepath.Join(t.TempDir(), "assay.db"), sqlite.Options{Now: d.clock.now})
	}
	if err != nil {
		t.Fatal(err)
	}
	d.url, d.log = serveOn(t, d.backend, settings, 0, d.clock.now)
	return d
}

// call calls a function as the host does, and returns the status of its answer.
func (d *desk) call(function, invocation string) int {
	d.t.Helper()
	code, _ := do(d.t, http.MethodPost, d.url+"/"+function, invocation)
	return code
}

// must calls a function, which has to answer 200.
func (d *desk) must(function, invocation string) {
	d.t.Helper()
	if code := d.call(function, invocation); code != http.StatusOK {
		d.t.Fatalf("%s answers %d: %s", function, code, d.log)
	}
}

// timer is what the host hands to a function with a timer.
const timer = `{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}},"Metadata":{"sys":{"MethodName":"sweep"}}}`

// forged is an observation of a token whose key was stolen, at the time: a tenant of its own has an alert of its own.
func (d *desk) forged(tenant int, at time.Time) string {
	t := strings.ReplaceAll(messages()[1], victim, fmt.Sprintf("8f1d6c3a-52e7-4b90-9c0e-%012d", tenant))
	var record map[string]any
	if err := json.Unmarshal([]byte(t), &record); err != nil {
		d.t.Fatal(err)
	}
	record["time"] = at.Format(time.RFC3339)
	return text(d.t, record)
}

func (d *desk) ingest(messages ...string) {
	d.t.Helper()
	d.must("tokens", invocation(text(d.t, text(d.t, messages)), 0))
}

// feed is what the host hands to a function on the change feed: all documents of the container, as one text.
func (d *desk) feed() string { return changes(d.t, d.cosmos.Documents("assay/alerts")) }

func changes(t *testing.T, documents any) string {
	t.Helper()
	return fmt.Sprintf(`{"Data":{"documents":%s},"Metadata":{"sys":{"MethodName":"notify"}}}`, text(t, text(t, text(t, documents))))
}

// news is what the change feed brings since the last time.
func (d *desk) news() string {
	var batch []map[string]any
	for _, doc := range d.cosmos.Documents("assay/alerts") {
		id, version := fmt.Sprint(doc["id"]), fmt.Sprint(doc["_etag"])
		if d.brought[id] != version {
			d.brought[id] = version
			batch = append(batch, doc)
		}
	}
	return changes(d.t, batch)
}

// deliveries returns what is owed and what was sent, as subscription, alert and state.
func (d *desk) deliveries() []string {
	d.t.Helper()
	var out []string
	for _, sent := range []bool{false, true} {
		for x, err := range app.Deliveries(d.backend, 0, d.clock.now).All(context.WithoutCancel(d.t.Context()), sent) {
			if err != nil {
				d.t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s %s.%d %s", x.Subscription, x.Alert, x.Revision, x.State))
		}
	}
	slices.Sort(out)
	return out
}

// assay runs a command line on the store of Cosmos DB.
func (d *desk) assay(args ...string) string {
	d.t.Helper()
	env := map[string]string{
		app.SettingStore: "cosmos", "AlertStore": "AccountEndpoint=" + d.cosmos.URL() + "/;AccountKey=" + cosmostest.Key + ";", "ASSAY_COSMOS_EMULATOR": "true",
	}
	var out, errs bytes.Buffer
	sys := cli.System{Name: "assay", Out: &out, Err: &errs, Getenv: func(k string) string { return env[k] }, OS: "linux", Now: d.clock.now}
	if code := cli.Main(d.t.Context(), sys, append(args, "--store", "cosmos")); code != 0 {
		d.t.Fatalf("assay %v: %d: %s", args, code, errs.String())
	}
	return out.String()
}

// The change feed brings alerts and findings in one container, in any order and more than once. Every delivery exists when it
// is answered with 200; while the store is down it is answered with 500, wherever that begins, and the same again ends well.
func TestNotifyMakesEveryDelivery(t *testing.T) {
	d := newDesk(t, true, "soc", "siem")
	for i := range 3 {
		d.ingest(d.forged(i, d.clock.now()))
	}
	batch := d.feed()
	found := 0
	for a, err := range d.backend.Alerts(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if a.Revision >= 22 {
			found++
		}
	}
	if found < 3 {
		t.Fatalf("%d alerts are too few", found)
	}
	d.must("notify", batch)
	want := d.deliveries()
	if len(want) != 2*found {
		t.Fatalf("%d deliveries of %d alerts to two subscriptions: %v", len(want), found, want)
	}
	d.must("notify", batch)
	if got := d.deliveries(); !slices.Equal(got, want) {
		t.Errorf("handed over again: %v, want %v", got, want)
	}
	if strings.Contains(d.log.String(), "s3cret") || strings.Contains(d.log.String(), "xMFjTVvJPE2OChJx_YE-AA") {
		t.Error("the log holds a URL or a field of an event")
	}

	// The store is down from the nth request on.
	broken := 0
	for nth := 1; ; nth++ {
		x := newDesk(t, true, "soc", "siem")
		var mu sync.Mutex
		seen, struck := 0, false
		x.cosmos.Inject(func(r cosmostest.Request) *cosmostest.Fault {
			mu.Lock()
			defer mu.Unlock()
			if r.Container != "assay/deliveries" {
				return nil
			}
			if seen++; seen < nth {
				return nil
			}
			struck = true
			return &cosmostest.Fault{Status: http.StatusServiceUnavailable, After: nth%2 == 0 && seen == nth}
		})
		code := x.call("notify", batch)
		x.cosmos.Inject(nil)
		mu.Lock()
		wasDown := struck
		mu.Unlock()
		if wasDown != (code == http.StatusInternalServerError) || !wasDown && code != http.StatusOK {
			t.Fatalf("the store is down from request %d on: %v; the answer is %d", nth, wasDown, code)
		}
		x.must("notify", batch)
		if got := x.deliveries(); !slices.Equal(got, want) {
			t.Fatalf("down from request %d on, then again: %v, want %v", nth, got, want)
		}
		if !wasDown {
			break
		}
		broken++
	}
	if broken < len(want) {
		t.Errorf("the store was down at %d requests only", broken)
	}
	t.Logf("%d alerts, %d deliveries, the store down from each of %d requests on", found, len(want), broken)
}

// What no repetition mends is logged, and holds nothing up.
func TestNotifyPassesWhatItCannotRead(t *testing.T) {
	d := newDesk(t, true, "soc")
	d.ingest(d.forged(0, d.clock.now()))
	var batch []any
	for _, doc := range d.cosmos.Documents("assay/alerts") {
		batch = append(batch, doc)
	}
	spoilt := maps.Clone(d.cosmos.Documents("assay/alerts")[0])
	spoilt["type"], spoilt["severity"] = "alert", "grave"
	batch = append([]any{spoilt, map[string]any{"type": "alert", "count": "many"}, "text", nil, 7, []int{}}, batch...)
	d.must("notify", changes(t, batch))
	if len(d.deliveries()) == 0 || !strings.Contains(d.log.String(), "could not be read") {
		t.Errorf("%v\n%s", d.deliveries(), d.log)
	}
	for _, data := range []string{`"\"[{\""`, `{"a":1}`, `null`, `"[]"`, `""`} {
		d.must("notify", `{"Data":{"documents":`+data+`},"Metadata":{}}`)
	}
}

// Sweep sends what is due, once, and makes what notify never made: of alerts that were written in the last 48 hours, however old
// their events are.
func TestSweep(t *testing.T) {
	d := newDesk(t, true, "soc", "siem")
	d.ingest(d.forged(0, d.clock.now()))
	d.clock.pass(49 * time.Hour) // in which neither notify nor sweep ran
	d.ingest(d.forged(1, d.clock.now().Add(-30*24*time.Hour)))
	d.ingest(d.forged(2, d.clock.now()))
	d.must("sweep", timer)
	owed := d.deliveries()
	alerts := map[string]int{} // by tenant
	for a, err := range d.backend.Alerts(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range owed {
			if strings.Contains(x, string(a.ID)) {
				alerts[a.Tenant[len(a.Tenant)-1:]]++
			}
		}
	}
	if alerts["0"] != 0 || alerts["1"] == 0 || alerts["2"] == 0 {
		t.Errorf("deliveries by tenant: %v, of %v", alerts, owed)
	}
	if len(d.inboxes["soc"].sent()) != 0 {
		t.Error("sent before others could join")
	}
	for range 4 { // the old ones wait for a digest
		d.clock.pass(5 * time.Minute)
		d.must("sweep", timer)
	}
	sent := d.inboxes["soc"].sent()
	if len(sent) != 2 || sent[0] == sent[1] || len(d.inboxes["siem"].sent()) != 2 {
		t.Errorf("messages: %v, %v", sent, d.inboxes["siem"].sent())
	}
	for _, x := range d.deliveries() {
		if !strings.HasSuffix(x, " sent") {
			t.Error(x)
		}
	}
	// What is sent stays sent, whoever brings the alert again.
	for range 3 {
		d.clock.pass(15 * time.Minute)
		d.must("notify", d.feed())
		d.must("sweep", timer)
	}
	if again := d.inboxes["soc"].sent(); len(again) != 2+1 { // that of tenant 0, which notify has brought now
		t.Errorf("messages: %v", again)
	}
	d.must("notify", d.feed())
	d.clock.pass(15 * time.Minute)
	d.must("sweep", timer)
	if again := d.inboxes["soc"].sent(); len(again) != 3 {
		t.Errorf("messages: %v", again)
	}
}

// A delivery that nobody takes for a day is dead: it is listed with its reason, and goes out under its key once it is revived.
func TestADeadDeliveryIsListedAndRevived(t *testing.T) {
	d := newDesk(t, true, "soc", "siem")
	soc := d.inboxes["soc"]
	soc.answers(status(http.StatusBadGateway))
	d.ingest(d.forged(0, d.clock.now()))
	d.must("notify", d.feed())
	for range 26 {
		d.clock.pass(time.Hour)
		d.must("sweep", timer)
	}
	listed := d.assay("deliveries", "list")
	if !strings.Contains(listed, "dead") || !strings.Contains(listed, "given up: HTTP status 502") || strings.Contains(listed, "siem") || strings.Contains(listed, "s3cret") {
		t.Errorf("%s", listed)
	}
	tries := soc.sent()
	d.clock.pass(time.Hour)
	d.must("sweep", timer)
	if len(soc.sent()) != len(tries) {
		t.Error("what is dead was sent")
	}
	if n := len(d.inboxes["siem"].sent()); n != 1 {
		t.Errorf("%d messages to the other", n)
	}
	soc.answers(nil)
	if out := d.assay("deliveries", "retry", "soc"); !strings.Contains(out, "of soc will be sent again") {
		t.Errorf("%s", out)
	}
	d.must("sweep", timer)
	if got := soc.sent(); len(got) != len(tries)+1 || got[len(got)-1] != tries[0] {
		t.Errorf("messages under %v", got)
	}
	if out := d.assay("deliveries", "list"); !strings.Contains(out, "nothing is owed") {
		t.Errorf("%s", out)
	}
}

// A receiver that says it is gone is asked no more, and the health check says so until somebody enables the subscription again.
func TestAReceiverThatIsGone(t *testing.T) {
	d := newDesk(t, true, "soc", "siem")
	soc := d.inboxes["soc"]
	reader := principal("Assay.Reader")
	health := func() (state string, degraded []string) {
		t.Helper()
		code, body := do(t, http.MethodGet, d.url+"/api/health", "", principalHeader, reader)
		var report struct {
			Status        string
			Degraded      []string
			Subscriptions []struct{ Name, State, Reason string }
		}
		if err := json.Unmarshal([]byte(body), &report); err != nil || code != http.StatusOK || len(report.Subscriptions) != 2 {
			t.Fatalf("%d %s: %v", code, body, err)
		}
		if strings.Contains(body, "s3cret") {
			t.Error("the report holds a URL")
		}
		return report.Status + ", " + report.Subscriptions[0].State + ", " + report.Subscriptions[1].State, report.Degraded
	}
	if state, why := health(); state != "ok, ok, ok" || len(why) != 0 {
		t.Errorf("%s: %v", state, why)
	}
	minute := func(tenant int) {
		d.ingest(d.forged(tenant, d.clock.now()))
		d.must("notify", d.feed())
		d.clock.pass(time.Minute)
		d.must("sweep", timer)
	}
	soc.answers(status(http.StatusInternalServerError))
	minute(0)
	if state, why := health(); state != "ok, failing, ok" || len(why) != 0 {
		t.Errorf("%s: %v", state, why)
	}
	soc.answers(status(http.StatusGone))
	minute(1)
	tries := len(soc.sent())
	minute(2)
	state, why := health()
	if state != "degraded, disabled, ok" || len(why) != 1 || !strings.Contains(why[0], "subscription soc is told of nothing since ") ||
		!strings.Contains(why[0], "assay deliveries retry soc") {
		t.Errorf("%s: %v", state, why)
	}
	if n := len(soc.sent()); n != tries {
		t.Errorf("it was sent %d messages more", n-tries)
	}
	if n := len(d.inboxes["siem"].sent()); n != 3 {
		t.Errorf("%d messages to the other", n)
	}
	if out := d.assay("subscriptions", "list", "--config", d.config); !strings.Contains(out, "disabled") || !strings.Contains(out, "HTTP status 410") {
		t.Errorf("%s", out)
	}

	soc.answers(nil)
	if out := d.assay("deliveries", "retry", "soc"); !strings.Contains(out, "soc was disabled, and is told of alerts again") {
		t.Errorf("%s", out)
	}
	d.must("sweep", timer)
	d.clock.pass(time.Minute)
	d.must("sweep", timer)
	if state, why := health(); state != "ok, ok, ok" || len(why) != 0 {
		t.Errorf("%s: %v", state, why)
	}
	for _, x := range d.deliveries() {
		if !strings.HasSuffix(x, " sent") {
			t.Error(x)
		}
	}
}

// One receiver hangs for an hour, and one refuses connections. The third has every alert in the first sweep after it is due,
// batches of the hubs and of the change feed are answered while the first one hangs, and in the end all three have everything.
func TestReceiversThatAreDownForAnHour(t *testing.T) {
	for name, onCosmos := range map[string]bool{"function app": true, "local": false} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, onCosmos, "hangs", "refuses", "works")
			hanging := make(chan chan struct{}, 10)
			d.inboxes["hangs"].answers(func(_ http.ResponseWriter, r *http.Request) {
				release := make(chan struct{})
				hanging <- release
				select {
				case <-release:
				case <-r.Context().Done():
				}
				panic(http.ErrAbortHandler)
			})
			d.inboxes["refuses"].answers(func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err == nil {
					_ = conn.Close()
				}
			})
			record := func(tenant int) {
				d.ingest(d.forged(tenant, d.clock.now()))
				if onCosmos {
					d.must("notify", d.news())
				}
			}
			works, hung := d.inboxes["works"], 0
			for i := range 60 {
				record(2 * i)
				d.clock.pass(time.Minute)
				swept := make(chan int, 1)
				go func() { swept <- d.call("sweep", timer) }()
				within(t, works.got, "the message of the receiver that works")
				// While the sweep waits for the one that hangs, everything else goes on.
				var release chan struct{}
				select {
				case release = <-hanging:
				case code := <-swept: // which leaves it alone for a while
					swept <- code
				}
				if release != nil {
					hung++
					record(2*i + 1)
					select {
					case code := <-swept:
						t.Fatalf("the sweep did not wait: %d", code)
					default:
					}
					d.clock.pass(15 * time.Second) // in which a notifier loses its patience
					close(release)
				}
				if code := within(t, swept, "the sweep"); code != http.StatusOK {
					t.Fatalf("sweep answers %d: %s", code, d.log)
				}
			}
			if hung < 5 || hung > 30 {
				t.Errorf("the receiver that hangs was asked %d times in an hour", hung)
			}
			d.inboxes["hangs"].answers(nil)
			d.inboxes["refuses"].answers(nil)
			for range 15 { // attempts are an hour and a quarter apart at most
				d.clock.pass(10 * time.Minute)
				d.must("sweep", timer)
			}
			owed := map[string]int{}
			for _, x := range d.deliveries() {
				owner, _, _ := strings.Cut(x, " ")
				owed[owner]++
				if !strings.HasSuffix(x, " sent") {
					t.Error(x)
				}
			}
			if owed["works"] < 60 || owed["hangs"] != owed["works"] || owed["refuses"] != owed["works"] {
				t.Errorf("deliveries: %v", owed)
			}
			t.Logf("asked %d times while it hung, deliveries of each: %v", hung, owed)
		})
	}
}

// within returns what comes, which has to come soon.
func within[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case x := <-c:
		return x
	case <-time.After(30 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("")
	}
}

// An analyst's closing is told where no change feed tells it, too.
func TestClosingIsToldWithoutAFeed(t *testing.T) {
	d := newDesk(t, false, "soc")
	d.ingest(d.forged(0, d.clock.now()))
	d.clock.pass(time.Minute)
	d.must("sweep", timer)
	analyst := principal("Assay.Analyst")
	var closed []alert.ID
	for a, err := range d.backend.Alerts(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if code, body := do(t, http.MethodPatch, d.url+"/api/alerts/"+string(a.ID), `{"status":"closed"}`, principalHeader, analyst); code != http.StatusOK {
			t.Fatalf("%d %s", code, body)
		}
		closed = append(closed, a.ID)
	}
	d.must("sweep", timer)
	changes := 0
	for x, err := range app.Deliveries(d.backend, 0, d.clock.now).All(t.Context(), true) {
		if err != nil {
			t.Fatal(err)
		}
		if x.Change == notify.Closed && slices.Contains(closed, x.Alert) {
			changes++
		}
	}
	if changes == 0 {
		t.Errorf("%v", d.deliveries())
	}
}

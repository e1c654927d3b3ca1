package notify_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/notify/outbound"
	"github.com/assay-sec/assay/pkg/notify/webhook"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

var hostileAlerts = flag.Int("hostile-alerts", alertsByDefault, "alerts that are sent to hostile receivers while the dispatcher is killed")

var errKilled = errors.New("the process is dead")

// life is what a process can do before it is killed: nothing it does after its last step has any effect.
type life struct {
	mu    sync.Mutex
	steps int                // left; negative: it lives on
	point string             // the kind of step that it dies at, "" any
	die   context.CancelFunc // ends what it waits for
}

// step takes a step, and fails once the process is dead.
func (l *life) step(point string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.steps == 0 {
		return errKilled
	}
	if l.steps > 0 && (l.point == "" || l.point == point) {
		if l.steps--; l.steps == 0 {
			l.die()
			return errKilled
		}
	}
	return nil
}

// mortal are deliveries as a process that may be killed sees them.
type mortal struct {
	notify.Deliveries
	life *life
}

func (m *mortal) Create(ctx context.Context, d notify.Delivery) (bool, error) {
	if err := m.life.step("before a delivery is made"); err != nil {
		return false, err
	}
	return m.Deliveries.Create(ctx, d)
}

func (m *mortal) Replace(ctx context.Context, d notify.Delivery) (notify.Delivery, error) {
	if err := m.life.step("before " + string(d.State)); err != nil {
		return d, err
	}
	out, err := m.Deliveries.Replace(ctx, d)
	if kerr := m.life.step("after " + string(d.State)); kerr != nil {
		return d, kerr
	}
	return out, err
}

func (m *mortal) Unsent(ctx context.Context, s string) iter.Seq2[notify.Delivery, error] {
	if err := m.life.step("before it looks for what is due"); err != nil {
		return func(yield func(notify.Delivery, error) bool) { yield(notify.Delivery{}, err) }
	}
	return m.Deliveries.Unsent(ctx, s)
}

// receiver answers as receivers do on their worst days, and remembers what it took.
type receiver struct {
	mu      sync.Mutex
	chance  *rand.Rand
	hangs   chan struct{}
	answers map[string]int
	took    map[alert.ID]int    // how often each alert was accepted
	message map[alert.ID]string // the key that it was accepted under
	wrong   []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	ids, err := alertsIn(body)
	r.mu.Lock()
	if err != nil || len(ids) == 0 {
		r.wrong = append(r.wrong, fmt.Sprintf("no event: %v", err))
	}
	key := q.Header.Get("webhook-id")
	kind := []string{"200", "202", "200", "202", "200", "429", "500", "cut", "cut after it was taken", "hang"}[r.chance.IntN(10)]
	if kind == "hang" && r.chance.IntN(5) > 0 {
		kind = "204"
	}
	r.answers[kind]++
	if kind != "429" && kind != "500" && kind != "cut" && kind != "hang" {
		for _, id := range ids {
			r.took[id]++
			if was := r.message[id]; was != "" && was != key {
				r.wrong = append(r.wrong, fmt.Sprintf("alert %s came again under another key", id))
			}
			r.message[id] = key
		}
	}
	r.mu.Unlock()
	switch kind {
	case "429":
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusTooManyRequests)
	case "cut", "cut after it was taken":
		panic(http.ErrAbortHandler)
	case "hang":
		select {
		case <-r.hangs:
		case <-q.Context().Done():
		}
	default:
		var status int
		_, _ = fmt.Sscan(kind, &status)
		w.WriteHeader(status)
	}
}

func alertsIn(body []byte) ([]alert.ID, error) {
	var e struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	if e.Type == alert.EventType {
		var a alert.Alert
		err := json.Unmarshal(e.Data, &a)
		return []alert.ID{a.ID}, err
	}
	var d webhook.DigestData
	err := json.Unmarshal(e.Data, &d)
	var ids []alert.ID
	for _, x := range d.Alerts {
		ids = append(ids, x.ID)
	}
	return ids, err
}

// counted is a notifier that dies before or after it sends, and that may not send what is recorded as sent.
type counted struct {
	notify.Notifier
	t     *testing.T
	life  *life
	state store.Collections
	name  string
	order *[]rule.Severity // of the messages of this pass
}

func (c *counted) Notify(ctx context.Context, m *notify.Message) error {
	if err := c.life.step("before it is sent"); err != nil {
		return err
	}
	for _, i := range m.Items {
		id := fmt.Sprintf("sent.%s.%d", i.Alert.ID, i.Alert.Revision)
		if _, err := c.state.In(store.Deliveries, c.name).Load(context.WithoutCancel(ctx), id); !errors.Is(err, store.ErrNotFound) {
			c.t.Errorf("%s is sent although it is recorded as sent: %v", i.Alert.ID, err)
		}
	}
	*c.order = append(*c.order, m.Items[0].Alert.Severity)
	err := c.Notifier.Notify(ctx, m)
	if kerr := c.life.step("after it is sent"); kerr != nil {
		return kerr
	}
	return err
}

// points are the places where the dispatcher is killed on purpose; it is killed at random places as often.
var points = []string{
	"before a delivery is made", "before it looks for what is due", "before claimed", "after claimed", "before it is sent",
	"after it is sent", "before sent", "after sent", "before pending", "after pending",
}

// Whatever receivers do and wherever the dispatcher is killed, everybody hears of every alert, and nobody hears again of
// one whose success was recorded.
func TestHostileReceiversAndKills(t *testing.T) {
	t.Parallel()
	alerts := *hostileAlerts
	seed := sha256.Sum256([]byte("kills"))
	chance := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(seed[:]), 1))
	receivers := map[string]*receiver{}
	servers := map[string]string{}
	hangs := make(chan struct{})
	perMinute := map[string]int{"all": 600, "some": 60, "few": 20}
	for i, name := range []string{"all", "some", "few"} {
		r := &receiver{
			chance: rand.New(rand.NewPCG(7, uint64(i))), hangs: hangs, answers: map[string]int{},
			took: map[alert.ID]int{}, message: map[alert.ID]string{},
		}
		server := httptest.NewServer(r)
		t.Cleanup(server.Close)
		receivers[name], servers[name] = r, server.URL
	}
	t.Cleanup(func() { close(hangs) })

	b := newBench(t)
	var all []alert.Alert
	for i := range alerts {
		a := made(i)
		graded(&a, []rule.Severity{rule.Medium, rule.High, rule.Critical}[chance.IntN(3)])
		b.alerts[a.ID] = a
		all = append(all, a)
	}
	orders := map[string]*[]rule.Severity{}
	start := func(l *life) {
		var subs []notify.Target
		for name, url := range servers {
			s := subscribe(name)
			s.PerMinute = perMinute[name]
			n, err := webhook.New(notify.NewSecret(url), webhook.Options{
				Client: outbound.Options{Local: true, Timeout: 50 * time.Millisecond, Now: b.clock}, Source: "urn:assay:test",
			})
			if err != nil {
				t.Fatal(err)
			}
			orders[name] = &[]rule.Severity{}
			subs = append(subs, notify.Target{Subscription: s.Subscription, Notifier: &counted{n, t, l, b.state, name, orders[name]}})
		}
		b.restartWith(&mortal{b.keep, l}, subs)
	}

	kills, hits, next := 0, map[string]int{}, 0
	for kills < 2*len(points) || next < len(all) || len(b.unsent("all"))+len(b.unsent("some"))+len(b.unsent("few")) > 0 {
		l := &life{steps: -1}
		ctx, die := context.WithCancel(t.Context())
		l.die = die
		if kills < 2*len(points) {
			l.steps = 1 + chance.IntN(3)
			if kills < len(points) {
				l.point = points[kills]
			} else {
				l.steps = 1 + chance.IntN(200)
			}
		}
		start(l)
		var err error
		// The change feed hands over a part again until it was taken, then the next.
		upTo := min(next+max(1, alerts/40), len(all))
		for i := next; i < upTo && err == nil; i++ {
			_, err = b.Enqueue(ctx, &all[i])
		}
		if err == nil {
			next = upTo
			for range 8 {
				b.pass(time.Minute)
				for _, o := range orders {
					*o = (*o)[:0]
				}
				_, err = b.Send(ctx)
				for name, o := range orders {
					if !slices.IsSortedFunc(*o, func(x, y rule.Severity) int { return int(y) - int(x) }) {
						t.Errorf("%s: messages went out in the order %v", name, *o)
					}
				}
				if err != nil {
					break
				}
				if l.dead() {
					break
				}
			}
		}
		dead := l.dead()
		die()
		switch {
		case dead:
			kills++
			hits[l.point]++
		case err != nil:
			t.Fatal(err)
		}
		if b.now.Sub(began) > 23*time.Hour {
			t.Fatalf("not done after %s, %d kills", b.now.Sub(began), kills)
		}
	}
	for name, r := range receivers {
		twice := 0
		for _, a := range all {
			switch n := r.took[a.ID]; {
			case n == 0:
				t.Errorf("%s never heard of %s", name, a.ID)
			case n > 1:
				twice++
			}
		}
		for _, w := range r.wrong {
			t.Errorf("%s: %s", name, w)
		}
		t.Logf("%s: %d alerts, %d heard of more than once under the same key, answers %v", name, len(r.took), twice, r.answers)
	}
	t.Logf("%d kills: %v, %s of injected time", kills, hits, b.now.Sub(began))
}

func (l *life) dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.steps == 0
}

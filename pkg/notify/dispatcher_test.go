package notify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

const contoso = "3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11"

var began = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// made returns an alert that shares nothing with any other.
func made(i int) alert.Alert {
	a := alert.Alert{
		ID: alert.NewID("2026-03-01", contoso, "token-key-known-bad", fmt.Sprint(i)), Tenant: contoso, KeyName: "key", Key: fmt.Sprint(i),
		Rule: alert.RuleRef{ID: "token-key-known-bad", Title: "A key that was stolen", Version: 1, Leg: "kid", Why: "the key was stolen"},
		Day:  "2026-03-01", Severity: rule.High, Strength: rule.Strong, Stage: rule.Enabled, Count: 1, Status: alert.Open,
		First: began.Add(-time.Minute), Last: began.Add(-time.Minute), Facts: []rule.Fact{},
	}
	graded(&a, rule.High)
	return a
}

// graded sets the severity and the revision that goes with it.
func graded(a *alert.Alert, s rule.Severity) {
	a.Severity = s
	a.Revision = a.Revision/100*100 + 10*int64(a.Stage) + int64(s)
}

// bench is a dispatcher with all that surrounds it.
type bench struct {
	t      *testing.T
	mu     sync.Mutex
	now    time.Time
	alerts map[alert.ID]alert.Alert
	log    bytes.Buffer
	state  *sqlite.Store
	keep   notify.Deliveries
	*notify.Dispatcher
}

type subscriber struct {
	notify.Subscription
	send func(context.Context, *notify.Message) error
	got  []notify.Message
}

func (s *subscriber) Notify(ctx context.Context, m *notify.Message) error {
	s.got = append(s.got, *m)
	if s.send != nil {
		return s.send(ctx, m)
	}
	return nil
}

func subscribe(name string) *subscriber {
	return &subscriber{Subscription: notify.Subscription{
		Name: name, MinSeverity: rule.Medium, MinStrength: rule.Moderate, PerMinute: 20, GiveUp: 24 * time.Hour,
	}}
}

func newBench(t *testing.T, subs ...*subscriber) *bench {
	t.Helper()
	s := memory(t)
	b := &bench{t: t, now: began, alerts: map[alert.ID]alert.Alert{}, state: s, keep: notify.NewDocuments(s, never)}
	b.restart(b.keep, subs...)
	return b
}

// restart makes the dispatcher anew, over deliveries that may be made to fail.
func (b *bench) restart(keep notify.Deliveries, subs ...*subscriber) {
	b.t.Helper()
	var targets []notify.Target
	for _, s := range subs {
		targets = append(targets, notify.Target{Subscription: s.Subscription, Notifier: s})
	}
	b.restartWith(keep, targets)
}

func (b *bench) restartWith(keep notify.Deliveries, targets []notify.Target) {
	b.t.Helper()
	d, err := notify.NewDispatcher(notify.Options{
		Targets: targets, Alerts: b, Deliveries: keep, State: b.state, Now: b.clock, Random: func() float64 { return 0.5 },
		Log: slog.New(slog.NewTextHandler(&b.log, nil)),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Dispatcher = d
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	b.now = b.now.Add(d)
	b.mu.Unlock()
}

func (b *bench) Alert(_ context.Context, _ string, id alert.ID) (alert.Alert, error) {
	a, ok := b.alerts[id]
	if !ok {
		return a, fmt.Errorf("alert %s: %w", id, store.ErrNotFound)
	}
	return a, nil
}

// store keeps the alerts and hands them to the dispatcher, as the change feed does.
func (b *bench) store(alerts ...alert.Alert) {
	b.t.Helper()
	for _, a := range alerts {
		b.alerts[a.ID] = a
		if _, err := b.Enqueue(b.t.Context(), &a); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) send() notify.Report {
	b.t.Helper()
	r, err := b.Send(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bench) unsent(name string) []notify.Delivery {
	b.t.Helper()
	var out []notify.Delivery
	for d, err := range b.keep.Unsent(b.t.Context(), name) {
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

func TestWhatIsNewsOfAnAlert(t *testing.T) {
	t.Parallel()
	soc := subscribe("soc")
	b := newBench(t, soc)
	step := func(want notify.ChangeKind, edit func(a *alert.Alert)) {
		t.Helper()
		a := made(1)
		if old, ok := b.alerts[a.ID]; ok {
			a = old
		}
		edit(&a)
		for range 2 { // the feed repeats
			b.store(a)
		}
		b.pass(time.Minute)
		soc.got = nil
		b.send()
		var got []notify.ChangeKind
		for _, m := range soc.got {
			for _, i := range m.Items {
				got = append(got, i.Change)
			}
		}
		if want == "" && len(got) > 0 || want != "" && !slices.Equal(got, []notify.ChangeKind{want}) {
			t.Errorf("told %v, want %q", got, want)
		}
	}
	mark := func(s alert.Status) func(a *alert.Alert) {
		return func(a *alert.Alert) {
			if err := a.Mark(alert.Change{At: began, By: "ada", Status: s}); err != nil {
				t.Fatal(err)
			}
		}
	}
	step("", func(a *alert.Alert) { graded(a, rule.Low) })
	step(notify.New, func(a *alert.Alert) { graded(a, rule.Medium) })
	step("", func(a *alert.Alert) { a.Count++ })
	step(notify.Escalated, func(a *alert.Alert) { graded(a, rule.Critical) })
	step("", mark(alert.Acknowledged))
	step(notify.Closed, mark(alert.Closed))
	step(notify.Reopened, mark(alert.Open))
	step(notify.Closed, mark(alert.Closed))
}

func TestRelatedAlertsGoOutTogether(t *testing.T) {
	t.Parallel()
	soc := subscribe("soc")
	b := newBench(t, soc)
	one, two, three, apart, later := made(1), made(2), made(3), made(4), made(5)
	one.Subject.TokenID, one.Subject.User = "t", "Ada@contoso.example"
	two.Subject.TokenID, two.Subject.Mailbox = "t", "m"
	graded(&two, rule.Critical)
	three.Subject.Mailbox = "m"
	later.Subject.User = "ada@contoso.example"
	b.store(one, two)
	b.pass(20 * time.Second)
	b.store(three, apart)
	if b.send(); len(soc.got) != 0 {
		t.Fatal("sent before others could join")
	}
	b.pass(11 * time.Second)
	b.store(later)
	b.send()
	if len(soc.got) != 1 || soc.got[0].Form != notify.Bundle || len(soc.got[0].Items) != 3 || soc.got[0].Items[0].Alert.ID != two.ID {
		t.Fatalf("%+v", soc.got)
	}
	b.pass(30 * time.Second)
	b.send()
	if len(soc.got) != 3 || soc.got[1].Form != notify.Single || soc.got[2].Form != notify.Single {
		t.Errorf("%d messages", len(soc.got))
	}
	if soc.got[1].Key != notify.DeliveryID(apart.ID, "soc", apart.Revision) {
		t.Error("the key of a single alert is not that of its delivery")
	}
}

func TestLateAlertsGoIntoADigest(t *testing.T) {
	t.Parallel()
	soc := subscribe("soc")
	b := newBench(t, soc)
	for i := range 5 {
		a := made(i)
		a.Last = began.Add(-25 * time.Hour)
		b.store(a)
		b.pass(time.Minute)
		b.send()
	}
	b.pass(5 * time.Minute)
	b.send()
	if len(soc.got) != 1 || soc.got[0].Form != notify.Digest || len(soc.got[0].Items) != 5 {
		t.Errorf("%+v", soc.got)
	}
}

func TestABurstBecomesOneDigest(t *testing.T) {
	t.Parallel()
	soc := subscribe("soc")
	b := newBench(t, soc)
	for i := range 100 {
		a := made(i)
		graded(&a, []rule.Severity{rule.Medium, rule.High, rule.Critical}[i%3])
		b.store(a)
	}
	b.pass(time.Minute)
	r := b.send()
	b.send()
	if len(soc.got) != 20 || r.Sent != 100 || soc.got[19].Form != notify.Digest || len(soc.got[19].Items) != 81 {
		t.Fatalf("%d messages, %+v", len(soc.got), r)
	}
	last := rule.Critical
	for _, m := range soc.got {
		for _, i := range m.Items {
			if i.Alert.Severity > last {
				t.Errorf("%s after %s", i.Alert.Severity, last)
			}
			last = i.Alert.Severity
		}
	}
	b.store(made(200))
	b.pass(30 * time.Second)
	if b.send(); len(soc.got) != 20 {
		t.Error("a message more than the minute allows")
	}
	b.pass(30 * time.Second)
	if b.send(); len(soc.got) != 21 {
		t.Error("the next minute's message is missing")
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   error
		state notify.State
		next  time.Duration // until the next attempt
	}{
		"a server's fault":       {&notify.Failure{Status: 500}, notify.Pending, 5 * time.Second},
		"no answer":              {&notify.Failure{Reason: "timed out"}, notify.Pending, 5 * time.Second},
		"throttled":              {&notify.Failure{Status: 429, After: time.Hour}, notify.Pending, time.Hour},
		"throttled for a year":   {&notify.Failure{Status: 429, After: 365 * 24 * time.Hour}, notify.Pending, 24 * time.Hour},
		"something else, secret": {errors.New("post https://hook.example/hunter2"), notify.Pending, 5 * time.Second},
		"refused":                {&notify.Failure{Status: 400, Remedy: notify.Park}, notify.Parked, 0},
		"gone":                   {&notify.Failure{Status: 410, Remedy: notify.Disable}, notify.Parked, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			soc := subscribe("soc")
			soc.GiveUp = 48 * time.Hour
			soc.send = func(context.Context, *notify.Message) error { return c.err }
			b := newBench(t, soc)
			b.store(made(1))
			b.pass(30 * time.Second)
			b.send()
			left := b.unsent("soc")
			if len(left) != 1 || left[0].State != c.state || left[0].Reason == "" {
				t.Fatalf("%+v", left)
			}
			if strings.Contains(left[0].Reason+b.log.String(), "hunter2") {
				t.Error("the notifier's error was kept")
			}
			soc.send = nil
			if c.next > 0 {
				b.pass(c.next - time.Second)
				if b.send(); len(soc.got) != 1 {
					t.Error("sent too early")
				}
				b.pass(time.Second)
				if b.send(); len(soc.got) != 2 || soc.got[0].Key != soc.got[1].Key || len(b.unsent("soc")) != 0 {
					t.Errorf("not sent again in time: %+v", soc.got)
				}
				return
			}
			b.pass(time.Hour)
			b.store(made(2))
			b.pass(time.Minute)
			b.send()
			if gone := c.state == notify.Parked && strings.Contains(name, "gone"); gone == (len(soc.got) == 2) {
				t.Errorf("%d messages", len(soc.got))
			}
			if n, enabled, err := b.Revive(t.Context(), "soc", left[0].ID); err != nil || n != 1 || enabled != strings.Contains(name, "gone") {
				t.Fatalf("revived %d, %v", n, err)
			}
			b.pass(time.Minute)
			if b.send(); len(b.unsent("soc")) != 0 {
				t.Errorf("left: %+v", b.unsent("soc"))
			}
		})
	}
}

func TestAttemptsGrowApartUntilGivenUp(t *testing.T) {
	t.Parallel()
	soc := subscribe("soc")
	soc.send = func(context.Context, *notify.Message) error { return &notify.Failure{Status: 503} }
	b := newBench(t, soc)
	b.store(made(1))
	for range 26 * 12 {
		b.pass(5 * time.Minute)
		b.send()
	}
	left := b.unsent("soc")
	if len(left) != 1 || left[0].State != notify.Dead || !strings.Contains(left[0].Reason, "503") {
		t.Fatalf("%+v", left)
	}
	if n := len(soc.got); n < 20 || n > 40 {
		t.Errorf("%d attempts in a day", n)
	}
	if !strings.Contains(b.log.String(), "given up") {
		t.Error("the log does not tell")
	}
	soc.send = nil
	if n, _, err := b.Revive(t.Context(), "soc", ""); err != nil || n != 1 {
		t.Errorf("revived %d, %v", n, err)
	}
	if r := b.send(); r.Sent != 1 {
		t.Errorf("%+v", r)
	}
}

func TestAnAlertThatIsGone(t *testing.T) {
	t.Parallel()
	soc := subscribe("soc")
	b := newBench(t, soc)
	b.store(made(1))
	clear(b.alerts)
	b.pass(time.Minute)
	if r := b.send(); r.Dead != 1 || len(soc.got) != 0 {
		t.Errorf("%+v", r)
	}
}

// A receiver that is down for an hour costs the others nothing, and is asked seldom.
func TestOneThatIsDownDelaysNobody(t *testing.T) {
	t.Parallel()
	down, up := subscribe("down"), subscribe("up")
	b := newBench(t, down, up)
	blocked := make(chan struct{})
	down.send = func(ctx context.Context, _ *notify.Message) error {
		select { // until the other has its message
		case <-blocked:
		case <-ctx.Done():
		}
		return &notify.Failure{Reason: "timed out"}
	}
	up.send = func(context.Context, *notify.Message) error {
		if len(up.got) == 1 {
			close(blocked)
		}
		return nil
	}
	for i := range 60 {
		b.store(made(i))
		b.pass(time.Minute)
		b.send()
		if len(up.got) != i+1 {
			t.Fatalf("after %d alerts %d messages", i+1, len(up.got))
		}
	}
	if n := len(down.got); n > 30 {
		t.Errorf("%d attempts in an hour", n)
	}
	down.send = nil
	for range 20 {
		b.pass(5 * time.Minute)
		b.send()
	}
	if left := b.unsent("down"); len(left) != 0 {
		t.Errorf("%d left", len(left))
	}
}

// Several instances may send at once. Each alert goes out once, and no key twice: a receiver that knows the key would
// not look at what else it holds.
func TestInstancesThatSendAtOnce(t *testing.T) {
	t.Parallel()
	for round := range 3 {
		var mu sync.Mutex
		told, keys := map[alert.ID]int{}, map[string]int{}
		soc := subscribe("soc")
		soc.PerMinute = 3
		b := newBench(t)
		others := make([]*notify.Dispatcher, 4)
		for i := range others {
			b.restartWith(b.keep, []notify.Target{{Subscription: soc.Subscription, Notifier: notifier(func(m *notify.Message) error {
				mu.Lock()
				defer mu.Unlock()
				keys[m.Key]++
				for _, i := range m.Items {
					told[i.Alert.ID]++
				}
				return nil
			})}})
			others[i] = b.Dispatcher
		}
		for i := range 60 {
			a := made(i)
			a.Subject.Session = fmt.Sprint(round, i%7)
			b.store(a)
		}
		b.pass(time.Minute)
		for range 15 {
			var wg sync.WaitGroup
			for _, d := range others {
				wg.Go(func() {
					if _, err := d.Send(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			b.pass(time.Minute)
		}
		if len(told) != 60 || len(b.unsent("soc")) != 0 {
			t.Errorf("%d alerts told, left %d", len(told), len(b.unsent("soc")))
		}
		for id, n := range told {
			if n != 1 {
				t.Errorf("alert %s went out %d times", id, n)
			}
		}
		for key, n := range keys {
			if n != 1 {
				t.Errorf("key %s went out %d times", key, n)
			}
		}
	}
}

type notifier func(m *notify.Message) error

func (n notifier) Notify(_ context.Context, m *notify.Message) error { return n(m) }

// A message that was cut short goes out again as a whole: not before all of it is due, and revived in one piece.
func TestAMessageStaysWhole(t *testing.T) {
	t.Parallel()
	soc := subscribe("soc")
	soc.send = func(context.Context, *notify.Message) error { return &notify.Failure{Status: 502} }
	b := newBench(t, soc)
	for i := range 5 {
		a := made(i)
		a.Subject.Session = "s"
		b.store(a)
	}
	b.pass(time.Minute)
	b.send()
	first := b.unsent("soc")
	later := first[2]
	later.Due = b.now.Add(2 * time.Minute)
	if _, err := b.keep.Replace(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	b.pass(time.Minute)
	if b.send(); len(soc.got) != 1 {
		t.Fatal("a part of it went out again")
	}
	soc.send = func(context.Context, *notify.Message) error { return &notify.Failure{Status: 400, Remedy: notify.Park} }
	b.pass(2 * time.Minute)
	b.send()
	soc.send = nil
	if n, _, err := b.Revive(t.Context(), "soc", first[3].ID); err != nil || n != 5 {
		t.Errorf("revived %d, %v", n, err)
	}
	b.send()
	if len(soc.got) != 3 {
		t.Fatalf("%d messages", len(soc.got))
	}
	for _, m := range soc.got {
		if len(m.Items) != 5 || m.Key != soc.got[0].Key {
			t.Errorf("%d alerts under %s", len(m.Items), m.Key)
		}
	}
}

// Where the budget is not enough for minutes, or the receiver too slow, everything waiting goes out at once.
func TestABacklogGoesIntoADigest(t *testing.T) {
	t.Parallel()
	soc := subscribe("soc")
	flaky := 0
	soc.send = func(_ context.Context, m *notify.Message) error {
		if flaky++; flaky%3 > 0 {
			return &notify.Failure{Status: 503, After: 10 * time.Second}
		}
		return nil
	}
	b := newBench(t, soc)
	for i := range 500 {
		a := made(i)
		graded(&a, []rule.Severity{rule.Medium, rule.High, rule.Critical}[i%3])
		b.store(a)
	}
	for range 20 {
		b.pass(time.Minute)
		b.send()
	}
	if left := b.unsent("soc"); len(left) != 0 {
		t.Errorf("%d of 500 left after twenty minutes", len(left))
	}
	if len(soc.got) > 60 {
		t.Errorf("%d messages", len(soc.got))
	}
}

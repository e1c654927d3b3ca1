package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

// Alerts is where the alerts stand.
type Alerts interface {
	// Alert returns one alert, or store.ErrNotFound.
	Alert(ctx context.Context, tenant string, id alert.ID) (alert.Alert, error)
}

// Target is a subscription and what reaches it.
type Target struct {
	Subscription Subscription
	Notifier     Notifier
}

// Options are what a Dispatcher is made of. All are needed.
type Options struct {
	Targets    []Target
	Router     Router
	Alerts     Alerts
	Deliveries Deliveries
	State      store.State // of the standing of subscriptions
	Now        func() time.Time
	Random     func() float64 // in [0, 1), for jitter
	Log        *slog.Logger
}

// Dispatcher makes deliveries and sends them. It is safe for concurrent use, and several may work on one store.
type Dispatcher struct{ o Options }

// NewDispatcher returns a dispatcher.
func NewDispatcher(o Options) (*Dispatcher, error) {
	if o.Alerts == nil || o.Deliveries == nil || o.State == nil || o.Now == nil || o.Random == nil || o.Log == nil {
		return nil, errors.New("make a dispatcher: something that it is made of is missing")
	}
	names := map[string]bool{}
	for _, t := range o.Targets {
		switch name := t.Subscription.Name; {
		case name == "" || t.Notifier == nil:
			return nil, fmt.Errorf("make a dispatcher: subscription %q lacks a name or a notifier", name)
		case names[name]:
			return nil, fmt.Errorf("make a dispatcher: subscription %q stands twice", name)
		default:
			names[name] = true
		}
	}
	return &Dispatcher{o}, nil
}

// Times of the dispatcher.
const (
	claimTime  = 5 * time.Minute  // after which a claim may be taken over; longer than any notifier's timeout
	passTime   = 10 * time.Second // after which a pass begins no further message of a subscription
	firstDelay = 5 * time.Second  // before the second attempt; it grows by delayGrowth with every further one
	lastDelay  = time.Hour
	longestAsk = 24 * time.Hour // for which a receiver's wish not to be called is obeyed
	longHold   = 5 * time.Minute
	patience   = 3 // failures in a row after which a receiver is left alone for a while

	delayGrowth = 3
)

// Enqueue makes the deliveries that the alert is due, as it stands. It tells how many are new. Doing it again does nothing.
func (d *Dispatcher) Enqueue(ctx context.Context, a *alert.Alert) (int, error) {
	aloud, ok := a.Aloud()
	if !ok {
		return 0, nil // replays found it that were not asked to tell anybody
	}
	a = &aloud
	made := 0
	for i := range d.o.Targets {
		s := &d.o.Targets[i].Subscription
		if !slices.ContainsFunc(ChangeKinds(), func(c ChangeKind) bool { return d.o.Router.Refuses(s, a, c) == "" }) {
			continue
		}
		told, err := d.o.Deliveries.Told(ctx, s.Name, a.ID)
		if err != nil {
			return made, fmt.Errorf("make deliveries of alert %s: %w", a.ID, err)
		}
		c := change(a, told)
		// What it has heard later news of needs no older ones: the feed may hand them over in any order.
		if slices.ContainsFunc(told, func(r int64) bool { return r >= a.Revision }) || closedBefore(a, told) || d.o.Router.Refuses(s, a, c) != "" {
			continue
		}
		created, err := d.o.Deliveries.Create(ctx, d.delivery(s, a, c))
		if err != nil {
			return made, fmt.Errorf("make the delivery of alert %s to %s: %w", a.ID, s.Name, err)
		}
		if created {
			made++
		}
	}
	return made, nil
}

func (d *Dispatcher) delivery(s *Subscription, a *alert.Alert, c ChangeKind) Delivery {
	now := d.o.Now().UTC()
	out := Delivery{
		ID: DeliveryID(a.ID, s.Name, a.Revision), Subscription: s.Name, Alert: a.ID, Tenant: a.Tenant, Revision: a.Revision,
		Change: c, Severity: a.Severity, Related: relations(a), State: Pending, Created: now, Due: now,
	}
	switch {
	case c != Closed && now.Sub(a.Last) > late:
		out.Late, out.Due = true, now.Add(gather)
	case c == New:
		out.Due = now.Add(settle)
	}
	return out
}

// Report tells what a pass did, in deliveries.
type Report struct{ Messages, Sent, Retried, Parked, Dead int }

func (r *Report) add(o Report) {
	r.Messages += o.Messages
	r.Sent += o.Sent
	r.Retried += o.Retried
	r.Parked += o.Parked
	r.Dead += o.Dead
}

// Send sends what is due, to all subscriptions at once, so that one that is slow delays no other. Its error is the store's:
// what a receiver does is no error of the pass.
func (d *Dispatcher) Send(ctx context.Context) (Report, error) {
	reports := make([]Report, len(d.o.Targets))
	errs := make([]error, len(d.o.Targets))
	var wg sync.WaitGroup
	for i := range d.o.Targets {
		wg.Go(func() {
			p := pass{Dispatcher: d, t: &d.o.Targets[i]}
			if err := p.run(ctx); err != nil {
				errs[i] = fmt.Errorf("send to subscription %s: %w", p.t.Subscription.Name, err)
			}
			reports[i] = p.report
		})
	}
	wg.Wait()
	var total Report
	for _, r := range reports {
		total.add(r)
	}
	return total, errors.Join(errs...)
}

// pass is one subscription's part of Send.
type pass struct {
	*Dispatcher
	t      *Target
	mu     sync.Mutex
	report Report
}

func (p *pass) run(ctx context.Context) error {
	s := &p.t.Subscription
	started := p.o.Now()
	open, err := p.open(ctx, started)
	if err != nil || len(open) == 0 {
		return err
	}
	st, err := LoadStanding(ctx, p.o.State, s.Name)
	if err != nil {
		return err
	}
	budget := s.PerMinute
	if st.Minute.Equal(started.UTC().Truncate(time.Minute)) {
		budget -= st.Count
	}
	if !st.Disabled.IsZero() || st.NotBefore.After(started) {
		return nil
	}
	for _, b := range allot(arrange(open, started), budget, started) {
		if ctx.Err() != nil || p.o.Now().Sub(started) >= passTime {
			return nil //nolint:nilerr // what is left is due in the next pass
		}
		ok, err := p.begin(ctx)
		if err != nil || !ok {
			return err
		}
		sent := p.report.Messages
		if err := p.deliver(ctx, b); err != nil {
			return err
		}
		if p.report.Messages == sent {
			if err := p.giveBack(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// open returns what may be sent now or later or is under way, and gives up what is too old.
func (p *pass) open(ctx context.Context, now time.Time) ([]Delivery, error) {
	var open, old []Delivery
	for d, err := range p.o.Deliveries.Unsent(ctx, p.t.Subscription.Name) {
		switch {
		case err != nil:
			return nil, err
		case d.State != Pending && d.State != Claimed:
		case now.Sub(d.Created) > p.t.Subscription.GiveUp && (d.State == Pending || !d.Due.After(now)):
			old = append(old, d)
		default:
			open = append(open, d)
		}
	}
	for _, d := range old {
		d.State, d.Reason = Dead, "given up: "+cmp.Or(d.Reason, "it could not be sent in time")
		if err := p.replace(ctx, d, &p.report.Dead); err != nil {
			return nil, err
		}
	}
	if len(old) > 0 {
		p.o.Log.ErrorContext(ctx, "deliveries were given up", "subscription", p.t.Subscription.Name, "deliveries", len(old))
	}
	return open, nil
}

// replace stores the delivery and counts it, unless somebody else was faster.
func (p *pass) replace(ctx context.Context, d Delivery, counter *int) error {
	_, err := p.o.Deliveries.Replace(ctx, d)
	switch {
	case errors.Is(err, store.ErrConflict):
		return nil
	case err != nil:
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	*counter++
	return nil
}

// begin takes one of the minute's messages. ok is false if nothing may be sent now.
func (p *pass) begin(ctx context.Context) (ok bool, err error) {
	now := p.o.Now().UTC()
	return changeStanding(ctx, p.o.State, p.t.Subscription.Name, func(st *Standing) bool {
		if minute := now.Truncate(time.Minute); !st.Minute.Equal(minute) {
			st.Minute, st.Count = minute, 0
		}
		if !st.Disabled.IsZero() || st.NotBefore.After(now) || st.Count >= p.t.Subscription.PerMinute {
			return false
		}
		st.Count++
		return true
	})
}

// giveBack returns a message of the minute that was taken for one that somebody else had.
func (p *pass) giveBack(ctx context.Context) error {
	minute := p.o.Now().UTC().Truncate(time.Minute)
	_, err := changeStanding(ctx, p.o.State, p.t.Subscription.Name, func(st *Standing) bool {
		if !st.Minute.Equal(minute) || st.Count == 0 {
			return false
		}
		st.Count--
		return true
	})
	return err
}

// deliver claims, sends and records the batch, in this order.
func (p *pass) deliver(ctx context.Context, b batch) error {
	m := Message{Key: b.messageKey(), Form: b.form}
	claimed, err := p.claim(ctx, b.members, &m)
	if err != nil || len(claimed) == 0 {
		return err
	}
	slices.SortStableFunc(m.Items, func(x, y Item) int {
		return cmp.Or(-cmp.Compare(x.Alert.Severity, y.Alert.Severity), -x.Alert.Last.Compare(y.Alert.Last),
			strings.Compare(string(x.Alert.ID), string(y.Alert.ID)))
	})
	p.report.Messages++
	err = p.t.Notifier.Notify(ctx, &m)
	// What is known of the message is to be recorded although the time is up.
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		return p.failed(ctx, claimed, err)
	}
	now := p.o.Now().UTC()
	err = parallel(len(claimed), func(i int) error {
		d := claimed[i]
		d.State, d.SentAt, d.Reason = Sent, now, ""
		return p.replace(ctx, d, &p.report.Sent)
	})
	if err != nil {
		return err
	}
	_, err = changeStanding(ctx, p.o.State, p.t.Subscription.Name, func(st *Standing) bool {
		was := st.Failures
		st.Failures, st.Reason = 0, ""
		return was > 0
	})
	return err
}

// claim claims the deliveries and adds their alerts to the message. Nothing is sent before all are claimed. Who claims the
// first of them has the message: of two that are at the same one, the other leaves all of it alone, for both would send
// a part under the same key.
func (p *pass) claim(ctx context.Context, members []Delivery, m *Message) ([]Delivery, error) {
	var mu sync.Mutex
	var claimed []Delivery
	one := func(i int) error {
		d, a, err := p.claimOne(ctx, members[i], m)
		if err != nil || d == nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		claimed = append(claimed, *d)
		m.Items = append(m.Items, Item{Alert: a, Change: d.Change})
		return nil
	}
	for i := range members {
		if err := one(i); err != nil {
			if errors.Is(err, store.ErrConflict) {
				return nil, nil
			}
			return nil, err
		}
		if len(claimed) > 0 {
			err := parallel(len(members)-i-1, func(j int) error {
				if err := one(i + 1 + j); !errors.Is(err, store.ErrConflict) {
					return err
				}
				return nil // it went out otherwise
			})
			return claimed, err
		}
	}
	return nil, nil
}

// claimOne claims one delivery. It returns nil for one whose alert is gone.
func (p *pass) claimOne(ctx context.Context, d Delivery, m *Message) (*Delivery, alert.Alert, error) {
	a, err := p.o.Alerts.Alert(ctx, d.Tenant, d.Alert)
	if errors.Is(err, store.ErrNotFound) {
		d.State, d.Reason = Dead, "the alert is no longer in the store"
		return nil, a, p.replace(ctx, d, &p.report.Dead)
	}
	if err != nil {
		return nil, a, fmt.Errorf("read alert %s: %w", d.Alert, err)
	}
	d.State, d.Key, d.Form, d.Due = Claimed, m.Key, m.Form, p.o.Now().UTC().Add(claimTime)
	d.Attempts++
	d, err = p.o.Deliveries.Replace(ctx, d)
	return &d, a, err
}

// workers is how many documents of one message are written at once: a digest has up to a thousand, and its claims last
// only so long.
const workers = 8

// parallel calls do with the numbers below n, several at once, and returns the first error, after which it begins no more.
func parallel(n int, do func(int) error) error {
	var next atomic.Int64
	var failed atomic.Bool
	errs := make([]error, min(n, workers))
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if errs[w] = do(i); errs[w] != nil {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// failed records what is to become of the deliveries and of the subscription.
func (p *pass) failed(ctx context.Context, claimed []Delivery, cause error) error {
	f := &Failure{Reason: "the notifier failed"}
	errors.As(cause, &f) // any other error may hold what must not be stored
	now := p.o.Now().UTC()
	ask := min(max(f.After, 0), longestAsk)
	attempts := 0
	for i := range claimed {
		attempts = max(attempts, claimed[i].Attempts)
	}
	due := now.Add(max(ask, p.delay(attempts))) // of all: they go out together again
	err := parallel(len(claimed), func(i int) error {
		d := claimed[i]
		d.Reason = f.Error()
		if f.Remedy != Retry {
			d.State = Parked
			return p.replace(ctx, d, &p.report.Parked)
		}
		d.State, d.Due = Pending, due
		return p.replace(ctx, d, &p.report.Retried)
	})
	if err != nil {
		return err
	}
	name := p.t.Subscription.Name
	about := []any{"subscription", name, "deliveries", len(claimed), "reason", f.Error()}
	if f.Remedy == Disable {
		p.o.Log.ErrorContext(ctx, "the receiver is gone: the subscription is disabled until its deliveries are retried", about...)
	} else {
		p.o.Log.WarnContext(ctx, "a message was not accepted", about...)
	}
	_, err = changeStanding(ctx, p.o.State, name, func(st *Standing) bool {
		st.Reason = f.Error()
		switch f.Remedy {
		case Disable:
			st.Disabled = now
		case Park:
			st.Failures = 0
		default:
			st.Failures++
			hold := ask
			if st.Failures >= patience {
				hold = max(hold, min(p.delay(st.Failures), longHold))
			}
			if until := now.Add(hold); until.After(st.NotBefore) {
				st.NotBefore = until
			}
		}
		return true
	})
	return err
}

// delay returns how long to wait after so many attempts.
func (p *pass) delay(attempts int) time.Duration {
	delay := firstDelay
	for range attempts - 1 {
		delay = min(delay*delayGrowth, lastDelay)
	}
	return time.Duration(float64(delay) * (0.75 + p.o.Random()/2))
}

// Hurry makes what was never tried due at once: nothing more will come that it could go out with.
func (d *Dispatcher) Hurry(ctx context.Context) error {
	now := d.o.Now().UTC()
	for i := range d.o.Targets {
		name := d.o.Targets[i].Subscription.Name
		var early []Delivery
		for x, err := range d.o.Deliveries.Unsent(ctx, name) {
			if err != nil {
				return fmt.Errorf("look for deliveries to %s: %w", name, err)
			}
			if x.State == Pending && x.Attempts == 0 && x.Due.After(now) {
				early = append(early, x)
			}
		}
		p := pass{Dispatcher: d}
		for _, x := range early {
			x.Due = now
			if err := p.replace(ctx, x, new(int)); err != nil {
				return fmt.Errorf("make a delivery to %s due: %w", name, err)
			}
		}
	}
	return nil
}

// Revive makes what was parked or given up due again: the delivery of that id, with those that went out in one message with
// it, or all of the subscription where id is empty. The subscription itself is enabled. It tells how many deliveries
// there were, and whether the subscription was disabled.
func (d *Dispatcher) Revive(ctx context.Context, subscription, id string) (n int, enabled bool, err error) {
	var found []Delivery
	for x, err := range d.o.Deliveries.Unsent(ctx, subscription) {
		if err != nil {
			return 0, false, fmt.Errorf("revive deliveries of %s: %w", subscription, err)
		}
		if x.State == Parked || x.State == Dead {
			found = append(found, x)
		}
	}
	if id != "" {
		key := ""
		if i := slices.IndexFunc(found, func(x Delivery) bool { return x.ID == id }); i >= 0 {
			key = found[i].Key
		}
		found = slices.DeleteFunc(found, func(x Delivery) bool { return x.ID != id && (key == "" || x.Key != key) })
	}
	now := d.o.Now().UTC()
	p := pass{Dispatcher: d}
	for _, x := range found {
		x.State, x.Created, x.Due = Pending, now, now
		if err := p.replace(ctx, x, &n); err != nil {
			return n, false, fmt.Errorf("revive deliveries of %s: %w", subscription, err)
		}
	}
	_, err = changeStanding(ctx, d.o.State, subscription, func(st *Standing) bool {
		enabled = !st.Disabled.IsZero()
		changed := !st.Disabled.IsZero() || !st.NotBefore.IsZero()
		st.Disabled, st.NotBefore, st.Failures, st.Reason = time.Time{}, time.Time{}, 0, ""
		return changed
	})
	return n, enabled && err == nil, err
}

// ErrSubscription says that there is no subscription of the name.
var ErrSubscription = errors.New("there is no such subscription")

// Test sends the message to the subscription, whatever its standing, and leaves no trace of it.
func (d *Dispatcher) Test(ctx context.Context, subscription string, m *Message) error {
	for i := range d.o.Targets {
		if d.o.Targets[i].Subscription.Name == subscription {
			return d.o.Targets[i].Notifier.Notify(ctx, m)
		}
	}
	return fmt.Errorf("%w: %q", ErrSubscription, subscription)
}

// Decision is what a subscription makes of an alert.
type Decision struct {
	Subscription string     `json:"subscription"`
	Change       ChangeKind `json:"change"`            // what of it would be news
	Refused      string     `json:"refused,omitempty"` // why it is not told; "": it is
}

// quietly says why nobody hears of an alert that only quiet runs have found.
const quietly = "only replays that were to tell nobody have found it"

// Route tells who would hear of the alert as it stands, were it news, and why not.
func (d *Dispatcher) Route(ctx context.Context, a *alert.Alert) ([]Decision, error) {
	aloud, ok := a.Aloud()
	var out []Decision
	for i := range d.o.Targets {
		s := &d.o.Targets[i].Subscription
		told, err := d.o.Deliveries.Told(ctx, s.Name, a.ID)
		if err != nil {
			return nil, fmt.Errorf("route alert %s: %w", a.ID, err)
		}
		told = slices.DeleteFunc(told, func(r int64) bool { return r >= aloud.Revision })
		x := Decision{Subscription: s.Name, Change: change(&aloud, told), Refused: quietly}
		if ok {
			x.Refused = d.o.Router.Refuses(s, &aloud, x.Change)
		}
		out = append(out, x)
	}
	return out, nil
}

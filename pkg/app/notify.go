package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/notify/outbound"
	"github.com/assay-sec/assay/pkg/notify/teams"
	"github.com/assay-sec/assay/pkg/notify/webhook"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

// localSource names an installation without an address of its own in CloudEvents.
const localSource = "urn:assay:local"

// source names the installation in CloudEvents: by the address at which people find its alerts.
func source(alertURL string) string {
	if u, err := url.Parse(alertURL); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host
	}
	return localSource
}

// NewDispatcher returns what makes and sends the deliveries of the configuration's subscriptions. A subscription whose
// secrets are missing or wrong keeps its deliveries until they are mended: its notifier fails, and says why.
func NewDispatcher(c *config.Config, r *Rules, b Backend, getenv func(string) string, log *slog.Logger, now func() time.Time) (*notify.Dispatcher, error) {
	vips := r.Reference.VIPs()
	o := notify.Options{
		Router: notify.Router{VIP: func(tenant, name string) bool {
			in, known := vips.Contains(tenant, name)
			return in && known
		}, Tagged: r.tagged},
		Alerts: b, State: b, Now: now, Log: log,
		Deliveries: Deliveries(b, c.Retention, now), Random: rand.Float64,
	}
	find := newSecrets(getenv, now)
	for _, s := range c.Subscriptions {
		n, err := newNotifier(&s, c, r, find, now)
		if err != nil {
			log.Error("a subscription cannot be reached until its settings are mended", "subscription", s.Name, "error", err)
			n = broken{err}
		}
		o.Targets = append(o.Targets, notify.Target{Subscription: s, Notifier: n})
	}
	return notify.NewDispatcher(o)
}

// Deliveries returns the deliveries in the store. Each expires with its alert, which is kept for the retention; 0 is the default.
func Deliveries(b Backend, retention time.Duration, now func() time.Time) *notify.Documents {
	return notify.NewDocuments(b, func(id alert.ID) time.Time {
		day, err := time.Parse(time.DateOnly, string(id.Day()))
		if err != nil {
			return time.Time{}
		}
		return now().Add(store.Lifetime(day, now(), retention))
	})
}

// broken is the notifier of a subscription whose settings are wrong.
type broken struct{ err error }

// Notify fails. The reason holds no secret: errors of settings never do.
func (b broken) Notify(context.Context, *notify.Message) error {
	return &notify.Failure{Remedy: notify.Retry, Reason: b.err.Error()}
}

// newNotifier returns what reaches the subscription. Secrets in Key Vault are read when it is used.
func newNotifier(s *notify.Subscription, c *config.Config, r *Rules, find *secrets, now func() time.Time) (notify.Notifier, error) {
	build := func(address notify.Secret, keys []notify.Secret) (notify.Notifier, error) {
		client := outbound.Options{Local: s.Local, Now: now}
		if s.Kind == notify.Webhook {
			return webhook.New(address, webhook.Options{Client: client, Source: source(c.AlertURL), Keys: keys})
		}
		return teams.New(address, teams.Options{
			Client: client, AlertURL: c.AlertURL, ReplayURL: c.ReplayURL, Zone: s.Zone, Runbook: r.runbook,
			Tenant: func(id string) string { return c.Names[id] },
			App: func(tenant, id string) string {
				if client, _ := r.Reference.MailClient(tenant, id); client != nil {
					return client.Name
				}
				return ""
			},
		})
	}
	if err := find.allow(s); err != nil {
		return nil, err
	}
	if inVault(s) {
		return &vaulted{subscription: s, find: find, build: build}, nil
	}
	address, keys, err := find.all(context.Background(), s)
	if err != nil {
		return nil, err
	}
	return build(address, keys)
}

func (r *Rules) tagged(id, tag string) bool {
	return slices.ContainsFunc(r.Rules, func(x *rule.Rule) bool { return x.ID == id && x.Tagged(tag) })
}

// runbook returns the steps that the rule advises, or nil.
func (r *Rules) runbook(id string) []string {
	for _, x := range r.Rules {
		if x.ID == id {
			return x.Doc.Runbook
		}
	}
	return nil
}

// Notify returns the handler of a trigger on the change feed of the alerts. It answers once every delivery exists.
func (s *Service) Notify(binding string) azfunc.Handler {
	return azfunc.HandlerFunc(func(ctx context.Context, in *azfunc.Invocation) (*azfunc.Result, error) {
		batch, err := in.Value(binding)
		if err != nil {
			return nil, err
		}
		var documents []json.RawMessage
		if err := batch.Decode(&documents); err != nil {
			// Running it again would not mend it, and sweep makes what is missing.
			s.log.ErrorContext(ctx, "a batch of the change feed could not be read", "error", err)
			return nil, nil //nolint:nilnil // an invocation without outputs
		}
		dispatcher := s.config.Current().dispatcher
		made := 0
		for _, raw := range documents {
			var doc struct {
				Type string `json:"type"`
			}
			if json.Unmarshal(raw, &doc) != nil || doc.Type != "alert" {
				continue // a finding
			}
			var a alert.Alert
			if err := json.Unmarshal(raw, &a); err != nil {
				s.log.ErrorContext(ctx, "an alert of the change feed could not be read", "error", err)
				continue
			}
			n, err := dispatcher.Enqueue(ctx, &a)
			if err != nil {
				return nil, err
			}
			made += n
		}
		if made > 0 {
			s.log.InfoContext(ctx, "deliveries made", "deliveries", made)
		}
		return nil, nil //nolint:nilnil // an invocation without outputs
	})
}

// enqueue makes the deliveries of the alerts that a batch has touched, where no change feed will.
func (s *Service) enqueue(ctx context.Context, d *notify.Dispatcher, r *pipeline.Report) error {
	if s.feed || r == nil {
		return nil
	}
	for _, t := range r.Sorted(rule.Info, rule.Enabled) {
		if _, err := d.Enqueue(ctx, &t.Alert); err != nil {
			return err
		}
	}
	return nil
}

// outbox is the store of alerts to those who change them by hand.
type outbox struct {
	store.Store
	service *Service
}

// Update implements store.Store, and makes the deliveries that the change is due where no change feed will.
func (o outbox) Update(ctx context.Context, tenant string, id alert.ID, change func(*alert.Alert) error) (alert.Alert, error) {
	a, err := o.Store.Update(ctx, tenant, id, change)
	if err != nil || o.service.feed {
		return a, err
	}
	if _, err := o.service.config.Current().dispatcher.Enqueue(ctx, &a); err != nil {
		// The change stands, and sweep makes what is missing.
		o.service.log.WarnContext(ctx, "the deliveries of a changed alert could not be made yet", "alert", id, "error", err)
	}
	return a, nil
}

// Times of the search for deliveries that are missing.
const (
	missingSince = 48 * time.Hour // in which an alert was last written, however old its events are
	missingEvery = 10 * time.Minute
	missingID    = "notify.missing"
)

// Sweep returns the handler of the timer that sends what is due.
func (s *Service) Sweep() azfunc.Handler {
	return azfunc.HandlerFunc(func(ctx context.Context, _ *azfunc.Invocation) (*azfunc.Result, error) {
		dispatcher := s.config.Current().dispatcher
		merr := s.makeMissing(ctx, dispatcher)
		r, err := dispatcher.Send(ctx)
		deliveries(ctx, s.telemetry, r)
		if r != (notify.Report{}) {
			s.log.InfoContext(ctx, "messages sent", "messages", r.Messages, "sent", r.Sent, "retried", r.Retried, "parked", r.Parked, "dead", r.Dead)
		}
		return nil, errors.Join(merr, err, s.expireReplays(ctx))
	})
}

// makeMissing makes the deliveries that are missing for alerts of the last days, every ten minutes in one of the instances.
func (s *Service) makeMissing(ctx context.Context, d *notify.Dispatcher) error {
	doc, err := s.store.Load(ctx, missingID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("look for deliveries that are missing: %w", err)
	}
	doc.ID = missingID
	var last struct {
		At time.Time `json:"at"`
	}
	now := s.now().UTC()
	if json.Unmarshal(doc.Body, &last) == nil && now.Sub(last.At) < missingEvery {
		return nil
	}
	for a, err := range s.store.Alerts(ctx, store.Query{MinStage: rule.Enabled, Changed: now.Add(-missingSince)}) {
		if err != nil {
			return fmt.Errorf("look for deliveries that are missing: %w", err)
		}
		if _, err := d.Enqueue(ctx, &a); err != nil {
			return err
		}
	}
	last.At = now
	if doc.Body, err = json.Marshal(last); err != nil {
		return fmt.Errorf("keep when deliveries were looked for: %w", err)
	}
	if _, err := s.store.Save(ctx, doc); err != nil && !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("keep when deliveries were looked for: %w", err)
	}
	return nil
}

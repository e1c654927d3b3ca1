package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assay-sec/assay/pkg/access"
	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/api"
	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/config/reload"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/ingest"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/telemetry"
)

// The app settings of the function app beside those that the Functions host reads for its triggers.
const (
	SettingConfig       = "ASSAY_CONFIG"         // assay.yaml: a path, or the https URL of a blob; empty: built-in defaults
	settingConfigStore  = "ConfigStore"          // connection string of an emulator of blobs, for SettingConfig on this machine
	SettingAuth         = "ASSAY_AUTH"           // "key" (default) or "entra"
	settingPlatformAuth = "WEBSITE_AUTH_ENABLED" // written by App Service where its authentication is on
)

// Service is what the functions share. It is made once a process.
type Service struct {
	store  Backend
	ingest *ingest.Ingester
	feed   bool // a change feed hands the alerts to notify

	replays *replays
	config  *reload.Follower[generation]
	policy  access.Policy
	version string
	log     *slog.Logger
	now     func() time.Time

	telemetry *telemetry.Telemetry // nil: not wanted
}

// generation is what is made of one configuration. A batch is evaluated, and its alerts are told of, by one of them.
type generation struct {
	rules      *Rules
	process    *pipeline.Pipeline
	dispatcher *notify.Dispatcher
	from       alert.Provenance
	hubs       map[string][]string // tenants that may send to a hub, by hub
	keys       *publishedKeys

	subscriptions []string      // by name
	retention     time.Duration // 0: the default
}

// live is the run of findings that come from the stream.
const live = "live"

// NewService makes the service that the settings describe, store included. getenv reads an app setting. A configuration that is
// wrong or out of reach is no error: see package reload.
func NewService(ctx context.Context, getenv func(string) string, version string, log *slog.Logger, now func() time.Time) (*Service, error) {
	t := startTelemetry(ctx, getenv, version, log, now)
	// The store is opened while the configuration is read: the first batch of an instance waits for both.
	var retention atomic.Int64
	open := func() (Backend, error) {
		b, err := openBackend(ctx, getenv, func() time.Duration { return time.Duration(retention.Load()) }, requests(t), now)
		if err == nil && t != nil {
			b = timed{b, t}
		}
		return b, err
	}
	s := &Service{version: version, log: log, now: now, telemetry: t}
	if err := s.start(ctx, open, &retention, getenv); err != nil {
		return nil, err
	}
	return s, nil
}

// NewServiceOn makes the service that the settings describe on a store that is open. Closing the service closes the store.
func NewServiceOn(b Backend, getenv func(string) string, version string, log *slog.Logger, now func() time.Time) (*Service, error) {
	s := &Service{version: version, log: log, now: now}
	if err := s.start(context.Background(), func() (Backend, error) { return b, nil }, new(atomic.Int64), getenv); err != nil {
		return nil, err
	}
	return s, nil
}

// start opens the store, reads the settings and the configuration, and keeps in retention what the one in use says of it.
func (s *Service) start(ctx context.Context, open func() (Backend, error), retention *atomic.Int64, getenv func(string) string) error {
	s.feed = getenv(SettingStore) == storeCosmos
	opened := make(chan error, 1)
	go func() {
		var err error
		s.store, err = open()
		opened <- err
	}()
	ready := sync.OnceValue(func() error { return <-opened })
	decoder, err := s.configure(ctx, ready, retention, getenv)
	if oerr := ready(); oerr != nil {
		return oerr
	}
	if err != nil {
		return errors.Join(err, s.Close())
	}
	s.ingest = ingest.New(s.store, s.store.SetAside, s.now)
	s.replays = s.newReplays(decoder, getenv)
	return nil
}

// configure reads the settings and the configuration. ready waits for the store.
func (s *Service) configure(ctx context.Context, ready func() error, retention *atomic.Int64, getenv func(string) string) (decode.Decoder, error) {
	s.policy = access.Policy{PlatformAuth: strings.EqualFold(getenv(settingPlatformAuth), "true")}
	switch mode := getenv(SettingAuth); mode {
	case "", "key":
	case "entra":
		s.policy.Entra = true
	default:
		return nil, fmt.Errorf("%s is %q, but is to be key or entra", SettingAuth, mode)
	}
	decoder, err := Decoder(getenv(SettingDecoder))
	if err != nil {
		return nil, err
	}
	doc, err := openConfig(getenv)
	if err != nil {
		return nil, err
	}
	s.config, err = reload.Follow(ctx, doc, func(c *config.Config) (*generation, error) {
		rules, err := LoadRules(c)
		if err != nil {
			return nil, err
		}
		for _, problem := range rules.Problems {
			s.log.ErrorContext(ctx, "a Sigma rule is not evaluated until it is mended", "file", problem.File, "line", problem.Line,
				"column", problem.Column, "problem", problem.Text)
		}
		normalizer, engine, err := rules.compile(decoder, "")
		if err != nil {
			return nil, err
		}
		if err := ready(); err != nil {
			return nil, err
		}
		g := &generation{rules: rules, from: rules.Provenance(live, s.version), hubs: c.Hubs, retention: c.Retention}
		g.process = pipeline.New(normalizer, engine, s.store, s.now).Suppressing(rules.Suppressions)
		if g.dispatcher, err = NewDispatcher(c, rules, s.store, getenv, s.log, s.now); err != nil {
			return nil, err
		}
		for i := range c.Subscriptions {
			g.subscriptions = append(g.subscriptions, c.Subscriptions[i].Name)
		}
		g.keys = newPublishedKeys(c, rules, s.store, getenv(SettingKeys), s.log, s.now)
		retention.Store(int64(c.Retention))
		return g, nil
	}, s.now, s.log)
	return decoder, err
}

// flush is how long the end of the process is put off for the last telemetry.
const flush = 2 * time.Second

// Close ends what goes on in the background and the use of the store, and sends the last telemetry.
func (s *Service) Close() error {
	if s.config != nil {
		s.config.Close()
		if g := s.config.Current(); g != nil {
			g.keys.pending.Wait()
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), flush)
	defer cancel()
	return errors.Join(s.telemetry.Close(ctx), s.store.Close())
}

// Observe tells telemetry of the calls of the host.
func (s *Service) Observe(r *azfunc.Routes) {
	if s.telemetry != nil {
		r.Observe(s.telemetry.Invocation)
	}
}

var _ io.Closer = (*Service)(nil)

// Ingest returns the handler of an Event Hubs trigger whose binding has the name.
func (s *Service) Ingest(binding string) azfunc.Handler {
	return azfunc.HandlerFunc(func(ctx context.Context, in *azfunc.Invocation) (*azfunc.Result, error) {
		payload, err := in.Value(binding)
		if err != nil {
			return nil, err
		}
		meta, err := in.EventHub()
		if err != nil {
			// The events can be evaluated without it; their places will be poorer.
			s.log.WarnContext(ctx, "metadata of a batch could not be read", "error", err)
		}
		b := ingest.Batch{Hub: meta.Hub, Partition: meta.Partition, Payload: string(payload)}
		if b.Hub == "" {
			b.Hub = in.Function
		}
		for _, e := range meta.Events {
			b.Messages = append(b.Messages, ingest.Message{Sequence: e.Sequence, Enqueued: e.Enqueued})
		}
		if in.Retry != nil {
			b.Attempt = in.Retry.Count
		}
		g := s.config.Current()
		g.keys.look()
		report, err := s.ingest.Process(ctx, g.process, b, pipeline.Options{From: g.from, Tenants: g.admitted(b.Hub), Workers: 1})
		if err == nil {
			err = s.enqueue(ctx, g.dispatcher, report)
		}
		s.summarise(ctx, b, report, err)
		s.tell(ctx, b, meta, report, err)
		return nil, err
	})
}

// bound returns the tenants that the configuration binds the hub to, in whatever case its name is written; none means all.
func (g *generation) bound(hub string) []string { return g.hubs[strings.ToLower(hub)] }

// admitted returns the tenants that may send to the hub; none means all. Smoke tests may send to every hub.
func (g *generation) admitted(hub string) []string {
	tenants := g.bound(hub)
	if len(tenants) == 0 {
		return nil
	}
	return append(slices.Clone(tenants), alert.SmokeTenant)
}

// summarise logs what became of a batch: numbers alone, no field of any event.
func (s *Service) summarise(ctx context.Context, b ingest.Batch, r *pipeline.Report, err error) {
	if r == nil {
		r = pipeline.NewReport()
	}
	attrs := []any{
		"hub", b.Hub, "partition", b.Partition, "messages", len(b.Messages), "records", r.Records, "evaluated", r.Evaluated,
		"ignored", total(r.Ignored), "setAside", total(r.SetAside), "findings", r.Findings, "newFindings", r.NewFindings, "refused", r.Refused,
		"alerts", len(r.Alerts), "seconds", r.Seconds,
	}
	if n := len(b.Messages); n > 0 {
		last := b.Messages[n-1]
		attrs = append(attrs, "firstSequence", b.Messages[0].Sequence, "lastSequence", last.Sequence)
		if !last.Enqueued.IsZero() {
			attrs = append(attrs, "lagSeconds", max(s.now().Sub(last.Enqueued), 0).Seconds())
		}
	}
	if err != nil {
		s.log.ErrorContext(ctx, "batch failed and is to be handed over again", append(attrs, "error", err)...)
		return
	}
	s.log.InfoContext(ctx, "batch processed", attrs...)
}

func total(counts map[string]int64) int64 {
	var n int64
	for _, c := range counts {
		n += c
	}
	return n
}

// Alerts returns the interface for alerts.
func (s *Service) Alerts() *api.Alerts {
	return &api.Alerts{Store: outbox{s.store, s}, Policy: s.policy, Now: s.now, Log: s.log}
}

// Health returns the health check.
func (s *Service) Health() *api.Health {
	return &api.Health{
		State: s.store, Policy: s.policy, Version: s.version, Rules: func() string { return s.config.Current().from.Reference },
		Configuration: s.config.State, Subscriptions: func() []string { return s.config.Current().subscriptions }, Now: s.now, Log: s.log,
	}
}

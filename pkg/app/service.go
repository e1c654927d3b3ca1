package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/access"
	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/api"
	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/ingest"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/telemetry"
)

// The app settings of the function app beside those that the Functions host reads for its triggers.
const (
	SettingConfig       = "ASSAY_CONFIG"         // path of assay.yaml; empty: built-in defaults
	SettingAuth         = "ASSAY_AUTH"           // "key" (default) or "entra"
	settingPlatformAuth = "WEBSITE_AUTH_ENABLED" // written by App Service where its authentication is on
)

// Service is what the functions share. It is made once a process.
type Service struct {
	store   Backend
	process *pipeline.Pipeline
	ingest  *ingest.Ingester

	keys       *publishedKeys
	dispatcher *notify.Dispatcher
	feed       bool // a change feed hands the alerts to notify

	replays *replays
	rules   *Rules

	from    alert.Provenance
	hubs    map[string][]string // tenants that may send to a hub, by hub
	policy  access.Policy
	version string
	log     *slog.Logger
	now     func() time.Time

	telemetry *telemetry.Telemetry // nil: not wanted
}

// live is the run of findings that come from the stream.
const live = "live"

// NewService makes the service that the settings describe, store included. getenv reads an app setting.
func NewService(ctx context.Context, getenv func(string) string, version string, log *slog.Logger, now func() time.Time) (*Service, error) {
	t := startTelemetry(ctx, getenv, version, log, now)
	// The store is opened while the rules are made: the first batch of an instance waits for both.
	var backend Backend
	opened := make(chan error, 1)
	go func() {
		var err error
		backend, err = openBackend(ctx, getenv, requests(t), now)
		opened <- err
	}()
	p, err := readPolicy(getenv)
	if oerr := <-opened; oerr != nil {
		return nil, errors.Join(err, oerr)
	}
	if err != nil {
		return nil, errors.Join(err, backend.Close())
	}
	s, err := p.service(backend, t, version, log, now)
	if err != nil {
		return nil, errors.Join(err, backend.Close())
	}
	return s, nil
}

// NewServiceOn makes the service that the settings describe on a store that is open. Closing the service closes the store.
func NewServiceOn(b Backend, getenv func(string) string, version string, log *slog.Logger, now func() time.Time) (*Service, error) {
	p, err := readPolicy(getenv)
	if err != nil {
		return nil, err
	}
	return p.service(b, nil, version, log, now)
}

// policy is what the settings say of rules and access.
type policy struct {
	rules   *Rules
	decoder decode.Decoder
	hubs    map[string][]string
	access  access.Policy
	config  *config.Config
	getenv  func(string) string
}

func readPolicy(getenv func(string) string) (*policy, error) {
	c := &config.Config{}
	if path := getenv(SettingConfig); path != "" {
		var err error
		if c, err = config.Load(path); err != nil {
			return nil, fmt.Errorf("read %s: %w", SettingConfig, err)
		}
	}
	p := &policy{
		config: c, getenv: getenv, hubs: c.Hubs,
		access: access.Policy{PlatformAuth: strings.EqualFold(getenv(settingPlatformAuth), "true")},
	}
	switch mode := getenv(SettingAuth); mode {
	case "", "key":
	case "entra":
		p.access.Entra = true
	default:
		return nil, fmt.Errorf("%s is %q, but is to be key or entra", SettingAuth, mode)
	}
	var err error
	if p.decoder, err = Decoder(getenv(SettingDecoder)); err != nil {
		return nil, err
	}
	if p.rules, err = LoadRules(c); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *policy) service(b Backend, t *telemetry.Telemetry, version string, log *slog.Logger, now func() time.Time) (*Service, error) {
	for _, problem := range p.rules.Problems {
		log.Error("a Sigma rule is not evaluated until it is mended", "file", problem.File, "line", problem.Line, "column", problem.Column, "problem", problem.Text)
	}
	if t != nil {
		b = timed{b, t}
	}
	path, err := NewPipeline(p.rules, p.decoder, b, "", now)
	if err != nil {
		return nil, err
	}
	d, err := NewDispatcher(p.config, p.rules, b, p.getenv, log, now)
	if err != nil {
		return nil, err
	}
	s := &Service{
		store: b, process: path, ingest: ingest.New(path, b, b.SetAside, now), from: p.rules.Provenance(live, version),
		keys:       newPublishedKeys(p.config, p.rules, b, p.getenv(SettingKeys), log, now),
		dispatcher: d, feed: p.getenv(SettingStore) == storeCosmos,
		hubs: p.hubs, rules: p.rules, policy: p.access, version: version, log: log, now: now, telemetry: t,
	}
	s.replays = s.newReplays(p)
	return s, nil
}

// flush is how long the end of the process is put off for the last telemetry.
const flush = 2 * time.Second

// Close ends the use of the store, and sends the last telemetry.
func (s *Service) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), flush)
	defer cancel()
	s.keys.pending.Wait()
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
		meta, err := in.EventHub()
		if err != nil {
			// The events can be evaluated without it; their places will be poorer.
			s.log.WarnContext(ctx, "metadata of a batch could not be read", "error", err)
		}
		b := ingest.Batch{Hub: meta.Hub, Partition: meta.Partition, Payload: string(in.Data[binding])}
		if b.Hub == "" {
			b.Hub = in.Function
		}
		for _, e := range meta.Events {
			b.Messages = append(b.Messages, ingest.Message{Sequence: e.Sequence, Enqueued: e.Enqueued})
		}
		if in.Retry != nil {
			b.Attempt = in.Retry.Count
		}
		s.keys.look()
		report, err := s.ingest.Process(ctx, b, pipeline.Options{From: s.from, Tenants: s.admitted(b.Hub), Workers: 1})
		if err == nil {
			err = s.enqueue(ctx, report)
		}
		s.summarise(ctx, b, report, err)
		s.tell(ctx, b, meta, report, err)
		return nil, err
	})
}

// admitted returns the tenants that may send to the hub; none means all. Smoke tests may send to every hub.
func (s *Service) admitted(hub string) []string {
	tenants := s.hubs[hub]
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
	return &api.Alerts{Store: s.store, Policy: s.policy, Now: s.now, Log: s.log}
}

// Health returns the health check.
func (s *Service) Health() *api.Health {
	return &api.Health{State: s.store, Policy: s.policy, Version: s.version, Rules: s.from.Reference, Now: s.now, Log: s.log}
}

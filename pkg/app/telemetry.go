package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/ingest"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/cosmos"
	"github.com/assay-sec/assay/pkg/telemetry"
)

// What the platform writes into the environment to say which instance of which app this is.
const (
	siteVariable     = "WEBSITE_SITE_NAME"
	instanceVariable = "WEBSITE_INSTANCE_ID"
)

// startTelemetry starts what the standard OTEL_ settings ask for. An app that cannot tell of itself works all the same.
func startTelemetry(ctx context.Context, getenv func(string) string, version string, log *slog.Logger, now func() time.Time) *telemetry.Telemetry {
	t, err := telemetry.Start(ctx, getenv, telemetry.Options{
		Version: version, App: getenv(siteVariable), Instance: getenv(instanceVariable), Log: log, Now: now,
	})
	if err != nil {
		log.ErrorContext(ctx, "telemetry is off until its settings are mended", "error", err)
	}
	return t
}

// timed is a backend that tells how long its operations take. Lists are not timed: who reads them sets the pace.
type timed struct {
	Backend
	telemetry *telemetry.Telemetry
}

func (b timed) Record(ctx context.Context, findings []alert.Finding) (store.Outcome, error) {
	began := time.Now()
	out, err := b.Backend.Record(ctx, findings)
	b.telemetry.Operation(ctx, "record", began, err)
	return out, err
}

func (b timed) Update(ctx context.Context, tenant string, id alert.ID, change func(*alert.Alert) error) (alert.Alert, error) {
	began := time.Now()
	out, err := b.Backend.Update(ctx, tenant, id, change)
	b.telemetry.Operation(ctx, "update", began, err)
	return out, err
}

func (b timed) SetAside(ctx context.Context, items []alert.SetAside) error {
	began := time.Now()
	err := b.Backend.SetAside(ctx, items)
	b.telemetry.Operation(ctx, "set aside", began, err)
	return err
}

// requests tells of the requests of the Cosmos DB store.
func requests(t *telemetry.Telemetry) func(context.Context, cosmos.Request) {
	if t == nil {
		return nil
	}
	return func(ctx context.Context, r cosmos.Request) {
		t.Request(ctx, telemetry.Request{
			System: "azure.cosmosdb", Operation: r.Operation, Container: r.Container, Status: r.Status, Charge: r.Charge, Began: r.Began,
		})
	}
}

// tell tells of a batch.
func (s *Service) tell(ctx context.Context, b ingest.Batch, meta azfunc.EventHub, r *pipeline.Report, err error) {
	if s.telemetry == nil {
		return
	}
	if r == nil {
		r = pipeline.NewReport()
	}
	told := telemetry.Batch{Hub: b.Hub, Partition: b.Partition, Messages: len(b.Messages), First: -1, Last: -1, Lag: -1, Report: r, Failed: err != nil}
	if n := len(b.Messages); n > 0 {
		last := b.Messages[n-1]
		told.First, told.Last = b.Messages[0].Sequence, last.Sequence
		if !last.Enqueued.IsZero() {
			told.Lag = max(s.now().Sub(last.Enqueued), 0)
		}
	}
	for _, e := range meta.Events {
		if id := e.DiagnosticID(); id != "" {
			told.Publishers = append(told.Publishers, id)
		}
	}
	s.telemetry.Batch(ctx, told)
}

// deliveries tells what became of the deliveries of a sweep.
func deliveries(ctx context.Context, t *telemetry.Telemetry, r notify.Report) {
	t.Deliveries(ctx, "sent", r.Sent)
	t.Deliveries(ctx, "retried", r.Retried)
	t.Deliveries(ctx, "parked", r.Parked)
	t.Deliveries(ctx, "dead", r.Dead)
}

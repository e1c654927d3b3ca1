// Package telemetry tells of what the function app does in OpenTelemetry's terms: metrics and traces, sent over OTLP
// (HTTP, protobuf) to whatever the standard OTEL_ settings name. Nothing is made, and nothing sent, where they name nothing.
//
// Sending happens beside the work: a collector that is slow, full or gone costs telemetry and nothing else. The Functions
// host kills its handler without a word, so the last interval of an instance can be lost: what counts stands in the store.
//
// Every attribute is a name of ours: hubs, partitions, rules, fields, reasons. None is a text of an event, which an attacker wrote.
package telemetry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/assay-sec/assay/pkg/telemetry/otlp"
)

// scope names the instrumentation in what is sent.
const scope = "github.com/assay-sec/assay"

// protocol is the one that is spoken.
const protocol = "http/protobuf"

// complainEvery is how often a failure to send is logged.
const complainEvery = time.Minute

// Telemetry records what it is told of. A nil *Telemetry records nothing. It is safe for concurrent use.
type Telemetry struct {
	instruments
	tracer  oteltrace.Tracer
	metrics *metric.MeterProvider // nil: not wanted
	traces  *trace.TracerProvider // nil: not wanted
	closed  sync.Once
}

// Options say who it is that tells.
type Options struct {
	Version  string           // of Assay
	App      string           // the name of the function app; empty: none
	Instance string           // of the app, by the platform's name; empty: a random one
	Now      func() time.Time // for how often failures are logged
	Log      *slog.Logger     // gets failures to send
}

// SettingEndpoint names the setting that is enough to switch telemetry on.
const SettingEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"

// signals tells which signals the settings ask for (OpenTelemetry Environment Variable Specification, OTLP exporter).
func signals(getenv func(string) string) (metrics, traces bool) {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return false, false
	}
	wanted := func(signal string) bool {
		return getenv("OTEL_"+signal+"_EXPORTER") != "none" &&
			(getenv(SettingEndpoint) != "" || getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != "")
	}
	return wanted("METRICS"), wanted("TRACES")
}

// Start returns what records and sends as the environment says, or nil if it asks for nothing. It opens no connection. getenv
// decides what is sent, and where; intervals, queues, sampling and names are read by OpenTelemetry's SDK from the process's own
// environment.
func Start(ctx context.Context, getenv func(string) string, o Options) (*Telemetry, error) {
	metrics, traces := signals(getenv)
	if !metrics && !traces {
		return nil, nil //nolint:nilnil // a nil *Telemetry is a valid one
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"} {
		if p := getenv(name); p != "" && p != protocol {
			return nil, fmt.Errorf("start telemetry: %s is %q, but only %s is spoken", name, p, protocol)
		}
	}
	otel.SetErrorHandler(complainer(o.Log, o.Now))
	who, err := identity(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start telemetry: %w", err)
	}
	t := &Telemetry{}
	if metrics {
		exporter, err := otlp.NewMetrics(getenv)
		if err != nil {
			return nil, fmt.Errorf("start telemetry: %w", err)
		}
		t.metrics = metric.NewMeterProvider(metric.WithResource(who), metric.WithReader(metric.NewPeriodicReader(exporter)))
	}
	if traces {
		exporter, err := otlp.NewSpans(getenv)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start telemetry: %w", err), t.Close(ctx))
		}
		// The batcher's queue is bounded, and what does not fit is dropped.
		t.traces = trace.NewTracerProvider(trace.WithResource(who), trace.WithBatcher(exporter))
		t.tracer = t.traces.Tracer(scope)
	}
	if err := t.make(); err != nil {
		return nil, errors.Join(fmt.Errorf("start telemetry: %w", err), t.Close(ctx))
	}
	return t, nil
}

// identity says who tells. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come before it.
func identity(ctx context.Context, o Options) (*resource.Resource, error) {
	if o.Instance == "" {
		o.Instance = rand.Text()
	}
	ours := []attribute.KeyValue{
		attribute.String("service.name", "assay"), attribute.String("service.version", o.Version),
		// Counters of two instances are two streams.
		attribute.String("service.instance.id", o.Instance),
	}
	if o.App != "" {
		ours = append(ours, attribute.String("cloud.provider", "azure"), attribute.String("cloud.platform", "azure.functions"),
			attribute.String("faas.name", o.App))
	}
	return resource.New(ctx, resource.WithAttributes(ours...), resource.WithTelemetrySDK(), resource.WithFromEnv())
}

// complainer logs what OpenTelemetry's SDK has to say, now and then: a collector that is gone fails every interval.
func complainer(log *slog.Logger, now func() time.Time) otel.ErrorHandlerFunc {
	var mu sync.Mutex
	var last time.Time
	return func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if at := now(); at.Sub(last) >= complainEvery {
			last = at
			log.Warn("telemetry could not be sent", "error", err)
		}
	}
}

// Close sends what is left, as long as the context lasts, and ends. What is told of afterwards is lost. Closing again does nothing.
func (t *Telemetry) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	var errs []error
	t.closed.Do(func() {
		if t.traces != nil {
			errs = append(errs, t.traces.Shutdown(ctx))
		}
		if t.metrics != nil {
			errs = append(errs, t.metrics.Shutdown(ctx))
		}
	})
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("send the last telemetry: %w", err)
	}
	return nil
}

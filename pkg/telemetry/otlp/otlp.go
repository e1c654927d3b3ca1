// Package otlp sends what OpenTelemetry's SDK has gathered to a collector: OTLP 1.x over HTTP, as protobuf, where and how the
// standard OTEL_EXPORTER_OTLP_ settings say. It gathers nothing itself, and does not speak gRPC or JSON.
//
// It is here because the SDK's own exporters link gRPC and the generated messages whatever the protocol, which is a quarter of
// the executable and of its memory. The tests hold every message against those exporters.
//
// The messages are those of opentelemetry-proto 1.x, whose numbers of fields never change:
// https://github.com/open-telemetry/opentelemetry-proto. How to post them: https://opentelemetry.io/docs/specs/otlp/#otlphttp.
package otlp

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
)

// Metrics exports metrics. It is safe for concurrent use.
type Metrics struct {
	client      *client
	temporality metric.TemporalitySelector
	aggregation metric.AggregationSelector
}

var _ metric.Exporter = (*Metrics)(nil)

// NewMetrics returns an exporter for what the settings name. It opens no connection. Its error names the setting that is wrong.
func NewMetrics(getenv func(string) string) (*Metrics, error) {
	s := settings{getenv, "METRICS"}
	c, err := s.client("/v1/metrics")
	if err != nil {
		return nil, err
	}
	e := &Metrics{client: c}
	if e.temporality, err = s.temporality(); err != nil {
		return nil, err
	}
	if e.aggregation, err = s.aggregation(); err != nil {
		return nil, err
	}
	return e, nil
}

// Temporality implements metric.Exporter.
func (e *Metrics) Temporality(k metric.InstrumentKind) metricdata.Temporality {
	return e.temporality(k)
}

// Aggregation implements metric.Exporter.
func (e *Metrics) Aggregation(k metric.InstrumentKind) metric.Aggregation { return e.aggregation(k) }

// Export implements metric.Exporter. It tries again as long as the context lasts, but for a minute at most.
func (e *Metrics) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	if err := e.client.post(ctx, metricsRequest(m)); err != nil {
		return fmt.Errorf("send metrics: %w", err)
	}
	return nil
}

// ForceFlush implements metric.Exporter. Nothing is held back.
func (e *Metrics) ForceFlush(ctx context.Context) error { return ctx.Err() }

// Shutdown implements metric.Exporter.
func (e *Metrics) Shutdown(ctx context.Context) error { return e.client.close(ctx) }

// Spans exports spans. It is safe for concurrent use.
type Spans struct{ client *client }

var _ trace.SpanExporter = (*Spans)(nil)

// NewSpans returns an exporter for what the settings name. It opens no connection. Its error names the setting that is wrong.
func NewSpans(getenv func(string) string) (*Spans, error) {
	c, err := settings{getenv, "TRACES"}.client("/v1/traces")
	if err != nil {
		return nil, err
	}
	return &Spans{client: c}, nil
}

// ExportSpans implements trace.SpanExporter. It tries again as long as the context lasts, but for a minute at most.
func (e *Spans) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	if err := e.client.post(ctx, spansRequest(spans)); err != nil {
		return fmt.Errorf("send spans: %w", err)
	}
	return nil
}

// Shutdown implements trace.SpanExporter.
func (e *Spans) Shutdown(ctx context.Context) error { return e.client.close(ctx) }

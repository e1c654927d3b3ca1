package otlp

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// posted returns what export posts.
func posted(t *testing.T, export func(url string) error) []byte {
	t.Helper()
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", mediaType)
	}))
	defer s.Close()
	if err := export(s.URL); err != nil {
		t.Fatal(err)
	}
	return body
}

func same[M proto.Message](t *testing.T, ours, theirs []byte, decode func() M) {
	t.Helper()
	a, b := decode(), decode()
	if err := errors.Join(proto.Unmarshal(ours, a), proto.Unmarshal(theirs, b)); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(a, b) {
		t.Errorf("we send\n%s\nOpenTelemetry's exporter sends\n%s", prototext.Format(a), prototext.Format(b))
	}
	if n := len(a.ProtoReflect().GetUnknown()); n > 0 {
		t.Errorf("%d bytes are in no field", n)
	}
	if len(ours) < 100 {
		t.Errorf("there are %d bytes alone", len(ours))
	}
}

// attributes has a value of every type, zero values among them.
func attributes() []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("text", "é"), attribute.String("no text", ""), attribute.Bool("yes", true), attribute.Bool("no", false),
		attribute.Int64("least", math.MinInt64), attribute.Int64("zero", 0), attribute.Float64("double", -0.5), attribute.Float64("0.0", 0),
		attribute.StringSlice("texts", []string{"a", ""}), attribute.BoolSlice("bools", []bool{false, true}),
		attribute.Int64Slice("ints", []int64{0, -1}), attribute.Float64Slice("doubles", []float64{0, math.Inf(1)}), attribute.StringSlice("none", nil),
		{Key: "bytes", Value: attribute.ByteSliceValue([]byte{0, 255})},
		{Key: "list", Value: attribute.SliceValue(attribute.IntValue(1), attribute.StringValue("x"))},
		{Key: "map", Value: attribute.MapValue(attribute.Int("a", 1), attribute.Bool("b", false))},
		{Key: "empty"},
	}
}

func who() *resource.Resource {
	return resource.NewWithAttributes("https://example.org/resource", attribute.String("service.name", "assay"), attribute.Int("n", 7))
}

func scope() instrumentation.Scope {
	return instrumentation.Scope{
		Name: "assay", Version: "1.2.3", SchemaURL: "https://example.org/scope", Attributes: attribute.NewSet(attribute.String("a", "b")),
	}
}

func TestMetricsAreThoseOfTheOtherExporter(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 3, 14, 15, 9, 26, 535, time.UTC)
	set := attribute.NewSet(attributes()...)
	exemplar := func(v float64) []metricdata.Exemplar[float64] {
		return []metricdata.Exemplar[float64]{
			{FilteredAttributes: attributes()[:2], Time: at, Value: v, SpanID: []byte{1, 2, 3, 4, 5, 6, 7, 8}, TraceID: []byte("0123456789abcdef")},
			{Time: at},
		}
	}
	all := &metricdata.ResourceMetrics{Resource: who(), ScopeMetrics: []metricdata.ScopeMetrics{
		{Scope: instrumentation.Scope{Name: "empty"}},
		{Scope: scope(), Metrics: []metricdata.Metrics{
			{Name: "gauge", Description: "what it is", Unit: "s", Data: metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{
				{Attributes: set, StartTime: at, Time: at.Add(time.Second), Value: 1.5, Exemplars: exemplar(1.5)}, {},
			}}},
			{Name: "whole gauge", Data: metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{Time: at, Value: -3}}}},
			{Name: "sum", Data: metricdata.Sum[int64]{
				Temporality: metricdata.CumulativeTemporality, IsMonotonic: true,
				DataPoints: []metricdata.DataPoint[int64]{
					{Attributes: set, StartTime: at, Time: at, Value: 1 << 60, Exemplars: []metricdata.Exemplar[int64]{{Time: at, Value: 7}, {}}}, {},
				},
			}},
			{Name: "up and down", Data: metricdata.Sum[float64]{Temporality: metricdata.DeltaTemporality, DataPoints: []metricdata.DataPoint[float64]{{Value: -1}}}},
			{Name: "histogram", Data: metricdata.Histogram[float64]{Temporality: metricdata.DeltaTemporality, DataPoints: []metricdata.HistogramDataPoint[float64]{
				{
					Attributes: set, StartTime: at, Time: at, Count: 6, Bounds: []float64{0, 1, 10.5}, BucketCounts: []uint64{0, 1, 2, 3}, Sum: 42,
					Min: metricdata.NewExtrema(0.), Max: metricdata.NewExtrema(12.), Exemplars: exemplar(0),
				}, {},
			}}},
			{Name: "whole histogram", Data: metricdata.Histogram[int64]{Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.HistogramDataPoint[int64]{
				{Time: at, Count: 1, Bounds: []float64{1}, BucketCounts: []uint64{1, 0}, Sum: 1, Min: metricdata.NewExtrema[int64](1)},
			}}},
			{Name: "exponential", Data: metricdata.ExponentialHistogram[float64]{
				Temporality: metricdata.CumulativeTemporality,
				DataPoints: []metricdata.ExponentialHistogramDataPoint[float64]{
					{
						Attributes: set, StartTime: at, Time: at, Count: 9, Sum: 4.5, Scale: -3, ZeroCount: 2, ZeroThreshold: .25,
						PositiveBucket: metricdata.ExponentialBucket{Offset: -7, Counts: []uint64{1, 0, 300}},
						NegativeBucket: metricdata.ExponentialBucket{Offset: 7, Counts: []uint64{4}},
						Min:            metricdata.NewExtrema(-1.), Max: metricdata.NewExtrema(1.), Exemplars: exemplar(-1),
					}, {},
				},
			}},
			{Name: "whole exponential", Data: metricdata.ExponentialHistogram[int64]{
				Temporality: metricdata.DeltaTemporality,
				DataPoints:  []metricdata.ExponentialHistogramDataPoint[int64]{{Time: at, Scale: 20, PositiveBucket: metricdata.ExponentialBucket{Counts: []uint64{1}}}},
			}},
		}},
	}}
	ours := posted(t, func(url string) error {
		e, err := NewMetrics(only("OTEL_EXPORTER_OTLP_ENDPOINT", url))
		if err != nil {
			return err
		}
		return errors.Join(e.Export(t.Context(), all), e.ForceFlush(t.Context()), e.Shutdown(t.Context()))
	})
	theirs := posted(t, func(url string) error {
		e, err := otlpmetrichttp.New(t.Context(), otlpmetrichttp.WithEndpointURL(url+"/v1/metrics"))
		if err != nil {
			return err
		}
		return errors.Join(e.Export(t.Context(), all), e.Shutdown(t.Context()))
	})
	same(t, ours, theirs, func() *collectormetrics.ExportMetricsServiceRequest {
		return &collectormetrics.ExportMetricsServiceRequest{}
	})
}

func TestSpansAreThoseOfTheOtherExporter(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 3, 14, 15, 9, 26, 535, time.UTC)
	state, err := oteltrace.ParseTraceState("vendor=1,other=2")
	if err != nil {
		t.Fatal(err)
	}
	span := func(n byte, remote bool) oteltrace.SpanContext {
		return oteltrace.NewSpanContext(oteltrace.SpanContextConfig{
			TraceID: oteltrace.TraceID{n, 15: 1}, SpanID: oteltrace.SpanID{n, 7: 1}, TraceFlags: oteltrace.FlagsSampled, Remote: remote,
		})
	}
	var stubs tracetest.SpanStubs
	for kind := oteltrace.SpanKindUnspecified; kind <= oteltrace.SpanKindConsumer; kind++ {
		stubs = append(stubs, tracetest.SpanStub{
			Name: fmt.Sprint("of kind ", kind), SpanContext: span(byte(kind)+1, false), SpanKind: kind, StartTime: at, EndTime: at.Add(time.Minute),
			Resource: who(), InstrumentationScope: scope(),
		})
	}
	stubs[0].SpanContext = stubs[0].SpanContext.WithTraceState(state)
	stubs[1].Parent = span(9, true)
	stubs[1].Attributes = attributes()
	stubs[1].DroppedAttributes, stubs[1].DroppedEvents, stubs[1].DroppedLinks = 1, 2, 3
	stubs[1].Status = trace.Status{Code: codes.Error, Description: "it failed"}
	stubs[1].Events = []trace.Event{{Name: "event", Time: at, Attributes: attributes(), DroppedAttributeCount: 4}, {Time: at}}
	stubs[1].Links = []trace.Link{{SpanContext: span(10, true), Attributes: attributes(), DroppedAttributeCount: 5}, {SpanContext: span(11, false)}}
	stubs[2].Parent = span(12, false)
	stubs[2].Status = trace.Status{Code: codes.Ok}
	spans := stubs.Snapshots()
	ours := posted(t, func(url string) error {
		e, err := NewSpans(only("OTEL_EXPORTER_OTLP_ENDPOINT", url))
		if err != nil {
			return err
		}
		return errors.Join(e.ExportSpans(t.Context(), spans), e.Shutdown(t.Context()))
	})
	theirs := posted(t, func(url string) error {
		e, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(url+"/v1/traces"))
		if err != nil {
			return err
		}
		return errors.Join(e.ExportSpans(t.Context(), spans), e.Shutdown(t.Context()))
	})
	same(t, ours, theirs, func() *collectortrace.ExportTraceServiceRequest { return &collectortrace.ExportTraceServiceRequest{} })
}

// Spans of several instrumentations are told as several groups, each by its own name.
func TestSpansOfSeveralScopes(t *testing.T) {
	t.Parallel()
	var stubs tracetest.SpanStubs
	for i, from := range []string{"a", "b", "a"} {
		stubs = append(stubs, tracetest.SpanStub{Name: fmt.Sprint(from, i), Resource: who(), InstrumentationScope: instrumentation.Scope{Name: from}})
	}
	var m collectortrace.ExportTraceServiceRequest
	if err := proto.Unmarshal(spansRequest(stubs.Snapshots()), &m); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range m.ResourceSpans {
		for _, s := range r.ScopeSpans {
			for _, x := range s.Spans {
				got = append(got, s.Scope.Name+":"+x.Name)
			}
		}
	}
	if fmt.Sprint(got) != "[a:a0 a:a2 b:b1]" {
		t.Errorf("%v", got)
	}
}

// only is an environment with these settings.
func only(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestWhatTheSDKIsTold(t *testing.T) {
	t.Parallel()
	const temporality, aggregation = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
	for _, c := range []struct {
		settings         []string
		counter, updown  metricdata.Temporality
		exponentialUsage bool
	}{
		{nil, metricdata.CumulativeTemporality, metricdata.CumulativeTemporality, false},
		{[]string{temporality, "Cumulative", aggregation, "explicit_bucket_histogram"}, metricdata.CumulativeTemporality, metricdata.CumulativeTemporality, false},
		{[]string{temporality, "delta"}, metricdata.DeltaTemporality, metricdata.CumulativeTemporality, false},
		{[]string{temporality, "lowmemory", aggregation, "base2_exponential_bucket_histogram"}, metricdata.DeltaTemporality, metricdata.CumulativeTemporality, true},
	} {
		e, err := NewMetrics(only(c.settings...))
		if err != nil {
			t.Fatal(err)
		}
		if a, b := e.Temporality(metric.InstrumentKindCounter), e.Temporality(metric.InstrumentKindUpDownCounter); a != c.counter || b != c.updown {
			t.Errorf("%v: %v, %v", c.settings, a, b)
		}
		if _, ok := e.Aggregation(metric.InstrumentKindHistogram).(metric.AggregationBase2ExponentialHistogram); ok != c.exponentialUsage {
			t.Errorf("%v: histograms are %T", c.settings, e.Aggregation(metric.InstrumentKindHistogram))
		}
		if _, ok := e.Aggregation(metric.InstrumentKindCounter).(metric.AggregationSum); !ok {
			t.Errorf("%v: counters are %T", c.settings, e.Aggregation(metric.InstrumentKindCounter))
		}
	}
}

package telemetry

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/pipeline"
)

// instruments are the metrics. Where OpenTelemetry has a convention for one, it has that name (semantic conventions 1.37: FaaS,
// database client, Azure Cosmos DB); the others begin with assay.
type instruments struct {
	invocations   metric.Float64Histogram
	records       metric.Int64Counter
	setAside      metric.Int64Counter
	undecided     metric.Int64Counter
	asked         metric.Int64Counter
	findings      metric.Int64Counter
	alerts        metric.Int64Counter
	lag           metric.Float64Gauge
	operations    metric.Float64Histogram
	requests      metric.Float64Histogram
	requestCharge metric.Float64Histogram
	deliveries    metric.Int64Counter
}

// seconds are the bounds of durations: from a point read to the deadline of a batch.
var seconds = []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600} //nolint:gochecknoglobals // a constant

func (t *Telemetry) make() error {
	var m metric.Meter = noop.Meter{}
	if t.metrics != nil {
		m = t.metrics.Meter(scope)
	}
	var errs []error
	histogram := func(name, unit, what string, bounds ...float64) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit(unit), metric.WithDescription(what), metric.WithExplicitBucketBoundaries(bounds...))
		errs = append(errs, err)
		return h
	}
	counter := func(name, unit, what string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		errs = append(errs, err)
		return c
	}
	t.invocations = histogram("faas.invoke_duration", "s", "How long the handler took for a call of the host", seconds...)
	t.records = counter("assay.records", "{record}", "Records that came in, by what became of them")
	t.setAside = counter("assay.records.set_aside", "{record}", "Records set aside, by reason")
	t.undecided = counter("assay.records.not_evaluable", "{record}", "Records on which a rule could not be decided for want of a field")
	t.asked = counter("assay.rule.records", "{record}", "Records that a rule was asked of, by kind of log and by whether it could be decided")
	t.findings = counter("assay.findings", "{finding}", "Matches by rule, known ones included")
	t.alerts = counter("assay.alerts", "{alert}", "Alerts that a batch touched, by rule and by whether they are new")
	t.operations = histogram("assay.store.duration", "s", "How long the store took for an operation, retries included", seconds...)
	t.requests = histogram("db.client.operation.duration", "s", "How long the database took for a request", seconds...)
	t.requestCharge = histogram("azure.cosmosdb.client.operation.request_charge", "{request_unit}", "Request units of a request",
		1, 5, 10, 25, 50, 100, 250, 500, 1000)
	t.deliveries = counter("assay.deliveries", "{delivery}", "Deliveries to subscriptions, by outcome")
	var err error
	t.lag, err = m.Float64Gauge("assay.lag", metric.WithUnit("s"), metric.WithDescription("How long the last event of a batch waited before it was processed"))
	return errors.Join(append(errs, err)...)
}

// Invocation begins the span of a call, below the host's if that sent one. The function that it returns ends it with the status
// of the answer.
func (t *Telemetry) Invocation(ctx context.Context, c azfunc.Call) (context.Context, func(status int)) {
	if t == nil {
		return ctx, func(int) {}
	}
	began := time.Now()
	kind, trigger := trace.SpanKindConsumer, "other"
	if c.Forwarded {
		kind, trigger = trace.SpanKindServer, "http"
	}
	if c.Function == "" {
		c.Function = "unknown"
	}
	name := attribute.String("faas.invoked_name", c.Function)
	span := trace.SpanFromContext(ctx) // none
	if t.tracer != nil {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": c.Traceparent, "tracestate": c.Tracestate})
		ctx, span = t.tracer.Start(ctx, c.Function, trace.WithSpanKind(kind), trace.WithAttributes(
			name, attribute.String("faas.trigger", trigger), attribute.String("faas.invocation_id", c.ID)))
	}
	return ctx, func(status int) {
		failed := status >= http.StatusInternalServerError
		if failed {
			span.SetStatus(codes.Error, "answered with "+strconv.Itoa(status))
		}
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		span.End()
		// The status is one of few, whoever asks.
		t.invocations.Record(context.WithoutCancel(ctx), time.Since(began).Seconds(), metric.WithAttributes(name, attribute.Bool("error", failed)))
	}
}

// Batch is a batch of events that was processed.
type Batch struct {
	Hub, Partition string
	Messages       int
	First, Last    int64         // sequence numbers
	Lag            time.Duration // how long the last event waited; negative: not known
	Publishers     []string      // trace contexts of those who sent the events; at most maxLinks are kept
	Report         *pipeline.Report
	Failed         bool
}

// maxLinks bounds the links of a span.
const maxLinks = 128

// Batch tells of a batch, in the span of its invocation.
func (t *Telemetry) Batch(ctx context.Context, b Batch) {
	if t == nil {
		return
	}
	hub, r := attribute.String("hub", b.Hub), b.Report
	var ignored, setAside int64
	for _, n := range r.Ignored {
		ignored += n // by category, which an event names: not told
	}
	for reason, n := range r.SetAside {
		setAside += n
		t.setAside.Add(ctx, n, metric.WithAttributes(hub, attribute.String("reason", reason)))
	}
	for outcome, n := range map[string]int64{"evaluated": r.Evaluated, "ignored": ignored, "set_aside": setAside} {
		t.records.Add(ctx, n, metric.WithAttributes(hub, attribute.String("outcome", outcome)))
	}
	for id, blind := range r.NotEvaluable {
		for field, n := range blind.Missing {
			t.undecided.Add(ctx, n, metric.WithAttributes(attribute.String("rule", id), attribute.String("field", field)))
		}
	}
	for of, asked := range r.Asked {
		rule, kind := attribute.String("rule", of.RuleID), attribute.String("log", of.Kind.String())
		t.asked.Add(ctx, asked.Decided, metric.WithAttributes(rule, kind, attribute.Bool("decided", true)))
		t.asked.Add(ctx, asked.Records-asked.Decided, metric.WithAttributes(rule, kind, attribute.Bool("decided", false)))
	}
	for _, touched := range r.Alerts {
		state := "known"
		if touched.New {
			state = "new"
		}
		t.findings.Add(ctx, touched.CountInRun, metric.WithAttributes(attribute.String("rule", touched.Alert.Rule.ID)))
		t.alerts.Add(ctx, 1, metric.WithAttributes(attribute.String("rule", touched.Alert.Rule.ID),
			attribute.String("severity", touched.Alert.Severity.String()), attribute.String("state", state)))
	}
	if b.Lag >= 0 && !b.Failed {
		t.lag.Record(ctx, b.Lag.Seconds(), metric.WithAttributes(hub, attribute.String("partition", b.Partition)))
	}
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		attribute.String("messaging.system", "eventhubs"), attribute.String("messaging.destination.name", b.Hub),
		attribute.String("messaging.destination.partition.id", b.Partition), attribute.Int("messaging.batch.message_count", b.Messages),
		attribute.Int64("assay.sequence.first", b.First), attribute.Int64("assay.sequence.last", b.Last),
		attribute.Int64("assay.records", r.Records), attribute.Int64("assay.records.set_aside", setAside), attribute.Int64("assay.findings", r.Findings), attribute.Int64("assay.findings.new", r.NewFindings),
	)
	for _, parent := range b.Publishers[:min(len(b.Publishers), maxLinks)] {
		from := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": parent})
		if c := trace.SpanContextFromContext(from); c.IsValid() {
			span.AddLink(trace.Link{SpanContext: c})
		}
	}
}

// Operation tells of an operation of the store that began at the time and has just ended.
func (t *Telemetry) Operation(ctx context.Context, name string, began time.Time, err error) {
	if t == nil {
		return
	}
	at := attribute.String("operation", name)
	t.operations.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(at, attribute.Bool("error", err != nil)))
	if t.tracer != nil && trace.SpanFromContext(ctx).IsRecording() {
		_, span := t.tracer.Start(ctx, "store "+name, trace.WithTimestamp(began))
		if err != nil {
			span.SetStatus(codes.Error, "") // the reason is in the log: it may name documents
		}
		span.End()
	}
}

// Request is a request to a database.
type Request struct {
	System, Operation, Container string
	Status                       int     // of HTTP; 0: there was no answer
	Charge                       float64 // in request units
	Began                        time.Time
}

// Request tells of a request that has just ended.
func (t *Telemetry) Request(ctx context.Context, r Request) {
	if t == nil {
		return
	}
	attributes := []attribute.KeyValue{
		attribute.String("db.system.name", r.System), attribute.String("db.operation.name", r.Operation),
		attribute.String("db.collection.name", r.Container), attribute.Int("db.response.status_code", r.Status),
	}
	t.requests.Record(ctx, time.Since(r.Began).Seconds(), metric.WithAttributes(attributes...))
	if r.Charge > 0 {
		t.requestCharge.Record(ctx, r.Charge, metric.WithAttributes(attributes...))
	}
	if t.tracer != nil && trace.SpanFromContext(ctx).IsRecording() {
		_, span := t.tracer.Start(ctx, r.Operation+" "+r.Container, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(r.Began),
			trace.WithAttributes(append(attributes, attribute.Float64("azure.cosmosdb.operation.request_charge", r.Charge))...))
		if r.Status == 0 || r.Status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Deliveries tells that n deliveries to subscriptions came to the outcome: "sent", "retried", "parked" or "dead".
func (t *Telemetry) Deliveries(ctx context.Context, outcome string, n int) {
	if t != nil && n > 0 {
		t.deliveries.Add(ctx, int64(n), metric.WithAttributes(attribute.String("outcome", outcome)))
	}
}

package telemetry

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/rule"
)

// collector takes OTLP over HTTP as its specification has it: protobuf, posted to /v1/metrics and /v1/traces.
type collector struct {
	*httptest.Server
	mu       sync.Mutex
	numbers  map[string]float64 // values of metrics and counts of histograms, by name and attributes
	units    map[string]string
	spans    []*trace.Span
	who      map[string]string
	problems []error
	status   int           // that is answered; 0: 200
	hang     chan struct{} // closed when the collector is to answer again; nil: it answers
	asked    int
}

func collect(t *testing.T) *collector {
	t.Helper()
	c := &collector{numbers: map[string]float64{}, units: map[string]string{}, who: map[string]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	hang, status := c.hang, c.status
	c.asked++
	c.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.take(r); err != nil {
		c.problems = append(c.problems, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *collector) take(r *http.Request) error {
	if r.Header.Get("Content-Type") != "application/x-protobuf" {
		return fmt.Errorf("media type %q", r.Header.Get("Content-Type"))
	}
	var from io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(from)
		if err != nil {
			return err
		}
		from = z
	}
	body, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	switch r.URL.Path {
	case "/v1/metrics":
		var m collectormetrics.ExportMetricsServiceRequest
		if err := proto.Unmarshal(body, &m); err != nil {
			return err
		}
		for _, from := range m.ResourceMetrics {
			maps.Copy(c.who, texts(from.Resource.Attributes))
			for _, s := range from.ScopeMetrics {
				for _, x := range s.Metrics {
					c.takeMetric(x)
				}
			}
		}
	case "/v1/traces":
		var m collectortrace.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &m); err != nil {
			return err
		}
		for _, from := range m.ResourceSpans {
			for _, s := range from.ScopeSpans {
				c.spans = append(c.spans, s.Spans...)
			}
		}
	default:
		return errors.New("posted to " + r.URL.Path)
	}
	return nil
}

func (c *collector) takeMetric(m *metrics.Metric) {
	c.units[m.Name] = m.Unit
	for _, p := range append(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()...) {
		c.numbers[label(m.Name, p.Attributes)] = float64(p.GetAsInt()) + p.GetAsDouble()
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		c.numbers[label(m.Name, p.Attributes)] = float64(p.Count)
	}
}

// texts returns the attributes as texts.
func texts(attributes []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range attributes {
		switch v := a.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			out[a.Key] = v.StringValue
		case *common.AnyValue_BoolValue:
			out[a.Key] = fmt.Sprint(v.BoolValue)
		case *common.AnyValue_IntValue:
			out[a.Key] = fmt.Sprint(v.IntValue)
		case *common.AnyValue_DoubleValue:
			out[a.Key] = fmt.Sprint(v.DoubleValue)
		}
	}
	return out
}

func label(name string, attributes []*common.KeyValue) string {
	all := texts(attributes)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		name += " " + k + "=" + all[k]
	}
	return name
}

// began starts telemetry that goes to the collector.
func began(t *testing.T, c *collector, settings ...string) *Telemetry {
	t.Helper()
	t.Setenv(SettingEndpoint, c.URL)
	for i := 0; i+1 < len(settings); i += 2 {
		t.Setenv(settings[i], settings[i+1])
	}
	got, err := Start(t.Context(), os.Getenv, Options{Version: "1.2.3", App: "contoso", Instance: "7", Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil || got == nil {
		t.Fatalf("%v, %v", got, err)
	}
	return got
}

func closed(t *testing.T, x *Telemetry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := x.Close(ctx); err != nil {
		t.Error(err)
	}
}

const (
	hostTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	hostSpan  = "00f067aa0ba902b7"
)

// report is what a batch came to.
func report() *pipeline.Report {
	r := pipeline.NewReport()
	r.Records, r.Evaluated, r.Findings, r.NewFindings = 10, 6, 3, 2
	r.Ignored["a category that the attacker made up"] = 3
	r.SetAside["no-time"] = 1
	r.NotEvaluable["ioc-ip"] = &pipeline.Blind{Records: 4, Missing: map[string]int64{"net.ip": 4}}
	r.Asked[pipeline.RuleOfKind{RuleID: "ioc-ip", Kind: event.Audit}] = pipeline.Asked{Records: 6, Decided: 2}
	r.Alerts["x"] = &pipeline.Touched{New: true, CountInRun: 3, Alert: alert.Alert{
		Severity: rule.High, Rule: alert.RuleRef{ID: "token-alg-none"}, Subject: alert.Subject{User: "ada@contoso.example"},
	}}
	return r
}

func TestWhatIsSent(t *testing.T) {
	c := collect(t)
	x := began(t, c)
	ctx, answered := x.Invocation(t.Context(), azfunc.Call{Function: "signin", ID: "i-1", Traceparent: "00-" + hostTrace + "-" + hostSpan + "-01"})
	x.Operation(ctx, "record", time.Now(), nil)
	x.Request(ctx, Request{System: "azure.cosmosdb", Operation: "batch", Container: "alerts", Status: 200, Charge: 31.5, Began: time.Now()})
	x.Batch(ctx, Batch{
		Hub: "signins", Partition: "3", Messages: 2, First: 41, Last: 42, Lag: 90 * time.Second, Report: report(),
		Publishers: []string{"00-" + strings.Repeat("a", 32) + "-" + strings.Repeat("b", 16) + "-01", "no trace context"},
	})
	answered(http.StatusOK)
	_, answered = x.Invocation(t.Context(), azfunc.Call{Function: "GET /api/alerts", Forwarded: true})
	answered(http.StatusInternalServerError)
	x.Deliveries(t.Context(), "sent", 5)
	x.Deliveries(t.Context(), "dead", 0)
	closed(t, x)

	for _, err := range c.problems {
		t.Error(err)
	}
	want := map[string]float64{
		"faas.invoke_duration error=false faas.invoked_name=signin":         1,
		"faas.invoke_duration error=true faas.invoked_name=GET /api/alerts": 1,
		"assay.records hub=signins outcome=evaluated":                       6,
		"assay.records hub=signins outcome=ignored":                         3,
		"assay.records hub=signins outcome=set_aside":                       1,
		"assay.records.set_aside hub=signins reason=no-time":                1,
		"assay.records.not_evaluable field=net.ip rule=ioc-ip":              4,
		"assay.rule.records decided=true log=audit rule=ioc-ip":             2,
		"assay.rule.records decided=false log=audit rule=ioc-ip":            4,
		"assay.findings rule=token-alg-none":                                3,
		"assay.alerts rule=token-alg-none severity=high state=new":          1,
		"assay.lag hub=signins partition=3":                                 90,
		"assay.store.duration error=false operation=record":                 1,
		"assay.deliveries outcome=sent":                                     5,
		"db.client.operation.duration db.collection.name=alerts db.operation.name=batch db.response.status_code=200 db.system.name=azure.cosmosdb":                   1,
		"azure.cosmosdb.client.operation.request_charge db.collection.name=alerts db.operation.name=batch db.response.status_code=200 db.system.name=azure.cosmosdb": 1,
	}
	if !maps.Equal(c.numbers, want) {
		for k, v := range c.numbers {
			if want[k] != v {
				t.Errorf("%s is %v, want %v", k, v, want[k])
			}
		}
		for k, v := range want {
			if _, ok := c.numbers[k]; !ok {
				t.Errorf("%s is not sent, want %v", k, v)
			}
		}
	}
	if c.units["assay.lag"] != "s" || c.units["faas.invoke_duration"] != "s" || c.units["assay.records"] != "{record}" {
		t.Errorf("units %v", c.units)
	}
	if c.who["service.name"] != "assay" || c.who["service.version"] != "1.2.3" || c.who["service.instance.id"] != "7" || c.who["faas.name"] != "contoso" {
		t.Errorf("it is from %v", c.who)
	}
	checkSpans(t, c.spans)
	if all := fmt.Sprint(c.numbers, c.spans); strings.Contains(all, "ada@") || strings.Contains(all, "made up") {
		t.Error("texts of events are sent")
	}
}

func checkSpans(t *testing.T, spans []*trace.Span) {
	t.Helper()
	byName := map[string]*trace.Span{}
	for _, s := range spans {
		byName[s.Name] = s
	}
	batch, record, request, web := byName["signin"], byName["store record"], byName["batch alerts"], byName["GET /api/alerts"]
	if len(spans) != 4 || batch == nil || record == nil || request == nil || web == nil {
		t.Fatalf("spans %v", spans)
	}
	if fmt.Sprintf("%x", batch.TraceId) != hostTrace || fmt.Sprintf("%x", batch.ParentSpanId) != hostSpan {
		t.Errorf("the batch's span is in trace %x below %x", batch.TraceId, batch.ParentSpanId)
	}
	for _, s := range []*trace.Span{record, request} {
		if string(s.ParentSpanId) != string(batch.SpanId) || string(s.TraceId) != string(batch.TraceId) {
			t.Errorf("%s is not below the batch", s.Name)
		}
	}
	if batch.Kind != trace.Span_SPAN_KIND_CONSUMER || web.Kind != trace.Span_SPAN_KIND_SERVER || request.Kind != trace.Span_SPAN_KIND_CLIENT {
		t.Errorf("kinds %v %v %v", batch.Kind, web.Kind, request.Kind)
	}
	if len(batch.Links) != 1 || fmt.Sprintf("%x", batch.Links[0].TraceId) != strings.Repeat("a", 32) {
		t.Errorf("links %v", batch.Links)
	}
	got := texts(batch.Attributes)
	for k, v := range map[string]string{
		"faas.invocation_id": "i-1", "messaging.destination.name": "signins", "messaging.destination.partition.id": "3",
		"messaging.batch.message_count": "2", "assay.sequence.first": "41", "assay.sequence.last": "42", "assay.records": "10",
	} {
		if got[k] != v {
			t.Errorf("the batch's %s is %q, want %q", k, got[k], v)
		}
	}
	if web.Status.GetCode() != trace.Status_STATUS_CODE_ERROR || batch.Status.GetCode() == trace.Status_STATUS_CODE_ERROR {
		t.Errorf("status %v, %v", web.Status, batch.Status)
	}
}

// Whoever wrote the events cannot make a thousand streams.
func TestLinksAreBounded(t *testing.T) {
	c := collect(t)
	x := began(t, c, "OTEL_METRICS_EXPORTER", "none")
	ctx, answered := x.Invocation(t.Context(), azfunc.Call{Function: "signin"})
	b := Batch{Hub: "signins", Lag: -1, Report: pipeline.NewReport()}
	for i := range 1000 {
		b.Publishers = append(b.Publishers, fmt.Sprintf("00-%032x-%016x-01", i+1, i+1))
	}
	x.Batch(ctx, b)
	answered(http.StatusOK)
	closed(t, x)
	if len(c.spans) != 1 || len(c.spans[0].Links) != maxLinks {
		t.Errorf("%d spans", len(c.spans))
	}
	if len(c.numbers) > 0 {
		t.Errorf("metrics were not wanted: %v", c.numbers)
	}
}

// What is told costs no more while the collector hangs, or fails; the failure is logged once.
func TestACollectorInTrouble(t *testing.T) {
	for name, prepare := range map[string]func(*collector){
		"hangs": func(c *collector) { c.hang = make(chan struct{}) },
		"fails": func(c *collector) { c.status = http.StatusBadRequest },
		"gone":  func(c *collector) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			c := collect(t)
			prepare(c)
			x := began(t, c, "OTEL_BSP_SCHEDULE_DELAY", "1", "OTEL_METRIC_EXPORT_INTERVAL", "1", "OTEL_BSP_MAX_QUEUE_SIZE", "4", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
			for range 5000 {
				ctx, answered := x.Invocation(t.Context(), azfunc.Call{Function: "signin"})
				x.Batch(ctx, Batch{Hub: "signins", Lag: time.Second, Report: report()})
				answered(http.StatusOK)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // the end of the process waits for nobody
			if err := x.Close(ctx); err == nil && name != "fails" {
				t.Error("it claims to have sent everything")
			}
			if c.hang != nil {
				close(c.hang)
			}
		})
	}
}

func TestFailuresAreLoggedNowAndThen(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	now := time.Date(2025, 3, 14, 0, 0, 0, 0, time.UTC)
	complain := complainer(slog.New(slog.NewTextHandler(&lines, nil)), func() time.Time { return now })
	for range 3 {
		complain(errors.New("no answer"))
	}
	now = now.Add(complainEvery)
	complain(errors.New("no answer"))
	if n := strings.Count(lines.String(), "telemetry could not be sent"); n != 2 {
		t.Errorf("%d lines:\n%s", n, lines.String())
	}
}

func TestWhatTheSettingsAskFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		settings        map[string]string
		metrics, traces bool
	}{
		{"nothing", nil, false, false},
		{"all", map[string]string{SettingEndpoint: "http://127.0.0.1:4318"}, true, true},
		{"metrics", map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:4318/v1/metrics"}, true, false},
		{"traces", map[string]string{SettingEndpoint: "http://127.0.0.1:4318", "OTEL_METRICS_EXPORTER": "none"}, false, true},
		{"switched off", map[string]string{SettingEndpoint: "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, false, false},
	} {
		metrics, traces := signals(func(k string) string { return c.settings[k] })
		if metrics != c.metrics || traces != c.traces {
			t.Errorf("%s: metrics %v, traces %v", c.name, metrics, traces)
		}
	}
	_, err := Start(t.Context(), func(k string) string {
		return map[string]string{SettingEndpoint: "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}[k]
	}, Options{})
	if err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_PROTOCOL") {
		t.Errorf("a protocol that is not spoken: %v", err)
	}
}

// Nothing is wanted, nothing is done: nil takes every call.
func TestNil(t *testing.T) {
	t.Parallel()
	x, err := Start(t.Context(), func(string) string { return "" }, Options{})
	if x != nil || err != nil {
		t.Fatalf("%v, %v", x, err)
	}
	ctx, answered := x.Invocation(t.Context(), azfunc.Call{})
	x.Batch(ctx, Batch{})
	x.Operation(ctx, "", time.Time{}, nil)
	x.Request(ctx, Request{})
	x.Deliveries(ctx, "sent", 1)
	answered(200)
	if err := x.Close(ctx); err != nil {
		t.Error(err)
	}
}

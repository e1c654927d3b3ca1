package main

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/assay-sec/assay/pkg/telemetry"
)

// A batch of the host is told of below the host's own span, metrics go along, and nothing of any event does.
func TestTelemetry(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	var mu sync.Mutex
	var all strings.Builder
	spans := map[string]string{} // trace by name of the span
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			t.Error(err)
		}
		all.Write(body)
		w.Header().Set("Content-Type", "application/x-protobuf")
		var m collectortrace.ExportTraceServiceRequest
		if r.URL.Path != "/v1/traces" {
			return
		}
		if err := proto.Unmarshal(body, &m); err != nil {
			t.Error(err)
		}
		for _, s := range m.ResourceSpans[0].ScopeSpans[0].Spans {
			spans[s.Name] = hex.EncodeToString(s.TraceId)
		}
	}))
	t.Cleanup(collector.Close)
	t.Setenv(telemetry.SettingEndpoint, collector.URL)
	url, s, _ := start(t, map[string]string{telemetry.SettingEndpoint: collector.URL})
	status, _ := do(t, http.MethodPost, url+"/tokens", invocation(payloads(t)["many, binary"], 0), "Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	if status != http.StatusOK {
		t.Fatal(status)
	}
	if status, _ := do(t, http.MethodGet, url+"/api/alerts?limit=1", ""); status != http.StatusOK {
		t.Fatal(status)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for name, in := range map[string]string{"tokens": trace, "store record": trace, "store set aside": trace} {
		if spans[name] != in {
			t.Errorf("%s is in trace %q of %v", name, spans[name], spans)
		}
	}
	if spans["GET /api/alerts"] == "" || spans["GET /api/alerts"] == trace {
		t.Errorf("the request of a person is in %v", spans)
	}
	for _, name := range []string{"assay.records", "assay.records.set_aside", "assay.records.not_evaluable", "assay.findings", "assay.alerts", "assay.lag", "assay.store.duration", "faas.invoke_duration"} {
		if !strings.Contains(all.String(), name) {
			t.Errorf("%s is not sent", name)
		}
	}
	for _, text := range []string{"xMFjTVvJPE2OChJx_YE-AA", "api://orders", victim} {
		if strings.Contains(all.String(), text) {
			t.Errorf("%q of an event is sent", text)
		}
	}
}

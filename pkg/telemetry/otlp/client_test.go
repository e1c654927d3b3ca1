package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// answer is what the collector does with a request.
type answer struct {
	status int // 0: the connection breaks
	after  string
	kind   string
	body   []byte
}

// script is a collector that answers as it is written, then takes everything. It notes when it was asked.
type script struct {
	answers []answer
	asked   []time.Duration
	began   time.Time
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	s.asked = append(s.asked, time.Since(s.began))
	a := answer{status: http.StatusOK}
	if n := len(s.asked); n <= len(s.answers) {
		a = s.answers[n-1]
	}
	if a.status == 0 {
		return nil, errors.New("connection refused")
	}
	h := http.Header{"Content-Type": {a.kind}}
	if a.after != "" {
		h.Set("Retry-After", a.after)
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(bytes.NewReader(a.body)), Request: r}, nil
}

func TestWhatIsTriedAgain(t *testing.T) {
	t.Parallel()
	partial, err := proto.Marshal(&collectormetrics.ExportMetricsServiceResponse{
		PartialSuccess: &collectormetrics.ExportMetricsPartialSuccess{RejectedDataPoints: 3, ErrorMessage: "too old"},
	})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := proto.Marshal(&collectormetrics.ExportMetricsServiceResponse{PartialSuccess: &collectormetrics.ExportMetricsPartialSuccess{}})
	if err != nil {
		t.Fatal(err)
	}
	endless := make([]answer, 100)
	for i := range endless {
		endless[i].status = http.StatusServiceUnavailable
	}
	for _, c := range []struct {
		name    string
		answers []answer
		tries   int
		least   time.Duration // before the last try
		problem string        // empty: it is taken
	}{
		{"taken", nil, 1, 0, ""},
		{"taken, said so", []answer{{status: 200, kind: mediaType, body: whole}}, 1, 0, ""},
		{"taken, in words of its own", []answer{{status: 202, kind: "text/plain", body: []byte("fine")}}, 1, 0, ""},
		{"partly refused", []answer{{status: 200, kind: mediaType, body: partial}}, 1, 0, `refuses 3 items: "too old"`},
		{"wrong", []answer{{status: 400}}, 1, 0, "400"},
		{"forbidden", []answer{{status: 403}}, 1, 0, "403"},
		{"moved", []answer{{status: 307}}, 1, 0, "307"},
		{"broken for good", []answer{{status: 500}}, 1, 0, "500"},
		{"busy", []answer{{status: 429}, {status: 502}, {status: 504}}, 4, 17 * time.Second, ""},
		{"says when", []answer{{status: 503, after: "40"}}, 2, 40 * time.Second, ""},
		{"says when, as a date", []answer{{status: 503, after: "Sat, 01 Jan 2000 00:00:40 GMT"}}, 2, 40 * time.Second, ""},
		{"later than we wait", []answer{{status: 503, after: "70"}}, 1, 0, "503"},
		{"gone for a while", []answer{{}, {}}, 3, 7 * time.Second, ""},
		{"down", endless, 5, 0, "503"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: c.answers, began: time.Now()}
				e, err := NewMetrics(only("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example/secret?key=secret", "OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret"))
				if err != nil {
					t.Fatal(err)
				}
				e.client.web.Transport = s
				err = e.Export(t.Context(), &metricdata.ResourceMetrics{Resource: who()})
				if (err == nil) != (c.problem == "") || err != nil && (!strings.Contains(err.Error(), c.problem) || strings.Contains(err.Error(), "secret")) {
					t.Errorf("%v, want %q", err, c.problem)
				}
				if c.name == "down" && len(s.asked) >= 3 { // how often it fits into a minute depends on jitter
					c.tries = len(s.asked)
				}
				if len(s.asked) != c.tries || s.asked[len(s.asked)-1] < c.least || s.asked[len(s.asked)-1] > patience {
					t.Errorf("asked after %v, want %d times, the last after %v or later", s.asked, c.tries, c.least)
				}
			})
		})
	}
}

// The end of the process ends the waiting.
func TestTheContextEndsTheWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, err := NewSpans(only())
		if err != nil {
			t.Fatal(err)
		}
		s := &script{answers: []answer{{status: 503}}, began: time.Now()}
		e.client.web.Transport = s
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Second)
			cancel()
		}()
		if err := e.ExportSpans(ctx, nil); err == nil || time.Since(s.began) != time.Second || len(s.asked) != 1 {
			t.Errorf("%v after %v and %d tries", err, time.Since(s.began), len(s.asked))
		}
		if err := e.ExportSpans(ctx, nil); !errors.Is(err, context.Canceled) || len(s.asked) != 1 {
			t.Errorf("%v after %d tries", err, len(s.asked))
		}
	})
}

func TestWhereAndHow(t *testing.T) {
	t.Parallel()
	const all, metrics = "OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_METRICS_"
	for _, c := range []struct {
		settings []string
		url      string
		header   string // "k: v"
		timeout  time.Duration
	}{
		{nil, "http://localhost:4318/v1/metrics", "Content-Type: application/x-protobuf", defaultTimeout},
		{[]string{all + "ENDPOINT", "https://c.example"}, "https://c.example/v1/metrics", "", defaultTimeout},
		{[]string{all + "ENDPOINT", " https://c.example/otlp/ "}, "https://c.example/otlp/v1/metrics", "", defaultTimeout},
		{[]string{all + "ENDPOINT", "https://c.example", metrics + "ENDPOINT", "https://m.example/in"}, "https://m.example/in", "", defaultTimeout},
		{[]string{metrics + "ENDPOINT", "https://m.example"}, "https://m.example/", "", defaultTimeout},
		{[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t.example"}, "http://localhost:4318/v1/metrics", "", defaultTimeout},
		{[]string{all + "HEADERS", "api-key=a%2Cb, x = y"}, "http://localhost:4318/v1/metrics", "Api-Key: a,b", defaultTimeout},
		{[]string{all + "HEADERS", "x=1,z=3", metrics + "HEADERS", "x=2"}, "http://localhost:4318/v1/metrics", "X: 2", defaultTimeout},
		{[]string{all + "TIMEOUT", "3000", metrics + "TIMEOUT", "1500"}, "http://localhost:4318/v1/metrics", "", 1500 * time.Millisecond},
		{[]string{all + "COMPRESSION", "gzip"}, "http://localhost:4318/v1/metrics", "Content-Encoding: gzip", defaultTimeout},
		{[]string{all + "COMPRESSION", "gzip", metrics + "COMPRESSION", "none"}, "http://localhost:4318/v1/metrics", "", defaultTimeout},
	} {
		e, err := NewMetrics(only(c.settings...))
		if err != nil {
			t.Errorf("%v: %v", c.settings, err)
			continue
		}
		k, v, _ := strings.Cut(c.header, ": ")
		if e.client.url != c.url || e.client.timeout != c.timeout || e.client.header.Get(k) != v {
			t.Errorf("%v: %s, %v, %v", c.settings, e.client.url, e.client.timeout, e.client.header)
		}
	}
}

func TestSettingsThatAreWrong(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"},
		{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://user:secret@%zz"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "secret"},
		{"OTEL_EXPORTER_OTLP_METRICS_HEADERS", "key=secret%zz"},
		{"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", "10s"},
		{"OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "0"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", filepath.Join(empty, "none")},
		{"OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", empty},
		{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", empty},
		{"OTEL_EXPORTER_OTLP_CLIENT_KEY", empty},
		{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sometimes"},
		{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "none"},
	} {
		_, err := NewMetrics(only(c[0], c[1]))
		if err == nil || !strings.Contains(err.Error(), c[0]) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s=%s: %v", c[0], c[1], err)
		}
	}
	_, err := NewSpans(only("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", empty, "OTEL_EXPORTER_OTLP_CLIENT_KEY", empty))
	if err == nil {
		t.Error("a certificate without a text is taken")
	}
}

// A collector with a certificate of its own authority, which asks for ours, and takes gzip.
func TestCertificatesAndCompression(t *testing.T) {
	t.Parallel()
	var got []byte
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		if got, err = io.ReadAll(z); err != nil || len(r.TLS.PeerCertificates) != 1 {
			t.Errorf("%v, %d certificates", err, len(r.TLS.PeerCertificates))
		}
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	defer s.Close()
	dir := t.TempDir()
	ours := s.TLS.Certificates[0] // any pair will do
	key, err := os.Create(filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ours.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(pem.Encode(key, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), key.Close())
	roots := filepath.Join(dir, "roots.pem")
	err = errors.Join(err, os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	const all = "OTEL_EXPORTER_OTLP_"
	e, err := NewMetrics(only(all+"ENDPOINT", s.URL, all+"CERTIFICATE", roots, all+"CLIENT_CERTIFICATE", roots, all+"CLIENT_KEY", key.Name(), all+"COMPRESSION", "gzip"))
	if err != nil {
		t.Fatal(err)
	}
	m := &metricdata.ResourceMetrics{Resource: who()}
	if err := e.Export(t.Context(), m); err != nil || !bytes.Equal(got, metricsRequest(m)) {
		t.Errorf("%v, %d bytes", err, len(got))
	}
}

// FuzzRefused reads answers of a collector, which may be anything.
func FuzzRefused(f *testing.F) {
	f.Add([]byte{0x0a, 0x04, 0x08, 0x03, 0x12, 0x00})
	f.Fuzz(func(t *testing.T, answer []byte) {
		if err := refused(answer); err != nil && len(err.Error()) > 4*600 {
			t.Errorf("an answer of %d bytes makes an error of %d", len(answer), len(err.Error()))
		}
	})
}

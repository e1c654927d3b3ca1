package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/telemetry"
)

// marker stands where an event, a caller or the configuration says something that no line and no metric may repeat.
const marker = "zQ7marked"

// marked returns the record once for each of its texts and names, with the marker in that place alone: what is around it is as real as before.
func marked(t *testing.T, record any) []string {
	t.Helper()
	var out []string
	add := func() { out = append(out, text(t, record)) }
	var walk func(v any, set func(any))
	walk = func(v any, set func(any)) {
		switch x := v.(type) {
		case string:
			for _, s := range []string{marker + x, x + marker, marker} {
				set(s)
				add()
			}
			set(x)
		case []any:
			for i := range x {
				walk(x[i], func(v any) { x[i] = v })
			}
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(x)) {
				value := x[name]
				delete(x, name)
				x[marker+name] = value
				add()
				delete(x, marker+name)
				x[name] = value
				walk(value, func(v any) { x[name] = v })
			}
		}
	}
	walk(record, func(v any) { record = v })
	return append(out, "{broken "+marker, `"`+marker, marker)
}

// sampleRecords are the first records of each log of the bundled attacks.
func sampleRecords(t *testing.T) []any {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "pkg", "sample", "events", "*", "*.*json"))
	if err != nil || len(files) < 5 {
		t.Fatalf("no bundled logs: %v", err)
	}
	var out []any
	for _, file := range files {
		var v any
		if err := json.NewDecoder(bytes.NewReader(read(t, file))).Decode(&v); err != nil {
			continue // damaged on purpose
		}
		if o, ok := v.(map[string]any); ok && o["records"] != nil {
			v = o["records"]
		}
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[0]
		}
		out = append(out, v)
	}
	return out
}

// Whatever an event says, and in whichever of its fields, no log line, metric or span repeats it. Nor do they repeat what callers say,
// keys and notes included, or the secrets of the configuration.
func TestNothingThatEventsOrCallersSayIsToldOf(t *testing.T) {
	var mu sync.Mutex
	var sent bytes.Buffer
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := io.Copy(&sent, r.Body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(collector.Close)
	var received atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		received.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, marker)
	}))
	t.Cleanup(receiver.Close)
	document := filepath.Join(t.TempDir(), "assay.yaml")
	if err := os.WriteFile(document, fmt.Appendf(nil, "tenants:\n  - {id: %s, name: %s}\nsubscriptions:\n  - {name: soc, kind: webhook, url: %q, local: true, minSeverity: info, minStrength: weak}\n",
		victim, marker, receiver.URL+"/"+marker), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(telemetry.SettingEndpoint, collector.URL)
	url, s, log := start(t, map[string]string{
		telemetry.SettingEndpoint: collector.URL, app.SettingConfig: document, app.SettingKeys: "off", app.SettingAuth: "entra", "WEBSITE_AUTH_ENABLED": "True",
	})
	const header = "X-MS-CLIENT-PRINCIPAL"
	analyst := []string{header, principal("Assay.Analyst"), "X-Functions-Key", marker}

	batch := func(messages []string) string {
		return fmt.Sprintf(`{"Data":{"events":%s},"Metadata":{"PartitionContext":{"EventHubName":"tokens","PartitionId":"1"},"SequenceNumberArray":"[41]",`+
			`"PartitionKeyArray":"[\"%[2]s\"]","PropertiesArray":"[{\"Diagnostic-Id\":\"%[2]s\",\"%[2]s\":\"%[2]s\"}]","%[2]s":"%[2]s"}}`, text(t, text(t, messages)), marker)
	}
	posted := 0
	for _, record := range sampleRecords(t) {
		messages := marked(t, record)
		posted += len(messages)
		if status, body := do(t, http.MethodPost, url+"/tokens", batch(messages), "Traceparent", marker, "Tracestate", marker); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
	}
	if status, body := do(t, http.MethodPost, url+"/tokens", batch(messages())); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	// Of a single event, the host lets its own members overwrite the metadata.
	single := `{"Data":{"events":"\"{}\""},"Metadata":{"SequenceNumber":"` + marker + `","EnqueuedTimeUtc":"` + marker + `","Properties":"` + marker +
		`","SystemProperties":{"SequenceNumber":"` + marker + `"},"PartitionContext":"` + marker + `","RetryContext":"` + marker + `"}}`
	for _, body := range []string{single, `{"Data":{"` + marker + `":1}}`, `{"Data":{"a":1,"` + marker + `":1,"` + marker + `":2}}`, marker, `{"` + marker, `{"x":` + marker} {
		for _, function := range []string{"tokens", "replaychunk", "notify", "sweep", "keys"} {
			_, _ = do(t, http.MethodPost, url+"/"+function, body)
		}
	}
	for _, data := range []string{`"` + marker + `"`, `{"message":"` + marker + `"}`, `"[\"` + marker + `\",{\"type\":\"alert\",\"id\":\"` + marker + `\"}]"`} {
		for function, name := range map[string]string{"replaychunk": "message", "notify": "documents"} {
			_, _ = do(t, http.MethodPost, url+"/"+function, `{"Data":{"`+name+`":`+data+`},"Metadata":{}}`)
		}
	}
	_, body := do(t, http.MethodGet, url+"/api/alerts?code="+marker, "", analyst...)
	var page struct{ Alerts []struct{ ID string } }
	if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Alerts) == 0 {
		t.Fatalf("%v: %s", err, body)
	}
	for _, path := range []string{"alerts/" + page.Alerts[0].ID, "alerts/" + marker, "alerts", marker, "replays/" + marker, "replays"} {
		for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodPost, http.MethodDelete} {
			for _, in := range []string{`{"note":"` + marker + `"}`, `{"status":"closed","note":"` + marker + `"}`, `{"` + marker + `":1}`, marker} {
				_, _ = do(t, method, url+"/api/"+path+"?code="+marker+"&after="+marker+"&"+marker+"="+marker, in, analyst...)
				_, _ = do(t, method, url+"/api/"+path, in, analyst...)
				_, _ = do(t, method, url+"/api/"+path, in, header, marker)
			}
		}
	}
	if status, body := do(t, http.MethodPost, url+"/sweep", `{"Data":{"timer":{}},"Metadata":{}}`); status != http.StatusOK { // tells of what is closed
		t.Errorf("%d %s", status, body)
	}
	if received.Load() == 0 {
		t.Error("the subscription was told of nothing")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, _ = do(t, http.MethodPost, url+"/tokens", batch(messages())) // the store is gone
	_, _ = do(t, http.MethodGet, url+"/api/alerts/"+page.Alerts[0].ID, "", analyst...)

	mu.Lock()
	defer mu.Unlock()
	lines := log.String()
	for _, part := range []string{"batch processed", "batch failed", "invocation failed", "metadata of a batch could not be read", "request failed"} {
		if !strings.Contains(lines, part) {
			t.Errorf("nothing was logged of %q", part)
		}
	}
	if !bytes.Contains(sent.Bytes(), []byte("assay.findings")) || posted < 1000 {
		t.Errorf("%d records, %d bytes of telemetry", posted, sent.Len())
	}
	if i := bytes.Index(sent.Bytes(), []byte(marker)); i >= 0 {
		t.Errorf("telemetry tells it: %q", sent.Bytes()[max(i-100, 0):i+len(marker)])
	}
	said := map[string]bool{}
	for line := range strings.Lines(lines) {
		var fields struct{ Msg, Error string }
		if strings.Contains(line, marker) && json.Unmarshal([]byte(line), &fields) == nil && !said[fields.Msg] {
			said[fields.Msg] = true
			t.Errorf("logged: %s", line)
		}
	}
}

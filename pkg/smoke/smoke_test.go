package smoke_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/smoke"
)

// deployed is an app that answers as it is told, and a clock that only waiting moves.
type deployed struct {
	now    time.Time
	report string // of the health check
	health []int  // status of each answer; the last is repeated
	refuse int    // so many events are refused
	after  int    // questions until the alert is there; -1: never
	last   func(sent time.Time) time.Time
	tenant string
	status int // of the list of alerts; 0: 200
	asked  []string
	sent   []byte
}

func (d *deployed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.asked = append(d.asked, r.URL.Path+" "+r.Header.Get("X-Functions-Key"))
	switch r.URL.Path {
	case "/api/health":
		status := d.health[0]
		if len(d.health) > 1 {
			d.health = d.health[1:]
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, cmp.Or(d.report, `{"status":"ok","version":"v1"}`))
	case "/api/alerts":
		if d.status != 0 {
			w.WriteHeader(d.status)
			return
		}
		var event struct{ Time time.Time }
		if err := json.Unmarshal(d.sent, &event); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		found := alert.Alert{ID: "20260302-aaaaaaaaaaaaaaaaaaaaaaaaaa", Tenant: d.tenant, Last: d.last(event.Time)}
		found.Rule.ID = smoke.Rule
		if d.after != 0 {
			d.after--
			found.Last = event.Time.Add(-time.Hour) // of a run before
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"alerts": []alert.Alert{found}})
	default:
		http.Redirect(w, r, "/api/health", http.StatusFound)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit  func(*deployed)
		says  string // "": it succeeds
		steps string
	}{
		"at once":                {nil, "", "health event sent alert"},
		"an app that starts":     {func(d *deployed) { d.health = []int{502, 503, 200} }, "", "health event sent alert"},
		"a role that takes time": {func(d *deployed) { d.refuse = 3 }, "", "health event sent alert"},
		"an alert that is late":  {func(d *deployed) { d.after = 5 }, "", "health event sent alert"},
		"an app of which a part is degraded": {
			func(d *deployed) { d.report = `{"status":"degraded","version":"v1","degraded":["it rains"]}` }, "", "health (v1; degraded: it rains) event sent alert",
		},
		"an app that says so":     {func(d *deployed) { d.report = `{"status":"failing"}` }, `the status is "failing"`, ""},
		"an app that never works": {func(d *deployed) { d.health = []int{503} }, "health: not within 1m0s: the API answers 503", ""},
		"no role for the API":     {func(d *deployed) { d.health = []int{401} }, "a function key, a token, or a role is missing", ""},
		"no role for the hub":     {func(d *deployed) { d.refuse = 1000 }, "event sent: not within 1m0s: unauthorized", "health"},
		"no alert":                {func(d *deployed) { d.after = -1 }, "has not become an alert", "health event sent"},
		"an alert of another tenant": {
			func(d *deployed) { d.tenant = "8f1d6c3a-52e7-4b90-9c0e-6a4d17f2b385" },
			"has not become an alert", "health event sent",
		},
		"no right to list": {func(d *deployed) { d.status = 403 }, "a role is missing", "health event sent"},
		"a redirect":       {func(d *deployed) { d.status = 302 }, "302", "health event sent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &deployed{
				now: time.Date(2026, 3, 2, 10, 0, 0, 5e5, time.UTC), health: []int{200}, tenant: alert.SmokeTenant,
				last: func(sent time.Time) time.Time { return sent },
			}
			if c.edit != nil {
				c.edit(d)
			}
			server := httptest.NewServer(d)
			defer server.Close()
			var steps []string
			err := smoke.Run(t.Context(), smoke.Options{
				API: server.URL + "/", Run: "r-1", Patience: time.Minute,
				Authorize: func(_ context.Context, r *http.Request) error { r.Header.Set("X-Functions-Key", "k"); return nil },
				Send: func(_ context.Context, body []byte) error {
					if d.refuse > 0 {
						d.refuse--
						return errors.New("unauthorized")
					}
					d.sent = body
					return nil
				},
				Now:  func() time.Time { return d.now },
				Wait: func(_ context.Context, by time.Duration) error { d.now = d.now.Add(by); return nil },
				Done: func(s smoke.Step, _ time.Duration, detail string) {
					if strings.Contains(detail, "degraded") {
						s += smoke.Step(" (" + detail + ")")
					}
					steps = append(steps, string(s))
				},
			})
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
			if got := strings.Join(steps, " "); got != c.steps {
				t.Errorf("steps %q, want %q", got, c.steps)
			}
			for _, a := range d.asked {
				if !strings.HasSuffix(a, " k") {
					t.Errorf("%s is asked without the key", a)
				}
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	err := smoke.Run(ctx, smoke.Options{
		API: "http://127.0.0.1:1", Now: time.Now, Patience: time.Hour,
		Wait: func(ctx context.Context, _ time.Duration) error { stop(); return ctx.Err() },
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestToURL(t *testing.T) {
	t.Parallel()
	status := http.StatusCreated
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			status = http.StatusBadRequest
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	send := smoke.ToURL(server.URL)
	if err := send(t.Context(), []byte("{}")); err != nil {
		t.Error(err)
	}
	status = http.StatusServiceUnavailable
	if err := send(t.Context(), []byte("{}")); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("%v", err)
	}
}

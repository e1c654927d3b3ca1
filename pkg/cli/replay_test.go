package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/api"
	"github.com/assay-sec/assay/pkg/replay"
)

// Whatever an event holds, no cell of the export begins as a formula does, and none is lost.
func FuzzExportIsHarmless(f *testing.F) {
	for _, s := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\u00a0=1", "plain", "", "a,b\n=c", "|cmd", "%x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := foundAlert{Alert: alert.Alert{ID: "20260101-x", Key: s, Tenant: s}, Findings: []alert.Finding{{Place: s, RecordCut: s, Subject: alert.Subject{User: s, App: s}}}}
		var out bytes.Buffer
		if err := writeCSV(&out, "run", []foundAlert{a}); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil || len(rows) != 2 || len(rows[1]) != len(exportColumns) {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for _, cell := range rows[1] {
			if start := strings.TrimLeft(cell, " \t\r\n\u00a0"); start != "" && strings.ContainsRune("=+-@|%", rune(start[0])) {
				t.Errorf("the cell %q begins as a formula", cell)
			}
		}
	})
}

// A replay in a function app is started, watched to its end through a failure of the app, and shown.
func TestReplayRemote(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	job := replay.Status{Job: replay.Job{ID: "replay-1", Request: replay.Request{Reason: "case 7"}}, State: replay.StateRunning}
	mux := http.NewServeMux()
	reply := func(w http.ResponseWriter, code int, v any) {
		w.WriteHeader(code)
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("POST /api/replays", func(w http.ResponseWriter, r *http.Request) {
		var in api.ReplayRequest
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Reason != "case 7" || in.Sources[0] != "hub:signins" || !in.DryRun {
			t.Errorf("%+v, %v", in, err)
		}
		if r.Header.Get("Authorization") != "Bearer secret" {
			reply(w, 401, map[string]any{"title": "Unauthorized", "status": 401, "detail": "nobody is signed in"})
			return
		}
		reply(w, 202, job)
	})
	mux.HandleFunc("GET /api/replays/replay-1", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		over := job
		over.State, over.Findings = replay.StateCompleted, replay.Findings{New: 3, AlertsNew: 1}
		reply(w, 200, over)
	})
	mux.HandleFunc("GET /api/replays/replay-1/alerts", func(w http.ResponseWriter, _ *http.Request) {
		a := alert.Alert{ID: "20260101-abcdefghij", Rule: alert.RuleRef{ID: "token-kid-known-bad"}, Stage: 2, Count: 3, Last: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		reply(w, 200, api.ReplayResults{Alerts: []api.ReplayResult{{Alert: a, New: true, NewFindings: 3}}})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	for token, want := range map[string]string{"secret": "3 new", "": "401"} {
		var out, errs bytes.Buffer
		sys := scripted()
		sys.Out, sys.Err = &out, &errs
		sys.Getenv = func(name string) string {
			return map[string]string{remoteTokenSetting: token, "USER": "ana"}[name]
		}
		Main(context.Background(), sys, []string{"replay", "--remote", server.URL, "--from", "2026-01-01", "--to", "2026-01-02", "--reason", "case 7", "--dry-run", "hub:signins"})
		if !strings.Contains(out.String()+errs.String(), want) || strings.Contains(out.String()+errs.String(), "secret") {
			t.Errorf("token %q:\n%s%s", token, out.String(), errs.String())
		}
	}
}

func TestBars(t *testing.T) {
	t.Parallel()
	sys := scripted()
	b := newBars(&sys, []replay.Slice{
		{Number: 0, Range: replay.Range{Source: "sb://ns/signins", Partition: "0", Units: 100}},
		{Number: 1, Range: replay.Range{Source: "sb://ns/signins", Partition: "0", Units: 100}},
		{Number: 2, Range: replay.Range{Source: "sb://ns/signins", Partition: "1", Units: 50}},
		{Number: 3, Range: replay.Range{Source: "logs", Partition: "logs/\x1b[2J\u202e.json", Units: 50}},
	})
	b.set(0, 100)
	b.set(2, 50)
	b.set(3, 10)
	text := b.draw(sys.Now().Add(10 * time.Second))
	for _, want := range []string{"signins/0", "[████████████░░░░░░░░░░░░]  50 %", " 20 %", "1 of 3 done", "left"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b[2J") || strings.Contains(text, "\u202e") {
		t.Error("a name of a file reaches the terminal as it is")
	}
	if again := b.draw(sys.Now().Add(11 * time.Second)); !strings.HasPrefix(again, strings.Repeat("\x1b[1A\x1b[2K", 3)) {
		t.Errorf("the lines before are not wiped: %q", again)
	}
}

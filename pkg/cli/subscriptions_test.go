package cli

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

// runs runs a command in a terminal of 100 columns and returns its exit code and output.
func runs(t *testing.T, env map[string]string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e strings.Builder
	sys := scripted()
	sys.Out, sys.Err, sys.OutTerminal, sys.ErrTerminal = &o, &e, Terminal{Width: 100}, Terminal{}
	sys.Getenv = func(k string) string { return env[k] }
	code = Main(context.Background(), sys, args)
	return code, o.String(), e.String()
}

// A subscription's life as the command line shows it: who is told and why, a test, a failure that is parked, its revival.
func TestSubscriptionsAndDeliveries(t *testing.T) {
	t.Parallel()
	answer := http.StatusAccepted
	var bodies int
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		bodies++
		w.WriteHeader(answer)
	}))
	defer receiver.Close()
	dir := t.TempDir()
	at, of := filepath.Join(dir, "a.db"), filepath.Join(dir, "assay.yaml")
	env := map[string]string{"SOC_URL": receiver.URL + "/hunter2"}
	err := os.WriteFile(of, []byte(`subscriptions:
  - {name: soc, kind: teams, url: {env: SOC_URL}, local: true}
  - {name: board, kind: webhook, url: {env: SOC_URL}, local: true, minSeverity: critical, vipsOnly: true, changes: [new]}
  - {name: unset, kind: webhook, url: {env: NOT_SET}}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if code, out, errs := runs(t, env, "subscriptions", "test", "--config", of, "soc"); code != 0 || bodies != 1 {
		t.Errorf("test: %d %s%s", code, out, errs)
	}
	answer = http.StatusBadRequest
	for name, says := range map[string]string{"soc": "HTTP status 400", "unset": "NOT_SET is empty", "other": "no such subscription"} {
		code, out, errs := runs(t, env, "subscriptions", "test", "--config", of, name)
		if code != exitError || !strings.Contains(errs, says) || strings.Contains(out+errs, "hunter2") {
			t.Errorf("test %s: %d %s%s", name, code, out, errs)
		}
	}

	s, err := app.OpenStore(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	when := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	f := alert.Finding{
		ID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Rule: alert.RuleRef{ID: "mailbox-token-over-age", Title: "x", Version: 1}, Tenant: "t", At: when,
		AlertID: alert.NewID(alert.DayOf(when), "t", "mailbox-token-over-age", "k"), Severity: rule.High, Strength: rule.Strong, Stage: rule.Enabled,
	}
	_, err = s.Record(t.Context(), []alert.Finding{f})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	page := func(name string, args ...string) {
		t.Helper()
		code, out, errs := runs(t, env, args...)
		if code != 0 {
			t.Errorf("%v: exit code %d: %s", args, code, errs)
		}
		golden(t, name, out)
	}
	page("subscriptions-route.golden", "subscriptions", "route", "--config", of, "--store", at, string(f.AlertID))
	page("subscriptions-route-json.golden", "subscriptions", "route", "--config", of, "--store", at, "--output", "json", string(f.AlertID))
	page("deliveries-none.golden", "deliveries", "list", "--store", at)

	// The receiver says that it is gone.
	b, err := app.OpenExistingBackend(t.Context(), at, nil, scripted().Now)
	if err != nil {
		t.Fatal(err)
	}
	deliveries := app.Deliveries(b, 0, scripted().Now)
	for revision, state := range map[int64]notify.State{23: notify.Dead, 24: notify.Parked, 25: notify.Pending} {
		d := notify.Delivery{
			ID: notify.DeliveryID(f.AlertID, "soc", revision), Subscription: "soc", Alert: f.AlertID, Tenant: "t", Revision: revision,
			Change: notify.New, Severity: rule.Severity(revision - 21), State: state, Created: when, Due: when, Attempts: int(revision - 22),
		}
		switch state {
		case notify.Dead:
			d.Reason = "given up: HTTP status 503: the receiver failed"
		case notify.Parked:
			d.Reason = "HTTP status 410: the receiver is gone"
		default:
		}
		if _, err := deliveries.Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	_, err = b.Save(t.Context(), store.Document{
		ID: "notify.standing.soc", Body: []byte(`{"disabled":"2026-01-02T03:00:00Z","reason":"HTTP status 410: the receiver is gone"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	page("subscriptions-list.golden", "subscriptions", "list", "--config", of, "--store", at)
	page("subscriptions-list-json.golden", "subscriptions", "list", "--config", of, "--store", at, "--output", "json")
	page("deliveries-list.golden", "deliveries", "list", "--store", at)
	page("deliveries-list-json.golden", "deliveries", "list", "--store", at, "--subscription", "soc", "--output", "json")
	page("deliveries-retry.golden", "deliveries", "retry", "--store", at, "soc")
	page("deliveries-retried.golden", "deliveries", "list", "--store", at)
	if code, out, _ := runs(t, env, "subscriptions", "list", "--config", of, "--store", at); code != 0 || strings.Contains(out, "disabled") {
		t.Errorf("it is not enabled again: %s", out)
	}
	if code, _, errs := runs(t, env, "deliveries", "list", "--store", "cosmos"); code != exitError || !strings.Contains(errs, "AlertStore__accountEndpoint") {
		t.Errorf("without settings: %d %s", code, errs)
	}
}

// Detect tells nobody unless it is told to, then everybody once, and keeps what a receiver does not take for the next time.
func TestDetectNotifies(t *testing.T) {
	t.Parallel()
	answer := http.StatusServiceUnavailable
	var keys []string
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Webhook-Id"))
		w.WriteHeader(answer)
	}))
	defer receiver.Close()
	dir := t.TempDir()
	at, of, logs := filepath.Join(dir, "a.db"), filepath.Join(dir, "assay.yaml"), filepath.Join(dir, "log.json")
	const record = `{"kind":"token-observation","schemaVersion":1,"id":"o-1","tenantId":"8f1d6c3a-52e7-4b90-9c0e-6a4d17f2b385","time":"2026-01-02T03:00:00Z",` +
		`"observer":{"name":"apim","type":"apim"},"validation":{"result":"accepted","signaturePresent":true,"segments":3},` +
		`"header":{"alg":"RS256","typ":"JWT","kid":"1LTMzakihiRla_8z2BEJVXeWMqo"},"claims":{"ver":"2.0"}}`
	for name, text := range map[string]string{
		logs: record, of: "subscriptions: [{name: soc, kind: webhook, url: " + receiver.URL + "/hunter2, local: true}]\n",
		filepath.Join(dir, "none.yaml"): "retention: 90\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	detect := func(wantCode int, args ...string) string {
		t.Helper()
		code, out, errs := runs(t, nil, append([]string{"detect", logs}, args...)...)
		if code != wantCode || strings.Contains(out+errs, "hunter2") {
			t.Fatalf("detect %v: %d\n%s%s", args, code, out, errs)
		}
		return errs
	}
	detect(0, "--store", at, "--config", of)
	if len(keys) != 0 {
		t.Fatal("told without being asked to")
	}
	if errs := detect(exitError, "--store", at, "--config", filepath.Join(dir, "none.yaml"), "--notify"); !strings.Contains(errs, "there are no subscriptions") {
		t.Error(errs)
	}
	if errs := detect(exitError, "--store", "none", "--config", of, "--notify"); !strings.Contains(errs, "--store is none") {
		t.Error(errs)
	}
	errs := detect(exitError, "--store", at, "--config", of, "--notify")
	if !strings.Contains(errs, "could not be told yet: see assay deliveries list") || !strings.Contains(errs, "subscription soc: HTTP status 503") || len(keys) != 1 {
		t.Errorf("%v: %s", keys, errs)
	}
	answer = http.StatusOK
	if code, out, errs := runs(t, nil, "deliveries", "retry", "--store", at, "soc"); code != 0 || !strings.Contains(out, "parked or dead") {
		t.Errorf("%s%s", out, errs) // it is pending, and its time has not come
	}
	s, err := app.OpenExistingBackend(t.Context(), at, nil, scripted().Now)
	if err != nil {
		t.Fatal(err)
	}
	deliveries := app.Deliveries(s, 0, scripted().Now)
	for d, err := range deliveries.Unsent(t.Context(), "soc") {
		if err != nil {
			t.Fatal(err)
		}
		d.Due = scripted().Now() // time passes
		if _, err := deliveries.Replace(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // once
		if errs := detect(0, "--store", at, "--config", of, "--notify"); !strings.Contains(errs, "told subscriptions of ") {
			t.Error(errs)
		}
	}
	if len(keys) != 2 || keys[0] != keys[1] {
		t.Errorf("messages under %v", keys)
	}
	answer = http.StatusGone
	if err := os.WriteFile(logs, []byte(strings.ReplaceAll(record, "2026-01-02", "2026-01-01")), 0o600); err != nil {
		t.Fatal(err)
	}
	if errs := detect(exitError, "--store", at, "--config", of, "--notify"); !strings.Contains(errs, "it is disabled: HTTP status 410") || !strings.Contains(errs, "assay deliveries retry") {
		t.Error(errs)
	}
}

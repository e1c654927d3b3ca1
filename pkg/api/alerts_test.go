package api_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/access"
	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/api"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

func TestGetTellsWhatIsRelated(t *testing.T) {
	t.Parallel()
	s, err := app.MemoryStore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	at := time.Date(2023, 6, 16, 3, 0, 0, 0, time.UTC)
	record := func(ruleID, tenant, mailbox string, at time.Time) alert.ID {
		ev := &event.Event{ID: event.ID(ruleID + tenant), Kind: event.Audit, Tenant: tenant, Time: event.Of(at)}
		ev.Audit.MailboxOwner = event.Of(mailbox)
		r := &rule.Rule{ID: ruleID, Title: "A rule", Version: 1, Key: rule.Key{Name: "mailbox"}}
		v := &rule.Verdict{
			Rule: r, Truth: rule.True, Leg: &rule.Leg{ID: "leg", Why: "it is so"}, Severity: rule.High, Strength: rule.Moderate,
			Stage: rule.Enabled, Key: mailbox,
		}
		f := alert.NewFinding(v, ev, alert.Evidence{}, alert.Provenance{Run: "test"})
		if _, err := s.Record(t.Context(), []alert.Finding{f}); err != nil {
			t.Fatal(err)
		}
		return f.AlertID
	}
	id := record("rule-1", "contoso", "ana@contoso.example", at)
	other := record("rule-2", "contoso", "ANA@contoso.example", at)
	record("rule-3", "contoso", "bob@contoso.example", at)
	record("rule-2", "fabrikam", "ana@contoso.example", at)
	record("rule-4", "contoso", "ana@contoso.example", at.AddDate(0, 0, 1))

	h := &api.Alerts{Store: s, Policy: access.Policy{}, Now: func() time.Time { return at }, Log: slog.New(slog.DiscardHandler)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/alerts/{id}", h.Get)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/alerts/"+string(id), nil))
	var got api.One
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if len(got.Related) != 1 || got.Related[0].ID != other || got.Related[0].Rule.ID != "rule-2" || len(got.Related[0].Shares) != 1 || got.Related[0].Shares[0] != "mailbox" {
		t.Errorf("related: %+v", got.Related)
	}
}

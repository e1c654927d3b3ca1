package teams

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/notify/notifytest"
	"github.com/assay-sec/assay/pkg/notify/outbound"
	"github.com/assay-sec/assay/pkg/rule"
)

var update = flag.Bool("update", false, "write the golden cards anew")

func TestConformance(t *testing.T) {
	t.Parallel()
	notifytest.RunHTTP(t, func(s notifytest.Setup) (notify.Notifier, error) {
		return New(s.URL, Options{Client: outbound.Options{Local: s.Local, Timeout: s.Timeout, TLS: s.TLS, Now: s.Now}})
	})
}

func newNotifier(t *testing.T) *Notifier {
	t.Helper()
	n, err := New(notify.NewSecret("https://hook.example"), Options{
		Client:    outbound.Options{Now: time.Now},
		AlertURL:  "https://assay.contoso.example/alerts/{id}",
		ReplayURL: "https://assay.contoso.example/replays/{id}",
		Zone:      time.FixedZone("CET", 3600),
		Runbook: func(string) []string {
			return []string{"Revoke the session.", "Call the owner of the mailbox.", "Preserve the log.", "Breathe."}
		},
		Tenant: func(string) string { return "Contoso" },
		App: func(_, id string) string {
			return map[string]string{"27922004-5251-4030-b22d-91ecd9a37ea4": "Outlook Mobile"}[id]
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func mailbox() alert.Alert {
	at := time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC)
	return alert.Alert{
		ID: "20260301-aaaaaaaaaaaaaaaaaaaaaaaaaa", Tenant: "3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11", Day: "2026-03-01",
		Rule: alert.RuleRef{
			ID: "mailbox-consumer-tenant-token", Title: "Mailbox opened with a personal account's token", Version: 1,
			Why: "the token was issued for personal accounts, and such a token cannot open a mailbox of an organisation",
		},
		Severity: rule.Critical, Strength: rule.Strong, Stage: rule.Enabled, Status: alert.Open, Count: 12, Revision: 24,
		First: at.Add(-2 * time.Hour), Last: at,
		Subject: alert.Subject{
			User: "ambassador@contoso.example", AppID: "27922004-5251-4030-b22d-91ecd9a37ea4", Address: "192.0.2.77",
			Mailbox: "ambassador@contoso.example",
		},
		Facts: []rule.Fact{{
			Field: "token.tenantId", Value: "9188040d-6c67-4c5b-b112-36a304b66dad", Op: "is", Operand: "the tenant of personal accounts", Truth: rule.True,
		}},
	}
}

// hostile is what an attacker writes into every field.
const hostile = "[Click](https://evil.example) **x** <at>everyone</at> {{DATE(2026-01-01)}} www.evil.example \u202egnp.exe\u200b\r\n# head\x00\xff"

func hostileAlert() alert.Alert {
	a := mailbox()
	long := strings.Repeat(hostile, 20)
	a.Rule.Title, a.Rule.Why = long, long
	a.Subject = alert.Subject{User: long, UserID: long, App: long, Address: long, Mailbox: long, KeyID: long}
	a.Facts = nil
	for range 40 {
		a.Facts = append(a.Facts, rule.Fact{Field: long, Value: long, Op: long, Operand: long, Truth: rule.True})
	}
	return a
}

func several(n int, form notify.Form, a alert.Alert) *notify.Message {
	m := &notify.Message{Key: "k", Form: form}
	for i := range n {
		b := a
		if i > 1 {
			b.Severity, b.Rule.ID, b.Rule.Title = rule.High, "mailbox-token-over-age", "Mailbox opened with an old token"
		}
		m.Items = append(m.Items, notify.Item{Alert: b, Change: notify.New})
	}
	return m
}

func TestCards(t *testing.T) {
	t.Parallel()
	closed := mailbox()
	closed.Status, closed.Verdict = alert.Closed, alert.TruePositive
	replayed := mailbox()
	replayed.From.Run = "replay-20260304t081500z-k2m4x7qa"
	bare := alert.Alert{
		ID: "20260301-bbbbbbbbbbbbbbbbbbbbbbbbbb", Tenant: "t", Rule: alert.RuleRef{ID: "r", Title: "A rule", Why: "it fired"},
		Severity: rule.Info, Count: 1, First: time.Unix(0, 0), Last: time.Unix(0, 0),
	}
	for name, m := range map[string]*notify.Message{
		"new":     {Key: "k", Form: notify.Single, Items: []notify.Item{{Alert: mailbox(), Change: notify.New}}},
		"closed":  {Key: "k", Form: notify.Single, Items: []notify.Item{{Alert: closed, Change: notify.Closed}}},
		"bare":    {Key: "k", Form: notify.Single, Items: []notify.Item{{Alert: bare, Change: notify.Escalated}}},
		"hostile": {Key: "k", Form: notify.Single, Items: []notify.Item{{Alert: hostileAlert(), Change: notify.New}}},
		"replay":  {Key: "k", Form: notify.Single, Items: []notify.Item{{Alert: replayed, Change: notify.New}}},
		"bundle":  several(3, notify.Bundle, mailbox()),
		"digest":  several(81, notify.Digest, mailbox()),
	} {
		body, err := newNotifier(t).body(m)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := json.Indent(&got, body, "", "  "); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
		file := filepath.Join("testdata", name+".golden.json")
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s differs from its golden card: run the test with -update and look at the change\n%s", name, got.Bytes())
		}
	}
}

func TestCardsAreBoundedAndHarmless(t *testing.T) {
	t.Parallel()
	for _, m := range []*notify.Message{
		{Key: "k", Form: notify.Single, Items: []notify.Item{{Alert: hostileAlert(), Change: notify.New}}},
		several(2, notify.Bundle, hostileAlert()), several(1000, notify.Digest, hostileAlert()),
	} {
		body, err := newNotifier(t).body(m)
		if err != nil {
			t.Fatal(err)
		}
		if len(body) > maxBody {
			t.Errorf("%s: %d bytes", m.Form, len(body))
		}
		var tree any
		if err := json.Unmarshal(body, &tree); err != nil {
			t.Fatal(err)
		}
		walk(t, tree)
	}
}

// walk fails for a text that a client may obey, and for one of an event outside of a text run.
func walk(t *testing.T, v any) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			walk(t, x)
		}
	case map[string]any:
		if v["type"] == "TextBlock" || v["type"] == "FactSet" {
			t.Errorf("%v is read as Markdown", v)
		}
		for key, x := range v {
			s, ok := x.(string)
			if !ok {
				walk(t, x)
				continue
			}
			if key == "url" || key == "$schema" {
				if !strings.HasPrefix(s, "https://assay.contoso.example/alerts/") && key == "url" {
					t.Errorf("a link to %s", s)
				}
				continue
			}
			for _, bad := range []string{"https://", "<at>", "{{", "}}", "](", "www.", "\n", "\u202e", "\u200b", "\x00"} {
				if strings.Contains(s, bad) {
					t.Errorf("%s holds %q: %s", key, bad, s)
				}
			}
		}
	}
}

func FuzzHarmless(f *testing.F) {
	f.Add(hostile, 20)
	f.Add("{{{{{{", 9)
	f.Add(":://://", 9)
	f.Fuzz(func(t *testing.T, s string, most int) {
		if most < 0 || most > 1000 {
			return
		}
		got := harmless(s, most)
		for _, bad := range []string{"://", "<", ">", "{{", "}}", "](", "www.", "\n", "\u202e"} {
			if strings.Contains(strings.ReplaceAll(got, "[://]", ""), bad) {
				t.Errorf("%q becomes %q, which holds %q", s, got, bad)
			}
		}
	})
}

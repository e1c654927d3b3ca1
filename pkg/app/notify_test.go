package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

// A card about an application that nobody knows, in a tenant that nobody named.
func TestACardAboutAnUnknownApplication(t *testing.T) {
	t.Parallel()
	rules, err := LoadRules(&config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, app := range []string{"", "no GUID", "00000000-1111-2222-3333-444444444444"} {
		n, err := newNotifier(&notify.Subscription{
			Name: "soc", Kind: notify.Teams, URL: notify.SecretSource{Value: notify.NewSecret("http://127.0.0.1:1/")}, Local: true,
		}, &config.Config{}, rules, newSecrets(func(string) string { return "" }, time.Now), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		a := alert.Alert{ID: "20260301-aaaaaaaaaaaaaaaaaaaaaaaaaa", Tenant: "t", Subject: alert.Subject{AppID: app}, Severity: rule.High}
		m := &notify.Message{Key: "k", Form: notify.Single, Items: []notify.Item{{Alert: a, Change: notify.New}}}
		if err := n.Notify(t.Context(), m); err == nil { // nobody listens there
			t.Error("sent")
		}
	}
}

// A subscription whose secret is missing loses nothing: its deliveries wait for it.
func TestASubscriptionWithoutItsSecretKeepsItsDeliveries(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	b, err := MemoryBackend(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close() //nolint:errcheck // a test's
	c := &config.Config{Subscriptions: []notify.Subscription{{
		Name: "soc", Kind: notify.Webhook, URL: notify.SecretSource{Env: "SOC_URL"}, PerMinute: 20, GiveUp: 24 * time.Hour,
	}}}
	rules, err := LoadRules(c)
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDispatcher(c, rules, b, func(string) string { return "" }, slog.New(slog.DiscardHandler), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.Record(t.Context(), []alert.Finding{{
		ID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", AlertID: alert.NewID("2026-03-01", "t", "r", "k"), Rule: alert.RuleRef{ID: "r"}, Tenant: "t",
		At: now, Severity: rule.High, Strength: rule.Strong, Stage: rule.Enabled,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := d.Enqueue(t.Context(), &out.Alert); err != nil || n != 1 {
		t.Fatalf("%d deliveries, %v", n, err)
	}
	now = now.Add(time.Minute)
	if r, err := d.Send(t.Context()); err != nil || r.Retried != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	for x, err := range Deliveries(b, 0, func() time.Time { return now }).Unsent(t.Context(), "soc") {
		if err != nil || x.State != notify.Pending || x.Reason != "find the URL: the secret is not set: SOC_URL is empty" {
			t.Errorf("%+v, %v", x, err)
		}
	}
	// It expires with its alert, four hundred days after the day's beginning.
	doc, err := b.In(store.Deliveries, "soc").Load(t.Context(), "owed."+string(out.Alert.ID)+".23")
	if want := time.Date(2027, 4, 5, 0, 0, 0, 0, time.UTC); err != nil || !doc.Expires.Equal(want) {
		t.Errorf("expires %s, want %s, %v", doc.Expires, want, err)
	}
}

// Which tags there are hangs on the Sigma rules, too.
func TestTagsOfSigmaRules(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mine.yml")
	if err := os.WriteFile(file, []byte(`title: Mine
tags: [attack.t9999.001, cve.2026-1]
logsource: {product: azure, service: auditlogs}
detection: {a: {OperationName: x}, condition: a}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	for tag, says := range map[string]string{
		"attack.t9999": "", "attack.t9999.001": "", "cve.2026-1": "", "attack.t1606": "", "attack.t9998": `subscription soc: no rule has the tag "attack.t9998"`,
	} {
		c, err := config.Parse("assay.yaml", []byte("sigma: {rules: ["+file+"]}\nsubscriptions: [{name: soc, kind: teams, url: {env: X}, tags: ["+tag+"]}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		rules, err := LoadRules(c)
		if says != "" {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v", tag, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"mine", "token-kid-known-bad"} {
			if got, want := rules.tagged(id, tag), (id == "mine") != (tag == "attack.t1606"); got != want {
				t.Errorf("%s has %s: %v", id, tag, got)
			}
		}
	}
}

package notify_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/rule"
)

func TestRefuses(t *testing.T) {
	t.Parallel()
	r := notify.Router{
		VIP:    func(tenant, name string) bool { return tenant == contoso && name == "ambassador@contoso.example" },
		Tagged: func(id, tag string) bool { return id == "token-key-known-bad" && tag == "attack.t1606" },
	}
	for name, c := range map[string]struct {
		edit   func(*notify.Subscription, *alert.Alert)
		change notify.ChangeKind
		says   string // "": it wants it
	}{
		"all":          {nil, notify.New, ""},
		"a smoke test": {func(_ *notify.Subscription, a *alert.Alert) { a.Tenant = alert.SmokeTenant }, notify.New, "smoke test's"},
		"a smoke test, of its tenant": {func(s *notify.Subscription, a *alert.Alert) {
			a.Tenant, s.Tenants = alert.SmokeTenant, []string{alert.SmokeTenant}
		}, notify.New, "smoke test's"},
		"a smoke test to its subscription": {func(s *notify.Subscription, a *alert.Alert) {
			s.Name, a.Tenant = notify.SmokeSubscription, alert.SmokeTenant
		}, notify.New, ""},
		"no smoke test":     {func(s *notify.Subscription, _ *alert.Alert) { s.Name = notify.SmokeSubscription }, notify.New, "alone"},
		"observed":          {func(_ *notify.Subscription, a *alert.Alert) { a.Stage = rule.Observe }, notify.New, "observes"},
		"goes on":           {func(_ *notify.Subscription, a *alert.Alert) { a.Continues = true }, notify.New, "day before"},
		"goes on and rises": {func(_ *notify.Subscription, a *alert.Alert) { a.Continues = true }, notify.Escalated, ""},
		"too low":           {func(s *notify.Subscription, _ *alert.Alert) { s.MinSeverity = rule.Critical }, notify.New, "below critical"},
		"too weak":          {func(s *notify.Subscription, a *alert.Alert) { s.MinStrength, a.Strength = rule.Strong, rule.Moderate }, notify.New, "below strong"},
		"weak, the trust itself": {func(_ *notify.Subscription, a *alert.Alert) {
			a.Strength, a.Rule.ID = rule.Weak, "audit-federation-trust-changed"
		}, notify.New, ""},
		"weak, the log itself": {func(_ *notify.Subscription, a *alert.Alert) {
			a.Strength, a.Rule.ID = rule.Weak, "mailbox-audit-tampering"
		}, notify.New, ""},
		"another tenant":  {func(s *notify.Subscription, _ *alert.Alert) { s.Tenants = []string{"x"} }, notify.New, "another tenant"},
		"its tenant":      {func(s *notify.Subscription, _ *alert.Alert) { s.Tenants = []string{"x", contoso} }, notify.New, ""},
		"another rule":    {func(s *notify.Subscription, _ *alert.Alert) { s.Rules = []string{"x"} }, notify.New, "another rule"},
		"another tag":     {func(s *notify.Subscription, _ *alert.Alert) { s.Tags = []string{"attack.t1114"} }, notify.New, "none of the tags attack.t1114"},
		"one of its tags": {func(s *notify.Subscription, _ *alert.Alert) { s.Tags = []string{"attack.t1114", "attack.t1606"} }, notify.New, ""},
		"another change":  {func(s *notify.Subscription, _ *alert.Alert) { s.Changes = []notify.ChangeKind{notify.New} }, notify.Closed, "closed"},
		"no VIP":          {func(s *notify.Subscription, _ *alert.Alert) { s.VIPsOnly = true }, notify.New, "VIP"},
		"a VIP's mailbox": {func(s *notify.Subscription, a *alert.Alert) {
			s.VIPsOnly, a.Subject.Mailbox = true, "ambassador@contoso.example"
		}, notify.New, ""},
	} {
		a := made(1)
		s := notify.Subscription{MinStrength: rule.Moderate}
		if c.edit != nil {
			c.edit(&s, &a)
		}
		got := r.Refuses(&s, &a, c.change)
		if (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q, want %q", name, got, c.says)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	s := notify.Subscription{Name: "soc", URL: notify.SecretSource{Value: notify.NewSecret("hunter2")}}
	doc, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(s), fmt.Sprintf("%+v %#v", s, s), string(doc), fmt.Sprintf("%s %v %q %x", s.URL.Value, &s.URL.Value, s.URL.Value, s.URL.Value),
	} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "68756e746572") || !strings.Contains(text, "***") {
			t.Errorf("printed %s", text)
		}
	}
	getenv := func(k string) string { return map[string]string{"SET": "x"}[k] }
	if got, err := (notify.SecretSource{Env: "SET"}).Resolve(getenv); err != nil || got.Reveal() != "x" {
		t.Errorf("%q, %v", got.Reveal(), err)
	}
	for _, source := range []notify.SecretSource{{}, {Env: "NOT_SET"}} {
		if _, err := source.Resolve(getenv); !errors.Is(err, notify.ErrSecret) {
			t.Errorf("%+v: %v", source, err)
		}
	}
}

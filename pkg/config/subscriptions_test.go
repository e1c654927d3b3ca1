package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/rule"
)

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	c, err := Parse("assay.yaml", []byte(`
alertUrl: https://assay.contoso.example/alerts/{id}
subscriptions:
  - {name: soc, kind: teams, url: {env: SOC_URL}}
  - {name: vault, kind: webhook, url: {keyVault: https://kv-a.vault.azure.net/secrets/url}, signingKeys: [{keyVault: https://kv-a.vault.azure.net/secrets/key/4387e9f3d6e14c459867679a90fd0f79}]}
  - name: siem
    kind: webhook
    url: https://siem.contoso.example/hook
    signingKeys: [{env: KEY}, whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]
    tenants: [3C6B4E1A-6a4f-4bde-9a3b-0d7b3b3f1e11]
    rules: [mailbox-token-over-age]
    tags: [attack.t1606, Attack.T1550.001]
    minSeverity: high
    minStrength: strong
    vipsOnly: true
    changes: [new, closed]
    perMinute: 5
    giveUp: 6h
    timeZone: Europe/Berlin
    local: true
`))
	if err != nil {
		t.Fatal(err)
	}
	soc, vault, siem := c.Subscriptions[0], c.Subscriptions[1], c.Subscriptions[2]
	if vault.URL.Vault != (notify.VaultSecret{Vault: "https://kv-a.vault.azure.net", Name: "url"}) ||
		vault.Keys[0].Vault != (notify.VaultSecret{Vault: "https://kv-a.vault.azure.net", Name: "key", Version: "4387e9f3d6e14c459867679a90fd0f79"}) {
		t.Errorf("%+v", vault)
	}
	if soc.URL.Env != "SOC_URL" || soc.MinSeverity != rule.Medium || soc.MinStrength != rule.Moderate || soc.PerMinute != 20 || soc.GiveUp != 24*time.Hour {
		t.Errorf("defaults: %+v", soc)
	}
	if siem.URL.Value.Reveal() != "https://siem.contoso.example/hook" || len(siem.Keys) != 2 || siem.Keys[0].Env != "KEY" ||
		!slices.Equal(siem.Tenants, []string{"3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11"}) || len(siem.Rules) != 1 ||
		!slices.Equal(siem.Tags, []string{"attack.t1606", "attack.t1550.001"}) || siem.MinSeverity != rule.High ||
		siem.MinStrength != rule.Strong || !siem.VIPsOnly || !slices.Equal(siem.Changes, []notify.ChangeKind{notify.New, notify.Closed}) ||
		siem.PerMinute != 5 || siem.GiveUp != 6*time.Hour || siem.Zone.String() != "Europe/Berlin" || !siem.Local {
		t.Errorf("%+v", siem)
	}
}

func TestMistakesInSubscriptions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{kind: teams, url: https://hunter2}":                                                            `lacks the key "name"`,
		"{name: a, url: https://hunter2}":                                                                `lacks the key "kind"`,
		"{name: a, kind: teams}":                                                                         `lacks the key "url"`,
		"{name: A b, kind: teams, url: https://hunter2}":                                                 "lower-case",
		"{name: a, kind: slack, url: https://hunter2}":                                                   "one of teams, webhook",
		"{name: a, kind: teams, url: [hunter2]}":                                                         "is a list",
		"{name: a, kind: teams, url: {env: hunter2!}}":                                                   "environment variable",
		"{name: a, kind: teams, url: {vault: x}}":                                                        "unknown key",
		"{name: a, kind: teams, url: {keyVault: https://hunter2}}":                                       "is to be the id of a secret",
		"{name: a, kind: teams, url: {keyVault: https://kv.vault.azure.net.evil.example/secrets/a}}":     "is to be the id of a secret",
		"{name: a, kind: teams, url: {keyVault: http://kv-a.vault.azure.net/secrets/a}}":                 "is to be the id of a secret",
		"{name: a, kind: teams, url: {keyVault: https://kv-a.vault.azure.net/keys/a}}":                   "is to be the id of a secret",
		"{name: a, kind: teams, url: {keyVault: https://kv-a.vault.azure.net/secrets/a/b}}":              "is to be the id of a secret",
		"{name: a, kind: teams, url: {keyVault: https://kv-a.vault.azure.net/secrets/a, env: hunter2_}}": "delete keyVault or env",
		"{name: a, kind: teams, url: {}}":                                                                "lacks one of the keys keyVault, env",
		"{name: a, kind: teams, url: https://hunter2, signingKeys: [hunter2]}":                           "no signatures",
		"{name: a, kind: teams, url: https://hunter2, rules: [mailbox-nothing]}":                         "no such rule",
		"{name: a, kind: teams, url: https://hunter2, tags: [attack.t9999]}":                             `no rule has this tag`,
		"{name: a, kind: teams, url: https://hunter2, tags: [attack.t160]}":                              `do you mean "attack.t1606"?`,
		"{name: a, kind: teams, url: https://hunter2, tags: [T1606]}":                                    "is not a tag",
		"{name: a, kind: teams, url: https://hunter2, changes: [gone]}":                                  "one of new, escalated",
		"{name: a, kind: teams, url: https://hunter2, perMinute: 0}":                                     "from 1 to 600",
		"{name: a, kind: teams, url: https://hunter2, timeZone: Mars/Olympus}":                           "time zone",
		"{name: a, kind: teams, url: https://hunter2, secret: x}":                                        "unknown key",
	} {
		_, err := Parse("assay.yaml", []byte("subscriptions:\n  - "+text+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		} else if strings.Contains(err.Error(), "hunter2") && !strings.Contains(text, "env") {
			t.Errorf("the message holds the secret: %v", err)
		}
	}
	twice := "subscriptions:\n  - {name: a, kind: teams, url: x}\n  - {name: a, kind: teams, url: x}\nalertUrl: http://x\nreplayUrl: https://x\n"
	if _, err := Parse("assay.yaml", []byte(twice)); err == nil || !strings.Contains(err.Error(), "stands twice") || !strings.Contains(err.Error(), "alertUrl") ||
		!strings.Contains(err.Error(), "replayUrl") {
		t.Errorf("%v", err)
	}
}

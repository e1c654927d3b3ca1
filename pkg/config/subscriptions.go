package config

import (
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/rule"
)

// slugs are what names a subscription or a suppression: they stand in the ids of documents.
var slugs = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$`) })

// subscriptions reads who wants to hear of which alerts.
func (c *Config) subscriptions(v value) {
	all := builtin()
	known, tags := ruleIDs(all), ruleTags(all)
	names := map[string]bool{}
	v.list(func(item value) {
		s := notify.Subscription{
			MinSeverity: notify.DefaultMinSeverity, MinStrength: notify.DefaultMinStrength,
			PerMinute: notify.DefaultPerMinute, GiveUp: notify.DefaultGiveUp,
		}
		item.keys(map[string]func(value){
			"name": into(&s.Name, value.slug),
			"kind": func(v value) {
				if w, ok := v.word(string(notify.Teams), string(notify.Webhook)); ok {
					s.Kind = notify.Kind(w)
				}
			},
			"url":         into(&s.URL, value.secret),
			"signingKeys": each(&s.Keys, value.secret),
			"local":       into(&s.Local, value.flag),
			"tenants":     each(&s.Tenants, value.guid),
			"rules":       each(&s.Rules, func(v value) (string, bool) { return c.ruleID(v, known) }),
			"tags":        each(&s.Tags, func(v value) (string, bool) { return c.tag(v, tags) }),
			"minSeverity": into(&s.MinSeverity, func(v value) (rule.Severity, bool) { return named(v, rule.Severities()...) }),
			"minStrength": into(&s.MinStrength, func(v value) (rule.Strength, bool) {
				return named(v, rule.Weak, rule.Moderate, rule.Strong)
			}),
			"vipsOnly": into(&s.VIPsOnly, value.flag),
			"changes": each(&s.Changes, func(v value) (notify.ChangeKind, bool) {
				var words []string
				for _, k := range notify.ChangeKinds() {
					words = append(words, string(k))
				}
				w, ok := v.word(words...)
				return notify.ChangeKind(w), ok
			}),
			"perMinute": into(&s.PerMinute, value.perMinute),
			"giveUp":    into(&s.GiveUp, value.duration),
			"timeZone":  into(&s.Zone, value.timeZone),
		})
		item.require("name", "kind", "url")
		switch {
		case s.Name != "" && names[s.Name]:
			item.fail("the subscription %s stands twice", s.Name)
		case s.Kind == notify.Teams && len(s.Keys) > 0:
			item.fail("Teams knows no signatures: delete signingKeys")
		}
		names[s.Name] = true
		c.Subscriptions = append(c.Subscriptions, s)
	})
}

// slug reads a name that can stand in ids, counts and URLs.
func (v value) slug() (string, bool) {
	return parsed(v, "a name of lower-case letters, digits and hyphens, at most 40", func(s string) (string, error) {
		if !slugs().MatchString(s) {
			return "", errPlain
		}
		return s, nil
	})
}

func (v value) perMinute() (int, bool) { return v.whole("a whole number", 1, 600) }

func (v value) timeZone() (*time.Location, bool) {
	return parsed(v, "a time zone such as Europe/Berlin", func(s string) (*time.Location, error) {
		zone, err := time.LoadLocation(s)
		if err != nil || s == "Local" {
			return nil, errPlain
		}
		return zone, nil
	})
}

// secret reads a secret: {keyVault: ID}, the id of a secret in Key Vault; {env: NAME}, the name of an environment variable;
// or the text itself. No message holds the text.
func (v value) secret() (notify.SecretSource, bool) {
	var s notify.SecretSource
	keys := map[string]func(value){
		"keyVault": into(&s.Vault, value.vaultSecret),
		"env": into(&s.Env, func(v value) (string, bool) {
			return parsed(v, "the name of an environment variable", func(s string) (string, error) {
				if !environmentName().MatchString(s) {
					return "", errPlain
				}
				return s, nil
			})
		}),
	}
	if v.describing() {
		named, object := v.child()
		named.keys(keys)
		named.requireOne("keyVault", "env")
		v.schema.AnyOf = []*schema{object, {Type: "string", Description: "the secret itself, on your own machine only"}}
		return s, false
	}
	if v.node.Kind != yaml.MappingNode {
		text, ok := v.text("{keyVault: ID}, {env: NAME}, or the secret itself")
		s.Value = notify.NewSecret(text)
		return s, ok
	}
	v.keys(keys)
	v.requireOne("keyVault", "env")
	if s.Env != "" && s.InVault() {
		v.fail("the secret stands in one place: delete keyVault or env")
		return s, false
	}
	return s, s.Env != "" || s.InVault()
}

// vaultSecret reads the id of a secret in Key Vault.
func (v value) vaultSecret() (notify.VaultSecret, bool) {
	const what = "the id of a secret, such as https://NAME.vault.azure.net/secrets/NAME"
	text, ok := v.text(what)
	if !ok {
		return notify.VaultSecret{}, false
	}
	s, err := notify.ParseVaultSecret(text)
	if err != nil { // the text may be the secret
		v.fail("is to be %s", what)
		return s, false
	}
	return s, true
}

var environmentName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`) })

// page reads the address of something for people, with {id} in it.
func (v value) page(example string) (string, bool) {
	return parsed(v, "an address such as "+example, func(s string) (string, error) {
		u, err := url.Parse(strings.ReplaceAll(s, "{id}", "0"))
		if err != nil || u.Scheme != "https" || u.Host == "" || !strings.Contains(s, "{id}") {
			return "", errPlain
		}
		return s, nil
	})
}

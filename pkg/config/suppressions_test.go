package config

import (
	"strings"
	"testing"
)

// A rule of one's own has an id that only its file tells.
func TestRulesOfOnesOwnCanBeNamed(t *testing.T) {
	const text = `
suppressions:
  - {name: one, rules: [RULE], match: {users: [kim@contoso.example]}, reason: a test, owner: kim, expires: 2030-12-31}
`
	for _, c := range []struct {
		rule, sigma string
		want        bool
	}{
		{"ioc-ip", "", true},
		{"our-own-rule", "", false},
		{"our-own-rule", "sigma: {rules: [sigma]}", true},
		{"ioc-ips", "sigma: {rules: [sigma]}", false},
	} {
		_, err := Parse("assay.yaml", []byte(strings.ReplaceAll(text, "RULE", c.rule)+c.sigma))
		if (err == nil) != c.want {
			t.Errorf("%s with %q: %v", c.rule, c.sigma, err)
		}
	}
}

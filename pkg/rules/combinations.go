package rules

import (
	"strings"

	"github.com/assay-sec/assay/pkg/rule"
)

// combinations says which rules are worth more together, by the id of the rule that is raised.
var combinations = map[string][]rule.Combination{
	"mailbox-unexpected-client-app": {{
		With:     []string{"ioc-ip"},
		Severity: rule.High,
		Strength: rule.Moderate,
		Why:      "an unexpected application came from an address that an attacker used at that time",
	}},
	"token-signed-by-expired-certificate": {{
		With:     []string{"token-key-issuer-scope-violation"},
		Severity: rule.High,
		Strength: rule.Strong,
		Why:      "the key has expired, and it was published for another issuer",
	}},
	"token-tenant-not-allowed": {{
		With:     []string{"token-key-issuer-scope-violation", "token-consumer-subject-in-enterprise"},
		Severity: rule.High,
		Strength: rule.Strong,
		Why:      "the tenant is not allowed, and the token mixes personal and work accounts",
	}},
	"signin-golden-saml-pattern": {{
		With:     []string{"signin-federated-token-for-managed-domain", "signin-federated-mfa-not-trusted"},
		Severity: rule.High,
		Strength: rule.Strong,
		Why:      "the sign-in looks forged, and the user's domain takes no such token",
	}},
}

// addressCombination is that of ioc-ip: an indicator in its days is strong beside any rule about a token or a mailbox.
func addressCombination(catalogue []*rule.Rule) rule.Combination {
	c := rule.Combination{
		Leg:      "in-window",
		Severity: rule.High,
		Strength: rule.Strong,
		Why:      "an attacker's address, at that time, and a token or mailbox access that is out of the ordinary",
	}
	for _, r := range catalogue {
		if strings.HasPrefix(r.ID, "token-") || strings.HasPrefix(r.ID, "mailbox-") || strings.HasPrefix(r.ID, "owa-") {
			c.With = append(c.With, r.ID)
		}
	}
	return c
}

// combine gives the rules their combinations.
func combine(catalogue []*rule.Rule) {
	for _, r := range catalogue {
		r.Combinations = combinations[r.ID]
		if r.ID == "ioc-ip" {
			r.Combinations = []rule.Combination{addressCombination(catalogue)}
		}
	}
}

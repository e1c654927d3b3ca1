package config

import (
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/alert"
)

func TestNoConfigurationContainsTheTenantOfSmokeTests(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"tenant":          "tenants:\n  - {id: TENANT, name: Contoso}\n",
		"further tenant":  "tenants:\n  - {id: 3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11, name: Contoso, tenantIds: [TENANT]}\n",
		"tenant of a hub": "hubs:\n  tokens: {tenants: [TENANT]}\n",
		"subscription":    "subscriptions:\n  - {name: soc, kind: teams, url: {env: SOC_URL}, tenants: [TENANT]}\n",
	} {
		for _, id := range []string{alert.SmokeTenant, strings.ToUpper(alert.SmokeTenant)} {
			_, err := Parse("assay.yaml", []byte(strings.ReplaceAll(text, "TENANT", id)))
			if err == nil || !strings.Contains(err.Error(), "smoke tests") || !strings.HasPrefix(err.Error(), "assay.yaml:2:") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

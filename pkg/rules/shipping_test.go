package rules_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
)

// shipped is the stage of every rule with reference data, and the legs that stand below it. Without that data a rule is not
// evaluable, or observes. A rule about one of Microsoft's feeds of which there is no real record that matches, or whose
// meaning Microsoft does not document, observes until somebody has calibrated it on logs of their own.
var shipped = map[rule.Stage]map[string][]string{
	rule.Enabled: {
		"token-kid-known-bad": nil, "token-key-issuer-scope-violation": nil, "token-kid-not-published": nil,
		"token-signed-by-expired-certificate": nil, "token-alg-unexpected": nil, "token-issuer-tenant-mismatch": nil,
		"token-tenant-not-allowed": nil, "token-lifetime-excessive": nil, "token-time-anomaly": nil,
		"token-uti-missing-or-malformed": {"unusual"}, "token-consumer-subject-in-enterprise": nil,
		"token-actor-or-unsigned-impersonation": nil,
		"mailbox-consumer-tenant-token":         nil, "mailbox-token-tenant-mismatch": {"unlearned-tenant"},
		"mailbox-owner-logon-with-foreign-oid": {"foreign-oid-document"}, "mailbox-token-over-age": nil, "mailbox-token-issued-in-future": {"not-dated-back"},
		"mailbox-uti-malformed": {"unusual-id"}, "mailbox-unexpected-client-app": {"client-unlearned", "frontend-unlearned", "client-document"},
		"mailbox-client-app-protocol-mismatch": nil, "mailbox-scripted-client": nil, "mailbox-app-only-unlisted-app": nil,
		"ioc-ip": nil,
		"signin-federated-token-for-managed-domain": nil, "signin-golden-saml-pattern": nil, "signin-federated-mfa-not-trusted": nil,
		"saml-assertion-anomaly":   nil,
		"graph-token-time-anomaly": {"issued-just-now"}, "graph-mail-access-unlisted-app": nil,
		"risk-token-issuer-anomaly": nil, "risk-anomalous-token": nil,
		"audit-federation-trust-changed": nil, "audit-actor-token-impersonation": nil,
	},
	rule.Observe: {
		"token-version-shape-mismatch": nil,
		"mailbox-uti-missing":          nil, "mailbox-sync-by-unexpected-client": nil, "mailbox-access-throttled": nil,
		"mailbox-nonowner-or-external": nil, "owa-token-renewal-anomaly": nil, "mailbox-auth-type-unlisted": nil, "mailbox-audit-tampering": nil,
		"ioc-user-agent": nil, "hosting-or-anonymizer-source-for-mailbox": nil,
		"signin-federation-issuer-mismatch": nil, "signin-device-code-or-transfer": nil, "signin-cross-tenant-to-exchange": nil,
		"signin-first-party-app-nonstandard-client": nil, "signin-unbound-token-sensitive": nil, "signin-record-integrity": nil,
		"sp-signin-to-mail-unlisted":       nil,
		"graph-signin-activity-id-invalid": nil, "graph-consumer-idp": nil,
	},
}

func TestShippingSet(t *testing.T) {
	t.Parallel()
	ref, err := reference.New(reference.Source{Defaults: reference.TenantSource{MailClients: []reference.MailClient{}}})
	if err != nil {
		t.Fatal(err)
	}
	all, err := rules.Catalogue(ref, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 52 {
		t.Errorf("%d rules, want 52", len(all))
	}
	for _, r := range all {
		legs, ok := shipped[r.Stage][r.ID]
		if !ok {
			t.Errorf("%s is shipped as %s", r.ID, r.Stage)
			continue
		}
		var lower []string
		for _, l := range r.Legs {
			if l.Stage != rule.Off && l.Stage < r.Stage {
				lower = append(lower, l.ID)
			}
		}
		if !slices.Equal(lower, legs) {
			t.Errorf("%s: the legs %v observe, want %v", r.ID, lower, legs)
		}
	}
}

// What a combination raises, and to what.
func TestCombinationsOfTheCatalogue(t *testing.T) {
	t.Parallel()
	type raised struct {
		severity rule.Severity
		strength rule.Strength
	}
	want := map[string]map[string]raised{
		"mailbox-unexpected-client-app":       {"ioc-ip": {rule.High, rule.Moderate}},
		"token-signed-by-expired-certificate": {"token-key-issuer-scope-violation": {rule.High, rule.Strong}},
		"token-tenant-not-allowed": {
			"token-key-issuer-scope-violation": {rule.High, rule.Strong}, "token-consumer-subject-in-enterprise": {rule.High, rule.Strong},
		},
		"signin-golden-saml-pattern": {
			"signin-federated-token-for-managed-domain": {rule.High, rule.Strong}, "signin-federated-mfa-not-trusted": {rule.High, rule.Strong},
		},
		"ioc-ip": {},
	}
	got := map[string]map[string]raised{}
	for _, r := range builtin(t) {
		for _, c := range r.Combinations {
			for _, id := range c.With {
				if got[r.ID] == nil {
					got[r.ID] = map[string]raised{}
				}
				got[r.ID][id] = raised{c.Severity, c.Strength}
			}
		}
		if strings.HasPrefix(r.ID, "token-") || strings.HasPrefix(r.ID, "mailbox-") || strings.HasPrefix(r.ID, "owa-") {
			want["ioc-ip"][r.ID] = raised{rule.High, rule.Strong}
		}
	}
	for id := range want {
		if !maps.Equal(got[id], want[id]) {
			t.Errorf("%s: %v, want %v", id, got[id], want[id])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rules have combinations, want %d", len(got), len(want))
	}
}

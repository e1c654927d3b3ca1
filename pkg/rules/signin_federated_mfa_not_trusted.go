package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// signinFederatedMFANotTrusted finds a second factor that Entra ID took from an external provider although the user's domain
// has none whose word counts.
func signinFederatedMFANotTrusted(ref *reference.Data, k *knobs) *rule.Rule {
	external := k.flag("externalMethods", false,
		"the tenant uses external authentication methods or custom controls, which are logged in the same words: judge federated domains only")
	claimed := rule.Contains(event.SignInDetails, "claim provided by external provider")
	legs := []rule.Leg{{
		ID:       "mfa-rejected-by-domain",
		Why:      "an external provider's word was taken for the second factor, and the user's domain is set to reject it",
		When:     rule.All(claimed, mfaRejectingDomain(ref)),
		Severity: rule.High,
		Strength: rule.Moderate,
	}}
	if !external {
		legs = append(legs, rule.Leg{
			ID:       "managed-domain",
			Why:      "an external provider's word was taken for the second factor, and the user's domain has no external provider",
			When:     rule.All(claimed, managedDomain(ref)),
			Severity: rule.High,
			Strength: rule.Moderate,
		})
	}
	return &rule.Rule{
		ID:      "signin-federated-mfa-not-trusted",
		Title:   "Second factor from a provider that is not trusted for it",
		Version: 1,
		Kinds:   []event.Kind{event.SignIn},
		Scope:   rule.All(rule.CategoryIn(userSignIns...), homeUser()),
		Legs:    legs,
		Key:     keyByUser(),
		Stage:   rule.Enabled,
		Doc: rule.Doc{
			Proves: "The token brought a claim that a second factor was checked elsewhere, and Entra ID let it count, although the domain's " +
				"settings say that it must not (federatedIdpMfaBehavior rejectMfaByFederatedIdp, or a managed domain). The settings were changed, " +
				"or the claim was forged past them.",
			Evades: "A domain whose federation may vouch for the second factor (acceptIfMfaDoneByFederatedIdp, enforceMfaByFederatedIdp, or nothing set). " +
				"Without the tenant's verified domains the rule is not evaluable.",
			FalsePositives: []string{
				"External authentication methods and custom controls (Duo, RSA, Okta as a second factor) are logged in the same words: set the knob " +
					"externalMethods.",
				"A domain whose behaviour was just changed: update domains with the change.",
			},
			Runbook: []string{
				"Read the domain's federationConfiguration now, and compare federatedIdpMfaBehavior with the reference data.",
				"If it differs: audit-federation-trust-changed shows who changed it. No change request: call the incident lead.",
				"If it does not: ask whether external authentication methods are in use. If not, treat the sign-in as forged.",
				"Revoke the user's sessions; see what the session (sessionId) did in Graph and mailbox logs; keep the record.",
			},
			Attack:  []string{"T1606.002", "T1556.006"},
			Sources: []string{domainFederation, signInResource},
		},
	}
}

package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// settledRisk are the states in which a person or Entra ID has settled a risk.
var settledRisk = []string{"dismissed", "remediated", "confirmedSafe"}

// riskTokenIssuerAnomaly passes on Microsoft's own verdict that the issuer of a SAML token may be compromised.
func riskTokenIssuerAnomaly(*reference.Data, *knobs) *rule.Rule {
	const verdict = "tokenIssuerAnomaly"
	return &rule.Rule{
		ID:      "risk-token-issuer-anomaly",
		Title:   "Microsoft finds the issuer of a SAML token anomalous",
		Version: 1,
		Kinds:   []event.Kind{event.Risk, event.SignIn},
		Legs: []rule.Leg{{
			ID:  "risk-event",
			Why: "Entra ID Protection finds that the issuer of the user's SAML token is potentially compromised",
			When: rule.OfKind(event.Risk, rule.All(
				rule.EqFold(event.RiskType, verdict),
				rule.Not(rule.InFold(event.RiskState, settledRisk...)),
			)),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:  "sign-in",
			Why: "Entra ID Protection found at the sign-in that the issuer of the user's SAML token is potentially compromised",
			When: rule.OfKind(event.SignIn, rule.All(
				rule.CategoryIn(userSignIns...),
				rule.HasFold(event.SignInRiskEvents, verdict),
				rule.Not(rule.InFold(event.SignInRiskState, settledRisk...)),
			)),
			Severity: rule.High,
			Strength: rule.Moderate,
		}},
		Key:   keyByUser(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Microsoft's offline detection saw claims in a SAML token that are unusual or match known attackers: the hint at Golden SAML " +
				"that Microsoft itself gives. Why it thinks so is not told.",
			Evades: "Claims like those of the real federation. It needs Entra ID P2, comes hours late, and does not see forged access tokens, " +
				"for which there is no sign-in.",
			FalsePositives: []string{
				"A federation that was just set up or changed its claims: confirm with its owner, and dismiss the risk in Entra ID; the " +
					"dismissed state is silent here.",
			},
			Runbook: []string{
				"Open the user's risk detections in Entra ID Protection; requestId of the evidence is the sign-in's id.",
				"Look at that sign-in: incoming token type, address, application, session; and at the AD FS Security log for a token issued at that minute.",
				"See signin-golden-saml-pattern, signin-federated-token-for-managed-domain and audit-federation-trust-changed around it.",
				"No token in the AD FS log: treat it as Golden SAML, call the incident lead, revoke the user's sessions, replace the signing key twice.",
			},
			Attack:  []string{"T1606.002"},
			Sources: []string{identityProtection, "https://github.com/SigmaHQ/sigma (azure_identity_protection_token_issuer_anomaly.yml)"},
		},
	}
}

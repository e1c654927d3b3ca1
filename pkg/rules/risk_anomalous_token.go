package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// riskAnomalousToken passes on Microsoft's detections of stolen and replayed tokens, at the levels that the tenant counts.
func riskAnomalousToken(ref *reference.Data, _ *knobs) *rule.Rule {
	theft := []string{"anomalousToken", "attackerinTheMiddle", "attemptedPrtAccess", "nationStateIP", "investigationsThreatIntelligence"}
	open := rule.Any(
		rule.OfKind(event.Risk, rule.All(
			rule.InFold(event.RiskType, theft...),
			rule.Not(rule.InFold(event.RiskState, settledRisk...)),
			rule.Listed(event.RiskLevel, ref.RiskLevels()),
		)),
		rule.OfKind(event.SignIn, rule.All(
			rule.CategoryIn(userSignIns...),
			rule.HasFold(event.SignInRiskEvents, theft...),
			rule.Not(rule.InFold(event.SignInRiskState, settledRisk...)),
			rule.Listed(event.SignInRiskLevel, ref.RiskLevels()),
		)),
	)
	high := rule.Any(
		rule.OfKind(event.Risk, rule.EqFold(event.RiskLevel, "high")),
		rule.OfKind(event.SignIn, rule.EqFold(event.SignInRiskLevel, "high")),
	)
	return &rule.Rule{
		ID:      "risk-anomalous-token",
		Title:   "Microsoft finds signs of a stolen or replayed token",
		Version: 1,
		Kinds:   []event.Kind{event.Risk, event.SignIn},
		Legs: []rule.Leg{{
			ID:       "high-risk",
			Why:      "Entra ID Protection is confident that a token of this account was stolen, replayed or used by a known attacker",
			When:     rule.All(open, high),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "risk",
			Why:      "Entra ID Protection sees signs that a token of this account was stolen, replayed or used by a known attacker",
			When:     open,
			Severity: rule.Medium,
			Strength: rule.Weak,
		}},
		Key:   keyByUser(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Microsoft's detections saw an anomalous token, an adversary in the middle, an attempt on a primary refresh token, or a known attacker. " +
				"They are about real tokens in wrong hands; a forged access token leaves no sign-in to judge.",
			Evades: "Replaying from the victim's network and device class. It needs Entra ID P2; without it the level is hidden, which does not count.",
			FalsePositives: []string{
				"Low and medium levels of anomalousToken have, in Microsoft's words, a higher than normal chance of false positives: reference key " +
					"riskLevels says which levels count (medium and high by default).",
				"New devices, VPNs and browsers: confirm with the user, and dismiss the risk in Entra ID; the dismissed state is silent here.",
			},
			Runbook: []string{
				"Open the user's risk detections in Entra ID Protection. The same detection comes again when its state changes: that is no second theft.",
				"Ask the user (by telephone) about the sign-in's time, place and device.",
				"Look for the session (sessionId) in Graph and mailbox logs: what was read, from which addresses?",
				"If the user does not know it: revoke sessions, reset the credential, check for new devices, methods and inbox rules.",
			},
			Attack:  []string{"T1528", "T1550.001", "T1557"},
			Sources: []string{identityProtection},
		},
	}
}

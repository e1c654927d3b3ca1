package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// signinUnboundTokenSensitive finds sessions of VIPs that reach mail with a refresh token which is bound to no device: one that could be
// used by whoever stole it.
func signinUnboundTokenSensitive(ref *reference.Data, _ *knobs) *rule.Rule {
	unbound := rule.All(
		// Two spellings of the log: the enumeration's, and the portal's.
		rule.HasFold(event.IncomingTokenTypes, "refreshToken", "primaryRefreshToken", "Refresh Token", "Primary Refresh Token"),
		rule.EqFold(event.SessionBinding, "unbound"),
		rule.Any(rule.Listed(event.ActorID, ref.VIPs()), rule.Listed(event.ActorName, ref.VIPs())),
	)
	return &rule.Rule{
		ID:      "signin-unbound-token-sensitive",
		Title:   "VIP's session to mail on a token that is bound to no device",
		Version: 1,
		Kinds:   []event.Kind{event.SignIn},
		Scope:   rule.CategoryIn(userSignIns...),
		Legs: []rule.Leg{{
			ID:       "exchange",
			Why:      "a refresh token that is bound to no device opened Exchange Online for a VIP",
			When:     rule.All(unbound, rule.EqFold(event.ResourceID, exchangeOnline)),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}, {
			ID:       "graph",
			Why:      "a refresh token that is bound to no device opened Microsoft Graph for a VIP",
			When:     rule.All(unbound, rule.EqFold(event.ResourceID, microsoftGraph)),
			Severity: rule.Low,
			Strength: rule.Weak,
		}},
		Key:         keyByUser(),
		Stage:       rule.Observe,
		StageReason: "supporting evidence only: most clients that are not managed have no bound token",
		Doc: rule.Doc{
			Proves: "The token that the session rests on works on any device. Where token protection is enforced for VIPs, such a session should not exist; " +
				"elsewhere it is the ordinary case.",
			Evades: "Stealing a token together with the device's key, or signing in anew. Without vips the rule is not evaluable.",
			FalsePositives: []string{
				"Every client without token protection. Use the rule only for VIPs for whom Conditional Access enforces it.",
			},
			Runbook: []string{
				"See whether the user's policy asks for token protection, and why it did not apply (conditionalAccessStatus, client app).",
				"Compare the address and device with the user's other sessions of the week.",
				"With another alert for the user: revoke the sessions, and treat the refresh token as stolen.",
			},
			Attack:  []string{"T1528", "T1550.001"},
			Sources: []string{signInResource, "https://learn.microsoft.com/en-us/entra/identity/conditional-access/concept-token-protection"},
		},
	}
}

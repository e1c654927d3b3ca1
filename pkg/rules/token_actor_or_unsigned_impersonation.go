package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// tokenActorOrUnsignedImpersonation finds the tokens with which one service acts for any user of another: actor tokens in
// impersonation tokens, which nobody signs and no log records when they are made (CVE-2025-55241).
func tokenActorOrUnsignedImpersonation(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "token-actor-or-unsigned-impersonation",
		Title:   "Token in which one service acts for another's user",
		Version: 1,
		Kinds:   []event.Kind{event.TokenObserved},
		Legs: []rule.Leg{{
			ID:       "unsigned-actor",
			Why:      "a token that nobody signed carries the token of a service that acts for the user",
			When:     rule.All(rule.HasFold(event.TokenActorClaims, "actort", "actortoken"), rule.Any(rule.EqFold(event.TokenAlgorithm, "none"), rule.Eq(event.TokenSigned, false))),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "actor-claims",
			Why:      "the token has claims with which Microsoft's services act for users",
			When:     rule.HasFold(event.TokenActorClaims, "actort", "actortoken", "trustedfordelegation", "nii"),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "foreign-actor",
			Why:      "the token's actor belongs to another tenant than the token",
			When:     rule.All(rule.HasFold(event.TokenActorClaims, "xms_act"), guidsDiffer(event.ActorTenant, event.TokenTenant)),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:  "service-app",
			Why: "a token of one of Microsoft's services, which only they use among themselves, was shown to an application of one's own",
			When: rule.All(optional(event.AppID, rule.Listed(event.AppID, ref.S2SAppIDs())),
				rule.Not(rule.EqFold(event.ObserverType, "first-party"))),
			Severity: rule.High,
			Strength: rule.Moderate,
		}},
		Key:   keyByAcceptingAudience(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Actor tokens let Exchange, SharePoint and their like act as any user for a day, without a sign-in record and past Conditional Access. In front of one's own application they " +
				"have no business; unsigned they are the means of CVE-2025-55241.",
			Evades: "Not carrying the actor: a token in the user's own name (then issuer, key and id rules look at it).",
			FalsePositives: []string{
				"Hybrid Exchange and SharePoint servers use such tokens between each other: their endpoints are observers of the type first-party.",
				"The claim names beyond trustedfordelegation come from research, not from Microsoft's documentation.",
			},
			Runbook: []string{
				"Accepted: the application trusts what nobody signed, or what was not made for it. Take it out of service.",
				"Read the user that is impersonated and the tenant of the actor. Another tenant than yours: an attack across tenants; call Microsoft.",
				"Search the directory audit for changes that a service made in a user's name (rule audit-actor-token-impersonation) since the day before.",
				"Hybrid server of your own: name its observer first-party, after checking the address.",
			},
			Attack:  []string{"T1550.001", "T1606"},
			Sources: []string{actorImpersonation, deathByActor},
		},
	}
}

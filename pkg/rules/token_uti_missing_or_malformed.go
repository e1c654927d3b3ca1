package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// tokenUTIMissingOrMalformed finds a token without a token id (uti), or with one that Entra ID cannot have made. Every token
// of Entra ID has one; those of personal accounts are left out where it is missing, and customers' CIAM and B2C hosts altogether.
func tokenUTIMissingOrMalformed(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "token-uti-missing-or-malformed",
		Title:   "Token without a well-formed token id",
		Version: 1,
		Kinds:   []event.Kind{event.TokenObserved},
		Scope:   rule.All(rule.Any(microsoftHost(ref), entraOnlyAudience(ref)), rule.Not(sample(ref))),
		Legs: []rule.Leg{{
			ID:       "malformed",
			Why:      "the token's id (uti) is not an encoded request id, as the id of every token of Entra ID is",
			When:     rule.All(optional(event.TokenID, rule.Logged(event.TokenID)), rule.Not(rule.TokenIDReadable(event.TokenID))),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "missing",
			Why:      "the token has no id (uti), as every token of Entra ID for work accounts has",
			When:     rule.All(claimsLogged(), rule.Missing(event.TokenID), rule.Not(consumerToken())),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "unusual",
			Why:      "the token's id (uti) decodes to a value unlike those that Entra ID makes",
			When:     rule.All(optional(event.TokenID, rule.Logged(event.TokenID)), unusualTokenID(event.TokenID, ref)),
			Severity: rule.Low,
			Strength: rule.Weak,
			Stage:    rule.Observe,
		}},
		Key:   keyByAcceptingAudience(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "uti is the id of the sign-in request that issued the token, in base64url. Entra ID puts one into every token; a forger who leaves it out or " +
				"invents its form shows it.",
			Evades: "Copying a real id, or encoding a random GUID of version 4. Whether the id was ever issued is not a question for one record.",
			FalsePositives: []string{
				"Observers that do not log the claim at all: then every token of the observer fires. Log it.",
				"Collectors that lower-case texts: the id is case-sensitive.",
				"Tokens of other identity providers are not judged.",
			},
			Runbook: []string{
				"Look at the observer's other tokens of that hour. None with an id: the observer does not log it; have that mended.",
				"Others have one: treat this token as forged. Look at alg, kid, issuer and times of the same observation.",
				"Decode a present id and search it as request id in the sign-in logs; a genuine token has a row there.",
				"List what the token's subject did in the application.",
			},
			Attack:  []string{"T1606"},
			Sources: []string{claimsReference, linkableIdentifiers},
		},
	}
}

package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// graphConsumerIDP finds calls of Microsoft Graph with a token for which a personal Microsoft account signed in.
func graphConsumerIDP(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "graph-consumer-idp",
		Title:   "Microsoft Graph call of a personal account that is no guest",
		Version: 1,
		Kinds:   []event.Kind{event.GraphActivity},
		Legs: []rule.Leg{{
			ID:  "unlisted-guest",
			Why: "a personal Microsoft account called Microsoft Graph in a work tenant, and it is no known guest",
			When: rule.All(
				rule.Test(event.TokenIDP, "is of personal accounts", "", consumerIDP),
				rule.Not(allowsMSAGuests(ref)),
				unlistedGUID(event.TokenObjectID, ref.GuestOIDs()),
			),
			Severity: rule.High,
			Strength: rule.Moderate,
		}},
		Key:         keyByUser(),
		Stage:       rule.Observe,
		StageReason: "identityProvider is empty in every public record: compare with your own first",
		Doc: rule.Doc{
			Proves: "The token's identity provider is that of personal accounts, and the user is none of the invited ones. A token under a consumer key that reaches " +
				"a work tenant's data looks so.",
			Evades: "Leaving the idp claim out. The log rarely has it; without guestOids the rule is not evaluable.",
			FalsePositives: []string{
				"Invited personal accounts: list their object ids in guestOids, or set allowMsaGuests.",
			},
			Runbook: []string{
				"Search the userId in the directory. Not there: the token is forged; call the incident lead.",
				"There, and a guest: ask who invited it, and list it in guestOids.",
				"List what the token read (requestUri) under the same signInActivityId and from the same address.",
			},
			Attack:  []string{"T1606", "T1078.004"},
			Sources: []string{claimsReference, graphActivityTable},
		},
	}
}

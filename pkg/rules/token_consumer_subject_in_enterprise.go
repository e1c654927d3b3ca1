package rules

import (
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// tokenConsumerSubjectInEnterprise finds a token of a work tenant that is about a personal account: by the shape of its object
// id, or by the identity provider that it names.
func tokenConsumerSubjectInEnterprise(ref *reference.Data, _ *knobs) *rule.Rule {
	enterprise := rule.All(rule.Logged(event.TokenTenant), rule.Not(rule.EqFold(event.TokenTenant, reference.ConsumerTenant)))
	return &rule.Rule{
		ID:      "token-consumer-subject-in-enterprise",
		Title:   "Token of a work tenant about a personal account",
		Version: 1,
		Kinds:   []event.Kind{event.TokenObserved},
		Scope:   rule.All(entraIssued(ref), rule.Not(sample(ref))),
		Legs: []rule.Leg{{
			ID:  "object-id",
			Why: "a token of a work tenant has the object id of a personal Microsoft account",
			When: rule.All(enterprise, optional(event.TokenObjectID, rule.Logged(event.TokenObjectID)),
				rule.Test(event.TokenObjectID, "has the shape of a personal account's", "00000000-0000-0000-…", consumerObjectID)),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:  "identity-provider",
			Why: "a token of a work tenant says that a personal Microsoft account signed in, and it is no known guest",
			When: rule.All(enterprise, optional(event.TokenIDP, rule.All(rule.Logged(event.TokenIDP), rule.Test(event.TokenIDP, "is of personal accounts", "", consumerIDP))),
				rule.Not(allowsMSAGuests(ref)), rule.Not(rule.Listed(event.TokenObjectID, ref.GuestOIDs()))),
			Severity: rule.High,
			Strength: rule.Moderate,
		}},
		Key:   keyByAcceptingAudience(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Objects of a work tenant have random GUIDs; only personal accounts have object ids that begin with sixteen zeros. A token with such an oid and a work tenant's tid mixes two worlds, as a " +
				"forger with a consumer key has to.",
			Evades: "Writing the object id of a real user of the tenant.",
			FalsePositives: []string{
				"Invited personal accounts (guests) name live.com as identity provider, with an ordinary oid: list them in guestOids, or set allowMsaGuests.",
				"Microsoft's sample ID token has such an oid: its audience and tenants are left out.",
			},
			Runbook: []string{
				"Search the oid in the directory. Not there: the token is forged.",
				"There, and a guest: add it to guestOids, and ask who invited it.",
				"Look for token-key-issuer-scope-violation and token-tenant-not-allowed on the same audience; with either, treat it as a stolen consumer key.",
				"Accepted: list what the subject did, revoke it, and have the application check tid and oid against the directory.",
			},
			Attack:  []string{"T1606", "T1078.004"},
			Sources: []string{claimsReference, storm0558Analysis},
		},
	}
}

// consumerObjectID holds for 00000000-0000-0000-xxxx-xxxxxxxxxxxx, in which some digit is not zero: all zeros stand for none.
func consumerObjectID(s string) bool {
	id, err := event.ParseGUID(s)
	return err == nil && !id.Uniform() && [8]byte(id[:8]) == [8]byte{}
}

func consumerIDP(s string) bool {
	return strings.EqualFold(s, "live.com") || containsFold(s, reference.ConsumerTenant)
}

// containsFold reports whether s contains sub, whatever the case of ASCII letters.
func containsFold(s, sub string) bool {
	for i := 0; i+len(sub) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(sub)], sub) {
			return true
		}
	}
	return false
}

func allowsMSAGuests(ref *reference.Data) rule.Predicate {
	return rule.Func("the tenant allows personal accounts as guests", nil, func(ev *event.Event, _ *rule.Trace) rule.Truth {
		return truth(ref.Tenant(ev.Tenant).AllowMSAGuests())
	})
}

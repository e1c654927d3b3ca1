package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// tokenKIDNotPublished finds a token that names a key which Microsoft did not publish when the token was used. It
// answers only between two readings of the keys documents, so live it is Unknown until the next reading; a replay decides.
func tokenKIDNotPublished(ref *reference.Data, _ *knobs) *rule.Rule {
	never := publication(ref, "was never published", func(p reference.Publication) bool { return p == reference.Never })
	withdrawn := publication(ref, "was no longer published", func(p reference.Publication) bool { return p == reference.Withdrawn })
	unpublished := publication(ref, "was not published", func(p reference.Publication) bool { return p != reference.Published })
	return &rule.Rule{
		ID:      "token-kid-not-published",
		Title:   "Token signed with a key that Microsoft did not publish",
		Version: 1,
		Kinds:   []event.Kind{event.TokenObserved},
		Scope:   rule.All(seenByOwn(), entraIssued(ref), rule.Not(sample(ref))),
		Legs: []rule.Leg{{
			ID:       "withdrawn-key-accepted",
			Why:      "a token was accepted although its signing key had been withdrawn from the published keys",
			When:     rule.All(withdrawn, accepted()),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "unknown-key-accepted",
			Why:      "a token was accepted although its signing key was in none of the published keys documents",
			When:     rule.All(never, accepted()),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "presented",
			Why:      "somebody presented a token whose signing key is in none of the published keys documents",
			When:     unpublished,
			Severity: rule.Low,
			Strength: rule.Weak,
		}},
		Key:   keyByAcceptingAudience(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "The keys documents were read before and after the token's use, and none of the readings within two days holds the key. An application " +
				"that accepted the token trusts a key that it should have forgotten, or never checked.",
			Evades: "Naming a published key, which needs that key. Readings of the keys documents that are more than 26 hours apart leave the question open.",
			FalsePositives: []string{
				"A tenant's custom signing keys (…/discovery/keys?appid=…) are in no common document: have the document read under the tenant's id.",
				"A rollover between two readings: a key counts as published within two days of any reading that holds it.",
				"Tokens of other identity providers: only issuers of Entra ID and audiences that are configured as Entra-only are judged.",
			},
			Runbook: []string{
				"Look the kid up in https://login.microsoftonline.com/common/discovery/v2.0/keys and in the tenant's own document; if it stands there, " +
					"the readings are at fault: report it.",
				"Accepted: ask the application's owner where its keys come from. A copy in a file, an image or a cache that is never refreshed is the usual answer: refresh it now.",
				"Withdrawn key: find out when it was last published and what was accepted with it since.",
				"Unknown key: the application does not check signatures against Microsoft's keys. Take it out of service until it does.",
				"Search the application's log for everything that the token's subject did.",
			},
			Attack:  []string{"T1606"},
			Sources: []string{identityPlatform, keyRollover, wizAnalysis},
		},
	}
}

// publication asks what the history of keys documents tells of the kid when the token was used.
func publication(ref *reference.Data, text string, holds func(reference.Publication) bool) rule.Predicate {
	needs := []string{event.TokenKeyID.Path, event.TokenIssuer.Path, "reference:fetches"}
	return rule.Func(event.TokenKeyID.Path+" "+text, needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		kid := &ev.Token.KeyID
		if !kid.OK() || kid.V == "" {
			return tr.Lacking(event.TokenKeyID.Path)
		}
		tenant := parseIssuer(ev.Token.Issuer.V).tenant
		if tenant == "" {
			tenant = ev.Token.Tenant.V
		}
		p := ref.Published(kid.V, tenant, ev.Time.V)
		if p == reference.NotTold {
			return tr.Lacking("reference:fetches")
		}
		return fact(tr, event.TokenKeyID, kid, text, "by the fetches of the keys documents", holds(p))
	})
}

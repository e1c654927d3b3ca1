package rules

import (
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// tokenVersionShapeMismatch finds a token whose set of claims is not that of its version. Optional claims can mix the sets, so
// it only observes until somebody has learned what is ordinary.
func tokenVersionShapeMismatch(ref *reference.Data, _ *knobs) *rule.Rule {
	v1, v2 := rule.Eq(event.TokenVersion, "1.0"), rule.Eq(event.TokenVersion, "2.0")
	return &rule.Rule{
		ID:      "token-version-shape-mismatch",
		Title:   "Token whose claims are not those of its version",
		Version: 1,
		Kinds:   []event.Kind{event.TokenObserved},
		Scope:   rule.All(entraIssued(ref), rule.Not(sample(ref))),
		Legs: []rule.Leg{{
			ID:       "unknown-version",
			Why:      "the token's ver claim is neither 1.0 nor 2.0",
			When:     rule.All(rule.Logged(event.TokenVersion), rule.Not(rule.In(event.TokenVersion, "1.0", "2.0"))),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "kid-shape",
			Why:      "the token's kid is not the base64url of a certificate's SHA-1",
			When:     rule.All(seenByOwn(), rule.Logged(event.TokenKeyID), rule.Test(event.TokenKeyID, "is not 27 characters of base64url", "", notThumbprint)),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:  "version-1-claims",
			Why: "a version 1.0 token has claims or header parameters of version 2.0",
			When: rule.All(claimsLogged(), v1, rule.Any(
				rule.All(rule.Not(rule.Missing(event.TokenParty)), rule.Missing(event.TokenAppID)),
				rule.All(headerLogged(), rule.Missing(event.TokenThumbprint), rule.Not(rule.Missing(event.TokenKeyID))))),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}, {
			ID:  "version-2-claims",
			Why: "a version 2.0 token has claims or header parameters of version 1.0",
			When: rule.All(claimsLogged(), v2, rule.Any(
				rule.All(rule.Not(rule.Missing(event.TokenAppID)), rule.Missing(event.TokenParty)),
				rule.Not(rule.Missing(event.TokenThumbprint)))),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}, {
			ID:       "app-with-scopes",
			Why:      "a token of an application alone has delegated permissions",
			When:     rule.All(optional(event.TokenType, rule.Eq(event.TokenType, "app")), rule.Not(rule.Missing(event.TokenScopes))),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}, {
			ID:  "user-without-permissions",
			Why: "a token of a user has neither delegated permissions nor roles",
			When: rule.All(claimsLogged(), optional(event.TokenType, rule.Eq(event.TokenType, "user")),
				rule.Missing(event.TokenScopes), withoutRoles()),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}},
		Key:         keyByAcceptingAudience(),
		Stage:       rule.Observe,
		StageReason: "optional claims mix the claim sets of the versions; enable it once an application's tokens are known to be clean",
		Doc: rule.Doc{
			Proves: "The token was put together from claims that Entra ID does not issue together: appid and x5t belong to version 1.0, azp to version 2.0.",
			Evades: "Copying the claims of a real token.",
			FalsePositives: []string{
				"Optional claims can add claims of version 1.0 to version 2.0 tokens: single hits of that kind are weak.",
				"Observers that log only some of the claims: log all of them, or leave the rule in observe.",
				"ID tokens have neither appid nor azp in some flows.",
			},
			Runbook: []string{
				"Compare with other tokens of the same audience and app. All of them: an optional claim or an incomplete observer; leave the rule in observe.",
				"This one only: look at alg, kid, issuer and lifetime of the same observation.",
				"Accepted and alone in its shape: have the application's owner list what its subject did.",
			},
			Attack:  []string{"T1606"},
			Sources: []string{claimsReference, identityPlatform},
		},
	}
}

// notThumbprint holds for a text that is not 27 characters of base64url, as the SHA-1 of a certificate is.
func notThumbprint(s string) bool {
	return len(s) != 27 || strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(base64url, r) })
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// withoutRoles holds when the token has no roles, whether the claim is missing or empty.
func withoutRoles() rule.Predicate {
	return rule.Func(event.TokenRoles.Path+" is missing", nil, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		roles := &ev.Token.Roles
		t := truth(!roles.OK() || len(roles.V) == 0)
		if tr.KeepsFacts() {
			tr.Add(event.TokenRoles.Path, rule.Show(roles), "is missing", "", t)
		}
		return t
	})
}

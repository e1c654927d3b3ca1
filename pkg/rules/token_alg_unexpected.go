package rules

import (
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// tokenAlgUnexpected finds a token that is not signed at all, or not in the way in which its issuer signs, or that brings its
// own key.
func tokenAlgUnexpected(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "token-alg-unexpected",
		Title:   "Token without a signature, with another algorithm, or with a key of its own",
		Version: 1,
		Kinds:   []event.Kind{event.TokenObserved},
		Scope:   seenByOwn(),
		Legs: []rule.Leg{{
			ID:       "unsigned-accepted",
			Why:      "a token without a signature was accepted",
			When:     rule.All(unsigned(), accepted()),
			Severity: rule.Critical,
			Strength: rule.Strong,
		}, {
			ID:       "algorithm-accepted",
			Why:      "a token was accepted whose algorithm its issuer does not sign with",
			When:     rule.All(otherAlgorithm(ref), accepted()),
			Severity: rule.Critical,
			Strength: rule.Strong,
		}, {
			ID:       "own-key-accepted",
			Why:      "a token was accepted that brings the key, or the place of the key, with which it is to be checked",
			When:     rule.All(ownKey(ref), accepted()),
			Severity: rule.Critical,
			Strength: rule.Strong,
		}, {
			ID:       "presented",
			Why:      "somebody presented a token that is unsigned, wrongly signed or brings its own key",
			When:     rule.Any(unsigned(), otherAlgorithm(ref), ownKey(ref)),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}},
		Key:   keyByAcceptingAudience(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Entra ID signs with RS256 and names its key by kid, nothing else. A token with alg none, with HMAC (the public key taken for a secret), or with a " +
				"key in its header was made by somebody without the signing key; if it was accepted, the validator does not validate.",
			Evades: "Signing with a key that the validator trusts.",
			FalsePositives: []string{
				"Scanners send such tokens all day: refused ones are only noted. One alert stands for an observer and day.",
				"Other identity providers sign with ES256 or PS256: set allowedAlgs of the application. Without it only tokens of Entra ID are judged by algorithm.",
				"Issuers that do put their certificate into x5c: add it to trustedCertificates.",
			},
			Runbook: []string{
				"Accepted: take the endpoint out of service. Anybody can write tokens for it.",
				"Find in its code or gateway policy why: signature checks switched off, an algorithm taken from the header, keys fetched from jku or x5u.",
				"List every request with such a token since the last good deployment and what it was let do; the claims in it are the forger's choice, so no user need be involved.",
				"Fix, pin the algorithm to RS256 and the keys to the issuer's document, and prove it with a token of alg none in the tests.",
				"Refused: check that the source is a scanner of your own; else keep the address for hunting.",
			},
			Attack:  []string{"T1606", "T1550.001"},
			Sources: []string{identityPlatform, rfc7515, rfc8725},
		},
	}
}

// unsigned holds when the header says so, or there was no signature, or not as many parts as a signed (3) or
// encrypted (5) token has.
func unsigned() rule.Predicate {
	return rule.Any(
		rule.EqFold(event.TokenAlgorithm, "none"),
		rule.Eq(event.TokenSigned, false),
		rule.Not(rule.In(event.TokenSegments, 3, 5)),
	)
}

// otherAlgorithm holds when the application, or for want of its word Entra ID, does not sign with the token's algorithm.
func otherAlgorithm(ref *reference.Data) rule.Predicate {
	fromEntra := entraIssued(ref)
	needs := append(fromEntra.Needs(), event.TokenAlgorithm.Path, "reference:apps")
	return rule.Func("the algorithm is not one that the issuer signs with", needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		alg, aud := &ev.Token.Algorithm, &ev.Token.Audience
		if !alg.OK() || alg.V == "" {
			return tr.Lacking(event.TokenAlgorithm.Path)
		}
		if app, ok, _ := ref.Tenant(ev.Tenant).Application(aud.V); aud.OK() && ok {
			if allowed, known := app.AllowsAlgorithm(alg.V); known {
				return fact(tr, event.TokenAlgorithm, alg, "is not among the allowedAlgs of", aud.V, !allowed)
			}
		}
		if fromEntra.Eval(ev, nil) == rule.True {
			return fact(tr, event.TokenAlgorithm, alg, "is not", "RS256", !strings.EqualFold(alg.V, "RS256"))
		}
		return tr.Lacking("reference:apps")
	})
}

// ownKey holds when the header says where the key is to be fetched, holds the key, or holds a certificate that nobody trusts.
func ownKey(ref *reference.Data) rule.Predicate {
	return rule.Any(
		rule.HasFold(event.EmbeddedKeyRefs, "jku", "jwk", "x5u"),
		rule.All(rule.HasFold(event.EmbeddedKeyRefs, "x5c"), rule.Not(rule.Listed(event.TokenCertSHA1, ref.TrustedCertificates()))),
	)
}

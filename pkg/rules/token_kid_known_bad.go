package rules

import (
	"cmp"
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// tokenKIDKnownBad finds a token that names a signing key known to be stolen. The kid and the x5t of a token and the
// indicators spell the same thumbprint differently, in base64url and in hex: any spelling counts.
func tokenKIDKnownBad(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "token-kid-known-bad",
		Title:   "Token signed with a key that is known to be stolen",
		Version: 1,
		Kinds:   []event.Kind{event.TokenObserved},
		Scope:   rule.All(seenByOwn(), rule.Not(sample(ref))),
		Legs: []rule.Leg{{
			ID:       "accepted",
			Why:      "a token that names a stolen signing key was accepted",
			When:     rule.All(namesBadKey(ref), accepted()),
			Severity: rule.Critical,
			Strength: rule.Strong,
		}, {
			ID:       "presented",
			Why:      "somebody presented a token that names a stolen signing key",
			When:     namesBadKey(ref),
			Severity: rule.High,
			Strength: rule.Strong,
		}},
		Key: rule.Key{Name: "key", Of: func(ev *event.Event) string {
			for _, t := range keyNames(ev) {
				if k, ok := ref.BadKey(t.value.V); t.value.OK() && ok {
					return cmp.Or(k.KID, strings.ToLower(k.SHA1), strings.ToLower(k.SHA256))
				}
			}
			return ""
		}},
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "The token's header names a key that is in an attacker's hands. Nobody else signs with it any more, so the token was forged, " +
				"or made by somebody who tests with the public sample.",
			Evades: "Signing with a key that is not known to be stolen. The kid itself can be written at will, but a validator that " +
				"looks the key up by it then finds another one and refuses the signature.",
			FalsePositives: []string{
				"Microsoft's sample ID token and the unit tests of several libraries carry this very kid. Tokens with the sample's audience or " +
					"tenants are left out, the tenants unless a token was accepted; name observers that see other test traffic in testObservers.",
			},
			Runbook: []string{
				"Accepted: treat the application as breached. Stop it from trusting the key at once: clear its key cache, restart it, " +
					"update its validation library; then check with a second request that the kid is refused.",
				"List what the token's oid, sub and app were let do from the first record on, in the application's own log.",
				"Look for the same source address and user agent in mailbox, Graph and sign-in records of 30 days (rules ioc-ip, mailbox-unexpected-client-app).",
				"Ask which other applications accept tokens of the same issuer, and whether their keys come from the same cache.",
				"Rejected only: the validator works. Keep the records, block the address, and look for the same address elsewhere.",
				"Open a case with Microsoft: the key is theirs to withdraw.",
			},
			Attack:  []string{"T1606", "T1552.004", "T1550.001"},
			Sources: []string{storm0558Analysis, wizAnalysis, rfc7515},
		},
	}
}

// keyName is one of the places in which a token's header names its key.
type keyName struct {
	field event.Field[string]
	value *event.Text
}

func keyNames(ev *event.Event) [3]keyName {
	return [3]keyName{
		{event.TokenKeyID, &ev.Token.KeyID},
		{event.TokenThumbprint, &ev.Token.Thumbprint},
		{event.TokenCertSHA1, &ev.Token.CertThumbprint},
	}
}

// namesBadKey holds when any of the names that the header gives its key is a known-bad one. A v2.0 token has only a kid, so
// one name is enough to answer; none at all leaves it Unknown.
func namesBadKey(ref *reference.Data) rule.Predicate {
	return rule.Func("the token names a known-bad key", []string{event.TokenKeyID.Path, event.TokenThumbprint.Path, event.TokenCertSHA1.Path},
		func(ev *event.Event, tr *rule.Trace) rule.Truth {
			t, named := rule.False, false
			for _, n := range keyNames(ev) {
				if !n.value.OK() || n.value.V == "" {
					continue
				}
				named = true
				_, bad := ref.BadKey(n.value.V)
				t = max(t, fact(tr, n.field, n.value, "is a known-bad key of", "badKeys", bad))
			}
			if !named {
				return tr.Lacking(event.TokenKeyID.Path)
			}
			return t
		})
}

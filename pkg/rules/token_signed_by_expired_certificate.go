package rules

import (
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// certificateSlack allows for clocks and for tokens that were made while the key changed.
const certificateSlack = 24 * time.Hour

// tokenSignedByExpiredCertificate finds a fresh token whose key has a certificate that had ended. It would have fired in 2023
// without any indicator: the stolen key's certificate had ended two years before. Microsoft kept publishing old consumer keys
// for a while, so a token of a personal account proves little.
func tokenSignedByExpiredCertificate(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "token-signed-by-expired-certificate",
		Title:   "Token issued after its signing key's certificate had ended",
		Version: 1,
		Kinds:   []event.Kind{event.TokenObserved},
		Scope:   rule.All(seenByOwn(), rule.Not(sample(ref))),
		Legs: []rule.Leg{{
			ID:       "enterprise-token",
			Why:      "a token of a work or school tenant was issued more than a day after the certificate of its signing key had ended",
			When:     rule.All(rule.Not(consumerToken()), certificateEnded(ref)),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "consumer-token",
			Why:      "a token of a personal account was issued more than a day after the certificate of its signing key had ended",
			When:     rule.All(consumerToken(), certificateEnded(ref)),
			Severity: rule.Low,
			Strength: rule.Weak,
		}, {
			ID:       "key-too-old",
			Why:      "the token was signed with a key that is older than maxKeyAge allows",
			When:     keyTooOld(ref),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}},
		Key:   keyBySigningKey(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "The key should have been out of use when the token says that it was issued. Together with token-key-issuer-scope-violation it leaves no innocent explanation.",
			Evades: "A key whose certificate is still valid, or an iat in the past (then token-time-anomaly looks at the age).",
			FalsePositives: []string{
				"Microsoft published consumer keys beyond the end of their certificates (the key stolen by Storm-0558 was one): tokens of personal accounts are only noted.",
				"maxKeyAge is off until somebody sets it: Microsoft's certificates run for five years, though the keys are used for weeks.",
			},
			Runbook: []string{
				"Look for token-key-issuer-scope-violation and token-kid-known-bad on the same key: with either, follow that runbook.",
				"Look the kid up in today's keys document. Not there: the application trusts a stale copy; refresh its keys and find out what else it accepted with them.",
				"Still published: compare with other applications. If only one source address or app uses the key, treat the tokens as forged.",
				"Report an enterprise key with an ended certificate to Microsoft.",
			},
			Attack:  []string{"T1606", "T1552.004"},
			Sources: []string{csrbReview, issuerValidator, storm0558Analysis},
		},
	}
}

// consumerToken holds when the issuer, or for want of one the tid, is that of personal accounts.
func consumerToken() rule.Predicate {
	return rule.Func("the token is a personal account's", []string{event.TokenIssuer.Path}, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		iss, tid := &ev.Token.Issuer, &ev.Token.Tenant
		switch {
		case iss.OK() && iss.V != "":
			return fact(tr, event.TokenIssuer, iss, "names the tenant", reference.ConsumerTenant, isConsumers(parseIssuer(iss.V).tenant))
		case tid.OK() && tid.V != "":
			return fact(tr, event.TokenTenant, tid, "is", reference.ConsumerTenant, isConsumers(tid.V))
		}
		return tr.Lacking(event.TokenIssuer.Path)
	})
}

// certificateEnded holds when the certificate had ended for more than certificateSlack when the token was issued.
func certificateEnded(ref *reference.Data) rule.Predicate {
	return issuedAfter(ref, "the end of the key's certificate",
		func(*reference.Tenant) bool { return true },
		func(_ *reference.Tenant, k *reference.Key) time.Time {
			if k.NotAfter.IsZero() {
				return k.NotAfter
			}
			return k.NotAfter.Add(certificateSlack)
		})
}

// keyTooOld holds when the tenant limits the age of keys and the key was older when the token was issued.
func keyTooOld(ref *reference.Data) rule.Predicate {
	return issuedAfter(ref, "the last day on which the key may be used",
		func(t *reference.Tenant) bool { return t.MaxKeyAge() > 0 },
		func(t *reference.Tenant, k *reference.Key) time.Time {
			if k.NotBefore.IsZero() {
				return k.NotBefore
			}
			return k.NotBefore.Add(t.MaxKeyAge())
		})
}

// issuedAfter compares the token's iat with a date of its key. It is False where the tenant does not ask, and Unknown where
// the key or its date is not known (the zero time).
func issuedAfter(ref *reference.Data, what string, asked func(*reference.Tenant) bool,
	date func(*reference.Tenant, *reference.Key) time.Time,
) rule.Predicate {
	needs := []string{event.TokenKeyID.Path, event.IssuedAt.Path, "reference:keys"}
	return rule.Func(event.IssuedAt.Path+" is after "+what, needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		tenant := ref.Tenant(ev.Tenant)
		if !asked(tenant) {
			return rule.False
		}
		kid, iat := &ev.Token.KeyID, &ev.Token.IssuedAt
		switch {
		case !kid.OK() || kid.V == "":
			return tr.Lacking(event.TokenKeyID.Path)
		case !iat.OK():
			return tr.Lacking(event.IssuedAt.Path)
		}
		k, ok := ref.Key(kid.V)
		if !ok {
			return tr.Lacking("reference:keys")
		}
		until := date(tenant, k)
		if until.IsZero() {
			return tr.Lacking("reference:keys")
		}
		t := truth(iat.V.After(until))
		if tr.KeepsFacts() {
			tr.Add(event.IssuedAt.Path, rule.Show(iat), "is after "+what, until.UTC().Format(time.RFC3339), t)
		}
		return t
	})
}

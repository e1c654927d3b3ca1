package rules

import (
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// Predicates that several token rules share.

// azureActivity is the observer type of the claims in the Azure Activity log, which has no token header and whose records
// may be written long after the token was used.
const azureActivity = "azure-activity"

// accepted holds when the relying party let the token in.
func accepted() rule.Predicate { return rule.EqFold(event.ValidationResult, "accepted") }

// seenByOwn holds for observers that see the token itself. Which observer it was is not always logged; then it is one's own.
func seenByOwn() rule.Predicate { return rule.Not(fromAzureActivity()) }

func fromAzureActivity() rule.Predicate {
	return rule.Func("the observer is the Azure Activity log", nil, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		o := &ev.Observed.ObserverType
		return fact(tr, event.ObserverType, o, "is", azureActivity, o.OK() && o.V == azureActivity)
	})
}

// sample holds for the sample tokens of Microsoft's documentation, which unit tests carry, and for what the tenant's test
// observers see. A forger gains nothing by imitating a sample: its audience is nobody's, and its tenants excuse only
// what was not accepted.
func sample(ref *reference.Data) rule.Predicate {
	audiences, tenants, observers := ref.SampleAudiences(), ref.SampleTenants(), ref.TestObservers()
	return rule.Func("the token is a documentation sample or a test observer's", nil,
		func(ev *event.Event, tr *rule.Trace) rule.Truth {
			aud, iss, observer, result := &ev.Token.Audience, &ev.Token.Issuer, &ev.Observed.Observer, &ev.Observed.Result
			in := func(s rule.Set, t *event.Text, v string) bool {
				is, _ := s.Contains(ev.Tenant, v)
				return t.OK() && is
			}
			let := result.OK() && strings.EqualFold(result.V, "accepted")
			t := fact(tr, event.TokenAudience, aud, "is listed in", audiences.Name(), in(audiences, aud, aud.V))
			t = max(t, fact(tr, event.TokenIssuer, iss, "was not accepted and names a tenant listed in", tenants.Name(),
				!let && in(tenants, iss, parseIssuer(iss.V).tenant)))
			return max(t, fact(tr, event.Observer, observer, "is listed in", observers.Name(), in(observers, observer, observer.V)))
		})
}

// fact records a comparison that cannot be Unknown.
func fact(tr *rule.Trace, f event.Field[string], v *event.Text, op, operand string, holds bool) rule.Truth {
	t := truth(holds)
	if tr.KeepsFacts() {
		tr.Add(f.Path, rule.Show(v), op, operand, t)
	}
	return t
}

// entraIssued holds when the token claims to be Entra ID's: the host of its issuer is one of the issuer hosts, or its
// audience accepts Entra tokens only. Tokens of other identity providers are no anomaly.
func entraIssued(ref *reference.Data) rule.Predicate {
	return rule.Any(issuerHost(ref, "is an issuer host of Entra ID", func(*reference.IssuerHost) bool { return true }), entraOnlyAudience(ref))
}

// entraOnlyAudience holds when the configuration says so. That nothing is configured means that it does not.
func entraOnlyAudience(ref *reference.Data) rule.Predicate {
	return rule.Func("the audience is configured as accepting Entra ID tokens only", nil,
		func(ev *event.Event, tr *rule.Trace) rule.Truth {
			aud := &ev.Token.Audience
			a, ok, _ := ref.Tenant(ev.Tenant).Application(aud.V)
			return fact(tr, event.TokenAudience, aud, "is an Entra-only application of", "apps", aud.OK() && ok && a.EntraOnly)
		})
}

// issuerHost holds when the host of the issuer is known and of a kind.
func issuerHost(ref *reference.Data, op string, of func(*reference.IssuerHost) bool) rule.Predicate {
	return rule.Test(event.TokenIssuer, op, "", func(iss string) bool {
		h, ok := ref.IssuerHost(parseIssuer(iss).host)
		return ok && of(h)
	})
}

// microsoftHost holds when the issuer is on one of Microsoft's own hosts, not on a customer's CIAM or B2C host.
func microsoftHost(ref *reference.Data) rule.Predicate {
	return issuerHost(ref, "is on a host of Microsoft's own", func(h *reference.IssuerHost) bool { return h.Form != reference.OwnIssuer })
}

// claimsLogged is True where the observer logged a set of claims, else Unknown: only then does a claim's absence from it say
// anything.
func claimsLogged() rule.Predicate {
	return rule.Func("the claims were logged", []string{"token.claims"}, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		if ev.Token.Actor.State == event.Present {
			return rule.True
		}
		return tr.Lacking("token.claims")
	})
}

// headerLogged is True where the observer logged a header, else Unknown: only then does a parameter's absence from it say
// anything.
func headerLogged() rule.Predicate {
	return rule.Func("the header was logged", []string{"token.header"}, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		if ev.Token.EmbeddedKeyRefs.State == event.Present {
			return rule.True
		}
		return tr.Lacking("token.header")
	})
}

// optional is p for a claim that many genuine tokens do not have: where the claims were logged without it, p is False.
func optional(f event.Field[string], p rule.Predicate) rule.Predicate {
	return rule.Func(p.String(), p.Needs(), func(ev *event.Event, tr *rule.Trace) rule.Truth {
		if v := f.Get(ev); v.State == event.Absent && ev.Token.Actor.OK() {
			return fact(tr, f, v, "is claimed", "", false)
		}
		return p.Eval(ev, tr)
	})
}

// keyByAcceptingAudience groups accepted tokens by their audience, which the relying party vouches for, and others by
// the observer: what a refused token claims is the sender's to vary.
func keyByAcceptingAudience() rule.Key {
	return rule.Key{Name: "audience or observer", Of: func(ev *event.Event) string {
		if r := ev.Observed.Result; r.OK() && r.V != "rejected" {
			if aud := folded(ev.Token.Audience); aud != "" {
				return aud
			}
		}
		return firstFolded(ev.Observed.Observer, ev.Token.Audience)
	}}
}

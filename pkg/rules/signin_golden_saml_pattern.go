package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// The application and the resource that the tools for Golden SAML use by default.
const (
	goldenSAMLApp = "72782ba9-4490-4f03-8d82-562370ea3566"
	officeHome    = "4765445b-32c6-49b0-83e6-1d93765276ca"
)

// externalMFA is how Entra ID says that it took another's word for the second factor.
const externalMFA = "MFA requirement satisfied by claim provided by external provider"

// signinGoldenSAMLPattern finds sign-ins that look like a forged SAML token: a second factor that only the token vouches
// for, no trace of any step, and no bound session. Every tenant with AD FS and its own second factor has sign-ins like
// that, so it takes the default application of the tools, or a domain for which they are impossible.
func signinGoldenSAMLPattern(ref *reference.Data, k *knobs) *rule.Rule {
	strict := k.flag("strict", false, "fire on the pattern for any application; for tenants without AD FS or without a second factor of its own")
	pattern := rule.All(
		rule.In(event.SignInError, 0, 399218),
		rule.HasFold(event.IncomingTokenTypes, "saml11"),
		rule.Contains(event.SignInDetails, externalMFA),
		saysNothing(event.MFADetail, func(said bool) bool { return said }),
		saysNothing(event.AuthSteps, func(steps int64) bool { return steps > 0 }),
		rule.EqFold(event.SessionBinding, "unbound"),
	)
	r := &rule.Rule{
		ID:      "signin-golden-saml-pattern",
		Title:   "Sign-in like one with a forged SAML token",
		Version: 1,
		Kinds:   []event.Kind{event.SignIn},
		Scope:   rule.CategoryIn(interactiveSignIns...),
		Legs: []rule.Leg{{
			ID:       "impossible-for-domain",
			Why:      "a SAML token alone vouched for the second factor, and the user's domain is one where Entra ID accepts no such word",
			When:     rule.All(pattern, homeUser(), rule.Any(managedDomain(ref), mfaRejectingDomain(ref))),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:  "tool-default",
			Why: "a SAML token alone vouched for the second factor, in the application that tools for Golden SAML use by default",
			When: rule.All(pattern, rule.Any(
				rule.EqFold(event.AppID, goldenSAMLApp),
				rule.EqFold(event.ResourceID, officeHome),
			)),
			Severity: rule.High,
			Strength: rule.Moderate,
		}},
		Key:   keyByUser(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "The sign-in rests on nothing but a SAML 1.1 token: no step of authentication, no second factor of Entra ID's own, no bound session. " +
				"A forged token leaves just that; so does some honest federation.",
			Evades: "Another application, a SAML 2.0 token, or leaving the second factor out where none is asked for.",
			FalsePositives: []string{
				"AD FS with a second factor of its own, used by people at office.com: the leg tool-default meets them. Give the tenant's domains with " +
					"federatedIdpMfaBehavior, and switch the rule to observe if the federation is in daily use.",
				"The knob strict makes every such sign-in fire: only for tenants whose users are not federated.",
			},
			Runbook: []string{
				"Check in AD FS (Security events 1200 and 1202 with the user's name) whether a token was issued at that minute. None: it was forged.",
				"Compare the address with the user's and the AD FS proxy's usual ones.",
				"See signin-federated-token-for-managed-domain, signin-federated-mfa-not-trusted and risk-token-issuer-anomaly for the same user.",
				"If it was forged: call the incident lead, revoke the user's sessions, and treat the token-signing key of AD FS as stolen: replace it twice.",
			},
			Attack: []string{"T1606.002", "T1556.007"},
			Sources: []string{
				"https://kqlsearch.com/query/Multiple-Potential%20Golden%20SAML%20authentication&cmafon7yz02k1p10fi03c15q7",
				signInResource, domainFederation,
			},
		},
	}
	if strict {
		r.Legs = append(r.Legs, rule.Leg{
			ID:       "strict",
			Why:      "a SAML token alone vouched for the second factor",
			When:     pattern,
			Severity: rule.High,
			Strength: rule.Moderate,
		})
	}
	return r
}

// saysNothing holds when the log has the field and nothing is in it: null, or what said denies. That the log does not have
// the field tells nothing.
func saysNothing[T any](f event.Field[T], said func(T) bool) rule.Predicate {
	return rule.Func(f.Path+" says nothing", []string{f.Path}, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		v := f.Get(ev)
		t := rule.Unknown
		switch v.State {
		case event.Null:
			t = rule.True
		case event.Present:
			t = truth(!said(v.V))
		case event.Absent, event.Unreadable:
			tr.Lacking(f.Path)
		}
		if tr.KeepsFacts() {
			tr.Add(f.Path, rule.Show(v), "says nothing", "", t)
		}
		return t
	})
}

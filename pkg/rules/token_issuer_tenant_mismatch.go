package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// tokenIssuerTenantMismatch finds a token whose iss, tid and ver do not fit each other. Entra ID derives the issuer from the
// tenant and the version, so they always do.
func tokenIssuerTenantMismatch(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "token-issuer-tenant-mismatch",
		Title:   "Token whose issuer does not fit its tenant or version",
		Version: 1,
		Kinds:   []event.Kind{event.TokenObserved},
		Scope:   entraIssued(ref),
		Legs: []rule.Leg{{
			ID:       "other-tenant",
			Why:      "the token's issuer names another tenant than its tid claim",
			When:     issuerNamesOtherTenant(),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "tid-not-a-guid",
			Why:      "the token's tid claim is not a tenant's GUID",
			When:     rule.All(rule.Logged(event.TokenTenant), rule.Test(event.TokenTenant, "is not a GUID", "", notGUID)),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "unknown-host",
			Why:      "an application that accepts Entra ID tokens only was shown one with an issuer on another host",
			When:     rule.Not(issuerHost(ref, "is an issuer host of Entra ID", func(*reference.IssuerHost) bool { return true })),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "other-version",
			Why:      "the token's ver claim does not fit the form of its issuer",
			When:     rule.All(microsoftHost(ref), versionUnlikeIssuer()),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "not-canonical",
			Why:      "the token's issuer is not written as Entra ID writes it on that host",
			When:     rule.All(microsoftHost(ref), notCanonical(ref)),
			Severity: rule.High,
			Strength: rule.Strong,
		}},
		Key:   keyByAcceptingAudience(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Entra ID writes https://sts.windows.net/{tid}/ into version 1.0 tokens and https://login.microsoftonline.com/{tid}/v2.0 into version 2.0 tokens, with the tid that " +
				"stands in the token. A token in which they differ was put together by somebody else.",
			Evades: "Writing iss, tid and ver consistently, which costs a careful forger nothing.",
			FalsePositives: []string{
				"None is known for issuers on Microsoft's hosts.",
				"Customers' CIAM and B2C hosts write other forms: list them in issuerHosts with the form own, and only the tenant is compared.",
				"An observer that mixes the claims of two tokens, or shortens them.",
			},
			Runbook: []string{
				"Read both tenants. Your own in tid and a stranger's in iss, or the reverse, is the signature of a cross-tenant forgery.",
				"Accepted: the application checks only one of the two. Stop it until it compares the whole issuer with the tenant, then list what the token did.",
				"Look at alg, kid and signature of the same observation: token-alg-unexpected and token-key-issuer-scope-violation say how it was made.",
				"Refused: keep the address and user agent, and look for them in the other logs.",
			},
			Attack:  []string{"T1606", "T1550.001"},
			Sources: []string{identityPlatform, claimsReference},
		},
	}
}

func notGUID(s string) bool { _, err := event.ParseGUID(s); return err != nil }

func issuerNamesOtherTenant() rule.Predicate {
	needs := []string{event.TokenIssuer.Path, event.TokenTenant.Path}
	return rule.Func("the issuer names another tenant than tid", needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		iss, tid := &ev.Token.Issuer, &ev.Token.Tenant
		if !iss.OK() || iss.V == "" {
			return tr.Lacking(event.TokenIssuer.Path)
		}
		if !tid.OK() || tid.V == "" {
			return tr.Lacking(event.TokenTenant.Path)
		}
		named := parseIssuer(iss.V).tenant
		return fact(tr, event.TokenIssuer, iss, "names another tenant than", tid.V, named != "" && !sameGUID(named, tid.V))
	})
}

// versionUnlikeIssuer holds when one of ver and iss is of version 2.0 and the other is not.
func versionUnlikeIssuer() rule.Predicate {
	needs := []string{event.TokenVersion.Path, event.TokenIssuer.Path}
	return rule.Func("ver does not fit the form of the issuer", needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		ver, iss := &ev.Token.Version, &ev.Token.Issuer
		if !ver.OK() || ver.V == "" {
			return tr.Lacking(event.TokenVersion.Path)
		}
		if !iss.OK() || iss.V == "" {
			return tr.Lacking(event.TokenIssuer.Path)
		}
		two := parseIssuer(iss.V).version == reference.V2Issuer
		return fact(tr, event.TokenVersion, ver, "does not fit", iss.V, (ver.V == "2.0") != two)
	})
}

// notCanonical holds when the issuer is not to the byte of the form that its host writes.
func notCanonical(ref *reference.Data) rule.Predicate {
	return rule.Test(event.TokenIssuer, "is not as its host writes issuers", "", func(iss string) bool {
		is := parseIssuer(iss)
		h, ok := ref.IssuerHost(is.host)
		return ok && (is.version != h.Form || is.host != h.Host)
	})
}

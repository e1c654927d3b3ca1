package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// tokenTenantNotAllowed finds a token of a tenant that the application is not for. What it is for has to be configured; personal
// accounts count as allowed only where they are named.
func tokenTenantNotAllowed(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "token-tenant-not-allowed",
		Title:   "Token of a tenant that the application is not for",
		Version: 1,
		Kinds:   []event.Kind{event.TokenObserved},
		Legs: []rule.Leg{{
			ID:       "consumer-token",
			Why:      "an application that is for work accounts was shown a token of a personal Microsoft account",
			When:     rule.All(rule.EqFold(event.TokenTenant, reference.ConsumerTenant), tenantNotAllowed(ref)),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "foreign-tenant",
			Why:      "an application was shown a token of a tenant that it is not for",
			When:     tenantNotAllowed(ref),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}},
		Key:   keyByAcceptingAudience(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Somebody came to the application with an identity of a tenant that has no business there. With a genuine token it is an outsider or a missing entry; " +
				"with a forged one it is what Storm-0558 did.",
			Evades: "Writing an allowed tenant into tid (then issuer, key and lifetime rules look at the rest).",
			FalsePositives: []string{
				"Applications for many tenants: list the tenants, or the word any, in allowedTenants of the application.",
				"Partners that administer through Azure Lighthouse or GDAP appear in the Azure Activity log with their own tenant: list them for the management audience.",
			},
			Runbook: []string{
				"Was the token accepted? Then the application lets in every tenant: that is a hole of its own, whoever came.",
				"Look the tenant up (https://login.microsoftonline.com/{tid}/.well-known/openid-configuration says whether it exists) and ask the application's owner for a partner of that name.",
				"Known partner: add it to allowedTenants. Unknown: list what the token's subject did and revoke it.",
				"Personal account: look for token-key-issuer-scope-violation and token-consumer-subject-in-enterprise on the same audience.",
			},
			Attack:  []string{"T1550.001", "T1199"},
			Sources: []string{identityPlatform, wizAnalysis},
		},
	}
}

func tenantNotAllowed(ref *reference.Data) rule.Predicate {
	own := ref.OwnTenants()
	lacksOwn := "reference:" + own.Name()
	needs := []string{event.TokenTenant.Path, event.TokenAudience.Path, "reference:apps"}
	return rule.Func("the application does not accept the tenant", needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		tid, aud := &ev.Token.Tenant, &ev.Token.Audience
		if !tid.OK() || tid.V == "" {
			return tr.Lacking(event.TokenTenant.Path)
		}
		if !aud.OK() || aud.V == "" {
			return tr.Lacking(event.TokenAudience.Path)
		}
		app, ok, _ := ref.Tenant(ev.Tenant).Application(aud.V)
		if !ok {
			return tr.Lacking("reference:apps")
		}
		allowed, known := app.AllowsTenant(ev.Tenant, tid.V, own)
		if !known {
			return tr.Lacking(lacksOwn)
		}
		return fact(tr, event.TokenTenant, tid, "is not among the allowedTenants of", aud.V, !allowed)
	})
}

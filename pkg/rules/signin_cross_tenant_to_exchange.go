package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// signinCrossTenantToExchange finds people of another tenant who sign in to Exchange Online.
func signinCrossTenantToExchange(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "signin-cross-tenant-to-exchange",
		Title:   "Sign-in to Exchange Online from another tenant",
		Version: 1,
		Kinds:   []event.Kind{event.SignIn},
		Scope: rule.All(
			rule.CategoryIn(userSignIns...),
			rule.EqFold(event.ResourceID, exchangeOnline),
			rule.Eq(event.SignInError, 0),
		),
		Legs: []rule.Leg{{
			ID:       "consumer-home",
			Why:      "a personal Microsoft account signed in to Exchange Online of a work tenant",
			When:     rule.EqFold(event.HomeTenant, reference.ConsumerTenant),
			Severity: rule.Critical,
			Strength: rule.Moderate,
		}, {
			ID:  "cross-tenant",
			Why: "somebody of a tenant that is no partner signed in to Exchange Online across tenants",
			When: rule.All(
				rule.InFold(event.CrossTenantAccess, "b2bDirectConnect", "serviceProvider", "microsoftSupport", "passthrough"),
				unlistedGUID(event.HomeTenant, ref.PartnerTenants()),
			),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:  "differing-tenants",
			Why: "the home tenant of the user is not the tenant whose Exchange Online was entered, and neither is a partner of the other",
			When: rule.All(
				guidsDiffer(event.HomeTenant, event.ResourceTenant),
				unlistedGUID(event.HomeTenant, ref.PartnerTenants()),
				unlistedGUID(event.ResourceTenant, ref.PartnerTenants()),
			),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}},
		Key:         keyByUser(),
		Stage:       rule.Observe,
		StageReason: "no public record of such a sign-in is known: list partnerTenants, and compare with your own",
		Doc: rule.Doc{
			Proves: "Entra ID issued a token for Exchange Online across tenants. Guests have no mailbox, so that is the work of a partner, of support, or of " +
				"somebody who uses trust between tenants.",
			Evades: "A token that was never issued (then nothing is logged), and an account in a partner's tenant. Guests with personal accounts may show the " +
				"inviting tenant as their home.",
			FalsePositives: []string{
				"Cloud solution providers and delegated administration (GDAP): list their tenants in partnerTenants. Without the list two legs are not evaluable.",
				"Microsoft's support with a ticket of yours (microsoftSupport): compare with the ticket.",
			},
			Runbook: []string{
				"Look up the home tenant's name (tenant information in the Entra admin centre) and ask who works with it.",
				"List what the user did in mailboxes after the sign-in: the session id stands in both logs.",
				"Nobody knows the tenant: revoke the sessions, end the relation (cross-tenant access settings, GDAP), and call the incident lead.",
			},
			Attack:  []string{"T1199", "T1078.004"},
			Sources: []string{signInResource, "https://learn.microsoft.com/en-us/entra/identity/monitoring-health/concept-sign-in-log-activity-details"},
		},
	}
}

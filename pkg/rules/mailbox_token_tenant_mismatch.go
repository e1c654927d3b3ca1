package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// mailboxTokenTenantMismatch finds a token of a foreign tenant in a mailbox. That Exchange takes a token across tenants
// was the class of fault behind Storm-0558 and CVE-2025-55241.
func mailboxTokenTenantMismatch(ref *reference.Data, _ *knobs) *rule.Rule {
	partners := ref.PartnerTenants()
	foreign := rule.All(
		guidsDiffer(event.TokenTenant, event.Organization),
		rule.Not(rule.Listed(event.TokenTenant, ref.FirstPartyTenants())),
	)
	unlisted := rule.All(foreign, rule.Not(rule.Listed(event.TokenTenant, partners)))
	consumers := rule.EqFold(event.TokenTenant, reference.ConsumerTenant)
	own := rule.Listed(event.TokenTenant, ref.OwnTenants())
	return &rule.Rule{
		ID:      "mailbox-token-tenant-mismatch",
		Title:   "Token of a foreign tenant opened a mailbox or document",
		Version: 3,
		Kinds:   []event.Kind{event.Audit},
		Scope:   tokenAccess(),
		Legs: []rule.Leg{{
			ID:       "unknown-tenant",
			Why:      "the token that opened the mailbox or document belongs to a tenant that is neither its own, nor a partner's, nor Microsoft's",
			When:     rule.All(unlisted, rule.Not(own), rule.Not(consumers)),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			// Whose tenant it is, is known: mailbox-consumer-tenant-token weighs that.
			ID:       "consumer-tenant",
			Why:      "the token that opened the mailbox or document belongs to the tenant of personal accounts",
			When:     rule.All(unlisted, consumers),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "other-own-tenant",
			Why:      "the token that opened the mailbox or document belongs to another of your own tenants, which is not listed as its partner",
			When:     rule.All(unlisted, own),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "unlearned-tenant",
			Why:      "the token that opened the mailbox or document belongs to another tenant, and nobody has said which tenants are partners here",
			When:     rule.All(foreign, rule.Not(told(partners))),
			Severity: rule.High,
			Strength: rule.Moderate,
			Stage:    rule.Observe,
		}},
		Key:   keyByMailbox(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "The tenant that issued the token (tid) is not the organisation that owns the mailbox, and nobody has said that the two work " +
				"together. Either a token crossed a tenant border that it must not cross, or a relationship is missing from partnerTenants.",
			Evades: "Writing the victim's tenant id, a partner's or one of Microsoft's own (f8cdef31-…, 72f988bf-…) into the token. Feeds without " +
				"TokenTenantId leave the rule not evaluable. While nobody has listed the tenant's partnerTenants (an empty list counts), it only observes.",
			FalsePositives: []string{
				"Cloud solution providers and delegated administration (GDAP, UserType 9): add the provider's tenant to partnerTenants.",
				"Cross-tenant mailbox delegation, migration and multi-tenant organisations: add the other tenant to partnerTenants or tenantIds.",
				"A Microsoft service with a tenant of its own: verify that the app is Microsoft's, then add the tenant to firstPartyTenants. " +
					"Watch the rule for 30 days in a new tenant before you trust the list.",
			},
			Runbook: []string{
				"Look the foreign tenant up (its default domain is public: the OpenID configuration and findTenantInformationByTenantId of Graph).",
				"Ask whoever owns partner relations whether that tenant has business in this mailbox. If yes, list it and close.",
				"If nobody knows it: export all audit records with that TokenTenantId over 90 days and see how many mailboxes it opened.",
				"Check the app and address in the evidence against mailbox-unexpected-client-app and ioc-ip on the same mailbox.",
				"Revoke the owner's sessions, remove the app's grants, block the address, and open a case with Microsoft with the records.",
			},
			Attack:  []string{"T1550.001", "T1199"},
			Sources: []string{linkableIdentifiers, auditSchema, storm0558Analysis, actorImpersonation},
		},
	}
}

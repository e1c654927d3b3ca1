package rules

import (
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// auditFederationTrustChanged finds changes to whom the tenant trusts to issue tokens. It proves no forged token: it is how
// one prepares to forge them at will.
func auditFederationTrustChanged(*reference.Data, *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "audit-federation-trust-changed",
		Title:   "Federation trust or domain changed",
		Version: 1,
		Kinds:   []event.Kind{event.DirectoryChange, event.Audit},
		Legs: []rule.Leg{{
			ID:       "federation-settings",
			Why:      "the settings that say whose tokens a domain accepts were changed",
			When:     rule.OfKind(event.DirectoryChange, rule.EqFold(event.DirectoryActivity, "Set federation settings on domain")),
			Severity: rule.High,
			Strength: rule.Weak,
		}, {
			ID:  "domain-federated",
			Why: "a domain was made federated: from now on somebody else's tokens sign its users in",
			When: rule.OfKind(event.DirectoryChange, rule.All(
				rule.EqFold(event.DirectoryActivity, "Set domain authentication"),
				becomesFederated(),
			)),
			Severity: rule.High,
			Strength: rule.Weak,
		}, {
			ID:       "domain-added",
			Why:      "a domain was added to the tenant, which is the first step to federating it",
			When:     rule.OfKind(event.DirectoryChange, rule.InFold(event.DirectoryActivity, "Add unverified domain", "Add verified domain")),
			Severity: rule.High,
			Strength: rule.Weak,
		}, {
			ID:  "exchange-cmdlet",
			Why: "an administrator changed domains or federation from Exchange",
			When: rule.OfKind(event.Audit, rule.All(
				rule.Eq(event.RecordType, 1), // ExchangeAdmin
				rule.InFold(event.Operation, "Add-FederatedDomain", "New-AcceptedDomain", "Set-MsolDomainFederationSettings"),
				rule.Not(rule.In(event.UserType, 3, 4)), // DcAdmin, System: Exchange follows what was done in the directory
			)),
			Severity: rule.High,
			Strength: rule.Weak,
		}},
		Key:   keyByDomainOrInitiator(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Somebody with the right to do so changed which issuer's tokens the tenant accepts, or added a domain for which that can be done. " +
				"As evidence of a forged token it is weak; as evidence of its preparation there is hardly a stronger one.",
			Evades: "Stealing the key of the federation that is there already: nothing changes then. Adding a certificate in AD FS itself, which Entra ID " +
				"takes over by itself. Directory records of the unified audit log (RecordType 8) are not read; take AuditLogs from Entra ID.",
			FalsePositives: []string{
				"Planned domain work and certificate rollover: ask for the change request. Suppress with its number and an expiry, not for good.",
				"Exchange repeats what was done in the directory, as SYSTEM: such records are left out.",
			},
			Runbook: []string{
				"Find the change request for this domain and administrator. None within the hour: call the incident lead.",
				"Read the domain's federationConfiguration: issuerUri, signingCertificate, nextSigningCertificate, federatedIdpMfaBehavior. A certificate " +
					"or issuer that nobody knows is a back door.",
				"Save the configuration, remove the federation or the certificate, and convert the domain back to managed if it was.",
				"Reset the administrator's credentials and sessions; see what else the account did that day.",
				"Look for signin-federated-token-for-managed-domain and signin-golden-saml-pattern since the change: who was impersonated?",
			},
			Attack: []string{"T1484.002", "T1556.007"},
			Sources: []string{
				"https://attack.mitre.org/techniques/T1484/002/", domainFederation,
				"https://github.com/Azure/Azure-Sentinel (NRT_ADFSDomainTrustMods.yaml)",
				"https://github.com/SigmaHQ/sigma (azure_federation_modified.yml)",
			},
		},
	}
}

// becomesFederated holds when the change sets LiveType to Federated; the log writes the value as ["Federated"].
func becomesFederated() rule.Predicate {
	return rule.Test(event.DirectoryChanges, "sets LiveType to", federated, func(changes []event.Parameter) bool {
		for _, c := range changes {
			if c.Name == "LiveType" && strings.Contains(c.Value, federated) {
				return true
			}
		}
		return false
	})
}

// keyByDomainOrInitiator groups by what was changed, else by who changed it.
func keyByDomainOrInitiator() rule.Key {
	return rule.Key{Name: "domain or initiator", Of: func(ev *event.Event) string {
		return firstFolded(ev.Directory.Target, ev.Audit.Object, ev.Directory.InitiatorUPN, ev.Actor.Name)
	}}
}

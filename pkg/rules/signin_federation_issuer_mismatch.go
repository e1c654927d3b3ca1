package rules

import (
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// signinFederationIssuerMismatch finds a federated sign-in whose issuer is not the one that the domain is federated with.
// The issuer's name was empty in every public sample, so the rule only observes.
func signinFederationIssuerMismatch(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "signin-federation-issuer-mismatch",
		Title:   "Federated sign-in from another issuer than the domain's",
		Version: 1,
		Kinds:   []event.Kind{event.SignIn},
		Scope:   rule.All(rule.CategoryIn(userSignIns...), homeUser(), rule.EqFold(event.IssuerType, "ADFederationServices")),
		Legs: []rule.Leg{{
			ID:       "foreign-issuer",
			Why:      "the federation that issued the token is not the one with which the user's domain is federated",
			When:     rule.All(rule.Logged(event.IssuerName), foreignFederation(ref)),
			Severity: rule.High,
			Strength: rule.Strong,
		}},
		Key:         keyByUser(),
		Stage:       rule.Observe,
		StageReason: "tokenIssuerName was empty in every public sample, and Microsoft does not say what it holds for federated users",
		Doc: rule.Doc{
			Proves: "The name of the token's issuer is not the issuerUri of the user's domain. If the field is what its name says, the token was signed " +
				"by a federation that has no authority over that domain.",
			Evades: "Naming the right issuer, which Golden SAML does: the issuer is public. Entra ID leaves the name empty in most records, and then the " +
				"rule is not evaluable; so it is without domains[].issuerUri.",
			FalsePositives: []string{
				"Several farms, or AD FS with support for multiple domains: give each domain its own issuerUri.",
				"A name instead of a URI: report the value you see, so that the rule learns it.",
			},
			Runbook: []string{
				"Compare the name in the evidence with the federationConfiguration of all domains of the tenant.",
				"A farm of your own: add its issuerUri to the domain and close.",
				"Unknown: look for audit-federation-trust-changed and signin-federated-token-for-managed-domain, and call the incident lead.",
				"Revoke the user's sessions and keep the sign-in record.",
			},
			Attack:  []string{"T1606.002", "T1484.002"},
			Sources: []string{signInResource, domainFederation},
		},
	}
}

// foreignFederation compares the issuer's name with the domain's issuerUri, whatever the case and a slash at the end.
func foreignFederation(ref *reference.Data) rule.Predicate {
	return userDomain(ref, "is federated with another issuer than", event.IssuerName.Path,
		func(d *reference.Domain, ev *event.Event, tr *rule.Trace) rule.Truth {
			name := strings.TrimSuffix(ev.SignIn.IssuerName.V, "/")
			switch {
			case d.IssuerURI == "":
				return tr.Lacking("reference:domains.issuerUri")
			case name == "":
				return tr.Lacking(event.IssuerName.Path)
			}
			if tr.KeepsFacts() {
				tr.Add(event.IssuerName.Path, ev.SignIn.IssuerName.V, "differs from the domain's issuerUri", d.IssuerURI,
					truth(!strings.EqualFold(name, strings.TrimSuffix(d.IssuerURI, "/"))))
			}
			return truth(!strings.EqualFold(name, strings.TrimSuffix(d.IssuerURI, "/")))
		})
}

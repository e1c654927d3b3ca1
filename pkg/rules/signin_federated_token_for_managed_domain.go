package rules

import (
	"slices"
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// signinFederatedTokenForManagedDomain finds a sign-in with a federation's token for a domain that has no federation: Golden
// SAML, or a federation that an intruder set up.
func signinFederatedTokenForManagedDomain(ref *reference.Data, _ *knobs) *rule.Rule {
	intoManaged := func(sign rule.Predicate) rule.Predicate {
		return rule.All(rule.Eq(event.SignInError, 0), sign, managedDomain(ref))
	}
	return &rule.Rule{
		ID:      "signin-federated-token-for-managed-domain",
		Title:   "Federated sign-in of a managed domain",
		Version: 1,
		Kinds:   []event.Kind{event.SignIn},
		Scope:   rule.All(rule.CategoryIn(userSignIns...), homeUser()),
		Legs: []rule.Leg{{
			ID:       "saml-token",
			Why:      "the user's domain is managed by Entra ID, yet the sign-in brought a SAML token of a federation",
			When:     intoManaged(samlToken()),
			Severity: rule.Critical,
			Strength: rule.Strong,
		}, {
			ID:       "federation-issuer",
			Why:      "the user's domain is managed by Entra ID, yet AD FS is said to have issued the token",
			When:     intoManaged(rule.InFold(event.IssuerType, "ADFederationServices", "ADFederationServicesMFAAdapter")),
			Severity: rule.Critical,
			Strength: rule.Strong,
		}},
		Key:   keyByUser(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Entra ID took the word of a federation for a user whose domain it authenticates itself. Somebody signed a SAML token with a " +
				"key that the tenant trusts somewhere (Golden SAML), or made a domain of the tenant federated.",
			Evades: "Forging for a user of a federated domain, where a SAML token is ordinary: then signin-golden-saml-pattern and " +
				"risk-token-issuer-anomaly remain. Without the tenant's verified domains in the reference data the rule is not evaluable.",
			FalsePositives: []string{
				"A domain that was just converted: update domains when the change is planned. Sessions from before the change end within a day or so.",
				"Guests who come through their own SAML or WS-Fed provider are left out (userType Guest, another home tenant, #EXT# in the name).",
				"authenticationProtocol saml20 alone is no sign: it also stands for SAML applications that Entra ID issues tokens to.",
			},
			Runbook: []string{
				"Call the incident lead. Then compare the domain's authentication type now (Get-MgDomain) with the reference data.",
				"If the domain is federated now: audit-federation-trust-changed shows who changed it and when. Save its federationConfiguration as " +
					"evidence, then convert it back.",
				"If it is managed: find which federation's certificate was accepted (federationConfiguration of all domains), and treat the private key " +
					"of that AD FS as stolen.",
				"Revoke all sessions of the user; list what the session did (sessionId) in the sign-in, Graph and mailbox logs.",
				"Replace the token-signing certificates twice, remove unknown federations, and look for further users with the same sign.",
			},
			Attack:  []string{"T1606.002", "T1484.002"},
			Sources: []string{signInResource, "https://attack.mitre.org/techniques/T1606/002/"},
		},
	}
}

// samlToken holds when the sign-in brought a SAML token: incomingTokenType has saml11 or saml20.
func samlToken() rule.Predicate {
	return rule.Test(event.IncomingTokenTypes, "has a type that begins with", "saml", func(types []string) bool {
		return slices.ContainsFunc(types, func(t string) bool { return len(t) >= 4 && strings.EqualFold(t[:4], "saml") })
	})
}

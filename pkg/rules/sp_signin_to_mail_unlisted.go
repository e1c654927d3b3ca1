package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// spSigninToMailUnlisted finds applications that sign in by themselves where mail is, and are not listed as reading it. A credential that is
// federated to somebody else's issuer is the forger's way to be such an application.
func spSigninToMailUnlisted(ref *reference.Data, _ *knobs) *rule.Rule {
	unlisted := rule.All(unlistedAppOnlyApp(ref), rule.IsGUID(event.AppID))
	return &rule.Rule{
		ID:      "sp-signin-to-mail-unlisted",
		Title:   "Unlisted application signed in where mail is",
		Version: 1,
		Kinds:   []event.Kind{event.SignIn},
		Scope: rule.All(
			rule.CategoryIn("ServicePrincipalSignInLogs", "AADServicePrincipalSignInLogs"),
			rule.InFold(event.ResourceID, exchangeOnline, microsoftGraph),
			rule.Eq(event.SignInError, 0),
		),
		Legs: []rule.Leg{{
			ID:  "federated-credential",
			Why: "an application that is not listed as reading mail signed in with a federated credential that nobody has listed",
			When: rule.All(
				unlisted,
				rule.EqFold(event.CredentialType, "federatedIdentityCredential"),
				unlistedGUID(event.FederatedCredID, ref.FICs()),
			),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "exchange",
			Why:      "an application that is not listed as reading mail signed in to Exchange Online by itself",
			When:     rule.All(unlisted, rule.EqFold(event.ResourceID, exchangeOnline)),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}},
		Key:         keyByApp(),
		Stage:       rule.Observe,
		StageReason: "no public record of such a sign-in is known: list appOnlyMailApps and fics, and compare with your own",
		Doc: rule.Doc{
			Proves: "The application got a token of its own for Exchange Online, or for Graph on the word of another issuer. Whoever controls that issuer can be the " +
				"application at will, without any secret of the tenant.",
			Evades: "Adding the credential to an application that is listed. Without appOnlyMailApps (and fics for the first leg) the rule is not evaluable.",
			FalsePositives: []string{
				"New automation, and build pipelines with federated credentials (GitHub, Kubernetes): list the credential's id in fics.",
				"Applications that use Exchange Online for something other than mail: list them in appOnlyMailApps.",
			},
			Runbook: []string{
				"Read the application's federated identity credentials: issuer and subject. An issuer that nobody knows is a back door.",
				"Find who added the credential (directory audit: Update application) and what else that account did.",
				"List the mailboxes that the application opened since (mailbox-app-only-unlisted-app).",
				"Unknown: remove the credential and the grants, disable the service principal, and call the incident lead.",
			},
			Attack:  []string{"T1550.001", "T1098.001"},
			Sources: []string{signInResource, "https://github.com/elastic/detection-rules (initial_access_entra_id_federated_login_by_unusual_client.toml)"},
		},
	}
}

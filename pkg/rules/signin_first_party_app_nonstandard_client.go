package rules

import (
	"regexp"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// brokerClient matches the user agents with which the broker's devices sign in.
var brokerClient = regexp.MustCompile(`^(Mozilla|Dalvik|.*CFNetwork|Windows-AzureAD-Authentication-Provider)`)

// signinFirstPartyAppNonstandardClient finds Microsoft's own client ids in the hands of something else: kits that steal tokens use them,
// since they need no consent.
func signinFirstPartyAppNonstandardClient(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "signin-first-party-app-nonstandard-client",
		Title:   "Microsoft's application signed in from an odd client",
		Version: 1,
		Kinds:   []event.Kind{event.SignIn},
		Scope:   rule.CategoryIn(userSignIns...),
		Legs: []rule.Leg{{
			ID:  "broker",
			Why: "the Microsoft Authentication Broker signed in with a user agent that no device of it has",
			When: rule.All(
				rule.EqFold(event.AppID, authBroker),
				rule.Logged(event.UserAgent),
				rule.Not(rule.Matches(event.UserAgent, "a client of the broker", brokerClient)),
			),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:  "scripted-exchange",
			Why: "a script signed in to Exchange Online under the id of one of Microsoft's applications",
			When: rule.All(
				rule.EqFold(event.ResourceID, exchangeOnline),
				scripted(event.UserAgent),
				rule.Listed(event.AppOwnerTenant, ref.FirstPartyTenants()),
			),
			Severity: rule.High,
			Strength: rule.Moderate,
		}},
		Key:         keyByUser(),
		Stage:       rule.Observe,
		StageReason: "no public record of such a sign-in is known, and Microsoft's libraries change their user agents",
		Doc: rule.Doc{
			Proves: "The application id is one of Microsoft's, the program is not. Kits that phish for tokens and tools that trade refresh tokens look so.",
			Evades: "A browser's user agent.",
			FalsePositives: []string{
				"New libraries and platforms of Microsoft: count the user agent over 30 days; many users on one day is an update.",
				"Exchange Online PowerShell is scripted and Microsoft's: its application is fb78d390-0c51-40cd-8e17-fdbfab77341b; suppress your administrators' addresses.",
			},
			Runbook: []string{
				"Compare address, device and user agent with the user's other sign-ins of the week.",
				"Ask the user whether they entered a code or a password on a page that somebody sent them.",
				"If not theirs: revoke the sessions, remove devices that were registered since, and look at mailbox and Graph logs for the session id.",
			},
			Attack:  []string{"T1528", "T1036"},
			Sources: []string{"https://github.com/elastic/detection-rules (initial_access_entra_id_microsoft_auth_broker_nonstandard_user_agent.toml)", firstPartyApps},
		},
	}
}

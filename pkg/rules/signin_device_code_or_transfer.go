package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// authBroker is the Microsoft Authentication Broker, whose tokens can be exchanged for those of any other client of the
// family (Microsoft's list of first-party applications).
const authBroker = "29d9ed98-a469-4536-ade2-f981bc1d605e"

// signinDeviceCodeOrTransfer finds sign-ins that were begun on one device and finished on another. The tokens are real; the question is
// who holds them.
func signinDeviceCodeOrTransfer(ref *reference.Data, _ *knobs) *rule.Rule {
	handed := rule.All(
		rule.Any(
			rule.EqFold(event.SignInProtocol, "deviceCode"),
			rule.InFold(event.TransferMethod, "deviceCodeFlow", "authenticationTransfer"),
		),
		unlistedGUID(event.AppID, ref.DeviceCodeApps()),
	)
	return &rule.Rule{
		ID:      "signin-device-code-or-transfer",
		Title:   "Sign-in by device code or by transfer from another device",
		Version: 1,
		Kinds:   []event.Kind{event.SignIn},
		Scope:   rule.CategoryIn(userSignIns...),
		Legs: []rule.Leg{{
			ID:  "sensitive",
			Why: "the session was handed over from another device, and it reaches mail or the broker of all other clients",
			When: rule.All(handed, rule.Any(
				rule.EqFold(event.AppID, authBroker),
				rule.InFold(event.ResourceID, exchangeOnline, microsoftGraph),
			)),
			Severity: rule.High,
			Strength: rule.Weak,
		}, {
			ID:       "handed-over",
			Why:      "the session was handed over from another device, by an application for which that is not usual",
			When:     handed,
			Severity: rule.Medium,
			Strength: rule.Weak,
		}},
		Key:         keyByUser(),
		Stage:       rule.Observe,
		StageReason: "supporting evidence only: the tokens are real; list deviceCodeApps first",
		Doc: rule.Doc{
			Proves: "Somebody entered a code, or scanned one, so that another device signed in. Phishing with device codes does that; so do meeting rooms. The " +
				"token is a real one of Entra ID.",
			Evades: "Any other way to steal a token. Without deviceCodeApps the rule is not evaluable.",
			FalsePositives: []string{
				"Meeting rooms, command-line tools, televisions: list their applications in deviceCodeApps.",
				"A new phone that took over the account by a QR code (authenticationTransfer): the user knows.",
			},
			Runbook: []string{
				"Ask the user whether they entered a code just then, and who sent it to them.",
				"Compare the address of the sign-in with the user's: the device that got the token is the one in the record.",
				"If the user was tricked: revoke the sessions, and look at mailbox and Graph logs for the session id from then on.",
				"Block device code flow with Conditional Access where nobody needs it.",
			},
			Attack:  []string{"T1528", "T1566", "T1550.001"},
			Sources: []string{signInResource, "https://learn.microsoft.com/en-us/entra/identity/conditional-access/concept-authentication-flows"},
		},
	}
}

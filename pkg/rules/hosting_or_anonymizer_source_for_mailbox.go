package rules

import (
	"fmt"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// hostingOrAnonymizerSourceForMailbox finds mail that a person's client read from a rented host, a VPN or Tor. It is a colour
// for other alerts and no alert of its own: many companies' own ways out look the same.
func hostingOrAnonymizerSourceForMailbox(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "hosting-or-anonymizer-source-for-mailbox",
		Title:   "Mail read from a rented host, a VPN or Tor",
		Version: 1,
		Kinds:   []event.Kind{event.Audit, event.GraphActivity, event.SignIn},
		Scope: rule.Any(
			rule.OfKind(event.Audit, rule.All(mailboxAccess(), rule.In(event.UserType, 0, 2))), // Regular, Admin
			rule.OfKind(event.GraphActivity, rule.All(rule.EqFold(event.TokenType, "user"), mailRequested(), rule.Between(event.GraphStatus, 200, 299))),
			rule.OfKind(event.SignIn, rule.All(rule.CategoryIn(userSignIns...), rule.EqFold(event.ResourceID, exchangeOnline), rule.Eq(event.SignInError, 0))),
		),
		Legs: []rule.Leg{{
			ID:       "rented-or-hidden",
			Why:      "a person's client read mail from a network that rents out hosts or hides who is behind it",
			When:     rule.All(fromClassedSystem(ref), rule.Not(comesThroughVPN(ref))),
			Severity: rule.Low,
			Strength: rule.Weak,
		}},
		Key:         keyByMailboxOrUser(),
		Stage:       rule.Observe,
		StageReason: "companies' own VPNs and cloud desktops look the same; it supports other alerts",
		Doc: rule.Doc{
			Proves: "The address belongs to an operator that rents out hosts, sells VPN access or runs Tor exits. Storm-0558 came through SoftEther proxies on such hosts.",
			Evades: "Homes and offices: residential proxies are for sale. A network that nobody has classed is of no class.",
			FalsePositives: []string{
				"Corporate VPNs, secure web gateways and cloud desktops leave through such networks: list who uses them in vpnOk.",
				"Networks change hands: without a recent table of networks, mailbox and Graph records are not evaluable; sign-ins name the system themselves.",
			},
			Runbook: []string{
				"Look for other alerts of the mailbox, the user and the address on the same day: this one alone is no reason to wake anybody.",
				"Ask whether the person uses a VPN or a cloud desktop; if so, list the person in vpnOk.",
				"Otherwise list everything that came from the address in a month, and treat the mailbox as read by somebody else.",
			},
			Attack:  []string{"T1090.003"},
			Sources: []string{storm0558Analysis, signInResource},
		},
	}
}

// fromClassedSystem holds where the address belongs to a system with a class. The log's own word comes before the table's.
func fromClassedSystem(ref *reference.Data) rule.Predicate {
	const text, networks = "the address belongs to a network that rents out hosts or hides its users", "reference:networks"
	needs := []string{event.ASN.Path, event.IP.Path, networks}
	return rule.Func(text, needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		number := ev.Net.ASN.V
		if !ev.Net.ASN.OK() || number == 0 {
			if !ev.Net.IP.OK() {
				return tr.Lacking(event.IP.Path)
			}
			var known bool
			if number, known = ref.ASN(ev.Net.IP.V); !known {
				return tr.Lacking(networks)
			}
		}
		s, classed := ref.AutonomousSystem(number)
		t := truth(classed)
		if tr.KeepsFacts() {
			operand := "an operator of no class"
			if classed {
				operand = fmt.Sprintf("%s (%s)", s.Name, s.Class)
			}
			tr.Add(event.IP.Path, rule.Show(&ev.Net.IP), fmt.Sprintf("is in AS%d,", number), operand, t)
		}
		return t
	})
}

// comesThroughVPN holds for people and mailboxes that are listed as coming from such networks. Which of their names
// the log gives differs; where it gives none, nobody is excused.
func comesThroughVPN(ref *reference.Data) rule.Predicate {
	set := ref.VPNOK()
	return rule.Func("the person or the mailbox is listed in vpnOk", nil, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		t := rule.False
		for _, f := range [...]event.Field[string]{event.Mailbox, event.MailboxOwner, event.ActorName, event.ActorID} {
			if v := f.Get(ev); v.OK() && v.V != "" {
				in, _ := set.Contains(ev.Tenant, v.V)
				t = max(t, fact(tr, f, v, "is listed in", set.Name(), in))
			}
		}
		return t
	})
}

package notify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/rule"
)

// attacksOnTheProof are rules whose matches prove no forged token, and are what one does before forging or after: they page
// whatever the strength of their evidence.
var attacksOnTheProof = []string{"audit-federation-trust-changed", "mailbox-audit-tampering"}

// AttackOnTheProof reports whether the rule is one whose alerts page whatever their strength.
func AttackOnTheProof(id string) bool { return slices.Contains(attacksOnTheProof, id) }

// Router decides which subscription hears of which alert.
type Router struct {
	// VIP tells whether an account or mailbox of a tenant is a very important person's.
	VIP func(tenant, name string) bool
	// Tagged tells whether a rule has a tag.
	Tagged func(ruleID, tag string) bool
}

// Refuses returns why the subscription does not want to hear of this change of the alert, or "" if it does.
func (r Router) Refuses(s *Subscription, a *alert.Alert, change ChangeKind) string {
	smoke := s.Name == SmokeSubscription
	switch {
	case alert.IsSmoke(a.Tenant) && !smoke:
		return "it is a smoke test's"
	case smoke && !alert.IsSmoke(a.Tenant):
		return "the subscription hears of smoke tests alone"
	case a.Suppressed != nil:
		return "the suppression " + a.Suppressed.Name + " holds for all of it"
	case a.Stage != rule.Enabled:
		return "its rule only observes"
	case change == New && a.Continues:
		return "it goes on from an alert of the day before"
	case len(s.Changes) > 0 && !slices.Contains(s.Changes, change):
		return fmt.Sprintf("the subscription does not want what is %s", change)
	case a.Severity < s.MinSeverity:
		return fmt.Sprintf("its severity %s is below %s", a.Severity, s.MinSeverity)
	case a.Strength < s.MinStrength && !AttackOnTheProof(a.Rule.ID):
		return fmt.Sprintf("its strength %s is below %s", a.Strength, s.MinStrength)
	case len(s.Tenants) > 0 && !slices.Contains(s.Tenants, strings.ToLower(a.Tenant)):
		return "it is of another tenant"
	case len(s.Rules) > 0 && !slices.Contains(s.Rules, a.Rule.ID):
		return "it is of another rule"
	case len(s.Tags) > 0 && !r.tagged(a.Rule.ID, s.Tags):
		return "its rule has none of the tags " + strings.Join(s.Tags, ", ")
	case s.VIPsOnly && !r.vip(a):
		return "it concerns no VIP"
	}
	return ""
}

func (r Router) tagged(ruleID string, tags []string) bool {
	return r.Tagged != nil && slices.ContainsFunc(tags, func(tag string) bool { return r.Tagged(ruleID, tag) })
}

func (r Router) vip(a *alert.Alert) bool {
	return r.VIP != nil && slices.ContainsFunc([]string{a.Subject.User, a.Subject.UserID, a.Subject.Mailbox}, func(name string) bool {
		return name != "" && r.VIP(a.Tenant, name)
	})
}

// closedBefore tells whether the last that a subscription was told of a closed alert was that it is closed: what a quiet run opened in
// between nobody heard of.
func closedBefore(a *alert.Alert, told []int64) bool {
	if a.Status != alert.Closed || len(told) == 0 {
		return false
	}
	last := alert.Turn(slices.Max(told))
	return last%2 == 1 && last < alert.Turn(a.Revision)
}

// change tells what of the alert is news to a subscription that has been told of these revisions. An alert that rises
// above the threshold of a subscription is new to it.
func change(a *alert.Alert, told []int64) ChangeKind {
	turns := alert.Turn(a.Revision)
	inTurn := slices.ContainsFunc(told, func(r int64) bool { return r < a.Revision && alert.Turn(r) == turns })
	switch {
	case a.Status == alert.Closed:
		return Closed
	case inTurn:
		return Escalated
	case turns > 0:
		return Reopened
	}
	return New
}

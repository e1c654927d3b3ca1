package notify

import (
	"time"

	"github.com/assay-sec/assay/pkg/rule"
)

// Kind says how a subscription is reached.
type Kind string

// The kinds.
const (
	Teams   Kind = "teams"   // a Teams channel, by the webhook of a Workflow
	Webhook Kind = "webhook" // a program, by CloudEvents with signatures of Standard Webhooks
)

// ChangeKind is what can be news of an alert.
type ChangeKind string

// The kinds of change.
const (
	New       ChangeKind = "new"       // the subscription has not heard of the alert
	Escalated ChangeKind = "escalated" // it has, and the alert has become graver
	Reopened  ChangeKind = "reopened"
	Closed    ChangeKind = "closed"
)

// ChangeKinds lists all kinds of change.
func ChangeKinds() []ChangeKind { return []ChangeKind{New, Escalated, Reopened, Closed} }

// SmokeSubscription is the name of the one subscription that hears of smoke tests, and of nothing else.
const SmokeSubscription = "smoke"

// Subscription says who wants to hear of what.
type Subscription struct {
	Name string // of a-z 0-9 and hyphens, at most 40; it names the subscription's deliveries
	Kind Kind
	URL  SecretSource

	// What it wants. An empty list means all.
	Tenants     []string
	Rules       []string
	Tags        []string // of the rule, in the spelling of Sigma: attack.t1606 is attack.t1606.002, too
	MinSeverity rule.Severity
	MinStrength rule.Strength // attacks on the log or the trust itself are exempt
	VIPsOnly    bool
	Changes     []ChangeKind

	PerMinute int            // messages a minute; what is more goes into a digest
	GiveUp    time.Duration  // age at which a delivery is given up
	Zone      *time.Location // in which people read times, beside UTC

	Keys  []SecretSource // that sign webhooks: the first is current, the others are on their way out
	Local bool           // plain HTTP and private addresses are allowed
}

// Defaults of subscriptions.
const (
	DefaultMinSeverity = rule.Medium
	DefaultMinStrength = rule.Moderate
	DefaultPerMinute   = 20
	DefaultGiveUp      = 24 * time.Hour
)

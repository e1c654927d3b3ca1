package notify

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/rule"
)

// State is how far a delivery has come.
type State string

// The states.
const (
	Pending State = "pending"
	Claimed State = "claimed" // somebody is sending it, until the deadline of the claim
	Sent    State = "sent"    // the receiver has accepted it
	Parked  State = "parked"  // the receiver refuses it: sending it again would not help
	Dead    State = "dead"    // given up after too long
)

// Delivery is one revision of one alert that is owed to one subscription. It holds nothing of the alert that an attacker
// wrote.
type Delivery struct {
	ID           string        `json:"id"` // see DeliveryID
	Subscription string        `json:"subscription"`
	Alert        alert.ID      `json:"alertId"`
	Tenant       string        `json:"tenantId"`
	Revision     int64         `json:"revision"`
	Change       ChangeKind    `json:"change"`
	Severity     rule.Severity `json:"severity"`
	Related      []string      `json:"related,omitempty"` // hashes of what alerts are bundled by
	Late         bool          `json:"late,omitempty"`    // for a digest, not to page anybody

	State    State     `json:"state"`
	Created  time.Time `json:"created"`
	Due      time.Time `json:"due"`              // when to send it; of a claim: when it ends
	Attempts int       `json:"attempts"`         // claims so far
	Key      string    `json:"key,omitempty"`    // of the message that it went out in first
	Form     Form      `json:"form,omitempty"`   // of that message
	Reason   string    `json:"reason,omitempty"` // of the last failure
	SentAt   time.Time `json:"sentAt,omitzero"`

	Version string `json:"-"` // of the stored state; opaque
}

// DeliveryID returns the id of the delivery of an alert's revision to a subscription.
func DeliveryID(id alert.ID, subscription string, revision int64) string {
	return digest("delivery", string(id), subscription, fmt.Sprint(revision))
}

// digest hashes the parts, so that no two lists of parts collide.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p) // a hash never fails
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:16]))
}

// Deliveries keeps deliveries. Implementations are safe for concurrent use, also by several processes. Where an
// implementation cannot be reached the error is store.ErrUnavailable.
type Deliveries interface {
	// Create keeps the delivery unless there is or was one of its alert, subscription and revision. It tells whether it did.
	Create(ctx context.Context, d Delivery) (bool, error)

	// Told returns the revisions of the alert for which the subscription has deliveries, sent or not.
	Told(ctx context.Context, subscription string, id alert.ID) ([]int64, error)

	// Replace stores the delivery if the stored version is still its own, and returns it with the new one; otherwise it
	// returns store.ErrConflict. A delivery that is sent stays so, and can no longer be claimed: that is
	// a conflict.
	Replace(ctx context.Context, d Delivery) (Delivery, error)

	// Unsent yields the deliveries of the subscription that are not sent.
	Unsent(ctx context.Context, subscription string) iter.Seq2[Delivery, error]
}

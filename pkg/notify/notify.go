// Package notify tells subscribers of alerts: which subscription wants which alert, what has to be sent, and what became of
// it.
//
// The stored alert is the outbox. Enqueue makes a delivery for each subscription that is to hear of an alert's revision;
// Send takes what is due, sends it and writes "sent" last. A process that is killed at any instant repeats a message at
// worst, under the same key; it never loses one.
//
// Glossary: a Subscription says who wants what; a Delivery is one revision of one alert owed to one subscription; a
// Message is what goes out, and carries one delivery or several. Several go together as a bundle, because their alerts
// share a token, session, mailbox or user, or as a digest, because they are too many or too late.
//
// It does not know how to reach anybody: packages teams and webhook do. It keeps nothing in memory between two calls.
package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
)

// Form says why alerts go out together.
type Form string

// The forms of a message.
const (
	Single Form = "alert"
	Bundle Form = "bundle" // alerts that share a token, session, mailbox or user
	Digest Form = "digest" // alerts that are too many for one minute, or too late to page anybody
)

// Item is an alert in a message, and what of it is news.
type Item struct {
	Alert  alert.Alert
	Change ChangeKind
}

// Message is what goes to one subscription at once.
type Message struct {
	Key   string // the same whenever the message is sent again; of A-Z a-z 0-9 - _ only
	Form  Form
	Items []Item // at least one, the gravest first; one if the form is Single
}

// Notifier sends messages to one subscription. Its errors and logs hold no URL, key or body. It returns nil once the
// receiver has accepted the message, else a Failure; any other error counts as one that may pass.
type Notifier interface {
	Notify(ctx context.Context, m *Message) error
}

// Remedy says what can be done about a failure.
type Remedy uint8

// The remedies.
const (
	Retry   Remedy = iota // it may pass: send it again later
	Park                  // it will not pass by itself: somebody must look
	Disable               // the receiver is gone for good
)

// Failure says why a message was not accepted.
type Failure struct {
	Remedy Remedy
	Status int           // of HTTP; 0: there was no answer
	After  time.Duration // for how long the receiver asked not to be called; 0: it did not
	Reason string        // what went wrong, without any secret and without anything the receiver wrote
}

// Error returns the reason.
func (f *Failure) Error() string {
	if f.Status == 0 {
		return f.Reason
	}
	return fmt.Sprintf("HTTP status %d: %s", f.Status, f.Reason)
}

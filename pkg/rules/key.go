package rules

import (
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// Keys of the alerts. None of them is a value that a forger makes fresh each time.

// keyByApp groups by the client application.
func keyByApp() rule.Key {
	return rule.Key{Name: "app", Of: func(ev *event.Event) string { return folded(ev.App.ID) }}
}

// keyByMailbox groups by the mailbox: its GUID, else its owner's name, else the user.
func keyByMailbox() rule.Key {
	return rule.Key{Name: "mailbox", Of: func(ev *event.Event) string {
		return firstFolded(ev.Audit.Mailbox, ev.Audit.MailboxOwner, ev.Actor.Name)
	}}
}

// keyByUser groups by the user: the object id, else the name.
func keyByUser() rule.Key {
	return rule.Key{Name: "user", Of: func(ev *event.Event) string {
		return firstFolded(ev.Actor.ObjectID, ev.Actor.Name)
	}}
}

// keyByAddress groups by the source address.
func keyByAddress() rule.Key {
	return rule.Key{Name: "address", Of: func(ev *event.Event) string {
		if !ev.Net.IP.OK() {
			return ""
		}
		return ev.Net.IP.V.String()
	}}
}

// keyBySigningKey groups by the kid of the token. It is for rules that fire only on kids of the reference data, which a
// forger cannot vary freely.
func keyBySigningKey() rule.Key {
	return rule.Key{Name: "key", Of: func(ev *event.Event) string {
		if kid := ev.Token.KeyID; kid.OK() && kid.V != "" {
			return strings.Clone(kid.V)
		}
		return folded(ev.Token.Audience)
	}}
}

// folded returns a copy of the text in lower case, or "" if it was not logged. Events alias their batch, keys outlive it.
func folded(t event.Text) string {
	if !t.OK() {
		return ""
	}
	return strings.ToLower(strings.Clone(t.V))
}

func firstFolded(ts ...event.Text) string {
	for _, t := range ts {
		if s := folded(t); s != "" {
			return s
		}
	}
	return ""
}

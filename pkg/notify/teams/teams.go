// Package teams sends messages to Teams channels: Adaptive Cards 1.4 in the envelope that the Workflows template "When a
// Teams webhook request is received" takes.
//
// A card tells an engineer on call, on a phone, what happened, how sure that is, whom it concerns and what to do first.
// All of it that comes from an event stands in text runs, which no Teams client reads as Markdown, and is made harmless
// besides. Workflows answers 202 once the flow has taken the request; whether it then posted the card cannot be seen.
package teams

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/notify/outbound"
)

// Options are what a Notifier is made of.
type Options struct {
	Client   outbound.Options
	AlertURL string // of an alert for people, with {id} in it; "": cards have no button
	// ReplayURL is that of a replay likewise: alerts that a replay has found have a button to it.
	ReplayURL string
	Zone      *time.Location                        // in which times are given beside UTC; nil: UTC alone
	Runbook   func(ruleID string) []string          // what to do, in steps; nil: none
	Tenant    func(id string) string                // its name for people, or ""; nil: none
	App       func(tenant, id string) (name string) // the name of an application, or ""; nil: none
}

// Notifier sends messages to one channel.
type Notifier struct {
	client *outbound.Client
	o      Options
}

var _ notify.Notifier = (*Notifier)(nil)

// New returns a notifier for the URL of a Workflow.
func New(address notify.Secret, o Options) (*Notifier, error) {
	c, err := outbound.New(address, o.Client)
	if err != nil {
		return nil, err
	}
	if o.Runbook == nil {
		o.Runbook = func(string) []string { return nil }
	}
	if o.Tenant == nil {
		o.Tenant = func(string) string { return "" }
	}
	if o.App == nil {
		o.App = func(string, string) string { return "" }
	}
	return &Notifier{c, o}, nil
}

// Notify implements notify.Notifier.
func (n *Notifier) Notify(ctx context.Context, m *notify.Message) error {
	body, err := n.body(m)
	if err != nil {
		return &notify.Failure{Remedy: notify.Park, Reason: "the message cannot be written as a card"}
	}
	return n.client.Post(ctx, http.Header{"Content-Type": {"application/json; charset=UTF-8"}}, body)
}

// maxBody bounds the request, in bytes. Teams refuses from about 28 KB on, its own additions included.
const maxBody = 24 << 10

// body returns the request, shortened until it fits.
func (n *Notifier) body(m *notify.Message) ([]byte, error) {
	for room := range rooms {
		body, err := json.Marshal(envelope(n.card(m, rooms[room])))
		if err != nil || len(body) <= maxBody || room == len(rooms)-1 {
			return body, err
		}
	}
	return nil, nil
}

// space is how much of what can be long a card holds.
type space struct{ text, facts, steps, alerts int }

// The last of them fits whatever an alert holds.
var rooms = []space{{300, 6, 3, 10}, {150, 4, 3, 10}, {60, 2, 1, 5}}

type request struct {
	Type        string       `json:"type"`
	Attachments []attachment `json:"attachments"`
}

type attachment struct {
	ContentType string  `json:"contentType"`
	ContentURL  *string `json:"contentUrl"`
	Content     card    `json:"content"`
}

func envelope(c card) request {
	return request{Type: "message", Attachments: []attachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: c}}}
}

// links returns the buttons of an alert: to the alert, and to the replay that has found it.
func (n *Notifier) links(a *alert.Alert) []action {
	var out []action
	for _, l := range []struct{ title, pattern, id string }{
		{"Open the alert", n.o.AlertURL, string(a.ID)},
		{"Open the replay", n.o.ReplayURL, a.From.Replay()},
	} {
		if l.pattern != "" && l.id != "" {
			out = append(out, action{"Action.OpenUrl", l.title, strings.ReplaceAll(l.pattern, "{id}", url.PathEscape(l.id))})
		}
	}
	return out
}

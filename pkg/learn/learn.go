// Package learn counts what is ordinary in a tenant, and proposes allowlists from it: mail clients with their protocols and the
// ages of their tokens, applications that read mail on their own behalf, partner tenants, delegates, and the share of an
// application's records that hold a token id. The keys are those of assay.yaml.
//
// It gets events and gives a proposal, and the text of a document that holds it. It does no I/O, decides nothing for anybody, and
// does not judge whether the events were an intruder's: who learns has to make sure that no rule with strong evidence matched
// them.
//
// Memory is bounded whatever the events hold, and the order of events changes nothing: each table keeps the keys of least
// hash, so that what it keeps is counted from the first event to the last. What it leaves out is told.
package learn

import (
	"strings"
	"sync"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
)

// What an entry needs to be proposed. Days are of UTC.
const (
	MinRecords  = 10  // records that show it
	MinDays     = 3   // distinct days on which they fall
	MinMeasured = 100 // records of an application before a share or an age of it is worth a number
)

// Bounds.
const (
	maxKeys      = 8192 // kept by each table
	maxDays      = 62   // told apart for one key
	maxMailboxes = 10   // of an application that are listed one by one: with more, it may read any
)

// Learner counts events. It is safe for concurrent use.
type Learner struct {
	ref *reference.Data

	mu        sync.Mutex
	clients   table[client, *client]     // application
	protocols table[seen, *seen]         // application, protocol: those that no known pattern matches
	appOnly   table[appOnly, *appOnly]   // application
	partners  table[seen, *seen]         // tenant of the token
	delegates table[seen, *seen]         // user, mailbox
	mailIDs   table[coverage, *coverage] // application
	graphIDs  table[coverage, *coverage] // application

	window   seen
	homeless int64 // records that name no tenant
	unlike   int64 // values that no name or protocol looks like
}

// New returns a learner that knows what is configured already.
func New(ref *reference.Data) *Learner { return &Learner{ref: ref} }

// key names what is counted. Its parts are as an event has them, in lower case.
type key struct{ tenant, a, b string }

// seen says how often something was seen, and when.
type seen struct {
	records     int64
	days        []int64 // since 1970, at most maxDays
	first, last time.Time
}

func (s *seen) add(at time.Time) {
	s.records++
	if s.first.IsZero() || at.Before(s.first) {
		s.first = at
	}
	if at.After(s.last) {
		s.last = at
	}
	day := at.Unix() / (24 * 60 * 60)
	for _, d := range s.days {
		if d == day {
			return
		}
	}
	if len(s.days) < maxDays {
		s.days = append(s.days, day)
	}
}

// enough reports whether it was seen often enough to be proposed.
func (s *seen) enough() bool { return s.records >= MinRecords && len(s.days) >= MinDays }

func (s *seen) times() int64 { return s.records }

// client is an application in mailboxes.
type client struct {
	uses  seen // records in which it read, sent or searched
	other int64
	ages  ages
}

func (c *client) times() int64 { return c.uses.records + c.other }

// appOnly is an application that uses mailboxes without a user.
type appOnly struct {
	seen
	mailboxes []string // at most maxMailboxes + 1
	nameless  bool     // a record named no mailbox
}

// coverage is how many records of an application hold a token id.
type coverage struct {
	seen
	with int64
}

// Numbers of the Management Activity API schema.
const (
	aggregated = 19 // record type ExchangeAggregatedOperation
	guest      = 10 // user type
)

// Observe counts an event, of which it keeps nothing that aliases it.
func (l *Learner) Observe(ev *event.Event) {
	if ev.Kind != event.Audit && ev.Kind != event.GraphActivity || !ev.Time.OK() || alert.IsSmoke(ev.Tenant) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := event.ParseGUID(ev.Tenant); err != nil {
		l.homeless++
		return
	}
	at := ev.Time.V
	app, hasApp := guid(&ev.App.ID)
	if ev.Kind == event.GraphActivity {
		if hasApp && strings.EqualFold(ev.Token.Type.V, "user") { // as the rule about it has it
			l.window.add(at)
			l.graphIDs.at(key{ev.Tenant, app, ""}).add(at, &ev.Token.ID)
		}
		return
	}
	switch ev.Audit.RecordType.V {
	case 2, 3, aggregated, 50, 101: // ExchangeItem, ExchangeItemGroup, ExchangeItemAggregated, ExchangeSearch
		l.window.add(at)
		l.partner(ev)
		l.delegate(ev)
		if hasApp {
			l.mail(ev, app)
		}
	case 4, 6, 7, 14, 25, 36, 37, 54: // documents of SharePoint, OneDrive and Teams, as package rules has them
		if ev.Audit.UserType.V != guest && !strings.Contains(strings.ToLower(ev.Actor.Name.V), "#ext#") {
			l.window.add(at)
			l.partner(ev)
		}
	}
}

// guid returns a GUID in lower case.
func guid(t *event.Text) (string, bool) {
	if !t.OK() {
		return "", false
	}
	id, err := event.ParseGUID(t.V)
	if err != nil {
		return "", false
	}
	return id.String(), true
}

func (l *Learner) mail(ev *event.Event, app string) {
	at, a := ev.Time.V, &ev.Audit
	c := l.clients.at(key{ev.Tenant, app, ""})
	switch strings.ToLower(a.Operation.V) {
	case "mailitemsaccessed", "attachmentaccess", "send", "searchqueryinitiatedexchange":
		c.uses.add(at)
	default:
		c.other++
	}
	if iat := &ev.Token.IssuedAt; iat.OK() {
		c.ages.add(at.Sub(iat.V))
	}
	l.protocol(ev, app)
	if a.UserType.OK() && (a.UserType.V == 5 || a.UserType.V == 6) { // Application, ServicePrincipal
		o := l.appOnly.at(key{ev.Tenant, app, ""})
		o.add(at)
		o.mailbox(&a.Mailbox)
	}
	// As the rule about a missing id has it: what the owner did in person, not aggregated over days.
	regular := a.UserType.OK() && a.UserType.V == 0 && a.LogonType.OK() && a.LogonType.V == 0
	bearer := !a.AuthType.OK() || a.AuthType.V == "" || strings.EqualFold(a.AuthType.V, "Bearer")
	if t := a.RecordType.V; regular && bearer && (t == 2 || t == 3 || t == 50) {
		l.mailIDs.at(key{ev.Tenant, app, ""}).add(at, &ev.Token.ID)
	}
}

func (c *coverage) add(at time.Time, id *event.Text) {
	c.seen.add(at)
	if id.OK() && id.V != "" {
		c.with++
	}
}

func (o *appOnly) mailbox(t *event.Text) {
	box, ok := guid(t)
	if !ok {
		o.nameless = true
		return
	}
	for _, known := range o.mailboxes {
		if known == box {
			return
		}
	}
	if len(o.mailboxes) <= maxMailboxes {
		o.mailboxes = append(o.mailboxes, box)
	}
}

// protocol counts the protocol where no known pattern of the application matches the ClientInfoString.
func (l *Learner) protocol(ev *event.Event, app string) {
	info := &ev.Audit.ClientInfo
	if !info.OK() || info.V == "" {
		return
	}
	if known, ok := l.ref.MailClient(ev.Tenant, app); ok {
		for _, re := range known.ClientInfo {
			if re.MatchString(info.V) {
				return
			}
		}
	}
	name, ok := protocolOf(info.V)
	if !ok {
		l.unlike++
		return
	}
	l.protocols.at(key{ev.Tenant, app, name}).add(ev.Time.V)
}

// protocolOf returns the first part of a ClientInfoString, such as Client=OutlookService of
// "Client=OutlookService;Outlook-iOS/2.0;" (Management Activity API schema). What is not of that form has no protocol.
func protocolOf(info string) (string, bool) {
	const longestName = 64 // bytes
	end := strings.IndexAny(info, ";/")
	if end < 0 {
		end = len(info)
	}
	name := info[:end]
	rest, ok := strings.CutPrefix(name, "Client=")
	if !ok || rest == "" || len(name) > longestName {
		return "", false
	}
	for i := range len(rest) {
		c := rest[i]
		ordinary := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(" ._-", c) >= 0
		if !ordinary {
			return "", false
		}
	}
	return name, true
}

// partner counts a tenant whose token opened what belongs to another. That of personal accounts is never a partner: its key
// was the one that was stolen.
func (l *Learner) partner(ev *event.Event) {
	tid, ok := guid(&ev.Token.Tenant)
	if !ok || tid == ev.Tenant || tid == reference.ConsumerTenant {
		return
	}
	if organization, ok := guid(&ev.Audit.Organization); ok && organization == tid {
		return
	}
	if first, _ := l.ref.FirstPartyTenants().Contains(ev.Tenant, tid); first {
		return
	}
	if own, _ := l.ref.OwnTenants().Contains(ev.Tenant, tid); own {
		return
	}
	l.partners.at(key{ev.Tenant, tid, ""}).add(ev.Time.V)
}

// localSystem is the account under which Exchange prepares group mailboxes (well-known SID, Windows security documentation).
const localSystem = "s-1-5-18"

func (l *Learner) delegate(ev *event.Event) {
	a := &ev.Audit
	if t := a.LogonType.V; !a.LogonType.OK() || t != 1 && t != 2 && t != 6 { // Admin, Delegated, DelegatedAdmin
		return
	}
	box, ok := guid(&a.Mailbox)
	user := strings.ToLower(ev.Actor.Name.V)
	if !ok || user == "" || user == localSystem {
		return
	}
	if !writable(user) {
		l.unlike++
		return
	}
	l.delegates.at(key{ev.Tenant, user, box}).add(ev.Time.V)
}

// Package issuance joins the use of tokens with their issuance: it finds token ids in mailbox audit, Microsoft Graph activity
// and the token observations of one's own applications that no sign-in log issued, or issued to somebody else.
//
// Every access token of Entra ID has a row in a sign-in log, whose id the token carries (uti). A forged token has none,
// however well it is made. But tokens lack a row for other reasons, too: calls of Microsoft's own applications, categories that are not
// streamed, logs that are late, missing or not reaching back far enough. So an absence is evidence only where the tokens of
// the same client application do find their rows, and where the logs of that time are in hand. Everywhere else it cannot be said.
//
// A Collector sees the events of a stretch of time in any order and makes a Ledger of them. The Ledger is the state of pure
// rules (see Rules), which judge one use of a token at a time and never read a clock. The package does no I/O: reading
// the logs, once for the ledger and once for the verdicts, is the business of whoever has them.
package issuance

import (
	"bytes"
	"cmp"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assay-sec/assay/pkg/event"
)

// Lookback is how long before its use a token can have been issued: tokens with continuous access evaluation live up to
// 28 hours (Microsoft Entra documentation, "Continuous access evaluation"), and Entra ID dates them back by five minutes.
const Lookback = 29 * time.Hour

// Baseline is how long before the window uses are looked at to learn which client applications find the rows of their tokens.
const Baseline = 14 * 24 * time.Hour

// Options of a Collector.
type Options struct {
	From, To time.Time // the window whose uses are to be judged, [From, To)
	Baseline time.Time // uses from then on calibrate; zero: from From on
	// ReadAt is when the logs were read: what happened shortly before may not be in the sign-in logs yet.
	ReadAt time.Time
	Memory int64 // bytes that rows may take; 0: DefaultMemory
}

// DefaultMemory holds about 10 million sign-ins and tokens in use: a row takes 76 bytes, and tables have room to grow. While rows are sorted in,
// a process takes up to twice that.
const DefaultMemory = 1 << 30

// Bounds of names, which are written by whoever writes the logs.
const (
	maxGroups  = 100_000 // client applications, by tenant and log
	maxTenants = 10_000
	maxSource  = 64     // bytes of a log's name
	maxUsers   = 10_000 // of a client application, whose tokens without a row are counted apart
)

// A sign-in log, as far as it matters who it is about.
type category uint8

const (
	interactive category = iota
	nonInteractive
	servicePrincipal // Microsoft's own included
	managedIdentity
	categories
)

var categoryNames = [categories]string{"interactive", "non-interactive", "service principal", "managed identity"}

// categoryOf tells the log of a sign-in by its name. AD FS counts its sign-ins by ids of its own, and its log can be forged
// by who registers an agent (AADInternals): ok is false.
func categoryOf(name string) (c category, ok bool) {
	name = strings.ToLower(name)
	switch {
	case strings.Contains(name, "adfs"):
		return 0, false
	case strings.Contains(name, "managedidentity"):
		return managedIdentity, true
	case strings.Contains(name, "serviceprincipal"):
		return servicePrincipal, true
	case strings.Contains(name, "noninteractive"):
		return nonInteractive, true
	}
	return interactive, true
}

// issued is the row of a sign-in.
type issued struct {
	id      event.GUID // of the token, which is the request's
	user    event.GUID // object id of the user or service principal; zero: not logged
	app     event.GUID
	session event.GUID
	tenant  uint32 // see Collector.tenants
	at      uint32 // seconds since 1970
	log     category
	failed  bool // it issued no token
}

func (r *issued) key() *event.GUID { return &r.id }
func (r *issued) absorb(*issued)   {}
func (r *issued) compare(o *issued) int {
	return cmp.Or(compareGUID(&r.id, &o.id), compareGUID(&r.user, &o.user), compareGUID(&r.app, &o.app), compareGUID(&r.session, &o.session),
		cmp.Compare(r.tenant, o.tenant), cmp.Compare(r.at, o.at), cmp.Compare(r.log, o.log), compareBool(r.failed, o.failed))
}

// holder is whom a token is for.
type holder uint8

const (
	ofAnybody holder = iota // the log does not say
	ofUser
	ofApp
)

// used is a token as a client application uses it.
type used struct {
	id      event.GUID
	user    event.GUID
	session event.GUID
	group   uint32 // see Collector.groups
	tenant  uint32 // tid, plus one; 0: not logged
	issued  uint32 // iat; 0: not logged
	first   uint32 // use
	holder  holder
	bare    bool // it has no id, and id is its session's
	within  bool // the window
}

func (u *used) key() *event.GUID { return &u.id }
func (u *used) absorb(o *used) {
	u.first = min(u.first, o.first)
	u.within = u.within || o.within
}

func (u *used) compare(o *used) int {
	return cmp.Or(compareGUID(&u.id, &o.id), compareGUID(&u.user, &o.user), compareGUID(&u.session, &o.session), cmp.Compare(u.group, o.group),
		cmp.Compare(u.tenant, o.tenant), cmp.Compare(u.issued, o.issued), cmp.Compare(u.holder, o.holder), compareBool(u.bare, o.bare))
}

// session is that some token of the session was issued.
type session struct{ id event.GUID }

func (s *session) key() *event.GUID       { return &s.id }
func (s *session) absorb(*session)        {}
func (s *session) compare(o *session) int { return compareGUID(&s.id, &o.id) }

func compareGUID(a, b *event.GUID) int { return bytes.Compare(a[:], b[:]) }

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// group is a client application as one log of one tenant shows it.
type group struct {
	tenant uint32
	app    event.GUID
	source string
}

// Collector sees events. It is safe for concurrent use.
type Collector struct {
	o        Options
	budget   budget
	issued   table[issued, *issued]
	sessions table[session, *session]
	used     table[used, *used]

	mu      sync.RWMutex
	tenants map[string]uint32
	names   []string // of tenants
	lines   []*[categories]*timeline
	groups  map[group]uint32
	byIndex []group
	gaps    []Span
	vague   []string // gaps of unknown time

	unreadable                  atomic.Int64
	withoutID, fromADFS, failed atomic.Int64
	crowded                     atomic.Int64 // uses of client applications past maxGroups
	differing                   atomic.Int64 // sign-ins whose token id is not their own id
}

// New returns a Collector that has seen nothing.
func New(o Options) *Collector {
	if o.Memory <= 0 {
		o.Memory = DefaultMemory
	}
	if o.Baseline.IsZero() || o.Baseline.After(o.From) {
		o.Baseline = o.From
	}
	c := &Collector{o: o, tenants: map[string]uint32{}, groups: map[group]uint32{}}
	c.budget.most = o.Memory
	c.issued.budget, c.sessions.budget, c.used.budget = &c.budget, &c.budget, &c.budget
	return c
}

// Span is the time of the events that a Collector is to see.
func (o *Options) Span() Span { return Span{o.Baseline.Add(-Lookback), o.To.Add(late)} }

// late is how long after the window sign-ins are looked at: a clock may differ, and a log be silent for a while.
const late = time.Hour

// Observe adds an event. An error is ErrFull: what was added until then makes no Ledger.
func (c *Collector) Observe(ev *event.Event) error {
	if !ev.Time.OK() {
		return nil
	}
	if ev.Kind == event.SignIn {
		return c.signIn(ev)
	}
	u, lacks := useOf(ev)
	if u == nil || lacks != "" || ev.Time.V.Before(c.o.Baseline) || !ev.Time.V.Before(c.o.To) {
		return nil
	}
	id, bare := u.token, false
	if id == (event.GUID{}) {
		id, bare = u.session, true
	}
	if id == (event.GUID{}) {
		return nil
	}
	g, ok := c.group(group{c.tenant(ev.Tenant), u.app, u.source})
	if !ok {
		c.crowded.Add(1)
		return nil
	}
	return c.used.add(used{
		id: id, bare: bare, user: u.user, session: u.session, group: g, tenant: c.optionalTenant(u.tenant), issued: seconds(u.issued), first: seconds(u.at),
		holder: u.holder, within: !ev.Time.V.Before(c.o.From),
	})
}

func (c *Collector) signIn(ev *event.Event) error {
	log, ok := categoryOf(ev.Category)
	if !ok {
		c.fromADFS.Add(1)
		return nil
	}
	if span := c.o.Span(); ev.Time.V.Before(span.From) || !ev.Time.V.Before(span.To) {
		return nil
	}
	r := issued{
		user: guid(ev.Actor.ObjectID), app: guid(ev.App.ID), session: guid(ev.Token.SessionID),
		tenant: c.tenant(ev.Tenant), at: seconds(ev.Time.V), log: log, failed: ev.SignIn.ErrorCode.OK() && ev.SignIn.ErrorCode.V != 0,
	}
	c.line(r.tenant, log).mark(r.at)
	if r.failed {
		c.failed.Add(1)
	}
	token, err := event.ParseTokenID(ev.Token.ID.V)
	read := ev.Token.ID.OK() && err == nil && !token.Uniform()
	request := guid(ev.SignIn.RequestID)
	switch {
	case !read && request == (event.GUID{}):
		c.withoutID.Add(1)
		return nil
	case !read:
		r.id = request
	default:
		r.id = token
		if request != token && request != (event.GUID{}) {
			// The log says two things: a token is not called an orphan for it.
			c.differing.Add(1)
			other := r
			other.id = request
			if err := c.issued.add(other); err != nil {
				return err
			}
		}
	}
	if r.session != (event.GUID{}) && !r.failed {
		if err := c.sessions.add(session{r.session}); err != nil {
			return err
		}
	}
	return c.issued.add(r)
}

// Unreadable adds records that may have been sign-ins, and could not be read.
func (c *Collector) Unreadable(records int64) { c.unreadable.Add(records) }

// Gap adds a stretch of time of which the sign-in logs are not in hand, or not whole; with zero times, it is not known which.
func (c *Collector) Gap(s Span, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.From.IsZero() || s.To.IsZero() {
		if len(c.vague) < maxVague {
			c.vague = append(c.vague, reason)
		}
		return
	}
	c.gaps = append(c.gaps, s)
}

const maxVague = 20

// tenant returns the number of a tenant. Past maxTenants they share one, whose logs say nothing.
func (c *Collector) tenant(name string) uint32 {
	c.mu.RLock()
	n, ok := c.tenants[name]
	c.mu.RUnlock()
	if ok {
		return n
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, ok = c.tenants[name]; ok {
		return n
	}
	name = strings.Clone(name)
	if len(c.names) >= maxTenants {
		name = "(other)"
		if n, ok = c.tenants[name]; ok {
			return n
		}
	}
	n = uint32(len(c.names)) //nolint:gosec // bounded by maxTenants
	c.tenants[name] = n
	c.names, c.lines = append(c.names, name), append(c.lines, &[categories]*timeline{})
	return n
}

func (c *Collector) optionalTenant(name string) uint32 {
	if name == "" {
		return 0
	}
	return c.tenant(name) + 1
}

func (c *Collector) line(tenant uint32, log category) *timeline {
	c.mu.RLock()
	t := c.lines[tenant][log]
	c.mu.RUnlock()
	if t != nil {
		return t
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lines[tenant][log] == nil {
		span := c.o.Span()
		c.lines[tenant][log] = newTimeline(span.From, span.To)
	}
	return c.lines[tenant][log]
}

func (c *Collector) group(g group) (uint32, bool) {
	c.mu.RLock()
	n, ok := c.groups[g]
	c.mu.RUnlock()
	if ok {
		return n, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, ok = c.groups[g]; ok {
		return n, true
	}
	if len(c.byIndex) >= maxGroups {
		return 0, false
	}
	g.source = strings.Clone(g.source)
	n = uint32(len(c.byIndex)) //nolint:gosec // bounded by maxGroups
	c.groups[g] = n
	c.byIndex = append(c.byIndex, g)
	return n, true
}

// guid reads a GUID; what is none is zero, as is what was not logged.
func guid(t event.Text) event.GUID {
	if !t.OK() {
		return event.GUID{}
	}
	g, err := event.ParseGUID(t.V)
	if err != nil {
		return event.GUID{}
	}
	return g
}

// seconds is a time in seconds since 1970, or 0 where it is none that a log of our days can hold.
func seconds(t time.Time) uint32 {
	s := t.Unix()
	if t.IsZero() || s <= 0 || s > math.MaxUint32 {
		return 0
	}
	return uint32(s)
}

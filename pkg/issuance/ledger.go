package issuance

import (
	"slices"
	"time"

	"github.com/assay-sec/assay/pkg/event"
)

// What a client application has to show before the absence of a row is evidence. The shares are those of tokens that find their
// row; with fewer tokens than these a share as high cannot be told from a lower one (the rule of three: none missing
// of n says with 95 % confidence that fewer than 3/n are).
const (
	strongShare    = 0.995
	strongTokens   = 600
	strongBaseline = 14 * 24 * time.Hour // over which the sign-in logs reach
	moderateShare  = 0.95
	moderateTokens = 60
)

// When sign-ins are in the logs: within minutes mostly, and Microsoft promises nothing.
const (
	earliest = 6 * time.Hour  // a use is not judged before
	settled  = 24 * time.Hour // and only moderate evidence before
)

// Of times in tokens.
const (
	backdated = 5 * time.Minute  // by which Entra ID dates tokens back
	tolerance = 15 * time.Minute // between the begin of a sign-in and the time that its token gives: people take a while
	skew      = 5 * time.Minute  // of clocks
)

// attribute is what a token and the sign-in with its id both say.
type attribute uint8

const (
	ofRow attribute = iota // that there is a sign-in with the token's id
	ofUserID
	ofTenant
	ofAppID
	ofSession
	ofTime
	ofOrder       // that the token was issued before it was used
	ofSessionSeen // that some sign-in has the token's session
	attributes
)

// rate counts how often an attribute is as it ought to be.
type rate struct {
	yes, no int64
	noOf    map[event.GUID]int64 // by user; nil where there were too many of them
	many    bool
}

func (r *rate) add(holds bool, user event.GUID) {
	if holds {
		r.yes++
		return
	}
	r.no++
	if r.many || user == (event.GUID{}) {
		return
	}
	if r.noOf == nil {
		r.noOf = map[event.GUID]int64{}
	}
	if r.noOf[user]++; len(r.noOf) > maxUsers {
		r.noOf, r.many = nil, true
	}
}

// others returns the share among the tokens of all users but this one, and how many those are: whoever forges tokens of one
// user is not to spoil what is known of the client application. The tokens of the user that were as they ought to be count.
func (r *rate) others(user event.GUID) (share float64, tokens int64) {
	return r.share(r.noOf[user])
}

func (r *rate) share(without int64) (share float64, tokens int64) {
	if tokens = r.yes + r.no - without; tokens == 0 {
		return 0, 0
	}
	return float64(r.yes) / float64(tokens), tokens
}

// calibration is what is known of a client application.
type calibration struct {
	rates  [attributes]rate
	within int64 // tokens used in the window
}

// tenantState is when the sign-in logs of a tenant were heard.
type tenantState struct {
	logs [categories]heard
}

// Ledger is what was issued in a stretch of time, and what is known of the logs and of the client applications. It is
// immutable and safe for concurrent use.
type Ledger struct {
	c       *Collector
	gaps    []Span
	tenants []tenantState
	apps    []calibration // by group
	hours   map[hour]*loss
}

// hour is an hour of issue, in a tenant.
type hour struct {
	tenant string
	at     int64 // hours since 1970
}

// loss counts the tokens that were issued in an hour, by applications whose tokens have a sign-in as a rule.
type loss struct {
	found, missing int64
	holders        []event.GUID // of those that are missing, as many as matter
}

// An hour is doubtful in which so many tokens of so many holders have no sign-in, all applications taken together: a part of
// the logs may be lost, as when one partition of several was not read. Tokens forged for many may look the same.
const (
	doubtfulShare   = 0.05
	doubtfulHolders = 3
)

func (l *loss) doubtful() bool {
	return l != nil && len(l.holders) >= doubtfulHolders && float64(l.missing) >= doubtfulShare*float64(l.found+l.missing)
}

func (l *loss) add(u *use, found bool) {
	if found {
		l.found++
		return
	}
	l.missing++
	who := u.user
	if who == (event.GUID{}) {
		who = u.app
	}
	if len(l.holders) < doubtfulHolders && !slices.Contains(l.holders, who) {
		l.holders = append(l.holders, who)
	}
}

// hourOf returns the hour in which the token says that it was issued.
func hourOf(u *use) (hour, bool) {
	return hour{u.own, u.issued.Add(backdated).Unix() / 3600}, !u.issued.IsZero()
}

// Ledger makes the ledger of what was seen. The Collector is not to be used any more.
func (c *Collector) Ledger() *Ledger {
	c.issued.seal()
	c.sessions.seal()
	c.used.seal()
	l := &Ledger{c: c, gaps: join(c.gaps), tenants: make([]tenantState, len(c.names)), apps: make([]calibration, len(c.byIndex))}
	for t, lines := range c.lines {
		for log, line := range lines {
			if line != nil {
				l.tenants[t].logs[log] = line.heard()
			}
		}
	}
	c.issued.all(func(r *issued) { l.tenants[r.tenant].logs[r.log].rows++ })
	c.used.all(func(r *used) {
		a := &l.apps[r.group]
		if r.within {
			a.within++
		}
		u := l.use(r)
		user := u.user
		if u.holder == ofApp {
			user = event.GUID{} // it is the application's: to leave it out would leave out all
		}
		if u.session != (event.GUID{}) && l.expected(u) == "" {
			a.rates[ofSessionSeen].add(l.sessionSeen(u.session), user)
		}
		if u.token == (event.GUID{}) {
			return
		}
		rows := l.rows(u.token)
		if l.expected(u) == "" {
			a.rates[ofRow].add(len(rows) > 0, user)
		}
		for at := ofUserID; at <= ofOrder; at++ {
			if holds, known := agrees(l, at, u, rows); known {
				a.rates[at].add(holds, user)
			}
		}
	})
	l.hours = map[hour]*loss{}
	c.used.all(func(r *used) {
		share, tokens := l.apps[r.group].rates[ofRow].share(0)
		u := l.use(r)
		h, told := hourOf(u)
		if r.bare || !told || share < moderateShare || tokens < moderateTokens || l.expected(u) != "" {
			return
		}
		if l.hours[h] == nil {
			l.hours[h] = &loss{}
		}
		l.hours[h].add(u, len(l.rows(u.token)) > 0)
	})
	return l
}

// use returns the use of a row.
func (l *Ledger) use(r *used) *use {
	g := &l.c.byIndex[r.group]
	u := &use{source: g.source, app: g.app, token: r.id, user: r.user, session: r.session, own: l.c.names[g.tenant], at: instant(r.first), issued: instant(r.issued), holder: r.holder}
	if r.tenant > 0 {
		u.tenant = l.c.names[r.tenant-1]
	}
	if r.bare {
		u.token = event.GUID{}
	}
	return u
}

func instant(s uint32) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// rows returns the sign-ins with the id that issued a token.
func (l *Ledger) rows(id event.GUID) []issued {
	all := l.c.issued.of(id)
	n := 0
	for i := range all {
		if !all[i].failed {
			n++
		}
	}
	if n == len(all) {
		return all
	}
	out := make([]issued, 0, n)
	for i := range all {
		if !all[i].failed {
			out = append(out, all[i])
		}
	}
	return out
}

// failed reports whether there is a sign-in with the id, and none that issued a token.
func (l *Ledger) failed(id event.GUID) bool {
	all := l.c.issued.of(id)
	return len(all) > 0 && len(l.rows(id)) == 0
}

func (l *Ledger) sessionSeen(id event.GUID) bool { return len(l.c.sessions.of(id)) > 0 }

// agrees reports whether one of the sign-ins says the same of the attribute as the token; known is false where either of
// them says nothing.
func agrees(l *Ledger, at attribute, u *use, rows []issued) (holds, known bool) {
	for i := range rows {
		same, told := agree(l, at, u, &rows[i])
		known = known || told
		if told && same {
			return true, true
		}
	}
	return false, known
}

func agree(l *Ledger, at attribute, u *use, r *issued) (same, told bool) {
	zero := event.GUID{}
	switch at {
	case ofUserID:
		return u.user == r.user, u.user != zero && r.user != zero
	case ofTenant:
		return u.tenant == l.c.names[r.tenant], u.tenant != "" && guidText(u.tenant) && guidText(l.c.names[r.tenant])
	case ofAppID:
		return u.app == r.app, u.app != zero && r.app != zero
	case ofSession:
		return u.session == r.session, u.session != zero && r.session != zero
	case ofTime:
		return u.issued.Add(backdated).Sub(instant(r.at)).Abs() <= tolerance, !u.issued.IsZero() && r.at != 0
	case ofOrder:
		return !u.at.Before(instant(r.at).Add(-skew)), r.at != 0
	case ofRow, ofSessionSeen, attributes:
	}
	return false, false
}

func guidText(s string) bool {
	_, err := event.ParseGUID(s)
	return err == nil
}

// What makes an absence say nothing. They stand among the missing of a verdict.
const (
	lacksCategory    = "issuance:sign-in logs of the tenant"
	lacksTenant      = "issuance:sign-in logs of the issuing tenant"
	lacksTime        = "issuance:sign-in logs of the time of issue"
	lacksDelivery    = "issuance:sign-in logs that may still arrive"
	lacksCalibration = "issuance:client applications whose tokens find their sign-in"
)

// expected returns why there may be no row of the token although it was issued; "" if there has to be one.
func (l *Ledger) expected(u *use) string {
	if u.tenant != "" && u.tenant != u.own && guidText(u.own) {
		if _, known := l.tenantNumber(u.tenant); !known {
			return lacksTenant
		}
	}
	issuer := u.own
	if u.tenant != "" {
		issuer = u.tenant
	}
	t, known := l.tenantNumber(issuer)
	if !known {
		return lacksCategory
	}
	if l.c.o.ReadAt.Sub(u.at) < earliest {
		return lacksDelivery
	}
	span := Span{u.at.Add(-Lookback), u.at}
	if !u.issued.IsZero() {
		from := u.issued.Add(backdated - tolerance)
		if to := u.issued.Add(backdated + tolerance); to.Before(u.at) {
			span = Span{from, to}
		} else {
			span = Span{from, later(u.at, from)}
		}
	}
	return l.tenants[t].covers(span, u.holder, l.gaps)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// covers returns what keeps the logs from telling what was issued in the span.
func (t *tenantState) covers(s Span, h holder, gaps []Span) string {
	var first, last time.Time
	for log := range categories {
		x := &t.logs[log]
		if x.rows == 0 || x.first.IsZero() {
			continue
		}
		if h == ofUser && log >= servicePrincipal || h == ofApp && log < servicePrincipal {
			// It would not tell of the token, but all logs come the same way: where one is silent, the others may lack something.
			if overlaps(x.silences, s) {
				return lacksTime
			}
			continue
		}
		if first.IsZero() || x.first.Before(first) {
			first = x.first
		}
		if x.last.After(last) {
			last = x.last
		}
		if x.silent(s) {
			return lacksTime
		}
	}
	switch {
	case first.IsZero():
		return lacksCategory
	case s.From.Before(first), s.To.After(last):
		return lacksTime
	case overlaps(gaps, s):
		return lacksTime
	}
	return ""
}

func (l *Ledger) tenantNumber(name string) (int, bool) {
	n, ok := l.c.tenants[name]
	if !ok {
		return 0, false
	}
	for log := range categories {
		if l.tenants[n].logs[log].rows > 0 {
			return int(n), true
		}
	}
	return 0, false
}

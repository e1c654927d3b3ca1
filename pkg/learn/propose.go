package learn

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/reference"
)

// Proposal is what the configuration lacks. Its order is that of the ids.
type Proposal struct {
	Tenants []Tenant
	// Basis says, in lines, what it was learned from and what was left out.
	Basis []string
}

// Tenant is the proposal for one tenant. Every entry says why, in lines of our own words: numbers and days.
type Tenant struct {
	ID               string
	MailClients      []MailClient
	AppOnlyMailApps  []AppOnlyMailApp
	PartnerTenants   []PartnerTenant
	Delegates        []Delegate
	UTICoverage      []Share
	GraphUTICoverage []Share
}

// MailClient is an entry of mailClients: a new one, or what a listed one is to be.
type MailClient struct {
	reference.MailClient
	Why []string
}

// AppOnlyMailApp is an entry of appOnlyMailApps.
type AppOnlyMailApp struct {
	reference.AppOnlyMailApp
	Why []string
}

// PartnerTenant is an entry of partnerTenants.
type PartnerTenant struct {
	ID  string
	Why []string
}

// Delegate is an entry of delegates.
type Delegate struct {
	reference.Delegate
	Why []string
}

// Share is an entry of utiCoverage or graphUtiCoverage.
type Share struct {
	AppID string
	Share float64 // rounded down to thousandths
	Why   []string
}

// sameShare is how far a share may be from what is configured before it is proposed anew.
const sameShare = 0.005

// Propose returns what was seen often enough and is not configured yet.
func (l *Learner) Propose() Proposal {
	l.mu.Lock()
	defer l.mu.Unlock()
	byTenant := map[string]*Tenant{}
	tenant := func(id string) *Tenant {
		if byTenant[id] == nil {
			byTenant[id] = &Tenant{ID: id}
		}
		return byTenant[id]
	}
	few := 0
	few += l.proposeClients(tenant)
	few += l.proposeAppOnly(tenant)
	for _, k := range l.partners.sorted() {
		s := l.partners.rows[k]
		if in, _ := l.ref.PartnerTenants().Contains(k.tenant, k.a); in {
			continue
		}
		if !s.enough() {
			few++
			continue
		}
		t := tenant(k.tenant)
		t.PartnerTenants = append(t.PartnerTenants, PartnerTenant{k.a, []string{s.String()}})
	}
	for _, k := range l.delegates.sorted() {
		s := l.delegates.rows[k]
		if may, _ := l.ref.Tenant(k.tenant).Delegate(k.a, k.b); may {
			continue
		}
		if !s.enough() {
			few++
			continue
		}
		t := tenant(k.tenant)
		t.Delegates = append(t.Delegates, Delegate{reference.Delegate{User: k.a, Mailbox: k.b}, []string{s.String()}})
	}
	for _, k := range l.mailIDs.sorted() {
		configured, known := l.ref.Tenant(k.tenant).UTICoverage(k.a)
		if s, ok := l.mailIDs.rows[k].share(k.a, configured, known); ok {
			t := tenant(k.tenant)
			t.UTICoverage = append(t.UTICoverage, s)
		}
	}
	for _, k := range l.graphIDs.sorted() {
		configured, known := l.ref.Tenant(k.tenant).GraphUTICoverage(k.a)
		if s, ok := l.graphIDs.rows[k].share(k.a, configured, known); ok {
			t := tenant(k.tenant)
			t.GraphUTICoverage = append(t.GraphUTICoverage, s)
		}
	}
	p := Proposal{Basis: l.basis(few)}
	for _, t := range byTenant {
		p.Tenants = append(p.Tenants, *t)
	}
	slices.SortFunc(p.Tenants, func(a, b Tenant) int { return strings.Compare(a.ID, b.ID) })
	return p
}

func (l *Learner) proposeClients(tenant func(string) *Tenant) (few int) {
	protocols := map[key][]string{}
	rare := map[key]int{}
	for _, k := range l.protocols.sorted() {
		of := key{k.tenant, k.a, ""}
		if l.protocols.rows[k].enough() {
			protocols[of] = append(protocols[of], k.b)
		} else {
			rare[of]++
		}
	}
	for _, k := range l.clients.sorted() {
		c := l.clients.rows[k]
		listed, _ := l.ref.MailClients().Contains(k.tenant, k.a)
		if !listed && !c.uses.enough() {
			few++
			continue
		}
		m := MailClient{MailClient: reference.MailClient{AppID: k.a}, Why: []string{c.uses.String()}}
		var maxAge time.Duration
		known, ok := l.ref.MailClient(k.tenant, k.a)
		if ok {
			m.Name, maxAge = known.Name, known.MaxAge
			for _, re := range known.ClientInfo {
				m.ClientInfo = append(m.ClientInfo, re.String())
			}
		}
		spoken := protocols[k]
		for _, name := range spoken {
			m.ClientInfo = append(m.ClientInfo, "^"+regexp.QuoteMeta(name)+"([;/]|$)")
			s := l.protocols.rows[key{k.tenant, k.a, name}]
			m.Why = append(m.Why, fmt.Sprintf("%s: %s", name, s))
		}
		if ok && known.ClientInfo != nil && len(spoken) > 0 {
			m.Why = append(m.Why, "which is none of the protocols that were known of it: mailbox-client-app-protocol-mismatch finds that. Make sure first")
		}
		if n := rare[k]; n > 0 {
			m.Why = append(m.Why, fmt.Sprintf("%s too rare to be proposed", plural(n, "further protocol")))
		}
		m.MaxAge = maxAge
		limit, measured := c.ages.limit()
		older := measured && limit > maxAge
		if older {
			m.MaxAge = limit
		}
		if listed && len(spoken) == 0 && !older {
			continue
		}
		if len(spoken) == 0 && m.MaxAge == 0 {
			m.ClientInfo = nil // the built-in ones hold, and those of a later version
		}
		m.Why = append(m.Why, c.ages.String())
		t := tenant(k.tenant)
		t.MailClients = append(t.MailClients, m)
	}
	return few
}

func (l *Learner) proposeAppOnly(tenant func(string) *Tenant) (few int) {
	for _, k := range l.appOnly.sorted() {
		o := l.appOnly.rows[k]
		boxes, any := slices.Sorted(slices.Values(o.mailboxes)), o.nameless || len(o.mailboxes) > maxMailboxes
		already, _ := l.ref.Tenant(k.tenant).AppOnlyMail(k.a)
		if already {
			// Its mailboxes are somebody's decision: a further one is what the rule is there to tell.
			continue
		}
		if !o.enough() {
			few++
			continue
		}
		a := AppOnlyMailApp{AppOnlyMailApp: reference.AppOnlyMailApp{AppID: k.a}, Why: []string{o.String()}}
		switch {
		case o.nameless:
			a.Why = append(a.Why, "some records name no mailbox, so it may read any")
		case any:
			a.Why = append(a.Why, fmt.Sprintf("more than %d mailboxes, so it may read any", maxMailboxes))
		default:
			a.Mailboxes = boxes
		}
		t := tenant(k.tenant)
		t.AppOnlyMailApps = append(t.AppOnlyMailApps, a)
	}
	return few
}

// share returns the share to propose; ok is false where it was measured on too little, or is configured so.
func (c *coverage) share(app string, configured float64, known bool) (s Share, ok bool) {
	if c.records < MinMeasured || len(c.days) < MinDays {
		return s, false
	}
	x := math.Floor(1000*float64(c.with)/float64(c.records)) / 1000
	if known && math.Abs(x-configured) < sameShare {
		return s, false
	}
	return Share{app, x, []string{fmt.Sprintf("%d of %s", c.with, c.String())}}, true
}

// String tells counts and days.
func (s *seen) String() string {
	if s.records == 0 {
		return "no record in which it read, sent or searched mail"
	}
	days := plural(len(s.days), "day")
	if len(s.days) == maxDays {
		days = fmt.Sprintf("%d days or more", maxDays)
	}
	return fmt.Sprintf("%s on %s, %s to %s", plural(int(s.records), "record"), days, s.first.UTC().Format(time.DateOnly), s.last.UTC().Format(time.DateOnly))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// basis says what the proposal stands on.
func (l *Learner) basis(few int) []string {
	var out []string
	if l.window.records == 0 {
		out = append(out, "There is no record of mailboxes, documents or Graph calls to learn from.")
	} else {
		out = append(out, "Learned from "+l.window.String()+".")
	}
	out = append(out,
		fmt.Sprintf("An entry needs %d records on %d days; a share or an age needs %d records.", MinRecords, MinDays, MinMeasured),
		fmt.Sprintf("maxAge is what 99.9 %% of the tokens in use did not pass, and %s; from %s on it says nothing that mailbox-token-over-age does not.", short(slack), short(longest)))
	if few > 0 {
		out = append(out, fmt.Sprintf("Left out: %s that did not reach that.", plurals(few, "entry", "entries")))
	}
	if l.homeless > 0 {
		out = append(out, fmt.Sprintf("Left out: %s without a tenant.", plural(int(l.homeless), "record")))
	}
	if l.unlike > 0 {
		out = append(out, fmt.Sprintf("Left out: %s whose user or ClientInfoString holds what such a text does not.", plural(int(l.unlike), "record")))
	}
	for _, t := range []struct {
		name string
		left int64
	}{
		{"mail clients", l.clients.left()},
		{"protocols of mail clients", l.protocols.left()},
		{"app-only applications", l.appOnly.left()},
		{"tenants of tokens", l.partners.left()},
		{"delegates", l.delegates.left()},
		{"applications in utiCoverage", l.mailIDs.left()},
		{"applications in graphUtiCoverage", l.graphIDs.left()},
	} {
		if t.left > 0 {
			out = append(out, fmt.Sprintf("Left out: %s of %s beyond the %d that are counted. So many are made up: find out by whom.",
				plural(int(t.left), "record"), t.name, maxKeys))
		}
	}
	return out
}

func plurals(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

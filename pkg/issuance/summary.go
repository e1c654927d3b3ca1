package issuance

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// Summary is what a ledger knows, for people: which logs it stands on, which client applications can be judged, and what
// became of the tokens that were used in the window.
type Summary struct {
	ReadAt   time.Time        `json:"readAt"`
	Baseline time.Time        `json:"baseline"` // uses from then on calibrate
	Tenants  []TenantSummary  `json:"tenants"`
	Clients  []ClientSummary  `json:"clients"`
	Tokens   int64            `json:"tokens"` // used in the window, each once for each client application
	Issued   int64            `json:"issued"` // of them, with a sign-in
	Orphans  int64            `json:"orphans"`
	Unsaid   map[string]int64 `json:"unsaid,omitempty"` // tokens without a sign-in that are not called orphans, by what is missing
	Notes    []string         `json:"notes,omitempty"`
	Doubtful []DoubtfulHour   `json:"doubtfulHours,omitempty"`
	Gaps     []Span           `json:"gaps,omitempty"` // of the sources
	Memory   int64            `json:"memoryBytes"`    // of the rows
	Counts   map[string]int64 `json:"signIns"`        // sign-ins without an id, of AD FS, that failed
}

// DoubtfulHour is one of which tokens of several users have no sign-in: logs may be lost, or tokens were forged for many.
type DoubtfulHour struct {
	Tenant  string    `json:"tenantId"`
	Hour    time.Time `json:"hour"`
	Tokens  int64     `json:"tokens"`
	Missing int64     `json:"missing"`
}

// TenantSummary says when the sign-in logs of a tenant were heard.
type TenantSummary struct {
	Tenant string       `json:"tenantId"`
	Logs   []LogSummary `json:"logs"`
	Absent []string     `json:"absent,omitempty"` // logs of which there is no record
}

// LogSummary is one sign-in log of a tenant.
type LogSummary struct {
	Log      string    `json:"log"`
	SignIns  int64     `json:"signIns"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Silences []Span    `json:"silences,omitempty"` // in which tokens may have been issued that it does not tell of
	Silent   float64   `json:"silentHours,omitempty"`
	More     int       `json:"moreSilences,omitempty"`
}

// ClientSummary is the calibration of a client application.
type ClientSummary struct {
	Tenant  string  `json:"tenantId"`
	Source  string  `json:"source"`
	App     string  `json:"appId"`
	Tokens  int64   `json:"tokens"`  // whose sign-in ought to be in the logs
	Missing int64   `json:"missing"` // of them, without one
	Share   float64 `json:"share"`   // with one
	Window  int64   `json:"inWindow"`
	Judged  string  `json:"judged"` // strong, moderate or no
	Why     string  `json:"why,omitempty"`
	// Compared are the attributes that its tokens and their sign-ins share often enough to be judged by.
	Compared []string `json:"compared,omitempty"`
}

const maxSilences = 20

// Summary returns what the ledger knows. tenants are those that it is to tell of; empty: all.
func (l *Ledger) Summary(tenants []string) Summary {
	c := l.c
	s := Summary{
		ReadAt: c.o.ReadAt, Baseline: c.o.Baseline, Tenants: []TenantSummary{}, Clients: []ClientSummary{}, Gaps: l.gaps, Memory: c.budget.used.Load(),
		Counts: map[string]int64{"withoutId": c.withoutID.Load(), "adfs": c.fromADFS.Load(), "failed": c.failed.Load(), "differingIds": c.differing.Load()},
	}
	told := func(name string) bool { return len(tenants) == 0 || slices.Contains(tenants, name) }
	for t, name := range c.names {
		if told(name) {
			if sum := l.tenantSummary(t, name); len(sum.Logs) > 0 || l.uses(t) {
				s.Tenants = append(s.Tenants, sum)
			}
		}
	}
	slices.SortFunc(s.Tenants, func(a, b TenantSummary) int { return strings.Compare(a.Tenant, b.Tenant) })
	for i := range c.byIndex {
		if name := c.names[c.byIndex[i].tenant]; told(name) {
			s.Clients = append(s.Clients, l.clientSummary(i, name))
		}
	}
	slices.SortFunc(s.Clients, func(a, b ClientSummary) int {
		return cmp.Or(strings.Compare(a.Tenant, b.Tenant), cmp.Compare(b.Tokens, a.Tokens), strings.Compare(a.Source, b.Source), strings.Compare(a.App, b.App))
	})
	c.used.all(func(r *used) {
		if u := l.use(r); r.within && !r.bare && told(u.own) {
			s.count(l, u)
		}
	})
	for h, x := range l.hours {
		if x.doubtful() && told(h.tenant) {
			s.Doubtful = append(s.Doubtful, DoubtfulHour{h.tenant, time.Unix(h.at*3600, 0).UTC(), x.found + x.missing, x.missing})
		}
	}
	slices.SortFunc(s.Doubtful, func(a, b DoubtfulHour) int {
		return cmp.Or(strings.Compare(a.Tenant, b.Tenant), a.Hour.Compare(b.Hour))
	})
	s.notes(l)
	return s
}

func (l *Ledger) uses(tenant int) bool {
	return slices.ContainsFunc(l.c.byIndex, func(g group) bool { return int(g.tenant) == tenant })
}

// count counts one token that was used in the window.
func (s *Summary) count(l *Ledger, u *use) {
	s.Tokens++
	if len(l.rows(u.token)) > 0 {
		s.Issued++
		return
	}
	lacks := l.expected(u)
	if lacks == "" && l.grade(ofRow, u).strength == rule.Weak {
		lacks = lacksCalibration
	}
	if lacks == "" {
		s.Orphans++
		return
	}
	if s.Unsaid == nil {
		s.Unsaid = map[string]int64{}
	}
	s.Unsaid[strings.TrimPrefix(lacks, "issuance:")]++
}

func (l *Ledger) tenantSummary(t int, name string) TenantSummary {
	out := TenantSummary{Tenant: name, Logs: []LogSummary{}}
	for log := range categories {
		x := &l.tenants[t].logs[log]
		if x.rows == 0 {
			out.Absent = append(out.Absent, categoryNames[log])
			continue
		}
		sum := LogSummary{Log: categoryNames[log], SignIns: x.rows, First: x.first, Last: x.last}
		for i, silence := range x.silences {
			sum.Silent += silence.To.Sub(silence.From).Hours()
			if i < maxSilences {
				sum.Silences = append(sum.Silences, silence)
			} else {
				sum.More++
			}
		}
		out.Logs = append(out.Logs, sum)
	}
	return out
}

func (l *Ledger) clientSummary(i int, tenant string) ClientSummary {
	g, a := &l.c.byIndex[i], &l.apps[i]
	r := &a.rates[ofRow]
	out := ClientSummary{Tenant: tenant, Source: g.source, App: g.app.String(), Tokens: r.yes + r.no, Missing: r.no, Window: a.within, Judged: "no"}
	out.Share, _ = r.share(0)
	// As it is for most users: without the one of whom most is missing, and long before the logs were read.
	u := &use{own: tenant, app: g.app, source: g.source, user: r.worst(), at: l.c.o.ReadAt.Add(-2 * settled)}
	switch got := l.grade(ofRow, u); got.strength {
	case rule.Strong:
		out.Judged = "strong"
	case rule.Moderate:
		out.Judged, out.Why = "moderate", got.why
	default:
		out.Why = why(r)
	}
	for _, at := range append(compared, struct {
		at        attribute
		name, why string
	}{at: ofSessionSeen, name: "known session"}) {
		if l.grade(at.at, u).strength > rule.Weak {
			out.Compared = append(out.Compared, at.name)
		}
	}
	return out
}

// worst returns the user with most tokens that are not as they ought to be; of several the first by id.
func (r *rate) worst() (user event.GUID) {
	most := int64(0)
	for id, n := range r.noOf {
		if n > most || n == most && compareGUID(&id, &user) < 0 {
			user, most = id, n
		}
	}
	return user
}

// why says why an application is not judged.
func why(r *rate) string {
	share, tokens := r.share(0)
	switch {
	case tokens == 0:
		return "none of its tokens was issued while the sign-in logs are in hand"
	case share < moderateShare && r.yes == 0:
		return "its tokens never have a sign-in: their absence says nothing"
	case share < moderateShare:
		return "too many of its tokens have no sign-in"
	}
	return "too few tokens to tell"
}

// notes says what an investigator should know before the findings.
func (s *Summary) notes(l *Ledger) {
	add := func(n int64, text string) {
		if n > 0 {
			s.Notes = append(s.Notes, text)
		}
	}
	c := l.c
	add(c.unreadable.Load(), "records beside the sign-ins could not be read, so no absence is strong evidence")
	add(c.withoutID.Load(), "some sign-ins have neither a token id nor an id of their own: whatever they issued looks like an orphan")
	add(c.differing.Load(), "some sign-ins have a token id that is not their own id, as in anonymised logs: both count as issued")
	add(c.fromADFS.Load(), "sign-ins of AD FS prove no issuance, and were left out")
	add(c.crowded.Load(), "there are too many client applications to calibrate all of them")
	for _, g := range c.vague {
		s.Notes = append(s.Notes, "some logs could not be read, so no absence is strong evidence: "+g)
	}
}

// Digest names what the ledger knows: two with the same digest judge alike.
func (l *Ledger) Digest() string {
	h := sha256.New()
	sum := l.Summary(nil)
	sum.ReadAt, sum.Memory, sum.Counts = time.Time{}, 0, nil // which depend on when and in what order, not on what
	text, err := json.Marshal(sum)
	if err != nil {
		panic(err) // texts and numbers
	}
	h.Write(text)
	xor := event.GUID{}
	l.c.issued.all(func(r *issued) {
		for i := range xor {
			xor[i] ^= r.id[i] + byte(r.at>>(8*(i%4))) //nolint:gosec // a digest
		}
	})
	h.Write(xor[:])
	return hex.EncodeToString(h.Sum(nil))[:12]
}

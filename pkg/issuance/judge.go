package issuance

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// grade is how much is known of a client application and its logs, and so how much a difference says.
type grade struct {
	strength rule.Strength // Weak: nothing
	why      string        // what keeps it from being strong
	share    float64
	tokens   int64
}

// grade returns what a difference in the attribute says, where the client application is the one of the use.
func (l *Ledger) grade(at attribute, u *use) grade {
	g, ok := l.c.groups[group{l.c.tenants[u.own], u.app, u.source}]
	if !ok {
		return grade{}
	}
	r := &l.apps[g].rates[at]
	out := grade{}
	if out.share, out.tokens = r.others(u.user); u.holder == ofApp {
		out.share, out.tokens = r.share(0)
	}
	if out.share < moderateShare || out.tokens < moderateTokens {
		return out
	}
	out.strength = rule.Moderate
	var why []string
	if out.share < strongShare {
		why = append(why, "the share is below "+percent(strongShare))
	}
	if out.tokens < strongTokens {
		why = append(why, fmt.Sprintf("fewer than %d tokens", strongTokens))
	}
	if at == ofRow || at == ofSessionSeen {
		// What a row says, it says however much else is known; that there is none stands on all rows.
		if reach := l.reach(u); reach < strongBaseline {
			why = append(why, fmt.Sprintf("the sign-in logs reach over %s, less than %d days", days(reach), int(strongBaseline.Hours()/24)))
		}
		if l.c.o.ReadAt.Sub(u.at) < settled {
			why = append(why, "used less than a day before the logs were read")
		}
		if h, _ := hourOf(u); l.hours[h].doubtful() {
			x := l.hours[h]
			why = append(why, fmt.Sprintf("%d of %d tokens of that hour have no sign-in, of %d users or more: some of the logs may be lost", x.missing, x.found+x.missing, len(x.holders)))
		}
		if n := l.c.unreadable.Load(); n > 0 {
			why = append(why, strconv.FormatInt(n, 10)+" records beside the sign-ins could not be read")
		}
		if len(l.c.vague) > 0 {
			why = append(why, "some logs could not be read: "+l.c.vague[0])
		}
	}
	if len(why) == 0 {
		out.strength = rule.Strong
	}
	out.why = strings.Join(why, "; ")
	return out
}

// reach is the time over which the sign-in logs of the use's tenant reach.
func (l *Ledger) reach(u *use) time.Duration {
	t, ok := l.tenantNumber(u.own)
	if !ok {
		return 0
	}
	var first, last time.Time
	for log := range categories {
		x := &l.tenants[t].logs[log]
		if x.rows == 0 {
			continue
		}
		if first.IsZero() || x.first.Before(first) {
			first = x.first
		}
		if x.last.After(last) {
			last = x.last
		}
	}
	return last.Sub(first)
}

// verdict judges a use for one attribute, which is to be as it ought at the strength that is asked for. True: it is not, and the
// finding is of that strength. What it cannot say it names in the trace.
func (l *Ledger) verdict(at attribute, strength rule.Strength, u *use, tr *rule.Trace) rule.Truth {
	switch at {
	case ofRow:
		if u.token == (event.GUID{}) {
			return tr.Lacking(event.TokenID.Path)
		}
		if len(l.c.issued.of(u.token)) > 0 {
			return rule.False // a sign-in that failed is another leg's
		}
	case ofSessionSeen:
		if u.session == (event.GUID{}) {
			return tr.Lacking(event.TokenSession.Path)
		}
		if l.sessionSeen(u.session) || u.token != (event.GUID{}) && len(l.rows(u.token)) > 0 {
			return rule.False
		}
	default:
		if u.token == (event.GUID{}) {
			return tr.Lacking(event.TokenID.Path)
		}
		rows := l.rows(u.token)
		if len(rows) == 0 {
			return rule.False // token-never-issued judges it
		}
		holds, known := agrees(l, at, u, rows)
		if !known {
			return tr.Lacking(fields[at])
		}
		if holds {
			return rule.False
		}
	}
	if at == ofRow || at == ofSessionSeen {
		if lacks := l.expected(u); lacks != "" {
			return tr.Lacking(lacks)
		}
	}
	g := l.grade(at, u)
	if g.strength == rule.Weak {
		return tr.Lacking(lacksCalibration)
	}
	if g.strength != strength {
		return rule.False
	}
	return rule.True
}

// fields are the names of what a token says, by attribute.
var fields = [attributes]string{
	ofRow: event.TokenID.Path, ofUserID: event.TokenObjectID.Path, ofTenant: event.TokenTenant.Path, ofAppID: event.AppID.Path,
	ofSession: event.TokenSession.Path, ofTime: event.IssuedAt.Path, ofOrder: event.EventTime.Path, ofSessionSeen: event.TokenSession.Path,
}

// explain adds the facts of a use to the trace: what was looked for and where, and what is known of the client application.
func (l *Ledger) explain(at attribute, ev *event.Event, u *use, tr *rule.Trace) {
	if !tr.KeepsFacts() {
		return
	}
	op, operand := l.difference(at, u)
	switch at {
	case ofRow:
		tr.Add(event.TokenID.Path, ev.Token.ID.V, op, operand, rule.True)
		tr.Add("token.requestId", u.token.String(), "is the id that its sign-in would have", "", rule.True)
	case ofSessionSeen:
		tr.Add(event.TokenSession.Path, u.session.String(), op, operand, rule.True)
	case ofUserID:
		tr.Add(fields[at], u.user.String(), op, operand, rule.True)
	case ofTenant:
		tr.Add(fields[at], u.tenant, op, operand, rule.True)
	case ofAppID:
		tr.Add(fields[at], u.app.String(), op, operand, rule.True)
	case ofSession:
		tr.Add(fields[at], u.session.String(), op, operand, rule.True)
	case ofTime:
		tr.Add(fields[at], u.issued.Format(time.RFC3339), op, operand, rule.True)
	case ofOrder:
		tr.Add(fields[at], u.at.UTC().Format(time.RFC3339), op, operand, rule.True)
	case attributes:
	}
	g := l.grade(at, u)
	tr.Add(event.AppID.Path, u.app.String(), calibrated[at],
		fmt.Sprintf("%s of %d tokens of %s in %s", percent(g.share), g.tokens, others(u), u.source), rule.True)
	if g.why != "" {
		tr.Add("issuance", g.why, "keeps the finding from being strong", "", rule.True)
	}
}

func others(u *use) string {
	if u.holder == ofApp || u.user == (event.GUID{}) {
		return "this application"
	}
	return "this application (what the user's own tokens lack is left out)"
}

// calibrated says how an application behaves otherwise.
var calibrated = [attributes]string{
	ofRow: "has a sign-in for", ofUserID: "has the same user in the sign-in for", ofTenant: "has the same tenant in the sign-in for",
	ofAppID: "is the same in the sign-in for", ofSession: "has the same session in the sign-in for", ofTime: "has the same time in the sign-in for",
	ofOrder: "has the sign-in before the use for", ofSessionSeen: "has the session in a sign-in for",
}

// difference says what the sign-ins say instead.
func (l *Ledger) difference(at attribute, u *use) (op, operand string) {
	if at == ofRow || at == ofSessionSeen {
		op = "is in none of"
		if at == ofRow && l.failed(u.token) {
			op = "is that of a sign-in which failed, among"
		}
		return op, l.logs(u)
	}
	rows := l.rows(u.token)
	if len(rows) == 0 {
		return "", ""
	}
	r := &rows[0]
	for i := range rows {
		if _, told := agree(l, at, u, &rows[i]); told {
			r = &rows[i]
			break
		}
	}
	of := " (sign-in " + r.id.String() + " of " + instant(r.at).Format(time.RFC3339) + ")"
	switch at {
	case ofUserID:
		return "is not the user who signed in:", r.user.String() + of
	case ofTenant:
		return "is not the tenant of the sign-in:", l.c.names[r.tenant] + of
	case ofAppID:
		return "is not the application that signed in:", r.app.String() + of
	case ofSession:
		return "is not the session of the sign-in:", r.session.String() + of
	case ofTime:
		return "is more than " + strconv.Itoa(int(tolerance.Minutes())) + " minutes from the sign-in, the five minutes counted by which tokens are dated back:", instant(r.at).Format(time.RFC3339) + of
	case ofOrder:
		return "is before the sign-in that issued the token:", instant(r.at).Format(time.RFC3339) + of
	case ofRow, ofSessionSeen, attributes:
	}
	return "", ""
}

// logs says which sign-ins were looked through.
func (l *Ledger) logs(u *use) string {
	issuer := u.own
	if u.tenant != "" {
		issuer = u.tenant
	}
	t, ok := l.tenantNumber(issuer)
	if !ok {
		return ""
	}
	var parts []string
	for log := range categories {
		if x := &l.tenants[t].logs[log]; x.rows > 0 {
			parts = append(parts, fmt.Sprintf("%d %s, %s to %s", x.rows, categoryNames[log], x.first.Format(time.RFC3339), x.last.Format(time.RFC3339)))
		}
	}
	return "the sign-ins of tenant " + issuer + ": " + strings.Join(parts, "; ")
}

func percent(share float64) string {
	// Never rounded up: 99.996 % are not all.
	return strconv.FormatFloat(float64(int64(share*1e4))/100, 'f', -1, 64) + " %"
}

func days(d time.Duration) string {
	n := strconv.FormatFloat(float64(int(d.Hours()/2.4))/10, 'f', -1, 64)
	if n == "1" {
		return "1 day"
	}
	return n + " days"
}

package made

import (
	"errors"
	"path/filepath"
	"time"
)

// Planted are the tokens among linked logs that are not what they seem, by what is wrong with them: their ids as GUIDs.
type Planted struct {
	Orphans   map[string]string // "mailbox", "graph", "gateway": no sign-in issued them
	Copied    string            // the id of another person's token
	Early     string            // used before its sign-in
	Failed    string            // the id of a sign-in that failed
	Ancient   string            // an orphan that claims to be issued before the logs begin
	Uncounted string            // an orphan of the application whose tokens never have a sign-in
}

// Linked writes the logs of some days in which nearly every token that is used has its sign-in: sign-ins.ndjson,
// mailbox.ndjson, graph.ndjson and tokens.ndjson. On the last day stand the planted ones. One application, of Microsoft's own,
// never has sign-ins, and the day before the last has an hour in which the sign-in logs are silent if gap is set. tokens are issued
// evenly from start on.
func Linked(dir string, seed uint64, start time.Time, days, tokens int, gap bool) (Planted, error) {
	t := story(seed, 7)
	l := &linked{t: t, start: start, end: start.AddDate(0, 0, days), step: time.Duration(days) * 24 * time.Hour / time.Duration(tokens)}
	if gap {
		l.silent = l.end.Add(-36 * time.Hour)
	}
	var err error
	open := func(name string) *file {
		f, ferr := create(filepath.Join(dir, name), lines)
		err = errors.Join(err, ferr)
		return f
	}
	l.signIns, l.mailbox, l.graph, l.tokens = open("sign-ins.ndjson"), open("mailbox.ndjson"), open("graph.ndjson"), open("tokens.ndjson")
	if err != nil {
		return Planted{}, err
	}
	for i := range tokens {
		l.token(start.Add(time.Duration(i) * l.step))
	}
	p := l.plant()
	return p, errors.Join(l.signIns.close(), l.mailbox.close(), l.graph.close(), l.tokens.close())
}

type linked struct {
	t                               *Tenant
	start, end, silent              time.Time
	step                            time.Duration
	signIns, mailbox, graph, tokens *file
}

// teams is an application of Microsoft's own whose calls have no sign-ins here.
const teams = "1fec8e78-bce4-4aaf-ab1b-5451cc387264"

// token writes a sign-in and what its token is used for.
func (l *linked) token(at time.Time) {
	t := l.t
	who := t.someone()
	s := t.bare(who)
	s.at, s.category = at, nonInteractiveLogs
	if s.interactive = t.one(6); s.interactive {
		s.category = interactiveLogs
	}
	if t.one(50) {
		s.code, s.reason = 50126, "Error validating credentials due to invalid username or password."
		l.write(&s)
		return
	}
	life := t.between(time.Minute, 80*time.Minute)
	switch t.rnd.IntN(8) {
	case 0: // Teams: calls without a sign-in
		c := l.call(&s, who, at.Add(life))
		c.app, c.uri, c.scopes, c.token = teams, "https://graph.microsoft.com/beta/me/joinedTeams", "Team.ReadBasic.All", tokenID(t.request())
		l.graph.add(c.diagnostic())
		return
	case 1, 2:
		s.client = app{CRMApp, "Fabrikam CRM"}
		l.write(&s)
		for range 1 + t.rnd.IntN(3) {
			l.graph.add(l.call(&s, who, at.Add(t.between(time.Second, life))).diagnostic())
		}
	case 3:
		s.client = app{ordersApp, "Orders"}
		l.write(&s)
		l.tokens.add(l.observed(&s, who, at.Add(life)).observation())
	case 4: // a program, whose token lives for a day
		s.category, s.who, s.service = serviceLogs, nil, app{ArchiveApp, "Fabrikam Mail Archive"}
		s.client, s.session, s.address = s.service, "", "198.51.100.201"
		l.write(&s)
		c := l.call(&s, who, at.Add(t.between(time.Minute, 20*time.Hour)))
		c.kind, c.app, c.scopes, c.roles, c.session = "app", ArchiveApp, "", "Mail.Read", ""
		c.uri = "https://graph.microsoft.com/v1.0/users/" + who.oid + "/mailFolders/inbox/messages"
		l.graph.add(c.diagnostic())
	default:
		c := pick(t, mailClients[:5])
		s.client = app{c.app, c.name}
		if c.cae {
			life = t.between(time.Minute, 20*time.Hour)
		}
		l.write(&s)
		for range 1 + t.rnd.IntN(3) {
			a := l.read(who, c, at.Add(t.between(time.Second, life)))
			if !t.one(8) { // aggregated and background records have no linkable identifiers
				a = told(a, &s, who, c)
			}
			l.mailbox.add(a.management())
		}
	}
}

// write writes a sign-in, unless the logs are silent.
func (l *linked) write(s *signIn) {
	if !l.silent.IsZero() && !s.at.Before(l.silent) && s.at.Before(l.silent.Add(time.Hour)) {
		return
	}
	l.signIns.add(s.diagnostic())
}

// dated is the time that a token gives: Entra ID dates it back by five minutes.
func dated(s *signIn) time.Time { return s.at.Add(-5 * time.Minute).Truncate(time.Second) }

func (l *linked) read(who *person, c mailClient, at time.Time) audit {
	a := l.t.mail(at, who, c, "MailItemsAccessed", 50)
	a.address = pick(l.t, who.addresses)
	a.rest = a.rest.with("LogonType", 0, "InternalLogonType", 0, "LogonUserSid", who.sid,
		"OperationProperties", list{record("Name", "MailAccessType", "Value", "Bind")}, "OperationCount", 1)
	return a
}

// told adds the token to the record.
func told(a audit, s *signIn, who *person, c mailClient) audit {
	a.token(s.id, dated(s), TenantID, who.oid, s.session, c)
	return a
}

func (l *linked) call(s *signIn, who *person, at time.Time) call {
	c := l.t.call()
	c.at, c.issued, c.token, c.session, c.oid, c.kind = at, dated(s), tokenID(s.id), s.session, who.oid, "user"
	c.app, c.roles, c.scopes, c.method, c.status, c.uri = CRMApp, "", "Mail.Read User.Read", "GET", 200, "https://graph.microsoft.com/v1.0/me/messages?$top=25"
	c.address, c.agent = pick(l.t, who.addresses), pick(l.t, browsers)
	return c
}

func (l *linked) observed(s *signIn, who *person, at time.Time) token {
	k := l.t.genuine(at)
	k.oid, k.name, k.uti, k.session, k.issued, k.app = who.oid, who.upn, tokenID(s.id), s.session, dated(s), ordersApp
	k.tid, k.life = TenantID, 90*time.Minute
	return k
}

// plant writes the tokens that are not what they seem.
func (l *linked) plant() Planted {
	t := l.t
	victim, other := t.victims()
	mobile := mailClients[2]
	at := l.end.Add(-3 * time.Hour)
	p := Planted{Orphans: map[string]string{}}
	forged := func(at time.Time) *signIn {
		s := t.bare(victim)
		s.at = at.Add(-20 * time.Minute)
		return &s
	}
	reading := func(s *signIn, who *person, at time.Time) {
		a := told(l.read(who, mobile, at), s, who, mobile)
		a.address = proxy1
		l.mailbox.add(a.management())
	}
	s := forged(at)
	p.Orphans["mailbox"] = s.id
	for i := range 3 {
		reading(s, victim, at.Add(time.Duration(i)*time.Minute))
	}
	s = forged(at)
	p.Orphans["graph"] = s.id
	c := l.call(s, victim, at)
	c.address = proxy1
	l.graph.add(c.diagnostic())
	s = forged(at)
	p.Orphans["gateway"] = s.id
	l.tokens.add(l.observed(s, victim, at).observation())

	// The id, session and time of a token of somebody else.
	real := t.bare(other)
	real.at, real.category, real.client = at.Add(-10*time.Minute), nonInteractiveLogs, app{mobile.app, mobile.name}
	l.write(&real)
	p.Copied = real.id
	reading(&real, victim, at)

	early := t.bare(victim)
	early.at, early.category, early.client = at.Add(time.Hour), nonInteractiveLogs, app{mobile.app, mobile.name}
	l.write(&early)
	p.Early = early.id
	reading(&early, victim, at.Add(30*time.Minute))

	failed := t.bare(victim)
	failed.at, failed.category, failed.code, failed.client = at.Add(-15*time.Minute), interactiveLogs, 50126, app{mobile.app, mobile.name}
	l.write(&failed)
	p.Failed = failed.id
	reading(&failed, victim, at)

	s = forged(at)
	s.at = l.start.Add(-48 * time.Hour)
	p.Ancient = s.id
	reading(s, victim, at)

	s = forged(at)
	p.Uncounted = s.id
	c = l.call(s, victim, at)
	c.app = teams
	l.graph.add(c.diagnostic())
	return p
}

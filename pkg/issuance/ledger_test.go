package issuance_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/issuance"
	"github.com/assay-sec/assay/pkg/rule"
)

// orphan is a mail access two days before the end with a token that nobody issued.
func orphan(n int) event.Event {
	ev := mail(n, strongApp, end.Add(-48*time.Hour))
	ev.Token.ID = event.Of(fmt.Sprintf("%08x-7777-4222-8333-444455556600", n))
	return ev
}

func never(l *issuance.Ledger, ev *event.Event) rule.Verdict { return issuance.Rules(l)[0].Verdict(ev) }

// keep returns the events for which keep holds.
func keep(all []event.Event, keep func(*event.Event) bool) []event.Event {
	return slices.DeleteFunc(slices.Clone(all), func(ev event.Event) bool { return !keep(&ev) })
}

// What is known of the logs decides how much an absence says.
func TestWhatAnAbsenceSays(t *testing.T) {
	t.Parallel()
	all := events()
	signIns := func(ev *event.Event) bool { return ev.Kind == event.SignIn }
	for name, c := range map[string]struct {
		events  []event.Event
		prepare func(*issuance.Collector)
		options func(*issuance.Options)
		want    rule.Strength
		missing string
		fact    string
	}{
		"all in hand":               {want: rule.Strong},
		"no sign-ins at all":        {events: keep(all, func(ev *event.Event) bool { return !signIns(ev) }), missing: "sign-in logs of the tenant"},
		"only those of AD FS":       {events: renamed(all, "ADFSSignInLogs"), missing: "sign-in logs of the tenant"},
		"only those of programs":    {events: renamed(all, "ServicePrincipalSignInLogs"), missing: "sign-in logs of the tenant"},
		"the logs end before":       {events: keep(all, func(ev *event.Event) bool { return !signIns(ev) || ev.Time.V.Before(end.Add(-50*time.Hour)) }), missing: "sign-in logs of the time of issue"},
		"the logs begin behind":     {events: keep(all, func(ev *event.Event) bool { return !signIns(ev) || ev.Time.V.After(end.Add(-40*time.Hour)) }), missing: "sign-in logs of the time of issue"},
		"two weeks are not in hand": {events: keep(all, func(ev *event.Event) bool { return ev.Time.V.After(end.AddDate(0, 0, -10)) }), want: rule.Moderate, fact: "the sign-in logs reach over"},
		"few tokens":                {events: keep(all, few(strongApp, 300)), want: rule.Moderate, fact: "fewer than 600 tokens"},
		"too few tokens":            {events: keep(all, few(strongApp, 40)), missing: "client applications whose tokens find their sign-in"},
		"a gap of the source": {prepare: func(c *issuance.Collector) {
			c.Gap(issuance.Span{From: end.Add(-49 * time.Hour), To: end.Add(-47 * time.Hour)}, "retention")
		}, missing: "sign-in logs of the time of issue"},
		"a gap of the source elsewhere":  {prepare: func(c *issuance.Collector) { c.Gap(issuance.Span{From: begin, To: begin.Add(time.Hour)}, "retention") }, want: rule.Strong},
		"a gap of nobody knows when":     {prepare: func(c *issuance.Collector) { c.Gap(issuance.Span{}, "a.json: permission denied") }, want: rule.Moderate, fact: "permission denied"},
		"records that cannot be read":    {prepare: func(c *issuance.Collector) { c.Unreadable(3) }, want: rule.Moderate, fact: "3 records beside the sign-ins could not be read"},
		"read within a day":              {options: func(o *issuance.Options) { o.ReadAt = end.Add(-30 * time.Hour) }, want: rule.Moderate, fact: "less than a day"},
		"read at once":                   {options: func(o *issuance.Options) { o.ReadAt = end.Add(-45 * time.Hour) }, missing: "sign-in logs that may still arrive"},
		"tokens of many without sign-in": {events: slices.Concat(all, many(5)), want: rule.Moderate, fact: "of that hour have no sign-in"},
		"many tokens of the user":        {events: slices.Concat(all, campaign(400)), want: rule.Strong},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options()
			if c.options != nil {
				c.options(&o)
			}
			logs := c.events
			if logs == nil {
				logs = all
			}
			collector := issuance.New(o)
			if c.prepare != nil {
				c.prepare(collector)
			}
			for i := range logs {
				if err := collector.Observe(&logs[i]); err != nil {
					t.Fatal(err)
				}
			}
			ev := orphan(1000)
			v := never(collector.Ledger(), &ev)
			if c.missing != "" {
				if v.Truth != rule.Unknown || !slices.Contains(v.Missing, "issuance:"+c.missing) {
					t.Errorf("%v, missing %v", v.Truth, v.Missing)
				}
				return
			}
			if v.Truth != rule.True || v.Strength != c.want {
				t.Fatalf("%v %v, missing %v", v.Truth, v.Strength, v.Missing)
			}
			if text := fmt.Sprint(v.Facts); !strings.Contains(text, c.fact) {
				t.Errorf("no %q in %s", c.fact, text)
			}
		})
	}
}

func renamed(all []event.Event, category string) []event.Event {
	out := slices.Clone(all)
	for i := range out {
		if out[i].Kind == event.SignIn {
			out[i].Category = category
		}
	}
	return out
}

// few leaves an application so many uses a log, the first ones of the last fortnight.
func few(app string, n int) func(*event.Event) bool {
	left := map[event.Kind]int{}
	return func(ev *event.Event) bool {
		if ev.Kind == event.SignIn || ev.App.ID.V != app {
			return true
		}
		if ev.Time.V.Before(begin.Add(72 * time.Hour)) {
			return false
		}
		left[ev.Kind]++
		return left[ev.Kind] <= n
	}
}

// many are orphans of so many users in the hour of the orphan.
func many(users int) []event.Event {
	var out []event.Event
	for n := range users {
		ev := orphan(2001 + n)
		ev.Token.ObjectID = event.Of(user(n))
		out = append(out, ev)
	}
	return out
}

// campaign are orphans of one user, the orphan's, over two weeks.
func campaign(tokens int) []event.Event {
	var out []event.Event
	for n := range tokens {
		ev := orphan(3000 + n)
		ev.Token.ObjectID = event.Of(user(1000))
		ev.Time = event.Of(ev.Time.V.Add(-time.Duration(n) * 40 * time.Minute))
		ev.Token.IssuedAt = event.Of(ev.Token.IssuedAt.V.Add(-time.Duration(n) * 40 * time.Minute))
		out = append(out, ev)
	}
	return out
}

// More token ids than there is memory for are an error, and repeated ones take none.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	o := options()
	o.Memory = 4 << 20
	c := issuance.New(o)
	for range 400_000 {
		ev := signIn(7, end.Add(-time.Hour))
		if err := c.Observe(&ev); err != nil {
			t.Fatal(err)
		}
	}
	held := 0
	for n := 0; ; n++ {
		ev := signIn(n, end.Add(-time.Hour))
		ev.Token.ID = event.Of(fmt.Sprintf("%08x-1111-4222-%04x-444455556600", n*2654435761&0xffffffff, n&0xffff))
		ev.SignIn.RequestID = ev.Token.ID
		ev.Token.SessionID = event.Text{}
		if err := c.Observe(&ev); err != nil {
			if !errors.Is(err, issuance.ErrFull) {
				t.Fatal(err)
			}
			break
		}
		held++
	}
	perGB := float64(held) / 4 * 1024
	t.Logf("a gigabyte holds %.1f million sign-ins", perGB/1e6)
	if perGB < 8e6 {
		t.Error("a gigabyte holds fewer than 8 million sign-ins")
	}
}

// Whatever the texts of an event are, it is counted and judged without a panic, and one that was issued is no orphan.
func FuzzUse(f *testing.F) {
	for _, s := range []string{"", id(1), "xMFjTVvJPE2OChJx_YE-AA", "OTMzZjIwYzAtZWZkZi00NzdmLTk1ODYtZTVjYzU2NmQyZTAw", "AAAAAAAAAAAAAAAAAAAAAA==", "\xff\xfe"} {
		f.Add(s, tenant, strongApp, user(1), session(1), "Exchange", int64(1772323200), int64(50), uint8(2))
	}
	f.Fuzz(func(t *testing.T, token, tid, app, oid, sid, source string, at, recordType int64, kind uint8) {
		when := time.Unix(at, 0)
		use := event.Event{
			Kind: event.Kinds()[int(kind)%len(event.Kinds())], Category: source, Tenant: tid, Time: event.Of(when), App: event.App{ID: event.Of(app)},
			Audit: event.AuditFacts{Workload: event.Of(source), RecordType: event.Of(recordType), UserType: event.Of(recordType % 11)},
			Token: event.Token{Tenant: event.Of(tid), ObjectID: event.Of(oid), ID: event.Of(token), SessionID: event.Of(sid), IssuedAt: event.Of(when.Add(-time.Hour))},
		}
		issued := signIn(1, when.Add(-time.Hour))
		issued.Token.ID, issued.Tenant = event.Of(token), tid
		o := issuance.Options{From: when.Add(-time.Hour), To: when.Add(time.Hour), ReadAt: when.AddDate(0, 0, 2), Memory: 1 << 20}
		c := issuance.New(o)
		for _, ev := range []*event.Event{&use, &issued, &use} {
			if err := c.Observe(ev); err != nil {
				t.Fatal(err)
			}
		}
		l := c.Ledger()
		l.Summary(nil)
		for _, r := range issuance.Rules(l) {
			if v := r.Verdict(&use); v.Truth == rule.True {
				t.Errorf("%s on two records: %v", r.ID, v.Facts)
			}
		}
	})
}

package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

const (
	tenantA = "11111111-2222-4333-8444-555555555555"
	tenantB = "99999999-2222-4333-8444-555555555555"
)

// noon is when the day of most findings has its middle.
var noon = time.Date(2025, 3, 14, 12, 0, 0, 0, time.UTC)

// sighting is what a finding is made of.
type sighting struct {
	rule    rule.Rule
	verdict rule.Verdict
	event   event.Event
	from    alert.Evidence
}

type variation func(*sighting)

func key(k string) variation      { return func(s *sighting) { s.verdict.Key = k } }
func tenant(t string) variation   { return func(s *sighting) { s.event.Tenant = t } }
func ruleID(id string) variation  { return func(s *sighting) { s.rule.ID = id } }
func at(t time.Time) variation    { return func(s *sighting) { s.event.Time = event.Of(t) } }
func evidence(r string) variation { return func(s *sighting) { s.from.Record = r } }
func place(p string) variation    { return func(s *sighting) { s.from.Place = p } }
func subjectName(n string) variation {
	return func(s *sighting) {
		s.event.Actor.Name, s.event.Actor.ObjectID, s.event.App.Name = event.Of(n), event.Of(n), event.Of(n)
		s.event.App.ID, s.event.Token.ID, s.event.Token.SessionID = event.Of(n), event.Of(n), event.Of(n)
		s.event.Category = n
		for i := range s.verdict.Facts {
			s.verdict.Facts[i].Value, s.verdict.Facts[i].Operand = n, n
		}
	}
}

func grade(st rule.Stage, sev rule.Severity, str rule.Strength) variation {
	return func(s *sighting) { s.verdict.Stage, s.verdict.Severity, s.verdict.Strength = st, sev, str }
}

// finding returns the finding of event i: equal numbers are the same event, and greater ones happened later.
func finding(i int, vary ...variation) alert.Finding {
	s := sighting{
		rule: rule.Rule{ID: "test-rule", Title: "A rule of the suite", Version: 2, Key: rule.Key{Name: "app"}},
		verdict: rule.Verdict{
			Truth: rule.True, Key: "app-1", Stage: rule.Enabled, Severity: rule.High, Strength: rule.Strong,
			Leg: &rule.Leg{ID: "only", Why: "it was made to be."},
			Facts: []rule.Fact{
				{Field: "app.id", Value: fmt.Sprintf("app <%d>", i), Op: "is", Operand: "app", Truth: rule.True},
				{Field: "token.iss", Value: "(absent)", Op: "is", Operand: "x", Truth: rule.Unknown},
			},
		},
		event: event.Event{Kind: event.SignIn, Category: "SignInLogs", Tenant: tenantA, Time: event.Of(noon.Add(time.Duration(i) * time.Second))},
		from:  alert.Evidence{Record: fmt.Sprintf(`{"id": %d, "html": "<b>&"}`, i), Place: fmt.Sprintf("log.json:%d", i+1)},
	}
	s.event.Actor.Name = event.Of("ana@example.com")
	s.event.Net.IP = event.Of(netip.MustParseAddr("192.0.2.7"))
	for _, v := range vary {
		v(&s)
	}
	s.verdict.Rule = &s.rule
	s.event.ID = event.ID(fmt.Sprintf("signin|%s|%d", s.event.Tenant, i))
	return alert.NewFinding(&s.verdict, &s.event, s.from, alert.Provenance{Run: "run-1", Assay: "v0", Reference: "r0"})
}

func findings(n int) []alert.Finding {
	var out []alert.Finding
	for i := range n {
		out = append(out, finding(i))
	}
	return out
}

// varied returns n findings of one alert in the order of time, of all grades, some at the same instant.
func varied(r *rand.Rand, n int, k string) []alert.Finding {
	var out []alert.Finding
	for i := range n {
		out = append(out, finding(i, key(k), at(noon.Add(time.Duration(i/3)*time.Second)),
			grade(one(r, rule.Observe, rule.Enabled), one(r, rule.Severities()...), one(r, rule.Weak, rule.Moderate, rule.Strong))))
	}
	return out
}

func one[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// seeded returns numbers that are the same in every run.
func seeded(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // tests need repeatable numbers, not secret ones
}

func shuffle(r *rand.Rand, fs []alert.Finding) {
	r.Shuffle(len(fs), func(i, j int) { fs[i], fs[j] = fs[j], fs[i] })
}

// merged returns the alert of the findings as package alert makes it.
func merged(fs []alert.Finding) alert.Alert {
	a := alert.New(&fs[0])
	for i := range fs {
		a.Add(&fs[i])
	}
	a.Count = int64(len(fs))
	return a
}

// countdown is a context that is cancelled when it has been looked at so many times.
type countdown struct {
	context.Context
	cancel context.CancelFunc
	mu     sync.Mutex
	left   int
}

func endingAfter(parent context.Context, looks int) context.Context {
	ctx, cancel := context.WithCancel(parent)
	return &countdown{Context: ctx, cancel: cancel, left: looks}
}

func (c *countdown) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left < 0 {
		c.cancel()
	}
}

// Done counts as a look.
func (c *countdown) Done() <-chan struct{} {
	c.look()
	return c.Context.Done()
}

// Err counts as a look.
func (c *countdown) Err() error {
	c.look()
	return c.Context.Err()
}

package issuance_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/casefile"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/issuance"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// The state of the cases: eighteen days with a sign-in each five minutes, alternately of two client applications whose
// tokens open mail, call Microsoft Graph and come to a gateway. Of the second one's tokens a thirtieth has no sign-in, and
// another thirtieth one that says something else. A third application never has sign-ins. The logs are silent for two hours.
const (
	tenant    = "3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11"
	partner   = "5d1f7e20-93ab-4c6e-8f04-1b2c3d4e5f60"
	strongApp = "27922004-5251-4030-b22d-91ecd9a37ea4"
	mostApp   = "9199bf20-a13f-4107-85dc-02114787ef48"
	neverApp  = "66a88757-258c-4c72-893c-3e8bed4d6899"
)

var (
	begin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	end   = begin.AddDate(0, 0, 18)
	quiet = issuance.Span{From: time.Date(2026, 3, 16, 12, 0, 0, 0, time.UTC), To: time.Date(2026, 3, 16, 14, 0, 0, 0, time.UTC)}
)

func options() issuance.Options {
	return issuance.Options{From: end.AddDate(0, 0, -3), To: end, Baseline: begin.Add(36 * time.Hour), ReadAt: end.Add(time.Hour)}
}

func id(n int) string      { return fmt.Sprintf("%08x-1111-4222-8333-444455556600", n) }
func session(n int) string { return fmt.Sprintf("%08x-5555-4666-8777-88889999aaaa", n) }
func user(n int) string    { return fmt.Sprintf("000000%02x-aaaa-4bbb-8ccc-ddddeeeeffff", n%20) }

func signIn(n int, at time.Time) event.Event {
	app := strongApp
	if n%2 == 1 && n%33 != 0 {
		app = mostApp
	}
	return event.Event{
		Kind: event.SignIn, Category: "NonInteractiveUserSignInLogs", Tenant: tenant, Time: event.Of(at),
		Actor: event.Actor{ObjectID: event.Of(user(n))}, App: event.App{ID: event.Of(app)},
		Token:  event.Token{ID: event.Of(id(n)), SessionID: event.Of(session(n))},
		SignIn: event.SignInFacts{RequestID: event.Of(id(n)), ErrorCode: event.Of(int64(0))},
	}
}

func mail(n int, app string, at time.Time) event.Event {
	return event.Event{
		Kind: event.Audit, Category: "Exchange", Tenant: tenant, Time: event.Of(at.Add(30 * time.Minute)), App: event.App{ID: event.Of(app)},
		Audit: event.AuditFacts{Workload: event.Of("Exchange"), RecordType: event.Of(int64(50)), UserType: event.Of(int64(0))},
		Token: event.Token{Tenant: event.Of(tenant), ObjectID: event.Of(user(n)), ID: event.Of(id(n)), SessionID: event.Of(session(n)), IssuedAt: event.Of(at.Add(-5 * time.Minute))},
	}
}

// events are those of the state, in their order.
func events() []event.Event {
	var out []event.Event
	for n, at := 0, begin; at.Before(end); n, at = n+1, at.Add(5*time.Minute) {
		if n%66 != 35 && (at.Before(quiet.From) || !at.Before(quiet.To)) {
			out = append(out, signIn(n, at))
		}
		if n%10 == 0 {
			never := mail(n, neverApp, at)
			never.Token.ID = event.Of(fmt.Sprintf("%08x-3333-4222-8333-444455556600", n))
			never.Token.SessionID = event.Of(fmt.Sprintf("%08x-3333-4666-8777-88889999aaaa", n))
			out = append(out, never)
		}
		if n%2 == 1 {
			m := mail(n, mostApp, at)
			if n%33 == 0 {
				m.Time = event.Of(at.Add(-20 * time.Minute))
				m.Token.Tenant, m.Token.ObjectID = event.Of(partner), event.Of("000000dd-aaaa-4bbb-8ccc-ddddeeeeffff")
				m.Token.SessionID, m.Token.IssuedAt = event.Of(session(n+1)), event.Of(at.Add(-2*time.Hour))
			}
			out = append(out, m, m)
			continue
		}
		m := mail(n, strongApp, at)
		graph := m
		graph.Kind, graph.Category, graph.Audit = event.GraphActivity, "MicrosoftGraphActivityLogs", event.AuditFacts{}
		graph.Token.Tenant, graph.Token.Type = event.Text{}, event.Of("user")
		gateway := m
		gateway.Kind, gateway.Category, gateway.Audit = event.TokenObserved, "token-observation", event.AuditFacts{}
		gateway.Token.Type, gateway.Observed = event.Of("user"), event.ObservedFacts{Observer: event.Of("apim-prod"), Result: event.Of("accepted")}
		out = append(out, m, graph, gateway)
	}
	failed := signIn(0, end.Add(-36*time.Hour))
	failed.Token.ID, failed.SignIn.RequestID = event.Of("deadbeef-1111-4222-8333-444455556600"), event.Of("deadbeef-1111-4222-8333-444455556600")
	failed.SignIn.ErrorCode = event.Of(int64(50126))
	return append(out, failed)
}

func ledger(t testing.TB, all []event.Event, o issuance.Options) *issuance.Ledger {
	t.Helper()
	c := issuance.New(o)
	for i := range all {
		if err := c.Observe(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return c.Ledger()
}

func TestCases(t *testing.T) {
	t.Parallel()
	files, err := casefile.Read(os.DirFS("cases"))
	if err != nil {
		t.Fatal(err)
	}
	rules := issuance.Rules(ledger(t, events(), options()))
	run := &casefile.Runner{Decoder: decode.Scanner{}, Rules: func(*reference.Data) ([]*rule.Rule, error) { return rules, nil }}
	seen := map[string]map[string]bool{}
	for _, f := range files {
		seen[f.Rule] = map[string]bool{}
		for _, res := range run.Run(f) {
			if res.Err != nil {
				t.Error(res.Err)
			}
			seen[f.Rule][string(res.Case.Want)+res.Case.Leg] = true
			if res.Verdict.Truth == rule.True && len(res.Verdict.Facts) < 2 {
				t.Errorf("%s: %s: does not say what it stands on: %v", f.Rule, res.Case.Name, res.Verdict.Facts)
			}
		}
	}
	for _, r := range rules {
		for _, l := range r.Legs {
			if !seen[r.ID]["match"+l.ID] {
				t.Errorf("%s: no case fires the leg %s", r.ID, l.ID)
			}
		}
		if !seen[r.ID]["no-match"] || !seen[r.ID]["not-evaluable"] {
			t.Errorf("%s: lacks a case of no-match or not-evaluable", r.ID)
		}
	}
}

// Without a ledger nothing can be said, and nothing is.
func TestNoLedger(t *testing.T) {
	t.Parallel()
	orphan := mail(3, strongApp, end.AddDate(0, 0, -2))
	for _, r := range issuance.Rules(nil) {
		if v := r.Verdict(&orphan); v.Truth != rule.Unknown || !slices.Contains(v.Missing, "issuance:ledger") {
			t.Errorf("%s: %v, missing %v", r.ID, v.Truth, v.Missing)
		}
	}
	if _, err := rule.NewEngine(issuance.Rules(nil)); err != nil {
		t.Error(err)
	}
}

// The ledger is the same whatever the order of the events, however often each is seen, and however many see them at once.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	all := events()
	want := ledger(t, all, options())
	digest, rules := want.Digest(), issuance.Rules(want)
	for seed := range uint64(2) {
		mixed := slices.Concat(all, all[:len(all)/3])
		rnd := rand.New(rand.NewPCG(seed, 1))
		rnd.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		c := issuance.New(options())
		var wg sync.WaitGroup
		for part := range slices.Chunk(mixed, len(mixed)/5+1) {
			wg.Go(func() {
				for i := range part {
					if err := c.Observe(&part[i]); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		got := c.Ledger()
		if got.Digest() != digest {
			t.Fatalf("seed %d: the ledger differs:\n%+v\nwant\n%+v", seed, got.Summary(nil), want.Summary(nil))
		}
		for j, r := range issuance.Rules(got) {
			for i := j; i < len(all); i += 97 {
				a, b := r.Verdict(&all[i]), rules[j].Verdict(&all[i])
				if a.Truth != b.Truth || a.Strength != b.Strength || fmt.Sprint(a.Facts) != fmt.Sprint(b.Facts) {
					t.Fatalf("seed %d, event %d, %s: %v %v, want %v %v", seed, i, r.ID, a.Truth, a.Facts, b.Truth, b.Facts)
				}
			}
		}
	}
}

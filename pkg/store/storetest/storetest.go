// Package storetest is the conformance suite of store.Store. An implementation passes it or is none:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store { … })
//	}
//
// It asks for what the contract promises and no more: where a store that is shared by many may give up and ask to be
// called again, the suite calls it again. It sleeps nowhere.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

// Run runs the suite. open returns an empty store, another one at each call; the suite closes it. It fails the test itself
// if it cannot.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, s store.Store)
	}{
		{"creates an alert", creates},
		{"knows a finding again", knowsAgain},
		{"counts the findings of a run", countsByRun},
		{"tells known from new", tellsKnownFromNew},
		{"refuses findings of several alerts", refusesMixedGroups},
		{"takes many findings at once", takesMany},
		{"takes much evidence at once", takesMuch},
		{"keeps evidence of the first findings only", keepsFirstEvidence},
		{"agrees with itself when a call is broken off", survivesBreakingOff},
		{"escalates", escalates},
		{"does not mind the order", doesNotMindOrder},
		{"reopens by verdict", reopensByVerdict},
		{"keeps what is an analyst's", keepsMarks},
		{"updates nothing but marks", updatesOnlyMarks},
		{"leaves an alert that a change refuses", leavesRefused},
		{"loses no concurrent update", losesNoUpdate},
		{"counts exactly under concurrency", countsExactly},
		{"marks what continues", marksContinuing},
		{"keeps tenants apart", keepsTenantsApart},
		{"lists alerts in order", listsInOrder},
		{"selects alerts", selects},
		{"selects alerts by the time of their findings", selectsByTime},
		{"finds related alerts", findsRelated},
		{"serves callers in the middle of a list", servesInTheMiddle},
		{"lists findings in order", listsFindings},
		{"keeps suppressions", keepsSuppressions},
		{"sets aside once", setsAsideOnce},
		{"says what it does not have", saysNotFound},
		{"obeys its context", obeysContext},
		{"keeps hostile texts", keepsHostileTexts},
		{"is unavailable once closed", unavailableOnceClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			c.test(t, s)
		})
	}
}

func creates(t *testing.T, s store.Store) {
	fs := findings(3)
	out := record(t, s, fs)
	want(t, out, 3, 0, "created")
	a := &out.Alert
	if a.ID != fs[0].AlertID || a.Tenant != tenantA || a.Count != 3 || a.Status != alert.Open || a.Key != "app-1" ||
		!a.First.Equal(fs[0].At) || !a.Last.Equal(fs[2].At) || a.Severity != rule.High || len(a.Places) != 3 {
		t.Errorf("the alert is not of its findings: %s", text(a))
	}
	same(t, "the alert that is read", get(t, s, a.ID), *a)
	same(t, "the alert", *a, merged(fs))
}

func knowsAgain(t *testing.T, s store.Store) {
	fs := findings(5)
	first := record(t, s, fs)
	before := list(t, s.Findings(t.Context(), tenantA, fs[0].AlertID))
	for i := range fs {
		fs[i].Place = "another feed" // the same event, met elsewhere
		fs[i].From.Run = "later"
	}
	again := record(t, s, fs)
	want(t, again, 0, 5, "")
	same(t, "the alert after the second time", again.Alert, first.Alert)
	same(t, "the alert that is read", get(t, s, fs[0].AlertID), first.Alert)
	same(t, "the findings", list(t, s.Findings(t.Context(), tenantA, fs[0].AlertID)), before)
}

func countsByRun(t *testing.T, s store.Store) {
	fs := findings(alert.MaxEvidenced + 200) // some are claims
	for i := range fs {
		if fs[i].From.Run = "run-1"; i >= 30 {
			fs[i].From.Run = "run-2"
		}
	}
	record(t, s, fs[:40])
	record(t, s, fs)
	other := finding(0, key("app-2"))
	other.From.Run = "run-1"
	record(t, s, []alert.Finding{other})
	for run, want := range map[string]int64{"run-1": 30, "run-2": int64(len(fs)) - 30, "run-3": 0} {
		if n, err := s.CountFindings(t.Context(), tenantA, fs[0].AlertID, run); err != nil || n != want {
			t.Errorf("%s has made %d findings (%v), want %d", run, n, err, want)
		}
	}
	if n, err := s.CountFindings(t.Context(), tenantB, fs[0].AlertID, "run-1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of another tenant: %d, %v", n, err)
	}
}

func tellsKnownFromNew(t *testing.T, s store.Store) {
	fs := findings(10)
	want(t, record(t, s, fs[2:6]), 4, 0, "created")
	want(t, record(t, s, fs[:8]), 4, 4, "")
	// A finding that is in one call twice is known the second time.
	want(t, record(t, s, []alert.Finding{fs[8], fs[9], fs[8], fs[8], fs[0]}), 2, 3, "")
	same(t, "the alert", get(t, s, fs[0].AlertID), merged(fs))
	if n := len(list(t, s.Findings(t.Context(), "", fs[0].AlertID))); n != 10 {
		t.Errorf("%d findings, want 10", n)
	}
}

func refusesMixedGroups(t *testing.T, s store.Store) {
	a, b := finding(0), finding(1, key("app-2"))
	for _, fs := range [][]alert.Finding{nil, {}, {a, b}, {{ID: "x"}}} {
		if _, err := s.Record(t.Context(), fs); !errors.Is(err, store.ErrGroup) {
			t.Errorf("%d findings: got %v, want ErrGroup", len(fs), err)
		}
	}
	for _, id := range []alert.ID{a.AlertID, b.AlertID} {
		if _, err := s.Alert(t.Context(), "", id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a refused group left an alert behind: %v", err)
		}
	}
}

// takesMany records more than a transaction of any kind holds at once.
func takesMany(t *testing.T, s store.Store) {
	fs := findings(1203)
	out := record(t, s, fs)
	if out.New != len(fs) || out.Known != 0 {
		t.Errorf("%d new, %d known, want %d and none", out.New, out.Known, len(fs))
	}
	same(t, "the alert", out.Alert, merged(fs))
	out = record(t, s, append(findings(1203), finding(1203)))
	if out.New != 1 || out.Known != 1203 || out.Alert.Count != 1204 {
		t.Errorf("%d new, %d known of %d, want 1, 1203 of 1204", out.New, out.Known, out.Alert.Count)
	}
	if n := len(list(t, s.Findings(t.Context(), tenantA, fs[0].AlertID))); n != 1204 {
		t.Errorf("%d findings, want 1204", n)
	}
}

// takesMuch records two megabytes of evidence at once.
func takesMuch(t *testing.T, s store.Store) {
	var fs []alert.Finding
	for i := range 150 {
		fs = append(fs, finding(i, evidence(fmt.Sprintf(`{"i":%d,"pad":%q}`, i, strings.Repeat("x", 14<<10)))))
	}
	want(t, record(t, s, fs), 150, 0, "created")
	for i, f := range list(t, s.Findings(t.Context(), tenantA, fs[0].AlertID))[:alert.MaxEvidenced] {
		same(t, "a finding with much evidence", f, fs[i])
	}
}

func keepsFirstEvidence(t *testing.T, s store.Store) {
	// They come against the order of time, in three calls, with some known among them.
	fs := findings(50)
	slices.Reverse(fs)
	record(t, s, fs[:7])
	record(t, s, fs[3:19])
	record(t, s, fs)
	got := list(t, s.Findings(t.Context(), tenantA, fs[0].AlertID))
	if len(got) != 50 {
		t.Fatalf("%d findings, want 50", len(got))
	}
	slices.Reverse(got)
	for i := range got {
		if i < alert.MaxEvidenced {
			same(t, fmt.Sprintf("finding %d with its evidence", i), got[i], fs[i])
		} else {
			same(t, fmt.Sprintf("finding %d, a claim,", i), got[i], fs[i].Claim())
		}
	}
}

// keepsSuppressions holds findings that page nobody to their word: with their evidence, as claims, and in their alert, which
// pages as soon as one is among them that is not suppressed.
func keepsSuppressions(t *testing.T, s store.Store) {
	fs := findings(alert.MaxEvidenced + 3)
	quiet := fs[:len(fs)-1]
	for i := range quiet {
		quiet[i].Suppress(&alert.Suppression{Name: "crm", Reason: "it moves", Owner: "kim", Expires: "2025-03-31"})
	}
	out := record(t, s, quiet)
	if out.Alert.Stage != rule.Observe || out.Alert.Suppressed == nil || out.Alert.Suppressed.Reason != "it moves" {
		t.Errorf("the alert of suppressed findings is %s", text(&out.Alert))
	}
	for i, f := range list(t, s.Findings(t.Context(), tenantA, fs[0].AlertID)) {
		want := fs[i]
		if i >= alert.MaxEvidenced {
			want = want.Claim()
		}
		same(t, fmt.Sprintf("the suppressed finding %d", i), f, want)
	}
	if got := list(t, s.Alerts(t.Context(), store.Query{MinStage: rule.Enabled})); len(got) != 0 {
		t.Errorf("%d suppressed alerts are among those that page", len(got))
	}
	out = record(t, s, fs)
	if out.New != 1 || !out.Escalated || out.Alert.Stage != rule.Enabled || out.Alert.Suppressed != nil {
		t.Errorf("with a finding that is not suppressed: %+v", out)
	}
	same(t, "the alert", get(t, s, fs[0].AlertID), merged(fs))
}

// survivesBreakingOff ends the context at every point at which the implementation looks at it.
func survivesBreakingOff(t *testing.T, s store.Store) {
	all := findings(60)
	id := all[0].AlertID
	stored := 0
	for looks := range 40 {
		fs := all[stored : stored+20]
		_, err := s.Record(endingAfter(t.Context(), looks), fs)
		got := list(t, s.Findings(t.Context(), tenantA, id), store.ErrNotFound)
		switch {
		case len(got) == stored+len(fs):
			stored = len(got)
		case len(got) != stored:
			t.Fatalf("ended after %d looks: %d of %d findings are there", looks, len(got)-stored, len(fs))
		case err == nil:
			t.Fatalf("ended after %d looks: no error, but nothing is there", looks)
		}
		if stored > 0 {
			same(t, fmt.Sprintf("ended after %d looks: the alert", looks), get(t, s, id), merged(all[:stored]))
		}
		if stored+20 > len(all) {
			break
		}
	}
	record(t, s, all)
	same(t, "the alert in the end", get(t, s, id), merged(all))
}

func escalates(t *testing.T, s store.Store) {
	for _, step := range []struct {
		name     string
		severity rule.Severity
		stage    rule.Stage
		want     string
	}{
		{"the first", rule.Low, rule.Observe, "created"},
		{"as grave", rule.Low, rule.Observe, ""},
		{"severer", rule.Critical, rule.Observe, "escalated"},
		{"less severe", rule.Low, rule.Observe, ""},
		{"of a higher stage, though less severe", rule.Medium, rule.Enabled, "escalated"},
		{"severer, but of a lower stage", rule.High, rule.Observe, ""},
		{"severer than any of the higher stage", rule.High, rule.Enabled, "escalated"},
	} {
		i := int(alertCount(t, s))
		f := finding(i, grade(step.stage, step.severity, rule.Moderate))
		out := record(t, s, []alert.Finding{f})
		want(t, out, 1, 0, step.want)
		if step.want == "escalated" && (out.Alert.Severity != step.severity || out.Alert.Lead.Finding != f.ID) {
			t.Errorf("%s: it does not lead: %s", step.name, text(out.Alert))
		}
		if again := record(t, s, []alert.Finding{f}); again.Escalated || again.Alert.Revision != out.Alert.Revision {
			t.Errorf("%s: it escalates again when it is known", step.name)
		}
	}
}

// alertCount returns the count of the only alert, or 0.
func alertCount(t *testing.T, s store.Store) int64 {
	t.Helper()
	for _, a := range list(t, s.Alerts(t.Context(), store.Query{})) {
		return a.Count
	}
	return 0
}

func doesNotMindOrder(t *testing.T, s store.Store) {
	r := seeded(3)
	for round := range 6 {
		fs := varied(r, 70, fmt.Sprintf("app-%d", round))
		expect := merged(fs)
		shuffle(r, fs)
		for rest := fs; len(rest) > 0; {
			n := min(1+r.IntN(30), len(rest))
			record(t, s, rest[:n])
			if r.IntN(2) == 0 {
				record(t, s, fs[:r.IntN(len(fs)-len(rest)+n)+1])
			}
			rest = rest[n:]
		}
		same(t, "the alert", get(t, s, expect.ID), expect)
	}
}

func reopensByVerdict(t *testing.T, s store.Store) {
	for i, c := range []struct {
		status  alert.Status
		verdict alert.Verdict
		reopens bool
	}{
		{alert.Closed, alert.NoVerdict, true},
		{alert.Closed, alert.TruePositive, true},
		{alert.Closed, alert.FalsePositive, false},
		{alert.Closed, alert.Benign, false},
		{alert.Acknowledged, alert.NoVerdict, false},
	} {
		k := key(fmt.Sprintf("app-%d", i))
		f := finding(0, k)
		record(t, s, []alert.Finding{f})
		marked := mark(t, s, f.AlertID, alert.Change{At: noon, By: "ana", Status: c.status, Verdict: c.verdict, Note: "seen"})
		if known := record(t, s, []alert.Finding{f}); known.Reopened {
			t.Errorf("%s %s: a known finding reopened it", c.status, c.verdict)
		}
		same(t, "the alert after a known finding", get(t, s, f.AlertID), marked)

		out := record(t, s, []alert.Finding{finding(1, k)})
		a := get(t, s, f.AlertID)
		same(t, "the alert that is read", a, out.Alert)
		if out.Reopened != c.reopens || a.Count != 2 {
			t.Errorf("%s %s: reopened %v, count %d", c.status, c.verdict, out.Reopened, a.Count)
		}
		if !c.reopens {
			if a.Status != c.status || a.Verdict != c.verdict || a.Revision != marked.Revision || len(a.History) != 1 {
				t.Errorf("%s %s: a new finding changed what is the analyst's: %s", c.status, c.verdict, text(a))
			}
			continue
		}
		if a.Status != alert.Open || a.Verdict != alert.NoVerdict || a.Revision <= marked.Revision || len(a.History) != 2 {
			t.Errorf("%s %s: it is not open again: %s", c.status, c.verdict, text(a))
			continue
		}
		if h := a.History[1]; h.By != alert.Assay || h.Status != alert.Open || !h.At.After(noon) || h.At.Location() != time.UTC {
			t.Errorf("%s %s: the history does not tell: %s", c.status, c.verdict, text(h))
		}
	}
}

func keepsMarks(t *testing.T, s store.Store) {
	f := finding(0, grade(rule.Enabled, rule.Low, rule.Weak))
	record(t, s, []alert.Finding{f})
	marked := mark(t, s, f.AlertID, alert.Change{At: noon, By: "ana", Status: alert.Acknowledged, Note: "on it"})
	out := record(t, s, []alert.Finding{finding(1, grade(rule.Enabled, rule.Critical, rule.Strong))})
	want(t, out, 1, 0, "escalated")
	if a := out.Alert; a.Status != alert.Acknowledged || text(a.History) != text(marked.History) {
		t.Errorf("the marks are lost: %s", text(a))
	}
	same(t, "the alert that is read", get(t, s, f.AlertID), out.Alert)
}

func updatesOnlyMarks(t *testing.T, s store.Store) {
	fs := findings(3)
	before := record(t, s, fs).Alert
	after, err := s.Update(t.Context(), tenantA, before.ID, func(a *alert.Alert) error {
		same(t, "the alert that is handed to a change", *a, before)
		a.Count, a.Severity, a.Tenant, a.Key, a.ID = 99, rule.Critical, tenantB, "another", "20250101-x"
		a.Places, a.Facts, a.Lead.Place = nil, nil, "nowhere"
		return a.Mark(alert.Change{At: noon, By: "ana", Status: alert.Closed, Verdict: alert.TruePositive})
	})
	if err != nil {
		t.Fatal(err)
	}
	expect := before
	if err := expect.Mark(alert.Change{At: noon, By: "ana", Status: alert.Closed, Verdict: alert.TruePositive}); err != nil {
		t.Fatal(err)
	}
	same(t, "the alert", after, expect)
	same(t, "the alert that is read", get(t, s, before.ID), expect)
	for status, n := range map[alert.Status]int{alert.Open: 0, alert.Closed: 1} {
		if got := list(t, s.Alerts(t.Context(), store.Query{Statuses: []alert.Status{status}})); len(got) != n {
			t.Errorf("%d alerts are %s, want %d", len(got), status, n)
		}
	}
}

func leavesRefused(t *testing.T, s store.Store) {
	before := record(t, s, findings(2)).Alert
	refusal := errors.New("no")
	_, err := s.Update(t.Context(), tenantA, before.ID, func(a *alert.Alert) error {
		a.Status = alert.Closed
		return refusal
	})
	if err != refusal { //nolint:errorlint // as it is
		t.Errorf("got %v, want the change's own error", err)
	}
	same(t, "the alert", get(t, s, before.ID), before)
	for _, who := range []struct {
		tenant string
		id     alert.ID
	}{{tenantB, before.ID}, {tenantA, "20250101-none"}, {"", ""}} {
		_, err := s.Update(t.Context(), who.tenant, who.id, func(*alert.Alert) error {
			t.Error("an alert that is not there was handed to a change")
			return nil
		})
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of %q: got %v, want ErrNotFound", who.id, who.tenant, err)
		}
	}
}

// losesNoUpdate has analysts and findings at one alert at once.
func losesNoUpdate(t *testing.T, s store.Store) {
	const analysts, marks = 6, 8
	fs := findings(96)
	id := fs[0].AlertID
	record(t, s, fs[:1])
	var group sync.WaitGroup
	for who := range analysts {
		group.Go(func() {
			for n := range marks {
				again(t, func() error {
					_, err := s.Update(t.Context(), tenantA, id, func(a *alert.Alert) error {
						return a.Mark(alert.Change{At: noon, By: fmt.Sprintf("analyst-%d", who), Status: alert.Acknowledged, Note: fmt.Sprint(n)})
					})
					return err
				})
			}
		})
	}
	for part := range 4 {
		group.Go(func() {
			for i := part; i < len(fs); i += 4 {
				record(t, s, fs[i:i+1])
			}
		})
	}
	group.Wait()
	a := get(t, s, id)
	next := map[string]int{}
	for _, c := range a.History {
		if c.Note != fmt.Sprint(next[c.By]) {
			t.Errorf("%s: note %s comes where %d should", c.By, c.Note, next[c.By])
		}
		next[c.By]++
	}
	if len(a.History) != analysts*marks {
		t.Errorf("%d changes, want %d", len(a.History), analysts*marks)
	}
	expect := merged(fs)
	expect.TakeMarks(&a)
	same(t, "the alert", a, expect)
}

func countsExactly(t *testing.T, s store.Store) {
	const writers = 8
	fs := varied(seeded(7), 160, "app-1")
	id := fs[0].AlertID
	var fresh, created atomic.Int64
	var group sync.WaitGroup
	for w := range uint64(writers) {
		group.Go(func() {
			mine := slices.Clone(fs)
			r := seeded(w)
			shuffle(r, mine)
			for len(mine) > 0 {
				n := min(1+r.IntN(40), len(mine))
				out := record(t, s, mine[:n])
				if out.New+out.Known != n {
					t.Errorf("%d new and %d known of %d", out.New, out.Known, n)
				}
				fresh.Add(int64(out.New))
				if out.Created {
					created.Add(1)
				}
				mine = mine[n:]
			}
		})
	}
	group.Wait()
	if fresh.Load() != int64(len(fs)) || created.Load() != 1 {
		t.Errorf("%d findings were new and %d alerts created, want %d and 1", fresh.Load(), created.Load(), len(fs))
	}
	same(t, "the alert", get(t, s, id), merged(fs))
	got := list(t, s.Findings(t.Context(), tenantA, id))
	evidenced := 0
	for _, f := range got {
		if f.RecordHash != "" {
			evidenced++
		}
	}
	if len(got) != len(fs) || evidenced != alert.MaxEvidenced {
		t.Errorf("%d findings, %d with evidence, want %d and %d", len(got), evidenced, len(fs), alert.MaxEvidenced)
	}
}

func marksContinuing(t *testing.T, s store.Store) {
	midnight := noon.Add(12 * time.Hour)
	for i, c := range []struct {
		name      string
		last      time.Duration // of the day before, to midnight
		first     time.Duration // of the day after, from midnight
		continues bool
	}{
		{"around midnight", time.Minute, time.Minute, true},
		{"just under an hour", 30 * time.Minute, 30*time.Minute - 1, true},
		{"an hour", 30 * time.Minute, 30 * time.Minute, false},
		{"long apart", 5 * time.Hour, 5 * time.Hour, false},
	} {
		for _, laterFirst := range []bool{false, true} {
			k := key(fmt.Sprintf("app-%d-%v", i, laterFirst))
			day1 := []alert.Finding{finding(0, k, at(midnight.Add(-c.last)))}
			day2 := []alert.Finding{finding(1, k, at(midnight.Add(c.first)))}
			groups := [][]alert.Finding{day1, day2, {finding(2, key("other"), at(midnight.Add(-time.Second)))}}
			if laterFirst {
				slices.Reverse(groups)
			}
			for _, g := range groups {
				record(t, s, g)
			}
			if get(t, s, day1[0].AlertID).Continues {
				t.Errorf("%s: the first day continues what was not", c.name)
			}
			if got := get(t, s, day2[0].AlertID).Continues; got != c.continues {
				t.Errorf("%s, the later first %v: continues is %v", c.name, laterFirst, got)
			}
		}
	}
	// A finding that comes late can close the gap from either side.
	for i, c := range []struct{ last, first, late time.Duration }{
		{-80 * time.Minute, 9 * time.Minute, -50 * time.Minute},
		{-15 * time.Minute, 69 * time.Minute, 40 * time.Minute},
	} {
		k := key(fmt.Sprintf("late-%d", i))
		record(t, s, []alert.Finding{finding(0, k, at(midnight.Add(c.last)))})
		day2 := record(t, s, []alert.Finding{finding(1, k, at(midnight.Add(c.first)))})
		if day2.Alert.Continues {
			t.Errorf("late finding %d: it continues before it came", i)
		}
		record(t, s, []alert.Finding{finding(2, k, at(midnight.Add(c.late)))})
		if a := get(t, s, day2.Alert.ID); !a.Continues {
			t.Errorf("late finding %d: it does not continue: %s", i, text(a))
		}
	}
}

func keepsTenantsApart(t *testing.T, s store.Store) {
	a, b := finding(0), finding(0, tenant(tenantB))
	if a.AlertID == b.AlertID {
		t.Fatal("two tenants share an alert's id")
	}
	record(t, s, []alert.Finding{a})
	record(t, s, []alert.Finding{b})
	if _, err := s.Alert(t.Context(), tenantB, a.AlertID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another tenant's alert: got %v, want ErrNotFound", err)
	}
	for _, err := range s.Findings(t.Context(), tenantB, a.AlertID) {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another tenant's findings: got %v, want ErrNotFound", err)
		}
	}
	if got, err := s.Alert(t.Context(), "", b.AlertID); err != nil || got.Tenant != tenantB {
		t.Errorf("any tenant's alert: got %s, %v", text(got), err)
	}
	got := list(t, s.Alerts(t.Context(), store.Query{Tenants: []string{tenantB}}))
	if len(got) != 1 || got[0].ID != b.AlertID {
		t.Errorf("the alerts of a tenant: %s", text(got))
	}
}

func listsInOrder(t *testing.T, s store.Store) {
	var ids []alert.ID
	for i, c := range []struct {
		severity rule.Severity
		hours    int
	}{{rule.Critical, 1}, {rule.Critical, 0}, {rule.High, 3}, {rule.Medium, 5}, {rule.Info, 9}} {
		f := finding(0, key(fmt.Sprint(i)), grade(rule.Enabled, c.severity, rule.Weak), at(noon.Add(time.Duration(c.hours)*time.Hour)))
		ids = append(ids, f.AlertID)
	}
	// Two that are equal but for their ids.
	twins := []alert.ID{finding(0, key("x")).AlertID, finding(0, key("y")).AlertID}
	slices.Sort(twins)
	for _, k := range []string{"y", "x"} {
		record(t, s, []alert.Finding{finding(0, key(k), grade(rule.Enabled, rule.Low, rule.Weak))})
	}
	for _, i := range []int{3, 0, 4, 2, 1} {
		record(t, s, []alert.Finding{finding(0, key(fmt.Sprint(i)), grade(rule.Enabled, []rule.Severity{rule.Critical, rule.Critical, rule.High, rule.Medium, rule.Info}[i], rule.Weak),
			at(noon.Add(time.Duration([]int{1, 0, 3, 5, 9}[i])*time.Hour)))})
	}
	expect := slices.Insert(ids, 4, twins...)
	var got []alert.ID
	for _, a := range list(t, s.Alerts(t.Context(), store.Query{})) {
		got = append(got, a.ID)
	}
	if !slices.Equal(got, expect) {
		t.Errorf("got  %v\nwant %v", got, expect)
	}
	for limit := 1; limit < len(expect)+2; limit++ {
		var got []alert.ID
		for _, a := range list(t, s.Alerts(t.Context(), store.Query{Limit: limit})) {
			got = append(got, a.ID)
		}
		if !slices.Equal(got, expect[:min(limit, len(expect))]) {
			t.Errorf("at most %d: got %v", limit, got)
		}
	}
}

func selects(t *testing.T, s store.Store) {
	record(t, s, []alert.Finding{finding(0, key("a"), ruleID("rule-1"), grade(rule.Enabled, rule.Critical, rule.Strong))})
	record(t, s, []alert.Finding{finding(0, key("b"), ruleID("rule-2"), grade(rule.Observe, rule.High, rule.Strong))})
	record(t, s, []alert.Finding{finding(0, key("c"), ruleID("rule-2"), tenant(tenantB), grade(rule.Enabled, rule.Low, rule.Strong))})
	record(t, s, []alert.Finding{finding(0, key("d"), ruleID("rule-3"), tenant(tenantB), grade(rule.Enabled, rule.Info, rule.Strong))})
	mark(t, s, finding(0, key("a"), ruleID("rule-1")).AlertID, alert.Change{At: noon, By: "ana", Status: alert.Closed})
	mark(t, s, finding(0, key("b"), ruleID("rule-2")).AlertID, alert.Change{At: noon, By: "ana", Status: alert.Acknowledged})
	for _, c := range []struct {
		name  string
		query store.Query
		want  string
	}{
		{"all", store.Query{}, "abcd"},
		{"a tenant", store.Query{Tenants: []string{tenantB}}, "cd"},
		{"tenants", store.Query{Tenants: []string{tenantB, tenantA}}, "abcd"},
		{"no such tenant", store.Query{Tenants: []string{"none"}}, ""},
		{"a rule", store.Query{Rules: []string{"rule-2"}}, "bc"},
		{"rules", store.Query{Rules: []string{"rule-1", "rule-3", "rule-9"}}, "ad"},
		{"a status", store.Query{Statuses: []alert.Status{alert.Open}}, "cd"},
		{"statuses", store.Query{Statuses: []alert.Status{alert.Closed, alert.Acknowledged}}, "ab"},
		{"a severity", store.Query{MinSeverity: rule.High}, "ab"},
		{"the least severity", store.Query{MinSeverity: rule.Info}, "abcd"},
		{"a stage", store.Query{MinStage: rule.Enabled}, "acd"},
		{"several conditions", store.Query{Rules: []string{"rule-2"}, Tenants: []string{tenantA}, MinSeverity: rule.Low}, "b"},
		{"conditions that exclude each other", store.Query{Rules: []string{"rule-1"}, Statuses: []alert.Status{alert.Open}}, ""},
		{"a limit on what is selected", store.Query{Tenants: []string{tenantB}, Limit: 1}, "c"},
	} {
		var got strings.Builder
		for _, a := range list(t, s.Alerts(t.Context(), c.query)) {
			got.WriteString(a.Key)
		}
		if got.String() != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got.String(), c.want)
		}
	}
}

// RunChanged tests that alerts are selected by when they were written. open returns an empty store that takes the time from now.
func RunChanged(t *testing.T, open func(t *testing.T, now func() time.Time) store.Store) {
	t.Helper()
	now := midday
	s := open(t, func() time.Time { return now })
	a, b := finding(0, key("a")), finding(0, key("b"))
	record(t, s, []alert.Finding{a})
	now = midday.Add(time.Hour)
	record(t, s, []alert.Finding{b})
	now = midday.Add(2 * time.Hour)
	record(t, s, []alert.Finding{a}) // which is known: nothing is written
	ids := func(want string, since time.Time) {
		t.Helper()
		var got strings.Builder
		for _, x := range list(t, s.Alerts(t.Context(), store.Query{Changed: since})) {
			got.WriteString(map[alert.ID]string{a.AlertID: "a", b.AlertID: "b"}[x.ID])
		}
		if letters := strings.Split(got.String(), ""); strings.Join(slices.Sorted(slices.Values(letters)), "") != want {
			t.Errorf("changed since %s: %q, want %q", since.Format(time.TimeOnly), got.String(), want)
		}
	}
	ids("ab", midday)
	ids("b", midday.Add(time.Second))
	ids("b", midday.Add(time.Hour))
	ids("", midday.Add(time.Hour+time.Second))
	mark(t, s, a.AlertID, alert.Change{At: now, By: "ana", Status: alert.Closed})
	ids("a", midday.Add(time.Hour+time.Second))
	now = midday.Add(3 * time.Hour)
	record(t, s, []alert.Finding{finding(1, key("b"))})
	ids("b", midday.Add(3*time.Hour))
	ids("ab", time.Time{})
}

func findsRelated(t *testing.T, s store.Store) {
	about := func(token, session, mailbox string) variation {
		return func(g *sighting) {
			g.event.Kind = event.Audit
			g.event.Token.ID, g.event.Token.SessionID, g.event.Audit.MailboxOwner = event.Of(token), event.Of(session), event.Of(mailbox)
		}
	}
	base := finding(0, key("base"), about("tok-1", "ses-1", "Ana@example.com"))
	record(t, s, []alert.Finding{base, finding(1, key("base"), about("tok-2", "", "bob@example.com"))})
	for i, c := range []struct {
		key  string
		vary variation
	}{
		{"token", about("tok-1", "ses-9", "eve@example.com")},
		{"token of another case", about("TOK-1", "", "")}, // ids of tokens that are no GUIDs are compared as they are
		{"session", about("", "SES-1", "")},
		{"mailbox", about("", "", "ana@EXAMPLE.com")},
		{"all", about("tok-1", "ses-1", "ana@example.com")},
		{"second finding", about("tok-2", "", "")},
		{"stranger", about("tok-3", "ses-3", "eve@example.com")},
		{"nothing", about("", "", "")},
	} {
		record(t, s, []alert.Finding{finding(10+i, key(c.key), c.vary)})
	}
	record(t, s, []alert.Finding{finding(30, key("other tenant"), tenant(tenantB), about("tok-1", "ses-1", "ana@example.com"))})
	record(t, s, []alert.Finding{finding(31, key("other day"), at(noon.AddDate(0, 0, 1)), about("tok-1", "ses-1", "ana@example.com"))})
	a := get(t, s, base.AlertID)
	related, err := store.Related(t.Context(), s, &a, list(t, s.Findings(t.Context(), a.Tenant, a.ID)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range related {
		got[r.Alert.Key] = strings.Join(r.Shares, " ")
	}
	want := map[string]string{
		"token": "token", "session": "session", "mailbox": "mailbox", "all": "token session mailbox", "second finding": "token",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	lonely := get(t, s, finding(17, key("nothing")).AlertID)
	if related, err := store.Related(t.Context(), s, &lonely, nil); err != nil || len(related) > 0 {
		t.Errorf("an alert that is about nothing: %v, %v", related, err)
	}
}

func selectsByTime(t *testing.T, s store.Store) {
	hour := func(h int) time.Time { return noon.Add(time.Duration(h-12) * time.Hour) }
	record(t, s, []alert.Finding{finding(0, key("a"), at(hour(2))), finding(1, key("a"), at(hour(20)))})
	record(t, s, []alert.Finding{finding(0, key("b"), at(hour(10)))})
	for _, c := range []struct {
		name     string
		from, to time.Time
		want     string
	}{
		{"always", time.Time{}, time.Time{}, "ab"},
		{"from the start", hour(2), time.Time{}, "ab"},
		{"from between", hour(11), time.Time{}, "a"},
		{"from the last on", hour(20), time.Time{}, "a"},
		{"from after it", hour(20).Add(1), time.Time{}, ""},
		{"to the first, which is not in", time.Time{}, hour(2), ""},
		{"to just after the first", time.Time{}, hour(2).Add(1), "a"},
		{"a gap between findings", hour(3), hour(10), ""},
		{"a gap with another's finding", hour(3), hour(11), "b"},
		{"exactly one", hour(10), hour(10).Add(1), "b"},
		{"all", hour(2), hour(20).Add(1), "ab"},
		{"in another zone", hour(10).In(time.FixedZone("", 3600)), hour(10).Add(1).In(time.FixedZone("", -7200)), "b"},
		{"nothing", hour(10), hour(10), ""},
	} {
		var got []string
		for _, a := range list(t, s.Alerts(t.Context(), store.Query{From: c.from, To: c.to})) {
			got = append(got, a.Key)
		}
		slices.Sort(got)
		if strings.Join(got, "") != c.want {
			t.Errorf("%s: got %v, want %q", c.name, got, c.want)
		}
	}
}

// servesInTheMiddle uses the store, and leaves early, while lists are under way.
func servesInTheMiddle(t *testing.T, s store.Store) {
	for i := range 5 {
		record(t, s, []alert.Finding{finding(0, key(fmt.Sprint(i))), finding(1, key(fmt.Sprint(i)))})
	}
	n := 0
	for a, err := range s.Alerts(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		for f, err := range s.Findings(t.Context(), a.Tenant, a.ID) {
			if err != nil {
				t.Fatal(err)
			}
			record(t, s, []alert.Finding{finding(2, key(a.Key))})
			if f.AlertID != a.ID {
				t.Errorf("a finding of %s among those of %s", f.AlertID, a.ID)
			}
			break
		}
		mark(t, s, a.ID, alert.Change{At: noon, By: "ana", Status: alert.Acknowledged})
		if n++; n == 4 {
			break
		}
	}
	if got := list(t, s.Alerts(t.Context(), store.Query{Statuses: []alert.Status{alert.Acknowledged}})); len(got) != 4 || got[0].Count != 3 {
		t.Errorf("%d alerts were worked on, want 4: %s", len(got), text(got))
	}
}

func listsFindings(t *testing.T, s store.Store) {
	// Several share an instant, and there are more than any page holds.
	var fs []alert.Finding
	for i := range 700 {
		fs = append(fs, finding(i, at(noon.Add(time.Duration(i%90)*time.Second+time.Duration(i%3)))))
	}
	record(t, s, fs)
	slices.SortFunc(fs, func(a, b alert.Finding) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	got := list(t, s.Findings(t.Context(), tenantA, fs[0].AlertID))
	if len(got) != len(fs) {
		t.Fatalf("%d findings, want %d", len(got), len(fs))
	}
	for i := range got {
		if got[i].ID != fs[i].ID || !got[i].At.Equal(fs[i].At) {
			t.Fatalf("finding %d is %s at %s, want %s at %s", i, got[i].ID, got[i].At, fs[i].ID, fs[i].At)
		}
	}
}

// A store that can list what was set aside is asked whether it is right.
type lister interface {
	SetAsides(ctx context.Context) iter.Seq2[alert.SetAside, error]
}

func setsAsideOnce(t *testing.T, s store.Store) {
	item := func(i int) alert.SetAside {
		a := alert.NewSetAside("invalid-json", "a brace is missing", fmt.Sprintf("log.json:%d", i), "log.json", "{\x00\xff")
		a.Seen, a.Run = noon.Add(time.Duration(i)*time.Second), "run-1"
		return a
	}
	var items []alert.SetAside
	for i := range 400 {
		items = append(items, item(i))
	}
	again(t, func() error { return s.SetAside(t.Context(), nil) })
	again(t, func() error { return s.SetAside(t.Context(), items[:300]) })
	later := slices.Clone(items)
	for i := range later {
		later[i].Seen = noon.Add(time.Hour + time.Duration(i)*time.Second)
		later[i].Run = "run-2"
	}
	again(t, func() error { return s.SetAside(t.Context(), append(later[200:300:300], later[250], items[300])) })
	again(t, func() error { return s.SetAside(t.Context(), items) })
	if l, ok := s.(lister); ok {
		same(t, "what was set aside", list(t, l.SetAsides(t.Context())), items)
	}
}

func saysNotFound(t *testing.T, s store.Store) {
	for _, id := range []alert.ID{"", "x", "20250101-", finding(0).AlertID, alert.ID(strings.Repeat("9", 5000))} {
		if _, err := s.Alert(t.Context(), tenantA, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("alert %.20q: got %v, want ErrNotFound", id, err)
		}
		n := 0
		for _, err := range s.Findings(t.Context(), tenantA, id) {
			if n++; !errors.Is(err, store.ErrNotFound) {
				t.Errorf("findings of %.20q: got %v, want ErrNotFound", id, err)
			}
		}
		if n != 1 {
			t.Errorf("findings of %.20q: yielded %d times, want one error", id, n)
		}
	}
	if got := list(t, s.Alerts(t.Context(), store.Query{})); len(got) != 0 {
		t.Errorf("an empty store has alerts: %s", text(got))
	}
}

func obeysContext(t *testing.T, s store.Store) {
	fs := findings(3)
	before := record(t, s, fs).Alert
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, err := range calls(ctx, s, before.ID) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", what, err)
		}
	}
	same(t, "the alert", get(t, s, before.ID), before)
}

func unavailableOnceClosed(t *testing.T, s store.Store) {
	id := record(t, s, findings(3)).Alert.ID
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	for what, err := range calls(t.Context(), s, id) {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrUnavailable", what, err)
		}
	}
}

// calls calls every method with work to do and returns their errors by name.
func calls(ctx context.Context, s store.Store, id alert.ID) map[string]error {
	errs := map[string]error{}
	_, errs["Record"] = s.Record(ctx, []alert.Finding{finding(900)})
	_, errs["Alert"] = s.Alert(ctx, tenantA, id)
	_, errs["Update"] = s.Update(ctx, tenantA, id, func(a *alert.Alert) error {
		return a.Mark(alert.Change{At: noon, By: "ana", Status: alert.Closed})
	})
	errs["SetAside"] = s.SetAside(ctx, []alert.SetAside{alert.NewSetAside("reason", "detail", "place", "source", "copy")})
	for _, err := range s.Alerts(ctx, store.Query{}) {
		errs["Alerts"] = err
	}
	for _, err := range s.Findings(ctx, tenantA, id) {
		errs["Findings"] = err
	}
	return errs
}

func keepsHostileTexts(t *testing.T, s store.Store) {
	for i, hostile := range []string{
		"nul\x00byte", `'; DROP TABLE alerts; --`, `"quoted" \ back`, "😀🏴‍☠️\U0010ffff", "\x1b[31mred\u202eright-to-left",
		"bad\xff\xfeutf8", strings.Repeat("long ", 400_000), strings.Repeat("\x01", 100_000), "a\nb\r\n\tc", "%s%d../../..#?&", "_%", " ",
		"\u2028\u2029<script>", "\ufeffbom", "ＡｄｍｉＮ",
	} {
		fs := []alert.Finding{
			finding(0, key(hostile), tenant(hostile), ruleID(hostile), subjectName(hostile), place(hostile), evidence(hostile)),
			finding(1, key(hostile), tenant(hostile), ruleID(hostile), subjectName(hostile), place(hostile), evidence(`{"x":`+text(hostile)+`}`)),
		}
		out := record(t, s, fs)
		want(t, out, 2, 0, "created")
		want(t, record(t, s, fs), 0, 2, "")
		same(t, fmt.Sprintf("hostile text %d: the alert", i), out.Alert, merged(fs))
		if n := len(text(out.Alert)); n >= alert.MaxAlert {
			t.Errorf("hostile text %d: the alert has %d bytes", i, n)
		}
		shown := out.Alert.Tenant
		got, err := s.Alert(t.Context(), shown, out.Alert.ID)
		if err != nil {
			t.Errorf("hostile text %d: %v", i, err)
			continue
		}
		same(t, fmt.Sprintf("hostile text %d: the alert that is read", i), got, out.Alert)
		same(t, fmt.Sprintf("hostile text %d: the findings", i), list(t, s.Findings(t.Context(), shown, out.Alert.ID)), fs)
		if got := list(t, s.Alerts(t.Context(), store.Query{Tenants: []string{shown}, Rules: []string{out.Alert.Rule.ID}})); len(got) != 1 || got[0].ID != out.Alert.ID {
			t.Errorf("hostile text %d: it selects %d alerts", i, len(got))
		}
		marked := mark(t, s, out.Alert.ID, alert.Change{At: noon, By: hostile, Status: alert.Acknowledged, Note: hostile})
		same(t, fmt.Sprintf("hostile text %d: the alert with a note", i), get(t, s, out.Alert.ID), marked)
	}
}

// record records findings, again if the store asks for it.
func record(t *testing.T, s store.Store, fs []alert.Finding) store.Outcome {
	t.Helper()
	var out store.Outcome
	again(t, func() (err error) {
		out, err = s.Record(t.Context(), fs)
		return err
	})
	return out
}

// mark makes an analyst's change, again if the store asks for it.
func mark(t *testing.T, s store.Store, id alert.ID, c alert.Change) alert.Alert {
	t.Helper()
	var a alert.Alert
	again(t, func() (err error) {
		a, err = s.Update(t.Context(), "", id, func(a *alert.Alert) error { return a.Mark(c) })
		return err
	})
	return a
}

// again calls do until it does not ask for it, for a bounded number of times.
func again(t *testing.T, do func() error) {
	t.Helper()
	for tries := 1; ; tries++ {
		err := do()
		switch {
		case err == nil:
			return
		case tries < 100 && (errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUnavailable)):
		default:
			t.Errorf("after %d tries: %v", tries, err)
			return
		}
	}
}

func get(t *testing.T, s store.Store, id alert.ID) alert.Alert {
	t.Helper()
	a, err := s.Alert(t.Context(), "", id)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// list returns all that is yielded. An error that is one of those tolerated ends it.
func list[T any](t *testing.T, seq iter.Seq2[T, error], tolerated ...error) []T {
	t.Helper()
	var out []T
	for x, err := range seq {
		if err != nil {
			if !slices.ContainsFunc(tolerated, func(e error) bool { return errors.Is(err, e) }) {
				t.Fatal(err)
			}
			break
		}
		out = append(out, x)
	}
	return out
}

// want checks an outcome; what is one of created, escalated, reopened, or "".
func want(t *testing.T, out store.Outcome, fresh, known int, what string) {
	t.Helper()
	got := ""
	for name, is := range map[string]bool{"created": out.Created, "escalated": out.Escalated, "reopened": out.Reopened} {
		if is {
			got += name
		}
	}
	if out.New != fresh || out.Known != known || got != what {
		t.Errorf("%d new, %d known, %q; want %d, %d, %q", out.New, out.Known, got, fresh, known, what)
	}
}

// same compares the JSON of two things.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := text(got), text(want); g != w {
		i := 0
		for i < min(len(g), len(w)) && g[i] == w[i] {
			i++
		}
		from := max(0, i-60)
		t.Errorf("%s differs at byte %d:\n got …%.200s\nwant …%.200s", what, i, g[from:], w[from:])
	}
}

func text(x any) string {
	b, err := json.Marshal(x)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

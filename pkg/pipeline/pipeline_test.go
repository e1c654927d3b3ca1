package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

const tenant = "11111111-2222-4333-8444-555555555555"

// someRules fire on the user "bad", lack a session id, and panic on the user "panic".
func someRules(t *testing.T) *rule.Engine {
	t.Helper()
	user := rule.Key{Name: "user", Of: func(ev *event.Event) string { return ev.Actor.Name.V }}
	e, err := rule.NewEngine([]*rule.Rule{
		{
			ID: "bad-user", Title: "Bad user", Kinds: []event.Kind{event.SignIn}, Stage: rule.Enabled, Key: user,
			Legs: []rule.Leg{{ID: "bad", Why: "the user is bad", When: rule.Contains(event.ActorName, "bad"), Severity: rule.High, Strength: rule.Strong}},
		},
		{
			ID: "session", Title: "Session", Kinds: []event.Kind{event.SignIn}, Stage: rule.Enabled, Key: user,
			Legs: []rule.Leg{{ID: "s", Why: "s", When: rule.Eq(event.TokenSession, "s"), Severity: rule.Low}},
		},
		{
			ID: "panics", Title: "Panics", Kinds: []event.Kind{event.SignIn}, Stage: rule.Enabled, Key: user,
			Legs: []rule.Leg{{ID: "p", Why: "p", When: rule.Test(event.ActorName, "panics", "", func(v string) bool {
				if v == "panic" {
					panic("a rule with a mistake")
				}
				return false
			})}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func memory(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newPipeline(t *testing.T, s store.Store) *Pipeline {
	t.Helper()
	return New(normalize.New(decode.Reference{}, tenant), someRules(t), s, func() time.Time { return time.Unix(1_800_000_000, 0).UTC() })
}

// records is a Source of bodies. A body that begins with "!" is a part that could not be split.
type records struct {
	bodies []string
	at     int
	fail   error // instead of io.EOF
}

func (r *records) Next() (envelope.Record, error) {
	if r.at == len(r.bodies) {
		if r.fail != nil {
			return envelope.Record{}, r.fail
		}
		return envelope.Record{}, io.EOF
	}
	body := r.bodies[r.at]
	r.at++
	o := envelope.Origin{Source: "log", Line: int64(r.at)}
	if reason, ok := strings.CutPrefix(body, "!"); ok {
		return envelope.Record{}, &envelope.Broken{Reason: reason, Detail: "broken", Origin: o}
	}
	return envelope.Record{Body: body, Origin: o}, nil
}

func signIn(id int, user string) string {
	return fmt.Sprintf(`{"category":"SignInLogs","tenantId":"%s","properties":{"id":"id-%d","createdDateTime":"2025-01-%02dT00:00:00Z","userPrincipalName":"%s"}}`, tenant, id, 1+id%3, user)
}

func TestEveryRecordIsCounted(t *testing.T) {
	s := memory(t)
	bodies := []string{
		signIn(1, "good"), signIn(2, "bad"), signIn(5, "bad"), signIn(2, "bad"), signIn(3, "panic"), "!invalid-json",
		`{"category":"SignInLogs"`, `{"hello":1}`, `{"category":"ProvisioningLogs","operationName":"x"}`,
		`{"category":"MicrosoftGraphActivityLogs","properties":{"timeGenerated":"2025-01-01T00:00:00Z"}}`, // no rule reads the kind
	}
	report, err := newPipeline(t, s).Process(t.Context(), &records{bodies: bodies}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Records != 10 || report.Evaluated != 4 {
		t.Errorf("%d records, %d evaluated", report.Records, report.Evaluated)
	}
	// The record of the third panicked.
	if want := time.Date(2025, 1, 3, 0, 0, 0, 0, time.UTC); !report.Latest.Equal(want) {
		t.Errorf("the latest event is of %v, want %v", report.Latest, want)
	}
	if want := map[string]int64{"ProvisioningLogs": 1, "MicrosoftGraphActivityLogs": 1}; !reflect.DeepEqual(report.Ignored, want) {
		t.Errorf("ignored %v", report.Ignored)
	}
	if want := map[string]int64{"panic": 1, "invalid-json": 2, "unrecognised-format": 1}; !reflect.DeepEqual(report.SetAside, want) {
		t.Errorf("set aside %v", report.SetAside)
	}
	if got := report.Examples["panic"]; len(got) != 1 || got[0] != "log:5" {
		t.Errorf("examples %v", report.Examples)
	}
	// 2 and 5 fall on one day, and 2 was read twice.
	if report.Findings != 3 || report.NewFindings != 2 || len(report.Alerts) != 1 {
		t.Errorf("findings %d, new %d, alerts %d", report.Findings, report.NewFindings, len(report.Alerts))
	}
	for _, touched := range report.Alerts {
		if !touched.New || touched.CountInRun != 2 || touched.Alert.Count != 2 {
			t.Errorf("alert %+v", touched)
		}
	}
	blind := report.NotEvaluable["session"]
	// The record that panicked came to this rule before.
	if blind == nil || blind.Records != 5 || blind.Missing["token.sid"] != 5 {
		t.Errorf("not evaluable %+v", blind)
	}
	for of, asked := range report.Asked {
		decided := report.Evaluated
		if of.RuleID == "session" {
			decided = 0 // it lacked its field in each of them
		}
		if of.Kind != event.SignIn || asked != (Asked{report.Evaluated, decided}) {
			t.Errorf("rule %s was asked of %+v", of.RuleID, asked)
		}
	}
	if len(report.Asked) < 2 {
		t.Errorf("asked were %v", report.Asked)
	}

	again, err := newPipeline(t, s).Process(t.Context(), &records{bodies: bodies}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if again.NewFindings != 0 || again.Findings != 3 {
		t.Errorf("the second time: findings %d, new %d", again.Findings, again.NewFindings)
	}
	for _, touched := range again.Alerts {
		if touched.New || touched.CountInRun != 2 || touched.Alert.Count != 2 {
			t.Errorf("the second time: alert %+v", touched)
		}
	}
}

func TestTenantsOfASource(t *testing.T) {
	bodies := []string{signIn(1, "bad"), strings.ReplaceAll(signIn(2, "bad"), tenant, "99999999-2222-4333-8444-555555555555")}
	report, err := newPipeline(t, memory(t)).Process(t.Context(), &records{bodies: bodies}, Options{Tenants: []string{tenant}})
	if err != nil {
		t.Fatal(err)
	}
	if report.Evaluated != 1 || report.Findings != 1 || report.SetAside["tenant-not-allowed"] != 1 {
		t.Errorf("report %+v", report)
	}
}

// contents returns all that is kept, in order.
func contents(t *testing.T, s store.Store) (alerts []alert.Alert, findings []alert.Finding) {
	t.Helper()
	for a, err := range s.Alerts(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		alerts = append(alerts, a)
		for f, err := range s.Findings(t.Context(), a.Tenant, a.ID) {
			if err != nil {
				t.Fatal(err)
			}
			findings = append(findings, f)
		}
	}
	return alerts, findings
}

func manyRecords() []string {
	var bodies []string
	for i := range 1500 {
		user := "good"
		if i%7 == 0 {
			user = fmt.Sprintf("bad%d", i%4)
		}
		bodies = append(bodies, signIn(i, user))
	}
	return bodies
}

func TestWorkersChangeNothing(t *testing.T) {
	one, four := memory(t), memory(t)
	a, err := newPipeline(t, one).Process(t.Context(), &records{bodies: manyRecords()}, Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	b, err := newPipeline(t, four).Process(t.Context(), &records{bodies: manyRecords()}, Options{Workers: 4})
	if err != nil {
		t.Fatal(err)
	}
	a.Seconds, b.Seconds = 0, 0
	if !reflect.DeepEqual(a, b) {
		t.Errorf("one worker: %+v\nfour workers: %+v", a, b)
	}
	alertsA, findingsA := contents(t, one)
	alertsB, findingsB := contents(t, four)
	if len(findingsA) != 215 || !reflect.DeepEqual(alertsA, alertsB) || !reflect.DeepEqual(findingsA, findingsB) {
		t.Errorf("%d and %d findings, or they differ", len(findingsA), len(findingsB))
	}
}

// flaky is a store that fails at the n-th Record, before or after it took effect.
type flaky struct {
	store.Store
	n     int
	after bool
}

func (f *flaky) Record(ctx context.Context, findings []alert.Finding) (store.Outcome, error) {
	f.n--
	if f.n != 0 {
		return f.Store.Record(ctx, findings)
	}
	if f.after {
		if _, err := f.Store.Record(ctx, findings); err != nil {
			return store.Outcome{}, err
		}
	}
	return store.Outcome{}, fmt.Errorf("record: %w", store.ErrUnavailable)
}

func TestAStoreThatFailsAndARunAgain(t *testing.T) {
	one := Options{Workers: 1} // calls the store as often each time
	want := memory(t)
	whole := &flaky{Store: want}
	if _, err := newPipeline(t, whole).Process(t.Context(), &records{bodies: manyRecords()}, one); err != nil {
		t.Fatal(err)
	}
	wantAlerts, wantFindings := contents(t, want)
	calls := -whole.n
	for _, after := range []bool{false, true} {
		for n := 1; n <= calls; n += max(calls/3-1, 1) {
			s := memory(t)
			_, err := newPipeline(t, &flaky{Store: s, n: n, after: after}).Process(t.Context(), &records{bodies: manyRecords()}, one)
			if !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("failing at %d of %d: %v", n, calls, err)
			}
			if _, err := newPipeline(t, s).Process(t.Context(), &records{bodies: manyRecords()}, Options{}); err != nil {
				t.Fatal(err)
			}
			gotAlerts, gotFindings := contents(t, s)
			if !reflect.DeepEqual(gotAlerts, wantAlerts) || !reflect.DeepEqual(gotFindings, wantFindings) {
				t.Errorf("failing at %d, after=%v: differs from an undisturbed run", n, after)
			}
		}
	}
	t.Logf("failed at every third or so of %d calls", calls)
}

// batched counts how often a store is asked to record.
type batched struct {
	store.Store
	calls, findings int
}

func (b *batched) Record(ctx context.Context, findings []alert.Finding) (store.Outcome, error) {
	b.calls++
	b.findings += len(findings)
	return b.Store.Record(ctx, findings)
}

// What several batches find of one alert is recorded together, however many batches there are.
func TestFindingsOfAnAlertAreRecordedTogether(t *testing.T) {
	var bodies []string
	for i := range 20 * batchRecords {
		user := "good"
		if i%batchRecords == 0 {
			user = "bad"
		}
		bodies = append(bodies, signIn(i, user))
	}
	for _, workers := range []int{1, 4} {
		held := memory(t)
		s := &batched{Store: held}
		if _, err := newPipeline(t, s).Process(t.Context(), &records{bodies: bodies}, Options{Workers: workers}); err != nil {
			t.Fatal(err)
		}
		if alerts, _ := contents(t, held); s.calls != len(alerts) || s.findings != 20 {
			t.Errorf("%d workers: %d calls for %d findings of %d alerts, want 20 and one for each", workers, s.calls, s.findings, len(alerts))
		}
	}
}

// What the others find while one worker is at a record for long waits for it: that is bounded.
func TestWorkersDoNotRunFarAhead(t *testing.T) {
	const workers, batches = 4, 100
	bodies := []string{signIn(0, "slow")}
	for i := 1; i < batches*batchRecords; i++ {
		bodies = append(bodies, signIn(i, "good"))
	}
	p := newPipeline(t, memory(t))
	synctest.Test(t, func(t *testing.T) {
		src := &records{bodies: bodies}
		release := make(chan struct{})
		go func() {
			synctest.Wait()
			if got := src.at / batchRecords; got != 2*workers {
				t.Errorf("%d batches were read while the first was evaluated, want %d", got, 2*workers)
			}
			close(release)
		}()
		report, err := p.Process(t.Context(), src, Options{Workers: workers, Observe: func(ev *event.Event) {
			if ev.Actor.Name.V == "slow" {
				<-release
			}
		}})
		if err != nil || report.Evaluated != int64(len(bodies)) {
			t.Errorf("%v, %d of %d records", err, report.Evaluated, len(bodies))
		}
	})
}

func TestASourceThatFails(t *testing.T) {
	broken := errors.New("the disk is gone")
	s := memory(t)
	report, err := newPipeline(t, s).Process(t.Context(), &records{bodies: manyRecords(), fail: broken}, Options{})
	if !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	if report.Records != 1500 || report.NewFindings != 215 {
		t.Errorf("of what came before the fault, %d records were read and %d findings made", report.Records, report.NewFindings)
	}
}

func TestAContextThatEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newPipeline(t, memory(t)).Process(ctx, &records{bodies: manyRecords()}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

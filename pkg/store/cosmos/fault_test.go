package cosmos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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
	"github.com/assay-sec/assay/pkg/store/cosmos/cosmostest"
)

const tenant = "11111111-2222-4333-8444-555555555555"

// made returns the finding of event i, with the record.
func made(i int, record string) alert.Finding {
	r := rule.Rule{ID: "test-rule", Title: "A rule", Key: rule.Key{Name: "app"}}
	v := rule.Verdict{
		Rule: &r, Truth: rule.True, Key: "app-1", Stage: rule.Enabled, Severity: rule.High, Strength: rule.Strong,
		Leg:   &rule.Leg{ID: "only", Why: "it was made to be."},
		Facts: []rule.Fact{{Field: "app.id", Value: "x", Op: "is", Operand: "x", Truth: rule.True}},
	}
	ev := event.Event{
		ID: event.ID(fmt.Sprintf("signin|%s|%d", tenant, i)), Kind: event.SignIn, Tenant: tenant,
		Time: event.Of(time.Date(2025, 3, 14, 12, 0, i, 0, time.UTC)),
	}
	return alert.NewFinding(&v, &ev, alert.Evidence{Record: record, Place: fmt.Sprintf("log:%d", i)}, alert.Provenance{Run: "run-1"})
}

func several(n int) []alert.Finding {
	var out []alert.Finding
	for i := range n {
		out = append(out, made(i, fmt.Sprintf(`{"id":%d}`, i)))
	}
	return out
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

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// holds checks that the store has the findings and the alert that follows from them, and no others.
func holds(t *testing.T, s *Store, fs []alert.Finding) {
	t.Helper()
	a, err := s.Alert(t.Context(), tenant, fs[0].AlertID)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := text(a), text(merged(fs)); got != want {
		t.Errorf("the alert is\n%s\nwant\n%s", got, want)
	}
	n := 0
	for _, err := range s.Findings(t.Context(), tenant, a.ID) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != len(fs) {
		t.Errorf("%d findings, want %d", n, len(fs))
	}
}

// times injects a fault into the first n requests for one of the operations.
func times(server *cosmostest.Server, n int, f cosmostest.Fault, operations ...string) {
	server.Inject(func(r cosmostest.Request) *cosmostest.Fault {
		if n == 0 || !slices.Contains(operations, r.Operation) {
			return nil
		}
		n--
		return &f
	})
}

func TestAWriteWhoseAnswerIsLostCountsOnce(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]cosmostest.Fault{
		"408": {Status: 408}, "500": {Status: 500}, "502": {Status: 502}, "503": {Status: 503}, "504": {Status: 504}, "dropped": {Drop: true},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after the effect %v", name, after), func(t *testing.T) {
				t.Parallel()
				server := serve(t, fixed)
				s := open(t, server)
				fs := several(30)
				f := f
				f.After = after
				// The SDK itself tries a 503 again, which it does only where the write was not made.
				times(server, 1, f, "batch")
				first, err := s.Record(t.Context(), fs[:20])
				if err != nil {
					t.Fatal(err)
				}
				if first.New != 20 || first.Known != 0 || !first.Created || first.Alert.Count != 20 {
					t.Errorf("first %d new, %d known, created %v, count %d", first.New, first.Known, first.Created, first.Alert.Count)
				}
				times(server, 1, f, "batch")
				second, err := s.Record(t.Context(), fs[10:])
				if err != nil {
					t.Fatal(err)
				}
				if second.New != 10 || second.Known != 10 || second.Created || second.Alert.Count != 30 {
					t.Errorf("second %d new, %d known, created %v, count %d", second.New, second.Known, second.Created, second.Alert.Count)
				}
				times(server, 1, f, "replace")
				if _, err := s.Update(t.Context(), tenant, fs[0].AlertID, func(a *alert.Alert) error {
					return a.Mark(alert.Change{At: today, By: "ana", Status: alert.Acknowledged})
				}); err != nil {
					t.Fatal(err)
				}
				a, err := s.Alert(t.Context(), tenant, fs[0].AlertID)
				if err != nil || len(a.History) != 1 || a.Count != 30 {
					t.Errorf("%d changes of %d findings, %v", len(a.History), a.Count, err)
				}
				items := []alert.SetAside{alert.NewSetAside("reason", "", "p", "hub", "x"), alert.NewSetAside("reason", "", "q", "hub", "x")}
				times(server, 1, f, "batch")
				if err := s.SetAside(t.Context(), items); err != nil {
					t.Fatal(err)
				}
				if n := len(server.Documents(database + "/setaside")); n != 2 {
					t.Errorf("%d items are set aside", n)
				}
				times(server, 1, f, "create", "replace", "delete")
				d, err := s.Save(t.Context(), store.Document{ID: "a", Body: []byte(`{}`)})
				if err != nil || d.Version == "" {
					t.Fatalf("create: %v, version %q", err, d.Version)
				}
				times(server, 1, f, "create", "replace", "delete")
				if d, err = s.Save(t.Context(), d); err != nil {
					t.Fatalf("replace: %v", err)
				}
				times(server, 1, f, "create", "replace", "delete")
				if err = s.Delete(t.Context(), d); err != nil {
					t.Fatalf("delete: %v", err)
				}
			})
		}
	}
}

func TestReadsAreMadeAgain(t *testing.T) {
	t.Parallel()
	server := serve(t, fixed)
	s := open(t, server)
	fs := several(5)
	for _, f := range []cosmostest.Fault{{Status: 500}, {Drop: true}, {Status: 429, RetryAfter: time.Millisecond}} {
		times(server, 1, f, "account", "read")
		if _, err := s.Record(t.Context(), fs); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
		times(server, 1, f, "query")
		if _, err := s.Record(t.Context(), fs); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
	holds(t, s, fs)
}

func TestThrottling(t *testing.T) {
	t.Parallel()
	server := serve(t, fixed)
	var waits []time.Duration
	s := open(t, server, func(o *Options) {
		o.Sleep = func(_ context.Context, d time.Duration) error {
			waits = append(waits, d)
			return nil
		}
	})
	fs := several(3)
	times(server, 6, cosmostest.Fault{Status: 429, Substatus: 3200, RetryAfter: 123 * time.Millisecond}, "batch")
	if _, err := s.Record(t.Context(), fs); err != nil {
		t.Fatal(err)
	}
	if len(waits) != 6 || slices.Max(waits) != 123*time.Millisecond || slices.Min(waits) != slices.Max(waits) {
		t.Errorf("waited %v, want the server's own delay, six times", waits)
	}
	holds(t, s, fs)

	// A storm that does not end.
	waits = nil
	times(server, -1, cosmostest.Fault{Status: 429, RetryAfter: 5 * time.Second}, "batch")
	if _, err := s.Record(t.Context(), several(4)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if len(waits) != 6 {
		t.Errorf("waited %v, want six times five seconds", waits)
	}
	// A deadline before the server's delay is over.
	waits = nil
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(time.Hour))
	defer cancel()
	late := open(t, server, func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Hour - time.Second) }
		o.Sleep = func(context.Context, time.Duration) error { t.Error("it waited beyond the deadline"); return nil }
	})
	if _, err := late.Record(ctx, several(4)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	server.Inject(nil)
	holds(t, s, fs)
}

func TestConflictsWithoutEnd(t *testing.T) {
	t.Parallel()
	server := serve(t, fixed)
	s := open(t, server)
	fs := several(4)
	if _, err := s.Record(t.Context(), fs[:2]); err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{409, 412, 449} {
		before := server.Served("batch")
		times(server, -1, cosmostest.Fault{Status: status}, "batch", "replace")
		if _, err := s.Record(t.Context(), fs); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%d: got %v, want ErrConflict", status, err)
		}
		if n := server.Served("batch") - before; n != maxConflicts {
			t.Errorf("%d: %d attempts, want %d", status, n, maxConflicts)
		}
		if _, err := s.Update(t.Context(), tenant, fs[0].AlertID, func(a *alert.Alert) error {
			return a.Mark(alert.Change{At: today, By: "ana", Status: alert.Closed})
		}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%d: got %v, want ErrConflict", status, err)
		}
	}
	times(server, maxConflicts-1, cosmostest.Fault{Status: 412}, "batch")
	if _, err := s.Record(t.Context(), fs); err != nil {
		t.Error(err)
	}
	holds(t, s, fs)
}

// TestTwoStores has instances of the function app at one alert at once, some of whose answers are lost.
func TestTwoStores(t *testing.T) {
	t.Parallel()
	server := serve(t, fixed)
	stores := []*Store{open(t, server), open(t, server), open(t, server)}
	var n atomic.Int64
	server.Inject(func(r cosmostest.Request) *cosmostest.Fault {
		if r.Operation != "batch" {
			return nil
		}
		switch n.Add(1) % 7 {
		case 2:
			return &cosmostest.Fault{Status: 500, After: true}
		case 4:
			return &cosmostest.Fault{Drop: true, After: true}
		case 6:
			return &cosmostest.Fault{Status: 429, RetryAfter: time.Millisecond}
		}
		return nil
	})
	fs := several(200)
	var fresh, created atomic.Int64
	var group sync.WaitGroup
	for i, s := range stores {
		for w := range 2 {
			group.Go(func() {
				for at := (i*2 + w) * 7; at < len(fs)+40; at += 25 {
					part := fs[min(at, len(fs)-1):min(at+40, len(fs))]
					part = append(slices.Clone(part), fs[:20]...)
					for {
						out, err := s.Record(t.Context(), part)
						if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUnavailable) {
							continue
						}
						if err != nil {
							t.Error(err)
							return
						}
						fresh.Add(int64(out.New))
						if out.Created {
							created.Add(1)
						}
						break
					}
				}
			})
		}
	}
	group.Wait()
	server.Inject(nil)
	if _, err := stores[0].Record(t.Context(), fs); err != nil {
		t.Fatal(err)
	}
	holds(t, stores[1], fs)
	if created.Load() > 1 || fresh.Load() > int64(len(fs)) {
		t.Errorf("%d alerts created, %d findings new of %d", created.Load(), fresh.Load(), len(fs))
	}
}

// TestPoison has the store refuse a document: it gives up the record, then the facts, then the finding.
func TestPoison(t *testing.T) {
	t.Parallel()
	server := serve(t, fixed)
	s := open(t, server)
	fs := several(5)
	fs[3] = made(3, `{"pad":"`+strings.Repeat("x", 9000)+`"}`)
	server.LimitItem(6000)
	out, err := s.Record(t.Context(), fs)
	if err != nil || out.New != 5 {
		t.Fatalf("%d new, %v", out.New, err)
	}
	holds(t, s, fs)
	i := 0
	for f, err := range s.Findings(t.Context(), tenant, fs[0].AlertID) {
		if err != nil {
			t.Fatal(err)
		}
		if (f.Record == nil) != (i == 3) || len(f.Facts) != 1 || f.RecordHash == "" {
			t.Errorf("finding %d: record %d bytes, %d facts", i, len(f.Record), len(f.Facts))
		}
		i++
	}
	server.LimitItem(100)
	if _, err := s.Record(t.Context(), several(7)[5:]); !errors.Is(err, store.ErrRejected) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrRejected", err)
	}
	server.LimitItem(2 << 20)
	for _, f := range []cosmostest.Fault{{Status: 413}, {Status: 400}, {Status: 403, Substatus: subPartitionFull}} {
		times(server, -1, f, "batch")
		if _, err := s.Record(t.Context(), several(7)[5:]); !errors.Is(err, store.ErrRejected) {
			t.Errorf("%d: got %v, want ErrRejected", f.Status, err)
		}
		if err := s.SetAside(t.Context(), []alert.SetAside{alert.NewSetAside("r", "", "p", "h", "x")}); !errors.Is(err, store.ErrRejected) {
			t.Errorf("%d: got %v, want ErrRejected", f.Status, err)
		}
	}
	server.Inject(nil)
	holds(t, s, fs)
}

func TestWhatAnOperatorCanMendIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault   cosmostest.Fault
		mention string
	}{
		"unauthorised":   {cosmostest.Fault{Status: 401}, "refuses the credential"},
		"forbidden":      {cosmostest.Fault{Status: 403, Substatus: 5301}, "role assignment"},
		"no container":   {cosmostest.Fault{Status: 404, Substatus: subOwnerNotFound}, "no such database or container"},
		"a foreign key":  {cosmostest.Fault{Status: 400, Substatus: subPartitionKeyMismatch}, "partition key of the container"},
		"out of service": {cosmostest.Fault{Status: 503}, "HTTP 503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, operations := range [][]string{{"account"}, {"read", "batch", "query", "replace", "create"}, {"batch", "replace", "create"}} {
				server := serve(t, fixed)
				s := open(t, server)
				times(server, -1, c.fault, operations...)
				fs := several(2)
				for attempt := range 2 {
					_, err := s.Record(t.Context(), fs)
					if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrRejected) {
						t.Fatalf("%v: got %v, want ErrUnavailable", operations, err)
					}
					if !strings.Contains(err.Error(), c.mention) || strings.Contains(err.Error(), cosmostest.Key) || strings.Contains(err.Error(), "type=master") {
						t.Errorf("%v, attempt %d: the message is %q", operations, attempt, err)
					}
				}
				// It is mended: the next call works, also where the very first look at the account had failed.
				server.Inject(nil)
				if _, err := s.Record(t.Context(), fs); err != nil {
					t.Errorf("%v: after it was mended: %v", operations, err)
				}
				holds(t, s, fs)
			}
		})
	}
}

func TestAWrongKeyIsUnavailable(t *testing.T) {
	t.Parallel()
	s := open(t, serve(t, fixed), func(o *Options) { o.Key = "bm90IHRoZSBrZXk=" })
	if _, err := s.Alert(t.Context(), tenant, several(1)[0].AlertID); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	server := cosmostest.Start(nil, fixed)
	server.Close()
	s := open(t, server)
	if _, err := s.Record(t.Context(), several(1)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	const endpoint = "https://account.documents.azure.com:443/"
	for name, c := range map[string]struct {
		o  Options
		ok bool
	}{
		"managed identity":           {Options{Endpoint: endpoint, Database: "d", Now: fixed}, true},
		"user-assigned":              {Options{Endpoint: endpoint, Database: "d", Now: fixed, ClientID: "11111111-2222-4333-8444-555555555555"}, true},
		"plain HTTP":                 {Options{Endpoint: "http://account/", Database: "d", Now: fixed}, false},
		"a key":                      {Options{Endpoint: endpoint, Database: "d", Now: fixed, Key: cosmostest.Key}, false},
		"an emulator":                {Options{Endpoint: "http://127.0.0.1:8081", Database: "d", Now: fixed, Emulator: true, Key: cosmostest.Key}, true},
		"an emulator without a key":  {Options{Endpoint: "http://127.0.0.1:8081", Database: "d", Now: fixed, Emulator: true}, false},
		"an emulator with a bad key": {Options{Endpoint: "http://127.0.0.1:8081", Database: "d", Now: fixed, Emulator: true, Key: "s3cret!"}, false},
		"another scheme":             {Options{Endpoint: "ftp://127.0.0.1", Database: "d", Now: fixed, Emulator: true, Key: cosmostest.Key}, false},
		"no endpoint":                {Options{Database: "d", Now: fixed}, false},
		"no database":                {Options{Endpoint: endpoint, Now: fixed}, false},
		"no clock":                   {Options{Endpoint: endpoint, Database: "d"}, false},
	} {
		s, err := New(c.o)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && c.o.Key != "" && strings.Contains(err.Error(), c.o.Key) {
			t.Errorf("%s: the error holds the key: %v", name, err)
		}
		if s != nil {
			_ = s.Close()
		}
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	now := today
	server := serve(t, func() time.Time { return now })
	s := open(t, server, func(o *Options) { o.Now = func() time.Time { return now } })
	fs := several(4)
	record := func(fs []alert.Finding) {
		t.Helper()
		if _, err := s.Record(t.Context(), fs); err != nil {
			t.Fatal(err)
		}
	}
	record(fs[:2])
	now = now.Add(50 * 24 * time.Hour)
	record(fs[2:]) // late: it prolongs nothing
	end := time.Date(2025, 3, 14, 0, 0, 0, 0, time.UTC).Add(store.DefaultRetention)
	now = end.Add(-time.Second)
	holds(t, s, fs)
	now = end
	if docs := server.Documents(database + "/alerts"); len(docs) != 0 {
		t.Errorf("%d documents outlive their day", len(docs))
	}
	// A replay of the expired day.
	record(fs)
	now = now.Add(90*24*time.Hour - time.Second)
	holds(t, s, fs)
	now = now.Add(time.Second)
	if docs := server.Documents(database + "/alerts"); len(docs) != 0 {
		t.Errorf("%d documents of a replay outlive it", len(docs))
	}
}

// TestDocuments looks at what stands in the database.
func TestDocuments(t *testing.T) {
	t.Parallel()
	server := serve(t, fixed)
	s := open(t, server)
	fs := several(alert.MaxEvidenced + 1)
	fs[0] = made(0, `{"n":12345678901234567890}`)
	if _, err := s.Record(t.Context(), fs); err != nil {
		t.Fatal(err)
	}
	for _, d := range server.Documents(database + "/alerts") {
		if d["pk"] != tenant+"_2025-03-14" {
			t.Errorf("partition key %v", d["pk"])
		}
		id, ok := d["id"].(string)
		if !ok || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			t.Errorf("id %v", d["id"])
		}
	}
	for f, err := range s.Findings(t.Context(), tenant, fs[0].AlertID) {
		if err != nil {
			t.Fatal(err)
		}
		if f.ID == fs[0].ID && string(f.Record) != `{"n":12345678901234567890}` {
			t.Errorf("the record became %s", f.Record)
		}
	}
	last := fs[len(fs)-1].Claim()
	claim, err := s.findingDocument(fs[0].AlertID, tenant+"_2025-03-14", &last, newCall())
	if err != nil {
		t.Fatal(err)
	}
	if len(claim) > 400 {
		t.Errorf("a claim takes %d bytes: %s", len(claim), claim)
	}
}

// TestATransactionIsBounded writes the worst that an attacker can have logged.
func TestATransactionIsBounded(t *testing.T) {
	t.Parallel()
	server := serve(t, fixed)
	s := open(t, server)
	for _, unit := range []string{`"",`, `"\u0001",`, `"\\",`, `"<",`} {
		var fs []alert.Finding
		for i := range store.MaxAtomic {
			f := made(i, `[`+strings.Repeat(unit, 20<<10)+`0]`)
			fs = append(fs, f)
			if f.Record == nil && f.RecordCut == "" {
				t.Fatal("there is no evidence")
			}
		}
		if _, err := s.Record(t.Context(), fs); err != nil {
			t.Fatal(err)
		}
		for f, err := range s.Findings(t.Context(), tenant, fs[0].AlertID) {
			if err != nil {
				t.Fatal(err)
			}
			if f.RecordHash != "" && f.RecordCut == "" && f.Record == nil {
				t.Errorf("%s: evidence was left out", unit)
			}
		}
		server.Close()
		server = serve(t, fixed)
		s = open(t, server)
	}
}

func TestQueriesStayInTheirPartitions(t *testing.T) {
	t.Parallel()
	server := serve(t, fixed)
	s := open(t, server)
	if _, err := s.Record(t.Context(), several(3)); err != nil {
		t.Fatal(err)
	}
	across := 0
	server.Inject(func(r cosmostest.Request) *cosmostest.Fault {
		if r.Operation == "query" && r.Partition == "" {
			across++
		}
		return nil
	})
	from := time.Date(2025, 3, 13, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		q    store.Query
		want int
	}{
		{store.Query{Tenants: []string{tenant}, From: from, To: from.Add(48 * time.Hour)}, 0},
		{store.Query{Tenants: []string{tenant}, From: from}, 1},
		{store.Query{Tenants: []string{tenant}, From: from, To: from.Add(100 * 24 * time.Hour)}, 1},
		{store.Query{}, 1},
	} {
		across = 0
		n := 0
		for _, err := range s.Alerts(t.Context(), c.q) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if across != c.want || n != 1 {
			t.Errorf("%+v: %d queries across partitions, want %d; %d alerts", c.q, across, c.want, n)
		}
	}
}

// BenchmarkRecord records batches of ten new findings of one alert: a read, a query and a transaction each.
func BenchmarkRecord(b *testing.B) {
	s := open(b, serve(b, fixed), func(o *Options) { o.Transport = &http.Client{} })
	fs := make([]alert.Finding, 10)
	n := 0
	for b.Loop() {
		for i := range fs {
			fs[i] = made(n%50_000, `{"id":1}`)
			fs[i].ID = alert.NewFindingID("r", event.ID(fmt.Sprint(n)))
			fs[i].AlertID = alert.NewID("2025-03-14", tenant, "r", fmt.Sprint(n/100))
			n++
		}
		if _, err := s.Record(b.Context(), fs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "findings/s")
}

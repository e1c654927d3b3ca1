package sqlite

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// made returns finding i of an alert with the given key, with a record of a common size.
func made(i int, key string) alert.Finding {
	r := &rule.Rule{ID: "bench-rule", Title: "A rule", Version: 1, Key: rule.Key{Name: "app"}}
	v := &rule.Verdict{
		Rule: r, Truth: rule.True, Key: key, Stage: rule.Enabled, Severity: rule.High, Strength: rule.Strong,
		Leg:   &rule.Leg{ID: "only", Why: "it was made to be."},
		Facts: []rule.Fact{{Field: "app.id", Value: key, Op: "is", Operand: key, Truth: rule.True}},
	}
	ev := &event.Event{
		ID: event.ID(fmt.Sprintf("signin|11111111-2222-4333-8444-555555555555|%036d", i)), Kind: event.SignIn,
		Category: "SignInLogs", Tenant: "11111111-2222-4333-8444-555555555555",
		Time: event.Of(time.Date(2025, 3, 14, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Millisecond)),
	}
	return alert.NewFinding(v, ev, alert.Evidence{
		Record: `{"id":"` + strings.Repeat("x", 1000) + `"}`, Place: fmt.Sprintf("signins.json:%d", i),
	}, alert.Provenance{Run: "run-1", Assay: "v0", Reference: "r0"})
}

// BenchmarkRecord tells findings per second: of how many alerts they are decides.
func BenchmarkRecord(b *testing.B) {
	for _, c := range []struct{ calls, each int }{{1, 1}, {1, 256}, {256, 1}, {16, 16}} {
		for _, path := range []string{"file", Memory} {
			b.Run(fmt.Sprintf("%s/calls=%d/each=%d", path, c.calls, c.each), func(b *testing.B) {
				if path == "file" {
					path = filepath.Join(b.TempDir(), "assay.db")
				}
				s := open(b, path)
				n := 0
				for b.Loop() {
					b.StopTimer()
					day := n / 20_000
					var groups [][]alert.Finding
					for g := range c.calls {
						var fs []alert.Finding
						for range c.each {
							n++
							fs = append(fs, made(n, fmt.Sprintf("key-%d-%d", g, day)))
						}
						groups = append(groups, fs)
					}
					b.StartTimer()
					for _, fs := range groups {
						if _, err := s.Record(b.Context(), fs); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "findings/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

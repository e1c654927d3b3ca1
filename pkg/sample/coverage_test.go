package sample_test

import (
	"maps"
	"testing"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/coverage"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/sample/made"
)

// What an organisation is told whether it would have seen Storm-0558: by what it logs, and by what it has told of itself.
func TestWouldStorm0558HaveBeenSeen(t *testing.T) {
	t.Parallel()
	const seen, weakly, blind = coverage.Clearly, coverage.Weakly, coverage.Blind
	everything := map[string]coverage.Seen{
		"own-application": seen, "own-application-other-key": seen, "personal-account": seen,
		"consumer-tenant": weakly, "other-object": weakly, "old-token": weakly, "future-token": weakly, "invented-id": weakly, // one of its feeds is OfficeActivity
		"unknown-application": seen, "borrowed-application": seen,
		"no-id": weakly, "renewal": weakly, // they observe
		"published-address": weakly, // an indicator
		"documents":         weakly,
		"graph-application": seen, "graph-token": seen,
		"perfect": blind, "sign-in": blind,
	}
	with := func(base, other map[string]coverage.Seen) map[string]coverage.Seen {
		out := maps.Clone(base)
		maps.Copy(out, other)
		return out
	}
	// Of the whole corpus only some logs, as an organisation has them.
	for name, c := range map[string]struct {
		config *config.Config
		only   func(*event.Event) bool
		want   map[string]coverage.Seen
	}{
		"everything, by every feed": {tellingAll(t), func(*event.Event) bool { return true }, everything},
		"everything, and no OfficeActivity": {
			tellingAll(t), func(ev *event.Event) bool { return ev.Category != "OfficeActivity" },
			with(everything, map[string]coverage.Seen{
				"consumer-tenant": seen, "other-object": seen, "old-token": seen, "future-token": seen, "invented-id": seen, "documents": seen,
			}),
		},
		"nothing but the table OfficeActivity, and nothing told": {
			&config.Config{}, func(ev *event.Event) bool { return ev.Category == "OfficeActivity" },
			map[string]coverage.Seen{
				"own-application": blind, "own-application-other-key": blind, "personal-account": blind, "consumer-tenant": blind, "other-object": blind,
				"old-token": blind, "future-token": blind, "invented-id": blind, "unknown-application": weakly, "borrowed-application": seen, "no-id": blind,
				"renewal": blind, "published-address": weakly, "documents": blind, "graph-application": blind, "graph-token": blind, "perfect": blind, "sign-in": blind,
			},
		},
		"sign-ins alone, as most have them": {
			tellingAll(t), func(ev *event.Event) bool { return ev.Kind == event.SignIn || ev.Kind == event.Risk },
			map[string]coverage.Seen{
				"own-application": blind, "own-application-other-key": blind, "personal-account": blind, "consumer-tenant": blind, "other-object": blind,
				"old-token": blind, "future-token": blind, "invented-id": blind, "unknown-application": blind, "borrowed-application": blind, "no-id": blind,
				"renewal": blind, "published-address": blind, "documents": blind, "graph-application": blind, "graph-token": blind, "perfect": blind, "sign-in": blind,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loaded, err := app.LoadRules(c.config)
			if err != nil {
				t.Fatal(err)
			}
			m := coverage.New(loaded.Rules)
			var s normalize.Scratch
			var ev event.Event
			n := normalize.New(decode.Scanner{}, "")
			eachRecord(t, made.Benign(bundledSeed, 3000), func(rec *envelope.Record) {
				if n.Normalize(rec, &s, &ev).Outcome == normalize.Normalised && c.only(&ev) {
					m.Add(&ev)
				}
			})
			got := map[string]coverage.Seen{}
			for _, v := range m.Report().Variants {
				got[v.Attack] = v.Seen
				if c.want[v.Attack] != v.Seen {
					t.Errorf("%s is %s, want %s: by %v; %s", v.Attack, v.Seen, c.want[v.Attack], v.By, v.Why)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("%d variants, want %d", len(got), len(c.want))
			}
		})
	}
}

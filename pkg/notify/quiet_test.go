package notify_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/rule"
)

// A replay that is to tell nobody tells nobody: not of what it finds, nor of an alert that becomes graver, stronger or of a
// higher stage by it, nor of one that it opens again. What a live batch then finds of the same alert is told.
func TestAQuietReplayTellsNobody(t *testing.T) {
	t.Parallel()
	quiet := func(f *alert.Finding) { f.From = alert.Provenance{Run: alert.ReplayPrefix + "1", Quiet: true} }
	weak := func(f *alert.Finding) { f.Strength = rule.Weak }
	low := func(f *alert.Finding) { f.Severity = rule.Low }
	critical := func(f *alert.Finding) { f.Severity = rule.Critical }
	observed := func(f *alert.Finding) { f.Stage = rule.Observe }
	type step struct {
		edits []func(*alert.Finding) // of a finding; none: the alert is closed
		told  notify.ChangeKind      // "": nobody is
	}
	finding := func(told notify.ChangeKind, edits ...func(*alert.Finding)) step {
		return step{append(edits, func(*alert.Finding) {}), told}
	}
	closing := func(told notify.ChangeKind) step { return step{nil, told} }
	for name, steps := range map[string][]step{
		"alone":                  {finding("", quiet), finding("", quiet, critical), finding(notify.New)},
		"closed":                 {finding("", quiet), closing("")},
		"graver, told before":    {finding(notify.New), finding("", quiet, critical), finding(notify.Escalated, critical)},
		"above the threshold":    {finding("", low), finding("", quiet), finding(notify.New)},
		"stronger":               {finding("", weak), finding("", quiet), finding(notify.New)},
		"of a higher stage":      {finding("", observed), finding("", quiet), finding(notify.New)},
		"opened again":           {finding(notify.New), closing(notify.Closed), finding("", quiet), finding("", quiet), finding(notify.Reopened)},
		"opened and graver":      {finding(notify.New), closing(notify.Closed), finding("", quiet, critical), finding(notify.Reopened)},
		"opened and closed":      {finding(notify.New), closing(notify.Closed), finding("", quiet), closing(""), finding(notify.Reopened), closing(notify.Closed)},
		"loud first, then quiet": {finding(notify.New), closing(notify.Closed), finding(notify.Reopened), finding("", quiet), finding("")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			soc := subscribe("soc")
			b := newBench(t, soc)
			id := alert.NewID("2026-03-01", contoso, "r", "k")
			for i, s := range steps {
				var a alert.Alert
				var err error
				if s.edits == nil {
					a, err = b.state.Update(t.Context(), "", id, func(a *alert.Alert) error {
						return a.Mark(alert.Change{At: b.now, By: "ada", Status: alert.Closed})
					})
				} else {
					f := alert.Finding{
						ID: alert.FindingID(fmt.Sprint("finding-", i)), AlertID: id, Rule: alert.RuleRef{ID: "r"}, Tenant: contoso, At: began,
						Severity: rule.High, Strength: rule.Strong, Stage: rule.Enabled, From: alert.Provenance{Run: "live"},
					}
					for _, edit := range s.edits {
						edit(&f)
					}
					out, rerr := b.state.Record(t.Context(), []alert.Finding{f})
					a, err = out.Alert, rerr
				}
				if err != nil {
					t.Fatal(err)
				}
				b.store(a)
				b.pass(time.Minute)
				soc.got = nil
				b.send()
				var got []notify.ChangeKind
				for _, m := range soc.got {
					for _, x := range m.Items {
						got = append(got, x.Change)
					}
				}
				if s.told == "" && len(got) > 0 || s.told != "" && !slices.Equal(got, []notify.ChangeKind{s.told}) {
					t.Errorf("step %d: told %v, want %q", i+1, got, s.told)
				}
				decisions, err := b.Route(t.Context(), &a)
				if err != nil || len(decisions) != 1 {
					t.Errorf("step %d: %v, %v", i+1, decisions, err)
				}
			}
		})
	}
}

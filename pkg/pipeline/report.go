package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

// Report tells what a run did. Records = Evaluated + the sum of Ignored + the sum of SetAside, plus Unselected where the
// run selects.
type Report struct {
	Records   int64
	Evaluated int64
	Ignored   map[string]int64 // by category
	SetAside  map[string]int64 // by reason
	// Unselected are records that the run's Selection leaves out.
	Unselected int64
	// Examples are the places of the first records set aside, by reason, at most three each.
	Examples map[string][]string
	// Details say what was wrong with the first record set aside, by reason, in a sentence.
	Details map[string]string
	// Latest is the latest time of an event that was evaluated, by its own word; zero: there was none.
	Latest time.Time

	Findings    int64 // matches of rules in this run, known ones included
	NewFindings int64 // of them, those that the store did not have
	Refused     int64 // of them, those that the store refused for good: set aside as "store-refused"
	Alerts      map[alert.ID]*Touched

	// Suppressed are the matches that page nobody because of a suppression, by its name. They are among the Findings.
	Suppressed map[string]Suppressed

	// NotEvaluable tells, by rule id, on how many records a rule could not be decided and what was missing.
	NotEvaluable map[string]*Blind
	// Asked tells, by rule and kind of log, of how many records rules were asked, and of how many they could tell.
	Asked map[RuleOfKind]Asked

	Seconds float64
}

// NewReport returns the report of a run that has done nothing yet.
func NewReport() *Report {
	return &Report{
		Ignored: map[string]int64{}, SetAside: map[string]int64{}, Examples: map[string][]string{}, Details: map[string]string{},
		Suppressed: map[string]Suppressed{}, Alerts: map[alert.ID]*Touched{}, NotEvaluable: map[string]*Blind{}, Asked: map[RuleOfKind]Asked{},
	}
}

// Add adds what another run did, later, to the report.
func (r *Report) Add(o *Report) {
	if o == nil {
		return
	}
	r.Records += o.Records
	r.Evaluated += o.Evaluated
	r.Unselected += o.Unselected
	r.Findings += o.Findings
	r.NewFindings += o.NewFindings
	r.Refused += o.Refused
	r.Seconds += o.Seconds
	r.happened(o.Latest)
	for name, n := range o.Ignored {
		r.Ignored[name] += n
	}
	for name, n := range o.SetAside {
		r.SetAside[name] += n
	}
	for name, s := range o.Suppressed {
		s.Findings += r.Suppressed[name].Findings
		r.Suppressed[name] = s
	}
	for reason, places := range o.Examples {
		r.Examples[reason] = slices.Concat(r.Examples[reason], places)
		r.Examples[reason] = r.Examples[reason][:min(len(r.Examples[reason]), maxExamples)]
	}
	for reason, detail := range o.Details {
		if _, known := r.Details[reason]; !known {
			r.Details[reason] = detail
		}
	}
	for id, t := range o.Alerts {
		mine := r.Alerts[id]
		if mine == nil {
			mine = &Touched{}
			r.Alerts[id] = mine
		}
		mine.Alert = t.Alert
		mine.New = mine.New || t.New
		mine.CountInRun += t.CountInRun
	}
	for id, b := range o.NotEvaluable {
		mine := r.NotEvaluable[id]
		if mine == nil {
			mine = &Blind{Missing: map[string]int64{}}
			r.NotEvaluable[id] = mine
		}
		mine.Records += b.Records
		for name, n := range b.Missing {
			mine.Missing[name] += n
		}
	}
	for of, a := range o.Asked {
		r.ask(of, a)
	}
}

// happened says that an event of that time was evaluated.
func (r *Report) happened(at time.Time) {
	if at.After(r.Latest) {
		r.Latest = at
	}
}

func (r *Report) ask(of RuleOfKind, a Asked) {
	sum := r.Asked[of]
	r.Asked[of] = Asked{sum.Records + a.Records, sum.Decided + a.Decided}
}

// RuleOfKind is a rule, and the kind of log that it was asked about.
type RuleOfKind struct {
	RuleID string
	Kind   event.Kind
}

// Asked counts records of a kind that a rule reads. The share of Decided is what the rule can see of that log.
type Asked struct{ Records, Decided int64 }

// maxExamples is how many places a reason for setting aside is given with.
const maxExamples = 3

// Touched is an alert that this run found something for.
type Touched struct {
	Alert      alert.Alert // as the store has it after the run's last finding
	New        bool        // the run created it
	CountInRun int64       // findings of this run; the same event read twice counts once
}

// Suppressed tells how many findings a suppression has kept from paging.
type Suppressed struct {
	alert.Suppression
	Findings int64
}

// Blind says on how many records a rule was undecided, and how often each field or reference data was missing.
type Blind struct {
	Records int64
	Missing map[string]int64
}

// counts are what one worker counts.
type counts struct {
	records, unselected int64
	evaluated           [event.NumKinds]int64
	ignored, setAside   map[string]int64
	blind               []blind   // by place in Engine.Rules
	latest              time.Time // of an event that was evaluated
}

func newCounts(rules int) counts {
	return counts{ignored: map[string]int64{}, setAside: map[string]int64{}, blind: make([]blind, rules)}
}

// count counts a name that an event holds. Names beyond maxNames are counted together. It returns the name's new count.
func count(m map[string]int64, name string) int64 {
	n, ok := m[name]
	if !ok {
		if len(m) >= maxNames {
			name = overflowedName
			n = m[name]
		}
		name = strings.Clone(name)
	}
	m[name] = n + 1
	return n + 1
}

// blind is a Blind in the making. The few names of a rule are found quicker in a slice than in a map.
type blind struct {
	records [event.NumKinds]int64
	names   []string
	times   []int64
}

func (b *blind) add(k event.Kind, missing []string) {
	b.records[k]++
	for _, m := range missing {
		if i := slices.Index(b.names, m); i >= 0 {
			b.times[i]++
			continue
		}
		b.names = append(b.names, m)
		b.times = append(b.times, 1)
	}
}

func (w *worker) addTo(r *Report) {
	r.Records += w.counts.records
	for _, n := range w.counts.evaluated {
		r.Evaluated += n
	}
	r.Unselected += w.counts.unselected
	r.happened(w.counts.latest)
	for name, n := range w.counts.ignored {
		r.Ignored[name] += n
	}
	for name, n := range w.counts.setAside {
		r.SetAside[name] += n
	}
	for i, of := range w.p.engine.Rules() {
		b := &w.counts.blind[i]
		records := int64(0)
		for _, k := range of.Kinds {
			if n := w.counts.evaluated[k]; n > 0 {
				r.ask(RuleOfKind{of.ID, k}, Asked{n, max(n-b.records[k], 0)})
			}
			records += b.records[k]
		}
		if records == 0 {
			continue
		}
		t := r.NotEvaluable[of.ID]
		if t == nil {
			t = &Blind{Missing: map[string]int64{}}
			r.NotEvaluable[of.ID] = t
		}
		t.Records += records
		for j, name := range b.names {
			t.Missing[name] += b.times[j]
		}
	}
}

// recorder stores what the workers found, in the order of the source. It lets the findings of several batches wait for
// each other, since an alert costs the store the same whether one finding joins it or a hundred.
type recorder struct {
	store  store.Store
	now    func() time.Time
	o      Options
	report *Report
	seen   map[alert.FindingID]struct{}

	findings []alert.Finding
	setAside []alert.SetAside
}

func newRecorder(s store.Store, now func() time.Time, o Options) *recorder {
	return &recorder{store: s, now: now, o: o, seen: map[alert.FindingID]struct{}{}, report: NewReport()}
}

// take holds what was made of the batch, and records all that is held if that is enough.
func (r *recorder) take(ctx context.Context, b *batch) error {
	r.findings = append(r.findings, b.findings...)
	r.setAside = append(r.setAside, b.setAside...)
	if len(r.findings)+len(r.setAside) >= maxHeld {
		return r.record(ctx)
	}
	return nil
}

// holds reports whether something waits to be stored.
func (r *recorder) holds() bool { return len(r.findings)+len(r.setAside) > 0 }

// record stores what is held.
func (r *recorder) record(ctx context.Context) error {
	if len(r.setAside) > 0 {
		for i := range r.setAside {
			s := &r.setAside[i]
			s.Seen, s.Run = r.now(), r.o.From.Run
			if ex := r.report.Examples[s.Reason]; len(ex) < maxExamples {
				r.report.Examples[s.Reason] = append(ex, s.Place)
				if len(ex) == 0 {
					r.report.Details[s.Reason] = s.Detail
				}
			}
		}
		if err := r.store.SetAside(ctx, r.setAside); err != nil {
			return fmt.Errorf("keep what was set aside: %w", err)
		}
	}
	for _, group := range byAlert(r.findings) {
		if err := r.keep(ctx, group); err != nil {
			return err
		}
	}
	clear(r.findings)
	clear(r.setAside)
	r.findings, r.setAside = r.findings[:0], r.setAside[:0]
	return nil
}

func (r *recorder) touch(group []alert.Finding, out store.Outcome) {
	id := out.Alert.ID
	t := r.report.Alerts[id]
	if t == nil {
		t = &Touched{}
		r.report.Alerts[id] = t
	}
	t.Alert = out.Alert
	t.New = t.New || out.Created
	r.report.Findings += int64(len(group))
	r.report.NewFindings += int64(out.New)
	for i := range group {
		if s := group[i].Suppressed; s != nil {
			r.report.Suppressed[s.Name] = Suppressed{*s, r.report.Suppressed[s.Name].Findings + 1}
		}
		if _, known := r.seen[group[i].ID]; known {
			continue
		}
		if len(r.seen) < maxRemembered {
			r.seen[group[i].ID] = struct{}{}
		}
		t.CountInRun++
	}
}

// byAlert groups findings by their alert, alerts in the order of their first finding.
func byAlert(findings []alert.Finding) [][]alert.Finding {
	at := map[alert.ID]int{}
	var groups [][]alert.Finding
	for _, f := range findings {
		i, ok := at[f.AlertID]
		if !ok {
			i = len(groups)
			at[f.AlertID] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	return groups
}

// Sorted returns the touched alerts of at least the given severity and stage: the gravest first, then the latest.
func (r *Report) Sorted(severity rule.Severity, stage rule.Stage) []*Touched {
	var out []*Touched
	for _, t := range r.Alerts {
		if t.Alert.Severity >= severity && t.Alert.Stage >= stage {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *Touched) int {
		if a.Alert.Severity != b.Alert.Severity {
			return int(b.Alert.Severity) - int(a.Alert.Severity)
		}
		if c := b.Alert.Last.Compare(a.Alert.Last); c != 0 {
			return c
		}
		return strings.Compare(string(a.Alert.ID), string(b.Alert.ID))
	})
	return out
}

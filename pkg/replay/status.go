package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

// Status is how a replay stands.
type Status struct {
	Job
	State    State    `json:"state"`
	Counters Counters `json:"counters"`
	Findings Findings `json:"findings"`
	Total    int64    `json:"totalUnits,omitempty"` // of all slices; 0: not known
	// End is about when it will be over, at its speed so far; zero: not known.
	End    time.Time `json:"estimatedEnd,omitzero"`
	Slices []Slice   `json:"slices"`
}

// Findings tell what is new of what a replay found. A finding is known if the store had it from elsewhere.
type Findings struct {
	New         int64 `json:"new"`
	Known       int64 `json:"known"` // matches that made no new finding: of records that were known, or read twice
	AlertsNew   int64 `json:"alertsNew"`
	AlertsKnown int64 `json:"alertsKnown"`
}

// Status returns how the replay stands, or store.ErrNotFound.
func (r *Runner) Status(ctx context.Context, id string) (*Status, error) {
	return r.status(ctx, id, func(*Result) {})
}

// Outcome is Status with what the replay found, by alert id.
func (r *Runner) Outcome(ctx context.Context, id string) (s *Status, found []Result, err error) {
	s, err = r.status(ctx, id, func(result *Result) { found = append(found, *result) })
	return s, found, err
}

func (r *Runner) status(ctx context.Context, id string, of func(*Result)) (*Status, error) {
	j, err := r.Documents.Job(ctx, id)
	if err != nil {
		return nil, err
	}
	s := &Status{Job: *j}
	if s.Slices, err = r.Documents.Slices(ctx, id); err != nil {
		return nil, err
	}
	s.State = stateOf(j, s.Slices)
	s.sum(r.Clock.Now())
	for result, err := range r.Results(ctx, j) {
		if err != nil {
			return nil, err
		}
		of(&result)
		s.Findings.New += result.New
		if result.AlertNew {
			s.Findings.AlertsNew++
		} else {
			s.Findings.AlertsKnown++
		}
	}
	s.Findings.Known = max(s.Counters.Matches-s.Findings.New, 0)
	return s, nil
}

// sum adds the slices up.
func (s *Status) sum(now time.Time) {
	known := true
	var began time.Time
	for i := range s.Slices {
		slice := &s.Slices[i]
		s.Counters.Add(&slice.Counters)
		s.Total += slice.Range.Units
		known = known && slice.Range.Units > 0
		if !slice.Began.IsZero() && (began.IsZero() || slice.Began.Before(began)) {
			began = slice.Began
		}
	}
	if !known {
		s.Total = 0
	}
	if s.State == StateRunning && s.Total > 0 && s.Counters.Units > 0 && now.After(began) {
		left := float64(max(s.Total-s.Counters.Units, 0)) / float64(s.Counters.Units) * float64(now.Sub(began))
		s.End = now.Add(time.Duration(left)).UTC().Truncate(time.Second)
	}
}

// Result is an alert that a replay found something for.
type Result struct {
	Alert    alert.Alert // as the store has it; of a dry run, as it would have it
	New      int64       // findings that the replay created, or would create
	AlertNew bool        // nobody else has found anything for it
}

// Results yields what the replay found, by alert id. It asks the store, which counts: nothing was counted on the way.
func (r *Runner) Results(ctx context.Context, j *Job) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		all, err := r.Documents.touched(ctx, j.ID)
		if err != nil {
			yield(Result{}, err)
			return
		}
		var dry map[alert.ID][]alert.Finding
		if j.Request.DryRun {
			if dry, err = r.Documents.dryFindings(ctx, j.ID); err != nil {
				yield(Result{}, err)
				return
			}
		}
		for _, t := range all {
			result, err := r.result(ctx, j, t, dry[t.Alert])
			if errors.Is(err, store.ErrNotFound) {
				continue // it has expired, or all its findings were refused
			}
			if !yield(result, err) || err != nil {
				return
			}
		}
	}
}

func (r *Runner) result(ctx context.Context, j *Job, t touched, dry []alert.Finding) (Result, error) {
	a, err := r.Store.Alert(ctx, t.Tenant, t.Alert)
	if j.Request.DryRun {
		var current *alert.Alert
		switch {
		case err == nil:
			current = &a
		case !errors.Is(err, store.ErrNotFound):
			return Result{}, fmt.Errorf("read alert %s: %w", t.Alert, err)
		case len(dry) == 0:
			return Result{}, err
		}
		slices.SortFunc(dry, byTime)
		out, fresh := store.Merge(current, dry, func(alert.FindingID) bool { return false }, r.Clock.Now())
		return Result{Alert: out.Alert, New: int64(len(fresh)), AlertNew: current == nil}, nil
	}
	if err != nil {
		return Result{}, fmt.Errorf("read alert %s: %w", t.Alert, err)
	}
	n, err := r.Store.CountFindings(ctx, t.Tenant, t.Alert, j.ID)
	if err != nil {
		return Result{}, err
	}
	return Result{Alert: a, New: n, AlertNew: n >= a.Count}, nil // a was read before: it may have grown
}

func byTime(a, b alert.Finding) int {
	if c := a.At.Compare(b.At); c != 0 {
		return c
	}
	return strings.Compare(string(a.ID), string(b.ID))
}

// Findings yields the findings that the replay created for the alert, or would create, with what evidence there is.
func (r *Runner) Findings(ctx context.Context, j *Job, a *alert.Alert) iter.Seq2[alert.Finding, error] {
	return func(yield func(alert.Finding, error) bool) {
		if j.Request.DryRun {
			all, err := r.Documents.dryFindings(ctx, j.ID)
			if err != nil {
				yield(alert.Finding{}, err)
				return
			}
			found := all[a.ID]
			slices.SortFunc(found, byTime)
			for _, f := range found {
				if !yield(f, nil) {
					return
				}
			}
			return
		}
		for f, err := range r.Store.Findings(ctx, a.Tenant, a.ID) {
			if err == nil && f.From.Run != j.ID {
				continue
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

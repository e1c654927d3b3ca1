package alert

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// maxHistory bounds an alert's history, in bytes of JSON. The oldest changes are dropped.
const maxHistory = 16 << 10

// Assay is who made a Change that nobody made by hand.
const Assay = "assay"

// ErrChange says that a Change cannot be made.
var ErrChange = errors.New("invalid change of an alert")

// Mark makes an analyst's change: it sets status and verdict and keeps the change in the history.
func (a *Alert) Mark(c Change) error {
	switch {
	case c.By == "":
		return fmt.Errorf("%w: it does not say who makes it", ErrChange)
	case c.At.IsZero():
		return fmt.Errorf("%w: it has no time", ErrChange)
	case !slices.Contains([]Status{Open, Acknowledged, Closed}, c.Status):
		return fmt.Errorf("%w: %q is none of the statuses open, acknowledged, closed", ErrChange, c.Status)
	case !slices.Contains([]Verdict{NoVerdict, TruePositive, FalsePositive, Benign}, c.Verdict):
		return fmt.Errorf("%w: %q is none of the verdicts true-positive, false-positive, benign", ErrChange, c.Verdict)
	case c.Verdict != NoVerdict && c.Status != Closed:
		return fmt.Errorf("%w: only a closed alert has a verdict", ErrChange)
	}
	a.change(c)
	return nil
}

// Reopen opens a closed alert to which a new finding came, unless its verdict is false positive or benign. quiet says that
// only quiet runs found what is new. It tells whether it did.
func (a *Alert) Reopen(at time.Time, quiet bool) bool {
	if t := a.turn(); t != nil && t.Quiet && !quiet {
		// What has come now would have opened it, too: it is news.
		a.History = slices.Clone(a.History)
		a.turn().Quiet = false
	}
	if a.Status != Closed || a.Verdict == FalsePositive || a.Verdict == Benign {
		return false
	}
	note := "new findings after it was closed"
	if quiet {
		note = "a replay that tells nobody had new findings after it was closed"
	}
	a.change(Change{At: at, By: Assay, Status: Open, Note: note, Quiet: quiet})
	return true
}

// turn returns the entry of the history by which the alert was last opened again, or nil if it is closed or was never.
func (a *Alert) turn() *Change {
	if a.Status == Closed {
		return nil
	}
	for i := len(a.History) - 1; i >= 0; i-- {
		if a.History[i].Status != Closed && (i == 0 || a.History[i-1].Status == Closed) {
			return &a.History[i]
		}
	}
	return nil
}

// TakeMarks copies what belongs to analysts from a copy of the alert that they changed: status, verdict, history.
func (a *Alert) TakeMarks(from *Alert) {
	turns := Turn(from.Revision) - Turn(a.Revision)
	if turns <= 0 && (a.Status == Closed) != (from.Status == Closed) {
		turns = 1
	}
	a.Status, a.Verdict, a.History = from.Status, from.Verdict, boundHistory(from.History)
	a.revise(max(turns, 0))
}

func (a *Alert) change(c Change) {
	turns := int64(0)
	if (a.Status == Closed) != (c.Status == Closed) {
		turns = 1
	}
	a.Status, a.Verdict = c.Status, c.Verdict
	a.History = boundHistory(append(a.History, c))
	a.revise(turns)
}

// Turn returns how often an alert was closed and reopened, taken together, when it had the revision: it is closed in odd ones.
func Turn(revision int64) int64 { return revision / 100 }

// revise brings the revision up to date with the alert's grade after it was closed or reopened so many times.
func (a *Alert) revise(turns int64) {
	a.Revision = (Turn(a.Revision)+turns)*100 + 10*int64(a.Stage) + int64(a.Severity)
}

// boundHistory returns the latest changes that fit into maxHistory.
func boundHistory(changes []Change) []Change {
	var out []Change
	size := 0
	for _, c := range slices.Backward(changes) {
		c.At = c.At.UTC().Round(0)
		c.By, c.Note = clip(c.By, maxText), clip(c.Note, maxNote)
		size += len(`{"at":"2006-01-02T15:04:05.999999999Z","by":"","status":"","verdict":"","note":"","quiet":true},`) +
			jsonLen(c.By) + jsonLen(string(c.Status)) + jsonLen(string(c.Verdict)) + jsonLen(c.Note)
		if size > maxHistory {
			break
		}
		out = append(out, c)
	}
	slices.Reverse(out)
	return out
}

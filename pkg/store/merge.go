package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
)

// ErrGroup says that findings were handed to Record that are not of one alert.
var ErrGroup = errors.New("findings are not of one alert")

// Check returns the alert that all the findings belong to, or ErrGroup.
func Check(findings []alert.Finding) (alert.ID, error) {
	if len(findings) == 0 {
		return "", fmt.Errorf("%w: there is none", ErrGroup)
	}
	id := findings[0].AlertID
	if id == "" {
		return "", fmt.Errorf("%w: finding %s names no alert", ErrGroup, findings[0].ID)
	}
	for i := range findings {
		if f := &findings[i]; f.AlertID != id {
			return "", fmt.Errorf("%w: finding %s is of %s, others are of %s", ErrGroup, f.ID, f.AlertID, id)
		}
	}
	return id, nil
}

// Merge is what Record does to an alert, the same in every implementation. current is the alert as it is stored, or nil;
// known tells which of the findings are. It returns what Record answers, and the findings to store: those that
// are new, each once, and with evidence only as long as the alert has fewer than alert.MaxEvidenced findings.
func Merge(current *alert.Alert, findings []alert.Finding, known func(alert.FindingID) bool, now time.Time) (Outcome, []alert.Finding) {
	var out Outcome
	var fresh []alert.Finding
	seen := make(map[alert.FindingID]bool, len(findings))
	for i := range findings {
		f := &findings[i]
		if seen[f.ID] || known(f.ID) {
			out.Known++
			continue
		}
		seen[f.ID] = true
		fresh = append(fresh, *f)
	}
	out.New = len(fresh)
	switch {
	case current != nil:
		out.Alert = *current
		out.Alert.Places = slices.Clone(current.Places) // Add writes into it
	case len(fresh) == 0:
		return out, nil
	default:
		out.Created = true
		out.Alert = alert.New(&fresh[0])
	}
	a := &out.Alert
	stage, severity := a.Stage, a.Severity
	quiet := true
	for i := range fresh {
		quiet = quiet && fresh[i].From.Quiet
		a.Add(&fresh[i])
		if a.Count >= alert.MaxEvidenced {
			fresh[i] = fresh[i].Claim()
		}
		a.Count++
	}
	out.Escalated = !out.Created && (a.Stage > stage || a.Stage == stage && a.Severity > severity)
	if len(fresh) > 0 {
		out.Reopened = a.Reopen(now, quiet)
	}
	return out, fresh
}

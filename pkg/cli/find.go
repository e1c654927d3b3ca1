package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

// Bounds of a search by the beginning of an id.
const (
	minPrefix     = 6 // characters of a finding's id, or of the part of an alert's behind the day
	maxCandidates = 5 // ids that an ambiguous beginning is answered with
)

// errNoSuchID says that no id begins so.
var errNoSuchID = errors.New("no alert and no finding has an id that begins so")

// found is what an id, or its unique beginning, names.
type found struct {
	alert   alert.Alert
	finding *alert.Finding // nil if the id is the alert's
}

// find looks for the alert or finding whose id begins with the text.
func find(ctx context.Context, s store.Store, id string) (found, error) {
	id = strings.ToLower(strings.TrimSpace(id))
	day := alert.ID(id).Day()
	if strings.Contains(id, "-") && day != "" {
		return findAlert(ctx, s, id, day)
	}
	if len(id) < minPrefix {
		return found{}, fmt.Errorf("%q is too short: give at least %d characters of an id", id, minPrefix)
	}
	return findFinding(ctx, s, id)
}

func findAlert(ctx context.Context, s store.Store, id string, day alert.Day) (found, error) {
	from, err := time.Parse(time.DateOnly, string(day))
	if err != nil {
		return found{}, fmt.Errorf("read the day of %q: %w", id, err)
	}
	var hits []alert.Alert
	for a, err := range s.Alerts(ctx, store.Query{From: from, To: from.AddDate(0, 0, 1)}) {
		if err != nil {
			return found{}, fmt.Errorf("look for alert %q: %w", id, err)
		}
		if strings.HasPrefix(string(a.ID), id) {
			hits = append(hits, a)
		}
	}
	switch len(hits) {
	case 0:
		return found{}, fmt.Errorf("%q: %w", id, errNoSuchID)
	case 1:
		return found{alert: hits[0]}, nil
	}
	ids := make([]string, len(hits))
	for i, a := range hits {
		ids[i] = string(a.ID)
	}
	return found{}, ambiguous(id, ids)
}

func findFinding(ctx context.Context, s store.Store, id string) (found, error) {
	var hits []found
	for a, err := range s.Alerts(ctx, store.Query{}) {
		if err != nil {
			return found{}, fmt.Errorf("look for finding %q: %w", id, err)
		}
		for f, err := range s.Findings(ctx, a.Tenant, a.ID) {
			if err != nil {
				return found{}, fmt.Errorf("look for finding %q: %w", id, err)
			}
			if strings.HasPrefix(string(f.ID), id) {
				hits = append(hits, found{a, &f})
			}
		}
	}
	switch len(hits) {
	case 0:
		return found{}, fmt.Errorf("%q: %w", id, errNoSuchID)
	case 1:
		return hits[0], nil
	}
	ids := make([]string, len(hits))
	for i, h := range hits {
		ids[i] = string(h.finding.ID)
	}
	return found{}, ambiguous(id, ids)
}

func ambiguous(id string, ids []string) error {
	more := ""
	if len(ids) > maxCandidates {
		more = fmt.Sprintf(" and %d more", len(ids)-maxCandidates)
		ids = ids[:maxCandidates]
	}
	return fmt.Errorf("%q is the beginning of several ids: %s%s", id, strings.Join(ids, ", "), more)
}

// evidence returns the finding that says most about the alert: its gravest, else the first that kept its evidence.
func evidence(ctx context.Context, s store.Store, a *alert.Alert) (*alert.Finding, error) {
	var best *alert.Finding
	for f, err := range s.Findings(ctx, a.Tenant, a.ID) {
		if err != nil {
			return nil, fmt.Errorf("read the findings of alert %s: %w", a.ID, err)
		}
		if f.ID == a.Lead.Finding && len(f.Facts) > 0 {
			return &f, nil
		}
		if best == nil || len(best.Facts) == 0 && len(f.Facts) > 0 {
			best = &f
		}
	}
	if best == nil {
		return nil, fmt.Errorf("alert %s has no findings", a.ID)
	}
	return best, nil
}

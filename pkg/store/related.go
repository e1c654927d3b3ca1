package store

import (
	"context"
	"fmt"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
)

// MaxRelated is how many related alerts are looked for: more than people read.
const MaxRelated = 20

// Related returns the other alerts of the same tenant and day, the most severe first, that are about the token, session or
// mailbox of the alert or of one of its findings. An alert that gathers several of them is found by those of its gravest
// finding alone.
func Related(ctx context.Context, s Store, a *alert.Alert, findings []alert.Finding) ([]alert.Relation, error) {
	about := alert.About(a, findings)
	if len(about) == 0 {
		return nil, nil
	}
	day, err := time.Parse(time.DateOnly, string(a.Day))
	if err != nil {
		return nil, fmt.Errorf("relate alert %s: %w", a.ID, err)
	}
	q := Query{Tenants: []string{a.Tenant}, From: day, To: day.AddDate(0, 0, 1), About: about, Limit: MaxRelated + 1}
	var out []alert.Relation
	for other, err := range s.Alerts(ctx, q) {
		if err != nil {
			return nil, fmt.Errorf("look for alerts that are related to %s: %w", a.ID, err)
		}
		// The store compares without regard to case; a token id that is no GUID is compared with it.
		if shares := other.Related(about); other.ID != a.ID && len(shares) > 0 && len(out) < MaxRelated {
			out = append(out, alert.Relation{Alert: &other, Shares: shares})
		}
	}
	return out, nil
}

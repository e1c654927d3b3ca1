package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

// storeRefused is why a finding is set aside that the store refuses for good.
const storeRefused = "store-refused"

// keep stores findings of one alert. Of those that the store refuses for good, each is set aside for itself: waiting
// would not mend it, and the others must not wait with it.
func (r *recorder) keep(ctx context.Context, group []alert.Finding) error {
	out, err := r.store.Record(ctx, group)
	switch {
	case err == nil:
		r.touch(group, out)
		return nil
	case !errors.Is(err, store.ErrRejected):
		return fmt.Errorf("record %d findings of alert %s: %w", len(group), group[0].AlertID, err)
	case len(group) > 1:
		for i := range group {
			if err := r.keep(ctx, group[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	f := &group[0]
	record := string(f.Record)
	if record == "" {
		record = f.RecordCut
	}
	item := alert.NewSetAside(storeRefused, fmt.Sprintf("finding %s of rule %s: %v", f.ID, f.Rule.ID, err), f.Place, sourceOf(f.Place), record)
	item.Seen, item.Run = r.now(), r.o.From.Run
	if err := r.store.SetAside(ctx, []alert.SetAside{item}); err != nil {
		return fmt.Errorf("keep finding %s, which the store refuses: %w", f.ID, err)
	}
	r.report.Findings++
	r.report.Refused++
	return nil
}

// sourceOf returns the hub or the file of a place; see envelope.Origin.String.
func sourceOf(place string) string {
	if hub, _, ok := strings.Cut(place, "/"); ok && strings.Contains(place, "@") {
		return hub
	}
	if i := strings.LastIndexByte(place, ':'); i > 0 {
		return place[:i]
	}
	return place
}

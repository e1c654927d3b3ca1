package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

// dryStore answers as the store would, and keeps what it would create as documents of the replay. The store itself is only
// read.
type dryStore struct {
	store.Store
	documents *Documents
	replay    string
	now       func() time.Time

	known map[alert.ID]map[alert.FindingID]bool // what the store has of the alerts met last
}

// maxKnown bounds the alerts whose findings are remembered.
const maxKnown = 200

// Record implements store.Store.
func (d *dryStore) Record(ctx context.Context, findings []alert.Finding) (store.Outcome, error) {
	id, err := store.Check(findings)
	if err != nil {
		return store.Outcome{}, err
	}
	tenant := findings[0].Tenant
	have, err := d.stored(ctx, tenant, id)
	if err != nil {
		return store.Outcome{}, err
	}
	var current *alert.Alert
	switch a, err := d.Alert(ctx, tenant, id); {
	case err == nil:
		current = &a
	case !errors.Is(err, store.ErrNotFound):
		return store.Outcome{}, err
	}
	out, fresh := store.Merge(current, findings, func(f alert.FindingID) bool { return have[f] }, d.now())
	for i := range fresh {
		if err := d.documents.create(ctx, d.replay, findingPrefix+string(fresh[i].ID), &fresh[i]); err != nil {
			return store.Outcome{}, err
		}
	}
	return out, nil
}

// SetAside implements store.Store. It is counted in the report, and nothing is kept.
func (d *dryStore) SetAside(context.Context, []alert.SetAside) error { return nil }

func (d *dryStore) stored(ctx context.Context, tenant string, id alert.ID) (map[alert.FindingID]bool, error) {
	if have, ok := d.known[id]; ok {
		return have, nil
	}
	have := map[alert.FindingID]bool{}
	for f, err := range d.Findings(ctx, tenant, id) {
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("look for what is known of alert %s: %w", id, err)
		}
		have[f.ID] = true
	}
	if d.known == nil || len(d.known) >= maxKnown {
		d.known = map[alert.ID]map[alert.FindingID]bool{}
	}
	d.known[id] = have
	return have, nil
}

// dryFindings returns the findings that a dry run would have created, by alert.
func (d *Documents) dryFindings(ctx context.Context, replay string) (map[alert.ID][]alert.Finding, error) {
	out := map[alert.ID][]alert.Finding{}
	for doc, err := range d.of(replay).List(ctx, findingPrefix) {
		var f alert.Finding
		if err == nil {
			err = json.Unmarshal(doc.Body, &f)
		}
		if err != nil {
			return nil, fmt.Errorf("list what replay %s would create: %w", replay, err)
		}
		out[f.AlertID] = append(out[f.AlertID], f)
	}
	return out, nil
}

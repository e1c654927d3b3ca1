package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/assay-sec/assay/pkg/store"
)

// Standing is how a subscription's receiver has behaved of late. It is one document for all instances that send.
type Standing struct {
	Minute    time.Time `json:"minute,omitzero"`    // in which the messages were counted
	Count     int       `json:"count,omitempty"`    // messages begun in it
	NotBefore time.Time `json:"notBefore,omitzero"` // nothing is sent before
	Failures  int       `json:"failures,omitempty"` // in a row
	Disabled  time.Time `json:"disabled,omitzero"`  // since when the receiver is gone for good; zero: it is not
	Reason    string    `json:"reason,omitempty"`   // of the last failure
}

// maxConflicts bounds how often a document is tried again that others change too.
const maxConflicts = 20

func standingID(subscription string) string { return "notify.standing." + subscription }

// LoadStanding returns the standing of the subscription.
func LoadStanding(ctx context.Context, s store.State, subscription string) (Standing, error) {
	_, st, err := loadStanding(ctx, s, subscription)
	return st, err
}

func loadStanding(ctx context.Context, s store.State, subscription string) (store.Document, Standing, error) {
	var st Standing
	doc, err := s.Load(ctx, standingID(subscription))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Document{ID: standingID(subscription)}, st, nil
	case err != nil:
		return doc, st, fmt.Errorf("load the standing of subscription %s: %w", subscription, err)
	}
	if err := json.Unmarshal(doc.Body, &st); err != nil {
		return doc, st, fmt.Errorf("read the standing of subscription %s: %w", subscription, err)
	}
	return doc, st, nil
}

// changeStanding applies the change, which may run several times. It tells whether change agreed.
func changeStanding(ctx context.Context, s store.State, subscription string, change func(*Standing) bool) (bool, error) {
	for n := 0; ; n++ {
		doc, st, err := loadStanding(ctx, s, subscription)
		if err != nil || !change(&st) {
			return false, err
		}
		if doc.Body, err = json.Marshal(st); err != nil {
			return false, fmt.Errorf("write the standing of subscription %s: %w", subscription, err)
		}
		_, err = s.Save(ctx, doc)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, store.ErrConflict) || n == maxConflicts {
			return false, fmt.Errorf("save the standing of subscription %s: %w", subscription, err)
		}
	}
}

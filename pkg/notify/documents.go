package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

// Documents are Deliveries kept as documents of a store, those of a subscription in a partition. What is owed and what is
// sent stand under different ids, so that looking for what is due does not read all that was ever sent. Both expire with
// their alert: as long as it can change, it is known what was told of it.
//
// The document that says "sent" is written before the other is deleted, and a claim looks for it after it is written. So
// a delivery that is made again after it was sent, by somebody who looked before, is found out before it goes out again.
type Documents struct {
	store   store.Collections
	expires func(alert.ID) time.Time
}

var _ Deliveries = (*Documents)(nil)

// NewDocuments returns the deliveries in the store. expires tells when an alert does.
func NewDocuments(s store.Collections, expires func(alert.ID) time.Time) *Documents {
	return &Documents{s, expires}
}

const (
	owed = "owed."
	done = "sent."
)

func documentID(prefix string, d *Delivery) string {
	return prefix + string(d.Alert) + "." + strconv.FormatInt(d.Revision, 10)
}

// of returns the documents of a subscription.
func (s *Documents) of(subscription string) store.State {
	return s.store.In(store.Deliveries, subscription)
}

// Create implements Deliveries.
func (s *Documents) Create(ctx context.Context, d Delivery) (bool, error) {
	sent, err := s.sent(ctx, &d)
	if err != nil || sent {
		return false, err
	}
	_, err = s.save(ctx, documentID(owed, &d), d, "")
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

func (s *Documents) sent(ctx context.Context, d *Delivery) (bool, error) {
	_, err := s.of(d.Subscription).Load(ctx, documentID(done, d))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (s *Documents) save(ctx context.Context, id string, d Delivery, version string) (Delivery, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return d, fmt.Errorf("write delivery %s: %w", d.ID, err)
	}
	doc, err := s.of(d.Subscription).Save(ctx, store.Document{ID: id, Body: body, Version: version, Expires: s.expires(d.Alert)})
	if err != nil {
		return d, fmt.Errorf("save delivery %s: %w", d.ID, err)
	}
	d.Version = doc.Version
	return d, nil
}

// Replace implements Deliveries.
func (s *Documents) Replace(ctx context.Context, d Delivery) (Delivery, error) {
	if d.State != Sent {
		version := d.Version
		if version == "" { // saving would create it
			return d, fmt.Errorf("replace delivery %s, which was not read from the store: %w", d.ID, store.ErrConflict)
		}
		d, err := s.save(ctx, documentID(owed, &d), d, version)
		if err != nil || d.State != Claimed {
			return d, err
		}
		sent, err := s.sent(ctx, &d)
		if err != nil || !sent {
			return d, err
		}
		if err := s.drop(ctx, &d); err != nil {
			return d, err
		}
		return d, fmt.Errorf("replace delivery %s, which is sent: %w", d.ID, store.ErrConflict)
	}
	// The message is out: whoever else claims it by now, that it was sent is true.
	mark := d
	mark.Related = nil
	out, err := s.save(ctx, documentID(done, &d), mark, "")
	if err != nil {
		return d, err
	}
	if err := s.drop(ctx, &d); err != nil && !errors.Is(err, store.ErrConflict) {
		return d, err
	}
	return out, nil
}

func (s *Documents) drop(ctx context.Context, d *Delivery) error {
	if err := s.of(d.Subscription).Delete(ctx, store.Document{ID: documentID(owed, d), Version: d.Version}); err != nil {
		return fmt.Errorf("remove delivery %s from what is owed: %w", d.ID, err)
	}
	return nil
}

// Told implements Deliveries.
func (s *Documents) Told(ctx context.Context, subscription string, id alert.ID) ([]int64, error) {
	var told []int64
	for _, prefix := range []string{owed, done} {
		prefix += string(id) + "."
		for doc, err := range s.of(subscription).List(ctx, prefix) {
			if err != nil {
				return nil, fmt.Errorf("list the deliveries of alert %s: %w", id, err)
			}
			n, err := strconv.ParseInt(strings.TrimPrefix(doc.ID, prefix), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read the id of delivery document %s: %w", doc.ID, err)
			}
			told = append(told, n)
		}
	}
	return told, nil
}

// Unsent implements Deliveries.
func (s *Documents) Unsent(ctx context.Context, subscription string) iter.Seq2[Delivery, error] {
	return deliveries(s.of(subscription).List(ctx, owed))
}

// All yields the deliveries of all subscriptions, of former ones too: those that are sent, or those that are not.
func (s *Documents) All(ctx context.Context, sent bool) iter.Seq2[Delivery, error] {
	prefix := owed
	if sent {
		prefix = done
	}
	return deliveries(s.store.Across(ctx, store.Deliveries, prefix))
}

func deliveries(docs iter.Seq2[store.Document, error]) iter.Seq2[Delivery, error] {
	return func(yield func(Delivery, error) bool) {
		for doc, err := range docs {
			if err != nil {
				yield(Delivery{}, fmt.Errorf("list deliveries: %w", err))
				return
			}
			var d Delivery
			if err := json.Unmarshal(doc.Body, &d); err != nil {
				yield(d, fmt.Errorf("read delivery document %s: %w", doc.ID, err))
				return
			}
			d.Version = doc.Version
			if !yield(d, nil) {
				return
			}
		}
	}
}

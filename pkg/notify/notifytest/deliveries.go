// Package notifytest holds the conformance suites of package notify: one for what keeps deliveries, one for what sends
// messages over HTTP.
package notifytest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/store"
)

// RunDeliveries tests an implementation of notify.Deliveries. open returns an empty one.
func RunDeliveries(t *testing.T, open func(t *testing.T) notify.Deliveries) {
	t.Helper()
	t.Run("a delivery is made once", func(t *testing.T) {
		s := open(t)
		d := made("soc", "20260301-a", 24)
		for i, want := range []bool{true, false} {
			if created, err := s.Create(t.Context(), d); err != nil || created != want {
				t.Errorf("time %d: %v, %v", i+1, created, err)
			}
		}
		got := unsent(t, s, "soc")
		if len(got) != 1 || got[0].Version == "" {
			t.Fatalf("unsent: %+v", got)
		}
		got[0].Version = ""
		if fmt.Sprint(got[0]) != fmt.Sprint(d) {
			t.Errorf("kept %+v, made %+v", got[0], d)
		}
	})
	t.Run("subscriptions are kept apart", func(t *testing.T) {
		s := open(t)
		create(t, s, made("soc", "20260301-a", 24))
		create(t, s, made("soc-2", "20260301-a", 24))
		create(t, s, made("soc", "20260301-ab", 25))
		if got := unsent(t, s, "soc"); len(got) != 2 {
			t.Errorf("soc has %d", len(got))
		}
		if got := unsent(t, s, "so"); len(got) != 0 {
			t.Errorf("so has %d", len(got))
		}
	})
	t.Run("revisions are told, sent or not", func(t *testing.T) {
		s := open(t)
		for _, r := range []int64{23, 24, 124} {
			create(t, s, made("soc", "20260301-a", r))
		}
		create(t, s, made("soc", "20260301-ab", 22))
		d := unsent(t, s, "soc")[0]
		send(t, s, claim(t, s, d))
		told, err := s.Told(t.Context(), "soc", "20260301-a")
		slices.Sort(told)
		if err != nil || !slices.Equal(told, []int64{23, 24, 124}) {
			t.Errorf("told %v, %v", told, err)
		}
	})
	t.Run("only the stored version can be claimed", func(t *testing.T) {
		s := open(t)
		create(t, s, made("soc", "20260301-a", 24))
		d := unsent(t, s, "soc")[0]
		first := claim(t, s, d)
		d.State = notify.Claimed
		if _, err := s.Replace(t.Context(), d); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a second claim: %v", err)
		}
		d.Version = ""
		if _, err := s.Replace(t.Context(), d); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a claim of what was never read: %v", err)
		}
		first.State, first.Reason = notify.Parked, "HTTP status 400"
		parked, err := s.Replace(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		if got := unsent(t, s, "soc"); len(got) != 1 || got[0].State != notify.Parked || got[0].Version != parked.Version {
			t.Errorf("parked: %+v", got)
		}
	})
	t.Run("what is sent stays sent", func(t *testing.T) {
		s := open(t)
		d := made("soc", "20260301-a", 24)
		create(t, s, d)
		claimed := claim(t, s, unsent(t, s, "soc")[0])
		send(t, s, claimed)
		if got := unsent(t, s, "soc"); len(got) != 0 {
			t.Errorf("unsent: %+v", got)
		}
		if created, err := s.Create(t.Context(), d); err != nil || created {
			t.Errorf("made again: %v, %v", created, err)
		}
		claimed.State = notify.Claimed
		if _, err := s.Replace(t.Context(), claimed); !errors.Is(err, store.ErrConflict) {
			t.Errorf("claimed again: %v", err)
		}
	})
	t.Run("of many claims one succeeds", func(t *testing.T) {
		s := open(t)
		create(t, s, made("soc", "20260301-a", 24))
		d := unsent(t, s, "soc")[0]
		d.State = notify.Claimed
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := s.Replace(t.Context(), d)
				switch {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, store.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d claims succeeded", won.Load())
		}
	})
}

func made(subscription string, id alert.ID, revision int64) notify.Delivery {
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	return notify.Delivery{
		ID: notify.DeliveryID(id, subscription, revision), Subscription: subscription, Alert: id, Tenant: "t", Revision: revision,
		Change: notify.New, Severity: 3, Related: []string{"x"}, State: notify.Pending, Created: at, Due: at.Add(time.Second),
	}
}

func create(t *testing.T, s notify.Deliveries, d notify.Delivery) {
	t.Helper()
	if created, err := s.Create(t.Context(), d); err != nil || !created {
		t.Fatalf("create %s: %v, %v", d.ID, created, err)
	}
}

func unsent(t *testing.T, s notify.Deliveries, subscription string) []notify.Delivery {
	t.Helper()
	var out []notify.Delivery
	for d, err := range s.Unsent(t.Context(), subscription) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

func claim(t *testing.T, s notify.Deliveries, d notify.Delivery) notify.Delivery {
	t.Helper()
	d.State = notify.Claimed
	d, err := s.Replace(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func send(t *testing.T, s notify.Deliveries, d notify.Delivery) {
	t.Helper()
	d.State = notify.Sent
	if _, err := s.Replace(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

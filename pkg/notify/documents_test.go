package notify_test

import (
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/notify/notifytest"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

func never(alert.ID) time.Time { return time.Time{} }

func memory(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	notifytest.RunDeliveries(t, func(t *testing.T) notify.Deliveries { return notify.NewDocuments(memory(t), never) })
}

// Somebody who looked before the message was sent makes its delivery again afterwards: it must not go out again.
func TestADeliveryThatComesBack(t *testing.T) {
	t.Parallel()
	state := memory(t)
	s := notify.NewDocuments(state, never)
	d := notify.Delivery{ID: "x", Subscription: "soc", Alert: "20260301-a", Revision: 24, State: notify.Pending}
	if _, err := s.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	read := func() (out []notify.Delivery) {
		for d, err := range s.Unsent(t.Context(), "soc") {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, d)
		}
		return out
	}
	owed, err := state.In(store.Deliveries, "soc").Load(t.Context(), "owed.20260301-a.24")
	if err != nil {
		t.Fatal(err)
	}
	sent := read()[0]
	sent.State = notify.Sent
	if _, err := s.Replace(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	owed.Version = ""
	if _, err := state.In(store.Deliveries, "soc").Save(t.Context(), owed); err != nil {
		t.Fatal(err)
	}
	again := read()
	if len(again) != 1 {
		t.Fatal("the test does not test what it should")
	}
	again[0].State = notify.Claimed
	if _, err := s.Replace(t.Context(), again[0]); err == nil {
		t.Error("it was claimed")
	}
	if len(read()) != 0 {
		t.Error("it is still there")
	}
}

// What was told of an alert is known as long as the alert is, and no longer.
func TestDeliveriesExpireWithTheirAlert(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	state, err := sqlite.OpenWith(t.Context(), sqlite.Memory, sqlite.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close() //nolint:errcheck // a test's
	end := now.Add(30 * 24 * time.Hour)
	s := notify.NewDocuments(state, func(alert.ID) time.Time { return end })
	for _, revision := range []int64{24, 25} {
		d := notify.Delivery{ID: "x", Subscription: "soc", Alert: "20260301-a", Revision: revision, State: notify.Pending}
		if _, err := s.Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for d, err := range s.Unsent(t.Context(), "soc") {
		if err != nil {
			t.Fatal(err)
		}
		d.State = notify.Sent
		if _, err := s.Replace(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		break // one stays owed
	}
	for at, want := range map[time.Time]int{end.Add(-time.Second): 2, end.Add(time.Second): 0} {
		now = at
		if told, err := s.Told(t.Context(), "soc", "20260301-a"); err != nil || len(told) != want {
			t.Errorf("at %s it was told of %v, %v, want %d", at, told, err, want)
		}
	}
}

package notify_test

import (
	"testing"

	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/notify/notifytest"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

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
	notifytest.RunDeliveries(t, func(t *testing.T) notify.Deliveries { return notify.NewDocuments(memory(t)) })
}

// Somebody who looked before the message was sent makes its delivery again afterwards: it must not go out again.
func TestADeliveryThatComesBack(t *testing.T) {
	t.Parallel()
	state := memory(t)
	s := notify.NewDocuments(state)
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
	owed, err := state.Load(t.Context(), "delivery.owed.soc.20260301-a.24")
	if err != nil {
		t.Fatal(err)
	}
	sent := read()[0]
	sent.State = notify.Sent
	if _, err := s.Replace(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	owed.Version = ""
	if _, err := state.Save(t.Context(), owed); err != nil {
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

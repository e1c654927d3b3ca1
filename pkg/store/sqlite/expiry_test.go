package sqlite

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

func TestExpiry(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	path := filepath.Join(t.TempDir(), "assay.db")
	first := made(0, "k")
	begin := first.At.UTC().Truncate(day)
	now, retention := begin.Add(10*time.Hour), 30*day
	s, err := OpenWith(t.Context(), path, Options{Retention: func() time.Duration { return retention }, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test's
	record := func(fs ...alert.Finding) alert.ID {
		t.Helper()
		out, err := s.Record(t.Context(), fs)
		if err != nil {
			t.Fatal(err)
		}
		return out.Alert.ID
	}
	there := func(id alert.ID, want bool) {
		t.Helper()
		if _, err := s.Alert(t.Context(), "", id); (err == nil) != want || err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("on %s: %v, want it there: %v", now.Format(time.DateTime), err, want)
		}
	}
	// other makes the store look for what is over, and is itself of the day on which it is made.
	n := 100
	other := func() {
		t.Helper()
		f := made(n, "other")
		n++
		f.At, f.AlertID = now, alert.NewID(alert.DayOf(now), f.Tenant, f.Rule.ID, f.Key)
		record(f)
	}
	id := record(first)
	now = begin.Add(20 * day)
	record(made(1, "k")) // late: it prolongs nothing
	now = begin.Add(30*day - time.Second)
	other()
	there(id, true)
	now = begin.Add(31 * day)
	other()
	there(id, false)

	// A replay of the day that is over.
	id = record(first)
	now = now.Add(89 * day)
	other()
	there(id, true)
	now = now.Add(2 * day)
	other()
	there(id, false)
	var left int
	if err := s.write.QueryRowContext(t.Context(), `SELECT count(*) FROM findings WHERE alert NOT IN (SELECT n FROM alerts)`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d findings outlive their alert, %v", left, err)
	}

	// A store that is not told how long keeps what it writes, and leaves alone what somebody else has dated.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenWith(t.Context(), path, Options{Now: func() time.Time { return now }}); err != nil {
		t.Fatal(err)
	}
	id = record(first)
	now = now.AddDate(50, 0, 0)
	other()
	there(id, true)
}

func TestSetAsideExpires(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 3, 14, 12, 0, 0, 0, time.UTC)
	s, err := OpenWith(t.Context(), Memory, Options{Retention: func() time.Duration { return 0 }, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test's
	item := alert.NewSetAside("torn", "", "a.json:1", "a.json", "{")
	item.Seen = now
	if err := s.SetAside(t.Context(), []alert.SetAside{item}); err != nil {
		t.Fatal(err)
	}
	count := func() (n int) {
		for _, err := range s.SetAsides(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	for _, c := range []struct {
		at   time.Time
		want int
	}{{now.Add(store.DefaultRetention - time.Hour), 1}, {now.Add(store.DefaultRetention + 25*time.Hour), 0}} {
		now = c.at
		if _, err := s.Record(t.Context(), []alert.Finding{made(c.want, "k")}); err != nil {
			t.Fatal(err)
		}
		if got := count(); got != c.want {
			t.Errorf("on %s %d are kept, want %d", now, got, c.want)
		}
	}
}

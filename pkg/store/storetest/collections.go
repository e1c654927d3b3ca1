package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/store"
)

// Documents is a store of documents, in collections and in none.
type Documents interface {
	store.State
	store.Collections
}

var midday = time.Date(2025, 3, 15, 12, 0, 0, 0, time.UTC)

// RunCollections tests an implementation of store.Collections. open returns an empty one.
func RunCollections(t *testing.T, open func(t *testing.T) Documents) {
	t.Helper()
	for _, c := range []store.Collection{store.Deliveries, store.Replays} {
		t.Run(string(c), func(t *testing.T) {
			RunState(t, func(t *testing.T) store.State {
				t.Helper()
				return open(t).In(c, "of-somebody.1")
			})
		})
	}
	t.Run("partitions and collections do not see each other", func(t *testing.T) {
		s := open(t)
		var want []string
		for _, at := range []store.State{s, s.In(store.Deliveries, "a"), s.In(store.Deliveries, "b"), s.In(store.Replays, "a")} {
			if _, err := at.Load(t.Context(), "x.1"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("there before it was made: %v", err)
			}
			save(t, at, store.Document{ID: "x.1", Body: []byte(`{}`)})
			save(t, at, store.Document{ID: "y", Body: []byte(`{}`)})
		}
		for _, partition := range []string{"b", "a"} {
			for i := range 120 {
				save(t, s.In(store.Deliveries, partition), store.Document{ID: fmt.Sprintf("x.2.%03d", i), Body: []byte(`{}`)})
			}
		}
		for _, partition := range []string{"a", "b"} {
			want = append(want, partition+" x.1")
			for i := range 120 {
				want = append(want, fmt.Sprintf("%s x.2.%03d", partition, i))
			}
		}
		var got []string
		for d, err := range s.Across(t.Context(), store.Deliveries, "x.") {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, d.Partition+" "+d.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("across: %d documents %v, want %d", len(got), got, len(want))
		}
		if got := listed(t, s.In(store.Replays, "a"), "x."); !slices.Equal(got, []string{"x.1"}) {
			t.Errorf("in one partition: %v", got)
		}
		if got := listed(t, s, ""); !slices.Equal(got, []string{"x.1", "y"}) {
			t.Errorf("of no collection: %v", got)
		}
		d, err := s.In(store.Deliveries, "b").Load(t.Context(), "x.1")
		if err != nil || d.Partition != "b" {
			t.Fatalf("%+v, %v", d, err)
		}
		if err := s.In(store.Deliveries, "b").Delete(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if _, err := s.In(store.Deliveries, "a").Load(t.Context(), "x.1"); err != nil {
			t.Errorf("deleted in another partition: %v", err)
		}
	})
	t.Run("a partition has a name that can be stored", func(t *testing.T) {
		s := open(t)
		for _, name := range []string{"", "a/b", "a b", "ä"} {
			at := s.In(store.Deliveries, name)
			if _, err := at.Save(t.Context(), store.Document{ID: "x", Body: []byte(`{}`)}); !errors.Is(err, store.ErrDocument) {
				t.Errorf("save in %q: %v", name, err)
			}
			if _, err := at.Load(t.Context(), "x"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("load in %q: %v", name, err)
			}
			if got := listed(t, at, ""); len(got) > 0 {
				t.Errorf("list in %q: %v", name, got)
			}
		}
	})
}

// RunExpiry tests the expiry of documents, in collections and in none. open returns an empty store that takes the time
// from now.
func RunExpiry(t *testing.T, open func(t *testing.T, now func() time.Time) Documents) {
	t.Helper()
	now := midday
	s := open(t, func() time.Time { return now })
	for name, at := range map[string]store.State{"state": s, "deliveries": s.In(store.Deliveries, "a"), "replays": s.In(store.Replays, "a")} {
		now = midday
		save(t, at, store.Document{ID: "kept", Body: []byte(`{}`)})
		made := save(t, at, store.Document{ID: "short", Body: []byte(`{"n":1}`), Expires: midday.Add(time.Minute)})
		longer := save(t, at, store.Document{ID: "longer", Body: []byte(`{}`), Expires: midday.Add(time.Minute)})
		lifted := save(t, at, store.Document{ID: "lifted", Body: []byte(`{}`), Expires: midday.Add(time.Minute)})

		now = midday.Add(59 * time.Second)
		d, err := at.Load(t.Context(), "short")
		if err != nil || !d.Expires.Equal(midday.Add(time.Minute)) || d.Version != made.Version {
			t.Fatalf("%s: before it expires: %+v, %v", name, d, err)
		}
		longer.Expires = midday.Add(time.Hour)
		save(t, at, longer)
		lifted.Expires = time.Time{}
		save(t, at, lifted)

		now = midday.Add(61 * time.Second)
		if _, err := at.Load(t.Context(), "short"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: load what has expired: %v", name, err)
		}
		if got := listed(t, at, ""); !slices.Equal(got, []string{"kept", "lifted", "longer"}) {
			t.Errorf("%s: listed %v", name, got)
		}
		if _, err := at.Save(t.Context(), d); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: replace what has expired: %v", name, err)
		}
		if err := at.Delete(t.Context(), d); err != nil {
			t.Errorf("%s: delete what has expired: %v", name, err)
		}
		save(t, at, store.Document{ID: "short", Body: []byte(`{"n":2}`), Expires: now.Add(time.Minute)})
		if d, err := at.Load(t.Context(), "short"); err != nil || string(d.Body) != `{"n":2}` {
			t.Errorf("%s: made again: %s, %v", name, d.Body, err)
		}
		now = midday.Add(61 * time.Minute)
		if got := listed(t, at, ""); !slices.Equal(got, []string{"kept", "lifted"}) {
			t.Errorf("%s: listed %v", name, got)
		}
	}
}

func listed(t *testing.T, s store.State, prefix string) []string {
	t.Helper()
	var ids []string
	for d, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, d.ID)
	}
	return ids
}

package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/assay-sec/assay/pkg/store"
)

// RunState tests an implementation of store.State. open returns an empty one.
func RunState(t *testing.T, open func(t *testing.T) store.State) {
	t.Helper()
	t.Run("a document is created once", func(t *testing.T) {
		s := open(t)
		if _, err := s.Load(t.Context(), "a.b"); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("load before it is there: %v", err)
		}
		made := save(t, s, store.Document{ID: "a.b", Body: []byte(`{"n":1}`)})
		if _, err := s.Save(t.Context(), store.Document{ID: "a.b", Body: []byte(`{"n":2}`)}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("creating it again: %v", err)
		}
		got, err := s.Load(t.Context(), "a.b")
		if err != nil || string(got.Body) != `{"n":1}` || got.Version != made.Version || got.Version == "" {
			t.Errorf("loaded %+v, %v, made %+v", got, err, made)
		}
	})
	t.Run("only the stored version can be replaced or deleted", func(t *testing.T) {
		s := open(t)
		first := save(t, s, store.Document{ID: "x", Body: []byte(`{"n":1}`)})
		second := first
		second.Body = []byte(`{"n":2}`)
		second = save(t, s, second)
		if second.Version == first.Version {
			t.Error("the version stayed the same")
		}
		if _, err := s.Save(t.Context(), first); !errors.Is(err, store.ErrConflict) {
			t.Errorf("replacing an old version: %v", err)
		}
		if err := s.Delete(t.Context(), first); !errors.Is(err, store.ErrConflict) {
			t.Errorf("deleting an old version: %v", err)
		}
		if err := s.Delete(t.Context(), second); err != nil {
			t.Errorf("deleting: %v", err)
		}
		if err := s.Delete(t.Context(), second); err != nil {
			t.Errorf("deleting what is gone: %v", err)
		}
		if _, err := s.Save(t.Context(), second); !errors.Is(err, store.ErrConflict) {
			t.Errorf("replacing what is gone: %v", err)
		}
		third := save(t, s, store.Document{ID: "x", Body: []byte(`{"n":3}`)})
		if third.Version == first.Version || third.Version == second.Version {
			t.Error("a version came back")
		}
	})
	t.Run("documents are listed by prefix and id", func(t *testing.T) {
		s := open(t)
		var want []string
		for i := range 250 {
			id := fmt.Sprintf("heartbeat.hub.%03d", i)
			want = append(want, id)
			save(t, s, store.Document{ID: id, Body: []byte(`{}`)})
		}
		save(t, s, store.Document{ID: "heartbeats", Body: []byte(`{}`)})
		save(t, s, store.Document{ID: "start.hub.000", Body: []byte(`{}`)})
		var got []string
		for d, err := range s.List(t.Context(), "heartbeat.") {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, d.ID)
			if _, err := s.Load(t.Context(), d.ID); err != nil { // the store may be used meanwhile
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d documents, want %d", len(got), len(want))
		}
	})
	t.Run("of many writers one wins", func(t *testing.T) {
		s := open(t)
		save(t, s, store.Document{ID: "n", Body: []byte(`{"n":0}`)})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for done := 0; done < 10; {
					d, err := s.Load(t.Context(), "n")
					if err != nil {
						t.Error(err)
						return
					}
					var n int
					if _, err := fmt.Sscanf(string(d.Body), `{"n":%d}`, &n); err != nil {
						t.Error(err)
						return
					}
					d.Body = fmt.Appendf(nil, `{"n":%d}`, n+1)
					switch _, err := s.Save(t.Context(), d); {
					case err == nil:
						done++
					case !errors.Is(err, store.ErrConflict):
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if d, err := s.Load(t.Context(), "n"); err != nil || string(d.Body) != `{"n":80}` {
			t.Errorf("%s, %v", d.Body, err)
		}
	})
	t.Run("what cannot be stored is refused", func(t *testing.T) {
		s := open(t)
		for _, d := range []store.Document{
			{ID: "", Body: []byte(`{}`)},
			{ID: "a/b", Body: []byte(`{}`)},
			{ID: strings.Repeat("a", 256), Body: []byte(`{}`)},
			{ID: "a"},
			{ID: "a", Body: []byte(`[]`)},
			{ID: "a", Body: []byte(`{`)},
			{ID: "a", Body: []byte(`{"x":"` + strings.Repeat("y", 64<<10) + `"}`)},
		} {
			if _, err := s.Save(t.Context(), d); !errors.Is(err, store.ErrDocument) {
				t.Errorf("%.20s: %v", d.ID, err)
			}
		}
	})
}

func save(t *testing.T, s store.State, d store.Document) store.Document {
	t.Helper()
	d, err := s.Save(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

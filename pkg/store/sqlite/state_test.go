package sqlite

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/storetest"
)

func TestState(t *testing.T) {
	for name, path := range map[string]string{"file": "store.db", "memory": Memory} {
		t.Run(name, func(t *testing.T) {
			storetest.RunState(t, func(t *testing.T) store.State {
				t.Helper()
				at := path
				if at != Memory {
					at = filepath.Join(t.TempDir(), path)
				}
				s, err := Open(t.Context(), at)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				return s
			})
		})
	}
}

func TestCollections(t *testing.T) {
	for name, path := range map[string]string{"file": "store.db", "memory": Memory} {
		t.Run(name, func(t *testing.T) {
			made := func(t *testing.T, now func() time.Time) storetest.Documents {
				t.Helper()
				at := path
				if at != Memory {
					at = filepath.Join(t.TempDir(), path)
				}
				s, err := OpenWith(t.Context(), at, Options{Now: now})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				return s
			}
			storetest.RunCollections(t, func(t *testing.T) storetest.Documents { t.Helper(); return made(t, time.Now) })
			t.Run("changed", func(t *testing.T) {
				storetest.RunChanged(t, func(t *testing.T, now func() time.Time) store.Store {
					t.Helper()
					s, ok := made(t, now).(store.Store)
					if !ok {
						t.Fatal("it keeps no alerts")
					}
					return s
				})
			})
			t.Run("expiry", func(t *testing.T) { storetest.RunExpiry(t, made) })
		})
	}
}

// What has expired leaves the file with the writes of the following days.
func TestExpiredDocumentsDoNotPileUp(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 3, 15, 12, 0, 0, 0, time.UTC)
	s, err := OpenWith(t.Context(), filepath.Join(t.TempDir(), "store.db"), Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test's
	rows := 0
	for i := range 500 {
		now = now.Add(time.Hour)
		_, err := s.In(store.Deliveries, "a").Save(t.Context(), store.Document{
			ID: strconv.Itoa(i), Body: []byte(`{}`), Expires: now.Add(10 * time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.read.QueryRowContext(t.Context(), "SELECT count(*) FROM documents").Scan(&rows); err != nil || rows > 40 {
		t.Errorf("%d rows, %v, want those of the last days", rows, err)
	}
}

func TestOpenKeepsTheDocumentsOfSchema1(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	execute(t, path, schema1+fmt.Sprintf(`; PRAGMA application_id = %d; PRAGMA user_version = 1;
		INSERT INTO documents VALUES ('heartbeat.a', 'v', '{"n":1}');`, applicationID))
	d, err := open(t, path).Load(t.Context(), "heartbeat.a")
	if err != nil || string(d.Body) != `{"n":1}` || d.Version != "v" || !d.Expires.IsZero() {
		t.Errorf("%+v, %v", d, err)
	}
}

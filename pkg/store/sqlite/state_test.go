package sqlite

import (
	"path/filepath"
	"testing"

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

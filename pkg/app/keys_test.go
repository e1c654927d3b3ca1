package app_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/keys"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

// The timer records what is published, and with the switch off it asks nobody.
func TestKeysTimer(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		if strings.HasPrefix(r.URL.Path, "/organizations/") {
			http.Error(w, "<html>", http.StatusBadGateway)
			return
		}
		_, _ = w.Write([]byte(`{"keys":[{"kid":"new-key","kty":"RSA"}]}`))
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "assay.db")
	for _, c := range []struct {
		setting string
		asked   int
	}{{app.KeysOff, 0}, {server.URL, 3}} {
		settings := map[string]string{app.SettingStore: app.EmbeddedStore(path), app.SettingKeys: c.setting}
		s, err := app.NewService(t.Context(), func(name string) string { return settings[name] }, "test", slog.New(slog.DiscardHandler), now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Keys().Invoke(t.Context(), &azfunc.Invocation{Function: "keys"}); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		mu.Lock()
		if len(asked) != c.asked {
			t.Errorf("with %s=%s it asked for %v", app.SettingKeys, c.setting, asked)
		}
		mu.Unlock()
	}
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	h := keys.History{State: s}
	source, err := h.Load(t.Context(), time.Time{})
	if err != nil || len(source.Keys) != 1 || source.Keys[0].KID != "new-key" || len(source.Fetches) != 2 {
		t.Errorf("%+v, %v", source, err)
	}
}

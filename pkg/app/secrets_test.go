package app

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/notify/keyvault"
	"github.com/assay-sec/assay/pkg/notify/notifytest"
)

const (
	urlID = "https://kv-contoso.vault.azure.net/secrets/siem-url"
	keyID = "https://kv-contoso.vault.azure.net/secrets/siem-key"
	key1  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	key2  = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// receiver answers each path with a status; what was asked for the last time stands beside.
type receiver struct {
	*httptest.Server
	status    atomic.Int64 // of /old; /new takes everything
	calls     atomic.Int64
	signature atomic.Value
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		r.calls.Add(1)
		r.signature.Store(q.Header.Get("Webhook-Signature"))
		if q.URL.Path == "/old" {
			w.WriteHeader(int(r.status.Load()))
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func vaultSubscription(t *testing.T) *notify.Subscription {
	t.Helper()
	c, err := config.Parse("assay.yaml", []byte("subscriptions:\n  - {name: siem, kind: webhook, local: true, url: {keyVault: '"+urlID+
		"'}, signingKeys: [{keyVault: '"+keyID+"'}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return &c.Subscriptions[0]
}

func vaultNotifier(t *testing.T, v *notifytest.Vault) notify.Notifier {
	t.Helper()
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	find := newSecrets(func(string) string { return "" }, clock)
	find.azure = true
	find.vault = keyvault.New(keyvault.Options{
		Transport: v.Client, Now: clock, Credential: func() (azcore.TokenCredential, error) { return v, nil },
	})
	n, err := newNotifier(vaultSubscription(t), &config.Config{}, &Rules{}, find, clock)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// fails checks what became of the message, and that nothing of a secret is told.
func fails(t *testing.T, err error, remedy notify.Remedy, status int, reason string) {
	t.Helper()
	var f *notify.Failure
	if !errors.As(err, &f) || f.Remedy != remedy || f.Status != status || !strings.Contains(f.Reason, reason) {
		t.Errorf("%+v, want remedy %d, status %d, %q", err, remedy, status, reason)
		return
	}
	for _, secret := range []string{"kv-contoso", "siem-url", "127.0.0.1", "whsec", "/old", "what-the-receiver-wrote"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%v holds %s", err, secret)
		}
	}
}

func TestSecretsInKeyVault(t *testing.T) {
	t.Parallel()
	v, r := notifytest.NewVault(t), newReceiver(t)
	n := vaultNotifier(t, v)
	send := func() error { return n.Notify(t.Context(), notifytest.Message(1)) }
	if v.Reads() != 0 {
		t.Error("secrets were read before there was anything to send")
	}
	fails(t, send(), notify.Retry, 0, "the vault has no such secret")
	v.Set(urlID, "no address")
	v.Set(keyID, key1)
	fails(t, send(), notify.Retry, 0, "cannot be read")
	v.Set(urlID, r.URL+"/old")
	r.status.Store(http.StatusOK)
	if err := send(); err != nil {
		t.Error(err)
	}
	first := r.signature.Load()
	reads := v.Reads()
	if err := send(); err != nil || v.Reads() != reads {
		t.Errorf("%d reads, %v", v.Reads()-reads, err)
	}

	// A new key counts as soon as the receiver refuses the old one.
	v.Set(keyID, key2)
	v.Set(urlID, r.URL+"/new")
	r.status.Store(http.StatusUnauthorized)
	before := r.calls.Load()
	if err := send(); err != nil || r.calls.Load() != before+2 || r.signature.Load() == first {
		t.Errorf("%d calls, %v", r.calls.Load()-before, err)
	}
}

func TestSecretsAreReadAgainAfterARefusal(t *testing.T) {
	t.Parallel()
	v, r := notifytest.NewVault(t), newReceiver(t)
	v.Set(urlID, r.URL+"/old")
	v.Set(keyID, key1)
	n := vaultNotifier(t, v)
	send := func() error { return n.Notify(t.Context(), notifytest.Message(1)) }
	for status, remedy := range map[int]notify.Remedy{401: notify.Park, 403: notify.Park, 404: notify.Park, 410: notify.Disable} {
		r.status.Store(int64(status))
		before := r.calls.Load()
		fails(t, send(), remedy, status, "the receiver") // they are the same: it counts
		if r.calls.Load() != before+1 {
			t.Errorf("%d: %d calls", status, r.calls.Load()-before)
		}
		v.Fail(http.StatusServiceUnavailable)
		_ = send() // forgets them
		fails(t, send(), notify.Retry, 0, "the vault failed: status 503")
		v.Fail(0)
	}
	// Whether a receiver that is gone has another address cannot be known while the vault is away: nothing is disabled.
	r.status.Store(http.StatusOK)
	if err := send(); err != nil {
		t.Fatal(err)
	}
	r.status.Store(http.StatusGone)
	v.Fail(http.StatusForbidden)
	fails(t, send(), notify.Retry, http.StatusGone, "its secrets could not be read again")
	// Other refusals say nothing of secrets.
	v.Fail(0)
	r.status.Store(http.StatusOK)
	if err := send(); err != nil {
		t.Fatal(err)
	}
	reads := v.Reads()
	r.status.Store(http.StatusBadRequest)
	fails(t, send(), notify.Park, http.StatusBadRequest, "refuses")
	if v.Reads() != reads {
		t.Error("the secrets were read again")
	}
}

// In Azure a secret stands in Key Vault: elsewhere it is refused, aloud, and nothing owed to the subscription is lost.
func TestInAzureSecretsStandInKeyVault(t *testing.T) {
	t.Parallel()
	local := map[string]string{"URL": "https://x.example", "KEY": key1}
	azure := map[string]string{instanceVariable: "1", "URL": local["URL"], "KEY": key1}
	cosmos := map[string]string{SettingStore: storeCosmos, "URL": local["URL"], "KEY": key1}
	emulator := map[string]string{SettingStore: storeCosmos, settingEmulator: "true", "URL": local["URL"], "KEY": key1}
	inline, env, vault := notify.SecretSource{Value: notify.NewSecret("https://x.example")}, notify.SecretSource{Env: "URL"}, vaultSubscription(t).URL
	rules, err := LoadRules(&config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := MemoryBackend(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close() //nolint:errcheck // a test's
	for name, c := range map[string]struct {
		settings map[string]string
		url, key notify.SecretSource
		want     string
	}{
		"inline":                       {azure, inline, notify.SecretSource{}, "find the URL: in Azure it is to stand in Key Vault"},
		"environment":                  {azure, env, notify.SecretSource{}, "find the URL: in Azure"},
		"beside Cosmos DB":             {cosmos, inline, notify.SecretSource{}, "find the URL: in Azure"},
		"a key":                        {azure, vault, notify.SecretSource{Env: "KEY"}, "find a signing key: in Azure"},
		"all in the vault":             {azure, vault, vault, ""},
		"on one's own machine":         {local, inline, notify.SecretSource{Env: "KEY"}, ""},
		"the emulator":                 {emulator, env, notify.SecretSource{Env: "KEY"}, ""},
		"own machine, but not set":     {map[string]string{}, env, notify.SecretSource{}, "URL is empty"},
		"own machine, with Key Vault":  {local, vault, vault, ""},
		"own machine, both kinds used": {local, vault, notify.SecretSource{Env: "KEY"}, ""},
	} {
		s := notify.Subscription{Name: "soc", Kind: notify.Webhook, URL: c.url, PerMinute: 1, GiveUp: time.Hour}
		if c.key != (notify.SecretSource{}) {
			s.Keys = []notify.SecretSource{c.key}
		}
		getenv := func(k string) string { return c.settings[k] }
		_, err := newNotifier(&s, &config.Config{}, &Rules{}, newSecrets(getenv, time.Now), time.Now)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "x.example")) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		var log strings.Builder
		_, derr := NewDispatcher(&config.Config{Subscriptions: []notify.Subscription{s}}, rules, b, getenv, slog.New(slog.NewTextHandler(&log, nil)), time.Now)
		if derr != nil || (c.want != "") != strings.Contains(log.String(), "cannot be reached until its settings are mended") {
			t.Errorf("%s: %v, log %s", name, derr, log.String())
		}
	}
}

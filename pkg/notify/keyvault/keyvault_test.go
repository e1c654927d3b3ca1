package keyvault_test

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/notify/keyvault"
	"github.com/assay-sec/assay/pkg/notify/notifytest"
)

const (
	id      = "https://kv-contoso.vault.azure.net/secrets/soc-teams"
	version = "/4387e9f3d6e14c459867679a90fd0f79"
)

func parse(t *testing.T, id string) notify.VaultSecret {
	t.Helper()
	s, err := notify.ParseVaultSecret(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(v *notifytest.Vault, now *time.Time) *keyvault.Secrets {
	return keyvault.New(keyvault.Options{
		Transport: v.Client, Now: func() time.Time { return *now },
		Credential: func() (azcore.TokenCredential, error) { return v, nil },
	})
}

func TestReadsAndRemembers(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	v := notifytest.NewVault(t)
	s := open(v, &now)
	read := func(id, want string, reads int) {
		t.Helper()
		got, err := s.Read(t.Context(), parse(t, id))
		if err != nil || got.Reveal() != want || v.Reads() != reads {
			t.Errorf("%q after %d reads, %v; want %q after %d", got.Reveal(), v.Reads(), err, want, reads)
		}
	}
	v.Set(id, "one")
	v.Set(id+version, "old")
	read(id, "one", 1)
	if want := []string{"https://vault.azure.net/.default"}; !slices.Equal(v.Scopes(), want) {
		t.Errorf("tokens for %v, want %v", v.Scopes(), want)
	}
	read(id+version, "old", 2)
	read(id+"/", "one", 2)
	v.Set(id, "two")
	now = now.Add(5*time.Minute - time.Second)
	read(id, "one", 2)
	now = now.Add(time.Second)
	read(id, "two", 3)
	v.Set(id, "three")
	s.Forget(parse(t, id))
	read(id, "three", 4)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	v := notifytest.NewVault(t)
	s := open(v, &now)
	for _, c := range []struct {
		status int
		want   error
	}{{0, keyvault.ErrNotFound}, {403, keyvault.ErrForbidden}, {503, keyvault.ErrFailed}, {429, keyvault.ErrFailed}, {400, keyvault.ErrFailed}} {
		v.Fail(c.status)
		_, err := s.Read(t.Context(), parse(t, id))
		told(t, err, c.want)
	}
	v.Fail(0)
	v.Set(id, "mended") // a failure is not remembered
	if got, err := s.Read(t.Context(), parse(t, id)); err != nil || got.Reveal() != "mended" {
		t.Errorf("%q, %v", got.Reveal(), err)
	}
}

func told(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
		return
	}
	for _, secret := range []string{"contoso", "soc-teams", "what-the-receiver-wrote", "t0ken"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%v holds %s", err, secret)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	v := notifytest.NewVault(t)
	v.Client = &http.Client{Transport: &http.Transport{Dial: func(string, string) (net.Conn, error) { return nil, errors.New("no route to kv-contoso") }}} //nolint:staticcheck // it dials nowhere
	now := time.Now()
	_, err := open(v, &now).Read(t.Context(), parse(t, id))
	told(t, err, keyvault.ErrUnreachable)
	s := keyvault.New(keyvault.Options{Now: time.Now, Credential: func() (azcore.TokenCredential, error) { return nil, errors.New("contoso") }})
	_, err = s.Read(t.Context(), parse(t, id))
	told(t, err, keyvault.ErrIdentity)
}

// A vault that asks for a token of another service gets none.
func TestAChallengeOfSomebodyElse(t *testing.T) {
	t.Parallel()
	v := notifytest.NewVault(t)
	v.Set("https://kv-contoso.vault.azure.cn/secrets/soc-teams", "x") // its challenge names vault.azure.net
	now := time.Now()
	if got, err := open(v, &now).Read(t.Context(), parse(t, "https://kv-contoso.vault.azure.cn/secrets/soc-teams")); err == nil || len(v.Scopes()) > 0 {
		t.Errorf("%q for a token of %v", got.Reveal(), v.Scopes())
	}
}

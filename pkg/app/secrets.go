package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/notify/keyvault"
)

// secrets finds the URLs and signing keys of subscriptions.
type secrets struct {
	getenv func(string) string
	azure  bool // they are in Key Vault, and nowhere else
	vault  *keyvault.Secrets
}

func newSecrets(getenv func(string) string, now func() time.Time) *secrets {
	azure := inAzure(getenv)
	return &secrets{getenv: getenv, azure: azure, vault: keyvault.New(keyvault.Options{Now: now, Credential: func() (azcore.TokenCredential, error) {
		if azure {
			return managed(getenv(settingIdentity))
		}
		return azidentity.NewDefaultAzureCredential(nil) // who has signed in on this machine
	}})}
}

// inAzure tells whether the process serves in Azure: alerts are in a Cosmos DB that is no emulator, or App Service has given it
// an instance, which the tools of Functions on one's own machine do not.
func inAzure(getenv func(string) string) bool {
	return getenv(instanceVariable) != "" ||
		getenv(SettingStore) == storeCosmos && !strings.EqualFold(getenv(settingEmulator), "true")
}

// errInline says that a secret does not stand where it has to in Azure.
var errInline = errors.New("in Azure it is to stand in Key Vault: {keyVault: https://NAME.vault.azure.net/secrets/NAME}. " +
	"The configuration and the app settings are read by more people")

// allow refuses secrets that stand in the configuration or an app setting in Azure.
func (f *secrets) allow(s *notify.Subscription) error {
	switch {
	case !f.azure:
		return nil
	case !s.URL.InVault():
		return fmt.Errorf("find the URL: %w", errInline)
	case slices.ContainsFunc(s.Keys, func(k notify.SecretSource) bool { return !k.InVault() }):
		return fmt.Errorf("find a signing key: %w", errInline)
	}
	return nil
}

func inVault(s *notify.Subscription) bool {
	return s.URL.InVault() || slices.ContainsFunc(s.Keys, notify.SecretSource.InVault)
}

// all returns the secrets of the subscription.
func (f *secrets) all(ctx context.Context, s *notify.Subscription) (address notify.Secret, keys []notify.Secret, err error) {
	if address, err = f.one(ctx, s.URL); err != nil {
		return address, nil, fmt.Errorf("find the URL: %w", err)
	}
	for _, k := range s.Keys {
		key, err := f.one(ctx, k)
		if err != nil {
			return address, nil, fmt.Errorf("find a signing key: %w", err)
		}
		keys = append(keys, key)
	}
	return address, keys, nil
}

func (f *secrets) one(ctx context.Context, s notify.SecretSource) (notify.Secret, error) {
	if s.InVault() {
		return f.vault.Read(ctx, s.Vault)
	}
	return s.Resolve(f.getenv)
}

func (f *secrets) forget(s *notify.Subscription) {
	for _, source := range append([]notify.SecretSource{s.URL}, s.Keys...) {
		if source.InVault() {
			f.vault.Forget(source.Vault)
		}
	}
}

// vaulted is the notifier of a subscription whose secrets are in Key Vault. They are read when there is something to send.
// As long as they cannot be read, deliveries stay owed.
type vaulted struct {
	subscription *notify.Subscription
	find         *secrets
	build        func(address notify.Secret, keys []notify.Secret) (notify.Notifier, error)

	mu      sync.Mutex
	secrets []notify.Secret // of which the notifier is made
	made    notify.Notifier
}

// Notify implements notify.Notifier. Where the answer may mean that the secrets have changed since they were read, they are
// read again, and the message is sent again if they have.
func (v *vaulted) Notify(ctx context.Context, m *notify.Message) error {
	n, err := v.notifier(ctx)
	if err != nil {
		return &notify.Failure{Remedy: notify.Retry, Reason: err.Error()}
	}
	err = n.Notify(ctx, m)
	var f *notify.Failure
	if !errors.As(err, &f) || !outdated(f.Status) {
		return err
	}
	v.find.forget(v.subscription)
	again, rerr := v.notifier(ctx)
	switch {
	case rerr != nil: // whether the receiver is gone or has another address is not known
		return &notify.Failure{Remedy: notify.Retry, Status: f.Status, Reason: f.Reason + "; its secrets could not be read again: " + rerr.Error()}
	case again == n:
		return err
	}
	return again.Notify(ctx, m)
}

// outdated tells whether the status is what a receiver may answer to an old address or key.
func outdated(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound || status == http.StatusGone
}

// notifier returns the notifier that is made of the secrets as they are, the same one as long as they are.
func (v *vaulted) notifier(ctx context.Context) (notify.Notifier, error) {
	address, keys, err := v.find.all(ctx, v.subscription)
	if err != nil {
		return nil, err
	}
	all := append([]notify.Secret{address}, keys...)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.made != nil && slices.Equal(v.secrets, all) {
		return v.made, nil
	}
	n, err := v.build(address, keys)
	if err != nil {
		v.find.forget(v.subscription) // so that it counts at once when somebody mends it
		return nil, err
	}
	v.secrets, v.made = all, n
	return n, nil
}

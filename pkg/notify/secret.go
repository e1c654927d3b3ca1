package notify

import (
	"errors"
	"fmt"
	"regexp"
	"sync"
)

// Secret is a text that no log, error or document may hold: it prints as "***".
type Secret struct{ text string }

const redacted = "***"

// NewSecret returns the text as a secret.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text itself, for the one place that needs it.
func (s Secret) Reveal() string { return s.text }

// String returns "***".
func (s Secret) String() string { return redacted }

// GoString returns "***".
func (s Secret) GoString() string { return redacted }

// Format writes "***", whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText returns "***".
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// SecretSource says where a secret stands: in Key Vault, in an environment variable, or in the configuration itself.
type SecretSource struct {
	Vault VaultSecret
	Env   string
	Value Secret
}

// ErrSecret says that a secret is not where it should be.
var ErrSecret = errors.New("the secret is not set")

// InVault tells whether the secret stands in Key Vault.
func (s SecretSource) InVault() bool { return s.Vault != VaultSecret{} }

// Resolve returns a secret that does not stand in Key Vault. getenv reads an environment variable.
func (s SecretSource) Resolve(getenv func(string) string) (Secret, error) {
	if s.Env == "" {
		if s.Value.text == "" {
			return Secret{}, ErrSecret
		}
		return s.Value, nil
	}
	if text := getenv(s.Env); text != "" {
		return Secret{text}, nil
	}
	return Secret{}, fmt.Errorf("%w: %s is empty", ErrSecret, s.Env)
}

// VaultSecret names a secret of Azure Key Vault.
type VaultSecret struct {
	Vault   string // address of the vault: https://NAME.vault.azure.net
	Name    string
	Version string // "": the current one
}

// secretID is the form of a secret's id, in the public cloud, in China and for the US government (Microsoft Learn, "Azure Key
// Vault keys, secrets and certificates overview", Object identifiers). Nothing else is called with a token of ours.
var secretID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(https://[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]\.vault\.(?:azure\.net|azure\.cn|usgovcloudapi\.net))` +
		`/secrets/([A-Za-z0-9-]{1,127})(?:/([0-9A-Fa-f]{32})?)?$`)
})

// ParseVaultSecret reads the id of a secret: https://NAME.vault.azure.net/secrets/NAME, with or without a version. Its error
// does not hold the id, which may be a secret that somebody wrote there.
func ParseVaultSecret(id string) (VaultSecret, error) {
	m := secretID().FindStringSubmatch(id)
	if m == nil {
		return VaultSecret{}, errors.New("this is no id of a secret in Key Vault")
	}
	return VaultSecret{Vault: m[1], Name: m[2], Version: m[3]}, nil
}

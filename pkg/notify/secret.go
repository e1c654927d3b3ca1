package notify

import (
	"errors"
	"fmt"
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

// SecretSource says where a secret stands: in an environment variable, which in Azure is an app setting that refers to Key
// Vault, or in the configuration itself.
type SecretSource struct {
	Env   string
	Value Secret
}

// ErrSecret says that a secret is not where it should be.
var ErrSecret = errors.New("the secret is not set")

// Given tells whether the source names anything.
func (s SecretSource) Given() bool { return s.Env != "" || s.Value.text != "" }

// Resolve returns the secret. getenv reads an environment variable.
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

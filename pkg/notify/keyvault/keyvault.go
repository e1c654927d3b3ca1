// Package keyvault reads the URLs and signing keys of subscriptions from Azure Key Vault, when they are needed, and remembers
// them for some minutes. It lists and writes nothing. Its errors hold no address, no secret and nothing that the service wrote.
package keyvault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/assay-sec/assay/pkg/notify"
)

// Times of a read.
const (
	remembered = 5 * time.Minute
	timeout    = 15 * time.Second // of a read, its second attempt and the token included
	tryTimeout = 5 * time.Second
)

// The errors of Read.
var (
	ErrUnreachable = errors.New("the vault cannot be reached")
	ErrIdentity    = errors.New("there is no identity to read the vault with")
	ErrForbidden   = errors.New("the vault does not hand the secret over: the identity needs the role Key Vault Secrets User, and the secret is to be enabled")
	ErrNotFound    = errors.New("the vault has no such secret")
	ErrFailed      = errors.New("the vault failed")
)

// Options are what Secrets are made of.
type Options struct {
	Credential func() (azcore.TokenCredential, error) // called once, before the first read that succeeds in it
	Transport  policy.Transporter                     // nil: the SDK's
	Now        func() time.Time
}

// Secrets reads secrets. It is safe for concurrent use: a vault that is slow delays only who waits for the same secret.
type Secrets struct {
	o Options

	mu         sync.Mutex
	credential azcore.TokenCredential
	known      map[notify.VaultSecret]*entry
}

type entry struct {
	mu     sync.Mutex
	secret notify.Secret
	read   time.Time // zero: it is not known
}

// New returns a reader of secrets. It reaches no network.
func New(o Options) *Secrets { return &Secrets{o: o, known: map[notify.VaultSecret]*entry{}} }

func (s *Secrets) entry(id notify.VaultSecret) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.known[id]
	if !ok {
		e = &entry{}
		s.known[id] = e
	}
	return e
}

// Read returns the secret, read at most five minutes ago. Its error is one of this package's, or notify.ErrSecret for
// one that is empty.
func (s *Secrets) Read(ctx context.Context, id notify.VaultSecret) (notify.Secret, error) {
	e := s.entry(id)
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.read.IsZero() && s.o.Now().Sub(e.read) < remembered {
		return e.secret, nil
	}
	secret, err := s.fetch(ctx, id)
	if err != nil {
		return notify.Secret{}, err
	}
	e.secret, e.read = secret, s.o.Now()
	return secret, nil
}

// Forget makes the next Read ask the vault.
func (s *Secrets) Forget(id notify.VaultSecret) {
	e := s.entry(id)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.secret, e.read = notify.Secret{}, time.Time{}
}

func (s *Secrets) fetch(ctx context.Context, id notify.VaultSecret) (notify.Secret, error) {
	credential, err := s.identity()
	if err != nil {
		return notify.Secret{}, err
	}
	client, err := azsecrets.NewClient(id.Vault, credential, &azsecrets.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: s.o.Transport, Retry: policy.RetryOptions{MaxRetries: 1, RetryDelay: 200 * time.Millisecond, TryTimeout: tryTimeout},
	}})
	if err != nil {
		return notify.Secret{}, ErrFailed // the cause may hold the address
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := client.GetSecret(ctx, id.Name, id.Version, nil)
	switch {
	case err != nil:
		return notify.Secret{}, explain(err)
	case answer.Value == nil || *answer.Value == "":
		return notify.Secret{}, fmt.Errorf("%w: it is empty in Key Vault", notify.ErrSecret)
	}
	return notify.NewSecret(*answer.Value), nil
}

func (s *Secrets) identity() (azcore.TokenCredential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.credential == nil {
		c, err := s.o.Credential()
		if err != nil {
			return nil, ErrIdentity
		}
		s.credential = c
	}
	return s.credential, nil
}

// explain says what went wrong in words of our own: those of the SDK hold the address and the answer.
func explain(err error) error {
	var (
		failed      *azidentity.AuthenticationFailedError
		unavailable interface {
			error
			NonRetriable() // how azidentity marks a credential that there is none of
		}
		answer *azcore.ResponseError
	)
	switch {
	case errors.As(err, &failed):
		return ErrIdentity
	case errors.As(err, &answer):
		switch answer.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return fmt.Errorf("%w (status %d)", ErrForbidden, answer.StatusCode)
		case http.StatusNotFound:
			return ErrNotFound
		}
		return fmt.Errorf("%w: status %d", ErrFailed, answer.StatusCode)
	case errors.As(err, &unavailable):
		return ErrIdentity
	}
	return ErrUnreachable
}

// Package cosmos keeps alerts in Azure Cosmos DB (SQL API): the store of the function app. Many instances may use one
// database at once.
//
// Its containers, with their partition keys, are made by whoever deploys: alerts (/pk, of tenant and UTC day), setaside
// (/pk, of hub and UTC day), state (/id), deliveries (/subscription) and replays (/replay). The store creates neither
// databases nor containers, which a data-plane role cannot do. Each container needs a default time to live of -1, so that
// documents expire by their own.
//
// Whatever belongs to one alert stands in one logical partition, so Record is one transaction guarded by the alert's ETag.
// Document ids are made of content, so a write whose outcome is unknown is made again without harm. 64-bit numbers would
// become doubles, so what was received is kept as JSON within a string.
//
// Cosmos DB answers queries across partitions through its gateway only if they filter and no more: sorting happens here.
package cosmos

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/assay-sec/assay/pkg/store"
)

// The containers of a database, each with the path of its partition key.
const (
	containerAlerts   = "alerts"   // /pk
	containerSetAside = "setaside" // /pk
	containerState    = "state"    // /id
)

// Containers returns the names of the containers that a database needs, with the paths of their partition keys.
func Containers() map[string]string {
	return map[string]string{
		containerAlerts: "/pk", containerSetAside: "/pk", containerState: "/id",
		string(store.Deliveries): "/subscription", string(store.Replays): "/replay",
	}
}

// Options say where the store is and who asks.
type Options struct {
	Endpoint string // of the account: https://NAME.documents.azure.com:443/
	Database string // its name
	ClientID string // of a user-assigned managed identity; empty: the system-assigned one

	// Emulator allows plain HTTP, and uses the account key Key instead of an identity. It is for emulators alone.
	Emulator bool
	Key      string

	Retention func() time.Duration // of a day's documents, as it is now; nil, or 0: store.DefaultRetention
	Now       func() time.Time     // the wall clock: for expiry, and for the time at which an alert is reopened

	// Observe is told of every request to the account that has ended, in the context of the call that made it; nil: nobody.
	Observe func(context.Context, Request)

	// Transport replaces the SDK's HTTP client, and Sleep the waiting between two attempts; nil: the usual ones.
	Transport policy.Transporter
	Sleep     func(context.Context, time.Duration) error
}

var (
	_ store.Store       = (*Store)(nil)
	_ store.State       = (*Store)(nil)
	_ store.Collections = (*Store)(nil)
)

// Store is a store.Store and a store.State in Cosmos DB. It is safe for concurrent use.
type Store struct {
	o     Options
	turns [64]chan struct{} // writers of one alert within this process take turns instead of chasing its ETag

	mu     sync.Mutex
	client *connection
	closed atomic.Bool
}

// connection is a client of the account.
type connection struct {
	client     *azcosmos.Client
	containers map[string]*azcosmos.ContainerClient
	proven     atomic.Bool // the account has answered
}

// New returns the store that the options describe. It reaches no network: what is out of reach, or refused, is told by
// the first call that needs it.
func New(o Options) (*Store, error) {
	u, err := url.Parse(o.Endpoint)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("open the Cosmos DB store: the endpoint of the account is no URL")
	case u.Scheme != "https" && !o.Emulator:
		// The SDK sends its bearer token over whatever it is told to use.
		return nil, fmt.Errorf("open the Cosmos DB store: the endpoint's scheme is %q, but only https is safe", u.Scheme)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("open the Cosmos DB store: the endpoint's scheme is %q", u.Scheme)
	case o.Database == "":
		return nil, errors.New("open the Cosmos DB store: no database is named")
	case o.Emulator && o.Key == "":
		return nil, errors.New("open the Cosmos DB store: an emulator needs its account key")
	case !o.Emulator && o.Key != "":
		return nil, errors.New("open the Cosmos DB store: an account key is for an emulator only; use a managed identity")
	case o.Now == nil:
		return nil, errors.New("open the Cosmos DB store: it has no clock")
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	s := &Store{o: o}
	for i := range s.turns {
		s.turns[i] = make(chan struct{}, 1)
	}
	if _, err := s.connect(); err != nil {
		return nil, fmt.Errorf("open the Cosmos DB store: %w", err)
	}
	return s, nil
}

// connect returns the connection, which it makes if there is none.
func (s *Store) connect() (*connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return nil, fmt.Errorf("%w: it is closed", store.ErrUnavailable)
	}
	if s.client != nil {
		return s.client, nil
	}
	client, err := s.dial()
	if err != nil {
		return nil, err
	}
	c := &connection{client: client, containers: map[string]*azcosmos.ContainerClient{}}
	for name := range Containers() {
		if c.containers[name], err = client.NewContainer(s.o.Database, name); err != nil {
			client.Close()
			return nil, err
		}
	}
	s.client = c
	return c, nil
}

func (s *Store) dial() (*azcosmos.Client, error) {
	// Every attempt is made here, not in the SDK: it knows neither which writes may be made again nor the caller's deadline.
	o := &azcosmos.ClientOptions{ClientOptions: azcore.ClientOptions{
		Retry: policy.RetryOptions{MaxRetries: -1}, Transport: s.o.Transport,
		Telemetry: policy.TelemetryOptions{ApplicationID: "assay"},
	}}
	if s.o.Observe != nil {
		o.PerRetryPolicies = append(o.PerRetryPolicies, observer{s.o.Observe, s.o.Now})
	}
	if s.o.Emulator {
		key, err := azcosmos.NewKeyCredential(s.o.Key)
		if err != nil {
			return nil, errors.New("the account key is no base64") // its error would quote the key
		}
		return azcosmos.NewClientWithKey(s.o.Endpoint, key, o)
	}
	identity := &azidentity.ManagedIdentityCredentialOptions{}
	if s.o.ClientID != "" {
		identity.ID = azidentity.ClientID(s.o.ClientID)
	}
	credential, err := azidentity.NewManagedIdentityCredential(identity)
	if err != nil {
		return nil, err
	}
	return azcosmos.NewClient(s.o.Endpoint, credential, o)
}

// forget drops a connection on which the account has never answered. The SDK remembers a failed first look at the account
// for five minutes and would answer from memory.
func (s *Store) forget(c *connection) {
	if c.proven.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == c {
		s.client = nil
		c.client.Close()
	}
}

// Close ends the use of the store. Closing it again does nothing.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		s.client.client.Close()
	}
	return nil
}

// turn waits until nobody else of this process writes to what the id names, and returns what ends the turn.
func (s *Store) turn(ctx context.Context, id string) (func(), error) {
	h := uint32(2166136261) // FNV-1a
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	t := s.turns[h%uint32(len(s.turns))]
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, ended(ctx)
	}
}

// newCall returns a name for one call, by which it knows its own writes again.
func newCall() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// ttl returns the seconds after which documents of the day that are written now expire.
func (s *Store) ttl(day time.Time) int32 {
	var retention time.Duration
	if s.o.Retention != nil {
		retention = s.o.Retention()
	}
	left := store.Lifetime(day, s.o.Now(), retention)
	return int32(min(int64(left/time.Second), math.MaxInt32)) //nolint:gosec // bounded above
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d) //nolint:forbidigo // the service is waited for
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
}

// backoff returns how long to wait before the try after the given one: from 20 ms up, doubled each time, with jitter.
func backoff(try int) time.Duration {
	d := 20 * time.Millisecond << min(try, 6)
	return d/2 + mathrand.N(d) //nolint:gosec // not secret
}

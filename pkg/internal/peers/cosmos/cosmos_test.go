//go:build peers

// Package cosmos holds the store for Cosmos DB against a server that others wrote, and our stand-in for that server
// against a client that others wrote. README.md says how far either is to be believed.
package cosmos

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/assay-sec/assay/pkg/internal/peers"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/cosmos"
	"github.com/assay-sec/assay/pkg/store/cosmos/cosmostest"
	"github.com/assay-sec/assay/pkg/store/storetest"
)

func TestMain(m *testing.M) { peers.Main(m) }

// today is when the tests take place, as package storetest has it: the day after its findings.
var today = time.Date(2025, 3, 15, 9, 0, 0, 0, time.UTC)

// account is a server of either kind.
type account struct {
	url   string
	clock atomic.Int64 // by which documents expire, in Unix seconds
	http  *http.Client
}

func newAccount(t *testing.T) *account {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	a := &account{http: &http.Client{Transport: transport}}
	a.clock.Store(time.Now().Unix())
	return a
}

// Do sends a request with the account's clock. It hides what kind of failure the network had, so that the SDK does not sit
// out a second before another region.
func (a *account) Do(r *http.Request) (*http.Response, error) {
	r.Header.Set("X-Test-Clock", strconv.FormatInt(a.clock.Load(), 10))
	resp, err := a.http.Do(r)
	if err != nil && r.Context().Err() == nil {
		err = errors.New(err.Error())
	}
	return resp, err
}

func (a *account) client(t *testing.T, key string) *azcosmos.Client {
	t.Helper()
	credential, err := azcosmos.NewKeyCredential(key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := azcosmos.NewClientWithKey(a.url, credential, &azcosmos.ClientOptions{ClientOptions: azcore.ClientOptions{
		Retry: policy.RetryOptions{MaxRetries: -1}, Transport: a,
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// startNpm starts the server from npm.
func startNpm(t *testing.T) *account {
	t.Helper()
	address := peers.Addresses(t, 1)
	peers.Start(t, address, "cosmos/server.js", peers.Port(t, address[0]))
	a := newAccount(t)
	a.url = "http://" + address[0]
	return a
}

// create makes a database on the server from npm, with the containers by name and path of partition key.
func (a *account) create(t *testing.T, database string, containers map[string]string) {
	t.Helper()
	c := a.client(t, cosmostest.Key)
	if _, err := c.CreateDatabase(t.Context(), azcosmos.DatabaseProperties{ID: database}, nil); err != nil {
		t.Fatal(err)
	}
	db, err := c.NewDatabase(database)
	if err != nil {
		t.Fatal(err)
	}
	forever := int32(-1) // unless a document says otherwise
	for name, path := range containers {
		if _, err := db.CreateContainer(t.Context(), azcosmos.ContainerProperties{
			ID: name, DefaultTimeToLive: &forever, PartitionKeyDefinition: azcosmos.PartitionKeyDefinition{Paths: []string{path}},
		}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// opener returns what opens empty stores on the account, each in a database of its own.
func (a *account) opener(t *testing.T) func(*testing.T) *cosmos.Store {
	t.Helper()
	var n atomic.Int64
	return func(t *testing.T) *cosmos.Store {
		t.Helper()
		database := fmt.Sprintf("assay%d", n.Add(1))
		a.create(t, database, cosmos.Containers())
		s, err := cosmos.New(cosmos.Options{
			Endpoint: a.url, Database: database, Emulator: true, Key: cosmostest.Key, Transport: a,
			Now: func() time.Time { return today },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
}

// The store does on a server that others wrote what it does on ours.
func TestConformance(t *testing.T) {
	t.Parallel()
	open := startNpm(t).opener(t)
	storetest.Run(t, func(t *testing.T) store.Store { return open(t) })
}

func TestState(t *testing.T) {
	t.Parallel()
	open := startNpm(t).opener(t)
	storetest.RunState(t, func(t *testing.T) store.State { return open(t) })
}

// Documents that expire are left out: this server stamps them by the clock of the machine. TestDifferences has its time to live.
func TestCollections(t *testing.T) {
	t.Parallel()
	open := startNpm(t).opener(t)
	storetest.RunCollections(t, func(t *testing.T) storetest.Documents { return open(t) })
}

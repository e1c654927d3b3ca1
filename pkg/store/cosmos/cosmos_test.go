package cosmos

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/cosmos/cosmostest"
	"github.com/assay-sec/assay/pkg/store/storetest"
)

// today is when the tests take place: the day after their findings.
var today = time.Date(2025, 3, 15, 9, 0, 0, 0, time.UTC)

const database = "assay"

// serve starts a server with the containers of a database.
func serve(t testing.TB, now func() time.Time) *cosmostest.Server {
	t.Helper()
	containers := map[string]string{}
	for name, key := range Containers() {
		containers[database+"/"+name] = key
	}
	s := cosmostest.Start(containers, now)
	t.Cleanup(s.Close)
	return s
}

// opaque hides what kind of failure the network had, so that the SDK does not sit out a second before another region.
type opaque struct{ client *http.Client }

func (o opaque) Do(r *http.Request) (*http.Response, error) {
	resp, err := o.client.Do(r)
	if err != nil && r.Context().Err() == nil {
		err = errors.New(err.Error())
	}
	return resp, err
}

// open returns a store on the server that waits for nothing.
func open(t testing.TB, server *cosmostest.Server, change ...func(*Options)) *Store {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	o := Options{
		Endpoint: server.URL(), Database: database, Emulator: true, Key: cosmostest.Key,
		Now:       func() time.Time { return today },
		Transport: opaque{&http.Client{Transport: transport}},
		Sleep: func(ctx context.Context, _ time.Duration) error {
			if ctx.Err() != nil {
				return ended(ctx)
			}
			return nil
		},
	}
	for _, c := range change {
		c(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func fixed() time.Time { return today }

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return open(t, serve(t, fixed))
	})
}

func TestState(t *testing.T) {
	t.Parallel()
	storetest.RunState(t, func(t *testing.T) store.State {
		t.Helper()
		return open(t, serve(t, fixed))
	})
}

func TestCollections(t *testing.T) {
	t.Parallel()
	storetest.RunCollections(t, func(t *testing.T) storetest.Documents {
		t.Helper()
		return open(t, serve(t, fixed))
	})
}

func TestChanged(t *testing.T) {
	t.Parallel()
	storetest.RunChanged(t, func(t *testing.T, now func() time.Time) store.Store {
		t.Helper()
		return open(t, serve(t, now), func(o *Options) { o.Now = now })
	})
}

func TestDocumentsExpire(t *testing.T) {
	t.Parallel()
	storetest.RunExpiry(t, func(t *testing.T, now func() time.Time) storetest.Documents {
		t.Helper()
		return open(t, serve(t, now), func(o *Options) { o.Now = now })
	})
}

package cosmos

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"testing"

	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/cosmos/cosmostest"
)

type mark struct{}

// Every request is told of, with its charge and status, in the context of who made it.
func TestRequestsAreObserved(t *testing.T) {
	t.Parallel()
	server := serve(t, fixed)
	var mu sync.Mutex
	got := map[string]int{}
	s := open(t, server, func(o *Options) {
		o.Observe = func(ctx context.Context, r Request) {
			mu.Lock()
			defer mu.Unlock()
			got[r.Operation+" "+r.Container+" "+http.StatusText(r.Status)]++
			if r.Began.IsZero() || r.Operation != "other" && r.Status == http.StatusOK && r.Charge == 0 {
				t.Errorf("%+v", r)
			}
			if r.Operation != "other" && ctx.Value(mark{}) == nil {
				t.Errorf("%+v is told of outside its call", r)
			}
		}
	})
	ctx := context.WithValue(t.Context(), mark{}, true)
	if _, err := s.Save(ctx, store.Document{ID: "a", Body: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	for _, err := range s.List(ctx, "a") {
		if err != nil {
			t.Fatal(err)
		}
	}
	throttled := false
	server.Inject(func(r cosmostest.Request) *cosmostest.Fault {
		if throttled || r.Operation != "read" {
			return nil
		}
		throttled = true
		return &cosmostest.Fault{Status: http.StatusTooManyRequests, Substatus: 3200}
	})
	if _, err := s.Load(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"other  OK": 1, "create state Created": 1, "query state OK": 1, "read state Too Many Requests": 1, "read state OK": 1}
	if !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

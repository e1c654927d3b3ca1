//go:build peers

package cosmos

import (
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/internal/peers"
	"github.com/assay-sec/assay/pkg/store/cosmos/cosmostest"
)

// Our stand-in answers Microsoft's client for JavaScript as the service documents it, too: it does not only fit the client
// that it was written beside.
func TestAnotherClient(t *testing.T) {
	t.Parallel()
	s := cosmostest.Start(map[string]string{"db/things": "/pk"}, time.Now)
	t.Cleanup(s.Close)
	got := string(peers.Node(t, "cosmos/client.js", nil, s.URL(), cosmostest.Key))
	want := strings.TrimLeft(`
container: /pk
create: 201
create again: 409
the same id elsewhere: 201
read: 1
read what is missing: 404
replace: 200
replace by a stale ETag: 412
upsert: 201
upsert again: 200
query of a partition: c a
pages: 1 1
batch: 200 201 200
batch with a conflict: 207 424 409
what the conflict kept: 404
delete: 204
delete again: 404
change feed: a c
`, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	wrong := string(peers.Node(t, "cosmos/client.js", nil, s.URL(), "d3Jvbmc="))
	if !strings.HasPrefix(wrong, "container: 401\n") {
		t.Errorf("with a wrong key it answers\n%s", wrong)
	}
}

// Package eventhubs starts a stand-in for Event Hubs that speaks AMQP 1.0, and holds the source of replays against it with the
// official client. server.js says what it does and what not.
package eventhubs

import (
	"fmt"
	"testing"

	"github.com/assay-sec/assay/pkg/internal/peers"
)

// Start starts the stand-in with hubs such as "signins:4", which is a name and a number of partitions, and the events of
// the file, if it is named. It returns the connection string.
func Start(t testing.TB, hubs, events string) string {
	t.Helper()
	at := peers.Addresses(t, 1)
	args := []string{peers.Port(t, at[0]), hubs}
	if events != "" {
		args = append(args, events)
	}
	peers.Start(t, at, "eventhubs/server.js", args...)
	return fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=local;SharedAccessKey=local;UseDevelopmentEmulator=true;", at[0])
}

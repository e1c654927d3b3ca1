//go:build peers

package infra

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/devhost"
	"github.com/assay-sec/assay/pkg/internal/peers/eventhubs"
	"github.com/assay-sec/assay/pkg/smoke"
)

const (
	tokens = "tokens" // the hub
	key    = "a function key"
)

// The smoke test of a deployment from end to end: the official client sends the event over AMQP, a reader of the hub hands it to
// the function app as it is shipped, and its alert comes back over the API.
func TestSmoke(t *testing.T) {
	t.Parallel()
	connection := eventhubs.Start(t, tokens+":2", "")
	ended := make(chan struct{}, 1)
	host := start(t, func(i devhost.Invocation) {
		if i.Ended {
			select {
			case ended <- struct{}{}:
			default:
			}
		}
	})
	arrived := forward(t, connection, host)

	// What never comes back ends the wait below.
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	var steps []string
	err := smoke.Run(ctx, options(t, connection, tokens, host.URL(), func(o *smoke.Options) {
		o.Patience = 90 * time.Second
		o.Wait = func(ctx context.Context, _ time.Duration) error { // until the app has done something more
			select {
			case <-ended:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		o.Done = func(s smoke.Step, _ time.Duration, detail string) {
			steps = append(steps, string(s))
			if s == smoke.Alert && detail == "" {
				t.Error("the alert has no id")
			}
		}
	}))
	if err != nil {
		t.Fatalf("%v, behind %q", err, steps)
	}
	if got := strings.Join(steps, ", "); got != "health, event sent, alert" {
		t.Errorf("steps: %s", got)
	}
	e := <-arrived
	var event struct{ ID, TenantID string }
	if err := json.Unmarshal(e.Body, &event); err != nil {
		t.Fatal(err)
	}
	if event.ID != "smoke-r-1" || event.TenantID != alert.SmokeTenant || e.ContentType == nil || *e.ContentType != "application/json" {
		t.Errorf("the hub has got %s (%v)", e.Body, e.ContentType)
	}
}

// A hub that is not there is told as the step that failed.
func TestSmokeWithoutItsHub(t *testing.T) {
	t.Parallel()
	connection := eventhubs.Start(t, "other:1", "")
	healthy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"status":"ok"}`))
	}))
	defer healthy.Close()
	err := smoke.Run(t.Context(), options(t, connection, tokens, healthy.URL, func(*smoke.Options) {}))
	if err == nil || !strings.Contains(err.Error(), string(smoke.Send)+": not within") {
		t.Errorf("%v", err)
	}
}

func options(t *testing.T, connection, hub, api string, edit func(*smoke.Options)) smoke.Options {
	t.Helper()
	client, err := azeventhubs.NewProducerClientFromConnectionString(connection, hub, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	o := smoke.Options{
		API: api, Run: "r-1", Send: smoke.ToEventHubs(client), Now: time.Now,
		Authorize: func(_ context.Context, r *http.Request) error { r.Header.Set("X-Functions-Key", key); return nil },
		Wait:      func(context.Context, time.Duration) error { return errors.New("nothing was to wait for") },
		Done:      func(smoke.Step, time.Duration, string) {},
	}
	edit(&o)
	return o
}

// start runs the function app, assembled as it is for deployment, until the test ends.
func start(t *testing.T, observe func(devhost.Invocation)) *devhost.Host {
	t.Helper()
	dir := t.TempDir()
	exe, folder := filepath.Join(dir, "assay"), filepath.Join(dir, "app")
	run(t, "build", "-o", exe, "./functions")
	run(t, "run", "./pkg/internal/bundle", "-settings", "local.settings.sample.json", exe, folder)
	host, err := devhost.New(devhost.Options{
		Root: folder, Address: "127.0.0.1:0", Key: key, Observe: observe,
		Settings: map[string]string{"ASSAY_STORE": "sqlite:" + filepath.Join(dir, "assay.db")},
		Feeds:    map[string]devhost.ChangeFeed{"alerts": &devhost.MemoryFeed{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- host.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the host: %v", err)
		}
	})
	select {
	case <-host.Ready():
	case err := <-done:
		done <- err
		t.Fatalf("the host has ended: %v", err)
	}
	return host
}

func run(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// forward hands what arrives at the hub to the app, as the Functions host does, and returns the events that it has handed on.
func forward(t *testing.T, connection string, host *devhost.Host) <-chan *azeventhubs.ReceivedEventData {
	t.Helper()
	client, err := azeventhubs.NewConsumerClientFromConnectionString(connection, tokens, "detect", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	hub, err := client.GetEventHubProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan *azeventhubs.ReceivedEventData, 10)
	for _, id := range hub.PartitionIDs {
		earliest := true
		partition, err := client.NewPartitionClient(id, &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{Earliest: &earliest}})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				events, err := partition.ReceiveEvents(t.Context(), 1, nil)
				if err != nil {
					if t.Context().Err() == nil {
						t.Errorf("read partition %s: %v", id, err)
					}
					return
				}
				for _, e := range events {
					arrived <- e
					if err := host.Publish(t.Context(), tokens, "", devhost.Event{Body: bytes.Clone(e.Body)}); err != nil {
						t.Errorf("hand on an event: %v", err)
					}
				}
			}
		}()
	}
	return arrived
}

//go:build peers

package eventhubs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/api"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/devhost"
	"github.com/assay-sec/assay/pkg/internal/peers"
	"github.com/assay-sec/assay/pkg/replay"
)

// repository is the folder with host.json.
func repository() string { return filepath.Join(peers.Dir(), "..", "..", "..") }

// executable builds what is deployed.
func executable(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "assay")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", exe, "./functions")
	cmd.Dir, cmd.Env = repository(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the executable: %v\n%s", err, out)
	}
	return exe
}

// scriptRoot lays the functions out with host.json as it is, but for the handler.
func scriptRoot(t *testing.T, handler string, functions ...string) string {
	t.Helper()
	root := t.TempDir()
	var host map[string]any
	text, err := os.ReadFile(filepath.Join(repository(), "host.json"))
	if err == nil {
		err = json.Unmarshal(text, &host)
	}
	if err != nil {
		t.Fatal(err)
	}
	host["customHandler"] = map[string]any{
		"enableForwardingHttpRequest": true, "description": map[string]any{"defaultExecutablePath": handler, "arguments": []string{"serve"}},
	}
	text, err = json.Marshal(host)
	err = errors.Join(err, os.WriteFile(filepath.Join(root, "host.json"), text, 0o600))
	copied := func(from, to string) {
		text, e := os.ReadFile(filepath.Join(repository(), from))
		err = errors.Join(err, e, os.MkdirAll(filepath.Dir(filepath.Join(root, to)), 0o750), os.WriteFile(filepath.Join(root, to), text, 0o600))
	}
	copied("local.settings.sample.json", "local.settings.json")
	for _, f := range functions {
		copied(filepath.Join("functions", f, "function.json"), filepath.Join(f, "function.json"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// host runs the functions with a store, as Azure does, replays of the hub at the connection among them. It ends with the test.
func host(t *testing.T, o devhost.Options, connection, db string) *devhost.Host {
	t.Helper()
	settings := map[string]string{
		"SIGNIN_EVENTHUB": "signins", "SigninEvents": connection, app.SettingStore: "sqlite:" + db, "ASSAY_AUTH": "entra", "WEBSITE_AUTH_ENABLED": "true",
	}
	maps.Copy(settings, o.Settings)
	o.Settings, o.Address, o.ContentLength = settings, "127.0.0.1:0", true
	if o.Output == nil {
		o.Output = io.Discard
	}
	h, err := devhost.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-h.Ready():
	case <-time.After(time.Minute):
		t.Fatal("the handler does not answer")
	}
	return h
}

// analyst asks as somebody whom Entra has let in.
func analyst(ctx context.Context, method, url, body string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("X-MS-CLIENT-PRINCIPAL", base64.StdEncoding.EncodeToString([]byte(`{"auth_typ":"aad","name_typ":"name","role_typ":"roles","claims":[`+
		`{"typ":"preferred_username","val":"ada@contoso.example"},{"typ":"roles","val":"Assay.Analyst"}]}`)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, errors.Join(err, resp.Body.Close())
}

// started asks the function app for a replay of the hub and returns its address.
func started(t *testing.T, url string, from, to time.Time) string {
	t.Helper()
	body, err := json.Marshal(api.ReplayRequest{From: from, To: to, Sources: []string{"hub:signins"}, Reason: "case 7"})
	if err != nil {
		t.Fatal(err)
	}
	code, answer, err := analyst(t.Context(), http.MethodPost, url+"/api/replays", string(body))
	var s replay.Status
	if err == nil {
		err = json.Unmarshal(answer, &s)
	}
	if err != nil || code != http.StatusAccepted {
		t.Fatalf("start: %d %s %v", code, answer, err)
	}
	return url + "/api/replays/" + s.ID
}

// ended asks how the replay stands until it runs no more. Meanwhile the handler may die.
func ended(t *testing.T, at string, patience time.Duration) replay.Status {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		code, answer, err := analyst(t.Context(), http.MethodGet, at, "")
		if err == nil && code == http.StatusOK {
			var s replay.Status
			if err := json.Unmarshal(answer, &s); err != nil {
				t.Fatal(err)
			}
			if s.State != replay.StateRunning {
				return s
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the replay does not end: %d %s %v", code, answer, err)
		}
		if err := (replay.WallClock{}).Sleep(t.Context(), 50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// The executable that is deployed, behind the stand-in for the host, replays a hub through the official client: a slice a
// partition, through the queue. It finds in exactly the events of the window what it finds live, with the same ids, and what the
// command line finds; and the second time nothing new.
func TestTheFunctionAppReplaysAHub(t *testing.T) {
	t.Parallel()
	const n, partitions = 2000, 4
	exe, dir := executable(t), t.TempDir()
	file := tokens(t, n, 1) // each is one to find
	connection := Start(t, "signins:4", file)
	from, to := day.Add(30*time.Hour), day.Add(60*time.Hour)

	// Live: the messages of the window, by the clock of the tokens, come to the function that reads the hub.
	hub := devhost.NewMemoryLog(partitions, nil)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{} // events of the window, by partition
	for line := range strings.Lines(string(text)) {
		var e written
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if at := time.UnixMilli(e.Enqueued); at.Before(from) || !at.Before(to) {
			continue
		}
		want[e.Partition]++
		if err := hub.Publish(t.Context(), e.Partition, devhost.Event{Body: []byte(e.Body)}); err != nil {
			t.Fatal(err)
		}
	}
	lived := filepath.Join(dir, "live.db")
	both := host(t, devhost.Options{Root: scriptRoot(t, exe, "signin", "replays", "replaychunk"), Hubs: map[string]devhost.Log{"signins": hub}}, connection, lived)
	if err := both.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	live := contents(t, lived)
	if len(live) < int(want["0"]*partitions) {
		t.Fatalf("live, %d alerts and findings of %v events", len(live), want)
	}

	replayed := filepath.Join(dir, "replay.db")
	one := host(t, devhost.Options{Root: scriptRoot(t, exe, "replays", "replaychunk")}, connection, replayed)
	first := ended(t, started(t, one.URL(), from, to), 2*time.Minute)
	if first.State != replay.StateCompleted || len(first.Slices) != partitions || len(first.Gaps) != 0 {
		t.Fatalf("%+v", first)
	}
	for _, s := range first.Slices {
		c := s.Counters
		if s.State != replay.Done || c.Evaluated != want[s.Range.Partition] || c.Records != c.Evaluated+c.Unselected || c.Units != s.Range.Units || c.Units <= c.Evaluated {
			t.Errorf("partition %s: %s, %+v of %+v, want %d evaluated", s.Range.Partition, s.State, c, s.Range, want[s.Range.Partition])
		}
	}
	if got := contents(t, replayed); !reflect.DeepEqual(got, live) {
		t.Errorf("the replay has stored %d alerts and findings, live %d, or others", len(got), len(live))
	}
	t.Logf("%d events, %v of the window by partition; %+v; %+v", n, want, first.Findings, first.Counters)

	// Once more, and where it has been seen live: nothing is new.
	for name, url := range map[string]string{"again": one.URL(), "behind live": both.URL()} {
		s := ended(t, started(t, url, from, to), 2*time.Minute)
		if f := s.Findings; s.State != replay.StateCompleted || f.New != 0 || f.AlertsNew != 0 || f.AlertsKnown != first.Findings.AlertsNew || s.Counters.Evaluated != first.Counters.Evaluated {
			t.Errorf("%s: %s %+v %+v", name, s.State, f, s.Counters)
		}
	}
	for _, db := range []string{lived, replayed} {
		if got := contents(t, db); !reflect.DeepEqual(got, live) {
			t.Errorf("replays of what is known have changed %s", filepath.Base(db))
		}
	}

	// The command line, of the same executable.
	commanded := filepath.Join(dir, "command.db")
	cmd := exec.CommandContext(t.Context(), exe, "replay", "--store", commanded, "--output", "json", "--rate", "0", "--reason", "test",
		"--from", from.Format(time.RFC3339), "--to", to.Format(time.RFC3339), "sb://local/signins")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s", app.SettingReplayHubs, connection), "USER=ana", "HOME="+dir)
	out, err := cmd.Output()
	var r result
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	if err != nil || r.Replay.Findings != first.Findings || r.Replay.Counters.Evaluated != first.Counters.Evaluated || r.Replay.Counters.Records != first.Counters.Records {
		t.Errorf("the command line: %v %+v, want %+v %+v", err, r.Replay, first.Findings, first.Counters)
	}
	if got := contents(t, commanded); !reflect.DeepEqual(got, live) {
		t.Errorf("the command line has stored %d alerts and findings, live %d, or others", len(got), len(live))
	}
}

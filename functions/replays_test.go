package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hamba/avro/v2/ocf"

	"github.com/assay-sec/assay/pkg/api"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/bench/corpus/captured"
	"github.com/assay-sec/assay/pkg/devhost"
	"github.com/assay-sec/assay/pkg/replay"
)

const principalHeader = "X-MS-CLIENT-PRINCIPAL"

// hosted runs the executable behind the local host, with settings on top, and returns its address.
func hosted(t *testing.T, settings map[string]string) string {
	t.Helper()
	root := appRoot(t, build(t), 16)
	for _, f := range []string{"replays", "replaychunk"} {
		if err := errors.Join(os.Mkdir(filepath.Join(root, f), 0o750), os.WriteFile(filepath.Join(root, f, "function.json"), read(t, f, "function.json"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]string{
		app.SettingStore: "sqlite:" + filepath.Join(t.TempDir(), "assay.db"), "ASSAY_AUTH": "entra", "WEBSITE_AUTH_ENABLED": "true",
	}
	maps.Copy(all, settings)
	host, err := devhost.New(devhost.Options{
		Root: root, Address: "127.0.0.1:0", Settings: all, Output: testLog{t}, ContentLength: true,
		Feeds: map[string]devhost.ChangeFeed{"alerts": &devhost.MemoryFeed{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- host.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-host.Ready():
	case <-time.After(time.Minute):
		t.Fatal("the handler does not answer")
	}
	return host.URL()
}

type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	if strings.Contains(string(b), `"level":"ERROR"`) {
		l.t.Log(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

// logsOfTokens writes a folder of three files with a forged token each, and one of an hour before.
func logsOfTokens(t *testing.T) (folder string, from, to time.Time) {
	t.Helper()
	folder = t.TempDir()
	from = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for i := range 4 {
		at := from.Add(time.Duration(i-1) * time.Minute)
		token := fmt.Sprintf(`{"kind":"token-observation","schemaVersion":1,"id":"o-%d","tenantId":%q,"time":%q,"observer":{"name":"apim-orders","type":"apim"},`+
			`"validation":{"result":"accepted","signaturePresent":true,"segments":3},"header":{"alg":"RS256","typ":"JWT","kid":"1LTMzakihiRla_8z2BEJVXeWMqo"},`+
			`"claims":{"iss":"https://login.microsoftonline.com/%s/v2.0","tid":%q,"aud":"api://orders","ver":"2.0","uti":"xMFjTVvJPE2OChJx_YE-AA"}}`,
			i, victim, at.Format(time.RFC3339), victim, victim)
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%d.json", i)), []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder, from, from.Add(time.Hour)
}

// wait asks how the replay stands until it runs no more.
func wait(t *testing.T, url string, header ...string) replay.Status {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		code, body := do(t, http.MethodGet, url, "", header...)
		var s replay.Status
		if err := json.Unmarshal([]byte(body), &s); code != http.StatusOK || err != nil {
			t.Fatalf("%d %s: %v", code, body, err)
		}
		if s.State != replay.StateRunning {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("the replay does not end: %s", body)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// The entire way: a request to the executable behind the local host, messages through its queue, findings in the store, and
// the second time nothing new.
func TestReplayBehindTheHost(t *testing.T) {
	folder, from, to := logsOfTokens(t)
	url := hosted(t, map[string]string{"ASSAY_REPLAY_FILES": folder})
	analyst := []string{principalHeader, principal("Assay.Analyst")}
	request := func(dry bool) string {
		return text(t, api.ReplayRequest{From: from, To: to, Sources: []string{"file:."}, DryRun: dry, Reason: "case 7"})
	}
	var found []replay.Findings
	var last replay.Status
	for _, dry := range []bool{true, false, false} {
		code, body := do(t, http.MethodPost, url+"/api/replays", request(dry), analyst...)
		var s replay.Status
		if err := json.Unmarshal([]byte(body), &s); err != nil || code != http.StatusAccepted {
			t.Fatalf("start: %d %s", code, body)
		}
		last = wait(t, url+"/api/replays/"+s.ID, analyst...)
		c := last.Counters
		if last.State != replay.StateCompleted || len(last.Slices) != 4 || c.Records != 4 || c.Evaluated != 3 || c.Unselected != 1 {
			t.Errorf("%s, %d slices, %+v", last.State, len(last.Slices), c)
		}
		if last.Request.By == "" || last.Request.Reason != "case 7" {
			t.Errorf("the audit: %+v", last.Request)
		}
		found = append(found, last.Findings)
	}
	if found[0].New == 0 || found[0] != found[1] || found[2].New != 0 || found[2].AlertsKnown != found[0].AlertsNew {
		t.Errorf("dry, real, again: %+v", found)
	}
	code, body := do(t, http.MethodGet, url+"/api/replays/"+last.ID+"/alerts", "", analyst...)
	var results api.ReplayResults
	if err := json.Unmarshal([]byte(body), &results); err != nil || code != http.StatusOK || int64(len(results.Alerts)) != found[2].AlertsKnown {
		t.Errorf("results: %d %s", code, body)
	}
	if code, body = do(t, http.MethodGet, url+"/api/replays", "", analyst...); code != http.StatusOK || strings.Count(body, `"case 7"`) != 3 {
		t.Errorf("list: %d %s", code, body)
	}
}

// What Capture has kept of a hub, and what diagnostic settings have archived, give the alerts that the files give, through
// requests and the queue. The binding of a hub to tenants holds for what was captured of it.
func TestReplaysOutOfBlobs(t *testing.T) {
	folder, from, to := logsOfTokens(t)
	root := t.TempDir()
	var bodies []string
	for i := range 4 {
		bodies = append(bodies, string(read(t, folder, fmt.Sprintf("%d.json", i))))
	}
	hour := filepath.Join(root, "insights-logs-tokens", "tenantId="+victim, "y=2026", "m=03", "d=01", "h=10", "m=00")
	config := filepath.Join(root, "assay.yaml")
	if err := errors.Join(
		captured.WriteFile(filepath.Join(root, "capture", "ns", "tokens", "0", "2026", "03", "01", "10", "00", "00.avro"), ocf.Deflate, bodies...),
		os.MkdirAll(hour, 0o750), os.WriteFile(filepath.Join(hour, "PT1H.json"), []byte(strings.Join(bodies, "\r\n")), 0o600),
		os.WriteFile(config, []byte("hubs:\n  archive:tokens:\n    tenants: [\"11111111-2222-4333-8444-555555555555\"]\n"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	address, connection, stop, err := captured.Serve(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop() })
	settings := map[string]string{
		"ASSAY_REPLAY_FILES": folder, "ASSAY_CAPTURE": address + "/capture/ns", "ASSAY_ARCHIVE": address, "ASSAY_BLOBS": connection, "TOKEN_EVENTHUB": "tokens",
	}
	analyst := []string{principalHeader, principal("Assay.Analyst")}
	alerts := func(url, source string) (s replay.Status, ids string) {
		t.Helper()
		code, body := do(t, http.MethodPost, url+"/api/replays", text(t, api.ReplayRequest{From: from, To: to, Sources: []string{source}, DryRun: true, Reason: "case 7"}), analyst...)
		if err := json.Unmarshal([]byte(body), &s); err != nil || code != http.StatusAccepted {
			t.Fatalf("%s: %d %s", source, code, body)
		}
		s = wait(t, url+"/api/replays/"+s.ID, analyst...)
		_, body = do(t, http.MethodGet, url+"/api/replays/"+s.ID+"/alerts", "", analyst...)
		var results api.ReplayResults
		if err := json.Unmarshal([]byte(body), &results); err != nil {
			t.Fatal(err)
		}
		for _, r := range results.Alerts {
			ids += fmt.Sprintf("%s×%d ", r.Alert.ID, r.NewFindings)
		}
		return s, ids
	}
	url := hosted(t, settings)
	_, want := alerts(url, "file:.")
	for _, source := range []string{"capture:tokens", "archive:tokens"} {
		s, got := alerts(url, source)
		c := s.Counters
		if got != want || want == "" || s.State != replay.StateCompleted || c.Records != 4 || c.Evaluated != 3 || c.Unselected != 1 {
			t.Errorf("%s: %s %s %+v, want %s", source, s.State, got, c, want)
		}
		if len(s.Gaps) != 1 {
			t.Errorf("%s: gaps %+v: the window reaches to before what is kept", source, s.Gaps)
		}
	}
	for _, source := range []string{"capture:nowhere", "capture:", "archive:", "archive:../x", "archive:Tokens", "blob:x"} {
		code, body := do(t, http.MethodPost, url+"/api/replays", text(t, api.ReplayRequest{From: from, To: to, Sources: []string{source}, Reason: "r"}), analyst...)
		if code != 400 || !strings.Contains(body, `"field":"sources"`) {
			t.Errorf("%s: %d %s", source, code, body)
		}
	}
	settings["ASSAY_CONFIG"] = config
	if s, got := alerts(hosted(t, settings), "archive:tokens"); got != "" || s.Counters.SetAside["tenant-not-allowed"] != 3 {
		t.Errorf("an archive that is bound to another tenant: %q %+v", got, s.Counters)
	}
}

// Whoever may not is kept out, and whoever asks for nonsense is told which member it is in.
func TestReplayRequests(t *testing.T) {
	folder, from, to := logsOfTokens(t)
	settings := map[string]string{"ASSAY_REPLAY_FILES": folder, "SIGNIN_EVENTHUB": "signins"}
	key, _, _ := start(t, settings)
	settings["ASSAY_AUTH"], settings["WEBSITE_AUTH_ENABLED"] = "entra", "true"
	entra, _, _ := start(t, settings)
	body := func(change map[string]any) string {
		m := map[string]any{"from": from, "to": to, "sources": []string{"file:."}, "reason": "case 7"}
		for k, v := range change {
			if v == nil {
				delete(m, k)
			} else {
				m[k] = v
			}
		}
		return text(t, m)
	}
	analyst, reader := []string{principalHeader, principal("Assay.Analyst")}, []string{principalHeader, principal("Assay.Reader")}
	elsewhere := []string{principalHeader, principal("Assay.Analyst:11111111-2222-4333-8444-555555555555")}
	for _, c := range []struct {
		name, method, url, body string
		header                  []string
		code                    int
		field                   string
	}{
		{"upside down", "POST", "", body(map[string]any{"from": to, "to": from}), analyst, 400, "from"},
		{"ten years", "POST", "", body(map[string]any{"from": from.AddDate(-10, 0, 0)}), analyst, 400, "from"},
		{"no end", "POST", "", body(map[string]any{"to": nil}), analyst, 400, "to"},
		{"no reason", "POST", "", body(map[string]any{"reason": nil}), analyst, 400, "reason"},
		{"an unknown rule", "POST", "", body(map[string]any{"rules": []string{"no-such-rule"}}), analyst, 400, "rules"},
		{"an unknown hub", "POST", "", body(map[string]any{"sources": []string{"hub:nowhere"}}), analyst, 400, "sources"},
		{"a file outside", "POST", "", body(map[string]any{"sources": []string{"file:../../etc"}}), analyst, 400, "sources"},
		{"no source", "POST", "", body(map[string]any{"sources": []string{}}), analyst, 400, "sources"},
		{"a join", "POST", "", body(map[string]any{"join": "issuance"}), analyst, 400, "join"},
		{"a tenant that is none", "POST", "", body(map[string]any{"tenants": []string{"contoso"}}), analyst, 400, "tenants"},
		{"dry, and told", "POST", "", body(map[string]any{"dryRun": true, "notify": true}), analyst, 400, "notify"},
		{"an unknown member", "POST", "", body(map[string]any{"form": 1}), analyst, 400, "form"},
		{"a member of another type", "POST", "", body(map[string]any{"dryRun": "yes"}), analyst, 400, "dryRun"},
		{"torn JSON", "POST", "", `{"from":`, analyst, 400, "body"},
		{"no body", "POST", "", "", analyst, 400, "body"},
		{"two objects", "POST", "", body(nil) + body(nil), analyst, 400, "body"},
		{"a reader starts one", "POST", "", body(nil), reader, 403, ""},
		{"another tenant's", "POST", "", body(map[string]any{"tenants": []string{victim}}), elsewhere, 403, ""},
		{"nobody starts one", "POST", "", body(nil), nil, 401, ""},
		{"nobody lists", "GET", "", "", nil, 401, ""},
		{"nobody looks", "GET", "/replay-1", "", nil, 401, ""},
		{"nobody looks at results", "GET", "/replay-1/alerts", "", nil, 401, ""},
		{"nobody cancels", "DELETE", "/replay-1", "", nil, 401, ""},
		{"nobody retries", "POST", "/replay-1/slices/0", "", nil, 401, ""},
		{"a reader cancels", "DELETE", "/replay-1", "", reader, 403, ""},
		{"one that is not there", "GET", "/replay-1", "", reader, 404, ""},
		{"what is no replay", "GET", "/shared", "", reader, 404, ""},
	} {
		code, answer := do(t, c.method, entra+"/api/replays"+c.url, c.body, c.header...)
		var problem struct {
			Field  string `json:"field"`
			Title  string `json:"title"`
			Status int    `json:"status"`
		}
		if err := json.Unmarshal([]byte(answer), &problem); code != c.code || problem.Field != c.field || err != nil || problem.Status != c.code || problem.Title == "" {
			t.Errorf("%s: %d %s, want %d and field %q", c.name, code, answer, c.code, c.field)
		}
	}
	if code, answer := do(t, "POST", key+"/api/replays", body(nil)); code != 403 {
		t.Errorf("a function key starts a replay: %d %s", code, answer)
	}
	if code, answer := do(t, "GET", key+"/api/replays", ""); code != 200 {
		t.Errorf("a function key lists replays: %d %s", code, answer)
	}
}

// An analyst of one tenant starts replays of that tenant, whatever he leaves out, and others do not see them.
func TestReplaysOfOneTenant(t *testing.T) {
	folder, from, to := logsOfTokens(t)
	url := hosted(t, map[string]string{"ASSAY_REPLAY_FILES": folder})
	mine := []string{principalHeader, principal("Assay.Analyst:" + victim)}
	code, body := do(t, http.MethodPost, url+"/api/replays", text(t, api.ReplayRequest{From: from, To: to, Sources: []string{"file:."}, Reason: "r"}), mine...)
	var s replay.Status
	if err := json.Unmarshal([]byte(body), &s); err != nil || code != http.StatusAccepted || !slices.Equal(s.Request.Tenants, []string{victim}) {
		t.Fatalf("%d %s", code, body)
	}
	at := url + "/api/replays/" + s.ID
	wait(t, at, mine...)
	other := []string{principalHeader, principal("Assay.Analyst:11111111-2222-4333-8444-555555555555")}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if code, body := do(t, method, at, "", other...); code != 404 {
			t.Errorf("%s by another tenant: %d %s", method, code, body)
		}
	}
	if code, body := do(t, http.MethodGet, url+"/api/replays", "", other...); code != 200 || strings.Contains(body, s.ID) {
		t.Errorf("list of another tenant: %d %s", code, body)
	}
	if code, body := do(t, http.MethodDelete, at, "", principalHeader, principal("Assay.Reader:"+victim)); code != 403 {
		t.Errorf("a reader cancels: %d %s", code, body)
	}
	if code, body := do(t, http.MethodDelete, at, "", mine...); code != 202 || !strings.Contains(body, `"cancelled"`) {
		t.Errorf("cancel: %d %s", code, body)
	}
	if code, body := do(t, http.MethodPost, at+"/slices/0", "", mine...); code != 409 {
		t.Errorf("retry of a slice that is done: %d %s", code, body)
	}
}

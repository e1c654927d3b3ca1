package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/api"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
)

// start serves the functions on a port of its own, with settings beside the usual ones.
func start(t *testing.T, settings map[string]string) (url string, s *app.Service, log *bytes.Buffer) {
	t.Helper()
	all := map[string]string{app.SettingStore: "sqlite:" + filepath.Join(t.TempDir(), "assay.db")}
	for k, v := range settings {
		all[k] = v
	}
	log = &bytes.Buffer{}
	logger := slog.New(slog.NewJSONHandler(log, nil))
	s, err := app.NewService(t.Context(), func(k string) string { return all[k] }, "test", logger, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	server := azfunc.New(azfunc.Options{Logger: logger, Build: func(context.Context) (*azfunc.Routes, error) { return routes(s), nil }})
	done := make(chan error)
	go func() { done <- server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String(), s, log
}

func do(t *testing.T, method, url, body string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b.String()
}

const victim = "8f1d6c3a-52e7-4b90-9c0e-6a4d17f2b385"

// messages are two Event Hubs messages: three forged tokens of today, and a record that is broken.
func messages() []string {
	today := time.Now().UTC().Truncate(time.Second)
	token := func(id string) string {
		return fmt.Sprintf(`{"kind":"token-observation","schemaVersion":1,"id":%q,"tenantId":%q,"time":%q,"observer":{"name":"apim-orders","type":"apim"},`+
			`"validation":{"result":"accepted","signaturePresent":true,"segments":3},"header":{"alg":"RS256","typ":"JWT","kid":"1LTMzakihiRla_8z2BEJVXeWMqo"},`+
			`"claims":{"iss":"https://login.microsoftonline.com/%s/v2.0","tid":%q,"aud":"api://orders","ver":"2.0","uti":"xMFjTVvJPE2OChJx_YE-AA"}}`,
			id, victim, today.Format(time.RFC3339), victim, victim)
	}
	return []string{
		`{"records":[` + token("o-1") + `,{"kind":"token-observation","time":NaN},` + token("o-2") + `]}`,
		token("o-3"),
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// payloads are the forms in which the host hands on the same messages (ScriptInvocationContextExtensions.cs).
func payloads(t *testing.T) map[string]string {
	t.Helper()
	ms := messages()
	encoded := make([]string, len(ms))
	for i, m := range ms {
		encoded[i] = base64.StdEncoding.EncodeToString([]byte(m))
	}
	return map[string]string{
		"many, binary":                     text(t, text(t, encoded)),
		"many, string":                     text(t, text(t, ms)),
		"many, undefined":                  text(t, "["+strings.Join(ms, ",")+"]"),
		"many, binary, one layer less":     text(t, encoded),
		"many, string, one layer less":     text(t, ms),
		"many, undefined, one layer less":  "[" + strings.Join(ms, ",") + "]",
		"one, string, both in one message": text(t, text(t, strings.Join(ms, "\n"))),
		"one, string, one layer less":      text(t, strings.Join(ms, "\n")),
		"one, binary, both in one message": text(t, base64.StdEncoding.EncodeToString([]byte(strings.Join(ms, "\n")))),
	}
}

func invocation(payload string, retry int) string {
	return `{"Data":{"events":` + payload + `},"Metadata":{"PartitionContext":{"EventHubName":"tokens","PartitionId":"1"},` +
		`"SequenceNumberArray":"[41,42]","EnqueuedTimeUtcArray":"[\"2026-03-01T10:00:03.127\",\"2026-03-01T10:00:03.127\"]",` +
		fmt.Sprintf(`"RetryContext":{"MaxRetryCount":-1,"RetryCount":%d}}}`, retry)
}

func listed(t *testing.T, url string) api.Page {
	t.Helper()
	status, body := do(t, http.MethodGet, url+"/api/alerts", "")
	if status != http.StatusOK {
		t.Fatalf("list alerts: %d %s", status, body)
	}
	var page api.Page
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatal(err)
	}
	return page
}

func TestEveryPayloadGivesTheSameAlerts(t *testing.T) {
	var want []string
	for name, payload := range payloads(t) {
		for _, retry := range []int{0, 5} { // the second under a start marker
			t.Run(fmt.Sprintf("%s, attempt %d", name, retry), func(t *testing.T) {
				url, _, log := start(t, nil)
				for range 2 { // handed over twice
					status, body := do(t, http.MethodPost, url+"/tokens", invocation(payload, retry))
					if status != http.StatusOK || !strings.HasPrefix(body, "{") {
						t.Fatalf("%d %q", status, body)
					}
				}
				page := listed(t, url)
				var got []string
				for _, a := range page.Alerts {
					if a.Count != 3 {
						t.Errorf("%s counts %d findings, want 3", a.Rule.ID, a.Count)
					}
					got = append(got, string(a.ID))
				}
				if len(got) == 0 {
					t.Fatal("no alert")
				}
				if want == nil {
					want = got
				}
				if !slices.Equal(got, want) {
					t.Errorf("alerts %v, want %v", got, want)
				}
				if !strings.Contains(log.String(), `"setAside":1`) {
					t.Error("the broken record was not set aside")
				}
				if strings.Contains(log.String(), "xMFjTVvJPE2OChJx_YE-AA") {
					t.Error("the log holds a field of an event")
				}
				status, body := do(t, http.MethodGet, url+"/api/health", "")
				if status != http.StatusOK || !strings.Contains(body, `"sequence":42`) || !strings.Contains(body, `"event":"`+time.Now().UTC().Format(time.DateOnly)) {
					t.Errorf("health: %d %s", status, body)
				}
			})
		}
	}
}

// Any category of log may arrive on any hub: the functions do not ask what they are for.
func TestEveryFunctionTakesEveryLog(t *testing.T) {
	sample := filepath.Join("..", "pkg", "sample")
	var logs []string
	for _, attack := range []string{"storm-0558", "golden-saml"} {
		files, err := filepath.Glob(filepath.Join(sample, "events", attack, "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no bundled logs: %v", err)
		}
		for _, file := range files {
			logs = append(logs, string(read(t, file)))
		}
	}
	var want []string
	for _, function := range []string{"signin", "mailbox", "tokens"} {
		url, _, _ := start(t, map[string]string{app.SettingConfig: filepath.Join(sample, "assay.yaml")})
		status, body := do(t, http.MethodPost, url+"/"+function, `{"Data":{"events":`+text(t, text(t, logs))+`},"Metadata":{}}`)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", function, status, body)
		}
		status, body = do(t, http.MethodGet, url+"/api/alerts?limit=200&from=2023-06-01T00:00:00Z&to=2023-07-01T00:00:00Z", "")
		var page api.Page
		if err := json.Unmarshal([]byte(body), &page); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %s", function, status, body)
		}
		var got []string
		kinds := map[string]bool{}
		for _, a := range page.Alerts {
			got = append(got, string(a.ID))
			kind, _, _ := strings.Cut(a.Rule.ID, "-")
			kinds[kind] = true
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s finds %v, signin %v", function, got, want)
		}
		for _, kind := range []string{"signin", "mailbox", "token", "graph", "risk", "audit"} {
			if !kinds[kind] {
				t.Errorf("%s finds nothing in logs of %s", function, kind)
			}
		}
	}
}

// A function that is deployed with another's function.json holds its events until that is mended.
func TestACallWithoutItsBindingIsHeld(t *testing.T) {
	url, _, log := start(t, nil)
	for _, function := range []string{"signin", "mailbox", "tokens", "notify", "replaychunk"} {
		for _, data := range []string{`{}`, `{"other":"[]"}`} {
			if status, body := do(t, http.MethodPost, url+"/"+function, `{"Data":`+data+`,"Metadata":{}}`); status != http.StatusInternalServerError {
				t.Errorf("%s with %s: %d %s", function, data, status, body)
			}
		}
	}
	if !strings.Contains(log.String(), azfunc.ErrNoBinding.Error()) {
		t.Errorf("the log does not say why:\n%s", log)
	}
}

func TestAStoreThatIsGone(t *testing.T) {
	url, s, _ := start(t, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	payload := payloads(t)["many, binary"]
	if status, _ := do(t, http.MethodPost, url+"/tokens", invocation(payload, 0)); status != http.StatusInternalServerError {
		t.Errorf("a batch without a store: %d, want 500", status)
	}
	if status, body := do(t, http.MethodGet, url+"/api/health", ""); status != http.StatusServiceUnavailable || !strings.Contains(body, `"failing"`) {
		t.Errorf("health without a store: %d %s", status, body)
	}
	if status, _ := do(t, http.MethodGet, url+"/api/alerts", ""); status != http.StatusServiceUnavailable {
		t.Errorf("alerts without a store: %d", status)
	}
}

func TestRecordsOfTenantsThatAHubIsNotBoundTo(t *testing.T) {
	for _, hub := range []string{"tokens", "Tokens"} { // Azure does not tell cases apart
		config := filepath.Join(t.TempDir(), "assay.yaml")
		if err := os.WriteFile(config, []byte("hubs:\n  "+hub+":\n    tenants: [11111111-2222-4333-8444-555555555555]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		url, _, _ := start(t, map[string]string{app.SettingConfig: config})
		if status, _ := do(t, http.MethodPost, url+"/tokens", invocation(payloads(t)["many, binary"], 0)); status != http.StatusOK {
			t.Fatal(status)
		}
		if page := listed(t, url); len(page.Alerts) != 0 {
			t.Errorf("%d alerts of a tenant that the hub %s is not bound to", len(page.Alerts), hub)
		}
	}
}

func principal(roles ...string) string {
	claims := []string{`{"typ":"preferred_username","val":"ada@contoso.example"}`}
	for _, r := range roles {
		claims = append(claims, `{"typ":"roles","val":"`+r+`"}`)
	}
	return base64.StdEncoding.EncodeToString([]byte(`{"auth_typ":"aad","name_typ":"name","role_typ":"roles","claims":[` + strings.Join(claims, ",") + `]}`))
}

func TestWhoMayDoWhat(t *testing.T) {
	const header = "X-MS-CLIENT-PRINCIPAL"
	analyst := principal("Assay.Analyst")
	keyed, _, _ := start(t, nil)
	entra, _, _ := start(t, map[string]string{app.SettingAuth: "entra", "WEBSITE_AUTH_ENABLED": "True"})
	unprotected, _, _ := start(t, map[string]string{app.SettingAuth: "entra"})
	for _, url := range []string{keyed, entra} {
		if status, _ := do(t, http.MethodPost, url+"/tokens", invocation(payloads(t)["many, binary"], 0)); status != http.StatusOK {
			t.Fatal(status)
		}
	}
	id := string(listed(t, keyed).Alerts[0].ID)
	closing := `{"status":"closed","verdict":"true-positive","note":"<b>ours</b>"}`
	for _, c := range []struct {
		name, method, url, body string
		headers                 []string
		status                  int
	}{
		{"a key reads", http.MethodGet, keyed + "/api/alerts/" + id, "", nil, 200},
		{"a key does not change", http.MethodPatch, keyed + "/api/alerts/" + id, closing, nil, 403},
		{"nor with a forged principal", http.MethodPatch, keyed + "/api/alerts/" + id, closing, []string{header, analyst}, 403},
		{"a forged principal where authentication is off", http.MethodGet, unprotected + "/api/alerts", "", []string{header, analyst}, 401},
		{"nobody", http.MethodGet, entra + "/api/alerts", "", nil, 401},
		{"nobody asks for health", http.MethodGet, entra + "/api/health", "", nil, 401},
		{"no role", http.MethodGet, entra + "/api/alerts", "", []string{header, principal()}, 403},
		{"a reader of another tenant sees nothing there", http.MethodGet, entra + "/api/alerts/" + id, "", []string{header, principal("Assay.Reader:11111111-2222-4333-8444-555555555555")}, 404},
		{"a reader of another tenant asks for it", http.MethodGet, entra + "/api/alerts?tenant=" + victim, "", []string{header, principal("Assay.Reader:11111111-2222-4333-8444-555555555555")}, 403},
		{"a reader who patches", http.MethodPatch, entra + "/api/alerts/" + id, closing, []string{header, principal("Assay.Reader")}, 403},
		{"an analyst of another tenant who reads this one", http.MethodPatch, entra + "/api/alerts/" + id, closing, []string{header, principal("Assay.Reader", "Assay.Analyst:11111111-2222-4333-8444-555555555555")}, 403},
		{"an analyst", http.MethodPatch, entra + "/api/alerts/" + id, closing, []string{header, analyst}, 200},
		{"a change of nothing", http.MethodPatch, entra + "/api/alerts/" + id, `{}`, []string{header, analyst}, 400},
		{"an unknown member", http.MethodPatch, entra + "/api/alerts/" + id, `{"severity":"low"}`, []string{header, analyst}, 400},
		{"a verdict on an open alert", http.MethodPatch, entra + "/api/alerts/" + id, `{"status":"open","verdict":"benign"}`, []string{header, analyst}, 400},
		{"no such alert", http.MethodGet, entra + "/api/alerts/20230101-aaaaaaaaaaaaaaaaaaaaaaaaaa", "", []string{header, analyst}, 404},
		{"no id", http.MethodGet, entra + "/api/alerts/x", "", []string{header, analyst}, 400},
		{"a query that cannot be read", http.MethodGet, entra + "/api/alerts?after=%", "", []string{header, analyst}, 400},
		{"a place in no list", http.MethodGet, entra + "/api/alerts?after=e30", "", []string{header, analyst}, 400},
		{"an unknown parameter", http.MethodGet, entra + "/api/alerts?tenants=x", "", []string{header, analyst}, 400},
		{"a window upside down", http.MethodGet, entra + "/api/alerts?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "", []string{header, analyst}, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := do(t, c.method, c.url, c.body, c.headers...)
			if status != c.status {
				t.Errorf("%d, want %d: %s", status, c.status, body)
			}
			if status >= 400 && !strings.Contains(body, `"title"`) {
				t.Errorf("no problem document: %s", body)
			}
		})
	}
	var one api.One
	_, body := do(t, http.MethodGet, entra+"/api/alerts/"+id, "", header, analyst)
	if err := json.Unmarshal([]byte(body), &one); err != nil {
		t.Fatal(err)
	}
	if one.Alert.Status != "closed" || len(one.Alert.History) != 1 || one.Alert.History[0].By != "ada@contoso.example" || len(one.Findings) != 3 {
		t.Errorf("after the change: %s", body)
	}
	if strings.Contains(body, "<b>") {
		t.Error("a note came back as markup")
	}
}

func TestPages(t *testing.T) {
	url, _, _ := start(t, nil)
	if status, _ := do(t, http.MethodPost, url+"/tokens", invocation(payloads(t)["many, binary"], 0)); status != http.StatusOK {
		t.Fatal(status)
	}
	all := listed(t, url).Alerts
	if len(all) < 2 {
		t.Fatalf("%d alerts are too few to page", len(all))
	}
	var got []string
	for next, n := "", 0; n < len(all)+1; n++ {
		status, body := do(t, http.MethodGet, url+"/api/alerts?limit=1&after="+next, "")
		if n == 0 {
			status, body = do(t, http.MethodGet, url+"/api/alerts?limit=1", "")
		}
		var page api.Page
		if err := json.Unmarshal([]byte(body), &page); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		for _, a := range page.Alerts {
			got = append(got, string(a.ID))
		}
		if next = page.Next; next == "" {
			break
		}
	}
	for i, a := range all {
		if i >= len(got) || got[i] != string(a.ID) {
			t.Fatalf("pages give %v", got)
		}
	}
	if len(got) != len(all) {
		t.Errorf("pages give %d alerts, want %d", len(got), len(all))
	}
}

// Who sends more about a closed alert opens it again, unless an analyst found that it was nothing.
func TestAnAlertThatIsClosedReopens(t *testing.T) {
	const header = "X-MS-CLIENT-PRINCIPAL"
	at := time.Now().UTC().Truncate(time.Second)
	now := func() time.Time { return at }
	settings := map[string]string{app.SettingAuth: "entra", "WEBSITE_AUTH_ENABLED": "True", app.SettingKeys: "off"}
	for name, place := range map[string]func(*testing.T) *place{
		"Cosmos DB": func(t *testing.T) *place { t.Helper(); return onCosmos(t, &trouble{}, nil, false, now) },
		"SQLite":    func(t *testing.T) *place { t.Helper(); return onSQLite(t, &trouble{}, failsBefore) },
	} {
		for _, c := range []struct {
			change  string
			reopens bool
		}{
			{`{"status":"closed","verdict":"true-positive"}`, true},
			{`{"status":"closed","verdict":"false-positive"}`, false},
			{`{"status":"closed","verdict":"benign"}`, false},
			{`{"status":"closed"}`, true},
		} {
			t.Run(name+" "+c.change, func(t *testing.T) {
				url, _ := serveOn(t, place(t).backend, settings, 0, now)
				analyst := []string{header, principal("Assay.Analyst")}
				post := func(messages ...string) {
					t.Helper()
					if status, body := do(t, http.MethodPost, url+"/tokens", invocation(text(t, text(t, messages)), 0)); status != http.StatusOK {
						t.Fatalf("%d %s", status, body)
					}
				}
				all := func() []alert.Alert {
					t.Helper()
					var page api.Page
					status, body := do(t, http.MethodGet, url+"/api/alerts", "", analyst...)
					if err := json.Unmarshal([]byte(body), &page); err != nil || status != http.StatusOK || len(page.Alerts) == 0 {
						t.Fatalf("%d %s: %v", status, body, err)
					}
					return page.Alerts
				}
				post(messages()...)
				for _, a := range all() {
					if status, body := do(t, http.MethodPatch, url+"/api/alerts/"+string(a.ID), c.change, analyst...); status != http.StatusOK {
						t.Fatalf("%d %s", status, body)
					}
				}
				post(messages()...) // known findings open nothing
				for _, a := range all() {
					if a.Status != alert.Closed || a.Count != 3 {
						t.Errorf("%s is %s with %d findings after known ones", a.Rule.ID, a.Status, a.Count)
					}
				}
				post(strings.ReplaceAll(messages()[1], `"o-3"`, `"o-4"`))
				for _, a := range all() {
					want, changes := alert.Closed, 1
					if c.reopens {
						want, changes = alert.Open, 2
					}
					if a.Status != want || a.Count != 4 || len(a.History) != changes {
						t.Errorf("%s is %s with %d findings and %d changes, want %s, 4 and %d", a.Rule.ID, a.Status, a.Count, len(a.History), want, changes)
					}
				}
			})
		}
	}
}

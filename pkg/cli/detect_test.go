package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/store"
)

// forged is a mailbox access with a token of the consumer tenant.
const forged = `{"CreationTime":"2024-03-05T02:10:00","Id":"00000001-1111-4222-8333-444455556666","Operation":"MailItemsAccessed",` +
	`"OrganizationId":"3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11","RecordType":50,"UserType":0,"LogonType":0,"Workload":"Exchange",` +
	`"UserId":"ambassador@contoso.example","ClientIPAddress":"192.0.2.77","MailboxGuid":"80f0c0f6-05ee-42ae-a93a-2c289eaa68c0",` +
	`"AppId":"00000002-0000-0ff1-ce00-000000000000","ClientAppId":"27922004-5251-4030-b22d-91ecd9a37ea4",` +
	`"ClientInfoString":"Client=OutlookService;Outlook-iOS/2.0;","TokenTenantId":"9188040d-6c67-4c5b-b112-36a304b66dad"}`

// run runs the command line on the input and returns what it wrote.
func run(t *testing.T, input string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Main(t.Context(), System{
		Name: "assay", Version: "1.0-test", In: strings.NewReader(input), Out: &o, Err: &e, OS: "linux",
		Getenv: func(string) string { return "" }, Home: os.UserHomeDir,
		Now: func() time.Time { return night }, Random: strings.NewReader("chance"),
	}, args)
	return code, o.String(), e.String()
}

func TestClosedAlertsDoNotStand(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	detect := []string{"detect", "--store", path, "--fail-on", "high"}
	if code, out, errs := run(t, forged, detect...); code != exitAlerts {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	s, err := app.OpenExistingStore(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for a, err := range s.Alerts(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Update(t.Context(), a.Tenant, a.ID, func(a *alert.Alert) error {
			return a.Mark(alert.Change{At: night, By: "ada", Status: alert.Closed, Verdict: alert.Benign, Note: "an exercise"})
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, forged, detect...)
	if code != exitOK || !strings.Contains(out, "known, closed") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	_, list, _ := run(t, "", "alerts", "list", "--store", path, "--output", "json")
	var doc struct{ Alerts []struct{ ID string } }
	if err := json.Unmarshal([]byte(list), &doc); err != nil || len(doc.Alerts) == 0 {
		t.Fatalf("%v in %s", err, list)
	}
	_, page, _ := run(t, "", "alerts", "show", "--store", path, doc.Alerts[0].ID)
	for _, want := range []string{"status      closed (benign)", "history     2023-06-16 03:12:33Z  ada: closed (benign), an exercise"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}

// The hint below the table is a command line that works as it stands.
func TestTheHintWorks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	_, out, _ := run(t, forged, "detect", "--store", path)
	_, hint, ok := strings.Cut(out, "\nnext: assay ")
	if !ok {
		t.Fatalf("no hint in\n%s", out)
	}
	if code, page, errs := run(t, "", strings.Fields(hint)...); code != exitOK || !strings.Contains(page, "record      -:1") {
		t.Errorf("%s: exit code %d\n%s%s", hint, code, page, errs)
	}
}

// Every form of output tells of the same alerts.
func TestFormsAgree(t *testing.T) {
	t.Parallel()
	_, out, _ := run(t, forged, "detect", "--store", "none", "--output", "json")
	var doc map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &doc); err != nil || len(doc) != 2 {
		t.Fatalf("%v in %s", err, out)
	}
	var alerts []map[string]any
	if err := json.Unmarshal(doc["alerts"], &alerts); err != nil {
		t.Fatal(err)
	}
	_, lines, _ := run(t, forged, "detect", "--store", "none", "--output", "jsonl")
	var fromLines []map[string]any
	for line := range strings.Lines(lines) {
		var a map[string]any
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		fromLines = append(fromLines, a)
	}
	if !reflect.DeepEqual(alerts, fromLines) {
		t.Errorf("json %v\njsonl %v", alerts, fromLines)
	}
	_, events, _ := run(t, forged, "detect", "--store", "none", "--output", "cloudevents")
	i := 0
	for line := range strings.Lines(events) {
		var e struct {
			SpecVersion string `json:"specversion"`
			Subject     string `json:"subject"`
			Data        struct {
				ID string `json:"id"`
			} `json:"data"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.SpecVersion != "1.0" || i >= len(alerts) || e.Subject != alerts[i]["id"] || e.Data.ID != e.Subject {
			t.Errorf("event %d is %+v", i, e)
		}
		i++
	}
	if i != len(alerts) {
		t.Errorf("%d events, %d alerts", i, len(alerts))
	}
}

// A key that is not in the package's document is one that nobody can rely on.
func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, w := range strings.FieldsFunc(string(text), func(r rune) bool { return !unicode.IsLetter(r) }) {
		words[w] = true
	}
	for _, doc := range []any{alertDocument{}, summary{}, runDocument{}, alert.Subject{}} {
		typ := reflect.TypeOf(doc)
		for i := range typ.NumField() {
			key, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if key != "" && !words[key] {
				t.Errorf("the key %q of %s is not documented", key, typ)
			}
		}
	}
}

func TestTheOnlyTenantOfTheConfigurationTakesWhatNamesNone(t *testing.T) {
	t.Parallel()
	signIn := `{"id":"ae47ad48-9b90-4861-ab4e-f0420a13f300","createdDateTime":"2023-06-12T12:22:00Z","userPrincipalName":"a@contoso.example",` +
		`"userId":"1ca3a740-1560-45e7-89b5-1382f6bd146e","appId":"c44b4083-3bb0-49c1-b47d-974e53cbdf3c","ipAddress":"51.89.156.153",` +
		`"status":{"errorCode":0},"conditionalAccessStatus":"success"}`
	file := filepath.Join(t.TempDir(), "assay.yaml")
	if err := os.WriteFile(file, []byte("tenants:\n  - {id: "+contoso+", name: Contoso}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "unknown"},
		{[]string{"--tenant", strings.ToUpper(fabrikam)}, fabrikam},
		{[]string{"--config", file}, contoso},
		{[]string{"--config", file, "--tenant", fabrikam}, fabrikam},
	} {
		_, out, errs := run(t, signIn, append([]string{"detect", "--store", "none", "--output", "jsonl", "--rule", "ioc-ip"}, c.args...)...)
		var a struct{ TenantID, TenantName string }
		if err := json.Unmarshal([]byte(out), &a); err != nil {
			t.Fatalf("%v: %v in %q, %s", c.args, err, out, errs)
		}
		if a.TenantID != c.want || (a.TenantName == "Contoso") != (c.want == contoso) {
			t.Errorf("%v: %+v, want %s", c.args, a, c.want)
		}
	}
}

// The hash of the configuration stands in every alert.
func TestProvenanceNamesTheConfiguration(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "assay.yaml")
	if err := os.WriteFile(file, []byte("tenants: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, out, errs := run(t, forged, "detect", "--store", "none", "--output", "jsonl", "--min-severity", "critical", "--config", file)
	var a alertDocument
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		t.Fatalf("%v in %q, %s", err, out, errs)
	}
	// printf 'tenants: []\n' | sha256sum
	if !strings.HasSuffix(a.Provenance.Reference, "+5a35b36c9b4c898272ec39d0191fe1c9fbad36c29eeb4c38a5fa7a110ceebdfb") ||
		a.Provenance.Run != "local-20230616T031233Z-6368616e" || a.Provenance.Assay != "1.0-test" {
		t.Errorf("%+v", a.Provenance)
	}
}

func TestNoHomeNoStore(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	code := Main(context.Background(), System{
		Name: "assay", In: strings.NewReader(forged), Out: &out, Err: &errs, OS: "linux", Now: func() time.Time { return night },
		Getenv: func(string) string { return "" }, Home: func() (string, error) { return "", os.ErrNotExist },
	}, []string{"detect"})
	if code != exitError || !strings.Contains(errs.String(), "--store") {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
}

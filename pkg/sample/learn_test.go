package sample_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/cli"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/rule"
)

// learn runs assay learn and returns what it writes, what it complains of and the exit code.
func learn(t *testing.T, args ...string) (out, complaints string, code int) {
	t.Helper()
	var o, c bytes.Buffer
	sys := cli.System{
		Name: "assay", Version: "test", In: strings.NewReader(""), Out: &o, Err: &c,
		Getenv: func(string) string { return "" }, OS: "linux", Home: func() (string, error) { return t.TempDir(), nil },
		Now: func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }, Random: strings.NewReader("once"),
	}
	code = cli.Main(t.Context(), sys, append([]string{"learn"}, args...))
	return o.String(), c.String(), code
}

// What was learned from ordinary days leaves them quiet: no rule that pages finds anything of medium severity or above.
func TestWhatOrdinaryDaysTeachLeavesThemQuiet(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("events", "ordinary")
	text, complaints, code := learn(t, folder)
	if code != 0 || complaints != "" {
		t.Fatalf("exit code %d: %s", code, complaints)
	}
	for _, want := range []string{
		"mailClients:", "appOnlyMailApps:", "utiCoverage:", "appId: e02c7d95-6f1a-4b3e-9d48-7a5b13c8f064", "clientInfo: ['^Client=REST([;/]|$)']",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the proposal lacks %s:\n%s", want, text)
		}
	}
	c, err := config.Parse("learned.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, touched := range detect(t, c, folder).Sorted(rule.Medium, rule.Enabled) {
		a := &touched.Alert
		t.Errorf("%s %s: %s (%s, %d findings, first at %v)", a.Severity, a.Rule.ID, a.Rule.Why, a.Key, a.Count, a.Lead.Place)
	}

	// The rest of the bundled organisation's own configuration stays as it is.
	proposed, complaints, code := learn(t, "--config", "assay.yaml", folder)
	if code != 0 || complaints != "" {
		t.Fatalf("exit code %d: %s", code, complaints)
	}
	if !strings.Contains(proposed, "\n--- assay.yaml\n+++ assay.yaml\n@@ ") {
		t.Errorf("is no diff:\n%s", proposed)
	}
	for line := range strings.Lines(proposed) {
		if strings.HasPrefix(line, "-") && !strings.HasPrefix(line, "---") && !strings.Contains(line, "{appId: ") {
			t.Errorf("the diff takes away %q", line)
		}
	}
}

func TestNothingIsLearnedFromIntrusions(t *testing.T) {
	t.Parallel()
	for folder, rules := range map[string][]string{
		"storm-0558":  {"mailbox-consumer-tenant-token", "token-kid-known-bad"},
		"golden-saml": nil,
	} {
		out, complaints, code := learn(t, "--config", "assay.yaml", filepath.Join("events", "ordinary"), filepath.Join("events", folder))
		if code != 1 || out != "" || !strings.Contains(complaints, "strong evidence") {
			t.Errorf("%s: exit code %d, %q, %q", folder, code, out, complaints)
		}
		for _, id := range rules {
			if !strings.Contains(complaints, id) {
				t.Errorf("%s: does not name %s: %s", folder, id, complaints)
			}
		}
	}
}

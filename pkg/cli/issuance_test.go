package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/sample/made"
)

// joined is one invocation of assay replay --join issuance over the last two days of linked logs.
func joined(t *testing.T, store string, args ...string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	sys := scripted()
	sys.Out, sys.Err = &o, &e
	code = Main(context.Background(), sys, slices.Concat([]string{
		"replay", "--join", "issuance", "--store", store, "--from", "2025-12-30", "--to", "2026-01-01", "--reason", "case 7",
		"--rule", "token-never-issued,token-id-attribute-mismatch,token-used-before-issuance,session-never-issued",
	}, args))
	return o.String(), e.String(), code
}

// found returns what a replay found: rule, leg and token of each finding, in their order.
func (f *caseFile) found() []string {
	var out []string
	for _, a := range f.Alerts {
		for _, x := range a.Findings {
			out = append(out, x.Rule.ID+" "+x.Rule.Leg+" "+x.Subject.TokenID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Seventeen days of an organisation: the planted tokens are found, each for what is wrong with it, and none besides. It does not
// matter in which order the logs come or how they are cut into files.
func TestJoinIssuance(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	logs := filepath.Join(dir, "logs")
	planted, err := made.Linked(logs, 558, time.Date(2025, 12, 15, 0, 0, 0, 0, time.UTC), 17, 8000, true)
	if err != nil {
		t.Fatal(err)
	}
	read := func(store string, args ...string) caseFile {
		t.Helper()
		export := filepath.Join(dir, "case.json")
		out, errs, code := joined(t, filepath.Join(dir, store), append(args, "--export", export)...)
		if code != 0 {
			t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
		text, err := os.ReadFile(export)
		if err != nil {
			t.Fatal(err)
		}
		var f caseFile
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	first := read("a.db", logs)
	want := []string{
		"session-never-issued unknown-session " + planted.Orphans["gateway"],
		"session-never-issued unknown-session " + planted.Orphans["graph"],
		"session-never-issued unknown-session " + planted.Orphans["mailbox"],
		"session-never-issued unknown-session " + planted.Failed,
		"token-id-attribute-mismatch user " + planted.Copied,
		"token-never-issued calibrated-client " + planted.Orphans["gateway"],
		"token-never-issued calibrated-client " + planted.Orphans["graph"],
		"token-never-issued calibrated-client " + planted.Orphans["mailbox"],
		"token-never-issued failed-sign-in " + planted.Failed,
		"token-used-before-issuance before-sign-in " + planted.Early,
	}
	slices.Sort(want)
	if got := first.found(); !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	s := first.Issuance
	if s == nil || s.Orphans != 4 || s.Unsaid["client applications whose tokens find their sign-in"] == 0 || s.Unsaid["sign-in logs of the time of issue"] == 0 ||
		s.Tokens != s.Issued+s.Orphans+sum(s.Unsaid) {
		t.Errorf("the coverage is %+v", s)
	}
	silent := 0
	for _, l := range s.Tenants[0].Logs {
		silent += len(l.Silences)
	}
	if silent == 0 {
		t.Error("the hour without sign-ins is not told of")
	}

	again := read("a.db", logs)
	if again.Replay.Findings.New != 0 || again.Replay.Findings.Known != first.Replay.Findings.New {
		t.Errorf("the second replay found %+v", again.Replay.Findings)
	}
	dry := read("dry.db", "--dry-run", logs)
	if got := dry.found(); !slices.Equal(got, want) {
		t.Errorf("the dry run found\n%s", strings.Join(got, "\n"))
	}
	cut := split(t, logs, filepath.Join(dir, "cut"))
	parts := read("b.db", append(cut, "--at-once", "3")...)
	if ids(&first) != ids(&parts) {
		t.Errorf("in pieces and backwards: found\n%s\nwant\n%s", ids(&parts), ids(&first))
	}

	// For people.
	out, _, _ := joined(t, filepath.Join(dir, "a.db"), logs)
	for _, text := range []string{"  never issued +4", "JUDGED", "strong", "its tokens never have a sign-in", "silent for", "managed identity +none"} {
		if !regexp.MustCompile(text).MatchString(out) {
			t.Errorf("no %q in\n%s", text, out)
		}
	}

	// Too many token ids are an error, and nothing is said.
	out, errs, code := joined(t, filepath.Join(dir, "c.db"), "--join-memory", "1", logs)
	if code == 0 || !strings.Contains(errs, "too many token ids") || !strings.Contains(errs, "--join-memory") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

func sum(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// ids are those of the findings.
func ids(f *caseFile) string {
	var out []string
	for _, a := range f.Alerts {
		for _, x := range a.Findings {
			out = append(out, string(x.ID))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// split writes the lines of the logs backwards into files of a thousand lines.
func split(t *testing.T, from, to string) []string {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
	}
	slices.Reverse(lines)
	var out []string
	for part := range slices.Chunk(lines, 3001) {
		name := filepath.Join(to, string(rune('a'+len(out)))+".ndjson")
		if err := os.WriteFile(name, []byte(strings.Join(part, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		out = append(out, name)
	}
	return out
}

// Wrong usage says what is wrong.
func TestJoinUsage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"remote":    {[]string{"--join", "issuance", "--remote", "https://contoso.example", "hub:signins"}, "in the memory of one process"},
		"other":     {[]string{"--join", "sessions", "logs"}, "must be one of issuance"},
		"no join":   {[]string{"--rule", "token-never-issued", "logs"}, "needs --join issuance"},
		"its rules": {[]string{"--join", "issuance", "--rule", "ioc-ip", "logs"}, "token-never-issued, token-id-attribute-mismatch"},
		"calibrate": {[]string{"--calibrate-from", "2025-12-01", "logs"}, "--calibrate-from is for join alone"},
		"later":     {[]string{"--join", "issuance", "--calibrate-from", "2026-01-01", "logs"}, "--calibrate-from is after from"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			sys := scripted()
			sys.Out, sys.Err = &out, &errs
			code := Main(context.Background(), sys, slices.Concat([]string{"replay", "--store", filepath.Join(t.TempDir(), "a.db"), "--from", "2025-12-30", "--to", "2026-01-01", "--reason", "x"}, c.args))
			if code == 0 || !strings.Contains(errs.String(), c.want) {
				t.Errorf("exit code %d, no %q in\n%s", code, c.want, errs.String())
			}
		})
	}
}

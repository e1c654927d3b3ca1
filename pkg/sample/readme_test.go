package sample_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/cli"
)

// What README.md shows is what the commands print, and every command and flag that it names exists.
func TestReadmeTellsTheTruth(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(text)
	blocks := regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(readme, -1)
	if len(blocks) < 3 {
		t.Fatalf("README.md has %d blocks of commands", len(blocks))
	}
	if first := strings.Fields(blocks[0][1]); !strings.HasPrefix(blocks[0][1], "make run ") || !slices.Contains(first, "test") {
		t.Errorf("README.md does not begin with make run and make test:\n%s", blocks[0][1])
	}

	store := filepath.Join(t.TempDir(), "alerts.db")
	assay := func(args ...string) string {
		t.Helper()
		var out, complaints bytes.Buffer
		sys := cli.System{
			Name: "./bin/assay", Version: "test", In: strings.NewReader(""), Out: &out, Err: &complaints,
			Getenv: func(string) string { return "" }, OS: "linux",
			Home: func() (string, error) { return t.TempDir(), nil },
			Now:  func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }, Random: rand.Reader,
		}
		if code := cli.Main(t.Context(), sys, args); code != 0 {
			t.Fatalf("assay %s: exit code %d: %s", strings.Join(args, " "), code, &complaints)
		}
		return strings.ReplaceAll(out.String(), store, "bin/run/alerts.db")
	}
	printed := map[string]string{
		"make run": assay("detect", "--store", store, "--config", "pkg/sample/assay.yaml", "pkg/sample/events"),
	}
	shown := 0
	for _, b := range blocks {
		command, want, ok := strings.Cut(b[1], "\n")
		command, isPrompt := strings.CutPrefix(command, "$ ")
		if !ok || !isPrompt {
			continue
		}
		got, known := printed[command]
		if !known {
			args := strings.Fields(strings.ReplaceAll(command, "bin/run/alerts.db", store))
			got = assay(args[1:]...)
		}
		shown++
		lines := strings.Split(got, "\n")
		for l := range strings.Lines(want) {
			l = strings.TrimRight(l, "\n")
			if l == "" || l == "…" {
				continue
			}
			if !slices.ContainsFunc(lines, func(g string) bool { return strings.TrimRight(g, " ") == l }) {
				t.Errorf("%s does not print what README.md shows: %q", command, l)
			}
		}
	}
	if shown < 2 {
		t.Errorf("README.md shows the output of %d commands", shown)
	}

	help := assay("detect", "--help")
	for _, m := range regexp.MustCompile("(?m)^\\| `(--[a-z-]+)").FindAllStringSubmatch(readme, -1) {
		if !strings.Contains(help, m[1]+" ") {
			t.Errorf("README.md names the flag %s, which assay detect does not have", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^ +(--[a-z-]+)`).FindAllStringSubmatch(help, -1) {
		if m[1] != "--help" && !strings.Contains(readme, "`"+m[1]) {
			t.Errorf("README.md does not name the flag %s of assay detect", m[1])
		}
	}
}

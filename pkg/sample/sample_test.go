// Package sample_test holds the bundled logs against what Assay finds in them.
package sample_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/sample/made"
)

var (
	update = flag.Bool("update", false, "write the golden file anew")
	benign = flag.Int("benign", 10_000, "how many ordinary records are made")
)

// detect runs the logs in the folders through the whole path, without a store that lasts.
func detect(t *testing.T, c *config.Config, folders ...string) *pipeline.Report {
	t.Helper()
	ctx := t.Context()
	rules, err := app.LoadRules(c)
	if err != nil {
		t.Fatal(err)
	}
	store, err := app.MemoryStore(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	p, err := app.NewPipeline(rules, decode.Scanner{}, store, c.Tenant(), func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) })
	if err != nil {
		t.Fatal(err)
	}
	files := envelope.NewFiles(folders, nil)
	t.Cleanup(func() {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	report, err := p.Process(ctx, files, pipeline.Options{From: rules.Provenance("test", "test")})
	if err != nil {
		t.Fatal(err)
	}
	if sum := report.Evaluated + total(report.Ignored) + total(report.SetAside); sum != report.Records {
		t.Errorf("%d records, but %d evaluated, ignored or set aside", report.Records, sum)
	}
	return report
}

func total(m map[string]int64) (n int64) {
	for _, x := range m {
		n += x
	}
	return n
}

func bundledConfig(t *testing.T) *config.Config {
	t.Helper()
	c, err := config.Load("assay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// describe lists what the run found, for the golden file.
func describe(r *pipeline.Report) string {
	var b strings.Builder
	var lines []string
	for _, touched := range r.Alerts {
		a := touched.Alert
		lines = append(lines, fmt.Sprintf("%-8s %-8s %s %-46s %3d  %s %s", a.Severity, a.Stage, a.Day, a.Rule.ID, a.Count, a.KeyName, a.Key))
	}
	slices.Sort(lines)
	for _, l := range lines {
		b.WriteString(l + "\n")
	}
	fmt.Fprintf(&b, "\n%d records, %d evaluated, %d findings\n", r.Records, r.Evaluated, r.Findings)
	for _, part := range []struct {
		name string
		of   map[string]int64
	}{{"ignored", r.Ignored}, {"set aside", r.SetAside}} {
		for _, k := range slices.Sorted(keys(part.of)) {
			fmt.Fprintf(&b, "%s: %d %s\n", part.name, part.of[k], k)
		}
	}
	return b.String()
}

func keys(m map[string]int64) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestBundledLogsShowTheirIntrusions(t *testing.T) {
	t.Parallel()
	const golden = "testdata/alerts.golden"
	got := describe(detect(t, bundledConfig(t), "events"))
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the bundled logs show something else than %s:\n%s", golden, got)
	}
}

// Days without an intrusion raise nothing that wakes anybody, whether or not the organisation has told what is its own.
func TestOrdinaryDaysAreQuiet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := made.Ordinary(dir, 20_230_612, *benign); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*config.Config{"configured": bundledConfig(t), "by default": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := detect(t, c, dir)
			if r.Records != int64(*benign) {
				t.Errorf("read %d records of %d", r.Records, *benign)
			}
			for reason, n := range r.SetAside {
				t.Errorf("%d records were set aside: %s: %v", n, reason, r.Examples[reason])
			}
			for _, a := range r.Sorted(rule.High, rule.Observe) {
				t.Errorf("%s %s: %s (%s, %d findings, first at %v)",
					a.Alert.Severity, a.Alert.Rule.ID, a.Alert.Rule.Why, a.Alert.Key, a.Alert.Count, a.Alert.Lead.Place)
			}
		})
	}
}

func TestReadmeNamesEveryFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir("events", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if name := filepath.Base(path); !strings.Contains(string(text), name) {
			t.Errorf("README.md does not say what %s is", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Command realdata runs assay over real logs and holds the result against the verdicts in REALDATA.md: every alert
// must be listed and none of them false, every listed alert must be raised, and records are set aside only as listed.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

//go:embed REALDATA.md
var page string

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: realdata ASSAY FOLDER")
		os.Exit(1)
	}
	assay, folder := os.Args[1], os.Args[2]
	run := func(more ...string) (document, error) { return detect(context.Background(), assay, folder, more...) }
	if err := check(run, folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// verdict is a row of the page's table of alerts.
type verdict struct {
	rule, severity, stage, place, verdict string
	count                                 int64
}

// document is the part of the output of `assay detect --output json` that is checked.
type document struct {
	Alerts []struct {
		ID       string
		RuleID   string
		Severity string
		Stage    string
		Count    int64
		Places   []string
	}
	Summary struct {
		Records, Evaluated, Ignored, SetAside int64
		SetAsideByReason                      map[string]int64
		Observed                              map[string]int64
	}
}

// check holds what a run over the folder gives against the page. run takes more flags of assay detect.
func check(run func(more ...string) (document, error), folder string) error {
	verdicts, setAside, err := parse(page)
	if err != nil {
		return err
	}
	all, err := run()
	if err != nil {
		return err
	}
	if s := all.Summary; s.Records != s.Evaluated+s.Ignored+s.SetAside {
		err = errors.Join(err, fmt.Errorf("%d records are not %d evaluated + %d ignored + %d set aside", s.Records, s.Evaluated, s.Ignored, s.SetAside))
	}
	if !maps.Equal(all.Summary.SetAsideByReason, setAside) {
		err = errors.Join(err, fmt.Errorf("set aside %v, but REALDATA.md lists %v", all.Summary.SetAsideByReason, setAside))
	}
	if len(all.Summary.Observed) > 0 {
		observed, derr := run("--rule", strings.Join(slices.Sorted(maps.Keys(all.Summary.Observed)), ","))
		if derr != nil {
			return derr
		}
		all.Alerts = append(all.Alerts, observed.Alerts...)
	}
	seen := map[string]bool{}
	counts := map[string]int{}
	for _, a := range all.Alerts {
		if seen[a.ID] {
			continue
		}
		seen[a.ID] = true
		place := ""
		if len(a.Places) > 0 {
			place = relative(folder, a.Places[0])
		}
		got := verdict{a.RuleID, a.Severity, a.Stage, place, "", a.Count}
		want, listed := verdicts[a.ID]
		counts[want.verdict]++
		said := want.verdict
		want.verdict = ""
		switch {
		case !listed:
			err = errors.Join(err, fmt.Errorf("REALDATA.md does not judge the alert %s: %+v", a.ID, got))
		case got != want:
			err = errors.Join(err, fmt.Errorf("the alert %s is %+v, but REALDATA.md lists %+v", a.ID, got, want))
		case said != "right" && said != "lab attack":
			err = errors.Join(err, fmt.Errorf("the alert %s of %s is judged %q", a.ID, a.RuleID, said))
		}
	}
	for id, v := range verdicts {
		if !seen[id] {
			err = errors.Join(err, fmt.Errorf("REALDATA.md lists the alert %s of %s, which was not raised", id, v.rule))
		}
	}
	if err == nil {
		fmt.Printf("%d records, %d alerts: %d right, %d lab attacks, none false; %d records set aside, each for a listed reason\n",
			all.Summary.Records, len(seen), counts["right"], counts["lab attack"], all.Summary.SetAside)
	}
	return err
}

func relative(folder, place string) string {
	return strings.TrimPrefix(filepath.ToSlash(place), strings.TrimSuffix(filepath.ToSlash(folder), "/")+"/")
}

// detect runs assay without a configuration and without a store.
func detect(ctx context.Context, assay, folder string, more ...string) (document, error) {
	args := append([]string{"detect", "--store", "none", "--output", "json"}, more...)
	cmd := exec.CommandContext(ctx, assay, append(args, folder)...) //nolint:gosec // who runs this names the program
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return document{}, fmt.Errorf("run %s: %w", cmd, err)
	}
	var d document
	if err := json.Unmarshal(out, &d); err != nil {
		return document{}, fmt.Errorf("read the output of %s: %w", cmd, err)
	}
	return d, nil
}

// parse reads the page's two tables: verdicts by alert id, and the records set aside by reason.
func parse(page string) (map[string]verdict, map[string]int64, error) {
	verdicts, setAside := map[string]verdict{}, map[string]int64{}
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == "alert" || cells[0] == "reason" || strings.HasPrefix(cells[0], "-"):
		case len(cells) == 8:
			n, err := strconv.ParseInt(cells[4], 10, 64)
			if err != nil {
				return nil, nil, fmt.Errorf("read REALDATA.md: the count of %s: %w", cells[0], err)
			}
			verdicts[cells[0]] = verdict{cells[1], cells[2], cells[3], cells[5], cells[6], n}
		case len(cells) == 4:
			n, err := strconv.ParseInt(cells[1], 10, 64)
			if err != nil {
				return nil, nil, fmt.Errorf("read REALDATA.md: the records of %s: %w", cells[0], err)
			}
			setAside[cells[0]] = n
		}
	}
	if len(verdicts) == 0 || len(setAside) == 0 {
		return nil, nil, errors.New("read REALDATA.md: a table is missing")
	}
	return verdicts, setAside, nil
}

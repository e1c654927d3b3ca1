package rules_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/casefile"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
)

// records returns those of the case files and of the bundled logs.
func records(t *testing.T) []string {
	t.Helper()
	var out []string
	add := func(r io.Reader, name string) {
		for in := envelope.NewReader(r, name); ; {
			rec, err := in.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if part := (*envelope.Broken)(nil); errors.As(err, &part) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, rec.Body)
		}
	}
	files, err := casefile.Read(rules.Cases())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, c := range f.Cases {
			add(strings.NewReader(c.Record), "case")
		}
	}
	logs := os.DirFS("../sample/events")
	err = fs.WalkDir(logs, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		log, err := fs.ReadFile(logs, path)
		if err == nil {
			add(bytes.NewReader(log), path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var anyText = regexp.MustCompile(`:\s*("(?:[^"\\]|\\.)*"|true|false|-?[0-9]+)`)

// mutate puts values that stand elsewhere, null or nothing in the place of a few of the record's.
func mutate(r *rand.Rand, record string, values []string) string {
	for range 1 + r.IntN(4) {
		found := anyText.FindAllStringSubmatchIndex(record, -1)
		if len(found) == 0 {
			return record
		}
		at := found[r.IntN(len(found))]
		value := values[r.IntN(len(values))]
		switch r.IntN(4) {
		case 0:
			value = "null"
		case 1:
			value = `""`
		}
		record = record[:at[2]] + value + record[at[3]:]
	}
	return record
}

func said(v *rule.Verdict) string {
	leg := ""
	if v.Leg != nil {
		leg = v.Leg.ID
	}
	return fmt.Sprintf("%d %s %s %s %s %s %s %q %q %+v", v.Index, v.Rule.ID, v.Truth, leg, v.Severity, v.Strength, v.Stage, v.Key, v.Missing, v.Facts)
}

// TestSharingChangesNothing: an engine, which asks once what several rules ask, says of every event what each rule says that
// is asked alone: the same verdicts, facts, and reasons for which it cannot be decided, in the same order.
func TestSharingChangesNothing(t *testing.T) {
	all := records(t)
	var values []string
	for _, body := range all {
		for _, m := range anyText.FindAllStringSubmatch(body, -1) {
			values = append(values, m[1])
		}
	}
	e := engine(t)
	n := normalize.New(decode.Scanner{}, "")
	var s rule.Scratch
	var lent normalize.Scratch
	var ev event.Event
	count := map[rule.Truth]int{}
	events := 0
	compare := func(body string) {
		if n.Normalize(&envelope.Record{Body: body}, &lent, &ev).Outcome != normalize.Normalised {
			return
		}
		events++
		var got, want []string
		e.Eval(&ev, &s, func(v *rule.Verdict) { got = append(got, said(v)) })
		var fired []rule.Verdict
		for i, r := range e.Rules() {
			if !slices.Contains(r.Kinds, ev.Kind) {
				continue
			}
			v := r.Verdict(&ev)
			v.Index = i
			count[v.Truth]++
			switch v.Truth {
			case rule.True:
				fired = append(fired, v)
			case rule.Unknown:
				v.Facts = nil // an engine tells what was missing
				v.Key, v.Severity, v.Strength, v.Stage = "", 0, 0, 0
				want = append(want, said(&v))
			case rule.False:
			}
		}
		rule.Combine(fired)
		for i := range fired {
			want = append(want, said(&fired[i]))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s\nthe engine:\n%s\neach rule alone:\n%s", body, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	for _, body := range all {
		compare(body)
	}
	mutations := 4
	if testing.Short() || raced {
		mutations = 1
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range mutations {
		for _, body := range all {
			compare(mutate(r, body, values))
		}
	}
	t.Logf("%d events, %v", events, count)
	for _, truth := range []rule.Truth{rule.True, rule.Unknown, rule.False} {
		if count[truth] < 1000 {
			t.Errorf("%d verdicts are %s: the test tests little", count[truth], truth)
		}
	}
}

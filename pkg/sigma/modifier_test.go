package sigma

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/assay-sec/assay/pkg/casefile"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// The rules of testdata use every modifier, and their case files hold.
func TestEveryModifier(t *testing.T) {
	t.Parallel()
	var conf struct {
		Sigma struct{ Placeholders map[string][]string }
	}
	text, err := os.ReadFile("testdata/assay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &conf); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("testdata/rules/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	var files []File
	used := map[string]bool{}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, File{p, text})
		for _, m := range regexp.MustCompile(`(?m)^ +['\w.]*\|([\w|]+)'?:`).FindAllStringSubmatch(string(text), -1) {
			for name := range strings.SplitSeq(m[1], "|") {
				used[name] = true
			}
		}
	}
	for _, name := range modifierNames() {
		if !used[name] {
			t.Errorf("no rule uses the modifier %q", name)
		}
	}
	set := Compile(files, Options{Placeholders: conf.Sigma.Placeholders})
	if err := set.Err(); err != nil {
		t.Fatal(err)
	}
	cases, err := casefile.Read(os.DirFS("testdata/rules/cases"))
	if err != nil {
		t.Fatal(err)
	}
	runner := casefile.Runner{
		Decoder: decode.Scanner{}, Extras: set.Extras, Record: set.Record,
		Rules: func(*reference.Data) ([]*rule.Rule, error) { return set.Rules, nil },
	}
	tested := map[string][]rule.Truth{}
	for _, f := range cases {
		for _, r := range runner.Run(f) {
			if r.Err != nil {
				t.Error(r.Err)
			}
			tested[f.Rule] = append(tested[f.Rule], r.Verdict.Truth)
		}
	}
	for _, r := range set.Rules {
		if !slices.Contains(tested[r.ID], rule.True) || !slices.Contains(tested[r.ID], rule.False) {
			t.Errorf("%s lacks a case that matches, or one that does not", r.ID)
		}
	}
	if len(tested) != len(set.Rules) {
		t.Errorf("%d case files for %d rules", len(tested), len(set.Rules))
	}
}

// A name of a field means one thing: what is listed twice would be read as the first.
func TestNamesAreNormal(t *testing.T) {
	t.Parallel()
	for at, from := range sources() {
		for key, f := range from.names {
			if key != normal(f.name) || f.bind == nil || f.path == "" {
				t.Errorf("%s: %q is %+v", at, key, f)
			}
			w := newWants()
			if f.bind(w) == nil {
				t.Errorf("%s: %q binds nothing", at, key)
			}
			if _, _, err := decode.Want(w.extras...); err != nil {
				t.Errorf("%s: %q: %v", at, key, err)
			}
		}
	}
}

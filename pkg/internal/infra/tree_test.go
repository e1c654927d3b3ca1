// Package infra holds what is deployed against the code and against itself: names that program, bindings, Bicep and Terraform
// share, parameters and resources that both languages must have, and what a security review asks for. It holds tests
// alone. Each check takes a tree of files, so that a test can put a fault into one and see it found.
package infra

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// tree is the text of the repository's files, by name from its root.
type tree map[string]string

// read returns the files that the checks look at. They are read once.
var read = sync.OnceValues(func() (tree, error) {
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..", "..")
	t := tree{}
	for _, dir := range []string{"infra", "functions", "pkg", ".github"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				if d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == ".terraform" {
					return filepath.SkipDir
				}
				return nil
			}
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			rel = filepath.ToSlash(rel)
			if strings.HasSuffix(rel, "_test.go") || strings.HasPrefix(rel, "pkg/") && path.Ext(rel) != ".go" {
				return nil
			}
			text, err := os.ReadFile(name)
			t[rel] = string(text)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"host.json", "local.settings.sample.json", "Makefile"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		t[name] = string(text)
	}
	return t, nil
})

func repository(t *testing.T) tree {
	t.Helper()
	files, err := read()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// with returns the tree with one text replaced in one file. The text must be there.
func (f tree) with(t *testing.T, name, old, replacement string) tree {
	t.Helper()
	if !strings.Contains(f[name], old) {
		t.Fatalf("%s does not hold %q, so no fault can be put there", name, old)
	}
	out := maps.Clone(f)
	out[name] = strings.Replace(f[name], old, replacement, 1)
	return out
}

// matching returns the names of the files that match the pattern, sorted.
func (f tree) matching(pattern string) []string {
	var out []string
	for name := range f {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// problems are what a check found.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

// same adds a problem for all that only one of the two has.
func (p *problems) same(what string, a, b []string, nameA, nameB string) {
	for _, x := range a {
		if !slices.Contains(b, x) {
			p.add("%s %s is in %s and not in %s", what, x, nameA, nameB)
		}
	}
	for _, x := range b {
		if !slices.Contains(a, x) {
			p.add("%s %s is in %s and not in %s", what, x, nameB, nameA)
		}
	}
}

// check reports what a check finds in the repository, and fails where a fault that is put into it is not found.
func check(t *testing.T, run func(tree) problems, faults ...fault) {
	t.Helper()
	files := repository(t)
	for _, p := range run(files) {
		t.Error(p)
	}
	for _, f := range faults {
		found := run(files.with(t, f.file, f.old, f.replacement))
		if !slices.ContainsFunc(found, func(p string) bool { return strings.Contains(p, f.want) }) {
			t.Errorf("a fault in %s (%q) is not found as %q: %q", f.file, f.replacement, f.want, found)
		}
	}
}

// fault is a mistake that a check must find, and a part of what it must say.
type fault struct{ file, old, replacement, want string }

// shared is infra/names.json: what Bicep and Terraform both read.
type shared struct {
	Database   string `json:"database"`
	Containers []struct {
		Name         string   `json:"name"`
		PartitionKey string   `json:"partitionKey"`
		MayDelete    bool     `json:"mayDelete"`
		NotIndexed   []string `json:"notIndexed"`
	} `json:"containers"`
	Functions      map[string]string `json:"functions"`
	ConsumerGroups map[string]string `json:"consumerGroups"`
	BlobContainers map[string]string `json:"blobContainers"`
	Queues         []string          `json:"queues"`
	LogAlerts      []struct {
		Name        string   `json:"name"`
		Title       string   `json:"title"`
		Severity    int      `json:"severity"`
		Frequency   string   `json:"frequency"`
		Window      string   `json:"window"`
		Aggregation string   `json:"aggregation"`
		Column      string   `json:"column"`
		Operator    string   `json:"operator"`
		Threshold   float64  `json:"threshold"`
		Dimensions  []string `json:"dimensions"`
		Query       []string `json:"query"`
	} `json:"logAlerts"`
	MetricAlerts []struct {
		Name        string   `json:"name"`
		Title       string   `json:"title"`
		Target      string   `json:"target"`
		Namespace   string   `json:"namespace"`
		Metric      string   `json:"metric"`
		Aggregation string   `json:"aggregation"`
		Threshold   float64  `json:"threshold"`
		StatusCodes []string `json:"statusCodes"`
	} `json:"metricAlerts"`
}

const namesFile = "infra/names.json"

func (f tree) names(p *problems) shared {
	var s shared
	d := json.NewDecoder(strings.NewReader(f[namesFile]))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		p.add("%s: %v", namesFile, err)
	}
	return s
}

// Bicep is read by its lines: the checks need names, and a peer checks the syntax.
var (
	bicepParam    = regexp.MustCompile(`(?m)^param (\w+) (\w+)(?: = (.*))?$`)
	bicepResource = regexp.MustCompile(`(?m)^resource (\w+) '([^'@]+)@[^']+'( existing)? =`)
	bicepOutput   = regexp.MustCompile(`(?m)^output (\w+) `)
)

// terraform parses the files of one configuration.
func (f tree) terraform(p *problems, dir string) []*hclsyntax.Block {
	var out []*hclsyntax.Block
	for _, name := range f.matching(dir + "/*.tf") {
		parsed, diagnostics := hclsyntax.ParseConfig([]byte(f[name]), name, hcl.InitialPos)
		if diagnostics.HasErrors() {
			p.add("%s: %v", name, diagnostics)
			continue
		}
		if body, ok := parsed.Body.(*hclsyntax.Body); ok {
			out = append(out, body.Blocks...)
		}
	}
	return out
}

// text returns the source of an expression.
func (f tree) text(e hclsyntax.Expression) string {
	r := e.Range()
	return f[r.Filename][r.Start.Byte:r.End.Byte]
}

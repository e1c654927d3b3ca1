// Package casefile reads the case files of rules and runs them: records in the real format of their feed, each with the
// verdict that the rule must give.
//
// A case takes the path of a live record: envelope, normaliser, rule. What it leaves out is the store. A file holds the
// cases of one rule and is named after it; its format is described in the README of the built-in cases.
package casefile

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// Want is the verdict that a case asks for.
type Want string

// The verdicts.
const (
	Match        Want = "match"
	NoMatch      Want = "no-match"
	NotEvaluable Want = "not-evaluable"
)

// Wants lists the verdicts.
func Wants() []Want { return []Want{Match, NoMatch, NotEvaluable} }

// File is the cases of one rule.
type File struct {
	Path  string
	Rule  string // the id of the rule: the file's name without its ending
	Cases []Case
}

// Case is one record and the verdict on it.
type Case struct {
	Line int    `yaml:"-"` // on which the case begins
	Name string `yaml:"name"`

	// Origin is real for a record that somebody logged (then Source says where it is from) and made for one that was written
	// for the case (then Schema says what it follows).
	Origin string `yaml:"origin"`
	Source string `yaml:"source"`
	Schema string `yaml:"schema"`

	Record string            `yaml:"record"` // exactly one record in any envelope
	Tenant string            `yaml:"tenant"` // of a record that names none
	Config *reference.Source `yaml:"config"` // reference data over the runner's

	Want Want `yaml:"want"`

	// Of a match. What is empty is not compared, except the leg.
	Leg      string `yaml:"leg"`
	Severity string `yaml:"severity"`
	Strength string `yaml:"strength"`
	Stage    string `yaml:"stage"`
	Key      string `yaml:"key"`

	// Of not-evaluable: what has to be among the missing.
	Missing []string `yaml:"missing"`
	// Impossible says why there can be no such case: for a rule that is about absence alone. It stands in place of a record.
	Impossible string `yaml:"impossible"`
}

// Read reads all case files (*.yaml) of a tree. The error names every mistake of every file.
func Read(fsys fs.FS) ([]*File, error) {
	var files []*File
	var errs []error
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".yaml" {
			return err
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		f, err := Parse(name, text)
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read case files: %w", err)
	}
	return files, errors.Join(errs...)
}

// Parse reads one case file. The error names every mistake with its line.
func Parse(name string, text []byte) (*File, error) {
	f := &File{Path: name, Rule: strings.TrimSuffix(path.Base(name), path.Ext(name))}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&f.Cases); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: holds no case", name)
		}
		return nil, syntax(name, err)
	}
	lines, err := starts(text)
	if err != nil {
		return nil, syntax(name, err)
	}
	var errs []error
	seen := map[string]bool{}
	for i := range f.Cases {
		c := &f.Cases[i]
		c.Line = lines[i]
		for _, mistake := range c.mistakes() {
			errs = append(errs, f.fail(c, errors.New(mistake)))
		}
		if seen[c.Name] {
			errs = append(errs, f.fail(c, errors.New("another case has this name")))
		}
		seen[c.Name] = true
	}
	if len(f.Cases) == 0 {
		errs = append(errs, fmt.Errorf("%s: holds no case", name))
	}
	return f, errors.Join(errs...)
}

// starts returns the line on which each case begins.
func starts(text []byte) ([]int, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	var lines []int
	for _, n := range root.Content[0].Content {
		lines = append(lines, n.Line)
	}
	return lines, nil
}

// syntax gives each mistake that the YAML reader found its file and line.
func syntax(name string, err error) error {
	mistakes := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	if te := (*yaml.TypeError)(nil); errors.As(err, &te) {
		mistakes = mistakes[:0]
		for _, m := range te.Errors {
			mistakes = append(mistakes, strings.TrimSuffix(m, " in type casefile.Case"))
		}
	}
	errs := make([]error, len(mistakes))
	for i, m := range mistakes {
		var line int
		if n, _ := fmt.Sscanf(m, "line %d:", &line); n == 1 {
			_, m, _ = strings.Cut(m, ": ")
			errs[i] = fmt.Errorf("%s:%d: %s", name, line, m)
			continue
		}
		errs[i] = fmt.Errorf("%s: %s", name, m)
	}
	return errors.Join(errs...)
}

func (f *File) fail(c *Case, err error) error {
	return fmt.Errorf("%s:%d: %s: %w", f.Path, c.Line, c.Name, err)
}

// mistakes returns what is wrong with the case itself, whatever the rule.
func (c *Case) mistakes() []string {
	var out []string
	need := func(ok bool, format string, args ...any) {
		if !ok {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	need(c.Name != "", "a case needs a name")
	need(slices.Contains(Wants(), c.Want), "want is %q, which is none of %v", string(c.Want), Wants())
	if c.Impossible != "" {
		need(c.Want == NotEvaluable && c.Record == "", "impossible stands in place of the record of a not-evaluable case")
		return out
	}
	switch c.Origin {
	case "real":
		need(c.Source != "", "a real record needs its source")
	case "made":
		need(c.Schema != "", "a made record needs the schema that it follows")
	default:
		need(false, "origin is %q, which is neither real nor made", c.Origin)
	}
	need(strings.TrimSpace(c.Record) != "", "a case needs a record")
	need(c.Want != Match || c.Leg != "", "a match needs the leg that fires")
	need(c.Want == Match || c.Leg+c.Severity+c.Strength+c.Stage+c.Key == "", "leg, severity, strength, stage and key are of a match")
	for _, grade := range []struct {
		field, name string
		as          encoding.TextUnmarshaler
	}{
		{"severity", c.Severity, new(rule.Severity)},
		{"strength", c.Strength, new(rule.Strength)},
		{"stage", c.Stage, new(rule.Stage)},
	} {
		if grade.name != "" {
			err := grade.as.UnmarshalText([]byte(grade.name))
			need(err == nil, "%s: %v", grade.field, err)
		}
	}
	need((c.Want == NotEvaluable) == (len(c.Missing) > 0), "missing names what a not-evaluable record lacks, and is of no other case")
	return out
}

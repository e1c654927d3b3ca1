package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// The forms of output.
const (
	formTable       = "table"
	formJSON        = "json"
	formLines       = "jsonl"
	formCloudEvents = "cloudevents"
)

// noStore is the --store that keeps nothing.
const noStore = "none"

// choice is a flag that is one of a few words.
type choice struct {
	value string
	words []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return strings.Join(c.words, "|") }
func (c *choice) Set(s string) error {
	if !slices.Contains(c.words, s) {
		return fmt.Errorf("must be one of %s", strings.Join(c.words, ", "))
	}
	c.value = s
	return nil
}

func outputFlag(cmd *cobra.Command, forms ...string) *choice {
	c := &choice{value: forms[0], words: forms}
	cmd.Flags().Var(c, "output", "the form of the output")
	return c
}

// severityFlag is a flag that names a severity.
type severityFlag struct {
	value rule.Severity
	given bool
}

func (f *severityFlag) String() string {
	if !f.given {
		return ""
	}
	return f.value.String()
}

func (f *severityFlag) Type() string {
	names := make([]string, 0, len(rule.Severities()))
	for _, s := range rule.Severities() {
		names = append(names, s.String())
	}
	return strings.Join(names, "|")
}

func (f *severityFlag) Set(s string) error {
	if err := f.value.UnmarshalText([]byte(s)); err != nil {
		return fmt.Errorf("must be one of %s", strings.ReplaceAll(f.Type(), "|", ", "))
	}
	f.given = true
	return nil
}

// tenantFlag is a flag that names a tenant by its id.
type tenantFlag struct{ id string }

func (f *tenantFlag) String() string { return f.id }
func (f *tenantFlag) Type() string   { return "ID" }
func (f *tenantFlag) Set(s string) error {
	id, err := event.ParseGUID(s)
	if err != nil {
		return errors.New("must be a tenant id: a GUID")
	}
	f.id = id.String()
	return nil
}

// pathFlag is a flag that names a file. An empty one is a variable that was not set, not a wish for the default.
type pathFlag struct{ path string }

func (f *pathFlag) String() string { return f.path }
func (f *pathFlag) Type() string   { return "PATH" }
func (f *pathFlag) Set(s string) error {
	if s == "" {
		return errors.New("names no file")
	}
	f.path = s
	return nil
}

// checkRules makes sure that each id is that of a rule, and that the rule is not off.
func checkRules(ids []string, rules []*rule.Rule) error {
	var errs []error
	for _, id := range ids {
		i := slices.IndexFunc(rules, func(r *rule.Rule) bool { return r.ID == id })
		switch {
		case i < 0:
			errs = append(errs, fmt.Errorf("there is no rule %q: assay rules list shows them", id))
		case rules[i].Stage == rule.Off:
			errs = append(errs, fmt.Errorf("the rule %q is off: %s", id, rules[i].StageReason))
		}
	}
	return errors.Join(errs...)
}

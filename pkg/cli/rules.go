package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/issuance"
	"github.com/assay-sec/assay/pkg/replay"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
)

func newRules(sys *System) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Show the rules, and run their case files",
		RunE:  needsCommand,
	}
	cmd.AddCommand(newRulesList(sys), newRulesShow(sys), newRulesTest(sys), newRulesCheck(sys), newRulesDocs(sys))
	return cmd
}

// ruleDocument is a rule as `assay rules list --output json` writes it.
type ruleDocument struct {
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	Version  int           `json:"version"`
	Stage    rule.Stage    `json:"stage"`
	Reason   string        `json:"stageReason,omitempty"`
	Severity rule.Severity `json:"severity"` // of its gravest leg
	Strength rule.Strength `json:"strength"` // of its strongest leg
	Reads    []string      `json:"reads"`    // kinds of events
	Attack   []string      `json:"attack"`   // MITRE ATT&CK techniques
	Tags     []string      `json:"tags"`     // by which subscriptions choose it
}

func newRuleDocument(r *rule.Rule) ruleDocument {
	d := ruleDocument{ID: r.ID, Title: r.Title, Version: r.Version, Stage: r.Stage, Reason: r.StageReason, Reads: kinds(r), Attack: r.Doc.Attack, Tags: r.Tags()}
	for _, l := range r.Legs {
		d.Severity, d.Strength = max(d.Severity, l.Severity), max(d.Strength, l.Strength)
	}
	return d
}

func kinds(r *rule.Rule) []string {
	out := make([]string, len(r.Kinds))
	for i, k := range r.Kinds {
		out[i] = k.String()
	}
	return out
}

func newRulesList(sys *System) *cobra.Command {
	var c ruleFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the rules",
		Args:  noArgs,
	}
	c.add(cmd)
	form := outputFlag(cmd, formTable, formJSON)
	cmd.RunE = func(*cobra.Command, []string) error {
		all, err := c.load(sys)
		if err != nil {
			return err
		}
		docs := make([]ruleDocument, len(all.Rules))
		for i, r := range all.Rules {
			docs[i] = newRuleDocument(r)
		}
		if form.value == formJSON {
			return writeJSON(sys.Out, "  ", docs)
		}
		p := newPage(sys.Out, sys.OutTerminal)
		p.rules(docs)
		p.end()
		p.wrap(faint, 0, "With assay replay --join "+replay.JoinIssuance+" come "+strings.Join(joinRules(), ", ")+": assay rules show ID")
		return p.flush()
	}
	return cmd
}

// rules lists rules for people.
func (p *page) rules(docs []ruleDocument) {
	const stageColumns = len("observe")
	id := len("RULE")
	for _, d := range docs {
		id = max(id, width(d.ID))
	}
	p.fit(faint, "SEVERITY", severityColumns).space(gap).fit(faint, "STAGE", stageColumns).space(gap).
		fit(faint, "RULE", id).space(gap).put(faint, "READS").end()
	for _, d := range docs {
		p.fit(severityStyle(d.Severity), strings.ToUpper(d.Severity.String()), severityColumns).space(gap).
			fit(stageStyle(d.Stage), d.Stage.String(), stageColumns).space(gap).
			fit(bold, d.ID, id).space(gap).put(plain, strings.Join(d.Reads, ", ")).end()
		text := d.Title
		if d.Reason != "" && d.Stage != rule.Enabled {
			text += " (" + d.Reason + ")"
		}
		p.wrap(faint, severityColumns+gap+stageColumns+gap, text)
	}
}

func stageStyle(s rule.Stage) style {
	switch s {
	case rule.Enabled:
		return plain
	case rule.Observe:
		return yellow
	default:
		return faint
	}
}

func newRulesDocs(sys *System) *cobra.Command {
	return &cobra.Command{
		Use:   "docs",
		Short: "Write the catalogue of the built-in rules as Markdown",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := app.LoadRules(&config.Config{})
			if err != nil {
				return err
			}
			_, err = io.WriteString(sys.Out, rules.Markdown(all.Rules, issuance.Rules(nil)))
			return err
		},
	}
}

func newRulesShow(sys *System) *cobra.Command {
	var c ruleFlags
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show a rule: when it matches, what that proves, and what to do then",
		Args:  oneArg("the id of a rule"),
	}
	c.add(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		all, err := c.load(sys)
		if err != nil {
			return err
		}
		known := slices.Concat(all.Rules, issuance.Rules(nil))
		i := slices.IndexFunc(known, func(r *rule.Rule) bool { return r.ID == args[0] })
		if i < 0 {
			return fmt.Errorf("there is no rule %q: assay rules list shows them", args[0])
		}
		r := known[i]
		p := newPage(sys.Out, sys.OutTerminal)
		p.rule(r, rules.Knobs(all.Reference)[r.ID])
		return p.flush()
	}
	return cmd
}

// rule writes the whole document of a rule.
func (p *page) rule(r *rule.Rule, knobs []rules.Knob) {
	d := newRuleDocument(r)
	p.fit(severityStyle(d.Severity), strings.ToUpper(d.Severity.String()), nameColumns).put(bold, d.ID).end()
	p.named("", plain, fmt.Sprintf("%s, version %d", d.Title, d.Version))
	stage := d.Stage.String()
	if d.Reason != "" {
		stage += ": " + strings.TrimPrefix(d.Reason, stage+": ")
	}
	p.named("stage", stageStyle(d.Stage), stage)
	p.named("reads", plain, strings.Join(d.Reads, ", "))
	p.named("groups by", plain, r.Key.Name)
	if r.Scope != nil {
		p.named("only if", plain, r.Scope.String())
	}
	for _, l := range r.Legs {
		p.end()
		p.fit(faint, "matches", nameColumns).put(bold, l.ID).space(gap).put(severityStyle(l.Severity), l.Severity.String()).
			space(gap).put(plain, l.Strength.String())
		if l.Stage == rule.Observe && r.Stage == rule.Enabled {
			p.space(gap).put(yellow, "observe only")
		}
		p.end()
		p.named("because", plain, l.Why)
		p.named("when", plain, l.When.String())
	}
	p.end()
	p.named("needs", plain, strings.Join(needs(r), ", "))
	for i, k := range knobs {
		name := ""
		if i == 0 {
			name = "knobs"
		}
		p.named(name, plain, fmt.Sprintf("%s (%s): %s", k.Name, k.Default, k.Doc))
	}
	p.end()
	p.guidance(r)
}

// needs lists the fields and reference data that the rule depends on.
func needs(r *rule.Rule) []string {
	var out []string
	add := func(p rule.Predicate) {
		for _, n := range p.Needs() {
			if name, ok := strings.CutPrefix(n, "reference:"); ok {
				n = name + " (reference data)"
			}
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	if r.Scope != nil {
		add(r.Scope)
	}
	for _, l := range r.Legs {
		add(l.When)
	}
	return out
}

package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/sigma"
)

// rulesFlag is --rules.
type rulesFlag struct{ paths []string }

func (f *rulesFlag) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.paths, "rules", nil, "Sigma rules beside the built-in ones: a file, or a folder with *.yml and *.yaml; may be repeated")
}

// ruleFlags choose which rules there are.
type ruleFlags struct {
	configFlag
	rulesFlag
}

func (f *ruleFlags) add(cmd *cobra.Command) {
	f.configFlag.add(cmd)
	f.rulesFlag.add(cmd)
}

// load loads the rules, and complains about those that have a mistake.
func (f *ruleFlags) load(sys *System) (*app.Rules, error) {
	c, err := f.configFlag.load()
	if err != nil {
		return nil, err
	}
	all, err := app.LoadRules(c, f.paths...)
	if err != nil {
		return nil, err
	}
	return all, sys.tellProblems(all.Problems, false)
}

// maxTold bounds the mistakes in rules that are told one by one where something else was asked for.
const maxTold = 20

// tellProblems complains about the mistakes in Sigma rules. It fails if they are not to be passed over.
func (s *System) tellProblems(problems []sigma.Problem, strict bool) error {
	if len(problems) == 0 {
		return nil
	}
	errs := make([]error, 0, maxTold+1)
	for i, p := range problems {
		if i == maxTold {
			errs = append(errs, fmt.Errorf("and %s: assay rules check tells all", counted(int64(len(problems)-maxTold), "more mistake")))
			break
		}
		errs = append(errs, p)
	}
	if strict {
		return errors.Join(errs...)
	}
	s.complain(errors.Join(errs...))
	return nil
}

func newRulesCheck(sys *System) *cobra.Command {
	var c configFlag
	cmd := &cobra.Command{
		Use:   "check PATH...",
		Short: "Tell which Sigma rules can be evaluated, and why the others cannot",
		Long: `Tell which Sigma rules can be evaluated, and why the others cannot: a line for each rule in the files and folders, with every mistake and
its place. Exit code 1 says that a rule has one.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(cmd, errors.New("name the rules: files or folders"))
			}
			return nil
		},
	}
	c.add(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		conf, err := c.load()
		if err != nil {
			return err
		}
		builtin, err := app.LoadRules(&config.Config{})
		if err != nil {
			return err
		}
		set, err := app.ReadSigma(args, conf, builtin.Rules)
		if err != nil {
			return err
		}
		p := newPage(sys.Out, sys.OutTerminal)
		p.sigmaReport(set)
		if err := p.flush(); err != nil {
			return err
		}
		if len(set.Problems()) > 0 {
			return exit(exitError)
		}
		return nil
	}
	return cmd
}

// sigmaReport is a line for each rule, its mistakes, and sums by log source.
func (p *page) sigmaReport(set *sigma.Set) {
	const verdictColumns = len("failed")
	source := len("LOG SOURCE")
	for _, d := range set.Documents {
		source = max(source, width(d.Source))
	}
	p.fit(faint, "", verdictColumns).space(gap).fit(faint, "LOG SOURCE", source).space(gap).put(faint, "RULE").end()
	type sum struct{ good, bad int64 }
	sums := map[string]*sum{}
	var total sum
	for _, d := range set.Documents {
		of := sums[d.Source]
		if of == nil {
			of = &sum{}
			sums[d.Source] = of
		}
		if d.Rule != nil {
			of.good++
			total.good++
			p.fit(green, "loaded", verdictColumns).space(gap).fit(plain, d.Source, source).space(gap).put(bold, d.Rule.ID)
			if d.Rule.StageReason != "" {
				p.space(gap).put(stageStyle(d.Rule.Stage), d.Rule.Stage.String()+": "+d.Rule.StageReason)
			}
			p.end()
			continue
		}
		of.bad++
		total.bad++
		name := d.Title
		if name == "" {
			name = d.File
		}
		p.fit(red, "failed", verdictColumns).space(gap).fit(plain, d.Source, source).space(gap).put(bold, name).end()
		for _, problem := range d.Problems {
			p.wrap(faint, verdictColumns+gap, problem.Error())
		}
	}
	p.end()
	p.fit(faint, "LOG SOURCE", source).space(gap).put(faint, "LOADED  FAILED").end()
	row := func(s style, name string, of sum) {
		p.fit(s, name, source).space(gap).put(s, fmt.Sprintf("%6s  %6s", number(of.good), number(of.bad))).end()
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		shown := name
		if shown == "" {
			shown = "(none)"
		}
		row(plain, shown, *sums[name])
	}
	row(bold, "all", total)
}

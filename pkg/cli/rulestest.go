package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/casefile"
	"github.com/assay-sec/assay/pkg/rules"
)

func newRulesTest(sys *System) *cobra.Command {
	var own ruleFlags
	cmd := &cobra.Command{
		Use:   "test [DIR]",
		Short: "Run the case files of rules",
		Long: `Run the case files of rules: those in DIR and below, or without it those in the folders named cases beside the Sigma rules, or without
those the built-in ones. A case file has the name of its rule and holds records in the real format of their feed, each with the verdict that
the rule must give.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, fmt.Errorf("%s takes one folder, but there are %d arguments", cmd.CommandPath(), len(args)))
			}
			return nil
		},
	}
	own.add(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		c, err := own.configFlag.load()
		if err != nil {
			return err
		}
		runner, problems, err := app.NewCaseRunner(c, own.paths...)
		if err != nil {
			return err
		}
		if err := sys.tellProblems(problems, false); err != nil {
			return err
		}
		folders, err := app.CaseFolders(slices.Concat(c.Sigma.Rules, own.paths))
		if err != nil {
			return err
		}
		switch {
		case len(args) == 1:
			if err := isFolder(args[0]); err != nil {
				return fmt.Errorf("read the case files: %w", err)
			}
			folders = args
		case len(own.paths)+len(c.Sigma.Rules) > 0 && len(folders) == 0:
			return errors.New("there is no folder named cases beside the Sigma rules")
		}
		if err := testRules(sys, runner, folders); err != nil {
			return err
		}
		if len(problems) > 0 {
			return exit(exitError)
		}
		return nil
	}
	return cmd
}

func isFolder(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder", path)
	}
	return err
}

// testRules runs the case files in the folders, or without any the built-in ones, and tells which cases failed.
func testRules(sys *System, runner *casefile.Runner, folders []string) error {
	p := newPage(sys.Out, sys.OutTerminal)
	var sum tested
	if len(folders) == 0 {
		if err := sum.run(p, runner, rules.Cases(), ""); err != nil {
			return err
		}
	}
	for _, folder := range folders {
		if err := sum.run(p, runner, os.DirFS(folder), folder); err != nil {
			return err
		}
	}
	if sum.failed == 0 {
		p.line(green, fmt.Sprintf("%s of %s passed", counted(sum.ran, "case"), counted(sum.files, "rule")))
		return p.flush()
	}
	p.line(red, fmt.Sprintf("%s of %s failed", number(sum.failed), counted(sum.ran, "case")))
	if err := p.flush(); err != nil {
		return err
	}
	return exit(exitError)
}

// tested counts what was run.
type tested struct{ files, ran, failed int64 }

// run runs the case files of a tree, which stands in the folder.
func (t *tested) run(p *page, runner *casefile.Runner, cases fs.FS, folder string) error {
	files, err := casefile.Read(cases)
	if err != nil {
		return inFolder(err, folder)
	}
	if len(files) == 0 {
		return fmt.Errorf("%s holds no case files (*.yaml)", folder)
	}
	for _, f := range files {
		t.files++
		for _, r := range runner.Run(f) {
			t.ran++
			if r.Err == nil {
				continue
			}
			t.failed++
			for i, line := range strings.Split(inFolder(r.Err, folder).Error(), "\n") {
				if i == 0 {
					p.put(red, "failed  ").wrap(plain, 2*gap, line)
					continue
				}
				p.wrap(faint, 2*gap, strings.TrimSpace(line))
			}
		}
	}
	return nil
}

// inFolder puts the folder before each place of the error, so that an editor finds it from here.
func inFolder(err error, folder string) error {
	if folder == "" {
		return err
	}
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		if line != "" && line[0] != ' ' {
			lines[i] = filepath.Join(folder, line)
		}
	}
	return errors.New(strings.Join(lines, "\n"))
}

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/casefile"
	"github.com/assay-sec/assay/pkg/rules"
)

func newRulesTest(sys *System) *cobra.Command {
	return &cobra.Command{
		Use:   "test [DIR]",
		Short: "Run the case files of rules",
		Long: `Run the case files of rules: the built-in ones, or those in DIR and below. A case file has the name of its rule and holds records
in the real format of their feed, each with the verdict that the rule must give.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, fmt.Errorf("%s takes one folder, but there are %d arguments", cmd.CommandPath(), len(args)))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cases, folder := rules.Cases(), ""
			if len(args) == 1 {
				folder = args[0]
				info, err := os.Stat(folder)
				switch {
				case err != nil:
					return fmt.Errorf("read the case files: %w", err)
				case !info.IsDir():
					return fmt.Errorf("read the case files: %s is not a folder", folder)
				}
				cases = os.DirFS(folder)
			}
			return testRules(sys, cases, folder)
		},
	}
}

// testRules runs the case files of a tree, which stands in the folder, and tells which cases failed.
func testRules(sys *System, cases fs.FS, folder string) error {
	files, err := casefile.Read(cases)
	if err != nil {
		return inFolder(err, folder)
	}
	if len(files) == 0 {
		return fmt.Errorf("%s holds no case files (*.yaml)", folder)
	}
	runner := app.NewCaseRunner()
	p := newPage(sys.Out, sys.OutTerminal)
	var ran, failed int64
	for _, f := range files {
		for _, r := range runner.Run(f) {
			ran++
			if r.Err == nil {
				continue
			}
			failed++
			for i, line := range strings.Split(inFolder(r.Err, folder).Error(), "\n") {
				if i == 0 {
					p.put(red, "failed  ").wrap(plain, 2*gap, line)
					continue
				}
				p.wrap(faint, 2*gap, strings.TrimSpace(line))
			}
		}
	}
	if failed == 0 {
		p.line(green, fmt.Sprintf("%s of %s passed", counted(ran, "case"), counted(int64(len(files)), "rule")))
		return p.flush()
	}
	p.line(red, fmt.Sprintf("%s of %s failed", number(failed), counted(ran, "case")))
	if err := p.flush(); err != nil {
		return err
	}
	return exit(exitError)
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

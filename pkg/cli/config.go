package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/config"
)

// defaultConfig is the file that the commands about configuration take where none is named.
const defaultConfig = "assay.yaml"

// soon is how long before its last day a suppression is warned of.
const soon = 14 * 24 * time.Hour

func newConfig(sys *System) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check the configuration, start one, or print its schema",
		RunE:  needsCommand,
	}
	cmd.AddCommand(newConfigCheck(sys), newConfigInit(sys), newConfigSchema(sys))
	return cmd
}

// problemDocument is a mistake or a warning as `assay config check --output json` writes it.
type problemDocument struct {
	Level  string `json:"level"` // error or warning
	File   string `json:"file"`
	Line   int    `json:"line"`   // 1-based; 0: the document as a whole
	Column int    `json:"column"` // 1-based; 0: the whole line
	Field  string `json:"field"`
	Text   string `json:"text"`
}

// The levels of problems.
const (
	levelError   = "error"
	levelWarning = "warning"
)

func problemDocuments(level string, ps config.Problems) []problemDocument {
	out := make([]problemDocument, len(ps))
	for i, p := range ps {
		out[i] = problemDocument{Level: level, File: p.File, Line: p.Line, Column: p.Column, Field: p.Field, Text: p.Text}
	}
	return out
}

func newConfigCheck(sys *System) *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "check [FILE|-]",
		Short: "Tell every mistake of a configuration, with its place",
		Long: `Tell every mistake of a configuration at once, each with file, line, column and field, and warn of suppressions that are over or will
be within 14 days. Without an argument, assay.yaml is checked; - is the standard input.

Exit codes: 0, it is right; 1, it has mistakes, or cannot be read; 3, --strict: there are warnings.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, fmt.Errorf("%s takes one file, but there are %d", cmd.CommandPath(), len(args)))
			}
			return nil
		},
	}
	form := outputFlag(cmd, formTable, formJSON)
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with 3 if there are warnings")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		file := defaultConfig
		if len(args) == 1 {
			file = args[0]
		}
		c, err := loadConfig(sys, file)
		var mistakes config.Problems
		if err != nil && !errors.As(err, &mistakes) {
			return err
		}
		problems := problemDocuments(levelError, mistakes)
		if c != nil {
			problems = problemDocuments(levelWarning, c.Warnings(sys.Now(), soon))
		}
		if form.value == formJSON {
			err = writeJSON(sys.Out, "  ", map[string][]problemDocument{"problems": problems})
		} else {
			p := newPage(sys.Out, sys.OutTerminal)
			p.term.Width = 0 // places are there to be copied: never cut them
			p.problems(file, problems, c)
			err = p.flush()
		}
		switch {
		case err != nil:
			return err
		case len(mistakes) > 0:
			return exit(exitError)
		case strict && len(problems) > 0:
			return exit(exitWarnings)
		}
		return nil
	}
	return cmd
}

func loadConfig(sys *System, file string) (*config.Config, error) {
	if file != "-" {
		return config.Load(file)
	}
	text, err := io.ReadAll(io.LimitReader(sys.In, config.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return config.Parse("-", text)
}

// problems writes what is wrong as compilers do, so that editors find the places.
func (p *page) problems(file string, problems []problemDocument, c *config.Config) {
	for _, x := range problems {
		at := x.File
		if x.Line > 0 {
			at += fmt.Sprintf(":%d", x.Line)
			if x.Column > 0 {
				at += fmt.Sprintf(":%d", x.Column)
			}
		}
		st := red
		if x.Level == levelWarning {
			st = yellow
		}
		p.put(bold, at+": ").put(st, x.Level+": ")
		if x.Field != "" {
			p.put(plain, x.Field+": ")
		}
		p.put(plain, x.Text).end()
	}
	if c == nil {
		p.line(red, counted(int64(len(problems)), "mistake")+" in "+file)
		return
	}
	text := file + " is right"
	if len(problems) > 0 {
		text += ", with " + counted(int64(len(problems)), "warning")
	}
	p.line(green, text)
	p.line(faint, fmt.Sprintf("%s, %s, %s; %s", counted(int64(len(c.Reference.Tenants)), "tenant"), counted(int64(len(c.Suppressions)), "suppression"),
		counted(int64(len(c.Subscriptions)), "subscription"), "hash "+c.Hash))
}

func newConfigInit(sys *System) *cobra.Command {
	var tenant tenantFlag
	cmd := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a commented configuration to begin with",
		Long:  "Write a commented configuration to begin with: to assay.yaml, or to the file. A file that is there is never overwritten.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, fmt.Errorf("%s takes one file, but there are %d", cmd.CommandPath(), len(args)))
			}
			return nil
		},
	}
	cmd.Flags().Var(&tenant, "tenant", "your tenant")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		file := defaultConfig
		if len(args) == 1 {
			file = args[0]
		}
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already, and is left as it is", file)
		}
		if err != nil {
			return fmt.Errorf("start a configuration: %w", err)
		}
		_, err = io.WriteString(f, config.Start(tenant.id))
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("start a configuration: %w", err)
		}
		p := newPage(sys.Out, sys.OutTerminal)
		p.line(plain, "wrote "+file)
		p.line(faint, "next: "+sys.command("config", "check", file))
		return p.flush()
	}
	return cmd
}

func newConfigSchema(sys *System) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of the configuration, for editors",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := config.Schema()
			if err != nil {
				return err
			}
			if _, err := sys.Out.Write(text); err != nil {
				return fmt.Errorf("write the output: %w", err)
			}
			return nil
		},
	}
}

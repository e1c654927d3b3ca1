package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/store"
)

// The exit codes. Of several, the first that applies.
const (
	exitOK       = 0
	exitError    = 1 // an error, or wrong usage
	exitAlerts   = 2 // --fail-on: such an alert stands
	exitSetAside = 3 // --strict: a record was set aside
	exitWarnings = 3 // config check --strict: there are warnings
)

// exit ends the program with a code and without a further word.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Main runs the command line and returns the exit code.
func Main(ctx context.Context, sys System, args []string) int {
	root := newRoot(&sys) //nolint:contextcheck // cobra hands each command the context of ExecuteContext
	root.SetArgs(args)
	root.SetIn(sys.In)
	root.SetOut(sys.Out)
	root.SetErr(sys.Err)
	err := root.ExecuteContext(ctx)
	var code exit
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	}
	sys.complain(err)
	return exitError
}

// complain writes the error for a person, a line for each of its parts.
func (s *System) complain(err error) {
	p := newPage(s.Err, s.ErrTerminal)
	p.term.Width = 0 // places are there to be copied: never cut them
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			p.put(red, "assay: ").put(plain, line).end()
		}
	}
	_ = p.flush() // there is nowhere left to complain
}

func newRoot(sys *System) *cobra.Command {
	root := &cobra.Command{
		Use:   "assay",
		Short: "Find forged tokens in the logs of Entra ID and Microsoft 365",
		Long: `Assay tests whether a token is genuine, as an assayer tests a coin. It reads sign-in logs, mailbox audit, Graph activity and
tokens that applications saw, and shows what a correctly issued token cannot have left.`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddCommand(newSmoke(sys))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, err) })
	root.AddCommand(newDetect(sys), newReplay(sys), newLearn(sys), newDev(sys), newAlerts(sys), newSubscriptions(sys), newDeliveries(sys), newExplain(sys), newRules(sys), newKeys(sys), newCoverage(sys), newConfig(sys), newVersion(sys))
	return root
}

// usage says where the right usage is explained.
func usage(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w\nsee %s --help", err, cmd.CommandPath())
}

func newVersion(sys *System) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of Assay and of its rules",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			rules, err := app.LoadRules(&config.Config{})
			if err != nil {
				return err
			}
			p := newPage(sys.Out, sys.OutTerminal)
			p.line(plain, "assay "+sys.Version)
			p.line(plain, fmt.Sprintf("%d rules, reference data %s", len(rules.Rules), rules.Version))
			return p.flush()
		},
	}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd, fmt.Errorf("%s takes no argument, but there is %q", cmd.CommandPath(), args[0]))
	}
	return nil
}

func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage(cmd, fmt.Errorf("%s takes %s, but there are %d arguments", cmd.CommandPath(), what, len(args)))
		}
		return nil
	}
}

// storeFlag is --store of every command that reads alerts.
type storeFlag struct{ pathFlag }

func (f *storeFlag) add(cmd *cobra.Command, text string) { cmd.Flags().Var(f, "store", text) }

// resolve returns the path of the store: the flag's, else the default.
func (f *storeFlag) resolve(sys *System) (string, error) {
	if f.path != "" {
		return f.path, nil
	}
	return sys.defaultStore()
}

// open opens a store that is there to be read.
func (f *storeFlag) open(ctx context.Context, sys *System) (store.Store, error) {
	path, err := f.resolve(sys)
	switch {
	case err != nil:
		return nil, err
	case path == noStore:
		return nil, fmt.Errorf("--store %s keeps no alerts", noStore)
	}
	return app.OpenExistingStore(ctx, path)
}

// args repeats the flag on a command line that continues this one.
func (f *storeFlag) args() []string {
	if f.path == "" {
		return nil
	}
	return []string{"--store", f.path}
}

// configFlag is --config.
type configFlag struct{ pathFlag }

func (f *configFlag) add(cmd *cobra.Command) {
	cmd.Flags().Var(f, "config", "your tenants, allowlists, indicators and settings of rules, as YAML")
}

func (f *configFlag) load() (*config.Config, error) {
	if f.path == "" {
		return &config.Config{}, nil
	}
	return config.Load(f.path)
}

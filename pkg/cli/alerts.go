package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

func newAlerts(sys *System) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "Show the alerts that a store keeps",
		RunE:  needsCommand,
	}
	cmd.AddCommand(newAlertsList(sys), newAlertsShow(sys))
	return cmd
}

// needsCommand answers for a command that is only the name of others.
func needsCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd, fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0]))
	}
	return usage(cmd, fmt.Errorf("%s needs a command", cmd.CommandPath()))
}

func newAlertsList(sys *System) *cobra.Command {
	var (
		at       storeFlag
		severity severityFlag
		tenant   tenantFlag
		ruleIDs  []string
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the alerts, the gravest first",
		Args:  noArgs,
	}
	at.add(cmd, "the SQLite file of the alerts (default: in your state folder)")
	form := outputFlag(cmd, formTable, formJSON, formLines, formCloudEvents)
	cmd.Flags().Var(&severity, "min-severity", "leave out alerts below it")
	cmd.Flags().Var(&tenant, "tenant", "only alerts of this tenant")
	cmd.Flags().StringSliceVar(&ruleIDs, "rule", nil, "only alerts of these rules, those that only observe included")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := at.open(cmd.Context(), sys)
		if err != nil {
			return err
		}
		q := store.Query{Rules: ruleIDs, MinSeverity: severity.value, MinStage: rule.Enabled}
		if len(ruleIDs) > 0 {
			q.MinStage = rule.Observe
		}
		if tenant.id != "" {
			q.Tenants = []string{tenant.id}
		}
		var alerts []alert.Alert
		for a, err := range s.Alerts(cmd.Context(), q) {
			if err != nil {
				return errors.Join(fmt.Errorf("list the alerts: %w", err), s.Close())
			}
			alerts = append(alerts, a)
		}
		if err := s.Close(); err != nil {
			return fmt.Errorf("close the store: %w", err)
		}
		known, err := builtinNames()
		if err != nil {
			return err
		}
		if form.value != formTable {
			return writeAlerts(sys.Out, form.value, alerts, func(a *alert.Alert) alertDocument { return newAlertDocument(a, known) }, nil)
		}
		p := newPage(sys.Out, sys.OutTerminal)
		if len(alerts) == 0 {
			p.line(green, "no alerts")
			return p.flush()
		}
		docs := make([]alertDocument, len(alerts))
		for i := range alerts {
			docs[i] = newAlertDocument(&alerts[i], known)
		}
		relate(docs)
		p.table(docs, shortIDs(docs))
		return p.flush()
	}
	return cmd
}

func newAlertsShow(sys *System) *cobra.Command {
	var at storeFlag
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show an alert, what it proves and what to do about it",
		Long:  "Show an alert, what it proves and what to do about it. The beginning of an id will do, if no other begins so.",
		Args:  oneArg("the id of an alert"),
	}
	at.add(cmd, "the SQLite file of the alerts (default: in your state folder)")
	form := outputFlag(cmd, formTable, formJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := at.open(cmd.Context(), sys)
		if err != nil {
			return err
		}
		hit, findings, err := lookUp(cmd.Context(), s, args[0])
		var related []alert.Relation
		if err == nil {
			related, err = store.Related(cmd.Context(), s, &hit.alert, findings)
		}
		if err := errors.Join(err, s.Close()); err != nil {
			return err
		}
		rules, err := app.LoadRules(&config.Config{})
		if err != nil {
			return err
		}
		doc := newAlertDocument(&hit.alert, names{apps: rules.Reference})
		doc.Related = newRelatedDocuments(related)
		if form.value == formJSON {
			return writeJSON(sys.Out, "  ", showDocument{Alert: doc, History: hit.alert.History, Findings: findings})
		}
		p := newPage(sys.Out, sys.OutTerminal)
		p.alertHead(doc)
		p.places(hit.alert.Places, hit.alert.Count)
		p.related(doc.Related)
		p.history(hit.alert.History)
		for _, r := range rules.Joined(nil).Rules {
			if r.ID == hit.alert.Rule.ID {
				p.end()
				p.guidance(r)
			}
		}
		p.end()
		p.line(faint, sys.command(append([]string{"explain"}, append(at.args(), string(hit.alert.ID))...)...))
		return p.flush()
	}
	return cmd
}

// builtinNames are the names that need no configuration.
func builtinNames() (names, error) {
	ref, err := reference.New()
	if err != nil {
		return names{}, fmt.Errorf("load the reference data: %w", err)
	}
	return names{apps: ref}, nil
}

// showDocument is what `assay alerts show --output json` writes.
type showDocument struct {
	Alert    alertDocument   `json:"alert"`
	History  []alert.Change  `json:"history,omitempty"`
	Findings []alert.Finding `json:"findings"`
}

func lookUp(ctx context.Context, s store.Store, id string) (found, []alert.Finding, error) {
	hit, err := find(ctx, s, id)
	if err != nil {
		return found{}, nil, err
	}
	findings, err := collect(s.Findings(ctx, hit.alert.Tenant, hit.alert.ID))
	if err != nil {
		return found{}, nil, fmt.Errorf("read the findings of alert %s: %w", hit.alert.ID, err)
	}
	return hit, findings, nil
}

func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var out []T
	for x, err := range seq {
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

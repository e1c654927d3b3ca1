package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/notify"
)

const outboxText = `the store of the deliveries: a SQLite file, or "cosmos" for the one that the app settings in the environment describe (default: in your state folder)`

// openBackend opens a store that is there, with its documents.
func (f *storeFlag) openBackend(ctx context.Context, sys *System) (app.Backend, error) {
	path, err := f.resolve(sys)
	switch {
	case err != nil:
		return nil, err
	case path == noStore:
		return nil, fmt.Errorf("--store %s keeps no deliveries", noStore)
	}
	return app.OpenExistingBackend(ctx, path, sys.Getenv, sys.Now)
}

func newDeliveries(sys *System) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deliveries",
		Short: "Show what is owed to subscribers, and send again what was given up",
		RunE:  needsCommand,
	}
	cmd.AddCommand(newDeliveriesList(sys), newDeliveriesRetry(sys))
	return cmd
}

func newDeliveriesList(sys *System) *cobra.Command {
	var (
		at           storeFlag
		subscription string
		sent         bool
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the deliveries that are not sent, the dead and parked ones first",
		Long: `List the deliveries that are not sent, the dead and parked ones first.

pending  waits for its time, or for another attempt
claimed  is being sent
parked   was refused for good by the receiver: somebody must look
dead     was given up: its alert is gone, or the receiver did not take it in time`,
		Args: noArgs,
	}
	at.add(cmd, outboxText)
	form := outputFlag(cmd, formTable, formJSON)
	cmd.Flags().StringVar(&subscription, "subscription", "", "only those of this subscription")
	cmd.Flags().BoolVar(&sent, "sent", false, "list what was sent instead")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := at.openBackend(cmd.Context(), sys)
		if err != nil {
			return err
		}
		found, err := collect(app.Deliveries(s, 0, sys.Now).All(cmd.Context(), sent))
		if err := errors.Join(err, s.Close()); err != nil {
			return err
		}
		if subscription != "" {
			found = slices.DeleteFunc(found, func(d notify.Delivery) bool { return d.Subscription != subscription })
		}
		slices.SortStableFunc(found, func(a, b notify.Delivery) int { return urgency(a.State) - urgency(b.State) })
		if form.value == formJSON {
			if found == nil {
				found = []notify.Delivery{}
			}
			return writeJSON(sys.Out, "  ", map[string][]notify.Delivery{"deliveries": found})
		}
		p := newPage(sys.Out, sys.OutTerminal)
		if len(found) == 0 {
			text := "nothing is owed to anybody"
			if sent {
				text = "nothing was sent yet"
			}
			p.line(green, text)
			return p.flush()
		}
		p.deliveries(found)
		return p.flush()
	}
	return cmd
}

func urgency(s notify.State) int {
	return slices.Index([]notify.State{notify.Dead, notify.Parked, notify.Claimed, notify.Pending, notify.Sent}, s)
}

// deliveries writes each delivery on two lines: how it stands, and of what it is and why.
func (p *page) deliveries(found []notify.Delivery) {
	const states = 7
	names := width("SUBSCRIPTION")
	for i := range found {
		names = max(names, width(found[i].Subscription))
	}
	p.fit(faint, "STATE", states).space(gap).fit(faint, "SUBSCRIPTION", names).space(gap).fit(faint, "SEVERITY", severityColumns).space(gap).
		fit(faint, "CHANGE", 9).space(gap).right(faint, "TRIES", 5).space(gap).put(faint, "NEXT OR LAST (UTC)").end()
	for i := range found {
		d := &found[i]
		when, st := d.Due, plain
		switch d.State {
		case notify.Dead, notify.Parked:
			st = boldRed
		case notify.Sent:
			when, st = d.SentAt, green
		case notify.Pending, notify.Claimed:
			if d.Attempts > 0 {
				st = yellow
			}
		}
		p.fit(st, string(d.State), states).space(gap).fit(bold, d.Subscription, names).space(gap).
			fit(severityStyle(d.Severity), d.Severity.String(), severityColumns).space(gap).fit(plain, string(d.Change), 9).space(gap).
			right(plain, fmt.Sprint(d.Attempts), 5).space(gap).put(plain, when.UTC().Format("2006-01-02 15:04:05")).end()
		p.space(states+gap).put(faint, "alert "+string(d.Alert)+", delivery "+d.ID).end()
		if d.Reason != "" {
			p.space(states+gap).wrap(st, states+gap, d.Reason)
		}
	}
}

func newDeliveriesRetry(sys *System) *cobra.Command {
	var at storeFlag
	cmd := &cobra.Command{
		Use:   "retry SUBSCRIPTION [DELIVERY_ID]",
		Short: "Make parked and dead deliveries due again, and enable the subscription",
		Long: `Make parked and dead deliveries due again: one of them, with those that went out in the same message, or all of the subscription. A
subscription that was disabled, because its receiver said that it is gone, is enabled. They are sent with the next sweep.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return usage(cmd, fmt.Errorf("%s takes a subscription and may take the id of a delivery, but there are %d arguments", cmd.CommandPath(), len(args)))
			}
			return nil
		},
	}
	at.add(cmd, outboxText)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := at.openBackend(cmd.Context(), sys)
		if err != nil {
			return err
		}
		n, enabled := 0, false
		d, err := dispatcher(sys, &config.Config{}, s)
		if err == nil {
			n, enabled, err = d.Revive(cmd.Context(), args[0], append(args, "")[1])
		}
		if err := errors.Join(err, s.Close()); err != nil {
			return err
		}
		p := newPage(sys.Out, sys.OutTerminal)
		if enabled {
			p.line(green, args[0]+" was disabled, and is told of alerts again")
		}
		switch {
		case n > 0:
			p.line(green, fmt.Sprintf("%d of %s will be sent again", n, args[0]))
		case !enabled:
			p.line(yellow, "no delivery of "+args[0]+" was parked or dead")
		}
		return p.flush()
	}
	return cmd
}

// dispatcher returns what sends to the subscriptions of the configuration.
func dispatcher(sys *System, c *config.Config, s app.Backend) (*notify.Dispatcher, error) {
	rules, err := app.LoadRules(c)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler) // what goes wrong is told by who asks
	return app.NewDispatcher(c, rules, s, sys.Getenv, log, sys.Now)
}

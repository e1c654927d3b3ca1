package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/rule"
)

func newSubscriptions(sys *System) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "subscriptions",
		Short: "Show who is told of alerts, try it out, and ask why somebody was not",
		RunE:  needsCommand,
	}
	cmd.AddCommand(newSubscriptionsList(sys), newSubscriptionsTest(sys), newSubscriptionsRoute(sys))
	return cmd
}

// subscriptionDocument is a subscription as `assay subscriptions list --output json` writes it: without any secret.
type subscriptionDocument struct {
	Name        string              `json:"name"`
	Kind        notify.Kind         `json:"kind"`
	MinSeverity rule.Severity       `json:"minSeverity"`
	MinStrength rule.Strength       `json:"minStrength"`
	Tenants     []string            `json:"tenants,omitempty"`
	Rules       []string            `json:"rules,omitempty"`
	Tags        []string            `json:"tags,omitempty"`
	Changes     []notify.ChangeKind `json:"changes,omitempty"`
	VIPsOnly    bool                `json:"vipsOnly,omitempty"`
	PerMinute   int                 `json:"perMinute"`
	Standing    *notify.Standing    `json:"standing,omitempty"` // none: there is no store yet
}

// only says what the subscription leaves out beside what is too low or too weak.
func (d *subscriptionDocument) only() string {
	var out []string
	if len(d.Tenants) > 0 {
		out = append(out, plural(len(d.Tenants), "tenant"))
	}
	if len(d.Rules) > 0 {
		out = append(out, plural(len(d.Rules), "rule"))
	}
	if len(d.Tags) > 0 {
		out = append(out, plural(len(d.Tags), "tag"))
	}
	if d.VIPsOnly {
		out = append(out, "VIPs")
	}
	for _, c := range d.Changes {
		out = append(out, string(c))
	}
	if len(out) == 0 {
		return "all"
	}
	return strings.Join(out, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func newSubscriptionsList(sys *System) *cobra.Command {
	var (
		at storeFlag
		of configFlag
	)
	cmd := &cobra.Command{Use: "list", Short: "List the subscriptions, and how their receivers stand", Args: noArgs}
	at.add(cmd, outboxText)
	of.add(cmd)
	form := outputFlag(cmd, formTable, formJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		c, err := of.load()
		if err != nil {
			return err
		}
		s, err := at.openBackend(cmd.Context(), sys)
		if err != nil && at.path != "" {
			return err
		}
		if err == nil {
			defer func() { err = errors.Join(err, s.Close()) }()
		}
		docs := make([]subscriptionDocument, len(c.Subscriptions))
		for i, x := range c.Subscriptions {
			docs[i] = subscriptionDocument{
				x.Name, x.Kind, x.MinSeverity, x.MinStrength, x.Tenants, x.Rules, x.Tags, x.Changes, x.VIPsOnly, x.PerMinute, nil,
			}
			if s == nil {
				continue
			}
			st, err := notify.LoadStanding(cmd.Context(), s, x.Name)
			if err != nil {
				return err
			}
			docs[i].Standing = &st
		}
		if form.value == formJSON {
			return writeJSON(sys.Out, "  ", map[string][]subscriptionDocument{"subscriptions": docs})
		}
		p := newPage(sys.Out, sys.OutTerminal)
		if len(docs) == 0 {
			p.line(yellow, "no subscriptions: name a configuration that has some with --config")
			return p.flush()
		}
		p.subscriptions(docs)
		return p.flush()
	}
	return cmd
}

func (p *page) subscriptions(docs []subscriptionDocument) {
	name, only := width("NAME"), width("ONLY")
	for i := range docs {
		name, only = max(name, width(docs[i].Name)), max(only, width(docs[i].only()))
	}
	p.fit(faint, "NAME", name).space(gap).fit(faint, "KIND", 7).space(gap).fit(faint, "FROM", severityColumns).space(gap).
		fit(faint, "STRENGTH", 8).space(gap).fit(faint, "ONLY", only).space(gap).put(faint, "STATE").end()
	for i := range docs {
		d := &docs[i]
		p.fit(bold, d.Name, name).space(gap).fit(plain, string(d.Kind), 7).space(gap).
			fit(severityStyle(d.MinSeverity), d.MinSeverity.String(), severityColumns).space(gap).
			fit(plain, d.MinStrength.String(), 8).space(gap).fit(plain, d.only(), only).space(gap)
		switch st := d.Standing; {
		case st == nil:
			p.put(faint, "not known").end()
		case !st.Disabled.IsZero():
			p.put(boldRed, "disabled").end()
			p.space(name+gap).wrap(red, name+gap, "since "+moment(st.Disabled)+": "+st.Reason)
		case st.Failures > 0:
			p.put(yellow, plural(st.Failures, "failure")+" in a row").end()
			p.space(name+gap).wrap(yellow, name+gap, "the last: "+st.Reason)
		default:
			p.put(green, "ok").end()
		}
	}
}

// sample returns the alert that a test sends.
func sample(sys *System) alert.Alert {
	now := sys.Now().UTC()
	a := alert.Alert{
		Tenant: "00000000-0000-0000-0000-000000000000", Day: alert.DayOf(now), KeyName: "test", Key: "test",
		Rule: alert.RuleRef{
			ID: "mailbox-consumer-tenant-token", Title: "TEST: Mailbox opened with a personal account's token", Version: 1,
			Why: "this is a test of the subscription: nothing happened, and there is nothing to do",
		},
		Severity: rule.Medium, Strength: rule.Strong, Stage: rule.Enabled, Status: alert.Open, Count: 1, Revision: 1,
		First: now, Last: now, Subject: alert.Subject{User: "nobody@contoso.example", Address: "192.0.2.1"}, Facts: []rule.Fact{},
	}
	a.ID = alert.NewID(a.Day, a.Tenant, a.Rule.ID, fmt.Sprint("test", now.UnixNano()))
	return a
}

func newSubscriptionsTest(sys *System) *cobra.Command {
	var of configFlag
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "Send a sample alert to a subscription",
		Args:  oneArg("the name of a subscription"),
	}
	of.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		c, err := of.load()
		if err != nil {
			return err
		}
		s, err := app.MemoryBackend(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		d, err := dispatcher(sys, c, s)
		if err != nil {
			return err
		}
		a := sample(sys)
		m := &notify.Message{
			Key: notify.DeliveryID(a.ID, args[0], a.Revision), Form: notify.Single,
			Items: []notify.Item{{Alert: a, Change: notify.New}},
		}
		if err := d.Test(cmd.Context(), args[0], m); err != nil {
			return fmt.Errorf("send a sample to subscription %s: %w", args[0], err)
		}
		p := newPage(sys.Out, sys.OutTerminal)
		p.line(green, args[0]+" has accepted a sample alert")
		return p.flush()
	}
	return cmd
}

func newSubscriptionsRoute(sys *System) *cobra.Command {
	var (
		at storeFlag
		of configFlag
	)
	cmd := &cobra.Command{
		Use:   "route ALERT_ID",
		Short: "Tell who is told of an alert as it stands, and why the others are not",
		Args:  oneArg("the id of an alert"),
	}
	at.add(cmd, outboxText)
	of.add(cmd)
	form := outputFlag(cmd, formTable, formJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		c, err := of.load()
		if err != nil {
			return err
		}
		s, err := at.openBackend(cmd.Context(), sys)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		hit, err := find(cmd.Context(), s, args[0])
		if err != nil {
			return err
		}
		d, err := dispatcher(sys, c, s)
		if err != nil {
			return err
		}
		decisions, err := d.Route(cmd.Context(), &hit.alert)
		if err != nil {
			return err
		}
		if form.value == formJSON {
			return writeJSON(sys.Out, "  ", map[string]any{"alertId": hit.alert.ID, "decisions": decisions})
		}
		p := newPage(sys.Out, sys.OutTerminal)
		p.fit(severityStyle(hit.alert.Severity), strings.ToUpper(hit.alert.Severity.String()), nameColumns).put(bold, hit.alert.Rule.ID).end()
		p.space(nameColumns).put(faint, string(hit.alert.ID)).end()
		p.end()
		if len(decisions) == 0 {
			p.line(yellow, "no subscriptions: name a configuration that has some with --config")
		}
		name := 0
		for _, x := range decisions {
			name = max(name, width(x.Subscription))
		}
		for _, x := range decisions {
			p.fit(bold, x.Subscription, name).space(gap)
			if x.Refused == "" {
				p.fit(green, "told", 8).space(gap).put(plain, "it is "+string(x.Change)+" to them").end()
			} else {
				p.fit(yellow, "not told", 8).space(gap).wrap(plain, name+2*gap+8, x.Refused)
			}
		}
		return p.flush()
	}
	return cmd
}

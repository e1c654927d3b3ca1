package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

// detection is one invocation of assay detect.
type detection struct {
	sys *System

	store    storeFlag
	config   configFlag
	rules    rulesFlag
	form     *choice
	severity severityFlag
	ruleIDs  []string
	tenant   tenantFlag
	failOn   severityFlag
	strict   bool
	notify   bool
}

func newDetect(sys *System) *cobra.Command {
	d := &detection{sys: sys}
	cmd := &cobra.Command{
		Use:   "detect [FILE|DIR|-]...",
		Short: "Find forged tokens in log files",
		Long: `Find forged tokens in log files: any mix of Entra ID sign-in and audit logs, Microsoft 365 audit, Microsoft Graph activity and token
observations, as Azure diagnostic settings, Log Analytics, Defender XDR, the Management Activity API, Purview and the portals
export them, gzipped or not. The form is recognised. Without an argument the standard input is read.

Alerts are kept in a store, so a second run over the same logs shows them as known and counts nothing twice.

Nobody is told of anything unless --notify is given: then the subscriptions of the configuration are, once the logs are read. What a
receiver does not take waits in the store for the next run with --notify.

Exit codes: 0, nothing went wrong; 1, an error or wrong usage; 2, --fail-on: such an alert stands; 3, --strict: a record was set aside.
Of several, the first in the order 1, 2, 3.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				if sys.InTerminal {
					return usage(cmd, errors.New("name the logs: files, folders, or - for the standard input"))
				}
				args = []string{"-"}
			}
			return d.run(cmd.Context(), args)
		},
	}
	d.store.add(cmd, "keep the alerts in this SQLite file, or nowhere: none (default: in your state folder)")
	d.config.add(cmd)
	d.rules.add(cmd)
	d.form = outputFlag(cmd, formTable, formJSON, formLines, formCloudEvents)
	cmd.Flags().Var(&d.severity, "min-severity", "leave alerts below it out of the output")
	cmd.Flags().StringSliceVar(&d.ruleIDs, "rule", nil, "evaluate only these rules, and list the alerts of those that only observe")
	cmd.Flags().Var(&d.tenant, "tenant", "the tenant of records that name none")
	cmd.Flags().Var(&d.failOn, "fail-on", "exit with 2 if an alert of this severity or above stands")
	cmd.Flags().BoolVar(&d.notify, "notify", false, "tell the subscriptions of the configuration of the alerts")
	cmd.Flags().BoolVar(&d.strict, "strict", false, "exit with 3 if a record was set aside, and with 1 before reading any if a Sigma rule has a mistake")
	return cmd
}

func (d *detection) run(ctx context.Context, paths []string) (err error) {
	c, err := d.config.load()
	if err != nil {
		return err
	}
	for _, w := range c.Warnings(d.sys.Now(), 0) {
		d.sys.complain(w)
	}
	switch {
	case d.notify && len(c.Subscriptions) == 0:
		return errors.New("--notify: there are no subscriptions: name a configuration that has some with --config")
	case d.notify && d.store.path == noStore:
		return fmt.Errorf("--notify: what is owed to subscriptions stands in the store, and --store is %s", noStore)
	}
	all, err := app.LoadRules(c, d.rules.paths...)
	if err != nil {
		return err
	}
	if err := d.sys.tellProblems(all.Problems, d.strict); err != nil {
		return err
	}
	if err := checkRules(d.ruleIDs, all.Rules); err != nil {
		return err
	}
	rules := all.Only(d.ruleIDs)
	tenant := d.tenant.id
	if tenant == "" {
		tenant = c.Tenant()
	}
	decoder, err := app.Decoder(d.sys.Getenv(app.SettingDecoder))
	if err != nil {
		return err
	}
	s, err := d.openStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if state, ok := s.(store.State); ok {
		if err := app.LearnKeys(ctx, rules.Reference, state, time.Time{}); err != nil {
			return err
		}
	}
	p, err := app.NewPipeline(rules, decoder, s, tenant, d.sys.Now)
	if err != nil {
		return err
	}
	id, err := d.sys.newRunID()
	if err != nil {
		return err
	}

	in := &logs{files: envelope.NewFiles(paths, d.sys.In)}
	started := d.sys.Now()
	stop := watch(d.sys, in.files)
	report, err := p.Process(ctx, in, pipeline.Options{From: rules.Provenance(id, d.sys.Version)})
	stop()
	in.close()
	report.Seconds = d.sys.Now().Sub(started).Seconds()
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted: what was found until then is in the store; run it again to go on")
		}
		return err
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
			d.sys.complain(fmt.Errorf("%s is empty", path))
		}
	}
	failed := in.failures()
	if report.Records == 0 && failed == nil {
		failed = errors.New("there are no records in the input")
	}
	stage := rule.Enabled
	if len(d.ruleIDs) > 0 {
		stage = rule.Observe
	}
	known := names{tenants: c.Names, apps: rules.Reference}
	doc := newRunDocument(report, rules.Rules, known, d.severity.value, stage)
	doc.Summary.SkippedFiles = in.files.Skipped()
	if err := d.write(report, doc, stage, in); err != nil {
		return err
	}
	if d.notify {
		failed = errors.Join(failed, d.tell(ctx, c, s, report))
	}
	return d.verdict(report, doc.Summary, failed)
}

// tell tells the subscriptions of the alerts, and says on the standard error how it went. Who could not be told is an error.
func (d *detection) tell(ctx context.Context, c *config.Config, s store.Store, r *pipeline.Report) error {
	b, ok := s.(app.Backend)
	if !ok {
		return errors.New("the store keeps no deliveries")
	}
	to, err := dispatcher(d.sys, c, b)
	if err != nil {
		return err
	}
	for _, t := range r.Sorted(rule.Info, rule.Enabled) {
		if _, err := to.Enqueue(ctx, &t.Alert); err != nil {
			return err
		}
	}
	if err := to.Hurry(ctx); err != nil {
		return err
	}
	sent := 0
	for { // as many messages as a minute allows: what is more goes out as one digest
		round, err := to.Send(ctx)
		if err != nil {
			return err
		}
		sent += round.Sent
		if round.Sent == 0 {
			break
		}
	}
	owed, reasons := 0, map[string]string{}
	for x, err := range app.Deliveries(b, c.Retention, d.sys.Now).All(ctx, false) {
		if err != nil {
			return err
		}
		if slices.ContainsFunc(c.Subscriptions, func(s notify.Subscription) bool { return s.Name == x.Subscription }) {
			owed++
			reasons[x.Subscription] = cmp.Or(x.Reason, reasons[x.Subscription], "it has had its messages of this minute")
		}
	}
	p := newPage(d.sys.Err, d.sys.ErrTerminal)
	p.line(faint, "told subscriptions of "+counted(int64(sent), "change"))
	if err := p.flush(); err != nil || owed == 0 {
		return err
	}
	list := d.sys.command(append([]string{"deliveries", "list"}, d.store.args()...)...)
	errs := []error{fmt.Errorf("%s could not be told yet: see %s", counted(int64(owed), "change"), list)}
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		st, err := notify.LoadStanding(ctx, b, name)
		if err != nil {
			return err
		}
		if !st.Disabled.IsZero() {
			retry := d.sys.command(append(append([]string{"deliveries", "retry"}, d.store.args()...), name)...)
			reasons[name] = "it is disabled: " + st.Reason + "; mend its URL, then run " + retry
		}
		errs = append(errs, fmt.Errorf("subscription %s: %s", name, reasons[name]))
	}
	return errors.Join(errs...)
}

func (d *detection) openStore(ctx context.Context, c *config.Config) (store.Store, error) {
	path, err := d.store.resolve(d.sys)
	switch {
	case err != nil:
		return nil, err
	case path == noStore:
		return app.MemoryStore(ctx)
	}
	return app.OpenStoreFor(ctx, c, path, d.sys.Now)
}

func (d *detection) write(r *pipeline.Report, doc runDocument, stage rule.Stage, in *logs) error {
	if d.form.value == formTable {
		p := newPage(d.sys.Out, d.sys.OutTerminal)
		bytes, _ := in.files.Progress()
		p.run(doc, bytes)
		if len(doc.Alerts) > 0 && d.store.path != noStore {
			gravest := shortIDs(doc.Alerts)[doc.Alerts[0].ID]
			p.end()
			p.line(faint, "next: "+d.sys.command(append(append([]string{"explain"}, d.store.args()...), gravest)...))
		}
		return p.flush()
	}
	touched := r.Sorted(d.severity.value, stage)
	alerts := make([]alert.Alert, len(touched))
	documents := make(map[alert.ID]alertDocument, len(touched))
	for i, t := range touched {
		alerts[i] = t.Alert
		documents[t.Alert.ID] = doc.Alerts[i]
	}
	return writeAlerts(d.sys.Out, d.form.value, alerts, func(a *alert.Alert) alertDocument { return documents[a.ID] }, &doc.Summary)
}

// verdict turns what happened into the exit code.
func (d *detection) verdict(r *pipeline.Report, s summary, failed error) error {
	if failed != nil {
		return failed
	}
	if d.failOn.given && slices.ContainsFunc(r.Sorted(d.failOn.value, rule.Enabled), stands) {
		return exit(exitAlerts)
	}
	if d.strict && s.SetAside > 0 {
		return exit(exitSetAside)
	}
	return nil
}

// stands reports whether nobody has closed the alert.
func stands(t *pipeline.Touched) bool { return t.Alert.Status != alert.Closed }

// logs are the files of a run. One that cannot be read does not keep the others from being read.
type logs struct {
	files   *envelope.Files
	errs    []error
	dropped int
}

// maxFailures bounds the files that are named because they could not be read.
const maxFailures = 50

// Next implements pipeline.Source.
func (l *logs) Next() (envelope.Record, error) {
	for {
		rec, err := l.files.Next()
		if part := (*envelope.Broken)(nil); err == nil || errors.Is(err, io.EOF) || errors.As(err, &part) {
			return rec, err
		}
		if len(l.errs) < maxFailures {
			l.errs = append(l.errs, err)
		} else {
			l.dropped++
		}
	}
}

// failures returns the files that could not be read, or nil.
func (l *logs) failures() error {
	errs := l.errs
	if l.dropped > 0 {
		errs = append(errs, fmt.Errorf("%d more files could not be read", l.dropped))
	}
	return errors.Join(errs...)
}

// close closes the file that is being read where the run has ended before it. What was read of it counts.
func (l *logs) close() { _ = l.files.Close() }

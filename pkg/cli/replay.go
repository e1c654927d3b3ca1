package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/issuance"
	"github.com/assay-sec/assay/pkg/replay"
	"github.com/assay-sec/assay/pkg/rule"
)

// replaying is one invocation of assay replay.
type replaying struct {
	sys *System

	store   storeFlag
	config  configFlag
	rules   rulesFlag
	form    *choice
	from    timeFlag
	to      timeFlag
	ruleIDs []string
	tenants []string
	dryRun  bool
	notify  bool
	reason  string
	by      string
	resume  string
	rate    float64
	atOnce  int
	group   string
	export  pathFlag
	remote  string
	known   names

	join      *choice
	calibrate timeFlag
	memory    int
}

// Defaults of assay replay.
const (
	hubRate     = 1.0 // megabytes a second, of hubs: the live path reads them, too
	slicesAt    = 4
	replayGroup = "replay"
	megabyte    = 1 << 20
)

func newReplay(sys *System) *cobra.Command {
	r := &replaying{sys: sys}
	cmd := &cobra.Command{
		Use:   "replay SOURCE...",
		Short: "Run a past window of the logs through the rules again",
		Long: `Run a past window of the logs through the rules again, and show which alerts are new and which were known. The window is the time at
which things happened, whenever they were logged. A SOURCE is

  FILE or DIR                                                        logs, as detect reads them
  sb://NAMESPACE/HUB                                                 an event hub, as far as its retention reaches
  https://ACCOUNT.blob.core.windows.net/CONTAINER/NAMESPACE/HUB      what Event Hubs Capture has kept of it
  https://ACCOUNT.blob.core.windows.net/insights-logs-CATEGORY       what diagnostic settings have archived

What the window asks for and a source does not hold is told as a gap.

A replay that was interrupted goes on with --resume ID. Nothing is counted twice: not by a replay that is resumed, nor by one
that is run again, nor where the live path has been.

With --join issuance the logs are read twice: first to know which tokens were issued, then to find uses of tokens that no sign-in
issued, or issued to somebody else, in mailbox audit, Microsoft Graph activity and token observations. Name the sign-in logs
among the sources, all categories of them. Such a finding is worth what the logs are worth: so the result says which client
applications could be judged, and why others could not.

With --remote URL the replay is run by a function app, whose sources are named hub:HUB. ` + remoteTokenSetting + ` holds an access token of
Entra ID for it, ` + remoteKeySetting + ` its function key.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case r.resume != "" && len(args) > 0:
				return usage(cmd, errors.New("--resume goes on with what the replay was started with: name no source"))
			case r.resume == "" && len(args) == 0:
				return usage(cmd, errors.New("name the logs: files, folders, or sb://NAMESPACE/HUB"))
			case slices.Contains(args, "-"):
				return usage(cmd, errors.New("a replay reads no standard input, which it could not read again"))
			case r.remote != "" && r.join.value != "":
				return usage(cmd, errors.New("--join holds the logs of the whole window in the memory of one process: run it here, without --remote, against sb://NAMESPACE/HUB or an archive"))
			case r.remote != "":
				return r.follow(cmd.Context(), args)
			}
			return r.run(cmd.Context(), args)
		},
	}
	f := cmd.Flags()
	f.Var(&r.from, "from", "the beginning of the window, as 2026-01-31T08:00:00Z or 2026-01-31")
	f.Var(&r.to, "to", "its end, which is not in it")
	f.StringVar(&r.reason, "reason", "", "why it is run: kept with the replay")
	f.StringVar(&r.by, "by", "", "who runs it (default: the user's name)")
	f.StringSliceVar(&r.ruleIDs, "rule", nil, "evaluate only these rules")
	f.StringSliceVar(&r.tenants, "tenant", nil, "only records of these tenants")
	f.BoolVar(&r.dryRun, "dry-run", false, "say what it would find, and store no finding")
	f.BoolVar(&r.notify, "notify", false, "let subscribers hear of what it finds (with --remote)")
	f.StringVar(&r.resume, "resume", "", "go on with the replay of this id")
	f.StringVar(&r.remote, "remote", "", "the address of a function app that is to run it")
	r.store.add(cmd, "keep the alerts in this SQLite file, or nowhere: none (default: in your state folder)")
	r.config.add(cmd)
	r.rules.add(cmd)
	r.form = outputFlag(cmd, formTable, formJSON)
	f.Var(&r.export, "export", "write the findings with their evidence into this file: .csv or .json")
	f.Float64Var(&r.rate, "rate", -1, "megabytes a second to read at most; 0 is any (default: 1 of hubs, any of files)")
	f.IntVar(&r.atOnce, "at-once", slicesAt, "how many parts to read at the same time")
	r.join = &choice{words: []string{replay.JoinIssuance}}
	f.Var(r.join, "join", "find uses of tokens that no sign-in issued")
	f.Var(&r.calibrate, "calibrate-from", "with --join: learn from uses since then which applications can be judged (default: 14 days before --from)")
	f.IntVar(&r.memory, "join-memory", issuance.DefaultMemory/megabyte, "with --join: megabytes for token ids, some 10,000 of them each")
	f.StringVar(&r.group, "consumer-group", replayGroup, "the consumer group of replays alone")
	return cmd
}

// timeFlag is a flag that names an instant.
type timeFlag struct{ at time.Time }

func (f *timeFlag) String() string {
	if f.at.IsZero() {
		return ""
	}
	return f.at.Format(time.RFC3339)
}
func (f *timeFlag) Type() string { return "TIME" }
func (f *timeFlag) Set(s string) error {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if at, err := time.Parse(layout, s); err == nil {
			f.at = at.UTC()
			return nil
		}
	}
	return errors.New("must be a time as 2026-01-31T08:00:00Z, or a day as 2026-01-31 in UTC")
}

// request is what the flags ask for.
func (r *replaying) request(sources []string) (replay.Request, error) {
	req := replay.Request{
		Window: replay.Window{From: r.from.at, To: r.to.at}, Sources: sources, Rules: r.ruleIDs, DryRun: r.dryRun, Notify: r.notify,
		Reason: r.reason, By: cmp.Or(r.by, r.sys.Getenv("USER"), r.sys.Getenv("USERNAME"), "unknown"),
		Join: r.join.value, CalibrateFrom: r.calibrate.at,
	}
	for _, t := range r.tenants {
		var id tenantFlag
		if err := id.Set(t); err != nil {
			return req, fmt.Errorf("--tenant %q: %w", t, err)
		}
		req.Tenants = append(req.Tenants, id.id)
	}
	return req, nil
}

// systemClock is the clock of the surroundings.
type systemClock struct {
	replay.WallClock
	sys *System
}

// Now implements replay.Clock.
func (c systemClock) Now() time.Time { return c.sys.Now() }

// run runs the replay in this process.
func (r *replaying) run(ctx context.Context, args []string) (err error) {
	if r.notify {
		return errors.New("--notify is for --remote: a command line tells nobody")
	}
	c, err := r.config.load()
	if err != nil {
		return err
	}
	rules, err := app.LoadRules(c, r.rules.paths...)
	if err != nil {
		return err
	}
	if err := r.sys.tellProblems(rules.Problems, false); err != nil {
		return err
	}
	if err := r.checkRules(rules); err != nil {
		return err
	}
	r.known = names{tenants: c.Names, apps: rules.Reference}
	decoder, err := app.Decoder(r.sys.Getenv(app.SettingDecoder))
	if err != nil {
		return err
	}
	backend, err := r.openStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	sources := &app.ReplaySources{Group: r.group, Connection: r.sys.Getenv(app.SettingReplayHubs), Blobs: r.sys.Getenv(app.SettingReplayBlobs)}
	defer func() { err = errors.Join(err, sources.Close(context.WithoutCancel(ctx))) }()
	runner := app.NewReplayRunner(backend, func() *app.Rules { return rules }, decoder, r.sys.Version, c.Tenant(), systemClock{sys: r.sys})
	runner.Source = sources.Source
	if c.Retention > 0 {
		runner.Retention = c.Retention
	}
	j, planned, err := r.plan(ctx, runner, args)
	if err != nil {
		return err
	}
	// Each part is read at its share of the rate.
	rate := r.rate
	if rate < 0 {
		rate = 0
		if slices.ContainsFunc(j.Request.Sources, sources.IsHub) {
			rate = hubRate
		}
	}
	parts := max(min(r.atOnce, len(planned)), 1)
	runner.Rate = rate * megabyte / float64(parts)
	doc := replayDocument{Alerts: []alertDocument{}}
	if j.Request.Join != "" {
		ledger, err := r.survey(ctx, runner, j, decoder, c.Tenant(), parts)
		if err != nil {
			return err
		}
		rules = rules.Joined(ledger)
		sum := ledger.Summary(j.Request.Tenants)
		doc.Issuance = &sum
	}
	bars := newBars(r.sys, planned)
	runner.Page = bars.page
	stop := bars.watch()
	failed := runner.Run(ctx, j.ID, parts)
	stop()
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: what was found until then is kept; to go on: %s",
			r.sys.command(slices.Concat([]string{"replay", "--resume", j.ID}, r.store.args())...))
	}
	status, results, err := runner.Outcome(ctx, j.ID)
	if err != nil {
		return err
	}
	doc.Replay = status
	var found []foundAlert
	for _, result := range results {
		doc.Alerts = append(doc.Alerts, newAlertDocument(&result.Alert, r.known).replayed(result.New, result.AlertNew))
		if r.export.path == "" {
			continue
		}
		one := foundAlert{Alert: result.Alert}
		for f, err := range runner.Findings(ctx, j, &result.Alert) {
			if err != nil {
				return err
			}
			one.Findings = append(one.Findings, f)
		}
		found = append(found, one)
	}
	if err := r.write(&doc, found); err != nil {
		return err
	}
	return failed
}

func (r *replaying) openStore(ctx context.Context, c *config.Config) (app.Backend, error) {
	d := detection{sys: r.sys, store: r.store}
	s, err := d.openStore(ctx, c)
	if err != nil {
		return nil, err
	}
	b, ok := s.(app.Backend)
	if !ok {
		return nil, errors.Join(errors.New("the store keeps no replays"), s.Close())
	}
	return b, nil
}

// plan makes a new replay, or finds the one to go on with.
func (r *replaying) plan(ctx context.Context, runner *replay.Runner, args []string) (*replay.Job, []replay.Slice, error) {
	if r.resume != "" {
		j, err := runner.Documents.Job(ctx, r.resume)
		if err != nil {
			return nil, nil, err
		}
		planned, err := runner.Documents.Slices(ctx, j.ID)
		return j, planned, err
	}
	req, err := r.request(args)
	if err != nil {
		return nil, nil, err
	}
	j, planned, err := runner.Plan(ctx, req)
	if invalid := (*replay.Invalid)(nil); errors.As(err, &invalid) {
		return nil, nil, fmt.Errorf("%s %s\nsee assay replay --help", flagOf(invalid.Field), invalid.Detail)
	}
	return j, planned, err
}

// flagOf names the flag of a member of a request.
func flagOf(field string) string {
	switch field {
	case "sources":
		return "SOURCE"
	case "rules", "tenants":
		return "--" + strings.TrimSuffix(field, "s")
	case "dryRun":
		return "--dry-run"
	case "calibrateFrom":
		return "--calibrate-from"
	}
	return "--" + field
}

// replayDocument is what `assay replay --output json` writes.
type replayDocument struct {
	Replay *replay.Status  `json:"replay"`
	Alerts []alertDocument `json:"alerts"`
	// Issuance says what a join knew.
	Issuance *issuance.Summary `json:"issuance,omitempty"`
}

// replayed adds what a replay knows of the alert.
func (d alertDocument) replayed(found int64, isNew bool) alertDocument {
	d.CountInRun, d.State = found, stateKnown
	if isNew {
		d.State = stateNew
	}
	return d
}

// sort puts the new alerts first, and of those the gravest and latest.
func (d *replayDocument) sort() {
	slices.SortFunc(d.Alerts, func(a, b alertDocument) int {
		return cmp.Or(-cmp.Compare(a.State, b.State), -cmp.Compare(a.Severity, b.Severity), b.LastSeen.Compare(a.LastSeen), strings.Compare(string(a.ID), string(b.ID)))
	})
}

// write shows the result, and writes the export.
func (r *replaying) write(doc *replayDocument, found []foundAlert) error {
	doc.sort()
	hash := ""
	if r.export.path != "" {
		var err error
		if hash, err = r.writeExport(doc, found); err != nil {
			return err
		}
	}
	if r.form.value == formJSON {
		return writeJSON(r.sys.Out, "  ", doc)
	}
	p := newPage(r.sys.Out, r.sys.OutTerminal)
	p.replay(doc)
	if hash != "" {
		p.label("export", plain, r.export.path)
		p.label("  SHA-256", faint, hash)
	}
	if len(doc.Alerts) > 0 && r.store.path != noStore && r.remote == "" && !doc.Replay.Request.DryRun {
		p.end()
		p.line(faint, "next: "+r.sys.command(slices.Concat([]string{"explain"}, r.store.args(), []string{shortIDs(doc.Alerts)[doc.Alerts[0].ID]})...))
	}
	return p.flush()
}

// replay writes what a replay found, for people.
func (p *page) replay(d *replayDocument) {
	shown := slices.DeleteFunc(slices.Clone(d.Alerts), func(a alertDocument) bool { return a.Stage != rule.Enabled })
	if len(shown) > 0 {
		p.table(shown, shortIDs(shown))
		p.end()
	}
	s := d.Replay
	p.label("replay", plain, s.ID)
	state := map[replay.State]style{replay.StateCompleted: green, replay.StateFailed: red, replay.StateCancelled: yellow}[s.State]
	text := string(s.State)
	if s.Request.DryRun {
		text += ", dry run: no finding was stored"
	}
	p.label("state", state, text)
	p.label("window", plain, s.Request.From.UTC().Format(time.RFC3339)+" to "+s.Request.To.UTC().Format(time.RFC3339))
	for i := range s.Slices {
		if slice := &s.Slices[i]; slice.State == replay.Failed || slice.Error != "" {
			p.wrap(red, labelColumns+gap, fmt.Sprintf("slice %d (%s %s): %s", slice.Number, slice.Range.Source, slice.Range.Partition, slice.Error))
		}
	}
	for _, g := range s.Gaps {
		what := strings.TrimSpace(g.Source + " " + g.Partition)
		if !g.From.IsZero() {
			what += ", arrived " + g.From.Format(time.RFC3339) + " to " + g.To.Format(time.RFC3339)
		}
		p.label("gap", yellow, strings.TrimPrefix(what+": "+g.Reason, ": "))
	}
	c := &s.Counters
	p.label("records", plain, number(c.Records))
	p.label("  evaluated", plain, number(c.Evaluated))
	p.label("  not asked for", plain, number(c.Unselected))
	p.part("ignored", total(c.Ignored), c.Ignored, nil, nil)
	p.part("set aside", total(c.SetAside), c.SetAside, map[string][]string{}, nil)
	p.label("findings", plain, fmt.Sprintf("%s new, %s known or repeated", number(s.Findings.New), number(s.Findings.Known)))
	p.label("alerts", plain, fmt.Sprintf("%s new, %s known", number(s.Findings.AlertsNew), number(s.Findings.AlertsKnown)))
	if d.Issuance != nil {
		p.issuance(d.Issuance)
	}
	if n := len(d.Alerts) - len(shown); n > 0 {
		p.line(faint, counted(int64(n), "alert")+" of rules that only observe, or that a suppression covers, not listed")
	}
}

// foundAlert is an alert with what a replay found for it.
type foundAlert struct {
	Alert    alert.Alert     `json:"alert"`
	Findings []alert.Finding `json:"findings"`
}

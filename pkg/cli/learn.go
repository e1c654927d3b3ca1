package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/learn"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

// learning is one invocation of assay learn.
type learning struct {
	sys *System

	config configFlag
	rules  rulesFlag
	tenant tenantFlag
	from   timeFlag
	to     timeFlag
}

func newLearn(sys *System) *cobra.Command {
	l := &learning{sys: sys}
	cmd := &cobra.Command{
		Use:   "learn [FILE|DIR|-]...",
		Short: "Propose the allowlists that logs of ordinary days show",
		Long: `Propose the allowlists that logs of ordinary days show, 30 of them or so: mail clients with their protocols and the ages of their tokens,
applications that read mail without a user, partner tenants, delegates, and the share of records with a token id. With --config the
proposal is a diff of that document, for patch; without, a document. Every entry says on how many records and days it stands. It is
there to be reviewed, and nothing is written. It takes the logs themselves: the store keeps findings, not the ordinary records to learn from.

Nothing is learned from a window in which a rule found strong evidence of forgery: then the alerts are named. --from and --to choose
another window; a finding that somebody vouches for is suppressed in the configuration.

Exit codes: 0, there is a proposal, or there is nothing to propose; 1, an error, wrong usage, or strong evidence.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				if sys.InTerminal {
					return usage(cmd, errors.New("name the logs: files, folders, or - for the standard input"))
				}
				args = []string{"-"}
			}
			if !l.from.at.IsZero() && !l.to.at.IsZero() && !l.from.at.Before(l.to.at) {
				return usage(cmd, errors.New("--from is not before --to"))
			}
			return l.run(cmd.Context(), args)
		},
	}
	l.config.add(cmd)
	l.rules.add(cmd)
	cmd.Flags().Var(&l.tenant, "tenant", "the tenant of records that name none")
	cmd.Flags().Var(&l.from, "from", "the beginning of the window, as 2026-01-31T08:00:00Z or 2026-01-31")
	cmd.Flags().Var(&l.to, "to", "its end, which is not in it")
	return cmd
}

func (l *learning) run(ctx context.Context, paths []string) error {
	var document []byte
	c := &config.Config{}
	if l.config.path != "" {
		var err error
		if c, err = config.Load(l.config.path); err != nil {
			return err
		}
		if document, err = os.ReadFile(l.config.path); err != nil {
			return fmt.Errorf("read the configuration: %w", err)
		}
	}
	proposal, err := l.learn(ctx, c, paths)
	if err != nil {
		return err
	}
	proposed, err := proposal.Apply(document)
	if err != nil {
		return fmt.Errorf("%s: %w", l.config.path, err)
	}
	if err := agrees(c, proposed); err != nil {
		return err
	}
	return l.show(&proposal, document, proposed)
}

// learn runs the logs through the rules, and learns from what they saw if none of them objects.
func (l *learning) learn(ctx context.Context, c *config.Config, paths []string) (learn.Proposal, error) {
	var none learn.Proposal
	rules, err := app.LoadRules(c, l.rules.paths...)
	if err != nil {
		return none, err
	}
	if err := l.sys.tellProblems(rules.Problems, true); err != nil {
		return none, err
	}
	tenant := l.tenant.id
	if tenant == "" {
		tenant = c.Tenant()
	}
	decoder, err := app.Decoder(l.sys.Getenv(app.SettingDecoder))
	if err != nil {
		return none, err
	}
	id, err := l.sys.newRunID()
	if err != nil {
		return none, err
	}
	objections := &objections{alerts: map[alert.ID]*objection{}}
	p, err := app.NewPipeline(rules, decoder, objections, tenant, l.sys.Now)
	if err != nil {
		return none, err
	}
	learner := learn.New(rules.Reference)
	in := &logs{files: envelope.NewFiles(paths, l.sys.In)}
	stop := watch(l.sys, in.files)
	report, err := p.Process(ctx, in, pipeline.Options{
		From:    rules.Provenance(id, l.sys.Version),
		Select:  pipeline.Selection{From: l.from.at, To: l.to.at},
		Observe: learner.Observe,
	})
	stop()
	in.close()
	switch failed := in.failures(); {
	case err != nil:
		return none, err
	case failed != nil:
		return none, failed // what cannot be read might hold what objects
	case report.Records == 0:
		return none, errors.New("there are no records in the input")
	}
	if err := objections.err(c.Names); err != nil {
		return none, err
	}
	proposal := learner.Propose()
	aside := int64(0)
	for _, n := range report.SetAside {
		aside += n
	}
	if aside > 0 {
		proposal.Basis = append(proposal.Basis, fmt.Sprintf("Left out: %s that could not be read (assay detect tells where).", counted(aside, "record")))
	}
	return proposal, nil
}

// agrees makes sure that the document says what the configuration says, but for what is learned.
func agrees(c *config.Config, document []byte) error {
	proposed, err := config.Parse("the proposal", document)
	if err != nil {
		return fmt.Errorf("the proposal would make a wrong configuration: %w", err)
	}
	if !reflect.DeepEqual(unlearned(c.Reference), unlearned(proposed.Reference)) || !reflect.DeepEqual(c.Rules, proposed.Rules) ||
		len(c.Suppressions) != len(proposed.Suppressions) || len(c.Subscriptions) != len(proposed.Subscriptions) {
		return fmt.Errorf("the proposal would change what it is not about: %w", learn.ErrLayout)
	}
	return nil
}

// unlearned returns the reference data without what is learned, and without tenants of whom nothing else is said.
func unlearned(s reference.Source) reference.Source {
	tenants := s.Tenants
	s.Tenants = map[string]reference.TenantSource{}
	for id, t := range tenants {
		t.MailClients, t.AppOnlyMailApps, t.PartnerTenants, t.Delegates, t.UTICoverage, t.GraphUTICoverage = nil, nil, nil, nil, nil, nil
		if !reflect.DeepEqual(t, reference.TenantSource{}) {
			s.Tenants[id] = t
		}
	}
	return s
}

// show writes the proposal: for a terminal escaped and coloured, else as it is.
func (l *learning) show(p *learn.Proposal, was, proposed []byte) error {
	var out bytes.Buffer
	for _, line := range p.Basis {
		out.WriteString("# " + line + "\n")
	}
	switch {
	case len(p.Tenants) == 0:
		out.WriteString("# There is nothing to propose.\n")
	case l.config.path == "":
		out.WriteString("# Review every entry before you make it yours.\n\n")
		out.Write(proposed)
	default:
		out.WriteString("# Review every entry before you make it yours.\n\n")
		text := diff.Diff(l.config.path, was, l.config.path, proposed)
		if _, rest, ok := bytes.Cut(text, []byte("\n")); ok && bytes.HasPrefix(text, []byte("diff ")) {
			text = rest
		}
		out.Write(text)
	}
	if !l.sys.OutTerminal.Interactive {
		if _, err := l.sys.Out.Write(out.Bytes()); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
		return nil
	}
	page := newPage(l.sys.Out, l.sys.OutTerminal)
	page.term.Width = 0 // it is there to be read whole
	for line := range strings.Lines(out.String()) {
		line = strings.TrimRight(line, "\r\n")
		st := plain
		switch {
		case strings.HasPrefix(line, "@@"), strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
			st = cyan
		case strings.HasPrefix(line, "+") && l.config.path != "":
			st = green
		case strings.HasPrefix(line, "-") && l.config.path != "":
			st = red
		case strings.HasPrefix(strings.TrimLeft(line, " "), "#"):
			st = faint
		}
		page.line(st, line)
	}
	return page.flush()
}

// objections keeps the alerts with strong evidence of a run, and nothing else. It is the store of a run that stores nothing.
type objections struct {
	store.Store // has no other method that a run calls

	alerts  map[alert.ID]*objection
	dropped int64
}

// objection is an alert that forbids to learn.
type objection struct {
	first alert.Finding
	count int64
}

// maxObjections bounds the alerts that are kept, and those that are named.
const (
	maxObjections = 1000
	maxNamed      = 20
)

// Record implements store.Store. A suppressed finding does not object: somebody has vouched for it.
func (o *objections) Record(_ context.Context, findings []alert.Finding) (store.Outcome, error) {
	for i := range findings {
		f := &findings[i]
		if f.Strength < rule.Strong || f.Suppressed != nil {
			continue
		}
		known := o.alerts[f.AlertID]
		switch {
		case known == nil && len(o.alerts) >= maxObjections:
			o.dropped++
			continue
		case known == nil:
			known = &objection{first: lean(f)}
			o.alerts[f.AlertID] = known
		case f.At.Before(known.first.At):
			known.first = lean(f)
		}
		known.count++
	}
	return store.Outcome{}, nil // what a run reports of its alerts is not asked for
}

// lean returns the finding without its evidence, which nobody will read.
func lean(f *alert.Finding) alert.Finding {
	out := *f
	out.Record, out.RecordCut, out.Facts = nil, "", nil
	return out
}

// SetAside implements store.Store.
func (*objections) SetAside(context.Context, []alert.SetAside) error { return nil }

// Close implements store.Store.
func (*objections) Close() error { return nil }

// err names the alerts, or is nil.
func (o *objections) err(tenants map[string]string) error {
	if len(o.alerts) == 0 {
		return nil
	}
	all := slices.SortedFunc(maps.Values(o.alerts), func(a, b *objection) int {
		if c := a.first.At.Compare(b.first.At); c != 0 {
			return c
		}
		return strings.Compare(string(a.first.AlertID), string(b.first.AlertID))
	})
	var b strings.Builder
	b.WriteString("nothing is learned from days of which a rule has strong evidence of forgery: find out what it is, and choose other days with --from and --to")
	for _, x := range all[:min(len(all), maxNamed)] {
		f := &x.first
		name := f.Tenant
		if tenants[f.Tenant] != "" {
			name = tenants[f.Tenant]
		}
		fmt.Fprintf(&b, "\n%s %s: %s, %s %s, tenant %s, first at %s", f.At.UTC().Format(time.RFC3339), f.Rule.ID, counted(x.count, "finding"),
			oneLine(f.KeyName), oneLine(f.Key), oneLine(name), oneLine(f.Place))
	}
	if more := len(all) - maxNamed; more > 0 || o.dropped > 0 {
		fmt.Fprintf(&b, "\nand more: assay detect shows all of them")
	}
	return errors.New(b.String())
}

// oneLine keeps a text of a log from beginning a line of its own.
func oneLine(s string) string { return strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(s) }

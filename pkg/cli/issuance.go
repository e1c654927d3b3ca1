package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/issuance"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/replay"
	"github.com/assay-sec/assay/pkg/rule"
)

// checkRules makes sure that the rules that are asked for are there. Those of a join are if it is asked for, and then one of
// them has to be among them.
func (r *replaying) checkRules(all *app.Rules) error {
	if r.join.value == "" {
		for _, x := range issuance.Rules(nil) {
			if slices.Contains(r.ruleIDs, x.ID) && r.resume == "" {
				return fmt.Errorf("the rule %q needs --join %s", x.ID, replay.JoinIssuance)
			}
		}
		return checkRules(r.ruleIDs, all.Rules)
	}
	asked := len(r.ruleIDs) == 0 || slices.ContainsFunc(issuance.Rules(nil), func(x *rule.Rule) bool { return slices.Contains(r.ruleIDs, x.ID) })
	if !asked {
		return fmt.Errorf("--join %s is for its own rules, of which --rule names none: %s", replay.JoinIssuance, strings.Join(joinRules(), ", "))
	}
	return checkRules(r.ruleIDs, all.Joined(nil).Rules)
}

// joinRules are the ids of the rules that need a join.
func joinRules() []string {
	var out []string
	for _, x := range issuance.Rules(nil) {
		out = append(out, x.ID)
	}
	return out
}

// survey reads the logs of the replay, and of the time before it, to know what was issued.
func (r *replaying) survey(ctx context.Context, runner *replay.Runner, j *replay.Job, d decode.Decoder, tenant string, parts int) (*issuance.Ledger, error) {
	o := issuance.Options{From: j.Request.From, To: j.Request.To, Baseline: j.Request.CalibrateFrom, ReadAt: r.sys.Now().UTC(), Memory: int64(r.memory) * megabyte}
	if o.Baseline.IsZero() {
		o.Baseline = o.From.Add(-issuance.Baseline)
	}
	c := issuance.New(o)
	span := o.Span()
	stop := func() {}
	var shown *bars
	seen, err := runner.Survey(ctx, replay.Survey{
		Sources: j.Request.Sources, Window: replay.Window{From: span.From, To: span.To}, AtOnce: parts, Normalizer: normalize.New(d, tenant), See: c.Observe,
		Planned: func(planned []replay.Slice) {
			shown = newBars(r.sys, planned)
			stop = shown.watch()
		},
		Page: func(slice int, units int64) { shown.set(slice, units) },
	})
	stop()
	switch {
	case errors.Is(err, issuance.ErrFull):
		return nil, fmt.Errorf("%w: choose a shorter window, a later --calibrate-from, or more --join-memory", err)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("interrupted while the sign-ins were read; to go on: %s",
			r.sys.command(slices.Concat([]string{"replay", "--resume", j.ID}, r.store.args())...))
	case err != nil:
		return nil, err
	}
	gaps, unreadable := seen.Missed()
	c.Unreadable(unreadable)
	for i := range gaps {
		g := &gaps[i]
		happened := g.Happened()
		c.Gap(issuance.Span{From: happened.From, To: happened.To}, strings.TrimSpace(g.Source+" "+g.Partition)+": "+g.Reason)
	}
	return c.Ledger(), nil
}

// Measures of the tables of a join.
const (
	mostClients  = 20 // client applications that are listed
	sourceWidth  = 28
	appWidth     = 36
	numberWidth  = 9
	shareColumns = 8
)

// issuance writes what a join knew, for people: what became of the tokens, which client applications can be judged, and the logs
// on which all of it stands.
func (p *page) issuance(s *issuance.Summary) {
	p.end()
	p.line(bold, "tokens in use, joined with the sign-ins that issued them")
	p.label("tokens", plain, number(s.Tokens))
	p.label("  issued", green, number(s.Issued))
	st := plain
	if s.Orphans > 0 {
		st = boldRed
	}
	p.label("  never issued", st, number(s.Orphans))
	unsaid := int64(0)
	for _, n := range s.Unsaid {
		unsaid += n
	}
	p.label("  not decided", plain, number(unsaid))
	for _, name := range byCountOf(s.Unsaid) {
		p.wrap(faint, labelColumns+gap, number(s.Unsaid[name])+" for want of "+name)
	}
	p.clients(s)
	p.signInLogs(s)
	for _, note := range s.Notes {
		p.label("note", yellow, note)
	}
	for i := range s.Doubtful[:min(len(s.Doubtful), mostHours)] {
		h := &s.Doubtful[i]
		p.label("doubtful hour", yellow, fmt.Sprintf("%s: %d of %d tokens of several users have no sign-in. Logs were lost, or tokens forged for many", h.Hour.Format(minutes), h.Missing, h.Tokens))
	}
	if more := len(s.Doubtful) - mostHours; more > 0 {
		p.label("", faint, fmt.Sprintf("and %d more such hours", more))
	}
	for i := range s.Gaps {
		p.label("not in hand", yellow, stretchText(s.Gaps[i]))
	}
}

func byCountOf(counts map[string]int64) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return int(max(min(counts[b]-counts[a], 1), -1))
		}
		return strings.Compare(a, b)
	})
}

// clients lists the client applications, those of most tokens first.
func (p *page) clients(s *issuance.Summary) {
	if len(s.Clients) == 0 {
		p.label("clients", yellow, "no record says which token was used")
		return
	}
	p.end()
	source := len("LOG")
	for i := range s.Clients {
		source = max(source, min(width(escape(s.Clients[i].Source)), sourceWidth))
	}
	p.fit(faint, "CLIENT APPLICATION", appWidth).space(gap).fit(faint, "LOG", source).space(gap).right(faint, "TOKENS", numberWidth).space(gap).
		right(faint, "NO ROW", numberWidth).space(gap).right(faint, "JOIN", shareColumns).space(gap).put(faint, "JUDGED").end()
	for i := range s.Clients[:min(len(s.Clients), mostClients)] {
		c := &s.Clients[i]
		st := map[string]style{"strong": green, "moderate": yellow, "no": faint}[c.Judged]
		share := "-"
		if c.Tokens > 0 {
			share = fmt.Sprintf("%.2f %%", float64(int64(c.Share*1e4))/100) // never rounded up to all
		}
		p.fit(plain, c.App, appWidth).space(gap).fit(plain, c.Source, source).space(gap).right(plain, number(c.Tokens), numberWidth).space(gap).
			right(plain, number(c.Missing), numberWidth).space(gap).right(st, share, shareColumns).space(gap).put(st, c.Judged).end()
		var more []string
		if c.Why != "" {
			more = append(more, c.Why)
		}
		if len(c.Compared) > 0 {
			more = append(more, "compared: "+strings.Join(c.Compared, ", "))
		}
		if len(more) > 0 {
			p.wrap(faint, gap, strings.Join(more, "; "))
		}
	}
	if more := len(s.Clients) - mostClients; more > 0 {
		p.line(faint, fmt.Sprintf("and %d more, which --output json and the export list", more))
	}
}

// signInLogs lists the sign-in logs.
func (p *page) signInLogs(s *issuance.Summary) {
	p.end()
	for i := range s.Tenants {
		t := &s.Tenants[i]
		p.line(bold, "sign-in logs of tenant "+t.Tenant)
		for j := range t.Logs {
			l := &t.Logs[j]
			text := fmt.Sprintf("%s, %s to %s", number(l.SignIns), l.First.Format(minutes), l.Last.Format(minutes))
			st := plain
			if len(l.Silences) > 0 {
				st = yellow
				text += fmt.Sprintf("; silent for %.1f hours", l.Silent)
			}
			p.fit(faint, l.Log, logColumns).space(gap).put(st, text).end()
			for _, x := range l.Silences[:min(len(l.Silences), mostShown)] {
				p.wrap(faint, labelColumns+gap, "silent "+stretchText(x))
			}
			if more := len(l.Silences) - mostShown + l.More; more > 0 {
				p.wrap(faint, labelColumns+gap, fmt.Sprintf("and %d more silences", more))
			}
		}
		for _, name := range t.Absent {
			p.fit(faint, name, logColumns).space(gap).put(yellow, "none: what it would have issued cannot be told from what nobody issued").end()
		}
	}
}

const (
	mostHours  = 5
	mostShown  = 3 // silences of a log
	logColumns = len("service principal")
)

func stretchText(s issuance.Span) string {
	return s.From.Format(minutes) + " to " + s.To.Format(minutes) + " (" + s.To.Sub(s.From).Round(time.Minute).String() + ")"
}

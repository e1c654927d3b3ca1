package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
)

// coverageDocument says what the rules can see in logs.
type coverageDocument struct {
	Records map[string]int64 `json:"records"` // by feed, as the log names it
	Rules   []ruleCoverage   `json:"rules"`
	Attacks []attackCoverage `json:"attacks"`
	Absent  []string         `json:"absent,omitempty"` // what logs that did not arrive would need
	Hints   []string         `json:"hints,omitempty"`  // what would let rules decide that lacked fields
}

// ruleCoverage counts the records of one feed that a rule is about.
type ruleCoverage struct {
	RuleID    string           `json:"ruleId"`
	Feed      string           `json:"feed"`
	Records   int64            `json:"records"`
	Evaluated int64            `json:"evaluated"` // of them, decided
	Missing   map[string]int64 `json:"missing,omitempty"`
}

// attackCoverage answers "would we have seen it?" for one attack and log.
type attackCoverage struct {
	Attack string    `json:"attack"`
	Name   string    `json:"name"`
	Log    rules.Log `json:"log"`
	Seen   string    `json:"seen"` // seen, weakly or blind
	By     []string  `json:"by,omitempty"`
	Why    string    `json:"why,omitempty"`
}

func newCoverage(sys *System) *cobra.Command {
	var c configFlag
	cmd := &cobra.Command{
		Use:   "coverage [FILE|DIR|-]...",
		Short: "Say which rules could be evaluated on logs, and which attacks would have been seen in them",
		Long: `Say which rules could be evaluated on logs, for how many records and for want of what, and which attacks would have been seen in them. It stores
nothing and judges nothing: run it on an ordinary day of every log that you have.`,
	}
	c.add(cmd)
	form := outputFlag(cmd, formTable, formJSON)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			args = []string{"-"}
		}
		conf, err := c.load()
		if err != nil {
			return err
		}
		all, err := app.LoadRules(conf)
		if err != nil {
			return err
		}
		doc, err := measureCoverage(envelope.NewFiles(args, sys.In), all.Rules, conf.Tenant())
		if err != nil {
			return err
		}
		if form.value == formJSON {
			return writeJSON(sys.Out, "  ", doc)
		}
		p := newPage(sys.Out, sys.OutTerminal)
		p.coverage(doc)
		return p.flush()
	}
	return cmd
}

func measureCoverage(files *envelope.Files, all []*rule.Rule, tenant string) (coverageDocument, error) {
	doc := coverageDocument{Records: map[string]int64{}}
	type place struct{ rule, feed string }
	counts := map[place]*ruleCoverage{}
	n := normalize.New(decode.Scanner{}, tenant)
	var s normalize.Scratch
	var ev event.Event
	for {
		rec, err := files.Next()
		var broken *envelope.Broken
		if errors.Is(err, io.EOF) {
			break
		} else if errors.As(err, &broken) {
			continue // detect says what is wrong with it
		} else if err != nil {
			return doc, errors.Join(err, files.Close())
		}
		if n.Normalize(&rec, &s, &ev).Outcome != normalize.Normalised {
			continue
		}
		feed := strings.Clone(ev.Category)
		doc.Records[feed]++
		for _, r := range all {
			if r.Stage == rule.Off || !slices.Contains(r.Kinds, ev.Kind) {
				continue
			}
			if r.Scope != nil && r.Scope.Eval(&ev, nil) == rule.False {
				continue
			}
			at := place{r.ID, feed}
			if counts[at] == nil {
				counts[at] = &ruleCoverage{RuleID: r.ID, Feed: feed, Missing: map[string]int64{}}
			}
			counts[at].Records++
			v := r.Verdict(&ev)
			if v.Truth != rule.Unknown {
				counts[at].Evaluated++
			}
			for _, m := range v.Missing {
				counts[at].Missing[m]++
			}
		}
	}
	if err := files.Close(); err != nil {
		return doc, err
	}
	for _, r := range all {
		for _, feed := range slices.Sorted(maps.Keys(doc.Records)) {
			if c := counts[place{r.ID, feed}]; c != nil {
				doc.Rules = append(doc.Rules, *c)
			}
		}
	}
	doc.Attacks = attacksSeen(doc.Rules, all)
	doc.Hints = hints(doc.Rules)
	for _, log := range rules.Logs() {
		if !slices.ContainsFunc(doc.Rules, func(c ruleCoverage) bool { return logOf(c.RuleID) == log }) {
			doc.Absent = append(doc.Absent, switchOn[log])
		}
	}
	return doc, nil
}

// switchOn says what makes a log arrive.
var switchOn = map[rules.Log]string{
	rules.TokenLog:   "no token observations arrive: let applications and gateways report the tokens that they see",
	rules.MailboxLog: "no mailbox audit arrives: stream it from Defender XDR or the Management Activity API",
	rules.GraphLog:   "no Graph activity arrives: switch on MicrosoftGraphActivityLogs in the diagnostic settings (Entra ID P1)",
	rules.SignInLog:  "no sign-in, risk or directory logs arrive: switch on their categories in the diagnostic settings (Entra ID P1; risk: P2)",
}

// logOf tells of which log a rule is by its name; "" for those of every log.
func logOf(rule string) rules.Log {
	first, _, _ := strings.Cut(rule, "-")
	return map[string]rules.Log{
		"token": rules.TokenLog, "saml": rules.TokenLog, "mailbox": rules.MailboxLog, "owa": rules.MailboxLog, "graph": rules.GraphLog,
		"signin": rules.SignInLog, "sp": rules.SignInLog, "risk": rules.SignInLog, "audit": rules.SignInLog,
	}[first]
}

// hints says what would make the missing fields visible.
func hints(measured []ruleCoverage) []string {
	var office, token, reference bool
	for _, c := range measured {
		for m := range c.Missing {
			reference = reference || strings.HasPrefix(m, "reference:")
			if strings.HasPrefix(m, "token.") && logOf(c.RuleID) == rules.MailboxLog {
				office, token = office || strings.EqualFold(c.Feed, "OfficeActivity"), true
			}
		}
	}
	var out []string
	if office {
		out = append(out, "the table OfficeActivity has no column for token facts: stream CloudAppEvents from Defender XDR, or read the Management Activity API")
	} else if token {
		out = append(out, "audit records without token facts: aggregated and background records have none; others hold them since linkable identifiers came")
	}
	if reference {
		out = append(out, "what begins with reference: is yours to say in the configuration: assay config init")
	}
	return out
}

func attacksSeen(measured []ruleCoverage, all []*rule.Rule) []attackCoverage {
	type total struct{ records, evaluated int64 }
	totals, missing := map[string]total{}, map[string]map[string]int64{}
	for _, c := range measured {
		t := totals[c.RuleID]
		totals[c.RuleID] = total{t.records + c.Records, t.evaluated + c.Evaluated}
		if missing[c.RuleID] == nil {
			missing[c.RuleID] = map[string]int64{}
		}
		for m, n := range c.Missing {
			missing[c.RuleID][m] += n
		}
	}
	pages := map[string]bool{} // enabled, and of more than weak strength
	for _, r := range all {
		for _, l := range r.Legs {
			if r.Stage == rule.Enabled && (l.Stage == rule.Off || l.Stage == rule.Enabled) && l.Strength > rule.Weak {
				pages[r.ID] = true
			}
		}
	}
	var out []attackCoverage
	for _, a := range rules.Attacks() {
		for _, trace := range a.Traces {
			c := attackCoverage{Attack: a.ID, Name: a.Name, Log: trace.Log, Seen: "blind"}
			arrived, want := false, map[string]int64{}
			for _, id := range trace.Rules {
				t := totals[id]
				arrived = arrived || t.records > 0
				if t.evaluated == 0 {
					for m, n := range missing[id] {
						want[m] += n
					}
					continue
				}
				c.By = append(c.By, id)
				if pages[id] {
					c.Seen = "seen"
				} else if c.Seen == "blind" {
					c.Seen = "weakly"
				}
			}
			var why []string
			switch {
			case !arrived:
				why = append(why, switchOn[trace.Log])
			case len(want) > 0:
				names := slices.SortedFunc(maps.Keys(want), func(x, y string) int { return cmp.Or(cmp.Compare(want[y], want[x]), strings.Compare(x, y)) })
				why = append(why, "without "+strings.Join(names[:min(len(names), 4)], ", "))
			}
			if c.Seen == "weakly" {
				why = append(why, "only rules that observe")
			}
			if trace.Note != "" {
				why = append(why, trace.Note)
			}
			c.Why = strings.Join(why, "; ")
			out = append(out, c)
		}
	}
	return out
}

// coverage writes what the rules can see for people.
func (p *page) coverage(d coverageDocument) {
	id, feed := len("RULE"), len("FEED")
	for _, c := range d.Rules {
		id, feed = max(id, width(c.RuleID)), max(feed, min(width(escape(c.Feed)), 32))
	}
	p.fit(faint, "RULE", id).space(gap).fit(faint, "FEED", feed).space(gap).right(faint, "RECORDS", 9).space(gap).right(faint, "DECIDED", 7).space(gap).put(faint, "FOR WANT OF").end()
	for _, c := range d.Rules {
		share := 100 * c.Evaluated / c.Records
		st := green
		if share < 100 {
			st = yellow
		}
		if share == 0 {
			st = red
		}
		p.fit(bold, c.RuleID, id).space(gap).fit(plain, c.Feed, feed).space(gap).right(plain, number(c.Records), 9).space(gap).
			right(st, fmt.Sprintf("%d %%", share), 7).space(gap).put(faint, strings.Join(byCount(c.Missing), ", ")).end()
	}
	p.end()
	p.line(bold, "would it have been seen?")
	for _, a := range d.Attacks {
		st := map[string]style{"seen": green, "weakly": yellow, "blind": boldRed}[a.Seen]
		p.fit(st, a.Seen, 6).space(gap).put(plain, a.Name+", in "+string(a.Log)).end()
		if len(a.By) > 0 {
			p.wrap(faint, 6+gap, "by "+strings.Join(a.By, ", "))
		}
		if a.Why != "" {
			p.wrap(faint, 6+gap, a.Why)
		}
	}
	for _, part := range []struct {
		name  string
		lines []string
	}{{"did not arrive", d.Absent}, {"what would let more be decided", d.Hints}} {
		if len(part.lines) == 0 {
			continue
		}
		p.end()
		p.line(bold, part.name)
		for _, l := range part.lines {
			p.wrap(plain, gap, l)
		}
	}
}

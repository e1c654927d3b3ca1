package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/coverage"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/rule"
)

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
		p.coverage(&doc)
		return p.flush()
	}
	return cmd
}

func measureCoverage(files *envelope.Files, all []*rule.Rule, tenant string) (coverage.Report, error) {
	m := coverage.New(all)
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
			return coverage.Report{}, errors.Join(err, files.Close())
		}
		if n.Normalize(&rec, &s, &ev).Outcome == normalize.Normalised {
			m.Add(&ev)
		}
	}
	if err := files.Close(); err != nil {
		return coverage.Report{}, err
	}
	return m.Report(), nil
}

// coverage writes what the rules can see for people.
func (p *page) coverage(d *coverage.Report) {
	p.coverageOfRules(d)
	p.end()
	p.line(bold, "would an intrusion like that of Storm-0558 have been seen?")
	for i := range d.Variants {
		p.verdict(&d.Variants[i])
	}
	p.end()
	p.line(bold, "would other attacks have been seen?")
	for i := range d.Attacks {
		if d.Attacks[i].Attack != "consumer-key" { // told above, variant by variant
			p.verdict(&d.Attacks[i])
		}
	}
	if len(d.Absent) > 0 {
		p.end()
		p.line(bold, "did not arrive")
		for i := range d.Absent {
			a := &d.Absent[i]
			p.fit(yellow, "", gap).put(yellow, a.Log).end()
			p.wrap(plain, 2*gap, "switch on: "+a.SwitchOn)
			p.wrap(plain, 2*gap, "takes: "+a.Price)
			p.wrap(faint, 2*gap, "shows "+counted(int64(len(a.Shows)), "rule")+": "+strings.Join(a.Shows, ", "))
		}
	}
	if len(d.Hints) > 0 {
		p.end()
		p.line(bold, "what would let more be decided")
		for _, l := range d.Hints {
			p.wrap(plain, gap, l)
		}
	}
}

func (p *page) verdict(v *coverage.Verdict) {
	st := map[coverage.Seen]style{coverage.Clearly: green, coverage.Weakly: yellow, coverage.Blind: boldRed}[v.Seen]
	p.fit(st, string(v.Seen), 6).space(gap).put(plain, v.Name).end()
	where := ""
	if v.Log != "" {
		where = "in " + string(v.Log)
	}
	if len(v.By) > 0 {
		where += " by " + strings.Join(v.By, ", ")
	}
	if where != "" {
		p.wrap(faint, 6+gap, where)
	}
	if v.Why != "" {
		p.wrap(faint, 6+gap, v.Why)
	}
}

func (p *page) coverageOfRules(d *coverage.Report) {
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
}

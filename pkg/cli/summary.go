package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/rule"
)

const labelColumns = 16

// summary writes what the run did for people. bytes is the size of the input, 0 if it is not known.
func (p *page) summary(s summary, bytes int64) {
	p.label("records", plain, number(s.Records))
	p.part("evaluated", s.Evaluated, nil, nil, nil)
	p.part("ignored", s.Ignored, s.IgnoredByCategory, nil, nil)
	p.part("set aside", s.SetAside, s.SetAsideByReason, s.SetAsidePlaces, s.SetAsideDetails)
	p.label("findings", plain, number(s.Findings)+newText(s.NewFindings, s.Findings))
	p.alertCounts(s)
	p.suppressed(s)
	p.observed(s)
	p.notEvaluable(s)
	p.end()
	if s.SkippedFiles > 0 {
		p.line(faint, counted(int64(s.SkippedFiles), "file")+" in folders skipped: not logs")
	}
	p.throughput(s, bytes)
}

func (p *page) label(name string, st style, text string) {
	p.fit(faint, name, labelColumns).put(st, text).end()
}

// part writes one summand of the records, broken down by name, with the first places and what was wrong at the first.
func (p *page) part(name string, n int64, by map[string]int64, places map[string][]string, details map[string]string) {
	st := plain
	if places != nil && n > 0 {
		st = yellow
	}
	p.fit(faint, "  "+name, labelColumns).put(st, number(n)).end()
	for _, key := range byCount(by) {
		text := key
		if key == "" {
			text = "(no name)"
		}
		line := fmt.Sprintf("%s %s", number(by[key]), text)
		if at := places[key]; len(at) > 0 {
			line += ": " + strings.Join(at, ", ")
			if int64(len(at)) < by[key] {
				line += ", …"
			}
		}
		p.wrap(plain, labelColumns+gap, line)
		if d := details[key]; d != "" {
			p.wrap(faint, labelColumns+gap+gap, d)
		}
	}
}

func newText(new, all int64) string {
	switch {
	case all == 0:
		return ""
	case new == all:
		return " (all new)"
	case new == 0:
		return " (all known)"
	}
	return " (" + number(new) + " new)"
}

func (p *page) alertCounts(s summary) {
	p.fit(faint, "alerts", labelColumns)
	none := true
	for _, severity := range slices.Backward(rule.Severities()) {
		n := s.Alerts[severity.String()]
		if n == 0 {
			continue
		}
		if !none {
			p.put(plain, ", ")
		}
		none = false
		p.put(severityStyle(severity), number(n)+" "+severity.String())
	}
	if none {
		p.put(green, "none")
	}
	p.end()
}

// suppressed tells what suppressions kept from paging, by whose word and why.
func (p *page) suppressed(s summary) {
	if len(s.Suppressed) == 0 {
		return
	}
	p.end()
	p.line(faint, "suppressed: stored and counted, paging nobody")
	for _, name := range slices.SortedFunc(maps.Keys(s.Suppressed), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Suppressed[b].Findings, s.Suppressed[a].Findings), strings.Compare(a, b))
	}) {
		x := s.Suppressed[name]
		p.wrap(yellow, gap, fmt.Sprintf("%s: %s; %s of nothing else; %s", name, counted(x.Findings, "finding"), counted(x.Alerts, "alert"), suppressionText(&x.Suppression)))
	}
}

// suppressionText says why, by whose word and how long.
func suppressionText(s *alert.Suppression) string {
	var parts []string
	if s.Reason != "" {
		parts = append(parts, s.Reason)
	}
	if s.Owner != "" {
		parts = append(parts, fmt.Sprintf("by %s, up to events of %s", s.Owner, s.Expires))
	}
	return strings.Join(parts, "; ")
}

// observed tells of the rules that only observe: their alerts are stored and counted, and page nobody.
func (p *page) observed(s summary) {
	if len(s.Observing) == 0 {
		return
	}
	p.end()
	p.line(faint, "observed only: stored and counted, paging nobody")
	for _, id := range slices.SortedFunc(maps.Keys(s.Observing), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Observed[b], s.Observed[a]), strings.Compare(a, b))
	}) {
		var about []string
		if n := s.Observed[id]; n > 0 {
			about = append(about, counted(n, "alert"))
		}
		if why := strings.TrimPrefix(s.Observing[id], "observe: "); why != "" {
			about = append(about, why)
		}
		p.wrap(faint, gap, id+": "+strings.Join(about, "; "))
	}
}

// notEvaluable tells on how many records a rule was blind, and for want of what.
func (p *page) notEvaluable(s summary) {
	if len(s.NotEvaluable) == 0 {
		return
	}
	p.end()
	p.line(faint, "could not be evaluated")
	for _, id := range slices.SortedFunc(maps.Keys(s.NotEvaluable), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.NotEvaluable[b].Records, s.NotEvaluable[a].Records), strings.Compare(a, b))
	}) {
		b := s.NotEvaluable[id]
		const most = 4
		missing := make([]string, 0, most+1)
		for i, name := range b.Missing {
			if i == most {
				missing = append(missing, fmt.Sprintf("and %d more", len(b.Missing)-most))
				break
			}
			if reference, ok := strings.CutPrefix(name, "reference:"); ok {
				name = reference + " (reference data)"
			}
			missing = append(missing, name)
		}
		p.wrap(plain, gap, fmt.Sprintf("%s: on %s for want of %s", id, counted(b.Records, "record"), strings.Join(missing, ", ")))
	}
}

func (p *page) throughput(s summary, bytes int64) {
	text := fmt.Sprintf("%s in %.1f s", counted(s.Records, "record"), s.Seconds)
	if s.Seconds >= 0.05 {
		text += fmt.Sprintf(": %s records/s", number(int64(float64(s.Records)/s.Seconds)))
		if bytes > 0 {
			text += ", " + size(int64(float64(bytes)/s.Seconds)) + "/s"
		}
	}
	p.line(faint, text)
}

func byCount(m map[string]int64) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), strings.Compare(a, b))
	})
}

// run writes the alerts of a run and what else it did.
func (p *page) run(d runDocument, bytes int64) {
	if len(d.Alerts) > 0 {
		p.table(d.Alerts, shortIDs(d.Alerts))
		p.end()
	}
	p.summary(d.Summary, bytes)
}

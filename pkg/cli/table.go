package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/rule"
)

// The table gives each alert three rows, so that 80 columns hold all that a person needs at 3 a.m.:
//
//	SEVERITY  LAST SEEN (UTC)   RULE                                    COUNT  STATE
//	          WHO                    APP               FROM
//	          ID  why
const (
	severityColumns = 8
	timeColumns     = 16
	gap             = 2
	indent          = severityColumns + gap
)

const minutes = "2006-01-02 15:04"

// table writes the alerts for people. short are the ids that the page shows.
func (p *page) table(alerts []alertDocument, short map[alert.ID]string) {
	count := columnsOf("COUNT", alerts, func(a alertDocument) string { return countText(a) })
	state := columnsOf("STATE", alerts, func(a alertDocument) string { return stateText(a) })
	ruleID := columnsOf("RULE", alerts, func(a alertDocument) string { return a.RuleID })
	tenants := slices.ContainsFunc(alerts, func(a alertDocument) bool { return a.TenantID != alerts[0].TenantID })
	if p.term.Width > 0 {
		ruleID = min(ruleID, max(p.term.Width-indent-timeColumns-gap-gap-count-gap-state, 12))
	}
	second := []subColumn{{"WHO", whoText, 24}, {"APP", appText, 14}, {"FROM", fromText, 28}}
	if tenants {
		second = append(second, subColumn{"TENANT", tenantText, 14})
	}
	widths := p.share(alerts, second)

	p.fit(faint, "SEVERITY", severityColumns).space(gap).fit(faint, "LAST SEEN (UTC)", timeColumns).space(gap).
		fit(faint, "RULE", ruleID).space(gap).right(faint, "COUNT", count).space(gap).put(faint, "STATE").end()
	p.space(indent)
	for i, c := range second {
		p.fit(faint, c.title, widths[i]).space(gap)
	}
	p.end()
	for _, a := range alerts {
		stateStyle := plain
		if a.State == stateNew {
			stateStyle = bold
		}
		p.fit(severityStyle(a.Severity), strings.ToUpper(a.Severity.String()), severityColumns).space(gap).
			fit(plain, a.LastSeen.Format(minutes), timeColumns).space(gap).
			fit(bold, a.RuleID, ruleID).space(gap).right(plain, countText(a), count).space(gap).put(stateStyle, stateText(a)).end()
		p.space(indent)
		for i, c := range second {
			p.fit(plain, c.text(a), widths[i]).space(gap)
		}
		p.end()
		p.space(indent).put(plain, short[a.ID]).space(gap).wrap(faint, p.used, whyText(a))
	}
}

type subColumn struct {
	title string
	text  func(alertDocument) string
	least int // columns that it gives up last
}

// share divides the second row's width among its columns: each gets what its longest text takes, and where that is too much,
// the one gives way that is widest above its least.
func (p *page) share(alerts []alertDocument, columns []subColumn) []int {
	const widest = 64
	widths := make([]int, len(columns))
	sum := 0
	for i, c := range columns {
		widths[i] = min(columnsOf(c.title, alerts, c.text), widest)
		sum += widths[i]
	}
	if p.term.Width == 0 {
		return widths
	}
	for room := p.term.Width - indent - gap*(len(columns)-1); sum > room; sum-- {
		give := 0
		for i, c := range columns {
			if widths[i]-c.least > widths[give]-columns[give].least {
				give = i
			}
		}
		widths[give]--
	}
	return widths
}

func columnsOf(title string, alerts []alertDocument, text func(alertDocument) string) int {
	most := width(title)
	for _, a := range alerts {
		most = max(most, width(escape(text(a))))
	}
	return most
}

func severityStyle(s rule.Severity) style {
	switch s {
	case rule.Critical:
		return alarm
	case rule.High:
		return boldRed
	case rule.Medium:
		return yellow
	case rule.Low:
		return cyan
	default:
		return faint
	}
}

// countText is how often the rule matched: in this run, and in all where that is more.
func countText(a alertDocument) string {
	if a.CountInRun == 0 || a.CountInRun == a.Count {
		return number(a.Count)
	}
	return number(a.CountInRun) + " of " + number(a.Count)
}

func stateText(a alertDocument) string {
	text := cmp.Or(a.State, string(a.Status))
	if a.State != "" && a.Status == alert.Closed {
		text += ", closed"
	}
	switch {
	case a.Suppressed != nil:
		text += ", suppressed"
	case a.Stage == rule.Observe:
		text += ", observed"
	}
	return text
}

// whoText is the user, and whose mailbox where that is another's.
func whoText(a alertDocument) string {
	s := a.Subject
	user := cmp.Or(s.User, s.UserID)
	switch {
	case user == "" && s.Mailbox == "" && a.Key != "":
		return a.KeyName + " " + a.Key
	case s.Mailbox == "" || strings.EqualFold(user, s.Mailbox):
		return cmp.Or(user, "-")
	case user == "":
		return s.Mailbox
	}
	return user + " → " + s.Mailbox
}

// whyText is why the alert was raised, and how many others are about the same.
func whyText(a alertDocument) string {
	if n := len(a.Related); n > 0 {
		return fmt.Sprintf("%s · %d related", a.Why, n)
	}
	return a.Why
}

func appText(a alertDocument) string  { return cmp.Or(a.App, "-") }
func fromText(a alertDocument) string { return cmp.Or(a.Address, "-") }

func tenantText(a alertDocument) string { return cmp.Or(a.TenantName, a.TenantID) }

// shortIDs cuts the ids to the shortest common length that still tells them apart.
func shortIDs(alerts []alertDocument) map[alert.ID]string {
	const day, least = len("20060102-"), 6
	out := make(map[alert.ID]string, len(alerts))
	for n := day + least; ; n++ {
		seen := make(map[string]bool, len(alerts))
		clear(out)
		for _, a := range alerts {
			short := string(a.ID)
			short = short[:min(n, len(short))]
			seen[short] = true
			out[a.ID] = short
		}
		if len(seen) == len(out) {
			return out
		}
	}
}

// number writes a count with commas between the thousands.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// counted writes a count with its noun.
func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// moment writes a time to the second.
func moment(t time.Time) string { return t.UTC().Format(time.DateTime) + "Z" }

// size writes a number of bytes.
func size(n int64) string {
	const unit = "kMGT"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	x := float64(n)
	i := -1
	for x >= 1000 && i < len(unit)-1 {
		x /= 1000
		i++
	}
	return fmt.Sprintf("%.1f %cB", x, unit[i])
}

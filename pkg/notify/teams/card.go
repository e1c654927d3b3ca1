package teams

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/rule"
)

// card is an Adaptive Card, with the few parts of it that are used here (adaptivecards.io/explorer).
type card struct {
	Schema  string         `json:"$schema"`
	Type    string         `json:"type"`
	Version string         `json:"version"`
	Speak   string         `json:"fallbackText"`
	Teams   map[string]any `json:"msteams"`
	Body    []any          `json:"body"`
	Actions []action       `json:"actions,omitempty"`
}

type action struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

type container struct {
	Type  string `json:"type"`
	Style string `json:"style"`
	Bleed bool   `json:"bleed"`
	Items []any  `json:"items"`
}

// block is a RichTextBlock: its runs are shown as they are written, without Markdown.
type block struct {
	Type    string `json:"type"`
	Spacing string `json:"spacing,omitempty"`
	Inlines []run  `json:"inlines"`
}

type run struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Weight   string `json:"weight,omitempty"`
	Size     string `json:"size,omitempty"`
	FontType string `json:"fontType,omitempty"`
	Subtle   bool   `json:"isSubtle,omitempty"`
}

func text(s string) run   { return run{Type: "TextRun", Text: s} }
func bold(s string) run   { return run{Type: "TextRun", Text: s, Weight: "Bolder"} }
func subtle(s string) run { return run{Type: "TextRun", Text: s, Subtle: true} }

func line(spacing string, runs ...run) block {
	return block{Type: "RichTextBlock", Spacing: spacing, Inlines: runs}
}

func newCard(summary string, severity rule.Severity, head ...any) card {
	style := map[rule.Severity]string{rule.Critical: "attention", rule.High: "attention", rule.Medium: "warning"}[severity]
	return card{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4", Speak: summary,
		Teams: map[string]any{"width": "Full"},
		Body:  []any{container{Type: "Container", Style: cmp.Or(style, "emphasis"), Bleed: true, Items: head}},
	}
}

func (n *Notifier) card(m *notify.Message, s space) card {
	if m.Form == notify.Single && len(m.Items) == 1 {
		return n.single(&m.Items[0], s)
	}
	return n.several(m, s)
}

var changes = map[notify.ChangeKind]string{
	notify.New: "new", notify.Escalated: "now graver", notify.Reopened: "reopened", notify.Closed: "closed",
}

func (n *Notifier) single(i *notify.Item, s space) card {
	a := &i.Alert
	why := sentence(harmless(a.Rule.Why, s.text))
	title := harmless(a.Rule.Title, s.text)
	c := newCard(fmt.Sprintf("%s: %s. %s", strings.ToUpper(a.Severity.String()), title, why), a.Severity,
		line("", bold(strings.ToUpper(a.Severity.String())), text(" · "+a.Strength.String()+" evidence · "+changes[i.Change])),
		line("Small", run{Type: "TextRun", Text: title, Weight: "Bolder", Size: "Large"}),
	)
	c.Body = append(c.Body, line("Medium", text(why)))
	for _, row := range [][2]string{
		{"Who", n.who(a, s)},
		{"Mailbox", harmless(a.Subject.Mailbox, s.text)},
		{"App", harmless(cmp.Or(a.Subject.App, n.o.App(a.Tenant, a.Subject.AppID), a.Subject.AppID), s.text)},
		{"Address", harmless(a.Subject.Address, s.text)},
		{"Signing key", harmless(a.Subject.KeyID, s.text)},
		{"When", n.when(a)},
		{"Count", count(a.Count, "record")},
		{"Tenant", harmless(cmp.Or(n.o.Tenant(a.Tenant), a.Tenant), s.text)},
		{"Verdict", string(a.Verdict)},
		{"Found by", harmless(a.From.Replay(), s.text)}, // else it was found as it came in
	} {
		if row[1] != "" {
			c.Body = append(c.Body, line("Small", bold(row[0]+"  "), text(row[1])))
		}
	}
	if facts := a.Facts[:min(len(a.Facts), s.facts)]; len(facts) > 0 {
		c.Body = append(c.Body, line("Medium", bold("What the log claims")))
		for _, f := range facts {
			c.Body = append(c.Body, line("Small", subtle(harmless(f.Field, s.text)+"  "),
				run{Type: "TextRun", Text: harmless(f.Value, s.text), FontType: "Monospace"},
				subtle("  "+harmless(f.Op, s.text)+" "+harmless(f.Operand, s.text))))
		}
	}
	c.Body = append(c.Body, n.steps(i, s)...)
	c.Body = append(c.Body, line("Medium", subtle(harmless(a.Rule.ID, s.text)+" · "+string(a.ID))))
	c.Actions = n.links(a)
	return c
}

// steps are what to do first about the alert, unless it is closed.
func (n *Notifier) steps(i *notify.Item, s space) []any {
	steps := n.o.Runbook(i.Alert.Rule.ID)
	if len(steps) == 0 || i.Change == notify.Closed {
		return nil
	}
	out := []any{line("Medium", bold("What to do first"))}
	for k, step := range steps[:min(len(steps), s.steps)] {
		out = append(out, line("Small", text(fmt.Sprintf("%d. %s", k+1, harmless(step, 2*s.text)))))
	}
	return out
}

func (n *Notifier) several(m *notify.Message, s space) card {
	lead := &m.Items[0].Alert
	bySeverity := map[rule.Severity]int{}
	byRule := map[string]int{}
	for i := range m.Items {
		bySeverity[m.Items[i].Alert.Severity]++
		byRule[m.Items[i].Alert.Rule.ID]++
	}
	var grades []string
	for _, g := range slices.Backward(rule.Severities()) {
		if bySeverity[g] > 0 {
			grades = append(grades, fmt.Sprintf("%d %s", bySeverity[g], g))
		}
	}
	what := "alerts that share a token, session, mailbox or user"
	if m.Form == notify.Digest {
		what = "alerts in a digest: too many for one message each, or about events of the past"
	}
	head := fmt.Sprintf("%d %s", len(m.Items), what)
	c := newCard(head+": "+strings.Join(grades, ", "), lead.Severity,
		line("", bold(strings.ToUpper(lead.Severity.String())), text(" · "+strings.Join(grades, ", "))),
		line("Small", run{Type: "TextRun", Text: head, Weight: "Bolder", Size: "Large"}),
	)
	// What goes out together is one event, of which the gravest alert says most; a digest has nothing in common.
	if m.Form == notify.Bundle {
		c.Body = append(c.Body, line("Medium", text(sentence(harmless(lead.Rule.Why, s.text)))))
	}
	shown := min(len(m.Items), s.alerts)
	for i := range shown {
		a := &m.Items[i].Alert
		c.Body = append(c.Body,
			line("Medium", bold(strings.ToUpper(a.Severity.String())+"  "), text(harmless(a.Rule.Title, s.text)+" · "+changes[m.Items[i].Change])),
			line("None", subtle(strings.Join(nonEmpty(n.who(a, s), harmless(a.Subject.Mailbox, s.text), harmless(a.Subject.Address, s.text),
				n.when(a), count(a.Count, "record")), " · "))))
		if links := n.links(a); len(links) > 0 && n.o.AlertURL != "" && i < 3 {
			links[0].Title = fmt.Sprintf("Open alert %d", i+1)
			c.Actions = append(c.Actions, links[0])
		}
	}
	if rest := len(m.Items) - shown; rest > 0 {
		c.Body = append(c.Body, line("Medium", bold(fmt.Sprintf("and %d more", rest))))
	}
	if m.Form == notify.Bundle {
		c.Body = append(c.Body, n.steps(&m.Items[0], s)...)
	}
	names := make([]string, 0, len(byRule))
	for id := range byRule {
		names = append(names, id)
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(byRule[y]-byRule[x], strings.Compare(x, y)) })
	for i, id := range names {
		names[i] = fmt.Sprintf("%s (%d)", harmless(id, s.text), byRule[id])
	}
	const most = 20
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	c.Body = append(c.Body, line("Medium", subtle("Rules: "+strings.Join(names, ", ")+more)))
	return c
}

func (n *Notifier) who(a *alert.Alert, s space) string {
	return harmless(cmp.Or(a.Subject.User, a.Subject.UserID), s.text)
}

const clock = "2006-01-02 15:04"

// when gives the time of the latest record in UTC and, where it differs, as the reader's clock shows it.
func (n *Notifier) when(a *alert.Alert) string {
	out := a.Last.UTC().Format(clock) + " UTC"
	if a.Last.Sub(a.First) >= time.Minute {
		out = a.First.UTC().Format(clock) + " to " + out
	}
	if n.o.Zone != nil {
		if local := a.Last.In(n.o.Zone); local.Format(clock) != a.Last.UTC().Format(clock) {
			out += " (" + local.Format(clock+" MST") + ")"
		}
	}
	return out
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func nonEmpty(parts ...string) []string {
	return slices.DeleteFunc(parts, func(p string) bool { return p == "" })
}

// sentence gives a rule's reason, which is written to follow a "because", the form of a sentence.
func sentence(s string) string {
	for i, r := range s {
		if i == 0 {
			s = string(unicode.ToUpper(r)) + s[len(string(r)):]
		}
	}
	if s == "" {
		return s
	}
	return strings.TrimSuffix(s, ".") + "."
}

// Text runs know no Markdown, but a client may find addresses to link, tags of mentions and date functions in any text.
var defang = strings.NewReplacer("://", "[://]", "www.", "www[.]", "<", "‹", ">", "›", "{{", "{ {", "}}", "} }", "](", "] (")

// harmless returns a text of an event so that it is read and not obeyed, in at most so many characters: without line
// breaks, controls and invisible or direction-changing characters.
func harmless(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return '�'
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	runes := []rune(strings.TrimSpace(s))
	if len(runes) > most {
		runes = append(runes[:most], '…')
	}
	return defang.Replace(defang.Replace(string(runes)))
}

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

func newExplain(sys *System) *cobra.Command {
	var at storeFlag
	cmd := &cobra.Command{
		Use:   "explain ID",
		Short: "Show why a rule matched, predicate by predicate",
		Long: `Show why a rule matched, predicate by predicate: each field with its value, what it was compared with, and whether that was true,
false or unknown. ID is of an alert, whose gravest finding is explained, or of a finding. Its beginning will do, if no
other id begins so.`,
		Args: oneArg("the id of an alert or a finding"),
	}
	at.add(cmd, "the SQLite file of the alerts (default: in your state folder)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := at.open(cmd.Context(), sys)
		if err != nil {
			return err
		}
		hit, err := explained(cmd.Context(), s, args[0])
		if err := errors.Join(err, s.Close()); err != nil {
			return err
		}
		known, err := builtinNames()
		if err != nil {
			return err
		}
		p := newPage(sys.Out, sys.OutTerminal)
		p.alertHead(newAlertDocument(&hit.alert, known))
		p.finding(hit.finding, &hit.alert)
		if hit.alert.Count > 1 {
			p.places(hit.alert.Places, hit.alert.Count)
		}
		return p.flush()
	}
	return cmd
}

// explained finds what the id names, and for an alert the finding that says most about it.
func explained(ctx context.Context, s store.Store, id string) (found, error) {
	hit, err := find(ctx, s, id)
	if err == nil && hit.finding == nil {
		hit.finding, err = evidence(ctx, s, &hit.alert)
	}
	return hit, err
}

const nameColumns = 12

// named writes a name and, beside it, a text on as many lines as it needs. It writes nothing for an empty text.
func (p *page) named(name string, st style, text string) {
	if text == "" {
		return
	}
	p.fit(faint, name, nameColumns).wrap(st, nameColumns, text)
}

// alertHead writes what an alert is about.
func (p *page) alertHead(a alertDocument) {
	p.fit(severityStyle(a.Severity), strings.ToUpper(a.Severity.String()), nameColumns).put(bold, a.RuleID).end()
	p.named("", plain, a.Title)
	p.named("because", plain, a.Why)
	p.end()
	p.named("alert", plain, string(a.ID))
	p.named("tenant", plain, both(a.TenantName, a.TenantID))
	p.named("who", plain, both(a.Subject.User, a.Subject.UserID))
	p.named("mailbox", plain, a.Subject.Mailbox)
	p.named("app", plain, both(a.App, a.Subject.AppID))
	p.named("from", plain, a.Address)
	p.named("token", plain, a.Subject.TokenID)
	p.named("session", plain, a.Subject.Session)
	p.named("key", plain, a.Subject.KeyID)
	p.named("grouped by", plain, a.KeyName+" "+a.Key)
	seen := moment(a.FirstSeen)
	if !a.LastSeen.Equal(a.FirstSeen) {
		seen += " to " + moment(a.LastSeen)
	}
	p.named("seen", plain, seen+", "+counted(a.Count, "finding"))
	p.named("evidence", plain, a.Strength.String())
	stage := a.Stage.String()
	switch {
	case a.Suppressed != nil:
		stage = "suppressed by " + a.Suppressed.Name + ": it pages nobody; " + suppressionText(a.Suppressed)
	case a.Stage == rule.Observe:
		stage = "observed only: it pages nobody"
	}
	p.named("stage", plain, stage)
	p.named("status", plain, both(string(a.Status), string(a.Verdict)))
}

// both writes a name with its id behind it.
func both(name, id string) string {
	if name == "" || id == "" || strings.EqualFold(name, id) {
		return cmp.Or(name, id)
	}
	return name + " (" + id + ")"
}

// finding writes the record that matched and each predicate.
func (p *page) finding(f *alert.Finding, a *alert.Alert) {
	p.end()
	p.named("finding", plain, string(f.ID))
	p.named("matched", plain, fmt.Sprintf("%s, rule version %d", cmp.Or(f.Rule.Leg, a.Rule.Leg), cmp.Or(f.Rule.Version, a.Rule.Version)))
	p.named("record", bold, f.Place)
	p.named("", plain, strings.Join(nonEmpty(moment(f.At), f.Category, f.Kind, "event "+string(f.EventID)), ", "))
	p.named("made by", faint, strings.Join(nonEmpty(f.From.Run, f.From.Assay, f.From.Reference), ", "))
	p.end()
	if len(f.Facts) == 0 {
		p.wrap(yellow, 0, fmt.Sprintf("The evidence of this finding was not kept: an alert keeps that of its first %d.", alert.MaxEvidenced))
		return
	}
	for _, truth := range []rule.Truth{rule.True, rule.Unknown, rule.False} {
		for i, fact := range f.Facts {
			// Legs that share a predicate have each asked it.
			if fact.Truth == truth && !slices.Contains(f.Facts[:i], fact) {
				p.fact(fact)
			}
		}
	}
}

func nonEmpty(texts ...string) []string {
	var out []string
	for _, t := range texts {
		if t != "" {
			out = append(out, t)
		}
	}
	return out
}

// fact writes one predicate: its truth, the field and its value; below it, what the value was compared with.
func (p *page) fact(f rule.Fact) {
	st := map[rule.Truth]style{rule.True: green, rule.False: red, rule.Unknown: yellow}[f.Truth]
	p.fit(st, f.Truth.String(), nameColumns).put(bold, f.Field).space(gap).wrap(plain, nameColumns, f.Value)
	p.space(nameColumns).wrap(faint, nameColumns, strings.TrimSpace(f.Op+" "+f.Operand))
}

// places lists where the first records of an alert stood.
func (p *page) places(places []alert.Sighting, count int64) {
	if len(places) == 0 {
		return
	}
	p.end()
	for i, at := range places {
		name := ""
		if i == 0 {
			name = "records"
		}
		p.named(name, plain, moment(at.At)+"  "+at.Place)
	}
	if more := count - int64(len(places)); more > 0 {
		p.named("", faint, "and "+number(more)+" more")
	}
}

// history lists what analysts did with an alert.
func (p *page) history(changes []alert.Change) {
	for i, c := range changes {
		name := ""
		if i == 0 {
			p.end()
			name = "history"
		}
		text := fmt.Sprintf("%s  %s: %s", moment(c.At), c.By, both(string(c.Status), string(c.Verdict)))
		if c.Note != "" {
			text += ", " + c.Note
		}
		p.named(name, plain, text)
	}
}

// guidance writes what a person needs to judge an alert of the rule.
func (p *page) guidance(r *rule.Rule) {
	p.named("proves", plain, r.Doc.Proves)
	p.named("evaded by", plain, r.Doc.Evades)
	p.items("but look", r.Doc.FalsePositives)
	p.items("do", r.Doc.Runbook)
	p.named("ATT&CK", plain, strings.Join(r.Doc.Attack, ", "))
	p.items("sources", r.Doc.Sources)
}

func (p *page) items(name string, texts []string) {
	for i, text := range texts {
		if i > 0 {
			name = ""
		}
		p.named(name, plain, fmt.Sprintf("%d. %s", i+1, text))
	}
}

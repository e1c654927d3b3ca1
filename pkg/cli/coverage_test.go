package cli

import (
	"bytes"
	"testing"

	"github.com/assay-sec/assay/pkg/rules"
)

func TestCoveragePage(t *testing.T) {
	d := coverageDocument{
		Records: map[string]int64{"OfficeActivity": 1234},
		Rules: []ruleCoverage{
			{RuleID: "mailbox-consumer-tenant-token", Feed: "OfficeActivity", Records: 1234, Missing: map[string]int64{"token.tid": 1234}},
			{RuleID: "mailbox-unexpected-client-app", Feed: "evil\x1b[31m", Records: 1000, Evaluated: 900, Missing: map[string]int64{"reference:mailClients": 100}},
			{RuleID: "ioc-ip", Feed: "OfficeActivity", Records: 1234, Evaluated: 1234},
		},
		Attacks: []attackCoverage{
			{Attack: "a", Name: "an attack", Log: rules.MailboxLog, Seen: "seen", By: []string{"mailbox-unexpected-client-app"}},
			{Attack: "a", Name: "an attack", Log: rules.SignInLog, Seen: "weakly", By: []string{"ioc-ip"}, Why: "only rules that observe"},
			{Attack: "a", Name: "an attack", Log: rules.GraphLog, Seen: "blind", Why: switchOn[rules.GraphLog]},
		},
		Absent: []string{switchOn[rules.GraphLog]},
	}
	d.Hints = hints(d.Rules)
	for name, term := range map[string]Terminal{
		"coverage-80.golden":    {Width: 80},
		"coverage-pipe.golden":  {},
		"coverage-color.golden": {Width: 80, Color: true},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			p := newPage(&out, term)
			p.coverage(d)
			if err := p.flush(); err != nil {
				t.Fatal(err)
			}
			mustBeHarmless(t, out.String(), term.Width)
			golden(t, name, out.String())
		})
	}
}

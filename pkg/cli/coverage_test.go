package cli

import (
	"bytes"
	"testing"

	"github.com/assay-sec/assay/pkg/coverage"
	"github.com/assay-sec/assay/pkg/rules"
)

func TestCoveragePage(t *testing.T) {
	d := &coverage.Report{
		Records: map[string]int64{"OfficeActivity": 1234},
		Rules: []coverage.Rule{
			{RuleID: "mailbox-consumer-tenant-token", Feed: "OfficeActivity", Records: 1234, Missing: map[string]int64{"token.tid": 1234}},
			{RuleID: "mailbox-unexpected-client-app", Feed: "evil\x1b[31m", Records: 1000, Evaluated: 900, Missing: map[string]int64{"reference:mailClients": 100}},
			{RuleID: "ioc-ip", Feed: "OfficeActivity", Records: 1234, Evaluated: 1234},
		},
		Variants: []coverage.Verdict{
			{Attack: "a", Name: "a variant", Log: rules.MailboxLog, Seen: coverage.Weakly, By: []string{"ioc-ip"}, Why: "decided in part: x on none of evil\x1b[31m"},
			{Attack: "b", Name: "a variant that leaves nothing", Seen: coverage.Blind, Why: "nobody signs in"},
		},
		Attacks: []coverage.Verdict{
			{Attack: "a", Name: "an attack", Log: rules.MailboxLog, Seen: coverage.Clearly, By: []string{"mailbox-unexpected-client-app"}},
			{Attack: "a", Name: "an attack", Log: rules.GraphLog, Seen: coverage.Blind, Why: "no MicrosoftGraphActivityLogs arrived"},
			{Attack: "consumer-key", Name: "told variant by variant", Log: rules.GraphLog, Seen: coverage.Blind},
		},
		Absent: []coverage.Absent{{
			Log: "MicrosoftGraphActivityLogs", SwitchOn: "a diagnostic setting of Entra ID, category MicrosoftGraphActivityLogs", Price: "Entra ID P1",
			Shows: []string{"graph-token-time-anomaly", "ioc-ip"},
		}},
		Hints: []string{"the configuration does not say, and only you know: domains, networks, vips (assay config init)"},
	}
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

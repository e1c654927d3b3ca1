package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/rule"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

const (
	contoso  = "3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11"
	fabrikam = "933f20c0-efdf-477f-9586-e5cc566d2e00"
)

var night = time.Date(2023, 6, 16, 3, 12, 33, 0, time.UTC)

// aReport is a run with one alert of each kind that the page treats in its own way.
func aReport() (*pipeline.Report, []*rule.Rule) {
	touched := func(r, key string, severity rule.Severity, stage rule.Stage, count, inRun int64, new bool, s alert.Subject) *pipeline.Touched {
		last := night.Add(time.Duration(count) * time.Minute)
		return &pipeline.Touched{
			Alert: alert.Alert{
				ID: alert.NewID(alert.DayOf(night), contoso, r, key),
				Rule: alert.RuleRef{
					ID: r, Title: "Title of " + r, Version: 1, Leg: "leg",
					Why: "the token that opened the mailbox was issued by the tenant of personal accounts, not by the organisation",
				},
				Tenant: contoso, KeyName: "mailbox", Key: key, Day: alert.DayOf(night),
				Severity: severity, Strength: rule.Strong, Stage: stage, Status: alert.Open,
				Count: count, First: night, Last: last, Subject: s,
				Facts:  []rule.Fact{{Field: "token.tid", Value: "9188040d-6c67-4c5b-b112-36a304b66dad", Op: "is", Operand: "9188040d-6c67-4c5b-b112-36a304b66dad", Truth: rule.True}},
				Places: []alert.Sighting{{Finding: "f", At: night, Place: "logs/mailbox.jsonl:17"}},
				From:   alert.Provenance{Run: "local-1", Assay: "1.0", Reference: "abc"},
			},
			New: new, CountInRun: inRun,
		}
	}
	r := &pipeline.Report{
		Records: 10234, Evaluated: 10200,
		Ignored:  map[string]int64{"ProvisioningLogs": 20, "Defender \x1b[31mLogonAttempted": 6},
		SetAside: map[string]int64{"invalid-json": 7, "duplicate-field": 1},
		Examples: map[string][]string{"invalid-json": {"a.json:3", "a.json:9", "b.json:1#4"}, "duplicate-field": {"docs.json:1"}},
		Findings: 1216, NewFindings: 1213, Seconds: 0.4,
		Alerts: map[alert.ID]*pipeline.Touched{},
		NotEvaluable: map[string]*pipeline.Blind{
			"mailbox-owner-logon-with-foreign-oid": {Records: 9000, Missing: map[string]int64{"reference:mailboxOid": 9000, "token.oid": 12}},
			"token-kid-not-published":              {Records: 1, Missing: map[string]int64{"token.kid": 1, "a": 1, "b": 1, "c": 1, "d": 1, "e": 1}},
		},
	}
	for _, t := range []*pipeline.Touched{
		touched("mailbox-consumer-tenant-token", "m1", rule.Critical, rule.Enabled, 1204, 1204, true,
			alert.Subject{User: "ambassador@contoso.com", App: "Outlook Mobile", AppID: "27922004-5251-4030-b22d-91ecd9a37ea4", Address: "51.89.156.153", Session: "S-1", Mailbox: "Ambassador@contoso.com"}),
		touched("token-consumer-subject-in-enterprise", "m2", rule.High, rule.Enabled, 9, 3, false,
			alert.Subject{User: "山田太郎\u202e@contoso.com", AppID: "27922004-5251-4030-b22d-91ecd9a37ea4", Session: "s-1", Address: "2001:db8:1234:5678:9abc:def0:1234:5678"}),
		touched("mailbox-client-app-protocol-mismatch", "m3", rule.Medium, rule.Enabled, 5, 5, true,
			alert.Subject{User: "alice@contoso.com", App: "evil\r\n\x1b[2Japp", Mailbox: "the-minister-of-foreign-affairs@contoso.com", Address: "192.0.2.7"}),
		touched("token-alg-unexpected", "api://billing", rule.Low, rule.Enabled, 1, 1, true, alert.Subject{}),
		touched("mailbox-unexpected-client-app", "m4", rule.Medium, rule.Observe, 3, 3, true, alert.Subject{User: "bob@contoso.com"}),
	} {
		r.Alerts[t.Alert.ID] = t
	}
	return r, []*rule.Rule{
		{ID: "mailbox-unexpected-client-app", Stage: rule.Observe, StageReason: "observe: nobody has said which mail clients are expected"},
		{ID: "signin-federation-issuer-mismatch", Stage: rule.Observe, StageReason: "observe: the field was empty in every sample"},
		{ID: "token-kid-known-bad", Stage: rule.Enabled},
	}
}

func TestRunPage(t *testing.T) {
	for name, term := range map[string]Terminal{
		"run-80.golden":    {Width: 80},
		"run-120.golden":   {Width: 120},
		"run-pipe.golden":  {},
		"run-color.golden": {Width: 80, Color: true},
		"run-60.golden":    {Width: 10},
	} {
		t.Run(name, func(t *testing.T) {
			report, rules := aReport()
			var out bytes.Buffer
			p := newPage(&out, term)
			doc := newRunDocument(report, rules, names{}, rule.Info, rule.Enabled)
			p.run(doc, 5_000_000)
			if err := p.flush(); err != nil {
				t.Fatal(err)
			}
			mustBeHarmless(t, out.String(), max(term.Width, min(term.Width, 1)*minWidth))
			golden(t, name, out.String())
		})
	}
}

func TestQuietRunPage(t *testing.T) {
	var out bytes.Buffer
	p := newPage(&out, Terminal{Width: 80})
	p.run(newRunDocument(&pipeline.Report{Records: 3, Evaluated: 3, Seconds: 0.01}, nil, names{}, rule.Info, rule.Enabled), 900)
	if err := p.flush(); err != nil {
		t.Fatal(err)
	}
	golden(t, "run-quiet.golden", out.String())
}

func TestTenantsHaveAColumnWhereThereAreSeveral(t *testing.T) {
	report, rules := aReport()
	for _, touched := range report.Alerts {
		if touched.Alert.Rule.ID == "token-alg-unexpected" {
			touched.Alert.Tenant = fabrikam
		}
	}
	var out bytes.Buffer
	p := newPage(&out, Terminal{Width: 100})
	p.run(newRunDocument(report, rules, names{tenants: map[string]string{contoso: "Contoso"}}, rule.Low, rule.Enabled), 0)
	if err := p.flush(); err != nil {
		t.Fatal(err)
	}
	golden(t, "run-tenants.golden", out.String())
}

func TestRunDocument(t *testing.T) {
	report, rules := aReport()
	doc := newRunDocument(report, rules, names{tenants: map[string]string{contoso: "Contoso"}}, rule.High, rule.Enabled)
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "run.json", string(text)+"\n")
}

func TestShortIDs(t *testing.T) {
	alerts := []alertDocument{{ID: "20230616-abcdefgh"}, {ID: "20230616-abcdefxy"}, {ID: "20230617-abcdefgh"}}
	short := shortIDs(alerts)
	for _, a := range alerts {
		if s := short[a.ID]; len(s) != len("20230616-abcdefg") || !strings.HasPrefix(string(a.ID), s) {
			t.Errorf("%s: %q", a.ID, s)
		}
	}
	if len(shortIDs(nil)) != 0 {
		t.Error("ids of nothing")
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 5_200_000_000: "5.2 GB", 7e15: "7000.0 TB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}

// Whatever an event holds, the page stays text of the terminal's width.
func FuzzRunPage(f *testing.F) {
	f.Add("\x1b]0;x\a", "\u202e\u2066", "a\nb", uint8(80))
	f.Fuzz(func(t *testing.T, user, app, category string, columns uint8) {
		report, rules := aReport()
		for _, x := range report.Alerts {
			x.Alert.Subject = alert.Subject{User: user, App: app, Address: category, Mailbox: app}
			x.Alert.Key, x.Alert.Tenant = user, app+x.Alert.Tenant
			x.Alert.Rule.Why = category
		}
		report.Ignored[category], report.SetAside[app] = 1, 1
		report.Examples[app] = []string{user, category}
		report.NotEvaluable[user] = &pipeline.Blind{Records: 1, Missing: map[string]int64{app: 1}}
		var out bytes.Buffer
		p := newPage(&out, Terminal{Width: int(columns), Color: columns%2 == 0})
		p.run(newRunDocument(report, rules, names{}, rule.Info, rule.Enabled), 1)
		if err := p.flush(); err != nil {
			t.Fatal(err)
		}
		limit := 0
		if columns > 0 {
			limit = max(int(columns), minWidth)
		}
		mustBeHarmless(t, out.String(), limit)
	})
}

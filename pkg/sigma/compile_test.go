package sigma_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/sigma"
)

var update = flag.Bool("update", false, "write golden files")

// files reads the rules of a folder of testdata.
func files(tb testing.TB, folder string) []sigma.File {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.yml"))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no rules in %s: %v", folder, err)
	}
	var out []sigma.File
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, sigma.File{Name: filepath.Base(p), Text: text})
	}
	return out
}

// Every mistake is told, each with its place, and the rule without one is compiled.
func TestMistakes(t *testing.T) {
	t.Parallel()
	s := sigma.Compile(files(t, "mistakes"), sigma.Options{Taken: []string{"ioc-ip"}})
	var b strings.Builder
	for _, p := range s.Problems() {
		b.WriteString(p.Error() + "\n")
	}
	golden := filepath.Join("testdata", "mistakes.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("run with -update if this is right:\n%s", b.String())
	}
	if len(s.Rules) != 1 || s.Rules[0].ID != "rules-10" {
		t.Errorf("%d rules", len(s.Rules))
	}
	if len(s.Extras) > 0 || s.Record {
		t.Errorf("rules with mistakes ask for %v", s.Extras)
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	s := sigma.Compile([]sigma.File{{Name: `rules\Azure_App_Owner.yml`, Text: []byte(`
title: Owner added
id: 929a690e-bef0-4204-a928-ef5e620d6fcc
status: test
description: |
  Somebody added
  an owner.
author: Ada
date: 2024/05/13
modified: 2025-01-02
references: [https://example.com/a]
falsepositives: An administrator
level: critical
tags: [attack.persistence, attack.t1098.001, attack.T1078, cve.2023-1]
custom: whatever
logsource: {product: azure, service: auditlogs, definition: any}
fields: [a]
detection:
  a: {properties.message: Add owner to application}
  b: {properties.message: Add owner to service principal}
  condition: [a, b]
---
title: Old
status: deprecated
logsource: {product: azure, service: auditlogs}
detection: {a: {OperationName: x}, condition: a}
---
title: New
status: experimental
logsource: {product: Azure, service: AuditLogs}
detection: {a: {OperationName: x}, condition: a}
assay: {strength: strong, key: Result, runbook: [call, cry], evades: anything}
---
title: Mine
name: My Own_Rule
status: experimental
logsource: {product: azure, service: auditlogs}
detection: {a: {OperationName: x}, condition: a}
assay: {stage: enabled}
`)}}, sigma.Options{})
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	r := s.Rules[0]
	if r.ID != "azure-app-owner" || r.Title != "Owner added" || r.Version != 20250102 || r.Stage != rule.Enabled || r.Key.Name != "user" {
		t.Errorf("%+v", r)
	}
	if len(r.Legs) != 2 || r.Legs[0].ID != "sigma" || r.Legs[1].ID != "sigma-2" || r.Legs[1].Severity != rule.Critical || r.Legs[1].Strength != rule.Weak {
		t.Errorf("%+v", r.Legs)
	}
	if d := r.Doc; d.Proves != "Somebody added an owner." || strings.Join(d.Attack, " ") != "T1098.001 T1078" ||
		strings.Join(d.Tags, " ") != "attack.persistence cve.2023-1" || len(d.FalsePositives) != 1 ||
		strings.Join(d.Sources, "|") != "https://example.com/a|Sigma rule 929a690e-bef0-4204-a928-ef5e620d6fcc by Ada" {
		t.Errorf("%+v", r.Doc)
	}
	if r := s.Rules[1]; r.ID != "azure-app-owner-2" || r.Stage != rule.Off || r.StageReason == "" || r.Legs[0].Severity != rule.Medium {
		t.Errorf("%+v", r)
	}
	if r := s.Rules[2]; r.Stage != rule.Observe || r.Legs[0].Strength != rule.Strong || r.Key.Name != "directory.result" || len(r.Doc.Runbook) != 2 {
		t.Errorf("%+v", r)
	}
	if r := s.Rules[3]; r.ID != "my-own-rule" || r.Stage != rule.Enabled || r.StageReason != "" {
		t.Errorf("%+v", r)
	}
	if len(s.Hash) != 64 {
		t.Errorf("hash %q", s.Hash)
	}
}

// FuzzCompile: whatever the text, there is no panic, every mistake has its place, and what was compiled can be evaluated.
func FuzzCompile(f *testing.F) {
	for _, folder := range []string{"mistakes", "rules"} {
		for _, file := range files(f, folder) {
			for part := range strings.SplitSeq(string(file.Text), "\n---\n") {
				f.Add(part)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := sigma.Compile([]sigma.File{{Name: "f.yml", Text: []byte(text)}}, sigma.Options{Placeholders: map[string][]string{"a": {"b*", "c"}}})
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\u2028") + strings.Count(text, "\u2029") + strings.Count(text, "\u0085") + 2
		for _, p := range s.Problems() {
			if p.File != "f.yml" || p.Text == "" || p.Line < 0 || p.Line > lines {
				t.Fatalf("%+v is no place in %q", p, text)
			}
		}
		engine, err := rule.NewEngine(s.Rules)
		if err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		n, err := normalize.New(decode.Scanner{}, tenant).With(s.Extras, s.Record)
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range []string{mailbox, signIns["diagnostic"], directory["diagnostic"]} {
			var ev event.Event
			if res := n.Normalize(&envelope.Record{Body: record}, new(normalize.Scratch), &ev); res.Outcome != normalize.Normalised {
				t.Fatalf("%s %s", res.Reason, res.Detail)
			}
			engine.Eval(&ev, new(rule.Scratch), func(v *rule.Verdict) {
				if v.Truth == rule.Unknown && len(v.Missing) == 0 {
					t.Fatalf("%s is unknown for want of nothing: %q", v.Rule.ID, text)
				}
			})
		}
	})
}

package casefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

const tenant = "7c2a1f5e-3b64-4d09-9a51-0e8f6c2b7d13"

func builtin(t *testing.T) *reference.Data {
	t.Helper()
	d, err := reference.New()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// guestRule fires on the algorithm none, and needs guestOids for users.
func guestRule(ref *reference.Data) ([]*rule.Rule, error) {
	return []*rule.Rule{{
		ID: "guest", Title: "Guest", Kinds: []event.Kind{event.TokenObserved},
		Legs: []rule.Leg{
			{ID: "none", Why: "w", When: rule.EqFold(event.TokenAlgorithm, "none"), Severity: rule.High, Strength: rule.Strong},
			{ID: "guest", Why: "w", When: rule.Listed(event.TokenObjectID, ref.GuestOIDs()), Severity: rule.Low},
		},
		Key:   rule.Key{Name: "audience", Of: func(ev *event.Event) string { return ev.Token.Audience.V }},
		Stage: rule.Enabled,
	}}, nil
}

const token = `{"kind": "token-observation", "id": "1", "time": "2026-03-02T08:56:25Z", "header": {"alg": "ALG"}, "claims": {"aud": "a", "oid": "5d0f9c3a-8e21-4b7c-b1d4-9f2a6e0c3b58"}}`

func of(alg string) string { return strings.ReplaceAll(token, "ALG", alg) }

// file indents the cases' records; R stands for a record with the algorithm RS256 and N for one with none.
func file(t *testing.T, text string) *File {
	t.Helper()
	text = strings.NewReplacer(" R\n", " '"+of("RS256")+"'\n", " N\n", " '"+of("none")+"'\n").Replace(text)
	f, err := Parse("dir/guest.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const ordinary = `- name: unsigned
  origin: made
  schema: s
  want: match
  leg: none
  severity: high
  strength: strong
  stage: enabled
  key: a
  record: N
- name: not known
  origin: real
  source: s
  want: not-evaluable
  missing: ["reference:guestOids"]
  record: R
- name: no guest
  origin: made
  schema: s
  want: no-match
  config: {defaults: {guestOids: []}}
  record: R
`

func TestRunOrdinary(t *testing.T) {
	run := Runner{Decoder: decode.Reference{}, Reference: builtin(t), Rules: guestRule}
	f := file(t, ordinary)
	if f.Rule != "guest" || len(f.Cases) != 3 || f.Cases[1].Line != 11 {
		t.Fatalf("read as %+v", f)
	}
	for _, res := range run.Run(f) {
		if res.Err != nil {
			t.Error(res.Err)
		}
	}
}

func TestRunTellsWhatDiffers(t *testing.T) {
	run := Runner{Decoder: decode.Reference{}, Reference: builtin(t), Rules: guestRule}
	head := "- name: case\n  origin: made\n  schema: s\n"
	for _, c := range []struct{ name, text, want string }{
		{"another verdict", "  want: no-match\n  record: N\n", "dir/guest.yaml:1: case: match, want no-match"},
		{"the comparisons are told", "  want: no-match\n  record: N\n", `token.alg = "none" is none`},
		{"what was missing is told", "  want: no-match\n  record: R\n", "missing: reference:guestOids"},
		{"another leg", "  want: match\n  leg: guest\n  record: N\n", `leg is "none", want "guest"`},
		{"another severity", "  want: match\n  leg: none\n  severity: low\n  record: N\n", `severity is "high", want "low"`},
		{"another strength", "  want: match\n  leg: none\n  strength: weak\n  record: N\n", `strength is "strong", want "weak"`},
		{"another stage", "  want: match\n  leg: none\n  stage: observe\n  record: N\n", `stage is "enabled", want "observe"`},
		{"another key", "  want: match\n  leg: none\n  key: b\n  record: N\n", `key is "a", want "b"`},
		{"another field is missing", "  want: not-evaluable\n  missing: [token.kid]\n  record: R\n", `"token.kid" is not among the missing`},
		{"wrong reference data", "  want: match\n  leg: none\n  config: {defaults: {guestOids: [x]}}\n  record: N\n", "config: defaults.guestOids[0]"},
		{"no JSON", "  want: no-match\n  record: '{'\n", "read the record:"},
		{"two records", "  want: no-match\n  record: '[{\"kind\": \"a\"}, {\"kind\": \"b\"}]'\n", "more than one record"},
		{"an unknown format", "  want: no-match\n  record: '{\"a\": 1}'\n", "the record is set aside: unrecognised-format"},
		{"a category that no rule reads", "  want: no-match\n  record: '{\"category\": \"AppServiceHTTPLogs\", \"operationName\": \"o\"}'\n", "AppServiceHTTPLogs are ignored"},
		{"an event of another kind", "  want: no-match\n  record: '{\"RecordType\": 50, \"Operation\": \"Send\", \"CreationTime\": \"2026-03-02T08:56:25\"}'\n", "does not read events of the kind audit"},
	} {
		res := run.Run(file(t, head+c.text))
		if err := res[0].Err; err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	f := file(t, ordinary)
	f.Rule = "host"
	if err := run.Run(f)[0].Err; err == nil || !strings.Contains(err.Error(), `no rule "host"`) {
		t.Errorf("a file without its rule: %v", err)
	}
	run.Rules = func(*reference.Data) ([]*rule.Rule, error) { return nil, errors.New("broken catalogue") }
	if err := run.Run(file(t, ordinary))[0].Err; err == nil || !strings.Contains(err.Error(), "broken catalogue") {
		t.Errorf("rules that cannot be made: %v", err)
	}
}

func TestTenantOfARecordThatNamesNone(t *testing.T) {
	run := Runner{Decoder: decode.Reference{}, Reference: builtin(t), Rules: guestRule}
	text := "- name: case\n  origin: made\n  schema: s\n  want: no-match\n  config: {tenants: {" + tenant + ": {guestOids: []}}}\n  record: R\n"
	if run.Run(file(t, text))[0].Err == nil {
		t.Error("a record without a tenant has the reference data of one")
	}
	if err := run.Run(file(t, text+"  tenant: "+tenant+"\n"))[0].Err; err != nil {
		t.Error(err)
	}
}

func TestWithoutReferenceTheBuiltInCounts(t *testing.T) {
	run := Runner{Decoder: decode.Reference{}, Rules: guestRule}
	for _, res := range run.Run(file(t, ordinary)) {
		if res.Err != nil {
			t.Error(res.Err)
		}
	}
}

func TestImpossible(t *testing.T) {
	f := file(t, "- name: case\n  want: not-evaluable\n  impossible: the rule is about absence\n")
	run := Runner{Decoder: decode.Reference{}, Reference: builtin(t), Rules: guestRule}
	if err := run.Run(f)[0].Err; err != nil {
		t.Error(err)
	}
}

func TestParseNamesEveryMistake(t *testing.T) {
	text := `- name: a
  origin: guessed
  want: maybe
  record: x
- name: a
  origin: real
  want: match
  record: x
- origin: made
  want: no-match
  leg: l
  missing: [m]
- name: b
  origin: made
  schema: s
  want: not-evaluable
  record: x
- name: c
  want: match
  impossible: x
`
	_, err := Parse("x.yaml", []byte(text))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`x.yaml:1: a: origin is "guessed"`, `x.yaml:1: a: want is "maybe"`, "x.yaml:5: a: another case has this name", "x.yaml:5: a: a real record needs its source",
		"x.yaml:5: a: a match needs the leg", "x.yaml:9: : a case needs a name", "x.yaml:9: : a made record needs the schema", "x.yaml:9: : a case needs a record",
		"x.yaml:9: : leg, severity", "x.yaml:9: : missing names", "x.yaml:13: b: missing names", "x.yaml:18: c: impossible stands",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q in\n%v", want, err)
		}
	}
}

func TestParseRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"- name: a\n  wants: match\n", "x.yaml:2: field wants not found"},
		{"- name: a\n  config: {defaults: {guests: []}}\n", "x.yaml:2: field guests not found"},
		{"- name: a\n  severity: grave\n", `x.yaml:1: a: severity: "grave" is none of`},
		{"- name: a\n  name: b\n", "x.yaml:2: mapping key \"name\" already defined"},
		{"- name: [\n", "x.yaml:"},
		{"name: a\n", "x.yaml:1: cannot unmarshal"},
		{"", "x.yaml: holds no case"},
		{"[]", "x.yaml: holds no case"},
	} {
		_, err := Parse("x.yaml", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestReadTree(t *testing.T) {
	good := strings.ReplaceAll(strings.ReplaceAll(ordinary, "R\n", "r\n"), "N\n", "n\n")
	files, err := Read(fstest.MapFS{
		"guest.yaml": {Data: []byte(good)}, "more/host.yaml": {Data: []byte(good)}, "README.md": {Data: []byte("no cases")},
	})
	if err != nil || len(files) != 2 || files[1].Rule != "host" || files[1].Path != "more/host.yaml" {
		t.Errorf("%v, %v", files, err)
	}
	_, err = Read(fstest.MapFS{"a.yaml": {Data: []byte("[]")}, "b.yaml": {Data: []byte("x: y")}})
	if err == nil || !strings.Contains(err.Error(), "a.yaml") || !strings.Contains(err.Error(), "b.yaml") {
		t.Errorf("not every file's mistakes are told: %v", err)
	}
	if _, err := Read(os.DirFS(filepath.Join(t.TempDir(), "none"))); err == nil {
		t.Error("a folder that does not exist is read")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(ordinary))
	f.Add([]byte("- name: a\n  config: {defaults: {guests: []}}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("x.yaml", text)
		if err == nil && len(file.Cases) == 0 {
			t.Error("neither a case nor an error")
		}
	})
}

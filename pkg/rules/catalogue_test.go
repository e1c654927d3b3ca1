package rules_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/casefile"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
)

func builtin(t testing.TB) []*rule.Rule {
	t.Helper()
	ref, err := reference.New()
	if err != nil {
		t.Fatal(err)
	}
	all, err := rules.Catalogue(ref, nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCases(t *testing.T) {
	files, err := casefile.Read(rules.Cases())
	if err != nil {
		t.Fatal(err)
	}
	ref, err := reference.New()
	if err != nil {
		t.Fatal(err)
	}
	run := &casefile.Runner{
		Decoder:   decode.Reference{},
		Reference: ref,
		Rules:     func(ref *reference.Data) ([]*rule.Rule, error) { return rules.Catalogue(ref, nil) },
	}
	for _, f := range files {
		t.Run(f.Rule, func(t *testing.T) {
			t.Parallel()
			for _, res := range run.Run(f) {
				if res.Err != nil {
					t.Error(res.Err)
				}
			}
		})
	}
}

// TestEveryRuleHasItsCases: a match for every leg, and each of the three verdicts.
func TestEveryRuleHasItsCases(t *testing.T) {
	files, err := casefile.Read(rules.Cases())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range builtin(t) {
		i := slices.IndexFunc(files, func(f *casefile.File) bool { return f.Rule == r.ID })
		if i < 0 {
			t.Errorf("%s has no case file", r.ID)
			continue
		}
		wanted, legs := map[casefile.Want]bool{}, map[string]bool{}
		for _, c := range files[i].Cases {
			wanted[c.Want] = true
			legs[c.Leg] = true
		}
		for _, w := range casefile.Wants() {
			if !wanted[w] {
				t.Errorf("%s has no case of %s", r.ID, w)
			}
		}
		for _, l := range r.Legs {
			if !legs[l.ID] {
				t.Errorf("%s: no case fires the leg %s", r.ID, l.ID)
			}
		}
		files = slices.Delete(files, i, i+1)
	}
	for _, f := range files {
		t.Errorf("%s: there is no rule %s", f.Path, f.Rule)
	}
}

var (
	kebab     = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	technique = regexp.MustCompile(`^T[0-9]{4}(\.[0-9]{3})?$`)
)

// TestEveryRuleIsDocumented checks what an analyst reads at night.
func TestEveryRuleIsDocumented(t *testing.T) {
	for _, r := range builtin(t) {
		check := func(ok bool, format string, args ...any) {
			if !ok {
				t.Errorf(r.ID+": "+format, args...)
			}
		}
		check(kebab.MatchString(r.ID), "the id is not in kebab-case")
		check(r.Version > 0, "no version")
		check(r.Stage != rule.Off, "a built-in rule is off")
		check(r.Stage == rule.Enabled || r.StageReason != "", "nothing says why the rule only observes")
		check(len(r.Doc.Proves) > 40 && len(r.Doc.Evades) > 20, "what it proves and what evades it is not said")
		check(len(r.Doc.FalsePositives) > 0, "no false positives")
		check(len(r.Doc.Runbook) >= 3, "the runbook has fewer than three steps")
		check(len(r.Doc.Attack) > 0, "no technique")
		for _, id := range r.Doc.Attack {
			check(technique.MatchString(id), "%q is no id of an ATT&CK technique", id)
		}
		check(len(r.Doc.Sources) > 0, "no source")
		for _, s := range r.Doc.Sources {
			check(strings.HasPrefix(s, "https://") || strings.Contains(s, " "), "the source %q is neither an address nor a title", s)
		}
		for _, text := range slices.Concat([]string{r.Doc.Proves, r.Doc.Evades}, r.Doc.FalsePositives, r.Doc.Runbook) {
			check(strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?"), "no full sentence: %q", text)
		}
		for _, l := range r.Legs {
			check(kebab.MatchString(l.ID), "the leg's id %q is not in kebab-case", l.ID)
			check(!strings.HasSuffix(l.Why, "."), "leg %s: the reason completes a sentence, so it has no full stop", l.ID)
			check(l.Stage <= r.Stage, "leg %s is above its rule's stage", l.ID)
			check(l.When.String() != "", "leg %s cannot be told", l.ID)
			// A rule that nothing can leave undecided is about absence alone; none of ours is.
			check(len(l.When.Needs()) > 0, "leg %s needs nothing", l.ID)
		}
	}
}

func TestEngineTakesTheCatalogue(t *testing.T) {
	all := builtin(t)
	e, err := rule.NewEngine(all)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Rules()) != len(all) {
		t.Errorf("%d of %d rules are evaluated", len(e.Rules()), len(all))
	}
	for _, k := range event.Kinds() {
		if !e.Reads(k) {
			t.Errorf("no rule reads events of the kind %s", k)
		}
	}
}

// TestKeysAreNotFresh: what a forger makes anew for every token must not split alerts.
func TestKeysAreNotFresh(t *testing.T) {
	fresh := func(n string) *event.Event {
		ev := &event.Event{Tenant: "t", Time: event.Time{}}
		ev.Token.ID, ev.Token.SessionID = event.Of("uti"+n), event.Of("sid"+n)
		ev.Token.Subject, ev.Token.ObjectID = event.Of("sub"+n), event.Of("oid"+n)
		ev.Graph.RequestID, ev.SignIn.RequestID, ev.Risk.RequestID = event.Of("r"+n), event.Of("r"+n), event.Of("r"+n)
		ev.ID = event.ID(n)
		ev.Actor.ObjectID, ev.Actor.Name = event.Of("user"), event.Of("user@contoso.example")
		ev.App.ID, ev.Token.Audience = event.Of("app"), event.Of("aud")
		ev.Audit.Mailbox, ev.Observed.Observer = event.Of("mailbox"), event.Of("apim")
		ev.Observed.Result = event.Of("accepted")
		return ev
	}
	for _, r := range builtin(t) {
		a, b := r.Key.Of(fresh("1")), r.Key.Of(fresh("2"))
		if a != b {
			t.Errorf("%s: the key %q becomes %q with a fresh token", r.ID, a, b)
		}
		if got := r.Key.Of(&event.Event{}); strings.TrimSpace(got) != "" {
			t.Errorf("%s: the key of an event that holds nothing is %q", r.ID, got)
		}
	}
}

func TestSettings(t *testing.T) {
	ref, err := reference.New()
	if err != nil {
		t.Fatal(err)
	}
	observe, low := rule.Observe, rule.Low
	all, err := rules.Catalogue(ref, rules.Settings{
		"token-kid-known-bad":      {Stage: &observe, Severity: &low},
		"token-lifetime-excessive": {Knobs: map[string]string{"hardCap": "1h"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.ID != "token-kid-known-bad" {
			continue
		}
		if r.Stage != rule.Observe || r.StageReason == "" {
			t.Errorf("stage %s for the reason %q", r.Stage, r.StageReason)
		}
		for _, l := range r.Legs {
			if l.Severity != rule.Low {
				t.Errorf("leg %s has the severity %s", l.ID, l.Severity)
			}
		}
	}
	_, err = rules.Catalogue(ref, rules.Settings{
		"no-such-rule": {},
		"token-lifetime-excessive": {Knobs: map[string]string{
			"hardCap": "a day", "softCap": "1h",
		}},
		"token-time-anomaly": {Knobs: map[string]string{"skew": "-5m"}},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"rules.no-such-rule: there is no such rule",
		`rules.token-lifetime-excessive.knobs.hardCap: "a day" is not a duration`,
		"rules.token-lifetime-excessive.knobs.softCap: the rule has no such knob",
		`rules.token-time-anomaly.knobs.skew: "-5m" is not a duration`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q in\n%v", want, err)
		}
	}
}

func TestKnobsAreDocumented(t *testing.T) {
	ref, err := reference.New()
	if err != nil {
		t.Fatal(err)
	}
	knobs := rules.Knobs(ref)
	if len(knobs["ioc-ip"]) != 2 {
		t.Errorf("ioc-ip has the knobs %v", knobs["ioc-ip"])
	}
	for id, ks := range knobs {
		for _, k := range ks {
			if k.Name == "" || k.Default == "" || k.Doc == "" {
				t.Errorf("%s: the knob %+v is not documented", id, k)
			}
		}
	}
}

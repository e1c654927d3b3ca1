package sample_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/casefile"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
	"github.com/assay-sec/assay/pkg/sample/made"
)

// leaf is a member of a record whose value is a text, a number, a truth value, or a list of such.
var leaf = regexp.MustCompile(`"([^"\\]+)"\s*:\s*("(?:[^"\\]|\\.)*"|true|false|-?[0-9]+|\[[^\[\]{}]*\]|\{\s*\})`)

// member is the name of any member.
var member = regexp.MustCompile(`"([^"\\]+)"\s*:`)

// ordinary holds values that stand under a name in records that fire nothing.
type ordinary map[string][]string

func (o ordinary) learn(record string, most int) {
	for _, m := range leaf.FindAllStringSubmatch(record, -1) {
		if len(o[m[1]]) < most && !slices.Contains(o[m[1]], m[2]) {
			o[m[1]] = append(o[m[1]], m[2])
		}
	}
}

// nearMiss is a record that has everything of a match but one value, which is an ordinary one.
type nearMiss struct {
	found         bool
	name, was, is string // the member that was changed
	fires         map[string]rule.Severity
}

// near adds the near misses of a matching case to the best of its leg: for each field of which the leg asks and that the record has,
// one that makes the leg false, and of those one on which least fires.
func (n *nearer) near(t *testing.T, f *casefile.File, c *casefile.Case, all []*rule.Rule, values ordinary) {
	t.Helper()
	rec, err := envelope.NewReader(strings.NewReader(c.Record), "record").Next()
	if err != nil {
		t.Fatal(err)
	}
	record := rec.Body
	r := all[slices.IndexFunc(all, func(r *rule.Rule) bool { return r.ID == f.Rule })]
	ev, changed, normalizer := new(event.Event), new(event.Event), normalize.New(decode.Scanner{}, c.Tenant)
	normalizer.Normalize(&rec, &n.one, ev)
	v := r.Verdict(ev)
	if v.Truth != rule.True {
		t.Fatalf("%s: %s does not match", f.Path, c.Name)
	}
	before := firing(all, ev)
	best := n.best[v.Leg.ID]
	if best == nil {
		best = map[string]*nearMiss{}
		n.best[v.Leg.ID] = best
	}
	was := map[string]string{}
	for _, path := range v.Leg.When.Needs() {
		if field, known := fields[path]; known && field.state(ev) == event.Present {
			was[path] = field.show(ev)
			if best[path] == nil {
				best[path] = &nearMiss{}
			}
		}
	}
	// try looks at the record with one value in the place of another. It reports whether a field of the leg stands there.
	try := func(name, value, is, body string) (touches bool) {
		rec.Body = body
		if normalizer.Normalize(&rec, &n.two, changed).Outcome != normalize.Normalised || changed.Kind != ev.Kind {
			return false
		}
		var better []string
		for path, old := range was {
			if fields[path].show(changed) != old {
				touches = true
				if !best[path].found || best[path].weight() > 0 {
					better = append(better, path)
				}
			}
		}
		if len(better) == 0 || !misses(r, v.Leg, changed) {
			return touches
		}
		miss := nearMiss{found: true, name: name, was: value, is: is, fires: firing(all, changed)}
		for id, severity := range before {
			if id != r.ID && miss.fires[id] == severity { // that has nothing to do with the value
				delete(miss.fires, id)
			}
		}
		for _, path := range better {
			if b := best[path]; !b.found || miss.weight() < b.weight() {
				*b = miss
			}
		}
		return true
	}
	own := ordinary{}
	own.learn(record, 100)
	var others []string
	for _, name := range slices.Sorted(maps.Keys(own)) {
		others = append(others, own[name]...)
	}
	for _, m := range leaf.FindAllStringSubmatchIndex(record, -1) {
		name, value := record[m[2]:m[3]], record[m[4]:m[5]]
		tried, touches := 0, false
		for _, is := range slices.Concat(values[name], times(ev, value), others) {
			if is == value {
				continue
			}
			if tried++; tried > 8 && !touches {
				break // no field of the leg stands here
			}
			touches = try(name, value, is, record[:m[4]]+is+record[m[5]:]) || touches
		}
	}
	// A member that most records do not have is out of the ordinary by being there.
	for _, m := range member.FindAllStringSubmatchIndex(record, -1) {
		try(record[m[2]:m[3]], "there", "left out", record[:m[2]]+"_"+record[m[2]:])
	}
}

// firing returns which rules fire on the event.
func firing(all []*rule.Rule, ev *event.Event) map[string]rule.Severity {
	out := map[string]rule.Severity{}
	for _, r := range all {
		if slices.Contains(r.Kinds, ev.Kind) && r.Stage != rule.Off {
			if v := r.Verdict(ev); v.Truth == rule.True {
				out[r.ID] = v.Severity
			}
		}
	}
	return out
}

// misses reports whether the leg is decided not to hold for the event.
func misses(r *rule.Rule, l *rule.Leg, ev *event.Event) bool {
	if r.Scope != nil {
		switch r.Scope.Eval(ev, nil) {
		case rule.False:
			return true
		case rule.Unknown:
			return false
		case rule.True:
		}
	}
	return l.When.Eval(ev, nil) == rule.False
}

// nearer looks for the near misses of one rule.
type nearer struct {
	best     map[string]map[string]*nearMiss // by leg and field
	one, two normalize.Scratch
}

// String tells of it for the golden file.
func (m *nearMiss) String() string {
	if !m.found {
		return "no single value decides"
	}
	short := func(s string) string {
		if len(s) > 60 {
			return s[:57] + "..."
		}
		return s
	}
	out := m.name + " " + short(m.was) + " -> " + short(m.is)
	for _, id := range slices.Sorted(maps.Keys(m.fires)) {
		out += fmt.Sprintf("; %s: %s", id, m.fires[id])
	}
	return out
}

// weight grows with what fires.
func (m *nearMiss) weight() (sum int) {
	for _, s := range m.fires {
		sum += 1 << (4 * s)
	}
	return sum
}

// times returns times that are right, in the form of the value.
func times(ev *event.Event, like string) []string {
	var out []string
	for _, ago := range []time.Duration{-time.Hour, 0, 10 * time.Minute, time.Hour, 20 * time.Hour} {
		at := ev.Time.V.Add(-ago)
		switch {
		case len(like) == 10 && like[0] != '"':
			out = append(out, fmt.Sprint(at.Unix()))
		case strings.Contains(like, "T") && strings.Contains(like, ":"):
			form := time.RFC3339
			if !strings.HasSuffix(like, `Z"`) && !strings.Contains(like, "+") {
				form = "2006-01-02T15:04:05"
			}
			out = append(out, `"`+at.Format(form)+`"`)
		}
	}
	return out
}

// TestNearMisses: whoever has everything of a match but one value, which is an ordinary one, is left alone. For each leg of each rule, and
// for each field of which it asks, the test looks for such a value: in the cases that do not match, in the benign records, among
// the record's own, and in leaving the member out. What still fires stands in the golden file, and is nowhere grave, but where the
// value makes another forgery of the record.
func TestNearMisses(t *testing.T) {
	t.Parallel()
	files, err := casefile.Read(rules.Cases())
	if err != nil {
		t.Fatal(err)
	}
	base, err := reference.New()
	if err != nil {
		t.Fatal(err)
	}
	corpus := ordinary{}
	for _, line := range made.Benign(bundledSeed, 2000) {
		corpus.learn(line, 8)
	}
	var b strings.Builder
	unused := maps.Clone(otherForgeries)
	for _, f := range files {
		n := nearMissesOf(t, f, base, corpus)
		found := 0
		for _, leg := range slices.Sorted(maps.Keys(n.best)) {
			for _, field := range slices.Sorted(maps.Keys(n.best[leg])) {
				m, at := n.best[leg][field], f.Rule+" "+leg+" "+field
				fmt.Fprintf(&b, "%s: %s\n", at, m)
				if !m.found {
					continue
				}
				found++
				for id, severity := range m.fires {
					if severity >= rule.High && otherForgeries[at] == "" {
						t.Errorf("%s: %s, of severity %s, fires for %s", at, id, severity, m)
					}
					if severity >= rule.High {
						delete(unused, at)
					}
				}
			}
		}
		if found == 0 {
			t.Errorf("%s has no near miss", f.Rule)
		}
	}
	for at := range unused {
		t.Errorf("nothing grave fires for %s any more", at)
	}
	const golden = "testdata/near-misses.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	was := strings.Split(string(want), "\n")
	for line := range strings.Lines(b.String()) {
		if line = strings.TrimSuffix(line, "\n"); !slices.Contains(was, line) {
			t.Errorf("not in %s: %s", golden, line)
		}
	}
	if got := strings.Count(b.String(), "\n"); got != len(was)-1 {
		t.Errorf("%s has %d near misses, want %d", golden, len(was)-1, got)
	}
}

// nearMissesOf looks for the near misses of the rule whose case file it is.
func nearMissesOf(t *testing.T, f *casefile.File, base *reference.Data, corpus ordinary) *nearer {
	t.Helper()
	values := ordinary{}
	for name := range corpus {
		values[name] = slices.Clone(corpus[name])
	}
	for i := range f.Cases {
		if c := &f.Cases[i]; c.Want == casefile.NoMatch {
			values.learn(c.Record, 24)
		}
	}
	n := &nearer{best: map[string]map[string]*nearMiss{}}
	for i := range f.Cases {
		c := &f.Cases[i]
		if c.Want != casefile.Match {
			continue
		}
		ref := base
		if c.Config != nil {
			var err error
			if ref, err = base.With(*c.Config); err != nil {
				t.Fatal(err)
			}
		}
		all, err := rules.Catalogue(ref, nil)
		if err != nil {
			t.Fatal(err)
		}
		n.near(t, f, c, all, values)
	}
	return n
}

// otherForgeries are the near misses of one rule that are matches of another, or of another leg, and rightly so.
var otherForgeries = map[string]string{
	"ioc-ip outside-window time": "at another time the address was the attacker's",

	"mailbox-token-over-age bind-over-two-days audit.mailAccessType": "without a Bind it is still older than any token",

	"saml-assertion-anomaly foreign-certificate saml.issuer": "an issuer that is none of the tenant's",
	"saml-assertion-anomaly lives-too-long saml.issuer":      "an issuer that is none of the tenant's",
	"saml-assertion-anomaly too-old time":                    "presented before it was issued",

	"token-actor-or-unsigned-impersonation foreign-actor token.tid":    "the issuer is another tenant's, then",
	"token-consumer-subject-in-enterprise identity-provider token.tid": "the issuer is another tenant's, then",
	"token-consumer-subject-in-enterprise object-id token.tid":         "the issuer is another tenant's, then",
	"token-tenant-not-allowed consumer-token token.tid":                "the issuer is another tenant's, then",
	"token-tenant-not-allowed foreign-tenant token.tid":                "the issuer is another tenant's, then",
	"token-signed-by-expired-certificate enterprise-token token.iss":   "the tenant is another than the issuer's, then",
	"token-version-shape-mismatch version-2-claims token.ver":          "the issuer is that of another version, then",
	"token-kid-not-published withdrawn-key-accepted token.iss":         "a key of Entra ID signs for another issuer",
	"token-lifetime-excessive no-life token.iss":                       "a key of Entra ID signs for another issuer",
	"token-lifetime-excessive over-hard-cap token.iss":                 "a key of Entra ID signs for another issuer",
	"token-signed-by-expired-certificate consumer-token token.iss":     "a key of Entra ID signs for another issuer",
	"token-time-anomaly nbf-unlike-iat token.iss":                      "a key of Entra ID signs for another issuer",
	"token-time-anomaly too-old token.iss":                             "a key of Entra ID signs for another issuer",
	"token-signed-by-expired-certificate consumer-token token.iat":     "issued while the key was good, it would live for years",
	"token-signed-by-expired-certificate enterprise-token token.iat":   "issued while the key was good, it would live for years",
	"token-signed-by-expired-certificate key-too-old token.iat":        "issued while the key was good, it would live for years",
}

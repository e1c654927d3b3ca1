package alert

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/assay-sec/assay/pkg/rule"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares the JSON of v with a file.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	var got bytes.Buffer
	if err := json.Indent(&got, mustJSON(t, v), "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s: got\n%s", name, got.Bytes())
	}
}

// exampleAlert is an alert of some findings with a history.
func exampleAlert(t *testing.T) Alert {
	t.Helper()
	f := exampleFinding()
	a := New(&f)
	later := f
	later.ID, later.At, later.Place = "later", f.At.Add(time.Hour), "logs/tokens.json:9"
	a.Add(&later)
	a.Count = 2
	a.Continues = true
	for _, c := range []Change{
		{At: f.At.Add(2 * time.Hour), By: "ana@example.com", Status: Acknowledged, Note: "looking <now>"},
		{At: f.At.Add(3 * time.Hour), By: "ana@example.com", Status: Closed, Verdict: TruePositive},
	} {
		if err := a.Mark(c); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func TestAlertJSON(t *testing.T) {
	t.Parallel()
	a := exampleAlert(t)
	golden(t, "alert.json", &a)
	var back Alert
	if err := json.Unmarshal(mustJSON(t, &a), &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, back) {
		t.Errorf("it reads back as\n%+v\nwas\n%+v", back, a)
	}
}

// any permutation and any repetition of findings gives the same alert.
func TestAlertIsAFunctionOfTheSet(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		var fs []Finding
		for i := range 1 + r.IntN(60) {
			f := exampleFinding()
			f.ID = FindingID(fmt.Sprintf("finding-%03d", i))
			f.At = f.At.Add(time.Duration(r.IntN(20)) * time.Minute)
			f.Stage = rule.Stage(1 + r.IntN(2))
			f.Severity = rule.Severity(r.IntN(5))
			f.Strength = rule.Strength(r.IntN(3))
			f.Place = fmt.Sprintf("log.json:%d", i)
			f.Subject.User = fmt.Sprintf("user-%d", i)
			f.Rule.Leg = fmt.Sprintf("leg-%d", i)
			f.Facts = []rule.Fact{{Field: fmt.Sprint(i), Truth: rule.True}}
			f.From.Run = fmt.Sprintf("run-%d", i)
			fs = append(fs, f)
		}
		want := byDefinition(fs)
		for range 10 {
			list := slices.Clone(fs)
			for range r.IntN(40) {
				list = append(list, fs[r.IntN(len(fs))])
			}
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			a := New(&list[0])
			for i := range list[1:] {
				a.Add(&list[1+i])
			}
			if got := string(mustJSON(t, &a)); got != want {
				t.Fatalf("round %d: got\n%s\nwant\n%s", round, got, want)
			}
		}
	}
}

// byDefinition says what the alert of a set of findings is, in the words of its documentation.
func byDefinition(fs []Finding) string {
	gravest := slices.MinFunc(fs, func(a, b Finding) int {
		for _, c := range []int{
			int(b.Stage) - int(a.Stage), int(b.Severity) - int(a.Severity), int(b.Strength) - int(a.Strength),
			a.At.Compare(b.At), strings.Compare(string(a.ID), string(b.ID)),
		} {
			if c != 0 {
				return c
			}
		}
		return 0
	})
	a := Alert{
		ID: gravest.AlertID, Rule: gravest.Rule, Tenant: gravest.Tenant, KeyName: gravest.KeyName, Key: gravest.Key, Day: gravest.Day(),
		Stage: gravest.Stage, Severity: gravest.Severity, Subject: gravest.Subject, Facts: gravest.Facts, From: gravest.From,
		Lead:  Lead{Sighting{gravest.ID, gravest.At, gravest.Place}, gravest.Stage, gravest.Severity, gravest.Strength},
		First: gravest.At, Last: gravest.At, Status: Open,
		Revision: int64(gravest.Stage)*10 + int64(gravest.Severity),
	}
	for _, f := range fs {
		if f.Stage == a.Stage {
			a.Strength = max(a.Strength, f.Strength)
		}
		if f.At.Before(a.First) {
			a.First = f.At
		}
		if f.At.After(a.Last) {
			a.Last = f.At
		}
		a.Places = append(a.Places, Sighting{f.ID, f.At, f.Place})
	}
	slices.SortFunc(a.Places, func(x, y Sighting) int {
		if c := x.At.Compare(y.At); c != 0 {
			return c
		}
		return strings.Compare(string(x.Finding), string(y.Finding))
	})
	a.Places = a.Places[:min(len(a.Places), MaxPlaces)]
	b, err := json.Marshal(&a)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// What a rule only observes must not raise what people are paged with.
func TestObservationsDoNotRaiseSeverity(t *testing.T) {
	t.Parallel()
	enabled, observed := exampleFinding(), exampleFinding()
	enabled.ID, enabled.Severity, enabled.Strength = "enabled", rule.Medium, rule.Moderate
	observed.ID, observed.Stage, observed.Severity, observed.Strength = "observed", rule.Observe, rule.Critical, rule.Strong
	for _, fs := range [][]*Finding{{&enabled, &observed}, {&observed, &enabled}} {
		a := New(fs[0])
		before := a.Revision
		a.Add(fs[1])
		if a.Stage != rule.Enabled || a.Severity != rule.Medium || a.Strength != rule.Moderate || a.Lead.Finding != "enabled" || a.Revision < before {
			t.Errorf("first %s: stage %s, severity %s, strength %s, revision %d after %d", fs[0].ID, a.Stage, a.Severity, a.Strength, a.Revision, before)
		}
	}
}

// worst returns a text that takes the most bytes.
func worst() string { return strings.Repeat("\x01", 100_000) }

func TestAlertStaysSmall(t *testing.T) {
	t.Parallel()
	v, ev := exampleVerdict(), exampleEvent()
	v.Rule.ID, v.Rule.Title, v.Rule.Key.Name, v.Leg.ID, v.Leg.Why, v.Key = worst(), worst(), worst(), worst(), worst(), worst()
	v.Facts = nil
	for range 100 {
		v.Facts = append(v.Facts, rule.Fact{Field: worst(), Value: worst(), Op: worst(), Operand: worst(), Truth: rule.True})
	}
	for range 100 {
		v.Facts = append(v.Facts, rule.Fact{Field: "f", Op: "is", Truth: rule.True})
	}
	ev.Category, ev.Tenant = worst(), worst()
	fillTexts(reflect.ValueOf(ev).Elem(), worst())
	f := NewFinding(v, ev, Evidence{Record: worst(), Place: worst()}, Provenance{Run: worst(), Assay: worst(), Reference: worst()})
	a := New(&f)
	for i := range 50 {
		g := f
		g.ID, g.At = FindingID(fmt.Sprintf("%026d", i)), f.At.Add(time.Duration(i))
		a.Add(&g)
	}
	a.Count = 1 << 62
	a.Continues = true
	for i := range 200 {
		if err := a.Mark(Change{At: f.At, By: worst(), Status: Closed, Verdict: FalsePositive, Note: fmt.Sprint(i) + worst()[:i*20]}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(mustJSON(t, &a)); n >= MaxAlert {
		t.Errorf("the alert has %d bytes", n)
	}
	if len(a.Places) != MaxPlaces || len(a.History) == 0 || len(a.Facts) == 0 {
		t.Errorf("%d places, %d changes, %d facts", len(a.Places), len(a.History), len(a.Facts))
	}
	if n := len(mustJSON(t, f.Facts)) + len(mustJSON(t, f.RecordCut)); n > MaxEvidence {
		t.Errorf("the finding has %d bytes of evidence", n)
	}
}

func TestMark(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 3, 15, 9, 0, 0, 0, time.FixedZone("", 3600))
	f := exampleFinding()
	for name, c := range map[string]Change{
		"nobody":              {At: at, Status: Closed},
		"never":               {By: "ana", Status: Closed},
		"no status":           {At: at, By: "ana"},
		"unknown status":      {At: at, By: "ana", Status: "done"},
		"unknown verdict":     {At: at, By: "ana", Status: Closed, Verdict: "wrong"},
		"verdict while open":  {At: at, By: "ana", Status: Open, Verdict: Benign},
		"verdict when acked":  {At: at, By: "ana", Status: Acknowledged, Verdict: TruePositive},
		"verdict with a typo": {At: at, By: "ana", Status: Closed, Verdict: "False-Positive"},
	} {
		a := New(&f)
		before := mustJSON(t, &a)
		if err := a.Mark(c); !errors.Is(err, ErrChange) {
			t.Errorf("%s: got %v, want ErrChange", name, err)
		}
		if !bytes.Equal(before, mustJSON(t, &a)) {
			t.Errorf("%s: it changed the alert", name)
		}
	}

	a := New(&f)
	first := a.Revision
	for _, step := range []struct {
		change  Change
		revised bool
	}{
		{Change{Status: Acknowledged}, false},
		{Change{Status: Closed, Verdict: Benign}, true},
		{Change{Status: Closed, Verdict: TruePositive}, false},
		{Change{Status: Acknowledged}, true},
		{Change{Status: Open}, false},
	} {
		before := a.Revision
		step.change.At, step.change.By = at, "ana"
		if err := a.Mark(step.change); err != nil {
			t.Fatal(err)
		}
		if a.Status != step.change.Status || a.Verdict != step.change.Verdict || (a.Revision > before) != step.revised || a.Revision < before {
			t.Errorf("%+v: %s %s, revision %d after %d", step.change, a.Status, a.Verdict, a.Revision, before)
		}
	}
	if len(a.History) != 5 || a.Revision != first+200 || a.History[0].At.Location() != time.UTC {
		t.Errorf("%d changes, revision %d after %d", len(a.History), a.Revision, first)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	f := exampleFinding()
	a := New(&f)
	for i := range 5000 {
		if err := a.Mark(Change{At: f.At.Add(time.Duration(i)), By: "ana", Status: Acknowledged, Note: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	last := a.History[len(a.History)-1]
	if len(mustJSON(t, a.History)) > maxHistory+2 || len(a.History) < 100 || last.Note != "4999" {
		t.Errorf("%d changes, the last is %+v", len(a.History), last)
	}
}

// Whatever a change did to its copy of the alert, only marks are taken, and the revision tells of a turn.
func TestTakeMarks(t *testing.T) {
	t.Parallel()
	f := exampleFinding()
	a := New(&f)
	b := a
	b.Status, b.Verdict, b.Count, b.Severity, b.Tenant = Closed, FalsePositive, 99, rule.Info, "else"
	b.History = []Change{{At: f.At, By: worst(), Status: Closed, Note: worst()}}
	before := a
	a.TakeMarks(&b)
	if a.Status != Closed || a.Verdict != FalsePositive || a.Count != before.Count || a.Severity != before.Severity || a.Tenant != before.Tenant {
		t.Errorf("got %+v", a)
	}
	if a.Revision != before.Revision+100 || len(mustJSON(t, a.History)) > maxHistory {
		t.Errorf("revision %d after %d, %d bytes of history", a.Revision, before.Revision, len(mustJSON(t, a.History)))
	}
	// Closed and reopened within one change are two turns.
	c := a
	for _, status := range []Status{Open, Closed} {
		if err := c.Mark(Change{At: f.At, By: "ana", Status: status}); err != nil {
			t.Fatal(err)
		}
	}
	a.TakeMarks(&c)
	if a.Revision != before.Revision+300 || a.Revision != c.Revision {
		t.Errorf("revision %d, want %d", a.Revision, before.Revision+300)
	}
	// A copy from before an escalation does not take it back.
	old := a
	graver := f
	graver.ID, graver.Severity = "graver", rule.Critical
	a.Add(&graver)
	rev := a.Revision
	a.TakeMarks(&old)
	if a.Revision != rev {
		t.Errorf("revision %d, want %d", a.Revision, rev)
	}
}

func TestFollows(t *testing.T) {
	t.Parallel()
	midnight := time.Date(2025, 3, 15, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration, key string) *Alert {
		v, ev := exampleVerdict(), exampleEvent()
		v.Key = key
		ev.Time.V = midnight.Add(d)
		f := NewFinding(v, ev, Evidence{}, fromTest)
		a := New(&f)
		return &a
	}
	for name, c := range map[string]struct {
		before, after *Alert
		want          bool
	}{
		"around midnight": {at(-time.Second, "k"), at(0, "k"), true},
		"just under":      {at(-30*time.Minute, "k"), at(30*time.Minute-1, "k"), true},
		"an hour":         {at(-30*time.Minute, "k"), at(30*time.Minute, "k"), false},
		"another key":     {at(-time.Second, "k"), at(0, "l"), false},
		"the same day":    {at(-time.Minute, "k"), at(-time.Second, "k"), false},
		"two days later":  {at(-time.Second, "k"), at(24*time.Hour, "k"), false},
		"the wrong way":   {at(0, "k"), at(-time.Second, "k"), false},
	} {
		if got := c.after.Follows(c.before); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
		if c.want && (!c.after.MayFollow() || !c.before.MayBeFollowed()) {
			t.Errorf("%s: it follows, but may not", name)
		}
	}
	for d, want := range map[time.Duration]bool{0: true, time.Hour - 1: true, time.Hour: false, 12 * time.Hour: false} {
		if at(d, "k").MayFollow() != want {
			t.Errorf("%s after midnight: may follow is %v", d, !want)
		}
		if at(-d-1, "k").MayBeFollowed() != (d < time.Hour) {
			t.Errorf("%s before midnight: may be followed is %v", d+1, d >= time.Hour)
		}
	}
}

func TestCloudEvent(t *testing.T) {
	t.Parallel()
	a := exampleAlert(t)
	e, err := a.CloudEvent("//assay.example.com/tenants")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "cloudevent.json", &e)
	// Another program reads it back.
	var back event.Event
	if err := json.Unmarshal(mustJSON(t, &e), &back); err != nil {
		t.Fatal(err)
	}
	var data Alert
	if err := back.DataAs(&data); err != nil || !reflect.DeepEqual(a, data) {
		t.Errorf("the data reads back as %+v, %v", data, err)
	}
	again, err := a.CloudEvent("//assay.example.com/tenants")
	if err != nil || !bytes.Equal(mustJSON(t, &e), mustJSON(t, &again)) {
		t.Errorf("the same revision is another event, %v", err)
	}
	a.Reopen(a.Last, false)
	if next, err := a.CloudEvent("//assay.example.com/tenants"); err != nil || next.ID() == e.ID() {
		t.Errorf("the next revision has the same id %s, %v", next.ID(), err)
	}
	for _, source := range []string{"", "%zz", "http://[::1"} {
		if _, err := a.CloudEvent(source); err == nil {
			t.Errorf("source %q was taken", source)
		}
	}
}

// The schema that events name says what an alert's JSON is.
func TestSchema(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("alert.v1.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root struct {
		ID string `json:"$id"`
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	if root.ID != EventSchema {
		t.Errorf("it calls itself %s", root.ID)
	}
	check := func(name string, o object, typ reflect.Type) {
		var want, required []string
		for _, f := range reflect.VisibleFields(typ) {
			tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if tag == "" {
				continue
			}
			want = append(want, tag)
			if !strings.Contains(options, "omitempty") {
				required = append(required, tag)
			}
		}
		var got []string
		for p, d := range o.Properties {
			got = append(got, p)
			if d.Description == "" && d.Ref == "" {
				t.Errorf("%s: %s is not described", name, p)
			}
			if d.Ref != "" && root.Defs[strings.TrimPrefix(d.Ref, "#/$defs/")].Properties == nil && root.Defs[strings.TrimPrefix(d.Ref, "#/$defs/")].Enum == nil {
				t.Errorf("%s: %s refers to %s, which is not there", name, p, d.Ref)
			}
		}
		for _, l := range [][]string{got, want, required, o.Required} {
			slices.Sort(l)
		}
		if !slices.Equal(got, want) || !slices.Equal(o.Required, required) {
			t.Errorf("%s: the schema has %v and requires %v; the type has %v and requires %v", name, got, o.Required, want, required)
		}
	}
	check("alert", root.object, reflect.TypeFor[Alert]())
	for name, typ := range map[string]reflect.Type{
		"rule": reflect.TypeFor[RuleRef](), "subject": reflect.TypeFor[Subject](), "fact": reflect.TypeFor[rule.Fact](),
		"sighting": reflect.TypeFor[Sighting](), "lead": reflect.TypeFor[Lead](), "change": reflect.TypeFor[Change](),
		"provenance": reflect.TypeFor[Provenance](),
	} {
		check(name, root.Defs[name], typ)
	}
	for name, values := range map[string][]string{
		"severity": names(rule.Severities()), "strength": names([]rule.Strength{rule.Weak, rule.Moderate, rule.Strong}),
		"stage": names([]rule.Stage{rule.Observe, rule.Enabled}), "truth": names([]rule.Truth{rule.False, rule.Unknown, rule.True}),
		"status": {string(Open), string(Acknowledged), string(Closed)}, "verdict": {string(TruePositive), string(FalsePositive), string(Benign)},
	} {
		if got := root.Defs[name].Enum; !slices.Equal(got, values) {
			t.Errorf("%s: the schema has %v, want %v", name, got, values)
		}
	}
}

type object struct {
	Properties map[string]struct {
		Description string `json:"description"`
		Ref         string `json:"$ref"`
	} `json:"properties"`
	Required []string `json:"required"`
	Enum     []string `json:"enum"`
}

func names[T fmt.Stringer](all []T) []string {
	var out []string
	for _, x := range all {
		out = append(out, x.String())
	}
	return out
}

// What a quiet replay found tells nobody; what a loud run found of the same alert does, in whatever order they come.
func TestQuietFindings(t *testing.T) {
	t.Parallel()
	find := func(id string, quiet bool, s rule.Severity, strength rule.Strength, stage rule.Stage) Finding {
		f := exampleFinding()
		f.ID, f.Severity, f.Strength, f.Stage, f.From.Quiet = FindingID(id), s, strength, stage, quiet
		return f
	}
	type heard struct {
		severity rule.Severity
		strength rule.Strength
		stage    rule.Stage
	}
	for _, test := range []struct {
		name     string
		findings []Finding
		aloud    *heard // nil: nobody hears of it
	}{
		{
			"loud alone",
			[]Finding{find("a", false, rule.High, rule.Weak, rule.Enabled), find("b", false, rule.Low, rule.Strong, rule.Enabled)},
			&heard{rule.High, rule.Strong, rule.Enabled},
		},
		{"quiet alone", []Finding{find("a", true, rule.High, rule.Strong, rule.Enabled), find("b", true, rule.Low, rule.Weak, rule.Enabled)}, nil},
		{
			"quiet and graver",
			[]Finding{find("a", false, rule.Low, rule.Moderate, rule.Enabled), find("b", true, rule.High, rule.Moderate, rule.Enabled)},
			&heard{rule.Low, rule.Moderate, rule.Enabled},
		},
		{
			"quiet and stronger",
			[]Finding{find("a", false, rule.High, rule.Weak, rule.Enabled), find("b", true, rule.High, rule.Strong, rule.Enabled)},
			&heard{rule.High, rule.Weak, rule.Enabled},
		},
		{
			"quiet and of a higher stage",
			[]Finding{find("a", false, rule.High, rule.Strong, rule.Observe), find("b", true, rule.Low, rule.Weak, rule.Enabled)},
			&heard{rule.High, rule.Strong, rule.Observe},
		},
		{
			"loud and graver",
			[]Finding{find("a", false, rule.High, rule.Strong, rule.Enabled), find("b", true, rule.Low, rule.Weak, rule.Enabled)},
			&heard{rule.High, rule.Strong, rule.Enabled},
		},
		{
			"two loud ones, of which one is stronger",
			[]Finding{
				find("a", true, rule.Medium, rule.Weak, rule.Enabled), find("b", false, rule.Low, rule.Strong, rule.Enabled),
				find("c", false, rule.High, rule.Moderate, rule.Enabled), find("d", false, rule.Critical, rule.Strong, rule.Observe),
			},
			&heard{rule.High, rule.Strong, rule.Enabled},
		},
	} {
		for turn := range len(test.findings) {
			order := slices.Concat(test.findings[turn:], test.findings[:turn], test.findings)
			a := New(&order[0])
			for i := range order {
				a.Add(&order[i])
			}
			got, ok := a.Aloud()
			if !ok || test.aloud == nil {
				if ok || test.aloud != nil {
					t.Errorf("%s, from %d on: told %v (loud %d)", test.name, turn, ok, a.Loud)
				}
				continue
			}
			if h := (heard{got.Severity, got.Strength, got.Stage}); h != *test.aloud || got.Revision != grade(h.stage, h.severity) {
				t.Errorf("%s, from %d on: %+v under %d, want %+v", test.name, turn, h, got.Revision, *test.aloud)
			}
		}
	}
}

// An alert that a quiet run opened again is closed to those who are told, until something else is found of it.
func TestQuietReopening(t *testing.T) {
	t.Parallel()
	f := exampleFinding()
	a := New(&f)
	first := a.Revision
	if got, _ := a.Aloud(); !reflect.DeepEqual(got, a) {
		t.Errorf("an alert of loud findings is told as %+v", got)
	}
	mark := func(s Status) {
		t.Helper()
		if err := a.Mark(Change{At: a.Last, By: "ada", Status: s}); err != nil {
			t.Fatal(err)
		}
	}
	told := func(status Status, revision int64) {
		t.Helper()
		if got, ok := a.Aloud(); !ok || got.Status != status || got.Revision != revision {
			t.Errorf("told %v: %s under %d, want %s under %d", ok, got.Status, got.Revision, status, revision)
		}
	}
	mark(Closed)
	told(Closed, first+100)
	if !a.Reopen(a.Last, true) || a.Status != Open || a.Revision != first+200 {
		t.Fatalf("%s under %d", a.Status, a.Revision)
	}
	told(Closed, first+100)
	if a.Reopen(a.Last, true) {
		t.Error("opened twice")
	}
	mark(Acknowledged)
	told(Closed, first+100)
	before := a
	if a.Reopen(a.Last, false) {
		t.Error("opened although it is open")
	}
	told(Acknowledged, first+200)
	if got, _ := before.Aloud(); got.Status != Closed {
		t.Error("the history of a copy has changed")
	}
	mark(Closed)
	told(Closed, first+300)
	a.Reopen(a.Last, false)
	told(Open, first+400)
}

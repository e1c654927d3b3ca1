package alert

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/rule"
)

// New returns the open alert of its first finding. Its Count is 0: counting is the business of whoever knows which
// findings are new.
func New(f *Finding) Alert {
	a := Alert{
		ID: f.AlertID, Tenant: f.Tenant, KeyName: f.KeyName, Key: f.Key, Day: f.Day(),
		First: f.At, Last: f.At, Status: Open,
	}
	a.Add(f)
	return a
}

// Add merges a finding of this alert into it. What comes of it depends on the set of the findings that were added, never
// on their order or repetition. Count is left alone.
func (a *Alert) Add(f *Finding) {
	a.addLoud(f)
	switch {
	case f.Stage > a.Stage:
		a.Stage, a.Severity, a.Strength = f.Stage, f.Severity, f.Strength
	case f.Stage == a.Stage:
		a.Severity, a.Strength = max(a.Severity, f.Severity), max(a.Strength, f.Strength)
	}
	if f.At.Before(a.First) {
		a.First = f.At
	}
	if f.At.After(a.Last) {
		a.Last = f.At
	}
	seen := Sighting{Finding: f.ID, At: f.At, Place: f.Place}
	lead := Lead{Sighting: seen, Stage: f.Stage, Severity: f.Severity, Strength: f.Strength}
	if a.Lead.Finding == "" || compareLeads(&lead, &a.Lead) < 0 {
		a.Lead, a.Rule, a.Subject, a.From, a.Suppressed = lead, f.Rule, f.Subject, f.From, f.Suppressed
		a.Facts = trueFacts(f.Facts)
	}
	a.Places = addPlace(a.Places, seen)
	a.revise(0)
}

// addLoud keeps Loud and LoudStrength. It is called before the finding is merged.
func (a *Alert) addLoud(f *Finding) {
	switch {
	case !f.From.Quiet && a.Loud > 0:
		stage := rule.Off // of the others
		if a.Loud > 1 {
			stage, _ = ungrade(a.Loud - 2)
		}
		switch {
		case a.Loud == 1 || f.Stage > stage:
			a.Loud, a.LoudStrength = 2+grade(f.Stage, f.Severity), f.Strength
		case f.Stage == stage:
			a.Loud, a.LoudStrength = max(a.Loud, 2+grade(f.Stage, f.Severity)), max(a.LoudStrength, f.Strength)
		}
	case f.From.Quiet && a.Loud == 0 && a.Lead.Finding == "":
		a.Loud = 1
	case f.From.Quiet && a.Loud == 0:
		a.Loud, a.LoudStrength = 2+grade(a.Stage, a.Severity), a.Strength
	}
}

// grade orders stages and severities in one number: ten times the stage, plus the severity.
func grade(stage rule.Stage, severity rule.Severity) int64 { return 10*int64(stage) + int64(severity) }

func ungrade(g int64) (rule.Stage, rule.Severity) {
	return rule.Stage(g / 10), rule.Severity(g % 10) //nolint:gosec // what grade has made
}

// Aloud returns the alert as those hear of it who are told of alerts: what quiet runs found makes it no graver and no stronger,
// and does not open it again. ok is false if only quiet runs have found anything: nobody is told.
func (a *Alert) Aloud() (out Alert, ok bool) {
	out = *a
	if a.Loud == 1 {
		return out, false
	}
	if a.Loud > 1 {
		out.Stage, out.Severity = ungrade(a.Loud - 2)
		out.Strength = a.LoudStrength
	}
	turns := int64(0)
	if t := a.turn(); t != nil && t.Quiet {
		out.Status, turns = Closed, -1
	}
	out.revise(turns)
	return out, true
}

// compareLeads orders findings from the gravest down; of equals the earliest comes first, then the one of least id.
func compareLeads(x, y *Lead) int {
	return cmp.Or(
		-cmp.Compare(x.Stage, y.Stage),
		-cmp.Compare(x.Severity, y.Severity),
		-cmp.Compare(x.Strength, y.Strength),
		compareSightings(x.Sighting, y.Sighting),
	)
}

func compareSightings(x, y Sighting) int {
	return cmp.Or(x.At.Compare(y.At), strings.Compare(string(x.Finding), string(y.Finding)))
}

// addPlace puts s in its place, unless it is there or comes after MaxPlaces others.
func addPlace(places []Sighting, s Sighting) []Sighting {
	i, found := slices.BinarySearchFunc(places, s, compareSightings)
	if found || i == MaxPlaces {
		return places
	}
	places = slices.Insert(places, i, s)
	return places[:min(len(places), MaxPlaces)]
}

func trueFacts(facts []rule.Fact) []rule.Fact {
	out := []rule.Fact{}
	for _, f := range facts {
		if f.Truth == rule.True {
			out = append(out, f)
		}
	}
	return out
}

// pause is how long a key must be quiet around midnight for the next day's alert to be news.
const pause = time.Hour

// Follows tells whether the alert goes on where the day before's alert of the same key ended. Once true of two alerts,
// it stays true however many findings either of them still gets.
func (a *Alert) Follows(before *Alert) bool {
	return a.ID.Previous() == before.ID && a.First.Sub(before.Last) < pause
}

// MayFollow tells whether the alert begins so early in its day that it may go on where another ended.
func (a *Alert) MayFollow() bool { return DayOf(a.First.Add(-pause)) != a.Day }

// MayBeFollowed tells whether the alert ends so late in its day that another may go on where it ended.
func (a *Alert) MayBeFollowed() bool { return DayOf(a.Last.Add(pause)) != a.Day }

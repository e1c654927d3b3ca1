package cli

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// The states of an alert in a run.
const (
	stateNew   = "new"   // this run created it
	stateKnown = "known" // the store had it already
)

// runDocument is what `assay detect --output json` writes.
type runDocument struct {
	Alerts  []alertDocument `json:"alerts"`
	Summary summary         `json:"summary"`
}

// newRunDocument returns the document of a run. It lists the alerts from the severity and the stage up; the summary
// counts all.
func newRunDocument(r *pipeline.Report, rules []*rule.Rule, known names, severity rule.Severity, stage rule.Stage) runDocument {
	d := runDocument{Alerts: []alertDocument{}, Summary: newSummary(r, rules)}
	for _, t := range r.Sorted(severity, stage) {
		d.Alerts = append(d.Alerts, newAlertDocument(&t.Alert, known).inRun(t))
	}
	relate(d.Alerts)
	return d
}

// alertDocument is an alert as `--output json` and `--output jsonl` write it. Scripts rely on its keys: they are only
// ever added to.
type alertDocument struct {
	ID       alert.ID      `json:"id"`
	RuleID   string        `json:"ruleId"`
	Title    string        `json:"title"`
	Leg      string        `json:"leg"`
	Why      string        `json:"why"`
	Severity rule.Severity `json:"severity"`
	Strength rule.Strength `json:"strength"`
	Stage    rule.Stage    `json:"stage"`
	Status   alert.Status  `json:"status"`
	Verdict  alert.Verdict `json:"verdict,omitempty"`

	Count      int64     `json:"count"`
	CountInRun int64     `json:"countInRun,omitempty"` // of detect only
	State      string    `json:"state,omitempty"`      // of detect only
	FirstSeen  time.Time `json:"firstSeen"`
	LastSeen   time.Time `json:"lastSeen"`
	Continues  bool      `json:"continues,omitempty"`

	Suppressed *alert.Suppression `json:"suppressed,omitempty"` // why it pages nobody although its rule does

	TenantID   string        `json:"tenantId"`
	TenantName string        `json:"tenantName,omitempty"`
	KeyName    string        `json:"keyName"`
	Key        string        `json:"key"`
	Subject    alert.Subject `json:"subject"`
	App        string        `json:"app,omitempty"`     // subject.app, else a name that we know for subject.appId, else the id
	Address    string        `json:"address,omitempty"` // subject.address

	// Related are others of the day about the same token, session or mailbox: of the run for detect, of the store for show.
	Related []relatedDocument `json:"related,omitempty"`

	Facts      []rule.Fact      `json:"facts"`
	Places     []string         `json:"places"`
	Provenance alert.Provenance `json:"provenance"`
}

// names are what people call tenants and applications.
type names struct {
	tenants map[string]string // by id
	apps    *reference.Data   // nil: none is known
}

// app returns the name of an application that reads mail, or "".
func (n names) app(tenant, id string) string {
	if n.apps == nil {
		return ""
	}
	if c, ok := n.apps.MailClient(tenant, id); ok {
		return c.Name
	}
	return ""
}

// newAlertDocument returns the document of an alert that stands in a store.
func newAlertDocument(a *alert.Alert, known names) alertDocument {
	d := alertDocument{
		ID: a.ID, RuleID: a.Rule.ID, Title: a.Rule.Title, Leg: a.Rule.Leg, Why: a.Rule.Why,
		Severity: a.Severity, Strength: a.Strength, Stage: a.Stage, Status: a.Status, Verdict: a.Verdict,
		Count: a.Count, FirstSeen: a.First.UTC(), LastSeen: a.Last.UTC(), Continues: a.Continues,
		Suppressed: a.Suppressed,
		TenantID:   a.Tenant, TenantName: known.tenants[a.Tenant], KeyName: a.KeyName, Key: a.Key, Subject: a.Subject,
		App: cmp.Or(a.Subject.App, known.app(a.Tenant, a.Subject.AppID), a.Subject.AppID), Address: a.Subject.Address,
		Facts: a.Facts, Places: make([]string, len(a.Places)), Provenance: a.From,
	}
	if d.Facts == nil {
		d.Facts = []rule.Fact{}
	}
	for i, p := range a.Places {
		d.Places[i] = p.Place
	}
	return d
}

// inRun adds what one run knows of the alert.
func (d alertDocument) inRun(t *pipeline.Touched) alertDocument {
	d.CountInRun, d.State = t.CountInRun, stateKnown
	if t.New {
		d.State = stateNew
	}
	return d
}

// summary tells what a run did. Records = Evaluated + Ignored + SetAside.
type summary struct {
	Records           int64            `json:"records"`
	Evaluated         int64            `json:"evaluated"`
	Ignored           int64            `json:"ignored"`
	IgnoredByCategory map[string]int64 `json:"ignoredByCategory"`
	SetAside          int64            `json:"setAside"`
	SetAsideByReason  map[string]int64 `json:"setAsideByReason"`
	// SetAsidePlaces are the places of the first records set aside, by reason.
	SetAsidePlaces map[string][]string `json:"setAsidePlaces"`
	// SetAsideDetails say what was wrong with the first of them, by reason.
	SetAsideDetails map[string]string `json:"setAsideDetails"`
	Findings        int64             `json:"findings"`
	NewFindings     int64             `json:"newFindings"`
	// Alerts counts, by severity, the alerts of rules that are enabled.
	Alerts map[string]int64 `json:"alerts"`
	// Observed counts, by rule, the alerts of rules that only observe.
	Observed map[string]int64 `json:"observed"`
	// Suppressed counts, by suppression, the findings that page nobody.
	Suppressed map[string]suppressed `json:"suppressed"`
	// Observing says, by rule, why it only observes.
	Observing    map[string]string `json:"observing"`
	NotEvaluable map[string]blind  `json:"notEvaluable"`
	// SkippedFiles counts the files in folders that are no logs.
	SkippedFiles int     `json:"skippedFiles"`
	Seconds      float64 `json:"seconds"`
}

// suppressed tells what a suppression has kept from paging.
type suppressed struct {
	Findings int64 `json:"findings"`
	Alerts   int64 `json:"alerts"` // those that page nobody because of it
	alert.Suppression
}

type blind struct {
	Records int64    `json:"records"`
	Missing []string `json:"missing"` // the one that was missing most often first
	times   map[string]int64
}

func newSummary(r *pipeline.Report, rules []*rule.Rule) summary {
	s := summary{
		Records: r.Records, Evaluated: r.Evaluated,
		IgnoredByCategory: orEmpty(r.Ignored), Ignored: total(r.Ignored),
		SetAsideByReason: orEmpty(r.SetAside), SetAside: total(r.SetAside), SetAsidePlaces: orEmpty(r.Examples), SetAsideDetails: orEmpty(r.Details),
		Findings: r.Findings, NewFindings: r.NewFindings,
		Alerts: map[string]int64{}, Observed: map[string]int64{}, Observing: map[string]string{}, Suppressed: map[string]suppressed{},
		NotEvaluable: map[string]blind{}, Seconds: r.Seconds,
	}
	for _, severity := range rule.Severities() {
		s.Alerts[severity.String()] = 0
	}
	for _, t := range r.Alerts {
		switch {
		case t.Alert.Stage == rule.Enabled:
			s.Alerts[t.Alert.Severity.String()]++
		case t.Alert.Suppressed != nil:
			x := s.Suppressed[t.Alert.Suppressed.Name]
			x.Suppression = *t.Alert.Suppressed
			x.Alerts++
			s.Suppressed[x.Name] = x
		default:
			s.Observed[t.Alert.Rule.ID]++
		}
	}
	for name, of := range r.Suppressed {
		s.Suppressed[name] = suppressed{Suppression: of.Suppression, Findings: of.Findings, Alerts: s.Suppressed[name].Alerts}
	}
	for _, rule := range rules {
		if s.Observed[rule.ID] > 0 || isObserving(rule) && rule.Lacks != "" {
			s.Observing[rule.ID] = rule.StageReason
		}
	}
	for id, b := range r.NotEvaluable {
		missing := slices.SortedFunc(maps.Keys(b.Missing), func(x, y string) int {
			return cmp.Or(cmp.Compare(b.Missing[y], b.Missing[x]), strings.Compare(x, y))
		})
		s.NotEvaluable[id] = blind{Records: b.Records, Missing: missing, times: b.Missing}
	}
	return s
}

func isObserving(r *rule.Rule) bool { return r.Stage == rule.Observe }

func total(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

func orEmpty[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}

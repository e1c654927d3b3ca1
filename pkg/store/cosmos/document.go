package cosmos

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// The types that tell the documents of the container alerts apart.
const (
	typeAlert   = "alert"
	typeFinding = "finding"
)

// isPlain tells whether a name can stand in a partition key as it is: tenant ids, hubs.
func isPlain(name string) bool {
	for _, c := range []byte(name) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return name != "" && len(name) <= 128
}

// partition returns the partition key of what belongs to a tenant, or a hub, on a UTC day. A name that an attacker made
// up stands in it as a hash: the SDK writes keys as Go literals, which are not JSON for every character.
func partition(name string, day alert.Day) string {
	if !isPlain(name) {
		sum := sha256.Sum256([]byte(name))
		name = "~" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
	}
	return name + "_" + string(day)
}

// isAlertID tells whether the id can be one of an alert's: eight digits that are a day, "-" and 26 characters of base32.
func isAlertID(id alert.ID) bool {
	day, hash, _ := strings.Cut(string(id), "-")
	return len(day) == 8 && strings.Trim(day, "0123456789") == "" && id.Day() != "" &&
		len(hash) == 26 && strings.Trim(hash, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// findingID returns the id of a finding's document. The alert's comes first: after a change of a rule the same
// finding can belong to another alert.
func findingID(a alert.ID, f alert.FindingID) string { return string(a) + "_" + string(f) }

// system are the properties that the service writes.
type system struct {
	ETag string `json:"_etag,omitempty"`
}

// alertDocument is an alert with what it is selected by. Everything in it that is an alert's is in the alert's own form.
type alertDocument struct {
	alert.Alert
	PK       string `json:"pk"`
	Type     string `json:"type"`
	TTL      int32  `json:"ttl"`
	Severity uint8  `json:"severityRank"` // numbers, which can be compared
	Stage    uint8  `json:"stageRank"`
	First    string `json:"first"` // times whose order is that of their texts
	Last     string `json:"last"`
	Call     string `json:"call"` // that wrote it last
	system
}

func (s *Store) alertDocument(a *alert.Alert, call string) ([]byte, error) {
	day, err := time.Parse(time.DateOnly, string(a.Day))
	if err != nil {
		return nil, fmt.Errorf("write alert %s: its day is %q", a.ID, a.Day)
	}
	return json.Marshal(&alertDocument{
		Alert: *a, PK: partition(a.Tenant, a.ID.Day()), Type: typeAlert, TTL: s.ttl(day),
		Severity: uint8(a.Severity), Stage: uint8(a.Stage), First: sortable(a.First), Last: sortable(a.Last), Call: call,
	})
}

// findingDocument is a finding. A claim has no more than the first of its fields.
type findingDocument struct {
	ID       string `json:"id"`
	PK       string `json:"pk"`
	Type     string `json:"type"`
	TTL      int32  `json:"ttl"`
	At       string `json:"at"`
	Event    string `json:"event"`
	Stage    uint8  `json:"stage"`
	Severity uint8  `json:"severity"`
	Strength uint8  `json:"strength"`
	Place    string `json:"place"`
	Run      string `json:"run"`
	Call     string `json:"call"` // that wrote it

	Suppression string `json:"suppression,omitempty"` // by name

	Finding string `json:"finding,omitempty"` // all of it as JSON, with its evidence; none: a claim
}

// findingDocument returns the document of a finding of the alert with the id.
func (s *Store) findingDocument(id alert.ID, pk string, f *alert.Finding, call string) ([]byte, error) {
	day, err := time.Parse(time.DateOnly, string(id.Day()))
	if err != nil {
		return nil, fmt.Errorf("write finding %s: its alert is %q", f.ID, id)
	}
	d := findingDocument{
		ID: findingID(id, f.ID), PK: pk, Type: typeFinding, TTL: s.ttl(day), At: sortable(f.At), Event: string(f.EventID),
		Stage: uint8(f.Stage), Severity: uint8(f.Severity), Strength: uint8(f.Strength), Place: f.Place, Run: f.From.Run, Call: call,
	}
	if f.Suppressed != nil {
		d.Suppression = f.Suppressed.Name
	}
	if f.Rule.ID != "" {
		text, err := json.Marshal(f)
		if err != nil {
			return nil, err
		}
		d.Finding = string(text)
	}
	return json.Marshal(&d)
}

func (d *findingDocument) finding(id alert.ID) (alert.Finding, error) {
	var f alert.Finding
	fid := strings.TrimPrefix(d.ID, string(id)+"_")
	if d.Finding != "" {
		if err := json.Unmarshal([]byte(d.Finding), &f); err != nil {
			return f, fmt.Errorf("finding %s: %w", fid, err)
		}
		return f, nil
	}
	at, err := time.Parse(timeLayout, d.At)
	if err != nil {
		return f, fmt.Errorf("finding %s: %w", fid, err)
	}
	f = alert.Finding{
		ID: alert.FindingID(fid), AlertID: id, EventID: event.ID(d.Event), At: at,
		Stage: rule.Stage(d.Stage), Severity: rule.Severity(d.Severity), Strength: rule.Strength(d.Strength),
		Place: d.Place, From: alert.Provenance{Run: d.Run},
	}
	if d.Suppression != "" {
		f.Suppressed = &alert.Suppression{Name: d.Suppression}
	}
	return f, nil
}

// lighter returns the finding without its record, or, if it has none, without its facts: what can be left out if the
// store refuses it. It tells whether there was something to leave out.
func lighter(f *alert.Finding) (alert.Finding, bool) {
	l := *f
	switch {
	case l.Record != nil || l.RecordCut != "":
		l.Record, l.RecordCut = nil, ""
	case l.Facts != nil:
		l.Facts = nil
	default:
		return l, false
	}
	return l, true
}

// sortable writes a time so that the order of texts is the order of times.
func sortable(t time.Time) string { return t.UTC().Format(timeLayout) }

const timeLayout = "2006-01-02T15:04:05.000000000Z"

// day returns the beginning of a time's UTC day.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

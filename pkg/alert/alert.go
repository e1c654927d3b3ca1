// Package alert holds findings and alerts: what they are, how their ids follow from content, and how
// findings add up to alerts.
//
// Glossary: a Finding says that one rule matched one event; an Alert is all findings of one rule, tenant and key in one
// UTC day of event time, and is what people see. Ids are made of content alone, so the same log line gives the
// same finding and the same alert wherever, however often and in whatever order it is processed.
//
// Everything in a finding was written by whoever made the log line, so every text is copied, made valid UTF-8 and
// bounded. It is not escaped: whoever shows it does that.
//
// The package is pure: no I/O, no clock. Keeping alerts is the business of package store.
package alert

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// ID identifies an alert: the day as yyyymmdd, a hyphen, and 26 characters of lower-case base32.
type ID string

// FindingID identifies a finding: 26 characters of lower-case base32 of a hash over rule and event.
type FindingID string

// Day is a UTC day of event time in the form 2006-01-02: the window of every alert.
type Day string

// DayOf returns the UTC day of t.
func DayOf(t time.Time) Day { return Day(t.UTC().Format(time.DateOnly)) }

// digest hashes the parts so that no two lists of parts collide: each is preceded by its length.
func digest(parts ...string) string {
	h := sha256.New()
	var n [8]byte
	for _, p := range parts {
		binary.LittleEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:16]))
}

// NewFindingID returns the id of the finding of a rule in an event.
func NewFindingID(ruleID string, ev event.ID) FindingID {
	return FindingID(digest("finding", ruleID, string(ev)))
}

// NewID returns the id of the alert that a finding belongs to.
func NewID(day Day, tenant, ruleID, key string) ID {
	return ID(strings.ReplaceAll(string(day), "-", "") + "-" + digest("alert", tenant, ruleID, key))
}

// Day returns the UTC day that the id begins with, or "" if the id is malformed.
func (id ID) Day() Day {
	t, err := time.Parse("20060102", strings.SplitN(string(id), "-", 2)[0])
	if err != nil {
		return ""
	}
	return DayOf(t)
}

// Next returns the id that an alert of the same tenant, rule and key has on the day after, or "" if the id is malformed.
func (id ID) Next() ID { return id.on(1) }

// Previous returns the id that an alert of the same tenant, rule and key has on the day before, or "" if the id is
// malformed.
func (id ID) Previous() ID { return id.on(-1) }

func (id ID) on(days int) ID {
	day, key, ok := strings.Cut(string(id), "-")
	t, err := time.Parse("20060102", day)
	if err != nil || !ok {
		return ""
	}
	return ID(t.AddDate(0, 0, days).Format("20060102") + "-" + key)
}

// Subject is whom and what an alert is about, as the log claims.
type Subject struct {
	User    string `json:"user,omitempty"` // user principal name, else object id
	UserID  string `json:"userId,omitempty"`
	App     string `json:"app,omitempty"` // display name, where the log gives one
	AppID   string `json:"appId,omitempty"`
	Address string `json:"address,omitempty"` // IP address
	Mailbox string `json:"mailbox,omitempty"` // owner's UPN, else the mailbox GUID
	TokenID string `json:"tokenId,omitempty"` // canonical GUID of the token id, else as logged
	Session string `json:"sessionId,omitempty"`
	KeyID   string `json:"keyId,omitempty"` // kid of the token's signing key
}

// RuleRef names the rule as it was when it fired.
type RuleRef struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Version int    `json:"version"`
	Leg     string `json:"leg"` // which of the rule's legs fired
	Why     string `json:"why"` // that leg's reason, one sentence
}

// Provenance says with what a finding was made.
type Provenance struct {
	Run       string `json:"run"`       // the run that created it: live, a replay's id, or a local run's id
	Assay     string `json:"assay"`     // program version
	Reference string `json:"reference"` // version of the reference data and configuration: a hash

	// Quiet says that its run tells nobody: a replay that was not asked to.
	Quiet bool `json:"quiet,omitempty"`
	// HistoryExpired says that the event's day was over the retention when it was found: what had been known of it before,
	// and what analysts had made of it, was gone.
	HistoryExpired bool `json:"historyExpired,omitempty"`
}

// ReplayPrefix begins the ids of replays, and of no other runs.
const ReplayPrefix = "replay-"

// Replay returns the id of the replay that made the finding, or "".
func (p *Provenance) Replay() string {
	if strings.HasPrefix(p.Run, ReplayPrefix) {
		return p.Run
	}
	return ""
}

// Finding says that one rule matched one event. It is immutable once stored.
type Finding struct {
	ID       FindingID     `json:"id"`
	AlertID  ID            `json:"alertId"`
	Rule     RuleRef       `json:"rule"`
	EventID  event.ID      `json:"eventId"`
	Kind     string        `json:"kind"`
	Category string        `json:"category"`
	Tenant   string        `json:"tenantId"`
	KeyName  string        `json:"keyName"`
	Key      string        `json:"key"` // bounded; the alert's id is made of the whole
	At       time.Time     `json:"at"`  // event time
	Severity rule.Severity `json:"severity"`
	Strength rule.Strength `json:"strength"`
	Stage    rule.Stage    `json:"stage"`
	Subject  Subject       `json:"subject"`
	Place    string        `json:"place"` // where the record stood: file:line, or hub/partition@sequence
	From     Provenance    `json:"provenance"`
	// Suppressed says why it pages nobody although its rule does; nil: it is not suppressed.
	Suppressed *Suppression `json:"suppressed,omitempty"`

	// Evidence is kept for the first findings of an alert only: see Claim.
	Facts      []rule.Fact     `json:"facts,omitempty"`      // all of them, whatever their truth
	Record     json.RawMessage `json:"record,omitempty"`     // the record without its white space, where it fits
	RecordHash string          `json:"recordHash,omitempty"` // SHA-256 of the raw record, hex
	RecordCut  string          `json:"recordCut,omitempty"`  // the start of a record that did not fit
}

// Day returns the UTC day of the event.
func (f *Finding) Day() Day { return DayOf(f.At) }

// Status is what analysts made of an alert.
type Status string

// The statuses.
const (
	Open         Status = "open"
	Acknowledged Status = "acknowledged"
	Closed       Status = "closed"
)

// Verdict is an analyst's judgement on a closed alert.
type Verdict string

// The verdicts. The last two keep an alert closed when more findings arrive.
const (
	NoVerdict     Verdict = ""
	TruePositive  Verdict = "true-positive"
	FalsePositive Verdict = "false-positive"
	Benign        Verdict = "benign"
)

// Change is an entry of an alert's history.
type Change struct {
	At      time.Time `json:"at"`
	By      string    `json:"by"` // who, or "assay"
	Status  Status    `json:"status"`
	Verdict Verdict   `json:"verdict,omitempty"`
	Note    string    `json:"note,omitempty"`

	// Quiet says that what a quiet run found opened the alert again, see Provenance.Quiet, and nothing else since.
	Quiet bool `json:"quiet,omitempty"`
}

// Sighting is where one finding of an alert stood.
type Sighting struct {
	Finding FindingID `json:"finding"`
	At      time.Time `json:"at"`
	Place   string    `json:"place"`
}

// Lead is the gravest finding of an alert.
type Lead struct {
	Sighting
	Stage    rule.Stage    `json:"stage"`
	Severity rule.Severity `json:"severity"`
	Strength rule.Strength `json:"strength"`
}

// Alert is all findings of one rule, tenant and key in one UTC day. Everything in it that is not an analyst's is a
// function of the set of its findings, not of the order in which they came.
//
// Its JSON form is described by alert.v1.schema.json in this folder.
type Alert struct {
	ID        ID            `json:"id"`
	Rule      RuleRef       `json:"rule"` // of the gravest finding
	Tenant    string        `json:"tenantId"`
	KeyName   string        `json:"keyName"`
	Key       string        `json:"key"`
	Day       Day           `json:"day"`
	Severity  rule.Severity `json:"severity"` // the maximum of its findings of that stage
	Strength  rule.Strength `json:"strength"` // the maximum of its findings of that stage
	Stage     rule.Stage    `json:"stage"`    // the maximum of its findings
	Count     int64         `json:"count"`    // of findings
	First     time.Time     `json:"firstSeen"`
	Last      time.Time     `json:"lastSeen"`
	Subject   Subject       `json:"subject"`             // of the gravest finding
	Facts     []rule.Fact   `json:"facts"`               // of the gravest finding: the ones that are true
	Lead      Lead          `json:"lead"`                // the gravest finding; of equals the earliest, then the one of least id
	Places    []Sighting    `json:"places"`              // the first findings by event time, then id; at most MaxPlaces
	Continues bool          `json:"continues,omitempty"` // the key had an alert the day before that ended less than an hour earlier
	// Suppressed is that of the gravest finding: where it is set, nothing in the alert pages anybody.
	Suppressed *Suppression `json:"suppressed,omitempty"`

	Status  Status   `json:"status"`
	Verdict Verdict  `json:"verdict,omitempty"`
	History []Change `json:"history,omitempty"` // oldest first, bounded

	// Revision rises, not always by one, when the stage or severity rises and when the alert is closed or reopened; what
	// subscribers are told of is a revision. It is a hundred for each closing or reopening, plus ten times the
	// stage, plus the severity, so that the same content has the same revision in every store.
	Revision int64 `json:"revision"`

	From Provenance `json:"provenance"` // of the gravest finding

	// Loud tells what is known of the alert without its quiet findings, see Provenance.Quiet: 0, there are none of those; 1,
	// there are only those; above, the grade of the others plus 2, and LoudStrength is their strength. See Aloud.
	Loud         int64         `json:"loud,omitempty"`
	LoudStrength rule.Strength `json:"loudStrength,omitempty"`
}

// Bounds of what is kept.
const (
	MaxEvidenced = 20       // findings of an alert that keep evidence
	MaxEvidence  = 16 << 10 // bytes of evidence of one finding, as JSON: facts and record
	MaxPlaces    = 20       // places listed in an alert
	MaxAlert     = 64 << 10 // bytes of an alert, as JSON
	MaxCopy      = 4 << 10  // bytes of the copy of what is set aside, as JSON
)

// SetAside is a record, or a part of a transport, that could not be read or does not belong.
type SetAside struct {
	ID     string    `json:"id"` // from content and place
	Reason string    `json:"reason"`
	Detail string    `json:"detail"`
	Place  string    `json:"place"`
	Source string    `json:"source"` // file or hub
	Copy   string    `json:"copy"`   // bounded
	Hash   string    `json:"hash"`   // SHA-256 of what was read of it, hex
	Seen   time.Time `json:"seen"`   // when it was set aside
	Run    string    `json:"run"`
}

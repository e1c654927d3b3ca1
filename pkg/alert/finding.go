package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// latest is the last instant that JSON can hold. An attacker can write a time whose zone carries it beyond.
var latest = time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)

// Evidence is the record that an event was read from.
type Evidence struct {
	Record string // as it was received
	Place  string // file:line, or hub/partition@sequence
}

// NewFinding returns the finding of a verdict that is True. It shares no memory with the event or the record.
func NewFinding(v *rule.Verdict, ev *event.Event, e Evidence, from Provenance) Finding {
	at := ev.Time.V.UTC().Round(0)
	if at.After(latest) {
		at = latest
	}
	f := Finding{
		ID:      NewFindingID(v.Rule.ID, ev.ID),
		AlertID: NewID(DayOf(at), ev.Tenant, v.Rule.ID, v.Key),
		Rule: RuleRef{
			ID: clip(v.Rule.ID, maxText), Title: clip(v.Rule.Title, maxText), Version: v.Rule.Version,
		},
		EventID:  event.ID(clip(string(ev.ID), maxText)),
		Kind:     ev.Kind.String(),
		Category: clip(ev.Category, maxText),
		Tenant:   clip(ev.Tenant, maxText),
		KeyName:  clip(v.Rule.Key.Name, maxText),
		Key:      clip(v.Key, maxText),
		At:       at,
		Severity: v.Severity,
		Strength: v.Strength,
		Stage:    v.Stage,
		Subject:  subject(ev),
		Place:    clipStart(e.Place, maxPlace),
		From: Provenance{
			Run: clip(from.Run, maxText), Assay: clip(from.Assay, maxText), Reference: clip(from.Reference, maxText),
			Quiet: from.Quiet, HistoryExpired: from.HistoryExpired,
		},
		RecordHash: hash(e.Record),
	}
	if v.Leg != nil {
		f.Rule.Leg, f.Rule.Why = clip(v.Leg.ID, maxText), clip(v.Leg.Why, maxWhy)
	}
	var used int
	f.Facts, used = boundFacts(v.Facts)
	f.Record, f.RecordCut = boundRecord(e.Record, MaxEvidence-used)
	return f
}

// Claim returns the finding without its evidence: what is kept of the findings after the first MaxEvidenced ones of an
// alert. What it leaves out that is no evidence is the same in the alert.
func (f *Finding) Claim() Finding {
	c := Finding{
		ID: f.ID, AlertID: f.AlertID, EventID: f.EventID, At: f.At,
		Severity: f.Severity, Strength: f.Strength, Stage: f.Stage,
		Place: f.Place, From: Provenance{Run: f.From.Run},
	}
	if f.Suppressed != nil {
		c.Suppressed = &Suppression{Name: f.Suppressed.Name}
	}
	return c
}

// subject gathers whom and what the event names, from the fields that its kind fills.
func subject(ev *event.Event) Subject {
	s := Subject{
		User:    first(ev.Actor.Name, ev.Actor.ObjectID),
		UserID:  first(ev.Actor.ObjectID),
		App:     first(ev.App.Name),
		AppID:   first(ev.App.ID),
		Session: first(ev.Token.SessionID),
		TokenID: tokenID(ev.Token.ID),
	}
	if ev.Net.IP.OK() {
		s.Address = ev.Net.IP.V.String()
	}
	switch ev.Kind {
	case event.Audit:
		s.Mailbox = first(ev.Audit.MailboxOwner, ev.Audit.Mailbox)
	case event.TokenObserved:
		s.User = first(ev.Actor.Name, ev.Actor.ObjectID, ev.Token.ObjectID, ev.Token.Subject)
		s.UserID = first(ev.Actor.ObjectID, ev.Token.ObjectID)
		s.AppID = first(ev.App.ID, ev.Token.AppID, ev.Token.AuthorizedParty)
		s.KeyID = first(ev.Token.KeyID, ev.Token.Thumbprint)
	case event.AssertionObserved:
		s.AppID = first(ev.SAML.Audience)
	case event.DirectoryChange:
		s.User = first(ev.Actor.Name, ev.Directory.InitiatorUPN, ev.Directory.InitiatorName, ev.Actor.ObjectID)
		s.App = first(ev.App.Name, ev.Directory.InitiatorApp)
	case event.SignIn, event.GraphActivity, event.Risk, event.KindNone:
	}
	return s
}

// first returns the first of the texts that is logged and not empty.
func first(ts ...event.Text) string {
	for _, t := range ts {
		if t.OK() && t.V != "" {
			return clip(t.V, maxText)
		}
	}
	return ""
}

// tokenID shows both encodings of a token id as the one GUID that they stand for, so that a person can search for it.
func tokenID(t event.Text) string {
	if !t.OK() {
		return ""
	}
	if g, err := event.ParseTokenID(t.V); err == nil {
		return g.String()
	}
	return clip(t.V, maxText)
}

// maxFacts bounds the facts of a finding, in bytes of JSON. What remains of MaxEvidence is the record's.
const maxFacts = 8 << 10

// boundFacts copies the facts that fit into maxFacts, those that are true before the others, in their order. It
// returns the bytes of JSON that they take.
func boundFacts(facts []rule.Fact) ([]rule.Fact, int) {
	clipped := make([]rule.Fact, len(facts))
	keep := make([]bool, len(facts))
	used := 0
	for _, wantTrue := range []bool{true, false} {
		for i, f := range facts {
			if (f.Truth == rule.True) != wantTrue {
				continue
			}
			c := rule.Fact{
				Field: clip(f.Field, maxText), Value: clip(f.Value, maxText), Op: clip(f.Op, maxText),
				Operand: clip(f.Operand, maxText), Truth: f.Truth,
			}
			size := len(`{"field":"","value":"","op":"","operand":"","truth":"unknown"},`) +
				jsonLen(c.Field) + jsonLen(c.Value) + jsonLen(c.Op) + jsonLen(c.Operand)
			if used+size > maxFacts {
				continue
			}
			clipped[i], keep[i] = c, true
			used += size
		}
	}
	var out []rule.Fact
	for i := range clipped {
		if keep[i] {
			out = append(out, clipped[i])
		}
	}
	return out, used
}

// boundRecord returns the record as JSON that takes at most limit bytes, or its start as text. The JSON is compact and
// escaped as encoding/json writes it, so that it reads back from a store byte by byte as it went in.
func boundRecord(record string, limit int) (json.RawMessage, string) {
	// Escapes aside, only white space can be saved: what is many times too long need not be tried.
	if len(record) <= 4*limit && utf8.ValidString(record) {
		if text, err := jsontext.AppendFormat(nil, []byte(record), asEncodingJSON...); err == nil && len(text) <= limit {
			return text, ""
		}
	}
	return nil, clip(record, limit)
}

// asEncodingJSON makes jsontext write what encoding/json writes for a json.RawMessage, in a quarter of the time.
var asEncodingJSON = []jsontext.Options{
	jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), // lone surrogates, as escapes
	jsontext.PreserveRawStrings(true), jsontext.EscapeForHTML(true), jsontext.EscapeForJS(true),
}

func hash(s string) string {
	h := sha256.New()
	_, _ = strings.NewReader(s).WriteTo(h) // a hash returns no error
	return hex.EncodeToString(h.Sum(nil))
}

// NewSetAside returns what is kept of a record, or of a part of a transport, that could not be read. Seen and Run are
// the caller's. The same text at the same place that is set aside for the same reason has the same id.
func NewSetAside(reason, detail, place, source, text string) SetAside {
	h := hash(text)
	return SetAside{
		ID:     digest("set-aside", reason, place, h),
		Reason: clip(reason, maxText), Detail: clip(detail, maxWhy),
		Place: clipStart(place, maxPlace), Source: clipStart(source, maxPlace),
		Copy: clip(text, MaxCopy), Hash: h,
	}
}

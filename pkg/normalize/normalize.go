// Package normalize turns records into events: it recognises the feed that a record came from, reads
// its fields in that feed's spellings and types, and derives the event's identity.
//
// It undoes JSON in strings (AuditData, RawEventData, Log Analytics cells) and knows what names, numbers and words of
// Microsoft's logs mean. It does not split transports (package envelope), does not parse JSON (package decode),
// and judges nothing (package rules). A value that is not of the form that its field asks for is
// Unreadable in the event; only a record whose kind, time or JSON cannot be read is refused.
package normalize

import (
	"errors"
	"fmt"
	"strings"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
)

// UnknownTenant is the tenant of an event whose log names none.
const UnknownTenant = "unknown"

// Outcome says what became of a record.
type Outcome uint8

// The outcomes. Each record has exactly one, so records = normalised + ignored + refused.
const (
	Normalised Outcome = iota // the event is filled
	Ignored                   // of a known category that no rule reads
	Refused                   // could not be read, or does not belong: to be set aside
)

// Result is the outcome for one record.
type Result struct {
	Outcome  Outcome
	Category string // as the log names it; "" if it was not recognised. It may alias the record
	Reason   string // of a refusal: kebab-case, counted
	Detail   string // of a refusal: one sentence for a person
}

func refuse(category, reason, detail string) Result {
	return Result{Outcome: Refused, Category: category, Reason: reason, Detail: detail}
}

// Normalizer makes events of records. It is immutable and safe for concurrent use; Scratch is not.
type Normalizer struct {
	decoder decode.Decoder
	tenant  string

	wanted *decode.Wanted // nil: no extras
	extras [][]decode.Slot
	record bool // events hold their record
}

// New returns a normalizer. Events whose log names no tenant belong to tenant; "" means UnknownTenant.
func New(d decode.Decoder, tenant string) *Normalizer {
	if tenant == "" {
		tenant = UnknownTenant
	}
	return &Normalizer{decoder: d, tenant: strings.ToLower(tenant)}
}

// With returns a normalizer whose events hold the extras, in this order, and their record if it is asked for.
func (n *Normalizer) With(extras []decode.Extra, record bool) (*Normalizer, error) {
	more := *n
	more.record = record
	if len(extras) > 0 {
		var err error
		if more.wanted, more.extras, err = decode.Want(extras...); err != nil {
			return nil, fmt.Errorf("look for further values: %w", err)
		}
	}
	return &more, nil
}

// Scratch is the memory that one worker lends to Normalize. The zero value is ready for use. The event of
// the last call may alias it.
type Scratch struct {
	record decode.Values // of the record itself
	nested decode.Values // of a small value inside it: one pair, one claim set
	lists  [8][]string
	used   int
	inner  string // the audit record, where it came as JSON in a string
	fill   reader
	extra  []event.Text

	elements []decode.Value // of the array that was read last
	gather   func(decode.Value) error
}

// maxElements bounds the elements for which memory is kept from one record to the next.
const maxElements = 1 << 10

func (s *Scratch) reset() {
	s.record.Reset()
	s.nested.Reset()
	s.used = 0
	s.inner = ""
	clear(s.elements)
	if s.elements = s.elements[:0]; cap(s.elements) > maxElements {
		s.elements = nil
	}
}

// array returns the elements of an array, which are valid until the next call.
func (s *Scratch) array(d decode.Decoder, raw string) ([]decode.Value, error) {
	if s.gather == nil { // once: a function that is handed to an interface is allocated
		s.gather = func(v decode.Value) error {
			s.elements = append(s.elements, v)
			return nil
		}
	}
	s.elements = s.elements[:0]
	err := d.Array(raw, s.gather)
	return s.elements, err
}

// list returns an empty list that is reused for the next record.
func (s *Scratch) list() *[]string {
	if s.used == len(s.lists) {
		return new([]string)
	}
	l := &s.lists[s.used]
	s.used++
	*l = (*l)[:0]
	return l
}

// Normalize reads the record into ev, which it overwrites. ev.ID stays empty: see Identify.
func (n *Normalizer) Normalize(r *envelope.Record, s *Scratch, ev *event.Event) Result {
	if n.wanted != nil {
		s.record.Want(n.wanted)
	}
	s.reset()
	*ev = event.Event{}
	if err := n.decoder.Object(r.Body, decode.Root, &s.record); err != nil {
		return refuse("", reason(err), err.Error())
	}
	kind, category, ok := recognise(&s.record)
	if !ok {
		return refuse("", "unrecognised-format", "the record is of no log format that Assay knows")
	}
	if kind == event.KindNone {
		return Result{Outcome: Ignored, Category: category}
	}
	if kind == event.Audit {
		if err := n.unwrapAudit(s); err != nil {
			return refuse(category, reason(err), "the audit record inside: "+err.Error())
		}
		if category == "" || category == "Audit" {
			category = auditCategory(&s.record)
		}
	}
	ev.Kind, ev.Category = kind, category
	s.fill = reader{n: n, s: s, v: &s.record, ev: ev}
	f := &s.fill
	switch kind {
	case event.SignIn:
		f.signIn()
	case event.Audit:
		f.audit()
	case event.GraphActivity:
		f.graph()
	case event.TokenObserved:
		f.token()
	case event.Risk:
		f.risk()
	case event.DirectoryChange:
		f.directory()
	case event.AssertionObserved:
		f.assertion()
	case event.KindNone: // ignored above
	}
	if n.wanted != nil {
		f.extras()
	}
	if n.record {
		ev.Record = unwrapped(r, s)
	}
	if ev.Time.State != event.Present {
		return refuse(category, "event-time-"+ev.Time.State.String(),
			"the time at which it happened is "+ev.Time.State.String()+"; the time of logging does not stand in for it")
	}
	if ev.Tenant == "" {
		ev.Tenant = n.tenant
	}
	return Result{Outcome: Normalised, Category: category}
}

func reason(err error) string {
	var de *decode.Error
	if errors.As(err, &de) {
		return de.Reason()
	}
	return "invalid-json"
}

// unwrapAudit decodes the audit record where it stands as JSON in a string.
func (n *Normalizer) unwrapAudit(s *Scratch) error {
	if a := s.record.Get(decode.SlotAuditData); a.Kind == decode.String {
		// The columns beside AuditData repeat it in Purview's own types: only the record itself counts.
		s.inner = a.Text
		s.record.Reset()
		return n.decoder.Object(s.inner, decode.Root, &s.record)
	}
	if raw := s.record.Get(decode.SlotRawEventData); raw.Kind == decode.String {
		s.inner = raw.Text
		return n.decoder.Object(s.inner, decode.RawEvent, &s.record)
	}
	return nil
}

// reader fills one event from the values of one record.
type reader struct {
	n  *Normalizer
	s  *Scratch
	v  *decode.Values
	ev *event.Event
}

// extras reads what was asked for beside what the event has fields for.
func (f *reader) extras() {
	f.s.extra = f.s.extra[:0]
	for _, slots := range f.n.extras {
		v := f.v.First(slots)
		t := text(v)
		if v.Kind == decode.Object || v.Kind == decode.Array {
			t = event.Of(v.Text)
		}
		f.s.extra = append(f.s.extra, t)
	}
	f.ev.Extra = f.s.extra
}

// text returns the first slot that holds a text that is not empty, else the first that the record has at all.
func (f *reader) text(slots ...decode.Slot) event.Text {
	var best event.Text
	for _, s := range slots {
		t := text(f.v.Get(s))
		if t.State == event.Present && t.V != "" {
			return t
		}
		if best.State == event.Absent {
			best = t
		}
	}
	return best
}

// address returns the first slot that holds an address, else what the first filled one is.
func (f *reader) address(slots ...decode.Slot) event.Addr {
	var best event.Addr
	for _, s := range slots {
		a := address(f.v.Get(s))
		if a.State == event.Present {
			return a
		}
		if best.State == event.Absent {
			best = a
		}
	}
	return best
}

// time returns the first slot that was logged.
func (f *reader) time(slots ...decode.Slot) event.Time {
	for _, s := range slots {
		if t := instant(f.v.Get(s)); t.State != event.Absent {
			return t
		}
	}
	return event.Time{}
}

// tenant sets the event's tenant to the first slot that holds one that is not a placeholder.
func (f *reader) tenant(slots ...decode.Slot) {
	for _, s := range slots {
		if t := text(f.v.Get(s)); t.State == event.Present && t.V != "" {
			f.ev.Tenant = strings.ToLower(t.V)
			return
		}
	}
}

// list reads an array of scalars, the same as JSON in a string, or a text split at commas.
func (f *reader) list(slot decode.Slot) event.List {
	v := f.v.Get(slot)
	switch v.Kind {
	case decode.Array:
		return f.elements(v.Text)
	case decode.String:
		t := strings.TrimSpace(v.Text)
		if strings.HasPrefix(t, "[") {
			if l := f.elements(t); l.State == event.Present {
				return l
			}
		}
		out := f.s.list()
		for part := range strings.SplitSeq(strings.Trim(t, "[]"), ",") {
			if part = strings.TrimSpace(part); part != "" {
				*out = append(*out, part)
			}
		}
		return event.Of(*out)
	case decode.Null:
		return event.List{State: event.Null}
	case decode.Absent:
		return event.List{}
	case decode.Number, decode.True, decode.False, decode.Object:
	}
	return event.List{State: event.Unreadable}
}

func (f *reader) elements(raw string) event.List {
	elements, err := f.s.array(f.n.decoder, raw)
	if err != nil {
		return event.List{State: event.Unreadable}
	}
	out := f.s.list()
	for _, e := range elements {
		if t := text(e); t.State == event.Present {
			*out = append(*out, t.V)
		}
	}
	return event.Of(*out)
}

// count returns the number of elements of an array, or of one in a string.
func (f *reader) count(slot decode.Slot) event.Int {
	v := f.v.Get(slot)
	switch v.Kind {
	case decode.Absent:
		return event.Int{}
	case decode.Null:
		return event.Int{State: event.Null}
	case decode.String, decode.Array:
		if strings.TrimSpace(v.Text) == "" {
			return event.Int{}
		}
		if elements, err := f.s.array(f.n.decoder, v.Text); err == nil {
			return event.Of(int64(len(elements)))
		}
	case decode.Number, decode.True, decode.False, decode.Object:
	}
	return event.Int{State: event.Unreadable}
}

// holds tells whether an object, or one in a string, has any member.
func (f *reader) holds(slots ...decode.Slot) event.Flag {
	for _, slot := range slots {
		v := f.v.Get(slot)
		switch v.Kind {
		case decode.Absent:
			continue
		case decode.Null:
			return event.Flag{State: event.Null}
		case decode.Object, decode.String:
			t := strings.TrimSpace(v.Text)
			if t == "" && v.Kind == decode.String {
				continue
			}
			if members, ok := strings.CutPrefix(t, "{"); ok {
				return event.Of(strings.TrimSpace(members) != "}")
			}
			return event.Flag{State: event.Unreadable}
		case decode.Number, decode.True, decode.False, decode.Array:
			return event.Flag{State: event.Unreadable}
		}
	}
	return event.Flag{}
}

// pairs hands the names and values of a list of {Name, Value} objects to yield: an array, an array in a string, or an
// array of what PowerShell prints for such objects ("@{Value=Bind; Name=MailAccessType}").
// It reports whether the list could be read.
func (f *reader) pairs(v decode.Value, yield func(name, value string)) event.State {
	switch v.Kind {
	case decode.Absent:
		return event.Absent
	case decode.Null:
		return event.Null
	case decode.String:
		if strings.TrimSpace(v.Text) == "" {
			return event.Absent
		}
	case decode.Array:
	case decode.Number, decode.True, decode.False, decode.Object:
		return event.Unreadable
	}
	elements, err := f.s.array(f.n.decoder, v.Text)
	if err != nil {
		return event.Unreadable
	}
	for _, e := range elements {
		switch e.Kind {
		case decode.Object:
			f.s.nested.Reset()
			if err := f.n.decoder.Object(e.Text, decode.Pair, &f.s.nested); err != nil {
				return event.Unreadable
			}
			value := f.s.nested.Get(decode.SlotPairValue)
			yield(text(f.s.nested.Get(decode.SlotPairName)).V, scalarOrRaw(value))
		case decode.String:
			name, value := powerShellPair(e.Text)
			yield(name, value)
		case decode.Absent, decode.Null, decode.Number, decode.True, decode.False, decode.Array:
		}
	}
	return event.Present
}

func scalarOrRaw(v decode.Value) string {
	if v.Kind == decode.Object || v.Kind == decode.Array {
		return v.Text
	}
	return text(v).V
}

func powerShellPair(s string) (name, value string) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "@{"), "}")
	for part := range strings.SplitSeq(s, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch k {
		case "Name":
			name = v
		case "Value":
			value = v
		}
	}
	return name, value
}

// Package suppress decides which findings page nobody because somebody has said why, for whom and until when.
//
// A suppression is compared with the finding and its event, never with a clock: it holds for events up to the end of its last day. So
// a replay agrees with what was decided live, and an event that arrives late is judged by what held when it happened.
// A suppressed finding is stored and counted like any other, and says which suppression it was. A finding that a store has
// already stays as it was judged then.
//
// The package is pure. What the configuration may say is the business of package config.
package suppress

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/event"
)

// Suppression is one entry of the configuration.
type Suppression struct {
	alert.Suppression

	Rules []string // ids; at least one
	Match Match
}

// Match says which findings of the rules are meant: those for which each part that is given holds, and a part holds if one of
// its values does. Texts are compared whatever the case of their ASCII letters. What was not logged holds nowhere.
type Match struct {
	Tenants   []string       // the tenant of the event
	Users     []string       // user principal names or object ids
	Apps      []string       // client ids
	Mailboxes []string       // addresses or GUIDs
	Addresses []netip.Prefix // a single address is a prefix of all its bits
	Fields    []Field
}

// Field is a field of the event with the values that are meant. A value that ends in * stands for all that begin as it does.
type Field struct {
	Path   string
	Values []string
}

// Set is an immutable set of suppressions. It is safe for concurrent use. A nil Set is empty.
type Set struct{ byRule map[string][]*entry }

type entry struct {
	*Suppression
	fields []field
}

type field struct {
	event.Field[string]
	values []string
}

// New returns the set. Of several that hold, the first counts. A field that is not among event.TextFields never
// holds.
func New(all []Suppression) *Set {
	known := map[string]event.Field[string]{}
	for _, f := range event.TextFields() {
		known[f.Path] = f
	}
	s := &Set{byRule: map[string][]*entry{}}
	for _, one := range all {
		e := &entry{Suppression: &one}
		for _, f := range one.Match.Fields {
			e.fields = append(e.fields, field{known[f.Path], f.Values})
		}
		for _, id := range one.Rules {
			s.byRule[id] = append(s.byRule[id], e)
		}
	}
	return s
}

// Find returns the first suppression that holds for the finding, which was made of the event, or nil.
func (s *Set) Find(f *alert.Finding, ev *event.Event) *alert.Suppression {
	if s == nil {
		return nil
	}
	for _, e := range s.byRule[f.Rule.ID] {
		if f.Day() <= e.Expires && e.matches(f, ev) {
			return &e.Suppression.Suppression
		}
	}
	return nil
}

func (e *entry) matches(f *alert.Finding, ev *event.Event) bool {
	m := &e.Match
	for _, part := range []struct{ wanted, got []string }{
		{m.Tenants, []string{ev.Tenant}},
		{m.Users, []string{f.Subject.User, f.Subject.UserID}},
		{m.Apps, []string{f.Subject.AppID}},
		{m.Mailboxes, []string{logged(ev.Audit.Mailbox), logged(ev.Audit.MailboxOwner)}},
	} {
		if len(part.wanted) > 0 && !slices.ContainsFunc(part.got, func(text string) bool {
			return slices.ContainsFunc(part.wanted, func(v string) bool { return text != "" && equal(v, text) })
		}) {
			return false
		}
	}
	if len(m.Addresses) > 0 {
		ip := ev.Net.IP
		if !ip.OK() || !slices.ContainsFunc(m.Addresses, func(p netip.Prefix) bool { return p.Contains(ip.V.Unmap()) }) {
			return false
		}
	}
	return !slices.ContainsFunc(e.fields, func(f field) bool { return !f.holds(ev) })
}

func (f *field) holds(ev *event.Event) bool {
	if f.Get == nil {
		return false
	}
	text := logged(*f.Get(ev))
	return text != "" && slices.ContainsFunc(f.values, func(v string) bool {
		if begin, ok := strings.CutSuffix(v, "*"); ok {
			return len(text) >= len(begin) && equal(text[:len(begin)], begin)
		}
		return equal(text, v)
	})
}

func logged(t event.Text) string {
	if !t.OK() {
		return ""
	}
	return t.V
}

// equal compares texts whatever the case of their ASCII letters. Unicode folds more: to it, a forger's Kelvin sign is a k.
func equal(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

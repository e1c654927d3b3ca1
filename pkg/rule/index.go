package rule

import (
	"math"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/assay-sec/assay/pkg/event"
)

// fewest is how many rules must ask for values of one field before they are found by the value.
const fewest = 8

// plan says which rules of a kind an event can concern. Most rules of a large set ask whether one text is one of some
// values; where it was logged and is none of them, the rule is False, and need not be looked at.
type plan struct {
	read    bool  // some rule reads the kind
	always  []int // places of rules, ascending
	lookups []lookup

	rules   []*compiled // by place; nil: False for every event of the kind
	answers int         // that are remembered of an event
}

// lookup finds the rules that ask for values of one field.
type lookup struct {
	get     func(*event.Event) *event.Text
	all     []int            // for events that do not tell the text: these rules are Unknown, or more
	by      map[string][]int // by the canonical form of a value
	longest int              // of the values, in bytes
}

// guard says that a predicate is False wherever the field was logged and is none of the values, whatever the case.
type guard struct {
	field  event.Field[string]
	values []string
}

// newPlan plans the rules at the places. A field has a lookup if at least so many rules ask for its values.
func newPlan(rules []*Rule, places []int, kind event.Kind, atLeast int) plan {
	var p plan
	p.read = len(places) > 0
	p.rules, p.answers = share(rules, places, kind)
	// Two fields are the same if they are the same place of an event.
	probe := &event.Event{}
	guards := make([]*guard, len(places))
	asked := map[*event.Text]int{}
	for n, i := range places {
		if g, ok := rules[i].guard(probe); ok {
			guards[n] = &g
			asked[g.field.Get(probe)]++
		}
	}
	at := map[*event.Text]int{}
	for n, i := range places {
		g := guards[n]
		if p.rules[i] == nil {
			continue
		}
		if g == nil || asked[g.field.Get(probe)] < atLeast {
			p.always = append(p.always, i)
			continue
		}
		where, ok := at[g.field.Get(probe)]
		if !ok {
			where = len(p.lookups)
			at[g.field.Get(probe)] = where
			p.lookups = append(p.lookups, lookup{get: g.field.Get, by: map[string][]int{}})
		}
		p.lookups[where].add(i, g.values)
	}
	return p
}

func (l *lookup) add(rule int, values []string) {
	l.all = append(l.all, rule)
	for _, v := range values {
		key := string(appendCanonical(nil, v))
		l.longest = max(l.longest, len(key))
		if of := l.by[key]; len(of) == 0 || of[len(of)-1] != rule { // the same value in two legs, or cases
			l.by[key] = append(of, rule)
		}
	}
}

// due returns the places of the rules that are not certain to be False, ascending.
func (p *plan) due(ev *event.Event, s *Scratch) []int {
	if len(p.lookups) == 0 {
		return p.always
	}
	s.due = append(s.due[:0], p.always...)
	for i := range p.lookups {
		l := &p.lookups[i]
		v := l.get(ev)
		switch {
		case v.State != event.Present:
			s.due = append(s.due, l.all...)
		case len(v.V) <= utf8.UTFMax*l.longest: // a character of a longer text is at least a byte of its key
			s.key = appendCanonical(s.key[:0], v.V)
			s.due = append(s.due, l.by[string(s.key)]...)
		}
	}
	slices.Sort(s.due)
	return s.due
}

// guard returns the narrowest guard of the rule: of its scope, or one that all its legs have on the same field.
func (r *Rule) guard(probe *event.Event) (guard, bool) {
	best, fewest := guard{}, math.MaxInt
	offer := func(g guard) {
		if len(g.values) < fewest {
			best, fewest = g, len(g.values)
		}
	}
	var common []guard
	first := true
	for i := range r.Legs {
		l := &r.Legs[i]
		if r.stageOf(l) == Off {
			continue
		}
		own := guardsOf(l.When)
		if first {
			common, first = own, false
			continue
		}
		common = both(common, own, probe)
	}
	for _, g := range common {
		offer(g)
	}
	if r.Scope != nil {
		for _, g := range guardsOf(r.Scope) {
			offer(g)
		}
	}
	return best, fewest < math.MaxInt
}

// both returns the guards of a disjunction whose two sides have the given ones.
func both(a, b []guard, probe *event.Event) []guard {
	var out []guard
	for _, g := range a {
		for _, h := range b {
			if g.field.Get(probe) == h.field.Get(probe) {
				out = append(out, guard{g.field, slices.Concat(g.values, h.values)})
				break
			}
		}
	}
	return out
}

// guardsOf returns the guards of a comparison, or those of any part of a conjunction.
func guardsOf(p Predicate) []guard {
	switch p := p.(type) {
	case *test[string]:
		if p.values != nil {
			return []guard{{p.field, p.values}}
		}
	case all:
		var out []guard
		for _, part := range p {
			out = append(out, guardsOf(part)...)
		}
		return out
	}
	return nil
}

// appendCanonical appends the form that all texts have in common which strings.EqualFold calls equal: of every character
// the least among those that it is equal to.
func appendCanonical(b []byte, s string) []byte {
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z':
			r -= 'a' - 'A'
		case r >= utf8.RuneSelf:
			for c := unicode.SimpleFold(r); ; c = unicode.SimpleFold(c) {
				if c <= r {
					r = c // the least, or r itself after one round
					break
				}
			}
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}

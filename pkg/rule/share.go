package rule

import (
	"reflect"
	"strconv"

	"github.com/assay-sec/assay/pkg/event"
)

// Rules of a kind ask much the same: whether it is an access to a mailbox, whether the user is a guest. What several of them
// ask, an engine asks once of an event. It finds that out when it is made, and replaces those predicates by one that
// remembers its answer. The answers stay what they are: nothing is evaluated otherwise, only less often.

// compiled is a rule as an engine asks it of events of one kind.
type compiled struct {
	scope Predicate // nil: all
	legs  []Predicate
}

// eval returns the rule's truth. The Trace gathers what was missing where that is Unknown; facts are Verdict's business.
func (c *compiled) eval(ev *event.Event, tr *Trace) Truth {
	scope := True
	if c.scope != nil {
		if scope = c.scope.Eval(ev, tr); scope == False {
			return False
		}
	}
	t := False
	for _, leg := range c.legs {
		mark := tr.mark()
		t = max(t, tr.settle(leg.Eval(ev, tr), mark))
		if t == True && scope == True {
			break
		}
	}
	return min(scope, t)
}

// node is what rules of one kind ask, however often it stands in them.
type node struct {
	op    operator
	p     Predicate // of a question
	parts []*node
	uses  int       // places at which it stands, in rules and in other nodes
	made  Predicate // of it
}

type operator byte

const (
	question operator = '='
	allParts operator = '&'
	anyPart  operator = '|'
	negation operator = '!'
	provided operator = '?' // the second part, given the first
	always   operator = 'T'
	never    operator = 'F'
)

// sharer finds what the rules of one kind have in common.
type sharer struct {
	kind    event.Kind
	probe   event.Event // two fields are the same if they are the same place of an event
	nodes   map[any]*node
	numbers map[*node]int
	answers int // that are remembered
}

func newSharer(kind event.Kind) *sharer {
	return &sharer{kind: kind, nodes: map[any]*node{}, numbers: map[*node]int{}}
}

// share returns the rules at the places, and nil for all others and for those that are False for all events of the kind; and
// how many answers of an event are remembered.
func share(rules []*Rule, places []int, kind event.Kind) (of []*compiled, answers int) {
	s := newSharer(kind)
	type parts struct {
		scope *node
		legs  []*node
	}
	all := make([]parts, len(places))
	for n, i := range places {
		r := rules[i]
		if r.Scope != nil {
			all[n].scope = s.use(s.node(r.Scope))
		}
		for j := range r.Legs {
			if l := &r.Legs[j]; r.stageOf(l) != Off {
				if leg := s.node(l.When); leg.op != never {
					all[n].legs = append(all[n].legs, s.use(leg))
				}
			}
		}
	}
	of = make([]*compiled, len(rules))
	for n, p := range all {
		if len(p.legs) == 0 || p.scope != nil && p.scope.op == never {
			continue
		}
		of[places[n]] = &compiled{}
		if p.scope != nil && p.scope.op != always {
			of[places[n]].scope = s.predicate(p.scope)
		}
		for _, leg := range p.legs {
			of[places[n]].legs = append(of[places[n]].legs, s.predicate(leg))
		}
	}
	return of, s.answers
}

func (s *sharer) use(n *node) *node {
	n.uses++
	return n
}

// node returns what p asks of events of the kind.
func (s *sharer) node(p Predicate) *node {
	switch p := p.(type) {
	case all:
		return s.compound(allParts, s.each(p, always, never))
	case anyOf:
		return s.compound(anyPart, s.each(p, never, always))
	case *not:
		part := s.node(p.p)
		switch part.op {
		case always:
			return s.constant(never)
		case never:
			return s.constant(always)
		case question, allParts, anyPart, negation, provided:
		}
		return s.compound(negation, []*node{part})
	case *given:
		condition := s.node(p.condition)
		switch condition.op {
		case always:
			return s.node(p.p)
		case never:
			return condition
		case question, allParts, anyPart, negation, provided:
		}
		return s.compound(provided, []*node{condition, s.node(p.p)})
	case *ofKind:
		if p.kind != s.kind {
			return s.constant(never)
		}
		return s.node(p.p)
	}
	return s.intern(s.identity(p), func() *node { return &node{op: question, p: p} })
}

// each returns the nodes of the parts, without those that do not matter, or the one that decides.
func (s *sharer) each(ps []Predicate, without, decides operator) []*node {
	var out []*node
	for _, p := range ps {
		switch n := s.node(p); n.op {
		case without:
		case decides:
			return []*node{n}
		default:
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		out = append(out, s.constant(without))
	}
	return out
}

func (s *sharer) constant(op operator) *node {
	return s.intern(op, func() *node { return &node{op: op} })
}

func (s *sharer) compound(op operator, parts []*node) *node {
	if len(parts) == 1 && op != negation {
		return parts[0]
	}
	key := []byte{byte(op)}
	for _, part := range parts {
		key = strconv.AppendInt(append(key, ' '), int64(s.numbers[part]), 10)
	}
	return s.intern(string(key), func() *node {
		for _, part := range parts {
			s.use(part)
		}
		return &node{op: op, parts: parts}
	})
}

func (s *sharer) intern(key any, make func() *node) *node {
	n, ok := s.nodes[key]
	if !ok {
		n = make()
		s.nodes[key], s.numbers[n] = n, len(s.numbers)
	}
	return n
}

// identifiable is a predicate that tells what it asks: one with an equal identity has the same answer for every event, and
// lacks the same. The others are only like themselves.
type identifiable interface{ identity(probe *event.Event) any }

func (s *sharer) identity(p Predicate) any {
	if i, ok := p.(identifiable); ok {
		if id := i.identity(&s.probe); id != nil {
			return id
		}
	}
	return p
}

// onField is the identity of a question about one field.
type onField struct {
	place any // in the probe
	path  string
	asks  string
}

func (c *test[T]) identity(probe *event.Event) any {
	if c.asks == "" {
		return nil
	}
	return onField{c.field.Get(probe), c.field.Path, c.asks}
}

func (s *sensible[T]) identity(probe *event.Event) any {
	if s.asks == "" {
		return nil
	}
	return onField{s.field.Get(probe), s.field.Path, s.asks}
}

func (m *missing) identity(probe *event.Event) any {
	return onField{m.field.Get(probe), m.field.Path, "is missing"}
}

func (d *differs) identity(probe *event.Event) any {
	return [2]onField{{d.a.Get(probe), d.a.Path, "differs"}, {d.b.Get(probe), d.b.Path, ""}}
}

func (l *listed) identity(probe *event.Event) any {
	if !reflect.ValueOf(l.set).Comparable() {
		return nil
	}
	return struct {
		onField
		set Set
	}{onField{l.field.Get(probe), l.field.Path, "is listed"}, l.set}
}

func (c *category) identity(*event.Event) any { return onField{asks: c.asks} }

// predicate returns the node as it is evaluated.
func (s *sharer) predicate(n *node) Predicate {
	if n.made != nil {
		return n.made
	}
	parts := make([]Predicate, len(n.parts))
	for i, part := range n.parts {
		parts[i] = s.predicate(part)
	}
	p := n.p
	switch n.op {
	case question:
	case allParts:
		p = all(parts)
	case anyPart:
		p = anyOf(parts)
	case negation:
		p = &not{parts[0]}
	case provided:
		p = &given{parts[0], parts[1]}
	case always:
		p = All()
	case never:
		p = Any()
	}
	if n.uses > 1 && n.op != always && n.op != never {
		p = &once{p, s.answers}
		s.answers++
	}
	n.made = p
	return p
}

// once asks p the first time, and remembers what it said of the event.
type once struct {
	p     Predicate
	place int // of its answer in the Trace
}

// answer is what a predicate said of an event.
type answer struct {
	event   uint64 // for which it is: see Trace.event
	truth   Truth
	missing []string
}

func (o *once) Eval(ev *event.Event, tr *Trace) Truth {
	a := &tr.answers[o.place]
	if a.event != tr.event {
		from := tr.from
		tr.from = len(tr.Missing)
		a.truth = o.p.Eval(ev, tr)
		a.missing = append(a.missing[:0], tr.Missing[tr.from:]...)
		tr.Missing, tr.from = tr.Missing[:tr.from], from
		a.event = tr.event
	}
	for _, m := range a.missing {
		tr.Lacking(m)
	}
	return a.truth
}
func (o *once) Needs() []string { return o.p.Needs() }
func (o *once) String() string  { return o.p.String() }

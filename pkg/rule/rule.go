// Package rule is the contract between events and detection rules: three-valued predicates over typed
// fields, rules made of them, and the engine that evaluates every rule on one event.
//
// Glossary: a Rule is what somebody wrote down to look for; a Leg is one way in which it fires, with its own
// severity and strength; a Verdict is what one rule says of one event. What a verdict becomes (finding,
// alert) is the business of package alert; which rules exist, of package rules.
//
// The package is pure: no I/O, no clock, no globals that change.
package rule

import (
	"errors"
	"fmt"
	"slices"

	"github.com/assay-sec/assay/pkg/event"
)

// Rule is a detection: data and pure predicates.
type Rule struct {
	ID      string // kebab-case, stable: part of every finding id
	Title   string
	Version int // raised when the logic changes

	Kinds []event.Kind
	// Scope says to which events of these kinds the rule applies. Outside of it the rule is silent, not "not
	// evaluable". Nil means all; an Unknown scope makes the verdict Unknown.
	Scope Predicate
	// Legs are the ways in which the rule fires. The verdict is their disjunction.
	Legs []Leg
	// Key is what an analyst acts on; records with equal keys make one alert a day.
	Key Key

	// Combinations say what its verdicts become where other rules match the same record.
	Combinations []Combination

	Stage Stage
	// StageReason says why the rule does not stand at its full stage, for the summary: "observe: …".
	StageReason string
	// Lacks names the reference data for want of which alone the rule only observes, e.g. "mailClients".
	Lacks string

	Doc Doc
}

// Leg is one way in which a rule fires.
type Leg struct {
	ID       string // kebab-case, unique in the rule, e.g. "consumer-key-enterprise-issuer"
	Why      string // one sentence that completes "This alert was raised because …"
	When     Predicate
	Severity Severity
	Strength Strength
	Stage    Stage // the leg's own, never above the rule's; the zero value Off means: the rule's
}

// Key names what the alerts of a rule are grouped by. Of must not return a value that a forger makes fresh each
// time (a token id, a session id), and returns "" where the event does not hold it.
type Key struct {
	Name string // e.g. "mailbox"
	Of   func(*event.Event) string
}

// Doc is what a person needs to judge an alert of the rule.
type Doc struct {
	Proves         string   // what a match shows
	Evades         string   // how a forger gets around it
	FalsePositives []string // each with what to do about it
	Runbook        []string // steps, in order
	Attack         []string // MITRE ATT&CK technique ids
	Tags           []string // further tags in the spelling of Sigma, such as cve.2023-23397; lower case
	Sources        []string // URLs or titles
}

// Verdict is what one rule says of one event.
type Verdict struct {
	Rule  *Rule
	Index int // the rule's place in Engine.Rules, where an engine made the verdict
	Truth Truth

	// When Truth is True:
	Leg      *Leg // the gravest leg that fired (stage, then severity, then strength)
	Severity Severity
	Strength Strength
	Stage    Stage
	Key      string
	Facts    []Fact

	// When Truth is Unknown:
	Missing []string
}

// Engine evaluates a set of rules. It is immutable and safe for concurrent use.
type Engine struct {
	byKind [event.NumKinds]plan
	rules  []*Rule
}

// NewEngine returns an engine for the rules that are not Off. It refuses a rule that could not work or not be told
// apart, naming every fault of every rule at once.
func NewEngine(rules []*Rule) (*Engine, error) { return newEngine(rules, fewest) }

func newEngine(rules []*Rule, indexed int) (*Engine, error) {
	e := &Engine{}
	var places [event.NumKinds][]int
	var errs []error
	seen := map[string]bool{}
	for _, r := range rules {
		if err := r.check(); err != nil {
			errs = append(errs, fmt.Errorf("rule %q: %w", r.ID, err))
			continue
		}
		if seen[r.ID] {
			errs = append(errs, fmt.Errorf("rule %q is defined twice", r.ID))
			continue
		}
		seen[r.ID] = true
		if r.Stage == Off {
			continue
		}
		for _, k := range r.Kinds {
			places[k] = append(places[k], len(e.rules))
		}
		e.rules = append(e.rules, r)
	}
	for k := range places {
		e.byKind[k] = newPlan(e.rules, places[k], event.Kind(k), indexed)
	}
	return e, errors.Join(errs...)
}

func (r *Rule) check() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	need(r.ID != "", "no id")
	need(r.Title != "", "no title")
	need(len(r.Kinds) > 0, "no kind of event")
	need(len(r.Legs) > 0, "no leg")
	need(r.Key.Of != nil && r.Key.Name != "", "no key")
	for _, k := range r.Kinds {
		need(slices.Contains(event.Kinds(), k), "an unknown kind of event")
	}
	ids := map[string]bool{}
	for _, l := range r.Legs {
		need(l.ID != "" && !ids[l.ID], "a leg without an id of its own")
		need(l.When != nil && l.Why != "", "leg "+l.ID+" lacks its predicate or its reason")
		ids[l.ID] = true
	}
	return errors.Join(errs...)
}

// Rules returns the rules that the engine evaluates.
func (e *Engine) Rules() []*Rule { return e.rules }

// Reads reports whether any rule reads events of the kind.
func (e *Engine) Reads(k event.Kind) bool {
	return int(k) < len(e.byKind) && e.byKind[k].read
}

// Eval evaluates the rules for the event's kind and hands each verdict that is True or Unknown to yield.
// The verdict's facts are its own; its Missing is reused after yield returns. It allocates only for
// True verdicts.
func (e *Engine) Eval(ev *event.Event, s *Scratch, yield func(*Verdict)) {
	s.trace.brief = true
	s.fired = s.fired[:0]
	p := &e.byKind[ev.Kind]
	s.trace.next(p.answers)
	for _, i := range p.due(ev, s) {
		r := e.rules[i]
		s.trace.Missing, s.trace.from = s.trace.Missing[:0], 0
		switch p.rules[i].eval(ev, &s.trace) {
		case True:
			v := r.Verdict(ev)
			v.Index = i
			s.fired = append(s.fired, v)
		case Unknown:
			s.verdict = Verdict{Rule: r, Index: i, Truth: Unknown, Missing: s.trace.Missing}
			yield(&s.verdict)
		case False:
		}
	}
	Combine(s.fired)
	for i := range s.fired {
		yield(&s.fired[i])
	}
	clear(s.fired) // a verdict's facts must not outlive it here
}

// Scratch is the memory that a worker lends to Eval. The zero value is ready; it must not be shared.
type Scratch struct {
	trace   Trace
	verdict Verdict
	fired   []Verdict // those that are True
	due     []int
	key     []byte
}

func (r *Rule) stageOf(l *Leg) Stage {
	if l.Stage == Off {
		return r.Stage
	}
	return min(l.Stage, r.Stage)
}

// Verdict evaluates the rule on the event with all facts, whatever its kind. `assay explain` and case files use it;
// the hot path uses Engine.Eval.
func (r *Rule) Verdict(ev *event.Event) Verdict {
	v := Verdict{Rule: r}
	scopeTrace := &Trace{}
	scope := True
	if r.Scope != nil {
		scope = r.Scope.Eval(ev, scopeTrace)
	}
	v.Facts = scopeTrace.Facts
	if scope == False {
		return v
	}
	missing := &Trace{Missing: scopeTrace.Missing}
	best := False
	for i := range r.Legs {
		l := &r.Legs[i]
		stage := r.stageOf(l)
		if stage == Off {
			continue
		}
		tr := &Trace{}
		t := l.When.Eval(ev, tr)
		if t == Unknown {
			for _, m := range tr.Missing {
				missing.Lacking(m)
			}
		}
		if t == True {
			if v.Leg == nil || graver(stage, l, v.Stage, v.Leg) {
				v.Leg, v.Stage, v.Severity, v.Strength = l, stage, l.Severity, l.Strength
			}
		}
		best = max(best, t)
		v.Facts = append(v.Facts, tr.Facts...)
	}
	v.Truth = min(scope, best)
	switch v.Truth {
	case True:
		v.Key = r.Key.Of(ev)
	case Unknown:
		v.Missing = missing.Missing
		v.Leg = nil
	case False:
		v.Leg = nil
	}
	return v
}

func graver(sa Stage, a *Leg, sb Stage, b *Leg) bool {
	if sa != sb {
		return sa > sb
	}
	if a.Severity != b.Severity {
		return a.Severity > b.Severity
	}
	return a.Strength > b.Strength
}

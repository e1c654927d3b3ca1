// Package coverage measures what rules can see in logs: on which records they could be decided and for want of what not, which logs
// did not arrive and what they would show, and which attacks would have been seen. It judges nothing and reads no file.
package coverage

import (
	"maps"
	"slices"
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
)

// Report is what was measured.
type Report struct {
	Records  map[string]int64 `json:"records"` // by feed, as the log names it
	Rules    []Rule           `json:"rules"`
	Variants []Verdict        `json:"storm0558"` // the ways of an intrusion like that of Storm-0558
	Attacks  []Verdict        `json:"attacks"`
	Absent   []Absent         `json:"absent,omitempty"` // logs that did not arrive
	Hints    []string         `json:"hints,omitempty"`  // what would let rules decide that lacked fields
}

// Rule counts the records of one feed that a rule is about.
type Rule struct {
	RuleID    string           `json:"ruleId"`
	Feed      string           `json:"feed"`
	Records   int64            `json:"records"`
	Evaluated int64            `json:"evaluated"` // of them, decided
	Missing   map[string]int64 `json:"missing,omitempty"`

	log   string
	whole int64 // of the decided, those that lack nothing of which the rule asks
}

// Absent is a log of which no record arrived.
type Absent struct {
	Log      string   `json:"log"`
	SwitchOn string   `json:"switchOn"`
	Price    string   `json:"price"`
	Shows    []string `json:"shows"` // the rules that read it
}

// Measure counts. The zero value is of no use: see New.
type Measure struct {
	rules   []*rule.Rule
	records map[string]int64
	arrived map[string]bool
	counts  map[place]*Rule
}

type place struct{ rule, feed, log string }

// New returns a measure of the rules, those that are off left out.
func New(all []*rule.Rule) *Measure {
	on := slices.DeleteFunc(slices.Clone(all), func(r *rule.Rule) bool { return r.Stage == rule.Off })
	return &Measure{on, map[string]int64{}, map[string]bool{}, map[place]*Rule{}}
}

// Add counts an event. It keeps nothing of it.
func (m *Measure) Add(ev *event.Event) {
	feed, of := strings.Clone(ev.Category), ""
	if l := logOf(ev); l != nil {
		of = l.name
	}
	m.records[feed]++
	m.arrived[of] = true
	for _, r := range m.rules {
		if !slices.Contains(r.Kinds, ev.Kind) || r.Scope != nil && r.Scope.Eval(ev, nil) == rule.False {
			continue
		}
		at := place{r.ID, feed, of}
		c := m.counts[at]
		if c == nil {
			c = &Rule{RuleID: r.ID, Feed: feed, Missing: map[string]int64{}, log: of}
			m.counts[at] = c
		}
		c.Records++
		v := r.Verdict(ev)
		if v.Truth != rule.Unknown {
			c.Evaluated++
			if !slices.ContainsFunc(v.Facts, func(f rule.Fact) bool { return f.Truth == rule.Unknown }) {
				c.whole++
			}
		}
		for _, f := range v.Missing {
			c.Missing[strings.Clone(f)]++
		}
	}
}

// Report tells what was counted.
func (m *Measure) Report() Report {
	out := Report{Records: m.records}
	for _, r := range m.rules {
		for _, feed := range slices.Sorted(maps.Keys(m.records)) {
			var sum *Rule
			for at, c := range m.counts {
				if at.rule != r.ID || at.feed != feed {
					continue
				}
				if sum == nil {
					sum = &Rule{RuleID: r.ID, Feed: feed, Missing: map[string]int64{}}
				}
				sum.add(c)
			}
			if sum != nil {
				out.Rules = append(out.Rules, *sum)
			}
		}
	}
	for _, v := range rules.Storm0558() {
		out.Variants = append(out.Variants, m.judge(Verdict{Attack: v.ID, Name: v.Name, Log: v.Log}, v.Rules, "", v.Blind))
	}
	for _, a := range rules.Attacks() {
		for _, trace := range a.Traces {
			out.Attacks = append(out.Attacks, m.judge(Verdict{Attack: a.ID, Name: a.Name, Log: trace.Log}, trace.Rules, trace.Note, ""))
		}
		if a.Blind != "" {
			out.Attacks = append(out.Attacks, m.judge(Verdict{Attack: a.ID, Name: a.Name}, nil, "", a.Blind))
		}
	}
	all := logs()
	for i := range all {
		if l := &all[i]; !m.arrived[l.name] {
			if shows := m.readers(l); len(shows) > 0 {
				out.Absent = append(out.Absent, Absent{l.name, l.switchOn, l.price, shows})
			}
		}
	}
	out.Hints = m.hints()
	return out
}

func (c *Rule) add(other *Rule) {
	c.Records += other.Records
	c.Evaluated += other.Evaluated
	c.whole += other.whole
	for f, n := range other.Missing {
		c.Missing[f] += n
	}
}

// readers returns the rules that could find anything in the log.
func (m *Measure) readers(l *log) []string {
	var out []string
	for _, r := range m.rules {
		if m.reads(r, l) {
			out = append(out, r.ID)
		}
	}
	return out
}

// reads reports whether the rule is about records of the log: whether one of which nothing but that is known leaves it open.
func (m *Measure) reads(r *rule.Rule, l *log) bool {
	if !slices.Contains(r.Kinds, l.example.Kind) {
		return false
	}
	ev := l.example
	if len(l.operations) == 0 {
		return r.Verdict(&ev).Truth != rule.False
	}
	return slices.ContainsFunc(l.operations, func(operation string) bool {
		ev.Audit.Operation = event.Of(operation)
		return r.Verdict(&ev).Truth != rule.False
	})
}

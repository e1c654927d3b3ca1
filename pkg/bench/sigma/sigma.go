// Command sigma compares the cost of rules in Assay with that of the same rules in sigma-go.
//
// It is a module of its own so that Assay does not depend on sigma-go. What is compared is the evaluation alone, of the 30
// rules of package bench: equality, sets, substrings and prefixes, on events that are decoded already. sigma-go gets a flat
// map, which is its faster way, and only the rules of the event's kind.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/bradleyjkemp/sigma-go"
	"github.com/bradleyjkemp/sigma-go/evaluator"

	"github.com/assay-sec/assay/pkg/bench"
	"github.com/assay-sec/assay/pkg/bench/corpus"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// target is T6: Assay's rules are so many times as fast.
var target = bench.Target{Name: "T6 30 rules: times as fast as sigma-go", Of: "sigma-go", To: "assay", Limit: 20, Floor: true}

func main() {
	costs, matches, err := measure(7, 1000)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sigma:", err)
		os.Exit(1)
	}
	fmt.Printf("rules alone: 30 rules of equality, sets, substrings and prefixes on decoded events, %d matches in both, %s\n",
		matches, runtime.Version())
	for _, name := range []string{"assay", "sigma-go"} {
		fmt.Printf("  %-42s %10.0f ns/event (best %.0f)\n", name, costs[name].Median, costs[name].Best)
	}
	fmt.Println("  " + bench.Ratios([]bench.Target{target}, costs)[0].String())
}

// measure evaluates the rules on so many records and returns the costs of an event and how many rules matched, which has to be
// the same in both.
func measure(rounds, records int) (map[string]bench.Cost, int, error) {
	events, err := bench.Events(corpus.Records(bench.Seed, records))
	if err != nil {
		return nil, 0, err
	}
	ours, err := newAssay(events)
	if err != nil {
		return nil, 0, err
	}
	theirs, err := newSigma(events)
	if err != nil {
		return nil, 0, err
	}
	a, err := ours()
	if err != nil {
		return nil, 0, err
	}
	b, err := theirs()
	if err != nil {
		return nil, 0, err
	}
	if a != b || a == 0 {
		return nil, 0, fmt.Errorf("assay found %d matches and sigma-go %d: they do not do the same work", a, b)
	}
	quiet := func(run func() (int, error)) func() error {
		return func() error { _, err := run(); return err }
	}
	costs, err := bench.Race(rounds, 20*time.Millisecond, []bench.Contender{
		{Name: "assay", Units: records, Run: quiet(ours)},
		{Name: "sigma-go", Units: records, Run: quiet(theirs)},
	})
	return costs, a, err
}

// newAssay returns the evaluation of all events by Assay's engine.
func newAssay(events []*event.Event) (func() (int, error), error) {
	var rules []*rule.Rule
	for _, s := range bench.SimpleRules() {
		rules = append(rules, s.Rule())
	}
	engine, err := rule.NewEngine(rules)
	if err != nil {
		return nil, fmt.Errorf("load the rules: %w", err)
	}
	var scratch rule.Scratch
	return func() (matches int, err error) {
		for _, ev := range events {
			engine.Eval(ev, &scratch, func(v *rule.Verdict) {
				if v.Truth == rule.True {
					matches++
				}
			})
		}
		return matches, nil
	}, nil
}

// newSigma returns the evaluation of all events by sigma-go.
func newSigma(events []*event.Event) (func() (int, error), error) {
	simple := bench.SimpleRules()
	rules := map[event.Kind][]*evaluator.RuleEvaluator{}
	for _, s := range simple {
		r, err := sigma.ParseRule([]byte(document(s)))
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", s.ID, err)
		}
		rules[s.Kind] = append(rules[s.Kind], evaluator.ForRule(r))
	}
	flat := make([]map[string]any, len(events))
	for i, ev := range events {
		flat[i] = bench.Flat(ev, simple)
	}
	ctx := context.Background()
	return func() (matches int, err error) {
		for i, ev := range events {
			for _, r := range rules[ev.Kind] {
				result, err := r.Matches(ctx, flat[i])
				if err != nil {
					return 0, fmt.Errorf("evaluate %s: %w", r.ID, err)
				}
				if result.Match {
					matches++
				}
			}
		}
		return matches, nil
	}, nil
}

// document writes the rule as Sigma does.
func document(s bench.Simple) string {
	var b strings.Builder
	fmt.Fprintf(&b, "title: %s\nid: %s\nlogsource: {product: azure}\ndetection:\n  selection:\n", s.ID, s.ID)
	for _, c := range s.Where {
		name := c.Field.Path
		if c.Op != "" {
			name += "|" + c.Op
		}
		fmt.Fprintf(&b, "    %s:\n", name)
		for _, v := range c.Values {
			fmt.Fprintf(&b, "      - '%s'\n", v)
		}
	}
	return b.String() + "  condition: selection\n"
}

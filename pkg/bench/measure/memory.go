//go:build unix

package main

import (
	"fmt"
	"time"

	"github.com/assay-sec/assay/pkg/bench"
)

// messages is how many the payloads hold that are measured in memory: about 2,700 records, 10 MB.
const messages = 256

// inMemory prints what an event costs from the payload to the verdicts, in one goroutine.
func inMemory(rounds int) error {
	fmt.Printf("\nin memory: payloads of %d messages of 1 to 20 records, body → decode → normalise → all enabled rules\n", messages)
	all, err := bench.PathContenders(messages)
	if err != nil {
		return fmt.Errorf("make the payloads: %w", err)
	}
	costs, err := bench.Race(rounds, 0, all)
	if err != nil {
		return fmt.Errorf("measure the path: %w", err)
	}
	sha, valid := costs[bench.SHA256], costs[bench.Valid]
	fmt.Printf("  %-42s %10s %10s %10s %12s\n", "", "ns/event", "(best)", "× sha256", "× json.Valid")
	for _, c := range all {
		m := costs[c.Name]
		fmt.Printf("  %-42s %10.0f %10.0f %10.2f %12.2f\n", c.Name, m.Median, m.Best, m.Median/sha.Median, m.Median/valid.Median)
	}
	fmt.Println("\nallocations an event")
	allocated, err := bench.Allocations(messages)
	if err != nil {
		return fmt.Errorf("count the allocations: %w", err)
	}
	for _, a := range allocated {
		met := "met"
		if a.Count > bench.MaxAllocations || a.BytesOfBody > bench.MaxBytesOfBody {
			met = "MISSED"
		}
		fmt.Printf("  T7 %-8s %6.2f ≤ %d, %6.0f bytes = %.2f ≤ %.1f of the payload's  %s\n",
			a.Form, a.Count, bench.MaxAllocations, a.Bytes, a.BytesOfBody, bench.MaxBytesOfBody, met)
	}
	fmt.Println("\ntargets: ratios of medians (of the best rounds)")
	show(bench.PathTargets(), costs)
	for _, race := range []struct {
		targets []bench.Target
		make    func() ([]bench.Contender, error)
	}{
		{bench.FlatTargets(), bench.FlatContenders},
		{bench.HostileTargets(), bench.HostileContenders},
		{[]bench.Target{bench.GrowthTarget()}, bench.GrowthContenders},
		{bench.SigmaTargets(), func() ([]bench.Contender, error) { return bench.SigmaContenders(400) }},
	} {
		all, err := race.make()
		if err != nil {
			return fmt.Errorf("make the payloads: %w", err)
		}
		costs, err := bench.Race(rounds, 20*time.Millisecond, all)
		if err != nil {
			return fmt.Errorf("measure %s: %w", race.targets[0].Name, err)
		}
		show(race.targets, costs)
	}
	return nil
}

func show(targets []bench.Target, costs map[string]bench.Cost) {
	for _, r := range bench.Ratios(targets, costs) {
		fmt.Println("  " + r.String())
	}
}

//go:build unix

package bench

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// Contender is one way to do some work.
type Contender struct {
	Name  string
	Units int // events or bytes that a run takes
	Run   func() error
}

// Cost is the CPU time that a contender used, in nanoseconds a unit.
type Cost struct{ Best, Median float64 }

// Race runs the contenders in turn, so many rounds, and returns what each cost by name. Each starts with a collected heap and
// runs again within its round until it has used atLeast. What it cost is CPU time of user and system of the whole process
// as the kernel counts it, the garbage collector's included: other work on the machine disturbs that less than it disturbs
// wall time.
func Race(rounds int, atLeast time.Duration, all []Contender) (map[string]Cost, error) {
	used := map[string][]float64{}
	for range rounds {
		for _, c := range all {
			runtime.GC()
			d, err := spend(c, atLeast)
			if err != nil {
				return nil, fmt.Errorf("run %s: %w", c.Name, err)
			}
			used[c.Name] = append(used[c.Name], float64(d.Nanoseconds())/float64(c.Units))
		}
	}
	costs := map[string]Cost{}
	for name, d := range used {
		slices.Sort(d)
		costs[name] = Cost{Best: d[0], Median: d[len(d)/2]}
	}
	return costs, nil
}

// spend returns the mean of as many runs as it takes to use atLeast.
func spend(c Contender, atLeast time.Duration) (time.Duration, error) {
	start, err := CPUTime()
	if err != nil {
		return 0, err
	}
	for n := time.Duration(1); ; n++ {
		if err := c.Run(); err != nil {
			return 0, err
		}
		now, err := CPUTime()
		if err != nil {
			return 0, err
		}
		if now-start >= atLeast {
			return (now - start) / n, nil
		}
	}
}

// CPUTime is what the process has used so far, of the user's and the system's time.
func CPUTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("read the CPU time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// Allocated returns how many allocations a run of work makes, and of how many bytes. Nothing else may run.
func Allocated(work func() error) (count, bytes uint64, err error) {
	if err := work(); err != nil { // scratch memory grows to its size
		return 0, 0, err
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	err = work()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc, err
}

// Target is a ratio between two contenders that has to hold.
type Target struct {
	Name   string
	Of, To string
	Limit  float64
	Floor  bool // Limit is the least that it may be, not the most
}

// Ratio is what was measured of a target.
type Ratio struct {
	Target
	Best, Median float64 // of the best rounds, of the medians
}

// Ratios returns what the costs say of the targets.
func Ratios(targets []Target, costs map[string]Cost) []Ratio {
	out := make([]Ratio, len(targets))
	for i, t := range targets {
		of, to := costs[t.Of], costs[t.To]
		out[i] = Ratio{t, of.Best / to.Best, of.Median / to.Median}
	}
	return out
}

// Met reports whether the best rounds meet the target, or miss it by less than the factor slack.
func (r Ratio) Met(slack float64) bool {
	if r.Floor {
		return r.Best*slack >= r.Limit
	}
	return r.Best <= r.Limit*slack
}

// String renders the ratio with its limit and whether that is met.
func (r Ratio) String() string {
	sign, met := "≤", "met"
	if r.Floor {
		sign = "≥"
	}
	if !r.Met(1) {
		met = "MISSED"
	}
	return fmt.Sprintf("%-62s %6.2f (best %6.2f) %s %4.3g  %s", r.Name, r.Median, r.Best, sign, r.Limit, met)
}

//go:build unix && !race

package decode

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/bench/corpus"
)

// The machines that run this are shared and noisy. So CPU time is measured, not time; contenders run in turn; of each
// the best round counts; only ratios are judged, with this much slack.
const slack = 1.5

// contender is a way to spend time on size bytes.
type contender struct {
	name string
	size int
	run  func()
}

// race runs the contenders in turn and returns the best and the median round of each, in nanoseconds of CPU time a
// byte.
func race(rounds int, all []contender) (best, median []float64) {
	spent := make([][]time.Duration, len(all))
	for range rounds {
		for i, c := range all {
			runtime.GC()
			start := cpuTime()
			c.run()
			spent[i] = append(spent[i], cpuTime()-start)
		}
	}
	for i, c := range all {
		slices.Sort(spent[i])
		best = append(best, float64(spent[i][0])/float64(c.size))
		median = append(median, float64(spent[i][rounds/2])/float64(c.size))
	}
	return best, median
}

// cpuTime is what the process has used, of the user's and the system's time.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The target is 2.5 times what SHA-256 of the same bytes costs. Run it with -v to see what the others cost.
func TestCostOfARecord(t *testing.T) {
	records := corpus.Records(1, 600)
	raw := make([][]byte, len(records))
	size := 0
	for i, r := range records {
		raw[i] = []byte(r)
		size += len(r)
	}
	over := func(name string, read func(i int) bool) contender {
		return contender{name, size, func() {
			for i := range records {
				if !read(i) {
					t.Errorf("%s refuses record %d", name, i)
				}
			}
		}}
	}
	var v Values
	object := func(d Decoder) func(int) bool {
		return func(i int) bool {
			v.Reset()
			return d.Object(records[i], Root, &v) == nil
		}
	}
	all := []contender{
		over("sha256", func(i int) bool { return sha256.Sum256(raw[i]) != [32]byte{} }),
		over("Scanner", object(Scanner{})),
		over("Scanner, nothing wanted", func(i int) bool {
			d := scan{s: records[i]}
			return d.end(d.skip(0, 0))
		}),
		over("json.Valid", func(i int) bool { return json.Valid(raw[i]) }),
		over("Reference", object(Reference{})),
		over("encoding/json, map", func(i int) bool {
			var m map[string]any
			return json.Unmarshal(raw[i], &m) == nil
		}),
	}
	best, median := race(7, all)
	t.Logf("%s, %d records of %d bytes on average", runtime.Version(), len(records), size/len(records))
	for i, c := range all {
		each := float64(size) / float64(len(records))
		t.Logf("%-24s %6.0f ns a record (best %6.0f) %6.0f MB/s %6.2f x sha256",
			c.name, median[i]*each, best[i]*each, 1e3/median[i], best[i]/best[0])
	}
	if ratio := best[1] / best[0]; ratio > 2.5*slack {
		t.Errorf("the scanner costs %.2f x SHA-256, want at most 2.5", ratio)
	}
}

// The target is that no text costs more than four times what a byte of normal traffic does.
func TestHostileTextsCostNoMore(t *testing.T) {
	const tries = 3 // who is too dear once on a busy machine runs again
	for try := 1; ; try++ {
		dear := hostileTextsTooDear(t)
		if len(dear) == 0 {
			return
		}
		if try == tries {
			t.Errorf("too dear in %d tries, the last: %v", tries, dear)
			return
		}
	}
}

// hostileTextsTooDear measures and says which texts cost more than they may.
func hostileTextsTooDear(t *testing.T) (dear []string) {
	t.Helper()
	records := corpus.Records(1, 300)
	size := 0
	for _, r := range records {
		size += len(r)
	}
	var v Values
	read := func(s string) {
		v.Reset()
		if err := (Scanner{}).Object(s, Root, &v); err != nil {
			t.Error(err)
		}
	}
	all := []contender{{"normal traffic", size, func() {
		for _, r := range records {
			read(r)
		}
	}}}
	texts := hostile(megabyte)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		s := texts[name]
		all = append(all, contender{name, len(s), func() { read(s) }})
	}
	best, _ := race(7, all)
	for i, c := range all {
		ratio := best[i] / best[0]
		t.Logf("%-30s %5.2f ns a byte %5.2f x normal", c.name, best[i], ratio)
		if ratio > 4*slack {
			dear = append(dear, fmt.Sprintf("a byte of %q costs %.1f x a byte of normal traffic, want at most 4", c.name, ratio))
		}
	}
	return dear
}

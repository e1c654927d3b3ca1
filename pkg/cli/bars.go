package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/assay-sec/assay/pkg/replay"
)

// bars show how far the partitions of a replay have been read: a line each on a person's terminal.
type bars struct {
	sys     *System
	started time.Time

	mu    sync.Mutex
	parts []*bar
	of    map[int]*bar // by slice
	done  map[int]int64
	wrote int // lines that stand there
}

// bar is one partition.
type bar struct {
	name        string
	done, total int64
}

// Measures of bars.
const (
	barColumns = 24
	barNames   = 28
	mostBars   = 16
)

func newBars(sys *System, planned []replay.Slice) *bars {
	b := &bars{sys: sys, started: sys.Now(), of: map[int]*bar{}, done: map[int]int64{}}
	known := map[string]*bar{}
	for i := range planned {
		s := &planned[i]
		name := s.Range.Partition
		if !strings.HasPrefix(name, s.Range.Source) { // a file names itself
			name = s.Range.Source + "/" + name
		}
		part := known[name]
		if part == nil {
			part = &bar{name: name}
			known[name] = part
			b.parts = append(b.parts, part)
		}
		part.total += s.Range.Units
		part.done += s.Counters.Units
		b.of[s.Number], b.done[s.Number] = part, s.Counters.Units
	}
	return b
}

// page notes a page that was read.
func (b *bars) page(r *replay.Report) { b.set(r.Slice.Number, r.Slice.Counters.Units) }

func (b *bars) set(slice int, units int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if part := b.of[slice]; part != nil {
		part.done += units - b.done[slice]
		b.done[slice] = units
	}
}

// watch shows the bars until stop is called.
func (b *bars) watch() (stop func()) {
	// Without colour a terminal may not know how to go up a line.
	if !b.sys.ErrTerminal.Interactive || !b.sys.ErrTerminal.Color {
		return func() {}
	}
	return redraw(b.sys, b.draw, b.clear)
}

// draw returns the lines for now, over those that stand there: the parts that are on their way, and how far all are.
func (b *bars) draw(now time.Time) string {
	spent := now.Sub(b.started)
	if spent < progressAfter {
		return ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var all bar
	var open []*bar
	finished := 0
	for _, p := range b.parts {
		all.done += p.done
		all.total += p.total
		switch {
		case p.total > 0 && p.done >= p.total:
			finished++
		case p.done > 0:
			open = append(open, p)
		}
	}
	slices.SortFunc(open, func(x, y *bar) int { return cmp.Compare(x.name, y.name) })
	var out strings.Builder
	out.WriteString(b.clear())
	for _, p := range open[:min(len(open), mostBars)] {
		name := escape(p.name)
		if over := width(name) - barNames; over > 0 {
			name = "…" + string([]rune(name)[over+1:])
		}
		fmt.Fprintf(&out, "%s%s %s\n", name, strings.Repeat(" ", max(barNames-width(name), 0)), p.text())
	}
	left := ""
	if all.done > 0 && all.done < all.total {
		rest := time.Duration(float64(spent) / float64(all.done) * float64(all.total-all.done))
		left = ", " + rest.Round(time.Second).String() + " left"
	}
	fmt.Fprintf(&out, "%-*s %s, %d of %d done%s\n", barNames, "in all", all.text(), finished, len(b.parts), left)
	b.wrote = min(len(open), mostBars) + 1
	return out.String()
}

func (p *bar) text() string {
	if p.total <= 0 {
		return number(p.done)
	}
	share := min(float64(p.done)/float64(p.total), 1)
	full := int(share * barColumns)
	return fmt.Sprintf("[%s%s] %3d %%", strings.Repeat("█", full), strings.Repeat("░", barColumns-full), int(share*100))
}

// clear returns what wipes the lines away.
func (b *bars) clear() string {
	out := strings.Repeat("\x1b[1A\x1b[2K", b.wrote)
	b.wrote = 0
	return out
}

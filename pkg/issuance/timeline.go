package issuance

import (
	"math/bits"
	"slices"
	"sync/atomic"
	"time"
)

// A log has a silence where it holds nothing for so long that it would usually have held something in at least usualInSilence of those
// minutes, by the hour of the day, on workdays and weekends: by chance that happens once in a thousand times. What it lacks
// there may have happened.
const (
	shortestSilence = 10 * time.Minute
	usualInSilence  = 7.0
)

// Span is a stretch of time, [From, To).
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// timeline knows the minutes in which a log holds something. Marking is safe for concurrent use.
type timeline struct {
	begin int64 // the first minute, since 1970
	bits  []uint64
}

func newTimeline(from, to time.Time) *timeline {
	begin := from.Unix() / 60
	n := max(to.Unix()/60-begin+1, 1)
	return &timeline{begin: begin, bits: make([]uint64, (n+63)/64)}
}

func (t *timeline) mark(at uint32) {
	m := int64(at)/60 - t.begin
	if m < 0 || m >= int64(len(t.bits))*64 {
		return
	}
	word, bit := &t.bits[m/64], uint64(1)<<(m%64)
	if atomic.LoadUint64(word)&bit == 0 {
		atomic.OrUint64(word, bit)
	}
}

// heard is when a log was heard: from its first minute to its last, but for the silences.
type heard struct {
	rows        int64     // sign-ins, each once
	first, last time.Time // the beginning of the first minute, the end of the last one
	usual       rhythm
	silences    []Span
}

// rhythm is how many minutes of an hour hold something as a rule, by the kind of the day and the hour (UTC).
type rhythm [2][24]float64

func kindOfDay(at time.Time) int {
	if d := at.Weekday(); d == time.Saturday || d == time.Sunday {
		return 1
	}
	return 0
}

// expected returns in how many minutes of the span the log would hold something as a rule. It stops at enough.
func (r *rhythm) expected(s Span, enough float64) (minutes float64) {
	for at := s.From; at.Before(s.To) && minutes < enough; {
		next := at.Truncate(time.Hour).Add(time.Hour)
		if next.After(s.To) {
			next = s.To
		}
		minutes += r[kindOfDay(at)][at.Hour()] * next.Sub(at).Hours()
		at = next
	}
	return minutes
}

func (t *timeline) heard() heard {
	var h heard
	last := int64(-1)
	var held rhythm
	t.minutes(func(m int64) {
		at := t.at(m)
		if last < 0 {
			h.first = at
		}
		held[kindOfDay(at)][at.Hour()]++
		last = m
	})
	if last < 0 {
		return h
	}
	h.last = t.at(last + 1)
	var hours rhythm
	for at := h.first; at.Before(h.last); at = at.Truncate(time.Hour).Add(time.Hour) {
		hours[kindOfDay(at)][at.Hour()] += min(h.last.Sub(at), at.Truncate(time.Hour).Add(time.Hour).Sub(at)).Hours()
	}
	for kind := range held {
		for hour, n := range held[kind] {
			if n > 0 {
				h.usual[kind][hour] = n / hours[kind][hour]
			}
		}
	}
	last = -1
	t.minutes(func(m int64) {
		if from := last + 1; last >= 0 && h.silence(Span{t.at(from), t.at(m)}) {
			h.silences = append(h.silences, Span{t.at(from), t.at(m)})
		}
		last = m
	})
	return h
}

func (h *heard) silence(s Span) bool {
	return s.To.Sub(s.From) > shortestSilence && h.usual.expected(s, usualInSilence) >= usualInSilence
}

func (t *timeline) at(minute int64) time.Time { return time.Unix((t.begin+minute)*60, 0).UTC() }

func (t *timeline) minutes(each func(int64)) {
	for i, word := range t.bits {
		for ; word != 0; word &= word - 1 {
			each(int64(i)*64 + int64(bits.TrailingZeros64(word)))
		}
	}
}

// silent reports whether some of the span is silent. Before its first minute and after its last one a log counts as heard for as
// long as would be no silence.
func (h *heard) silent(s Span) bool {
	if s.From.Before(h.first) && h.silence(Span{s.From, h.first}) || s.To.After(h.last) && h.silence(Span{h.last, s.To}) {
		return true
	}
	return overlaps(h.silences, s)
}

// overlaps reports whether one of the spans, which are in their order, shares an instant with s.
func overlaps(spans []Span, s Span) bool {
	i, _ := slices.BinarySearchFunc(spans, s.From, func(x Span, at time.Time) int {
		if x.To.After(at) {
			return 1
		}
		return -1
	})
	return i < len(spans) && spans[i].From.Before(s.To)
}

// join returns the spans in their order, those that touch made one.
func join(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int { return a.From.Compare(b.From) })
	var out []Span
	for _, s := range spans {
		if n := len(out); n > 0 && !s.From.After(out[n-1].To) {
			if s.To.After(out[n-1].To) {
				out[n-1].To = s.To
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

package learn

import (
	"fmt"
	"strings"
	"time"
)

// The ages of tokens in use are counted in steps, up to the age that no token of Entra ID reaches: 28 hours and an hour
// for dating back, aggregation and late records, as in the rule about tokens that are over age.
const (
	step    = 15 * time.Minute
	longest = 29 * time.Hour
	steps   = int(longest / step)
)

// ages are how old tokens were when they were used.
type ages struct {
	counts []uint32 // by step, the last for what is older than any; nil: none was logged
	total  int64
	most   time.Duration
}

// add counts an age. A token from the future has none.
func (a *ages) add(age time.Duration) {
	if age < 0 {
		return
	}
	if a.counts == nil {
		a.counts = make([]uint32, steps+1)
	}
	a.counts[min(int(age/step), steps)]++
	a.total++
	a.most = max(a.most, age)
}

// upTo returns the age that so many of a thousand tokens do not pass, rounded up to the step; more than longest: unknown.
func (a *ages) upTo(thousandths int64) time.Duration {
	rank := (a.total*thousandths + 999) / 1000
	for i, n := range a.counts {
		if rank -= int64(n); rank <= 0 {
			return time.Duration(i+1) * step
		}
	}
	return longest + step
}

// slack is what maxAge allows above what was measured: one renewal later than usual.
const slack = time.Hour

// limit returns the age beyond which a token of the client is out of the ordinary; ok is false where too few were measured,
// or where they are as old as any.
func (a *ages) limit() (limit time.Duration, ok bool) {
	if a.total < MinMeasured {
		return 0, false
	}
	limit = a.upTo(999) + slack
	return limit, limit < longest
}

// String tells the percentiles.
func (a *ages) String() string {
	if a.total == 0 {
		return "age of tokens: never logged"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "age of %d tokens in use:", a.total)
	for i, p := range [...]struct {
		name string
		of   int64
	}{{"50", 500}, {"95", 950}, {"99", 990}, {"99.9", 999}} {
		if i > 0 {
			b.WriteByte(',')
		}
		if up := a.upTo(p.of); up > longest {
			fmt.Fprintf(&b, " %s %% over %s", p.name, short(longest))
		} else {
			fmt.Fprintf(&b, " %s %% up to %s", p.name, short(up))
		}
	}
	fmt.Fprintf(&b, "; the oldest %s", short(a.most.Round(time.Second)))
	return b.String()
}

// short writes a duration without the units that are zero: 29h, 1h15m.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

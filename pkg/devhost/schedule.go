package devhost

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/azfunc"
)

// schedule says when a timer is due.
type schedule interface {
	// next returns the first time after t, or the zero time if there is none.
	next(t time.Time) time.Time
}

// parseSchedule reads the schedule of a timer trigger: an NCRONTAB expression of six fields (second minute hour day month
// day-of-week; of five without the second) in UTC, or a time span.
func parseSchedule(s string) (schedule, error) {
	if strings.Contains(s, ":") && !strings.Contains(s, " ") {
		d, err := azfunc.ParseTimeSpan(s)
		if err == nil && d <= 0 {
			err = errors.New("want a time span longer than zero")
		}
		return interval(d), err
	}
	fields := strings.Fields(s)
	if len(fields) == 5 {
		fields = append([]string{"0"}, fields...)
	}
	if len(fields) != 6 {
		return nil, fmt.Errorf("want six fields (second minute hour day month day-of-week) or a time span, found %q", s)
	}
	var c crontab
	for i, f := range cronFields {
		var err error
		if c[i], err = f.parse(fields[i]); err != nil {
			return nil, fmt.Errorf("%s %q: %w", f.name, fields[i], err)
		}
	}
	return c, nil
}

type interval time.Duration

func (i interval) next(t time.Time) time.Time { return t.Add(time.Duration(i)) }

// crontab is a set of values for each of the six fields, a bit a value.
type crontab [6]uint64

type cronField struct {
	name     string
	min, max int
	names    []string
}

var cronFields = [6]cronField{
	{name: "second", max: 59},
	{name: "minute", max: 59},
	{name: "hour", max: 23},
	{name: "day", min: 1, max: 31},
	{name: "month", min: 1, max: 12, names: []string{
		"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
	}},
	{name: "day of week", max: 6, names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// parse reads a list of values, ranges and steps: "1,5-10,*/15".
func (f cronField) parse(s string) (uint64, error) {
	var set uint64
	for part := range strings.SplitSeq(s, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			n, err := strconv.Atoi(stepText)
			if err != nil || n < 1 {
				return 0, fmt.Errorf("want a step from 1 on, found %q", stepText)
			}
			step = n
		}
		from, to := f.min, f.max
		if span != "*" {
			lo, hi, ranged := strings.Cut(span, "-")
			var err error
			if from, err = f.value(lo); err != nil {
				return 0, err
			}
			switch {
			case ranged:
				if to, err = f.value(hi); err != nil {
					return 0, err
				}
			case !stepped:
				to = from
			}
			if from > to {
				return 0, fmt.Errorf("the range %q runs backwards", span)
			}
		}
		for v := from; v <= to; v += step {
			set |= 1 << v
		}
	}
	return set, nil
}

func (f cronField) value(s string) (int, error) {
	for i, name := range f.names {
		if len(s) >= 3 && strings.EqualFold(s[:3], name) {
			return f.min + i, nil
		}
	}
	n, err := strconv.Atoi(s)
	if err == nil && f.name == "day of week" && n == 7 {
		n = 0
	}
	if err != nil || n < f.min || n > f.max {
		return 0, fmt.Errorf("want a number from %d to %d", f.min, f.max)
	}
	return n, nil
}

func (c crontab) has(field, value int) bool { return c[field]&(1<<value) != 0 }

// horizon bounds the search: 29 February on a given day of the week comes once in 28 years, in 40 across a century.
const horizon = 41

func (c crontab) next(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second).Add(time.Second)
	end := t.Year() + horizon
	for t.Year() < end {
		switch {
		case !c.has(4, int(t.Month())):
			t = time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.has(3, t.Day()) || !c.has(5, int(t.Weekday())):
			t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
		case !c.has(2, t.Hour()):
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !c.has(1, t.Minute()):
			t = t.Truncate(time.Minute).Add(time.Minute)
		case !c.has(0, t.Second()):
			t = t.Add(time.Second)
		default:
			return t
		}
	}
	return time.Time{}
}

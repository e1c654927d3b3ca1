package normalize

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
)

// state tells what kind of value stands in a slot: anything but a value is Absent or Null.
func state(v decode.Value) event.State {
	switch v.Kind {
	case decode.Absent:
		return event.Absent
	case decode.Null:
		return event.Null
	case decode.String, decode.Number, decode.True, decode.False:
		return event.Present
	case decode.Object, decode.Array:
		return event.Unreadable
	}
	return event.Unreadable
}

// text reads a string, or the spelling of a number or boolean: many feeds write either.
func text(v decode.Value) event.Text {
	t := event.Text{State: state(v)}
	switch v.Kind {
	case decode.String, decode.Number:
		t.V = v.Text
	case decode.True:
		t.V = "true"
	case decode.False:
		t.V = "false"
	case decode.Absent, decode.Null, decode.Object, decode.Array: // the state says it all
	}
	return t
}

// integer reads a number or its text. In a text that is one of words, the word's place is the number.
// An empty text was not logged.
func integer(v decode.Value, words map[string]int64) event.Int {
	t := text(v)
	if t.State != event.Present {
		return event.Int{State: t.State}
	}
	if t.V == "" {
		return event.Int{}
	}
	if n, err := strconv.ParseInt(t.V, 10, 64); err == nil {
		return event.Of(n)
	}
	if n, ok := words[t.V]; ok {
		return event.Of(n)
	}
	return event.Int{State: event.Unreadable}
}

// flag reads a boolean, its text in any case, or 0 and 1. An empty text was not logged.
func flag(v decode.Value) event.Flag {
	t := text(v)
	switch {
	case t.State != event.Present:
		return event.Flag{State: t.State}
	case t.V == "":
		return event.Flag{}
	case strings.EqualFold(t.V, "true"), t.V == "1":
		return event.Of(true)
	case strings.EqualFold(t.V, "false"), t.V == "0":
		return event.Of(false)
	}
	return event.Flag{State: event.Unreadable}
}

// address reads an IP address and strips what feeds add to it: a port, brackets, a zone, the IPv4-mapped prefix.
// An empty text and Exchange's "<null>" were not logged.
func address(v decode.Value) event.Addr {
	t := text(v)
	if t.State != event.Present {
		return event.Addr{State: t.State}
	}
	s := strings.TrimSpace(t.V)
	if s == "" || s == "<null>" {
		return event.Addr{}
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		if ap, perr := netip.ParseAddrPort(s); perr == nil {
			a, err = ap.Addr(), nil
		} else if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
			a, err = netip.ParseAddr(s[1 : len(s)-1])
		}
	}
	if err != nil {
		return event.Addr{State: event.Unreadable}
	}
	return event.Of(a.Unmap().WithZone(""))
}

// instant reads a time in any of the forms that the feeds use: RFC 3339 with any number of digits, the same without a
// zone or with a blank for the T (both mean UTC), US dates with 12 or 24 hours, and Unix seconds.
// An empty text was not logged.
func instant(v decode.Value) event.Time {
	t := text(v)
	if t.State != event.Present {
		return event.Time{State: t.State}
	}
	s := strings.TrimSpace(t.V)
	if s == "" {
		return event.Time{}
	}
	if at, ok := parseISO(s); ok {
		return event.Of(at)
	}
	if at, ok := parseUnix(s); ok {
		return event.Of(at)
	}
	if at, ok := parseUS(s); ok {
		return event.Of(at)
	}
	return event.Time{State: event.Unreadable}
}

// parseISO reads yyyy-mm-dd(T| )hh:mm:ss[.f…][Z|±hh:mm]. Nanoseconds are kept, further digits cut.
func parseISO(s string) (time.Time, bool) {
	if len(s) < 19 || s[4] != '-' || s[7] != '-' || (s[10] != 'T' && s[10] != ' ' && s[10] != 't') || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	year, a := digits(s[0:4])
	month, b := digits(s[5:7])
	day, c := digits(s[8:10])
	hour, d := digits(s[11:13])
	minute, e := digits(s[14:16])
	sec, f := digits(s[17:19])
	if !a || !b || !c || !d || !e || !f {
		return time.Time{}, false
	}
	rest := s[19:]
	nanos := 0
	if strings.HasPrefix(rest, ".") {
		i, scale := 1, 100_000_000
		for ; i < len(rest) && '0' <= rest[i] && rest[i] <= '9'; i++ {
			nanos += int(rest[i]-'0') * scale
			scale /= 10
		}
		if i == 1 {
			return time.Time{}, false
		}
		rest = rest[i:]
	}
	offset, ok := zone(rest)
	if !ok {
		return time.Time{}, false
	}
	return date(year, month, day, hour, minute, sec, nanos, offset)
}

// date refuses what time.Date would roll over: a thirteenth month, the 31st of February.
func date(year, month, day, hour, minute, sec, nanos int, offset time.Duration) (time.Time, bool) {
	if hour > 23 || minute > 59 || sec > 59 || year < 1 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, sec, nanos, time.UTC)
	if t.Day() != day || int(t.Month()) != month {
		return time.Time{}, false
	}
	return t.Add(-offset), true
}

// zone reads "", "Z" or "±hh:mm" after optional blanks.
func zone(s string) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	switch {
	case s == "", s == "Z", s == "z", s == "UTC":
		return 0, true
	case len(s) == 6 && (s[0] == '+' || s[0] == '-') && s[3] == ':':
		h, a := digits(s[1:3])
		m, b := digits(s[4:6])
		if !a || !b || h > 23 || m > 59 {
			return 0, false
		}
		d := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
		if s[0] == '-' {
			d = -d
		}
		return d, true
	}
	return 0, false
}

func digits(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, len(s) > 0
}

// maxUnix is the last second of the year 9999.
const maxUnix = 253402300799

// parseUnix reads seconds since 1970, perhaps with a fraction.
func parseUnix(s string) (time.Time, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(n, 0).UTC(), 0 <= n && n <= maxUnix
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > maxUnix || strings.ContainsAny(s, "xX_nN") {
		return time.Time{}, false
	}
	sec, frac := math.Modf(f)
	return time.Unix(int64(sec), int64(frac*1e9)).UTC(), true
}

// usLayouts are the month-first forms of Windows, Excel and the Log Analytics CSV export.
var usLayouts = [...]string{
	"1/2/2006 3:04:05 PM", "1/2/2006, 3:04:05.999999999 PM", "1/2/2006 15:04:05", "1/2/2006 3:04:05 PM -07:00",
	"1/2/2006, 3:04:05 PM", "1/2/2006 3:04:05.999999999 PM", "1/2/2006 15:04:05.999999999",
}

func parseUS(s string) (time.Time, bool) {
	if strings.IndexByte(s, '/') < 0 {
		return time.Time{}, false
	}
	for _, layout := range usLayouts {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 0 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

package azfunc

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// DefaultDeadline is how long a call may take where neither [Options] nor the environment say less.
const DefaultDeadline = 8 * time.Minute

// TimeoutVariable is the app setting that takes the place of functionTimeout in host.json. The host hands app settings on to
// the handler, but not what host.json says.
const TimeoutVariable = "AzureFunctionsJobHost__functionTimeout"

// ownDeadline returns how long a call may take under the app settings: four fifths of a functionTimeout among them, and
// no longer than DefaultDeadline. .NET does not tell the cases of their names apart.
func ownDeadline(environment []string) time.Duration {
	for _, setting := range environment {
		name, value, _ := strings.Cut(setting, "=")
		if !strings.EqualFold(name, TimeoutVariable) {
			continue
		}
		if d, err := ParseTimeSpan(value); err == nil && d > 0 { // -1: none; the host itself does not start with others
			return min(d/5*4, DefaultDeadline)
		}
	}
	return DefaultDeadline
}

// ParseTimeSpan reads a .NET TimeSpan in its invariant form: [d.]hh:mm[:ss[.fffffff]], not negative.
func ParseTimeSpan(s string) (time.Duration, error) {
	bad := fmt.Errorf("want a time span such as 00:05:00, found %q", s)
	days, clock := 0, s
	if before, after, ok := strings.Cut(s, "."); ok && strings.Contains(after, ":") {
		n, err := strconv.ParseUint(before, 10, 16)
		if err != nil {
			return 0, bad
		}
		days, clock = int(n), after
	}
	parts := strings.Split(clock, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0, bad
	}
	d := time.Duration(days) * 24 * time.Hour
	for i, unit := range []time.Duration{time.Hour, time.Minute} {
		n, err := strconv.ParseUint(parts[i], 10, 8)
		if err != nil || len(parts[i]) > 2 || time.Duration(n)*unit >= []time.Duration{24 * time.Hour, time.Hour}[i] {
			return 0, bad
		}
		d += time.Duration(n) * unit
	}
	if len(parts) == 3 {
		seconds, err := strconv.ParseFloat(parts[2], 64)
		if err != nil || seconds < 0 || seconds >= 60 || strings.Trim(parts[2], "0123456789.") != "" {
			return 0, bad
		}
		d += time.Duration(seconds * float64(time.Second))
	}
	return d, nil
}

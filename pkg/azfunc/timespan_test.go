package azfunc

import (
	"testing"
	"time"
)

func TestTimeSpan(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"00:05:00": 5 * time.Minute, "23:59": 23*time.Hour + 59*time.Minute, "1.02:03:04.5": 26*time.Hour + 3*time.Minute + 4500*time.Millisecond,
		"00:00:00": 0, "00:00:59.1234567": 59*time.Second + 123456700,
	} {
		if got, err := ParseTimeSpan(s); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "5", "5s", "24:00:00", "00:60:00", "00:00:60", "-00:00:01", "a.00:00:00", "00:00:1e1", "0:0:0:0", "::"} {
		if got, err := ParseTimeSpan(s); err == nil {
			t.Errorf("%q passes as %v", s, got)
		}
	}
}

// The host kills the handler, with every call in flight, when functionTimeout is over.
func TestOwnDeadline(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]time.Duration{
		"":                            DefaultDeadline,
		TimeoutVariable + "=00:05:00": 4 * time.Minute,
		"azurefunctionsjobhost__FUNCTIONTIMEOUT=00:00:10": 8 * time.Second,
		TimeoutVariable + "=01:00:00":                     DefaultDeadline,
		TimeoutVariable + "=-1":                           DefaultDeadline,
		TimeoutVariable + "=soon":                         DefaultDeadline,
		"Other__functionTimeout=00:00:10":                 DefaultDeadline,
	} {
		if got := ownDeadline([]string{"PATH=/bin", setting}); got != want {
			t.Errorf("%q: %v, want %v", setting, got, want)
		}
	}
}

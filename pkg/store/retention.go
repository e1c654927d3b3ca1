package store

import "time"

// DefaultRetention is how long what belongs to a day is kept, counted from its beginning.
const DefaultRetention = 400 * 24 * time.Hour

// overdue is how long is kept what is written of a day whose retention is over already: replays of old logs write it.
const overdue = 90 * 24 * time.Hour

// Lifetime returns how long what is written now of a day is kept: until the retention after the day's beginning, all of
// the day at once. A day in the future, which a log can claim, is not kept longer than today. A retention of 0 is the default.
func Lifetime(day, now time.Time, retention time.Duration) time.Duration {
	if retention == 0 {
		retention = DefaultRetention
	}
	left := min(day.Add(retention).Sub(now), retention)
	if left < time.Second {
		return overdue
	}
	return left
}

package alert

import (
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/event"
)

// These ids are in people's stores, tickets and mails. They may never change: if this test fails, the code is wrong.
func TestIDsNeverChange(t *testing.T) {
	t.Parallel()
	const tenant = "11111111-2222-4333-8444-555555555555"
	for _, c := range []struct {
		rule, event string
		want        FindingID
	}{
		{"token-kid-known-bad", "token|" + tenant + "|obs-1", "ihq36yjkxirfkoqqdb66iennq4"},
		{"", "", "rr54o4eg6d52djvi6sfpppxsoe"},
		{"a", "bc", "u4x6oq2bxj7p6gikkyal4owyle"},
		{"ab", "c", "wcb25kxaa5wgh72loue7utaaje"},
		{"a\x00b", "é", "tduhf4kdq4xcpgkeckcvcdaeee"},
	} {
		if got := NewFindingID(c.rule, event.ID(c.event)); got != c.want {
			t.Errorf("finding of %q in %q: got %s, want %s", c.rule, c.event, got, c.want)
		}
	}
	for _, c := range []struct {
		day               Day
		tenant, rule, key string
		want              ID
	}{
		{"2025-03-14", tenant, "token-kid-known-bad", "d4b4cccda9228624656bff33d8110955779632aa", "20250314-74dcqy7uzklvxe6bhmj5w5sms4"},
		{"2025-03-15", tenant, "token-kid-known-bad", "d4b4cccda9228624656bff33d8110955779632aa", "20250315-74dcqy7uzklvxe6bhmj5w5sms4"},
		{"2025-03-14", "unknown", "", "", "20250314-ntiwwtwwaeevz27idu7f6djydu"},
		{"2025-03-14", "ab", "c", "d", "20250314-bso2iulrozp6xdd6ul623htv3e"},
		{"2025-03-14", "a", "bc", "d", "20250314-rjjhwd2yqruinctgb5msz5rzda"},
	} {
		if got := NewID(c.day, c.tenant, c.rule, c.key); got != c.want {
			t.Errorf("alert of %s %q %q %q: got %s, want %s", c.day, c.tenant, c.rule, c.key, got, c.want)
		}
	}
	if got := NewSetAside("invalid-json", "detail", "a.json:1", "a.json", "{").ID; got != "j6vuuzbll3due4av6pg5svccyq" {
		t.Errorf("set aside: got %s", got)
	}
}

func TestIDsOfNeighbouringDays(t *testing.T) {
	t.Parallel()
	for _, day := range []string{"2025-03-14", "2024-02-28", "2024-12-31", "2025-02-28", "0001-01-02", "9999-12-30"} {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		id := NewID(Day(day), "t", "r", "k")
		if next := NewID(DayOf(at.AddDate(0, 0, 1)), "t", "r", "k"); id.Next() != next || next.Previous() != id || id.Day() != Day(day) {
			t.Errorf("after %s of %s comes %s, want %s", id, id.Day(), id.Next(), next)
		}
	}
	for _, id := range []ID{"", "x", "20250314", "2025-03-14", "20251314-x", "-"} {
		if id.Next() != "" || id.Previous() != "" {
			t.Errorf("%q has neighbours %q and %q", id, id.Previous(), id.Next())
		}
	}
	if got := DayOf(time.Date(2025, 3, 14, 23, 59, 59, 999_999_999, time.FixedZone("", -3600))); got != "2025-03-15" {
		t.Errorf("the day is not that of UTC: %s", got)
	}
}

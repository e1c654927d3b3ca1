package corpus

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// The sizes are those of the logs that were measured when the targets were set.
func TestRecordsHaveTheSizesOfTheLogs(t *testing.T) {
	t.Parallel()
	const n = 500
	g := New(1)
	for _, c := range []struct {
		name           string
		make           func() string
		low, high      int
		mean, meanSlop int
	}{
		{"sign-in", g.SignIn, 3000, 7500, 4600, 150},
		{"mail access", g.MailItemsAccessed, 1500, 5200, 2700, 150},
	} {
		sum := 0
		for range n {
			r := c.make()
			sum += len(r)
			if len(r) < c.low || len(r) > c.high {
				t.Fatalf("%s of %d bytes, want %d to %d", c.name, len(r), c.low, c.high)
			}
			if !json.Valid([]byte(r)) {
				t.Fatalf("%s is not JSON: %s", c.name, r)
			}
		}
		if mean := sum / n; mean < c.mean-c.meanSlop || mean > c.mean+c.meanSlop {
			t.Errorf("%s of %d bytes on average, want about %d", c.name, mean, c.mean)
		}
	}
}

func TestThirdOfTheNamesAreEscaped(t *testing.T) {
	t.Parallel()
	const n = 600
	g, escaped := New(2), 0
	for range n {
		var r struct{ Identity json.RawMessage }
		if err := json.Unmarshal([]byte(g.SignIn()), &r); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(r.Identity, []byte(`\u`)) {
			escaped++
		}
	}
	if escaped < n/4 || escaped > n*5/12 {
		t.Errorf("%d of %d names are escaped, want about a third", escaped, n)
	}
}

func TestSeedDecidesTheBytes(t *testing.T) {
	t.Parallel()
	a, b := Records(7, 50), Records(7, 50)
	if !slices.Equal(a, b) {
		t.Error("the same seed gave other records")
	}
	if slices.Equal(a, Records(8, 50)) {
		t.Error("another seed gave the same records")
	}
	var w bytes.Buffer
	if err := WriteNDJSON(&w, 7, 50); err != nil {
		t.Fatal(err)
	}
	if w.String() != strings.Join(a, "\n")+"\n" {
		t.Error("the lines differ from the records")
	}
}

func TestPayloadsHoldTheMessages(t *testing.T) {
	t.Parallel()
	messages, records := New(3).Messages(20)
	if records != 210 {
		t.Errorf("%d records in 20 messages, want 210", records)
	}
	text := func(t *testing.T, s string) string {
		t.Helper()
		var out string
		if err := json.Unmarshal([]byte(s), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	list := func(t *testing.T, s string) []string {
		t.Helper()
		var out []string
		if err := json.Unmarshal([]byte(s), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, f := range Forms() {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			p := Payloads(messages, f)
			var got []string
			switch f {
			case Objects:
				var raw []json.RawMessage
				if err := json.Unmarshal([]byte(p[0]), &raw); err != nil {
					t.Fatal(err)
				}
				for _, m := range raw {
					got = append(got, string(m))
				}
			case Strings:
				got = list(t, p[0])
			case Doubled:
				got = list(t, text(t, p[0]))
			case Base64:
				for _, m := range list(t, text(t, p[0])) {
					b, err := base64.StdEncoding.DecodeString(m)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, string(b))
				}
			case Single:
				for _, s := range p {
					got = append(got, text(t, s))
				}
			}
			if !slices.Equal(got, messages) {
				t.Error("the payload holds other messages")
			}
		})
	}
}

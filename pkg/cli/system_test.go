package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/rule"
)

func TestDefaultStore(t *testing.T) {
	t.Parallel()
	home := func() (string, error) { return "/home/ada", nil }
	for _, c := range []struct {
		os   string
		env  map[string]string
		want string
	}{
		{"linux", nil, "/home/ada/.local/state/assay/assay.db"},
		{"linux", map[string]string{"XDG_STATE_HOME": "/var/ada"}, "/var/ada/assay/assay.db"},
		{"linux", map[string]string{"XDG_STATE_HOME": "relative"}, "/home/ada/.local/state/assay/assay.db"},
		{"freebsd", nil, "/home/ada/.local/state/assay/assay.db"},
		{"darwin", map[string]string{"XDG_STATE_HOME": "/var/ada"}, "/home/ada/Library/Application Support/assay/assay.db"},
		{"windows", nil, "/home/ada/AppData/Local/assay/assay.db"},
		{"windows", map[string]string{"LocalAppData": "/c/local"}, "/c/local/assay/assay.db"},
	} {
		sys := System{OS: c.os, Home: home, Getenv: func(k string) string { return c.env[k] }}
		got, err := sys.defaultStore()
		if err != nil || filepath.ToSlash(got) != c.want {
			t.Errorf("%s %v: %q, %v, want %q", c.os, c.env, got, err, c.want)
		}
	}
	sys := System{OS: "linux", Getenv: func(string) string { return "" }, Home: func() (string, error) { return "", errors.New("no home") }}
	if _, err := sys.defaultStore(); err == nil || !strings.Contains(err.Error(), "--store") {
		t.Errorf("without a home: %v", err)
	}
}

func TestCommandLinesCanBeTypedAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"/usr/bin/assay", []string{"explain", "20240305-abcdef"}, "/usr/bin/assay explain 20240305-abcdef"},
		{"./bin/assay", []string{"explain"}, "./bin/assay explain"},
		{"assay", []string{"--store", "my store.db"}, "assay --store 'my store.db'"},
		{"assay", []string{"--store", "it's; rm -rf $HOME"}, `assay --store 'it'\''s; rm -rf $HOME'`},
		{"assay", []string{""}, "assay ''"},
	} {
		sys := System{Name: c.name}
		if got := sys.command(c.args...); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestRunsAreNamedApart(t *testing.T) {
	t.Parallel()
	sys := System{Now: func() time.Time { return night }, Random: bytes.NewReader([]byte{1, 2, 3, 4, 5, 6, 7, 8})}
	one, err1 := sys.newRunID()
	two, err2 := sys.newRunID()
	if err1 != nil || err2 != nil || one != "local-20230616T031233Z-01020304" || two != "local-20230616T031233Z-05060708" {
		t.Errorf("%q %v, %q %v", one, err1, two, err2)
	}
	if _, err := sys.newRunID(); err == nil {
		t.Error("a run without chance got a name")
	}
}

// read is a meter.
type read struct{ done, total int64 }

func (r read) Progress() (int64, int64) { return r.done, r.total }

func TestProgress(t *testing.T) {
	t.Parallel()
	p := &progress{started: night}
	after := func(d time.Duration, done, total int64) string { return p.line(night.Add(d), read{done, total}) }
	if got := after(900*time.Millisecond, 5, 10) + p.clear(); got != "" {
		t.Errorf("a short input shows %q", got)
	}
	for _, c := range []struct{ got, want string }{ // evaluated in this order
		{after(2*time.Second, 1_000_000_000, 5_000_000_000), "\r20 %, 1.0 GB of 5.0 GB, 500.0 MB/s, 8s left"},
		{after(4*time.Second, 0, 5_000_000_000), "\r0 %, 0 B of 5.0 GB, 0 B/s                  "},
		{after(4*time.Second, 4_000_000, 0), "\r4.0 MB read, 1.0 MB/s    "},
		{p.clear(), "\r" + strings.Repeat(" ", 21) + "\r"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestNoProgressForAFile(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	stop := watch(&System{Err: &out, Now: func() time.Time { return night }}, read{1, 2})
	stop()
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
}

func TestPrintableJSONMeansTheSame(t *testing.T) {
	t.Parallel()
	text := "a\u202eb\u009b31m\x7f\u200b\U000e0041\u2028ü山🦊"
	var out bytes.Buffer
	if err := writeJSON(&out, "", map[string]string{"x": text}); err != nil {
		t.Fatal(err)
	}
	if want := `{"x":"a\u202eb\u009b31m\u007f\u200b\udb40\udc41\u2028ü山🦊"}` + "\n"; out.String() != want {
		t.Errorf("got %s, want %s", out.String(), want)
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["x"] != text {
		t.Errorf("read back %q, %v", back["x"], err)
	}
}

func FuzzPrintableJSON(f *testing.F) {
	f.Add("a\u202eb", "\x1b[2J\u009b")
	f.Fuzz(func(t *testing.T, name, text string) {
		doc := map[string]string{name: text}
		want, err := json.Marshal(doc)
		if err != nil {
			t.Skip()
		}
		got := printable(bytes.Clone(want))
		for _, r := range string(got) {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				t.Fatalf("%U is left in %s", r, got)
			}
		}
		var a, b map[string]string
		if err := errors.Join(json.Unmarshal(want, &a), json.Unmarshal(got, &b)); err != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("%s means otherwise than %s (%v)", got, want, err)
		}
	})
}

// Whatever a finding holds, its explanation is harmless.
func FuzzExplainPage(f *testing.F) {
	f.Add("\x1b]0;x\a", "\u202e\u2066", "a\nb", uint8(80))
	f.Fuzz(func(t *testing.T, value, place, name string, columns uint8) {
		a := alert.Alert{
			ID: alert.ID(name), Rule: alert.RuleRef{ID: value, Title: place, Why: name}, Tenant: value, KeyName: name, Key: value,
			Count: 30, First: night, Last: night.Add(time.Hour), Status: alert.Closed, Verdict: alert.Benign,
			Subject: alert.Subject{User: value, UserID: place, App: name, AppID: value, Address: place, Mailbox: name, TokenID: value},
			Places:  []alert.Sighting{{At: night, Place: place}, {At: night, Place: value}},
			History: []alert.Change{{At: night, By: name, Status: alert.Closed, Verdict: alert.Benign, Note: value}},
		}
		finding := alert.Finding{
			ID: alert.FindingID(value), Category: name, EventID: "e", Place: place, At: night,
			Facts: []rule.Fact{
				{Field: name, Value: value, Op: "is", Operand: place, Truth: rule.True},
				{Field: value, Value: place, Op: name, Truth: rule.Unknown},
				{Field: place, Value: name, Op: value, Truth: rule.False},
			},
		}
		var out bytes.Buffer
		p := newPage(&out, Terminal{Width: int(columns), Color: columns%2 == 1})
		p.alertHead(newAlertDocument(&a, names{}))
		p.finding(&finding, &a)
		p.places(a.Places, a.Count)
		p.history(a.History)
		if err := p.flush(); err != nil {
			t.Fatal(err)
		}
		limit := 0
		if columns > 0 {
			limit = max(int(columns), minWidth)
		}
		mustBeHarmless(t, out.String(), limit)
	})
}

// broken is an output that nobody reads any more.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestLostOutputIsAnError(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"rules", "list"}, {"rules", "list", "--output", "json"}, {"version"}, {"rules", "test"}} {
		var errs bytes.Buffer
		sys := System{Name: "assay", Out: broken{}, Err: &errs, In: strings.NewReader("")}
		if code := Main(context.Background(), sys, args); code != exitError || !strings.Contains(errs.String(), "broken pipe") {
			t.Errorf("%v: exit code %d, %s", args, code, errs.String())
		}
	}
}

func TestInterruptedRunSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errs bytes.Buffer
	sys := System{
		Name: "assay", Out: &out, Err: &errs, In: strings.NewReader(`{"a":1}`), Getenv: func(string) string { return "" },
		Now: func() time.Time { return night }, Random: strings.NewReader("chance"),
	}
	if code := Main(ctx, sys, []string{"detect", "--store", filepath.Join(t.TempDir(), "a.db"), "-"}); code != exitError || out.Len() > 0 {
		t.Errorf("exit code %d, output %q, %s", code, out.String(), errs.String())
	}
}

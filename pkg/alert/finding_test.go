package alert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

var fromTest = Provenance{Run: "run-1", Assay: "v0.1.0", Reference: "sha256:0a"}

// exampleVerdict and exampleEvent are a token observation that a rule fires on.
func exampleVerdict() *rule.Verdict {
	r := &rule.Rule{ID: "token-kid-known-bad", Title: "Token signed by a key that is known to be stolen", Version: 3, Key: rule.Key{Name: "key"}}
	return &rule.Verdict{
		Rule: r, Truth: rule.True, Key: "d4b4cccda9228624656bff33d8110955779632aa",
		Leg:      &rule.Leg{ID: "known-bad", Why: "the key is on the list of stolen keys."},
		Severity: rule.Critical, Strength: rule.Strong, Stage: rule.Enabled,
		Facts: []rule.Fact{
			{Field: "token.kid", Value: "d4b4cccda9228624656bff33d8110955779632aa", Op: "is listed in", Operand: "bad-keys", Truth: rule.True},
			{Field: "token.x5t", Value: "(absent)", Op: "is listed in", Operand: "bad-keys", Truth: rule.Unknown},
			{Field: "token.alg", Value: "RS256", Op: "is", Operand: "none", Truth: rule.False},
		},
	}
}

func exampleEvent() *event.Event {
	ev := &event.Event{
		ID: "token|11111111-2222-4333-8444-555555555555|obs-1", Kind: event.TokenObserved, Category: "TokenObservation",
		Tenant: "11111111-2222-4333-8444-555555555555",
		Time:   event.Of(time.Date(2025, 3, 14, 10, 20, 30, 123_456_700, time.FixedZone("", 3600))),
	}
	ev.Actor.Name = event.Of("ana@example.com")
	ev.Actor.ObjectID = event.Of("aaaaaaaa-1111-4222-8333-444444444444")
	ev.App.ID = event.Of("bbbbbbbb-1111-4222-8333-444444444444")
	ev.Net.IP = event.Of(netip.MustParseAddr("2001:db8::7"))
	ev.Token.ID = event.Of("xMFjTVvJPE2OChJx_YE-AA")
	ev.Token.SessionID = event.Of("cccccccc-1111-4222-8333-444444444444")
	ev.Token.KeyID = event.Of("d4b4cccda9228624656bff33d8110955779632aa")
	return ev
}

func exampleFinding() Finding {
	return NewFinding(exampleVerdict(), exampleEvent(), Evidence{
		Record: "{\n  \"id\": \"obs-1\",\n  \"token\": {\"kid\": \"d4b4…\", \"exp\": 12345678901234567890, \"note\": \"<b> & \\u00e9\"}\n}\n",
		Place:  "logs/tokens.json:7#2",
	}, fromTest)
}

func TestNewFinding(t *testing.T) {
	t.Parallel()
	f := exampleFinding()
	golden(t, "finding.json", &f)
	var back Finding
	data := mustJSON(t, &f)
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f, back) {
		t.Errorf("it reads back as\n%+v\nwas\n%+v", back, f)
	}
	if again := mustJSON(t, &back); !bytes.Equal(data, again) {
		t.Error("it is not written as it was read")
	}
}

// An event's texts alias the batch that it was read from, which is overwritten by the next.
func TestNewFindingSharesNoMemory(t *testing.T) {
	t.Parallel()
	memory := []byte(strings.Repeat("abcdefgh", 8) + `{"id":"abcdefgh"}`)
	alias := func(from, to int) string { return unsafe.String(&memory[from], to-from) }
	v, ev := exampleVerdict(), exampleEvent()
	v.Key = alias(0, 8)
	v.Facts[0].Value = alias(8, 12)
	ev.ID, ev.Category, ev.Tenant = event.ID(alias(0, 6)), alias(1, 7), alias(2, 8)
	fillTexts(reflect.ValueOf(ev).Elem(), alias(16, 40))
	f := NewFinding(v, ev, Evidence{Record: alias(64, len(memory)), Place: alias(3, 9)},
		Provenance{Run: alias(0, 3), Assay: alias(0, 4), Reference: alias(0, 5)})
	before := mustJSON(t, &f)
	for i := range memory {
		memory[i] = '#'
	}
	if after := mustJSON(t, &f); !bytes.Equal(before, after) {
		t.Errorf("it changed with the batch:\n%s\n%s", before, after)
	}
}

// fillTexts sets every logged text in v.
func fillTexts(v reflect.Value, s string) {
	for i := range v.NumField() {
		field := v.Field(i)
		if text, ok := field.Addr().Interface().(*event.Text); ok {
			*text = event.Of(s)
		} else if field.Kind() == reflect.Struct && field.Type().PkgPath() == v.Type().PkgPath() && !strings.HasPrefix(field.Type().Name(), "Value") {
			fillTexts(field, s)
		}
	}
}

func TestSubject(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind event.Kind
		set  func(*event.Event)
		want Subject
	}{
		"nothing logged": {event.SignIn, func(*event.Event) {}, Subject{}},
		"sign-in": {event.SignIn, func(e *event.Event) {
			e.Actor.Name, e.Actor.ObjectID = event.Of("ana@example.com"), event.Of("oid")
			e.App.Name, e.App.ID = event.Of("Mail"), event.Of("app")
			e.Net.IP = event.Of(netip.MustParseAddr("192.0.2.7"))
			e.Token.ID, e.Token.SessionID = event.Of("OTMzZjIwYzAtZWZkZi00NzdmLTk1ODYtZTVjYzU2NmQyZTAw"), event.Of("sid")
		}, Subject{
			User: "ana@example.com", UserID: "oid", App: "Mail", AppID: "app", Address: "192.0.2.7",
			TokenID: "933f20c0-efdf-477f-9586-e5cc566d2e00", Session: "sid",
		}},
		"no name": {event.GraphActivity, func(e *event.Event) { e.Actor.ObjectID = event.Of("oid") }, Subject{User: "oid", UserID: "oid"}},
		"an empty name": {event.Risk, func(e *event.Event) {
			e.Actor.Name, e.Actor.ObjectID = event.Of(""), event.Of("oid")
		}, Subject{User: "oid", UserID: "oid"}},
		"a name that could not be read": {event.Risk, func(e *event.Event) {
			e.Actor.Name = event.Text{V: "stale", State: event.Unreadable}
		}, Subject{}},
		"a mailbox with its owner": {event.Audit, func(e *event.Event) {
			e.Audit.Mailbox, e.Audit.MailboxOwner = event.Of("guid"), event.Of("bob@example.com")
		}, Subject{Mailbox: "bob@example.com"}},
		"a mailbox without":           {event.Audit, func(e *event.Event) { e.Audit.Mailbox = event.Of("guid") }, Subject{Mailbox: "guid"}},
		"a token id in no known form": {event.Audit, func(e *event.Event) { e.Token.ID = event.Of("forged!") }, Subject{TokenID: "forged!"}},
		"a token's claims": {event.TokenObserved, func(e *event.Event) {
			e.Token.Subject, e.Token.AuthorizedParty, e.Token.Thumbprint = event.Of("sub"), event.Of("azp"), event.Of("x5t")
		}, Subject{User: "sub", AppID: "azp", KeyID: "x5t"}},
		"a token's better claims": {event.TokenObserved, func(e *event.Event) {
			e.Token.Subject, e.Token.ObjectID = event.Of("sub"), event.Of("oid")
			e.Token.AuthorizedParty, e.Token.AppID = event.Of("azp"), event.Of("appid")
			e.Token.Thumbprint, e.Token.KeyID = event.Of("x5t"), event.Of("kid")
		}, Subject{User: "oid", UserID: "oid", AppID: "appid", KeyID: "kid"}},
		"claims of no token observation": {event.SignIn, func(e *event.Event) { e.Token.Subject = event.Of("sub") }, Subject{}},
		"who changed the directory": {event.DirectoryChange, func(e *event.Event) {
			e.Directory.InitiatorName, e.Directory.InitiatorApp = event.Of("Ana"), event.Of("Portal")
		}, Subject{User: "Ana", App: "Portal"}},
	} {
		ev := &event.Event{Kind: c.kind}
		c.set(ev)
		if got := subject(ev); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		record string
		kept   bool
	}{
		"an object":                        {`{"a": [1, 2.50, 1e3, "x"]}`, true},
		"an empty record":                  {"", false},
		"white space":                      {" \n", false},
		"no JSON":                          {`{"a":`, false},
		"two values":                       {`{} {}`, false},
		"bad UTF-8":                        {"{\"a\":\"\xff\"}", false},
		"NaN":                              {`{"a":NaN}`, false},
		"just fitting":                     {`"` + strings.Repeat("x", MaxEvidence-2) + `"`, true},
		"one too many":                     {`"` + strings.Repeat("x", MaxEvidence-1) + `"`, false},
		"white space that can go":          {`[1,` + strings.Repeat(" ", 2*MaxEvidence) + `2]`, true},
		"white space beyond all bounds":    {`[1,` + strings.Repeat(" ", 8*MaxEvidence) + `2]`, false},
		"markup that grows":                {`"` + strings.Repeat("<", MaxEvidence/2) + `"`, false},
		"thirty megabytes":                 {`"` + strings.Repeat("y", 30<<20) + `"`, false},
		"deeper than JSON is read":         {strings.Repeat("[", 8000) + strings.Repeat("]", 8000), true},
		"deeper than anybody's patience":   {strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), false},
		"text of runes of several bytes":   {strings.Repeat("é😀", 10_000), false},
		"control characters without quote": {strings.Repeat("\x00", 40_000), false},
	} {
		v := exampleVerdict()
		v.Facts = nil
		f := NewFinding(v, exampleEvent(), Evidence{Record: c.record}, fromTest)
		if kept := f.Record != nil; kept != c.kept {
			t.Errorf("%s: kept is %v", name, kept)
		}
		if f.RecordHash != hash(c.record) || len(f.RecordHash) != 64 {
			t.Errorf("%s: the hash is %q", name, f.RecordHash)
		}
		if f.Record != nil && (f.RecordCut != "" || !sameJSON(t, f.Record, []byte(c.record))) {
			t.Errorf("%s: the record is not what it was", name)
		}
		if f.Record == nil && !strings.HasPrefix(c.record, strings.ToValidUTF8(strings.TrimSuffix(f.RecordCut, ellipsis), "")) && utf8.ValidString(c.record) {
			t.Errorf("%s: the cut is not the record's start", name)
		}
		if n := len(mustJSON(t, f.Record)) + len(mustJSON(t, f.RecordCut)); n > MaxEvidence+len(`null""`) {
			t.Errorf("%s: %d bytes of evidence", name, n)
		}
	}
}

func TestFactsAreBounded(t *testing.T) {
	t.Parallel()
	v := exampleVerdict()
	v.Facts = nil
	for i := range 200 {
		v.Facts = append(v.Facts, rule.Fact{
			Field: fmt.Sprintf("field-%d", i), Value: strings.Repeat("<", 600), Op: "is", Operand: strings.Repeat("\x00", 600),
			Truth: []rule.Truth{rule.False, rule.Unknown, rule.True}[i%3],
		})
	}
	v.Facts = append(v.Facts, rule.Fact{Field: "small", Value: "v", Op: "is", Truth: rule.True})
	f := NewFinding(v, exampleEvent(), Evidence{Record: `"` + strings.Repeat("x", 2*MaxEvidence) + `"`}, fromTest)
	if n := len(mustJSON(t, f.Facts)) + len(mustJSON(t, f.RecordCut)); n > MaxEvidence {
		t.Errorf("%d bytes of evidence", n)
	}
	for i, fact := range f.Facts {
		if fact.Truth != rule.True {
			t.Errorf("fact %d is %s though true ones did not fit", i, fact.Truth)
		}
	}
	if last := f.Facts[len(f.Facts)-1]; last.Field != "small" {
		t.Errorf("a small fact was not kept for a large one before it: %+v", last)
	}
	// Few facts are all kept, in their order.
	f = exampleFinding()
	if !reflect.DeepEqual(f.Facts, exampleVerdict().Facts) {
		t.Errorf("facts are lost: %+v", f.Facts)
	}
}

// A claim is what thousands of records of one forged token cost.
func TestClaimIsSmall(t *testing.T) {
	t.Parallel()
	f := exampleFinding()
	c := f.Claim()
	if c.Facts != nil || c.Record != nil || c.RecordCut != "" || c.RecordHash != "" {
		t.Errorf("it holds evidence: %+v", c)
	}
	if c.ID != f.ID || c.AlertID != f.AlertID || c.EventID != f.EventID || !c.At.Equal(f.At) || c.Place != f.Place || c.From.Run != f.From.Run ||
		c.Severity != f.Severity || c.Strength != f.Strength || c.Stage != f.Stage {
		t.Errorf("it lost what it is: %+v", c)
	}
	size := len(c.ID) + len(c.EventID) + len(c.Place) + len(c.From.Run) + len(time.RFC3339Nano)
	if size > 300 {
		t.Errorf("it takes %d bytes", size)
	}
}

// Times that an attacker wrote are kept within what JSON can hold.
func TestTimesFitIntoJSON(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		{},
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -12*3600)), time.Date(1, 1, 1, 0, 0, 0, 0, time.FixedZone("", 12*3600)),
		time.Unix(1<<40, 0),
	} {
		ev := exampleEvent()
		ev.Time = event.Of(at)
		f := NewFinding(exampleVerdict(), ev, Evidence{}, fromTest)
		a := New(&f)
		if _, err := json.Marshal(&a); err != nil {
			t.Errorf("%s: %v", at, err)
		}
		if f.AlertID.Day() != f.Day() || len(f.AlertID) != 35 {
			t.Errorf("%s: the id is %s, the day %s", at, f.AlertID, f.Day())
		}
	}
}

func TestSetAside(t *testing.T) {
	t.Parallel()
	a := NewSetAside("invalid-json", "a brace is missing", "a.json:1", "a.json", strings.Repeat("\xff<", 100_000))
	if !utf8.ValidString(a.Copy) || len(mustJSON(t, a.Copy)) > MaxCopy+2 {
		t.Errorf("the copy has %d bytes of JSON", len(mustJSON(t, a.Copy)))
	}
	ids := map[string]bool{a.ID: true}
	for _, b := range []SetAside{
		NewSetAside("too-large", "", "a.json:1", "a.json", strings.Repeat("\xff<", 100_000)),
		NewSetAside("invalid-json", "", "a.json:2", "a.json", strings.Repeat("\xff<", 100_000)),
		NewSetAside("invalid-json", "", "a.json:1", "a.json", strings.Repeat("\xff<", 100_001)),
	} {
		if ids[b.ID] {
			t.Errorf("two items share an id: %+v", b)
		}
		ids[b.ID] = true
	}
	if b := NewSetAside("invalid-json", "said otherwise", "a.json:1", "b.json", strings.Repeat("\xff<", 100_000)); b.ID != a.ID {
		t.Error("the detail changes the id")
	}
}

// A record is kept as encoding/json writes it, so that a store that marshals the finding changes no byte of it.
func FuzzRecord(f *testing.F) {
	for _, seed := range []string{
		`{"a" : [1, 2.50, -0, 1E400, true, null]}`, "{\"a\":\"<b>&\u2028\u2029é\x7f\"}\n", `{"a":"\u003c\/\ud800 \uD83D\uDE00\u00e9"}`, `{"a":1,"a":2,"":{}}`,
		`{"a":"` + "\t" + `"}`, `{"a":01}`, `{"a":1}{}`, `{"a":"\x"}`, `[1,]`, "\ufeff{}", ``, ` `, `"a`, `nul`, strings.Repeat("[", 200) + strings.Repeat("]", 200),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, record string) {
		if !utf8.ValidString(record) {
			return
		}
		want, err := json.Marshal(json.RawMessage(record))
		got, cut := boundRecord(record, MaxEvidence)
		switch whole := err == nil && len(want) <= MaxEvidence && len(record) <= 4*MaxEvidence; {
		case whole && (string(got) != string(want) || cut != ""):
			t.Errorf("%q and %q of %q, want %q", got, cut, record, want)
		case !whole && got != nil:
			t.Errorf("%q of %q, which encoding/json does not write: %v", got, record, err)
		}
	})
}

func FuzzClip(f *testing.F) {
	for _, s := range []string{"", "plain", "<&>", "\x00\x01", "é😀\u2028", "a\xffb\xfe", strings.Repeat("<é", 50), "\ufffd\"\\\n"} {
		f.Add(s, 20)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = 8 + limit&0xfff
		whole := strings.ToValidUTF8(s, "\uFFFD")
		for name, cut := range map[string]func(string, int) string{"clip": clip, "clipStart": clipStart} {
			got := cut(s, limit)
			encoded, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if !utf8.ValidString(got) || len(encoded)-2 > limit {
				t.Fatalf("%s(%q, %d) = %q takes %d bytes", name, s, limit, got, len(encoded)-2)
			}
			if jsonLen(got) < len(encoded)-2 {
				t.Fatalf("%q takes %d bytes, not %d", got, len(encoded)-2, jsonLen(got))
			}
			if jsonLen(s) <= limit && got != whole {
				t.Fatalf("%s(%q, %d) = %q, though it fits", name, s, limit, got)
			}
			if again := cut(got, limit); again != got {
				t.Fatalf("%s is not stable: %q, then %q", name, got, again)
			}
			var ok bool
			if name == "clip" {
				ok = strings.HasPrefix(whole, strings.ToValidUTF8(strings.TrimSuffix(got, ellipsis), ""))
			} else {
				ok = strings.HasSuffix(whole, strings.ToValidUTF8(strings.TrimPrefix(got, ellipsis), ""))
			}
			if utf8.ValidString(s) && got != whole && !ok {
				t.Fatalf("%s(%q, %d) = %q is no part of it", name, s, limit, got)
			}
		}
	})
}

func BenchmarkNewFinding(b *testing.B) {
	v, ev := exampleVerdict(), exampleEvent()
	e := Evidence{Record: `{"id":"` + strings.Repeat("x", 3000) + `"}`, Place: "signins.json:7"}
	b.SetBytes(int64(len(e.Record)))
	b.ReportAllocs()
	for b.Loop() {
		NewFinding(v, ev, e, fromTest)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y bytes.Buffer
	if err := json.Compact(&x, a); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&y, b); err != nil {
		t.Fatal(err)
	}
	var ex bytes.Buffer
	json.HTMLEscape(&ex, y.Bytes())
	return bytes.Equal(x.Bytes(), ex.Bytes())
}

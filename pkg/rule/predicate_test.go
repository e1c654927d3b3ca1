package rule

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/event"
)

var instant = time.Date(2026, 3, 2, 8, 56, 25, 0, time.UTC)

// ordinary is an event with a value for every field that the table asks.
func ordinary() *event.Event {
	ev := &event.Event{Kind: event.TokenObserved, Tenant: "contoso", Time: event.Of(instant)}
	ev.App.ID = event.Of("Outlook")
	ev.App.Name = event.Of("")
	ev.Token.Tenant = event.Of("ABC")
	ev.Token.ObjectID = event.Of("abc")
	ev.Token.Subject = event.Of("other")
	ev.Token.ID = event.Of("xMFjTVvJPE2OChJx_YE-AA")
	ev.Token.IssuedAt = event.Of(instant.Add(-time.Hour))
	ev.Token.Roles = event.Of([]string{"Mail.Read", "User.Read"})
	ev.Audit.RecordType = event.Of(int64(50))
	ev.Audit.Throttled = event.Of(true)
	return ev
}

// someSet knows what the tenant contoso has.
type someSet struct{ values []string }

func (s someSet) Name() string { return "some" }
func (s someSet) Contains(tenant, value string) (in, known bool) {
	return slices.Contains(s.values, value), tenant == "contoso"
}

func TestPredicates(t *testing.T) {
	for _, c := range []struct {
		p      Predicate
		want   Truth
		needs  []string
		render string
	}{
		{Eq(event.RecordType, 50), True, []string{"audit.recordType"}, "audit.recordType is 50"},
		{Eq(event.RecordType, 2), False, []string{"audit.recordType"}, "audit.recordType is 2"},
		{Eq(event.AppID, "outlook"), False, []string{"app.id"}, "app.id is outlook"},
		{EqFold(event.AppID, "outlook"), True, []string{"app.id"}, "app.id is outlook"},
		{Eq(event.Throttled, true), True, []string{"audit.isThrottled"}, "audit.isThrottled is true"},
		{In(event.RecordType, 2, 50), True, []string{"audit.recordType"}, "audit.recordType is one of 2 50"},
		{In(event.RecordType, 2, 3), False, []string{"audit.recordType"}, "audit.recordType is one of 2 3"},
		{In(event.AppID, "outlook"), False, []string{"app.id"}, "app.id is one of outlook"},
		{InFold(event.AppID, "a", "outlook"), True, []string{"app.id"}, "app.id is one of a outlook"},
		{HasFold(event.TokenRoles, "mail.read"), True, []string{"token.roles"}, "token.roles has one of mail.read"},
		{HasFold(event.TokenRoles, "Mail"), False, []string{"token.roles"}, "token.roles has one of Mail"},
		{Contains(event.AppID, "look"), True, []string{"app.id"}, "app.id contains look"},
		{Contains(event.AppID, "LOOK"), False, []string{"app.id"}, "app.id contains LOOK"},
		{Matches(event.AppID, "a mail client", regexp.MustCompile("^Out")), True, []string{"app.id"}, "app.id matches a mail client"},
		{Between(event.RecordType, 50, 50), True, []string{"audit.recordType"}, "audit.recordType is between 50 and 50"},
		{Between(event.RecordType, 51, 60), False, []string{"audit.recordType"}, "audit.recordType is between 51 and 60"},
		{Blank(event.AppName), True, []string{"app.name"}, "app.name is empty"},
		{Blank(event.AppID), False, []string{"app.id"}, "app.id is empty"},
		{Filled(event.AppName), False, []string{"app.name"}, "app.name is not empty"},
		{Filled(event.AppID), True, []string{"app.id"}, "app.id is not empty"},
		{TokenIDReadable(event.TokenID), True, []string{"token.uti"}, "token.uti is a well-formed token id"},
		{TokenIDReadable(event.AppID), False, []string{"app.id"}, "app.id is a well-formed token id"},
		{Differs(event.TokenTenant, event.TokenObjectID), False, []string{"token.tid", "token.oid"}, "token.tid differs from token.oid"},
		{Differs(event.TokenTenant, event.TokenSubject), True, []string{"token.tid", "token.sub"}, "token.tid differs from token.sub"},
		{Differs(event.TokenTenant, event.AppName), Unknown, []string{"token.tid", "app.name"}, "token.tid differs from app.name"},
		{Longer(event.IssuedAt, event.EventTime, 59*time.Minute), True, []string{"token.iat", "time"}, "time − token.iat is more than 59m0s"},
		{Longer(event.IssuedAt, event.EventTime, time.Hour), False, []string{"token.iat", "time"}, "time − token.iat is more than 1h0m0s"},
		{Within(event.IssuedAt, event.EventTime, time.Hour, 2*time.Hour), True, []string{"token.iat", "time"}, "time − token.iat is within 1h0m0s to 2h0m0s"},
		{Within(event.IssuedAt, event.EventTime, 0, time.Hour), False, []string{"token.iat", "time"}, "time − token.iat is within 0s to 1h0m0s"},
		{Listed(event.AppID, someSet{[]string{"Outlook"}}), True, []string{"app.id", "reference:some"}, "app.id is listed in some"},
		{Listed(event.AppID, someSet{}), False, []string{"app.id", "reference:some"}, "app.id is listed in some"},
		{Listed(event.AppName, someSet{}), Unknown, []string{"app.name", "reference:some"}, "app.name is listed in some"},
		{Missing(event.AppID), False, []string{"app.id"}, "app.id is missing"},
		{Missing(event.AppName), True, []string{"app.name"}, "app.name is missing"},
		{Missing(event.Workload), True, []string{"audit.workload"}, "audit.workload is missing"},
		{Not(All(Eq(event.RecordType, 2), Blank(event.AppID))), True, []string{"audit.recordType", "app.id"}, "not (audit.recordType is 2 and app.id is empty)"},
		{All(Any(Blank(event.AppID), Blank(event.AppName)), Filled(event.AppID)), True, []string{"app.id", "app.name"}, "(app.id is empty or app.name is empty) and app.id is not empty"},
	} {
		if got := c.p.Eval(ordinary(), nil); got != c.want {
			t.Errorf("%s: %s, want %s", c.p, got, c.want)
		}
		if got := c.p.Needs(); !slices.Equal(got, c.needs) {
			t.Errorf("%s needs %q, want %q", c.p, got, c.needs)
		}
		if got := c.p.String(); got != c.render {
			t.Errorf("rendered as %q, want %q", got, c.render)
		}
	}
}

// TestNotLoggedIsUnknown: whatever state but Present leaves every comparison Unknown, and its negation too, and names the field.
func TestNotLoggedIsUnknown(t *testing.T) {
	for _, state := range []event.State{event.Absent, event.Null, event.Unreadable} {
		ev := &event.Event{Tenant: "contoso"}
		ev.App.ID.State, ev.Token.Roles.State, ev.Audit.RecordType.State, ev.Audit.Throttled.State = state, state, state, state
		ev.Token.IssuedAt.State, ev.Time.State, ev.Token.Tenant.State, ev.Net.IP.State = state, state, state, state
		for _, p := range []Predicate{
			Eq(event.AppID, ""), EqFold(event.AppID, ""), In(event.AppID, ""), InFold(event.AppID, ""), Contains(event.AppID, ""),
			Matches(event.AppID, "all", regexp.MustCompile("")), Blank(event.AppID), Filled(event.AppID), TokenIDReadable(event.AppID),
			Eq(event.RecordType, 0), Between(event.RecordType, 0, 0), Eq(event.Throttled, false), HasFold(event.TokenRoles, ""),
			Eq(event.IP, netip.Addr{}), Differs(event.AppID, event.TokenTenant), Listed(event.AppID, someSet{[]string{""}}),
			Longer(event.IssuedAt, event.EventTime, -time.Hour), Within(event.IssuedAt, event.EventTime, 0, time.Hour),
		} {
			for _, q := range []Predicate{p, Not(p), Not(Not(p)), All(p), Any(p)} {
				tr := &Trace{}
				if got := q.Eval(ev, tr); got != Unknown {
					t.Errorf("%s of a value that is %s: %s", q, state, got)
				}
				if len(tr.Missing) == 0 {
					t.Errorf("%s of a value that is %s names nothing as missing", q, state)
				}
			}
		}
		want := True
		if state == event.Unreadable {
			want = Unknown
		}
		if got := Missing(event.AppID).Eval(ev, nil); got != want {
			t.Errorf("a value that is %s is missing: %s, want %s", state, got, want)
		}
	}
}

func TestUnknownSetNamesItself(t *testing.T) {
	ev := ordinary()
	ev.Tenant = "fabrikam"
	tr := &Trace{}
	if got := Listed(event.AppID, someSet{}).Eval(ev, tr); got != Unknown || !slices.Equal(tr.Missing, []string{"reference:some"}) {
		t.Errorf("%s, missing %q", got, tr.Missing)
	}
}

// TestMissingOfADecidedWhole: what a part lacked does not matter once the whole is decided.
func TestMissingOfADecidedWhole(t *testing.T) {
	u, v, yes, no := constant("u", Unknown), constant("v", Unknown), constant("y", True), constant("n", False)
	for _, c := range []struct {
		p    Predicate
		want []string
	}{
		{All(u, no), nil},
		{All(no, u), nil},
		{All(u, yes, v), []string{"u", "v"}},
		{All(u, u), []string{"u"}},
		{Any(u, yes), nil},
		{Any(yes, u), nil},
		{Any(u, no), []string{"u"}},
		{Any(All(u, no), v), []string{"v"}},
		{All(Any(u, yes), v), []string{"v"}},
		{All(Any(u, yes), Any(v, no)), []string{"v"}},
		{Not(Any(u, All(v, no))), []string{"u"}},
		{Any(All(u, Any(v, yes)), no), []string{"u"}},
		// A decided part must not take along what an undecided one before it lacked.
		{Any(u, All(v, no)), []string{"u"}},
		{All(u, Any(v, yes)), []string{"u"}},
	} {
		tr := &Trace{}
		c.p.Eval(&event.Event{}, tr)
		if !slices.Equal(tr.Missing, c.want) {
			t.Errorf("%s: missing %q, want %q", c.p, tr.Missing, c.want)
		}
	}
}

// TestSameLackInADecidedPart: a lack that an undecided part had first is not forgotten when a decided part has it, too.
func TestSameLackInADecidedPart(t *testing.T) {
	u, no := constant("u", Unknown), constant("n", False)
	tr := &Trace{}
	if got := Any(All(u, no), u).Eval(&event.Event{}, tr); got != Unknown || !slices.Equal(tr.Missing, []string{"u"}) {
		t.Errorf("%s, missing %q", got, tr.Missing)
	}
	tr = &Trace{}
	if got := Any(u, All(u, no)).Eval(&event.Event{}, tr); got != Unknown || !slices.Equal(tr.Missing, []string{"u"}) {
		t.Errorf("%s, missing %q", got, tr.Missing)
	}
}

// TestTraceChangesNothing: random predicates have one truth, whether facts are wanted or not, and name something as
// missing exactly when they are Unknown.
func TestTraceChangesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var random func(depth int) Predicate
	random = func(depth int) Predicate {
		if depth == 0 || r.IntN(4) == 0 {
			return constant(string(rune('a'+r.IntN(8))), truths[r.IntN(3)])
		}
		switch r.IntN(3) {
		case 0:
			return Not(random(depth - 1))
		case 1:
			return All(random(depth-1), random(depth-1), random(depth-1))
		}
		return Any(random(depth-1), random(depth-1), random(depth-1))
	}
	for range 20_000 {
		p := random(4)
		tr, brief := &Trace{}, &Trace{brief: true}
		want := p.Eval(&event.Event{}, nil)
		if got := p.Eval(&event.Event{}, tr); got != want {
			t.Fatalf("%s: %s with a trace, %s without", p, got, want)
		}
		if got := p.Eval(&event.Event{}, brief); got != want || !slices.Equal(brief.Missing, tr.Missing) {
			t.Fatalf("%s: %s and missing %q in brief, %s and %q in full", p, got, brief.Missing, want, tr.Missing)
		}
		if (want == Unknown) != (len(tr.Missing) > 0) {
			t.Fatalf("%s is %s and lacks %q", p, want, tr.Missing)
		}
		if len(brief.Facts) > 0 {
			t.Fatalf("%s: a brief trace keeps facts", p)
		}
	}
}

func TestFactsAreEvidence(t *testing.T) {
	ev := ordinary()
	tr := &Trace{}
	All(EqFold(event.AppID, "outlook"), Longer(event.IssuedAt, event.EventTime, 2*time.Hour), Blank(event.Workload)).Eval(ev, tr)
	want := []Fact{
		{"app.id", "Outlook", "is", "outlook", True},
		{"time − token.iat", "2026-03-02T08:56:25Z − 2026-03-02T07:56:25Z = 1h0m0s", "is more than", "2h0m0s", False},
		{"audit.workload", "(absent)", "is empty", "", Unknown},
	}
	if !reflect.DeepEqual(tr.Facts, want) {
		t.Errorf("facts %+v", tr.Facts)
	}
}

func TestFactsAreBounded(t *testing.T) {
	ev := ordinary()
	ev.App.ID = event.Of(strings.Repeat("a", maxFactText-1) + "é" + strings.Repeat("b", 1<<20))
	tr := &Trace{}
	Filled(event.AppID).Eval(ev, tr)
	if got, want := tr.Facts[0].Value, strings.Repeat("a", maxFactText-1)+"…"; got != want {
		t.Errorf("%d bytes, want %d, cut before the letter", len(got), len(want))
	}
}

func TestShow(t *testing.T) {
	ip := netip.MustParseAddr("198.51.100.7")
	for want, got := range map[string]string{
		"text":                 Show(&event.Text{V: "text", State: event.Present}),
		"-5":                   Show(&event.Int{V: -5, State: event.Present}),
		"true":                 Show(&event.Flag{V: true, State: event.Present}),
		"2026-03-02T08:56:25Z": Show(&event.Time{V: instant.In(time.FixedZone("", 3600)), State: event.Present}),
		"198.51.100.7":         Show(&event.Addr{V: ip, State: event.Present}),
		"a b":                  Show(&event.List{V: []string{"a", "b"}, State: event.Present}),
		"A=1 B=2":              Show(&event.Parameters{V: []event.Parameter{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}}, State: event.Present}),
		"(absent)":             Show(&event.Text{}),
		"(null)":               Show(&event.Text{State: event.Null}),
		"(unreadable)":         Show(&event.Int{State: event.Unreadable}),
		"(value)":              Show(&event.Value[float64]{State: event.Present}),
	} {
		if got != want {
			t.Errorf("shown as %q, want %q", got, want)
		}
	}
}

func TestPredicatesDoNotAllocate(t *testing.T) {
	ev, bare := ordinary(), &event.Event{}
	p := Any(
		All(Not(EqFold(event.AppID, "x")), Eq(event.RecordType, 2), Missing(event.AppName)),
		HasFold(event.TokenRoles, "x"), Differs(event.TokenTenant, event.TokenObjectID), Listed(event.AppID, someSet{}),
		Longer(event.IssuedAt, event.EventTime, 2*time.Hour), Contains(event.AppID, "x"),
		Matches(event.AppID, "x", regexp.MustCompile("^x")), TokenIDReadable(event.Workload),
	)
	if p.Eval(ev, nil) != Unknown {
		t.Fatal("the predicate is decided early")
	}
	brief := &Trace{brief: true}
	if n := testing.AllocsPerRun(100, func() {
		p.Eval(ev, nil)
		p.Eval(bare, nil)
		brief.Missing = brief.Missing[:0]
		p.Eval(bare, brief)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

package learn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
)

const (
	tenantID = "3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11"
	foreign  = "b7a1f0c2-3d84-4e59-8a6b-91c5e2d70f38"
	appA     = "e02c7d95-6f1a-4b3e-9d48-7a5b13c8f064"
	appB     = "5d0c1a9e-72b8-4e6f-93d4-a8b16f05e7c2"
	outlook  = "27922004-5251-4030-b22d-91ecd9a37ea4"
	box      = "80f0c0f6-05ee-42ae-a93a-2c289eaa68c0"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// access is a mailbox record of the given place in a run of records, eight hours apart.
func access(i int, change func(*event.Event)) event.Event {
	at := start.Add(time.Duration(i) * 8 * time.Hour)
	ev := event.Event{Kind: event.Audit, Tenant: tenantID, Time: event.Of(at)}
	ev.App.ID = event.Of(appA)
	ev.Audit.RecordType = event.Of(int64(50))
	ev.Audit.Operation = event.Of("MailItemsAccessed")
	ev.Audit.UserType = event.Of(int64(0))
	ev.Audit.LogonType = event.Of(int64(0))
	ev.Audit.Mailbox = event.Of(box)
	ev.Audit.Organization = event.Of(tenantID)
	if change != nil {
		change(&ev)
	}
	return ev
}

func times(n int, change func(*event.Event)) []event.Event {
	out := make([]event.Event, n)
	for i := range out {
		out[i] = access(i, change)
	}
	return out
}

func learner(t *testing.T, document string) *Learner {
	t.Helper()
	c, err := config.Parse("assay.yaml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	ref, err := reference.New(c.Reference)
	if err != nil {
		t.Fatal(err)
	}
	return New(ref)
}

// learned returns the document that holds what is proposed from the events.
func learned(t *testing.T, document string, events []event.Event) string {
	t.Helper()
	l := learner(t, document)
	for i := range events {
		l.Observe(&events[i])
	}
	p := l.Propose()
	text, err := p.Apply([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.Parse("proposal", text); err != nil {
		t.Fatalf("the proposal is no configuration: %v\n%s", err, text)
	}
	return string(text)
}

func TestWhatIsProposed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		events []event.Event
		want   []string // in the document
		never  []string
	}{
		"a client with its protocol and the age of its tokens": {
			times(150, func(ev *event.Event) {
				ev.Audit.ClientInfo = event.Of("Client=REST;Client=RESTSystem;;")
				ev.Token.IssuedAt = event.Of(ev.Time.V.Add(-70 * time.Minute))
			}),
			[]string{"mailClients:", "appId: " + appA, `clientInfo: ['^Client=REST([;/]|$)']`, "maxAge: 2h15m", "150 records on 51 days, 2026-03-01 to 2026-04-20"},
			[]string{"appOnlyMailApps", "partnerTenants", "delegates"},
		},
		"too few records":    {times(MinRecords-1, nil), nil, []string{"tenants"}},
		"on too few days":    {slices.Repeat(times(4, nil), 5), nil, []string{"tenants"}}, // 20 records, two days
		"as few as may be":   {times(MinRecords, nil), []string{appA}, []string{"maxAge", "utiCoverage"}},
		"older than any age": {times(150, func(ev *event.Event) { ev.Token.IssuedAt = event.Of(ev.Time.V.Add(-28 * time.Hour)) }), []string{appA}, []string{"maxAge"}},
		"a pattern has no meaning but its text": {
			times(20, func(ev *event.Event) { ev.Audit.ClientInfo = event.Of("Client=A.B;x") }),
			[]string{`'^Client=A\.B([;/]|$)'`},
			nil,
		},
		"what is no protocol": {
			times(20, func(ev *event.Event) { ev.Audit.ClientInfo = event.Of("Client=.*|\x1b[31m") }),
			[]string{appA},
			[]string{"clientInfo", "\x1b"},
		},
		"an application without a user": {
			times(20, func(ev *event.Event) { ev.Audit.UserType = event.Of(int64(5)) }),
			[]string{"appOnlyMailApps:", "mailboxes:", "- " + box},
			nil,
		},
		"a partner's token": {
			times(20, func(ev *event.Event) { ev.Token.Tenant = event.Of(strings.ToUpper(foreign)) }),
			[]string{"partnerTenants:", foreign},
			nil,
		},
		"personal accounts are no partner": {
			times(20, func(ev *event.Event) { ev.Token.Tenant = event.Of(reference.ConsumerTenant) }),
			nil,
			[]string{"partnerTenants"},
		},
		"a delegate whose name has to be quoted": {
			times(20, func(ev *event.Event) {
				ev.Audit.LogonType = event.Of(int64(2))
				ev.Actor.Name = event.Of("x: [y] # z\"'@contoso.example")
			}),
			[]string{"delegates:", "mailbox: " + box},
			nil,
		},
		"a delegate whose name paints on the screen": {
			times(20, func(ev *event.Event) {
				ev.Audit.LogonType = event.Of(int64(2))
				ev.Actor.Name = event.Of("a\u202egro.osotnoc")
			}),
			nil,
			[]string{"delegates", "\u202e"},
		},
		"token ids": {
			append(times(99, func(ev *event.Event) { ev.Token.ID = event.Of("AAECAwQFBgcICQoLDA0ODw") }), times(1, nil)...),
			[]string{"utiCoverage:", appA + ": 0.99", "99 of 100 records"},
			[]string{"graphUtiCoverage"},
		},
		"token ids of Graph calls": {
			times(100, func(ev *event.Event) {
				ev.Kind = event.GraphActivity
				ev.Token.Type = event.Of("user")
				ev.Token.ID = event.Of("AAECAwQFBgcICQoLDA0ODw")
			}),
			[]string{"graphUtiCoverage:", appA + ": 1"},
			[]string{" utiCoverage", "mailClients"},
		},
		"smoke tests":  {times(20, func(ev *event.Event) { ev.Tenant = alert.SmokeTenant }), nil, []string{"tenants"}},
		"of no tenant": {times(20, func(ev *event.Event) { ev.Tenant = "unknown" }), nil, []string{"tenants"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := learned(t, "", tt.events)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("lacks %q:\n%s", want, got)
				}
			}
			for _, never := range tt.never {
				if strings.Contains(got, never) {
					t.Errorf("holds %q:\n%s", never, got)
				}
			}
		})
	}
}

// What is there stays, to the byte, and what is proposed once is not proposed again.
func TestDocumentsKeepWhatTheySay(t *testing.T) {
	t.Parallel()
	events := slices.Concat(
		times(150, func(ev *event.Event) {
			ev.Audit.ClientInfo = event.Of("Client=REST;;")
			ev.Token.IssuedAt = event.Of(ev.Time.V.Add(-70 * time.Minute))
			ev.Token.Tenant = event.Of(foreign)
		}),
		times(20, func(ev *event.Event) { ev.App.ID = event.Of(appB) }),
		times(20, func(ev *event.Event) {
			ev.Audit.LogonType = event.Of(int64(2))
			ev.Actor.Name = event.Of("secretary@contoso.example")
		}),
	)
	const head = "tenants:\n  - id: " + tenantID + "\n    name: Contoso # ours\n"
	for name, document := range map[string]string{
		"nothing":          "",
		"comments alone":   "# nothing yet\n",
		"other keys":       "retention: 90 # days",
		"no tenant":        "tenants:\nretention: 90\n",
		"another tenant":   "tenants:\n  - id: " + foreign + "\n    name: other\n\n# the end\n",
		"the tenant":       head + "\n    # vips: [somebody]\nretention: 90\n",
		"lists of lines":   head + "    mailClients:\n      - appId: " + outlook + " # phones\n\n    partnerTenants:\n      - 933f20c0-efdf-477f-9586-e5cc566d2e00\n    utiCoverage:\n      " + outlook + ": 0.9\nretention: 90\n",
		"compact lists":    head + "    mailClients:\n    - {appId: " + outlook + "}\n    vips: [a]\n",
		"lists on a line":  head + "    mailClients: [{appId: " + outlook + ", name: x}] # few\n    partnerTenants: []\n    utiCoverage: {" + outlook + ": 0.9}\n    vips: [a]\n",
		"over many lines":  head + "    partnerTenants: [\n      933f20c0-efdf-477f-9586-e5cc566d2e00,\n    ]\n    vips: [a]\n",
		"listed already":   head + "    mailClients:\n      # known\n      - {appId: " + appA + ", name: CRM} # do not touch\n      - {appId: " + appB + "}\n    vips: [a]\n",
		"shares":           head + "    utiCoverage:\n      " + appA + ": 0.5 # measured in May\n      " + outlook + ": 0.9\n",
		"of the defaults":  "defaults:\n  mailClients:\n    - {appId: " + outlook + "}\n" + head,
		"nothing behind":   head + "    mailClients:\n    vips: [a]\n",
		"Windows's lines":  strings.ReplaceAll(head+"    vips: [a]\n", "\n", "\r\n"),
		"a tenant in caps": "tenants:\n- id: " + strings.ToUpper(tenantID) + "\n  vips: [a]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := learned(t, document, events)
			before, err := config.Parse("before", []byte(document))
			if err != nil {
				t.Fatal(err)
			}
			after, err := config.Parse("after", []byte(got))
			if err != nil {
				t.Fatal(err)
			}
			if before.Retention != after.Retention || fmt.Sprint(before.Reference.Tenants[tenantID].VIPs) != fmt.Sprint(after.Reference.Tenants[tenantID].VIPs) {
				t.Errorf("changed what it is not about:\n%s", got)
			}
			tenant := after.Reference.Tenants[tenantID]
			if !slices.ContainsFunc(tenant.MailClients, func(c reference.MailClient) bool { return c.AppID == appA && c.MaxAge == 135*time.Minute }) {
				t.Errorf("lacks the client with its maxAge:\n%s", got)
			}
			was := before.Reference.Tenants[tenantID].MailClients
			if was == nil {
				was = before.Reference.Defaults.MailClients
			}
			for _, c := range was {
				if !slices.ContainsFunc(tenant.MailClients, func(x reference.MailClient) bool { return x.AppID == c.AppID && x.Name == c.Name }) {
					t.Errorf("lost the client %v:\n%s", c, got)
				}
			}
			if len(tenant.PartnerTenants) != len(before.Reference.Tenants[tenantID].PartnerTenants)+1 || len(tenant.Delegates) != 1 {
				t.Errorf("partners %v, delegates %v:\n%s", tenant.PartnerTenants, tenant.Delegates, got)
			}
			for line := range strings.Lines(document) {
				if strings.Contains(line, "#") && !strings.Contains(got, line[strings.Index(line, "#"):]) && !strings.Contains(name, "caps") {
					t.Errorf("lost a comment of %q:\n%s", line, got)
				}
			}
			if again := learned(t, got, events); again != got {
				t.Errorf("proposes more when it is asked again:\n%s", again)
			}
		})
	}
}

func TestLayoutsThatLeaveNoPlace(t *testing.T) {
	t.Parallel()
	for _, document := range []string{
		"{tenants: [{id: " + tenantID + "}]}",
		"tenants: [{id: " + tenantID + "}]",
		"tenants:\n  - {id: " + tenantID + "}\n",
		"tenants:\n  -\n    id: " + tenantID + "\n",
	} {
		l := learner(t, document)
		for _, ev := range times(20, nil) {
			l.Observe(&ev)
		}
		p := l.Propose()
		if text, err := p.Apply([]byte(document)); !errors.Is(err, ErrLayout) {
			t.Errorf("%s: %v\n%s", document, err, text)
		}
	}
}

// The order of events changes nothing, even where there are more keys than are kept.
func TestOrderChangesNothing(t *testing.T) {
	t.Parallel()
	chance := rand.New(rand.NewPCG(1, 2))
	var events []event.Event
	for n := range 60 {
		app := fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n)
		events = append(events, times(8+n%5, func(ev *event.Event) {
			ev.App.ID = event.Of(app)
			ev.Audit.ClientInfo = event.Of(fmt.Sprintf("Client=P%d;", n%7))
			ev.Audit.UserType = event.Of(int64(5 * (n % 2)))
			ev.Audit.Mailbox = event.Of(fmt.Sprintf("%08x-0000-4000-8000-%012x", chance.IntN(14), 1))
			ev.Token.IssuedAt = event.Of(ev.Time.V.Add(-time.Duration(chance.IntN(100)) * time.Minute))
		})...)
	}
	propose := func() (string, string) {
		l := learner(t, "")
		l.clients.most, l.protocols.most, l.appOnly.most = 30, 20, 10
		for i := range events {
			l.Observe(&events[i])
		}
		if len(l.clients.rows) > 30 || len(l.protocols.rows) > 20 || len(l.appOnly.rows) > 10 {
			t.Fatal("a table holds more than it may")
		}
		p := l.Propose()
		text, err := p.Apply(nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(text), strings.Join(p.Basis, "\n")
	}
	text, basis := propose()
	if !strings.Contains(basis, "records of mail clients beyond") || !strings.Contains(text, "clientInfo") {
		t.Fatalf("the bound was not reached, or nothing is left:\n%s\n%s", basis, text)
	}
	for range 20 {
		chance.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		if again, why := propose(); again != text || why != basis {
			t.Fatalf("another order, another proposal:\n%s\n%s\n%s\n%s", basis, text, why, again)
		}
	}
}

// Texts of an event alias the batch that it was read from, which is gone afterwards.
func TestNothingAliasesAnEvent(t *testing.T) {
	t.Parallel()
	var batches [][]byte
	alias := func(s string) event.Text {
		b := []byte(s)
		batches = append(batches, b)
		return event.Of(unsafe.String(&b[0], len(b)))
	}
	forge := func() []event.Event {
		return times(20, func(ev *event.Event) {
			ev.Tenant = alias(tenantID).V
			ev.App.ID = alias(appA)
			ev.Actor.Name = alias("secretary@contoso.example")
			ev.Audit.LogonType = event.Of(int64(2))
			ev.Audit.UserType = event.Of(int64(5))
			ev.Audit.Mailbox = alias(box)
			ev.Audit.ClientInfo = alias("Client=REST;")
			ev.Token.Tenant = alias(foreign)
		})
	}
	want := learned(t, "", forge())
	l := learner(t, "")
	for i := range 20 {
		batches = nil
		ev := forge()[i]
		l.Observe(&ev)
		for _, b := range batches {
			clear(b)
		}
	}
	p := l.Propose()
	if got, err := p.Apply(nil); err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

func TestAges(t *testing.T) {
	t.Parallel()
	var a ages
	a.add(-time.Minute)
	for i := range 1000 {
		a.add(time.Duration(i) * time.Minute)
	}
	if a.total != 1000 {
		t.Errorf("counted %d ages", a.total)
	}
	for thousandths, want := range map[int64]time.Duration{1: 15 * time.Minute, 500: 510 * time.Minute, 999: 1005 * time.Minute} {
		if got := a.upTo(thousandths); got != want {
			t.Errorf("%d of a thousand: up to %v, want %v", thousandths, got, want)
		}
	}
	if limit, ok := a.limit(); !ok || limit != 1065*time.Minute {
		t.Errorf("limit %v, %v", limit, ok)
	}
	for d, want := range map[time.Duration]string{29 * time.Hour: "29h", 75 * time.Minute: "1h15m", 90 * time.Second: "1m30s", 10 * time.Hour: "10h", 10 * time.Minute: "10m"} {
		if got := short(d); got != want {
			t.Errorf("%v is written %s, want %s", d, got, want)
		}
	}
}

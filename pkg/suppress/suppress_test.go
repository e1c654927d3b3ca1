package suppress

import (
	"net/netip"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/event"
)

const (
	ruleID  = "mailbox-unexpected-client-app"
	tenant  = "3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11"
	crm     = "e02c7d95-6f1a-4b3e-9d48-7a5b13c8f064"
	mailbox = "80f0c0f6-05ee-42ae-a93a-2c289eaa68c0"
)

func sighting(at time.Time) (*alert.Finding, *event.Event) {
	ev := &event.Event{Tenant: tenant}
	ev.Net.IP = event.Of(netip.MustParseAddr("192.0.2.17"))
	ev.Net.UserAgent = event.Of("python-requests/2.31")
	ev.Audit.Mailbox = event.Of(mailbox)
	ev.Token.KeyID = event.Value[string]{V: "left over from the record before", State: event.Absent}
	f := &alert.Finding{At: at, Rule: alert.RuleRef{ID: ruleID}, Tenant: tenant}
	f.Subject = alert.Subject{User: "kim@contoso.example", UserID: "286555c7-6236-44ed-9c40-3081156f324e", AppID: crm}
	return f, ev
}

func TestFind(t *testing.T) {
	t.Parallel()
	lastDay := time.Date(2025, 3, 31, 23, 59, 59, 999_999_999, time.UTC)
	for _, c := range []struct {
		name  string
		at    time.Time
		rules []string
		match Match
		want  bool
	}{
		{"the app", lastDay, []string{ruleID}, Match{Apps: []string{crm}}, true},
		{"one of several rules", lastDay, []string{"ioc-ip", ruleID}, Match{Apps: []string{crm}}, true},
		{"another rule", lastDay, []string{"ioc-ip"}, Match{Apps: []string{crm}}, false},
		{"a moment after the last day", lastDay.Add(1), []string{ruleID}, Match{Apps: []string{crm}}, false},
		{"the last day elsewhere", lastDay.In(time.FixedZone("", 7*3600)), []string{ruleID}, Match{Apps: []string{crm}}, true},
		{"long before", lastDay.AddDate(-3, 0, 0), []string{ruleID}, Match{Apps: []string{crm}}, true},
		{"another app", lastDay, []string{ruleID}, Match{Apps: []string{mailbox}}, false},
		{"one of several apps", lastDay, []string{ruleID}, Match{Apps: []string{mailbox, crm}}, true},
		{"app and user", lastDay, []string{ruleID}, Match{Apps: []string{crm}, Users: []string{"KIM@contoso.example"}}, true},
		{"app and another user", lastDay, []string{ruleID}, Match{Apps: []string{crm}, Users: []string{"lee@contoso.example"}}, false},
		{"the user by id", lastDay, []string{ruleID}, Match{Users: []string{"286555c7-6236-44ed-9c40-3081156f324e"}}, true},
		{"the mailbox", lastDay, []string{ruleID}, Match{Mailboxes: []string{mailbox}}, true},
		{"the mailbox's owner, who is not logged", lastDay, []string{ruleID}, Match{Mailboxes: []string{"kim@contoso.example"}}, false},
		{"a network", lastDay, []string{ruleID}, Match{Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, true},
		{"another network", lastDay, []string{ruleID}, Match{Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}, false},
		{"a tenant and the app", lastDay, []string{ruleID}, Match{Tenants: []string{tenant}, Apps: []string{crm}}, true},
		{"another tenant", lastDay, []string{ruleID}, Match{Tenants: []string{crm}, Apps: []string{crm}}, false},
		{"a field", lastDay, []string{ruleID}, Match{Fields: []Field{{"net.userAgent", []string{"Python-requests/2.31"}}}}, true},
		{"a field's beginning", lastDay, []string{ruleID}, Match{Fields: []Field{{"net.userAgent", []string{"python-requests/*"}}}}, true},
		{"a longer beginning", lastDay, []string{ruleID}, Match{Fields: []Field{{"net.userAgent", []string{"python-requests/2.31.0*"}}}}, false},
		{"a part of a field", lastDay, []string{ruleID}, Match{Fields: []Field{{"net.userAgent", []string{"python-requests"}}}}, false},
		{"two fields, of which one differs", lastDay, []string{ruleID}, Match{Fields: []Field{
			{"net.userAgent", []string{"python-requests/2.31"}}, {"audit.operation", []string{"Send"}},
		}}, false},
		{"a field that was not logged", lastDay, []string{ruleID}, Match{Fields: []Field{{"token.kid", []string{"left over from the record before"}}}}, false},
		{"a field that there is not", lastDay, []string{ruleID}, Match{Fields: []Field{{"token.kit", []string{"*"}}}}, false},
		{"a letter that only looks alike", lastDay, []string{ruleID}, Match{Users: []string{"\u212aim@contoso.example"}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			set := New([]Suppression{{
				Suppression: alert.Suppression{Name: "crm", Expires: "2025-03-31"}, Rules: c.rules, Match: c.match,
			}})
			f, ev := sighting(c.at)
			if got := set.Find(f, ev); (got != nil) != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestTheFirstCounts(t *testing.T) {
	t.Parallel()
	entry := func(name string, expires alert.Day) Suppression {
		return Suppression{
			Suppression: alert.Suppression{Name: name, Expires: expires}, Rules: []string{ruleID}, Match: Match{Apps: []string{crm}},
		}
	}
	set := New([]Suppression{entry("over", "2025-01-31"), entry("first", "2025-12-31"), entry("second", "2025-12-31")})
	f, ev := sighting(time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC))
	if got := set.Find(f, ev); got == nil || got.Name != "first" {
		t.Errorf("got %v", got)
	}
	var none *Set
	if none.Find(f, ev) != nil {
		t.Error("no set suppresses something")
	}
}

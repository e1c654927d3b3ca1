package coverage

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
)

func catalogue(t *testing.T, source reference.Source) []*rule.Rule {
	t.Helper()
	ref, err := reference.New(source)
	if err != nil {
		t.Fatal(err)
	}
	all, err := rules.Catalogue(ref, nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What a rule is said to find stands in a log that it reads, and every rule reads some log that can be named.
func TestEveryRuleReadsALog(t *testing.T) {
	t.Parallel()
	m := New(catalogue(t, reference.Source{}))
	reads := func(id string, of rules.Log) bool {
		i := slices.IndexFunc(m.rules, func(r *rule.Rule) bool { return r.ID == id })
		return slices.ContainsFunc(logs(), func(l log) bool {
			return (of == "" || l.of == of) && m.reads(m.rules[i], &l)
		})
	}
	for _, r := range m.rules {
		if !reads(r.ID, "") {
			t.Errorf("%s reads no log", r.ID)
		}
	}
	for _, v := range rules.Storm0558() {
		if (len(v.Rules) == 0) == (v.Blind == "") {
			t.Errorf("%s has to name rules, or say why there are none", v.ID)
		}
		for _, id := range v.Rules {
			if !reads(id, v.Log) {
				t.Errorf("%s: %s reads no %s", v.ID, id, v.Log)
			}
		}
	}
	for _, a := range rules.Attacks() {
		for _, trace := range a.Traces {
			for _, id := range trace.Rules {
				if !reads(id, trace.Log) {
					t.Errorf("%s: %s reads no %s", a.ID, id, trace.Log)
				}
			}
		}
	}
}

// A record belongs to its log whatever feed it came by.
func TestLogs(t *testing.T) {
	t.Parallel()
	audit := func(category, workload, operation string, recordType int64) event.Event {
		e := event.Event{Kind: event.Audit, Category: category}
		e.Audit.Workload, e.Audit.Operation, e.Audit.RecordType = event.Of(workload), event.Of(operation), event.Of(recordType)
		return e
	}
	for want, events := range map[string][]event.Event{
		"SignInLogs": {
			{Kind: event.SignIn, Category: "SignInLogs"},
			{Kind: event.SignIn, Category: "SigninLogs"},
			{Kind: event.SignIn, Category: "signIn"},
		},
		"NonInteractiveUserSignInLogs": {{Kind: event.SignIn, Category: "AADNonInteractiveUserSignInLogs"}},
		"ManagedIdentitySignInLogs":    {{Kind: event.SignIn, Category: "managedidentitysigninlogs"}},
		"ADFSSignInLogs":               {{Kind: event.SignIn, Category: "ADFSSignInLogs"}},
		"UserRiskEvents":               {{Kind: event.Risk, Category: "riskDetection"}, {Kind: event.Risk, Category: "AADUserRiskEvents"}},
		"AuditLogs":                    {{Kind: event.DirectoryChange, Category: "directoryAudit"}, {Kind: event.DirectoryChange, Category: "AuditLogs"}},
		"MicrosoftGraphActivityLogs":   {{Kind: event.GraphActivity, Category: "AzureADGraphActivityLogs"}},
		"token-observation":            {{Kind: event.TokenObserved, Category: "token-observation"}},
		"AzureActivity":                {{Kind: event.TokenObserved, Category: "AzureActivity"}},
		"saml-observation":             {{Kind: event.AssertionObserved, Category: "saml-observation"}},
		"MailItemsAccessed":            {audit("OfficeActivity", "Exchange", "MailItemsAccessed", 50), audit("AdvancedHunting-CloudAppEvents", "Exchange", "MailItemsAccessed", 2)},
		"Exchange":                     {audit("Exchange", "Exchange", "Send", 2)},
		"OWAAuth":                      {audit("Exchange", "Exchange", "GetAccessTokenForResource", 275)},
		"ExchangeAdmin":                {audit("OfficeActivity", "Exchange", "Set-Mailbox", 1)},
		"SharePoint":                   {audit("AdvancedHunting-CloudAppEvents", "SharePoint", "FileAccessed", 6)},
		"OneDrive":                     {audit("OfficeActivity", "OneDrive", "FileAccessed", 6)},
		"MicrosoftTeams":               {audit("MicrosoftTeams", "MicrosoftTeams", "MessageSent", 25)},
		"":                             {audit("AzureActiveDirectory", "AzureActiveDirectory", "UserLoggedIn", 15), {Kind: event.SignIn, Category: "B2CSignIns"}},
	} {
		for _, ev := range events {
			got := ""
			if l := logOf(&ev); l != nil {
				got = l.name
			}
			if got != want {
				t.Errorf("%s %s: %q, want %q", ev.Category, ev.Audit.Operation.V, got, want)
			}
		}
	}
}

func TestNothingArrived(t *testing.T) {
	t.Parallel()
	r := New(catalogue(t, reference.Source{})).Report()
	for _, v := range slices.Concat(r.Variants, r.Attacks) {
		if v.Seen != Blind || v.Why == "" || len(v.By) > 0 {
			t.Errorf("%+v", v)
		}
	}
	if len(r.Absent) != len(logs()) {
		t.Errorf("%d logs did not arrive, want all %d", len(r.Absent), len(logs()))
	}
	for _, a := range r.Absent {
		if len(a.Shows) == 0 || a.SwitchOn == "" || a.Price == "" {
			t.Errorf("%+v", a)
		}
	}
}

// The verdict on a variant follows from how many of a log's records its rules are decided on, and from whether they page.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 10, 27, 7, 9, 33, 0, time.UTC)
	const tenant = "5f0e7c1a-93b2-4d86-8a41-c6d2e9f0b714"
	mail := func(feed string, whole bool) *event.Event {
		e := mailbox(50)
		e.Audit.Operation = event.Of("MailItemsAccessed")
		e.Category, e.Tenant, e.Time = feed, tenant, event.Of(at)
		e.Audit.Organization, e.Audit.MailAccessType, e.Audit.UserType = event.Of(tenant), event.Of("Bind"), event.Of[int64](0)
		e.App.ID, e.Audit.FrontendApp = event.Of("27922004-5251-4030-b22d-91ecd9a37ea4"), event.Of("00000002-0000-0ff1-ce00-000000000000")
		if whole {
			e.Token.Tenant, e.Token.IssuedAt = event.Of(tenant), event.Of(at.Add(-time.Hour))
			e.Token.ID = event.Of("xMFjTVvJPE2OChJx_YE-AA")
		}
		return &e
	}
	listed := reference.Source{Defaults: reference.TenantSource{
		MailClients: []reference.MailClient{{AppID: "27922004-5251-4030-b22d-91ecd9a37ea4"}}, PartnerTenants: []string{},
	}}
	for name, c := range map[string]struct {
		source      reference.Source
		whole, bare int
		want        map[string]Seen
		why         map[string]string
	}{
		"all say everything": {
			listed, 10, 0,
			map[string]Seen{"old-token": Clearly, "consumer-tenant": Clearly, "unknown-application": Clearly, "renewal": Blind, "perfect": Blind},
			map[string]string{"renewal": "no OWAAuth arrived"},
		},
		"a tenth says nothing of the token": {listed, 9, 1, map[string]Seen{"old-token": Clearly}, nil},
		"a fifth says nothing of the token": {
			listed, 8, 2,
			map[string]Seen{"old-token": Weakly, "unknown-application": Clearly},
			map[string]string{"old-token": "mailbox-token-over-age on 80 % of the records (blind on OfficeActivity)"},
		},
		"none says anything of the token": {
			listed, 0, 10,
			map[string]Seen{"old-token": Blind, "invented-id": Blind, "unknown-application": Clearly},
			map[string]string{"old-token": "token.iat"},
		},
		"nobody has listed mail clients": {
			reference.Source{},
			10, 0,
			map[string]Seen{"unknown-application": Weakly, "old-token": Clearly},
			map[string]string{"unknown-application": "only by rules that page nobody"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := New(catalogue(t, c.source))
			for range c.whole {
				m.Add(mail("Exchange", true))
			}
			for range c.bare {
				m.Add(mail("OfficeActivity", false))
			}
			r := m.Report()
			for _, v := range r.Variants {
				if want, ok := c.want[v.Attack]; ok && v.Seen != want {
					t.Errorf("%s is %s, want %s: %s", v.Attack, v.Seen, want, v.Why)
				}
				if !strings.Contains(v.Why, c.why[v.Attack]) {
					t.Errorf("%s: %q does not say %q", v.Attack, v.Why, c.why[v.Attack])
				}
			}
			hinted := slices.ContainsFunc(r.Hints, func(h string) bool { return strings.Contains(h, "OfficeActivity has no columns") })
			if hinted != (c.bare > 0) {
				t.Errorf("the hints are %q", r.Hints)
			}
			if slices.ContainsFunc(r.Absent, func(a Absent) bool { return a.Log == "MailItemsAccessed" }) || len(r.Absent) != len(logs())-1 {
				t.Errorf("%d logs did not arrive", len(r.Absent))
			}
		})
	}
}

// Each kind of missing field has a hint of its own.
func TestHints(t *testing.T) {
	t.Parallel()
	renewal := mailbox(275)
	renewal.Audit.ResourceURL = event.Of("https://outlook.office.com/")
	for name, c := range map[string]struct {
		ev   event.Event
		want string
	}{
		"risk in a sign-in":      {signIn("SignInLogs"), "Entra ID P2 only"},
		"protocol of a sign-in":  {signIn("signIn"), "Microsoft Graph version 1.0"},
		"a Graph call":           {event.Event{Kind: event.GraphActivity, Category: "MicrosoftGraphActivityLogs"}, "C_Idtyp"},
		"a document":             {document("SharePoint", 6), "AppAccessContext"},
		"a token without header": {observed("token-observation"), "header or claims"},
		"reference data":         {renewal, "only you know: owaResources"},
	} {
		m := New(catalogue(t, reference.Source{}))
		m.Add(&c.ev)
		if hints := m.Report().Hints; !slices.ContainsFunc(hints, func(h string) bool { return strings.Contains(h, c.want) }) {
			t.Errorf("%s: %q do not say %q", name, hints, c.want)
		}
	}
}

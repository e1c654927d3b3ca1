package bench

import (
	"fmt"
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// Simple is a rule that other engines can express as well: all conditions hold, whatever the case. A field that was not
// logged meets none.
type Simple struct {
	ID    string
	Kind  event.Kind
	Where []Condition
}

// Condition compares a text with values, one of which has to do.
type Condition struct {
	Field  event.Field[string]
	Op     string // "", contains or startswith, as in Sigma
	Values []string
}

// SimpleRules are 22 rules for sign-ins and 8 for mail: equality, sets, substrings and prefixes. They stand for what rules of
// this kind ask, and find no forged tokens.
func SimpleRules() []Simple {
	is := func(f event.Field[string], v ...string) Condition { return Condition{f, "", v} }
	has := func(f event.Field[string], v ...string) Condition { return Condition{f, "contains", v} }
	starts := func(f event.Field[string], v ...string) Condition { return Condition{f, "startswith", v} }
	var (
		azureCLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
		graph    = "00000003-0000-0000-c000-000000000000"
		exchange = "00000002-0000-0ff1-ce00-000000000000"
		home     = "4765445b-32c6-49b0-83e6-1d93765276ca"
		portal   = "c44b4083-3bb0-49c1-b47d-974e53cbdf3c"
		broker   = "29d9ed98-a469-4536-ade2-f981bc1d605e"
	)
	sets := map[event.Kind][][]Condition{
		event.SignIn: {
			{is(event.AppID, azureCLI), is(event.TransferMethod, "deviceCodeFlow")},
			{is(event.SignInProtocol, "deviceCode")},
			{is(event.SignInProtocol, "ropc")},
			{is(event.SignInRiskLevel, "high", "medium")},
			{is(event.SignInRiskState, "atRisk", "confirmedCompromised")},
			{has(event.UserAgent, "python-requests", "aiohttp", "httpx")},
			{has(event.UserAgent, "curl", "wget", "powershell")},
			{starts(event.UserAgent, "axios/", "okhttp/")},
			{has(event.UserAgent, "bav2ropc")},
			{is(event.AppID, broker), is(event.ResourceID, "00000002-0000-0000-c000-000000000000")},
			{is(event.AppID, portal), is(event.SignInRiskLevel, "low")},
			{is(event.IssuerType, "ADFederationServices"), is(event.ResourceID, home)},
			{is(event.IssuerType, "AzureADBackupAuth")},
			{is(event.CrossTenantAccess, "b2bCollaboration", "b2bDirectConnect", "serviceProvider")},
			{is(event.ActorType, "Guest"), is(event.ResourceID, graph)},
			{has(event.ActorName, "#ext#")},
			{starts(event.ActorName, "admin", "root", "svc-")},
			{is(event.SessionBinding, "unbound"), is(event.ResourceID, exchange), starts(event.UserAgent, "go-http-client")},
			{has(event.SignInDetails, "claim provided by external provider")},
			{is(event.CredentialType, "clientSecret", "clientAssertion")},
			{is(event.AppOwnerTenant, "9188040d-6c67-4c5b-b112-36a304b66dad")},
			{is(event.AppID, azureCLI), is(event.ResourceID, graph)},
		},
		event.Audit: {
			{is(event.Operation, "MailItemsAccessed"), has(event.ClientInfo, "python", "powershell", "curl")},
			{is(event.Operation, "New-InboxRule", "Set-InboxRule")},
			{is(event.Operation, "MailItemsAccessed"), is(event.MailAccessType, "Sync")},
			{starts(event.ClientInfo, "Client=REST"), is(event.AppID, azureCLI)},
			{is(event.TokenTenant, "9188040d-6c67-4c5b-b112-36a304b66dad")},
			{is(event.Workload, "Exchange"), has(event.MailboxOwner, "ceo@", "cfo@", "user17@")},
			{is(event.Operation, "Set-AdminAuditLogConfig", "Set-MailboxAuditBypassAssociation")},
			{is(event.FrontendApp, "00000002-0000-0000-c000-000000000000", exchange)},
		},
	}
	var out []Simple
	for _, k := range []event.Kind{event.SignIn, event.Audit} {
		for i, where := range sets[k] {
			out = append(out, Simple{fmt.Sprintf("%s-%d", k, i+1), k, where})
		}
	}
	return out
}

// Rule returns the rule as Assay has it.
func (s Simple) Rule() *rule.Rule {
	parts := make([]rule.Predicate, len(s.Where))
	for i, c := range s.Where {
		switch c.Op {
		case "":
			parts[i] = rule.InFold(c.Field, c.Values...)
		default:
			parts[i] = rule.Test(c.Field, c.Op, strings.Join(c.Values, " "), among(c.Values, c.Op == "startswith"))
		}
	}
	return made(s.ID, rule.All(parts...), s.Kind)
}

// among returns whether a text has one of the parts, of two bytes at least, or starts with one, whatever the case of ASCII
// letters. It reads the text once: two bytes that begin no part cost two look-ups at most.
func among(parts []string, start bool) func(string) bool {
	var first, second [256]bool
	for _, p := range parts {
		lower, upper := strings.ToLower(p), strings.ToUpper(p)
		first[lower[0]], first[upper[0]] = true, true
		second[lower[1]], second[upper[1]] = true, true
	}
	at := func(v string) bool {
		for _, p := range parts {
			if len(v) >= len(p) && strings.EqualFold(v[:len(p)], p) {
				return true
			}
		}
		return false
	}
	if start {
		return at
	}
	return func(v string) bool {
		for i := 1; i < len(v); i++ {
			if first[v[i-1]] && second[v[i]] && at(v[i-1:]) {
				return true
			}
		}
		return false
	}
}

// Flat returns the texts that the rules ask for by the paths of their fields, as an engine over maps wants them.
func Flat(ev *event.Event, rules []Simple) map[string]any {
	out := map[string]any{}
	for _, r := range rules {
		for _, c := range r.Where {
			if v := c.Field.Get(ev); r.Kind == ev.Kind && v.OK() {
				out[c.Field.Path] = v.V
			}
		}
	}
	return out
}

// EqualityRules returns n rules that each ask a text of sign-ins and mail accesses for one value that no record has.
func EqualityRules(n int) []*rule.Rule {
	fields := []event.Field[string]{event.AppID, event.ActorID, event.TokenID}
	out := make([]*rule.Rule, n)
	for i := range out {
		value := fmt.Sprintf("%08x-0000-4000-8000-%012x", 0x9e3779b9*uint32(i), i)
		out[i] = made(fmt.Sprintf("equality-%d", i+1), rule.EqFold(fields[i%len(fields)], value), event.SignIn, event.Audit)
	}
	return out
}

func made(id string, when rule.Predicate, kinds ...event.Kind) *rule.Rule {
	return &rule.Rule{
		ID: id, Title: id, Version: 1, Kinds: kinds, Stage: rule.Enabled,
		Legs: []rule.Leg{{ID: "it", Why: "it was asked for", When: when, Severity: rule.Low, Strength: rule.Weak}},
		Key:  rule.Key{Name: "app", Of: func(ev *event.Event) string { return ev.App.ID.V }},
	}
}

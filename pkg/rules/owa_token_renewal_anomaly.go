package rules

import (
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// owaTokenRenewalAnomaly looks at the records of GetAccessTokenForResource, with which Storm-0558 turned one forged token into ever
// new real ones. Nobody has published such a record, so the rule observes until it has been calibrated.
func owaTokenRenewalAnomaly(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "owa-token-renewal-anomaly",
		Title:   "Outlook on the web issued a token in odd circumstances",
		Version: 1,
		Kinds:   []event.Kind{event.Audit},
		Scope:   rule.Eq(event.RecordType, 275), // OWAAuth
		Legs: []rule.Leg{{
			ID:       "consumer-token",
			Why:      "Outlook on the web issued a token for a mailbox of this tenant to a token of the tenant of personal accounts",
			When:     rule.All(rule.EqFold(event.TokenTenant, reference.ConsumerTenant), rule.Not(rule.EqFold(event.Organization, reference.ConsumerTenant))),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "unreadable-id",
			Why:      "Outlook on the web issued a token, and the id in the record is none that Entra ID makes",
			When:     rule.All(rule.Logged(event.TokenID), rule.Not(rule.TokenIDReadable(event.TokenID))),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "bad-address",
			Why:      "Outlook on the web issued a token to an address that an attacker used at that time",
			When:     fromBadIP(ref, true, 30*24*time.Hour, 90*24*time.Hour),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "over-age",
			Why:      "Outlook on the web issued a token to one older than Entra ID lets any token become",
			When:     onIssueTime(rule.Longer(event.IssuedAt, event.EventTime, 28*time.Hour)),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "scripted",
			Why:      "Outlook on the web issued a token to a script",
			When:     scripted(event.ClientInfo, event.ActorInfo, event.UserAgent),
			Severity: rule.High,
			Strength: rule.Moderate,
		}, {
			ID:       "unlisted-resource",
			Why:      "Outlook on the web issued a token for a resource for which it does not do so here",
			When:     unlistedResource(ref),
			Severity: rule.High,
			Strength: rule.Moderate,
		}},
		Key:         keyByMailboxOrUser(),
		Stage:       rule.Observe,
		StageReason: "no record of type 275 has been published: calibrate on your own before it may page",
		Doc: rule.Doc{
			Proves: "The API that Storm-0558 abused for renewal issued a token, and something about the request does not fit: the presented token's tenant, id or " +
				"age, the client, the address, or the resource.",
			Evades: "A renewal from an ordinary address with a browser's user agent, for mail. Feeds without record type 275 leave nothing to see.",
			FalsePositives: []string{
				"Resources of your tenant that nobody has listed: learn the hosts of ResourceURL over 30 days, and list them in owaResources.",
				"Which token UniqueTokenIdentifier names, and what else the record holds, is not documented: report what you see.",
			},
			Runbook: []string{
				"Keep the record as it came: it is the trace of the very call that Storm-0558 used.",
				"Look for the token's id in the sign-in logs, and for MailItemsAccessed of the same mailbox in the hours after it.",
				"No sign-in, or an address that the user does not use: call the incident lead, revoke the user's sessions, and open a case with Microsoft.",
			},
			Attack:  []string{"T1550.001", "T1528"},
			Sources: []string{storm0558Analysis, auditSchema, "https://learn.microsoft.com/en-us/graph/api/resources/security-owagetaccesstokenforresourceauditrecord?view=graph-rest-beta"},
		},
	}
}

// unlistedResource holds where the host of the resource is not among those for which Outlook on the web obtains tokens here.
func unlistedResource(ref *reference.Data) rule.Predicate {
	set := ref.OWAResources()
	data := "reference:" + set.Name()
	needs := []string{event.ResourceURL.Path, data}
	return rule.Func("the host of audit.resourceUrl is not listed in "+set.Name(), needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		v := &ev.Audit.ResourceURL
		t := rule.Unknown
		if host := hostOf(v.V); !v.OK() || host == "" {
			tr.Lacking(event.ResourceURL.Path)
		} else if in, known := set.Contains(ev.Tenant, host); known {
			t = truth(!in)
		} else {
			tr.Lacking(data)
		}
		if tr.KeepsFacts() {
			tr.Add(event.ResourceURL.Path, rule.Show(v), "has a host that is not listed in", set.Name(), t)
		}
		return t
	})
}

// hostOf returns the host of a URL, or "" where there is none.
func hostOf(s string) string {
	_, rest, ok := strings.Cut(s, "://")
	if !ok {
		return ""
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if strings.HasPrefix(rest, "[") {
		return rest
	}
	host, _, _ := strings.Cut(rest, ":")
	return host
}

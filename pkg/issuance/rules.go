package issuance

import (
	"fmt"
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// Rules returns the rules that judge uses of tokens by what the ledger knows. Without a ledger, which is what documents
// are made of, they decide nothing.
func Rules(l *Ledger) []*rule.Rule {
	return []*rule.Rule{tokenNeverIssued(l), tokenIDAttributeMismatch(l), tokenUsedBeforeIssuance(l), sessionNeverIssued(l)}
}

// kinds are the events that say which token was used.
func kinds() []event.Kind {
	return []event.Kind{event.Audit, event.GraphActivity, event.TokenObserved}
}

// lacksLedger is what is missing where there is no ledger.
const lacksLedger = "issuance:ledger"

// Sources of the rules.
const (
	linkable      = "https://learn.microsoft.com/en-us/entra/identity/authentication/how-to-authentication-track-linkable-identifiers"
	graphActivity = "https://learn.microsoft.com/en-us/graph/microsoft-graph-activity-logs-overview"
	signInSchema  = "https://learn.microsoft.com/en-us/graph/api/resources/signin?view=graph-rest-beta"
	claims        = "https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference"
	evaluation    = "https://learn.microsoft.com/en-us/entra/identity/conditional-access/concept-continuous-access-evaluation"
	storm         = "https://www.microsoft.com/en-us/security/blog/2023/07/14/analysis-of-storm-0558-techniques-for-unauthorized-email-access/"
)

// tokenUse holds for a record that says that a token was used.
func tokenUse() rule.Predicate {
	return rule.Func("the record says that a token was used, and was not refused", nil, func(ev *event.Event, _ *rule.Trace) rule.Truth {
		if u, _ := useOf(ev); u == nil {
			return rule.False
		}
		return rule.True
	})
}

// differs holds where the attribute of the use is not as it ought to be, and that says so much.
func differs(l *Ledger, at attribute, strength rule.Strength, text string) rule.Predicate {
	return judged(l, at, text, func(u *use, tr *rule.Trace) rule.Truth { return l.verdict(at, strength, u, tr) })
}

func judged(l *Ledger, at attribute, text string, judge func(*use, *rule.Trace) rule.Truth) rule.Predicate {
	needs := []string{event.TokenID.Path, event.AppID.Path, lacksLedger, lacksCategory, lacksTime, lacksDelivery, lacksCalibration}
	if f := fields[at]; f != event.TokenID.Path && f != event.AppID.Path {
		needs = append(needs, f)
	}
	if at == ofSessionSeen {
		needs = needs[1:]
	}
	return rule.Func(text, needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		u, lacks := useOf(ev)
		switch {
		case u == nil:
			return rule.False
		case lacks != "":
			return tr.Lacking(lacks)
		case l == nil:
			return tr.Lacking(lacksLedger)
		}
		t := judge(u, tr)
		if t == rule.True {
			l.explain(at, ev, u, tr)
		}
		return t
	})
}

// byAccount groups by whose data the token opens, or by the application where it is its own.
func byAccount() rule.Key {
	return rule.Key{Name: "account", Of: func(ev *event.Event) string {
		for _, t := range []event.Text{ev.Token.ObjectID, ev.Actor.ObjectID, ev.Actor.Name, ev.Audit.Mailbox, ev.App.ID} {
			if t.OK() && t.V != "" {
				return strings.ToLower(strings.Clone(t.V))
			}
		}
		return ""
	}}
}

var (
	strongNeeds   = fmt.Sprintf("%s of at least %d tokens of the application find theirs", percent(strongShare), strongTokens)
	moderateNeeds = fmt.Sprintf("%s of at least %d tokens of the application find theirs", percent(moderateShare), moderateTokens)
)

func tokenNeverIssued(l *Ledger) *rule.Rule {
	return &rule.Rule{
		ID:      "token-never-issued",
		Title:   "A token was used that no sign-in issued",
		Version: 1,
		Kinds:   kinds(),
		Scope:   tokenUse(),
		Legs: []rule.Leg{{
			ID:       "calibrated-client",
			Why:      "no sign-in log has the token's id, and the tokens of this client application have a sign-in all but always",
			When:     differs(l, ofRow, rule.Strong, "the token's id is that of no sign-in, where "+strongNeeds+", over 14 days and without a gap"),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:  "failed-sign-in",
			Why: "the sign-in with the token's id failed, and a sign-in that fails issues no token",
			When: judged(l, ofRow, "the token's id is that of a sign-in that failed, where "+moderateNeeds, func(u *use, tr *rule.Trace) rule.Truth {
				if u.token == (event.GUID{}) {
					return tr.Lacking(event.TokenID.Path)
				}
				if !l.failed(u.token) {
					return rule.False
				}
				if l.grade(ofRow, u).strength == rule.Weak {
					return tr.Lacking(lacksCalibration)
				}
				return rule.True
			}),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "mostly-calibrated-client",
			Why:      "no sign-in log has the token's id, and most tokens of this client application have a sign-in",
			When:     differs(l, ofRow, rule.Moderate, "the token's id is that of no sign-in, where "+moderateNeeds),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}},
		Key:   byAccount(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Every access token of Entra ID carries the id of the sign-in that issued it, which is in a sign-in log. A token without one was made by somebody else: with a stolen key, " +
				"or by a service that renews tokens beside Entra ID. It is how Microsoft recognised the forged tokens of Storm-0558, and all that shows a perfect forgery with a valid key. " +
				"It is strong evidence only where the run itself shows that the tokens of the same client application find their sign-ins, over two weeks and without a gap.",
			Evades: "Copying the id of a real token (token-id-attribute-mismatch looks for that); a time of issue (iat) that falls into a gap of the logs or before them, which makes it undecided: see the coverage " +
				"and mailbox-token-over-age; an application whose tokens never join, such as many of Microsoft's own.",
			FalsePositives: []string{
				"Calls of Microsoft's own applications need not have a sign-in (Microsoft says so): an application is judged only if the tokens of its other users find theirs. Add MicrosoftServicePrincipalSignInLogs to the diagnostic settings.",
				"Sign-in logs that were lost without a gap in time, such as one partition of several: then many users and applications are orphans in the same hour. Look at the coverage before you look at one of them.",
				"A kind of token that the application begins to use, or a change by Microsoft: all users at once, from one hour on.",
			},
			Runbook: []string{
				"Search all sign-in logs of the tenant for the request id (token.requestId) in the portal, non-interactive and service principal logs included, a day after the use. A row there means that the logs in hand are not whole: find out why, and replay.",
				"Compare address, user agent and hour with the user's other uses. List everything that was opened with the same token id and session.",
				"See which other rules fired on the same token: a foreign tenant, an age beyond 28 hours, a malformed id or an attacker's address settle it.",
				"Take it for a forged token: revoke the sessions, preserve the audit records, and open a case with Microsoft, who alone can see the signing key. Revoking does not stop who holds the key: block the application or the address.",
			},
			Attack:  []string{"T1606", "T1550.001"},
			Sources: []string{storm, linkable, graphActivity, signInSchema, evaluation},
		},
	}
}

// compared are the attributes that a token and its sign-in share.
var compared = []struct {
	at        attribute
	name, why string
}{
	{ofUserID, "user", "the token is of another user than the one who signed in"},
	{ofTenant, "tenant", "the token is of another tenant than the sign-in"},
	{ofAppID, "app", "the token is used by another application than the one that signed in"},
	{ofSession, "session", "the token is of another session than the sign-in"},
	{ofTime, "time", "the token gives another time of issue than the sign-in"},
}

func tokenIDAttributeMismatch(l *Ledger) *rule.Rule {
	r := &rule.Rule{
		ID:      "token-id-attribute-mismatch",
		Title:   "A token's id is that of somebody else's sign-in",
		Version: 1,
		Kinds:   kinds(),
		Scope: rule.All(tokenUse(), rule.Func("a sign-in has the token's id", []string{event.TokenID.Path, lacksLedger}, func(ev *event.Event, tr *rule.Trace) rule.Truth {
			u, lacks := useOf(ev)
			switch {
			case u == nil:
				return rule.False
			case lacks != "":
				return tr.Lacking(lacks)
			case u.token == (event.GUID{}):
				return tr.Lacking(event.TokenID.Path)
			case l == nil:
				return tr.Lacking(lacksLedger)
			case len(l.rows(u.token)) == 0:
				return rule.False
			}
			return rule.True
		})),
		Key:   byAccount(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Whoever forges a token may copy the id of a real one. Then the sign-in with that id says another user, tenant, application, session or time. Two genuine tokens never share an id, so this is " +
				"stronger evidence than an absence: no log needs to be whole for it. Each attribute counts only where it agrees for the other tokens of the same client application.",
			Evades: "Copying all of it: a token with the id, user, application, session and time of a real one differs from it in its key alone, which no log of Microsoft shows. Token observations of one's own applications do.",
			FalsePositives: []string{
				"Logs that write an attribute otherwise (a middle tier's application in place of the client's, the object id of the home tenant for guests): then it differs for all tokens of the application, and is not judged.",
				"Sign-ins that take long: the time of a sign-in is when it began. A quarter of an hour is allowed, and an application whose sign-ins often take longer is not judged by time.",
				"Anonymised logs, in which ids were replaced one by one.",
			},
			Runbook: []string{
				"Read the facts: they give what the token claims, what the sign-in with its id says, and that sign-in's request id and time.",
				"Look at who holds the real token: its id was seen somewhere, so the machine or log that it was taken from is known to the attacker.",
				"List all uses of the token id on both sides, and go on as for token-never-issued.",
			},
			Attack:  []string{"T1606", "T1550.001"},
			Sources: []string{linkable, claims, signInSchema},
		},
	}
	for _, c := range compared {
		r.Legs = append(r.Legs, rule.Leg{
			ID: c.name, Why: c.why + " that has its id", Severity: rule.High, Strength: rule.Strong,
			When: differs(l, c.at, rule.Strong, "the "+c.name+" of the token is not that of the sign-in, where they agree for "+percent(strongShare)+" of at least "+fmt.Sprint(strongTokens)+" tokens of the application"),
		}, rule.Leg{
			ID: c.name + "-mostly", Why: c.why + " that has its id; they agree for most tokens of this client application", Severity: rule.Medium, Strength: rule.Moderate,
			When: differs(l, c.at, rule.Moderate, "the "+c.name+" of the token is not that of the sign-in, where they agree for "+percent(moderateShare)+" of at least "+fmt.Sprint(moderateTokens)+" tokens of the application"),
		})
	}
	return r
}

func tokenUsedBeforeIssuance(l *Ledger) *rule.Rule {
	return &rule.Rule{
		ID:      "token-used-before-issuance",
		Title:   "A token was used before the sign-in that issued it",
		Version: 1,
		Kinds:   kinds(),
		Scope:   tokenUse(),
		Legs: []rule.Leg{{
			ID:       "before-sign-in",
			Why:      "the token was used more than five minutes before the sign-in began that has its id",
			When:     differs(l, ofOrder, rule.Strong, "the use is more than five minutes before the sign-in, where "+percent(strongShare)+" of at least "+fmt.Sprint(strongTokens)+" tokens of the application are used after it"),
			Severity: rule.High,
			Strength: rule.Strong,
		}, {
			ID:       "before-sign-in-mostly",
			Why:      "the token was used more than five minutes before the sign-in began that has its id; most tokens of this client application are used after it",
			When:     differs(l, ofOrder, rule.Moderate, "the use is more than five minutes before the sign-in, where "+percent(moderateShare)+" of at least "+fmt.Sprint(moderateTokens)+" tokens of the application are used after it"),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}},
		Key:   byAccount(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Nobody can use a token before it is issued. A use before the sign-in with its id means that the id is not that of the token, or that the sign-in was made to cover it.",
			Evades: "Copying the id of a token that is old enough.",
			FalsePositives: []string{
				"Clocks: five minutes are allowed, and an application whose uses often come first is not judged.",
				"Records that give the time of the first of several actions that they sum up.",
			},
			Runbook: []string{
				"Compare the two times with the times at which both records arrived: a clock that is wrong is so for all records of its service at that time.",
				"Else go on as for token-id-attribute-mismatch.",
			},
			Attack:  []string{"T1606"},
			Sources: []string{linkable, signInSchema},
		},
	}
}

func sessionNeverIssued(l *Ledger) *rule.Rule {
	return &rule.Rule{
		ID:      "session-never-issued",
		Title:   "A token's session is that of no sign-in",
		Version: 1,
		Kinds:   kinds(),
		Scope:   tokenUse(),
		Legs: []rule.Leg{{
			ID:       "unknown-session",
			Why:      "no sign-in has the token's session, and the sessions of this client application have one",
			When:     sessionUnknown(l),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}},
		Key:   byAccount(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Every token of a session has a sign-in with the session's id. Where a record has no token id, as aggregated ones have not, its session is all that can be looked up.",
			Evades: "Copying the session of a real token.",
			FalsePositives: []string{
				"Exchange has sessions of its own, which are not those of Entra ID: then none of the application's is found, and it is not judged.",
				"Gaps in the sign-in logs: see token-never-issued.",
			},
			Runbook: []string{
				"Search the sign-ins of the user for the session id. None: look at what else the session did, and for token-never-issued on the same user.",
				"Alone it is moderate evidence: compare address and client with the user's other sessions before you wake anybody.",
			},
			Attack:  []string{"T1606", "T1550.001"},
			Sources: []string{linkable, signInSchema},
		},
	}
}

// sessionUnknown is never strong evidence, however well the client application is known.
func sessionUnknown(l *Ledger) rule.Predicate {
	text := "the session is that of no sign-in, where " + moderateNeeds
	return judged(l, ofSessionSeen, text, func(u *use, tr *rule.Trace) rule.Truth {
		t := l.verdict(ofSessionSeen, rule.Strong, u, tr)
		if t == rule.False {
			t = l.verdict(ofSessionSeen, rule.Moderate, u, tr)
		}
		return t
	})
}

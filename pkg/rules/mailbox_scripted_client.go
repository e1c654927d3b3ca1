package rules

import (
	"regexp"
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// scriptMarks are what libraries and command-line tools write into the user agent, in lower case, and what Exchange writes
// where there was none. The second character of each is a letter.
var scriptMarks = []string{
	"python-requests", "python-urllib", "aiohttp", "httpx", "curl/", "wget/", "go-http-client", "okhttp", "axios/", "node-fetch",
	"libwww", "winhttp", "powershell", "postmanruntime", "java/", "[nouseragent]",
}

// exchangeOnline is Exchange Online as the resource of a sign-in (Microsoft's list of first-party applications).
const exchangeOnline = "00000002-0000-0ff1-ce00-000000000000"

// microsoftGraph is Microsoft Graph as the resource of a sign-in (the same list).
const microsoftGraph = "00000003-0000-0000-c000-000000000000"

var webProtocol = regexp.MustCompile(`^Client=(OWA|WebServices)\b`)

// mailboxScriptedClient finds mail that a script reads. Storm-0558 used PowerShell and Python against the API of Outlook on the
// web; so do many honest scripts, hence it is a supporting sign, but less so where the client is one of
// Microsoft's own for people.
func mailboxScriptedClient(ref *reference.Data, _ *knobs) *rule.Rule {
	unlisted := unlistedGUID(event.AppID, ref.ScriptedOK())
	inMailbox := rule.All(scripted(event.ClientInfo, event.ActorInfo), unlisted)
	return &rule.Rule{
		ID:      "mailbox-scripted-client",
		Title:   "Mail read by a script",
		Version: 1,
		Kinds:   []event.Kind{event.Audit, event.SignIn, event.GraphActivity},
		Legs: []rule.Leg{{
			ID:  "first-party-client",
			Why: "a script used Outlook on the web or Exchange Web Services under the id of one of Microsoft's clients",
			When: rule.OfKind(event.Audit, rule.All(
				mailboxAccess(),
				inMailbox,
				rule.Matches(event.ClientInfo, "Outlook on the web or Exchange Web Services", webProtocol),
				rule.Listed(event.AppID, ref.KnownMailClients()),
			)),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "mailbox",
			Why:      "a script used the mailbox",
			When:     rule.OfKind(event.Audit, rule.All(mailboxAccess(), inMailbox)),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}, {
			ID:  "graph",
			Why: "a script read mail through Microsoft Graph",
			When: rule.OfKind(event.GraphActivity, rule.All(
				mailRequested(),
				scripted(event.UserAgent),
				unlisted,
			)),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}, {
			ID:  "sign-in",
			Why: "a script signed in to Exchange Online",
			When: rule.OfKind(event.SignIn, rule.All(
				rule.CategoryIn(userSignIns...),
				rule.EqFold(event.ResourceID, exchangeOnline),
				rule.Eq(event.SignInError, 0),
				scripted(event.UserAgent),
				unlisted,
			)),
			Severity: rule.Medium,
			Strength: rule.Weak,
		}},
		Key:   keyByMailboxOrUser(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "The client says of itself that it is a library or a command-line tool, and its application is not one that may be. That alone is " +
				"ordinary automation; together with a rule about the token it is how stolen mail is fetched.",
			Evades: "Any browser's user agent. Records without a client string leave the rule not evaluable.",
			FalsePositives: []string{
				"Scripts of your own, backup and archive tools, Exchange Online PowerShell (Microsoft WinRM Client): add the application to scriptedOk.",
				"[NoUserAgent] is what many Graph applications leave: add them to scriptedOk, one by one.",
				"Mobile mail apps built on okhttp: add the application to scriptedOk.",
			},
			Runbook: []string{
				"Do not act on this alert alone. Look at the other alerts on the same mailbox, address or token first.",
				"Ask the application's owner whether the script is theirs. If so, add the application to scriptedOk.",
				"A script under the id of one of Microsoft's clients has no owner: take the address and the UniqueTokenId to the sign-in logs and find out who " +
					"signed in. No row means a forged or exchanged token: call the incident lead.",
				"Revoke the owner's sessions and block the address if nobody vouches for it.",
			},
			Attack:  []string{"T1059.006", "T1059.001", "T1114.002"},
			Sources: []string{storm0558Analysis, auditSchema},
		},
	}
}

// keyByMailboxOrUser groups by the mailbox, or by the user where the log is not of a mailbox.
func keyByMailboxOrUser() rule.Key {
	return rule.Key{Name: "mailbox or user", Of: func(ev *event.Event) string {
		return firstFolded(ev.Audit.Mailbox, ev.Audit.MailboxOwner, ev.Actor.ObjectID, ev.Actor.Name)
	}}
}

// scripted holds when one of the fields has a mark of a scripted client, whatever the case. A field that was not logged
// counts as empty, and it is Unknown only when none of them was.
func scripted(fields ...event.Field[string]) rule.Predicate {
	var marks [256][]string // by the first byte, so that most bytes of a text cost one look-up
	for _, m := range scriptMarks {
		first, upper := m[0], strings.ToUpper(m)[0]
		marks[first] = append(marks[first], m)
		if upper != first {
			marks[upper] = append(marks[upper], m)
		}
	}
	find := func(text string) string {
		for i := range len(text) {
			for _, m := range marks[text[i]] {
				if len(text)-i >= len(m) && text[i+1]|' ' == m[1] && strings.EqualFold(text[i:i+len(m)], m) {
					return m
				}
			}
		}
		return ""
	}
	paths := make([]string, len(fields))
	for i, f := range fields {
		paths[i] = f.Path
	}
	return rule.Func(strings.Join(paths, " or ")+" is of a script", paths, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		t := rule.Unknown
		for _, f := range fields {
			v := f.Get(ev)
			if !v.OK() || v.V == "" {
				continue
			}
			if m := find(v.V); m != "" {
				return tr.Add(f.Path, v.V, "has the mark of a script", m, rule.True)
			}
			t = tr.Add(f.Path, v.V, "has the mark of a script", "", rule.False)
		}
		if t == rule.Unknown {
			for _, p := range paths {
				tr.Lacking(p)
			}
		}
		return t
	})
}

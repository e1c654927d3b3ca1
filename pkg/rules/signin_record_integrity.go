package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// signinRecordIntegrity compares a sign-in's id with the id of the token that it issued: in every public record that is not masked, the one
// is the other's encoding. It is a test of the log, and of this reader, more than of the sign-in.
func signinRecordIntegrity(*reference.Data, *knobs) *rule.Rule {
	adfs := rule.CategoryIn("ADFSSignInLogs")
	return &rule.Rule{
		ID:      "signin-record-integrity",
		Title:   "Sign-in whose token id is not its own",
		Version: 1,
		Kinds:   []event.Kind{event.SignIn},
		Legs: []rule.Leg{{
			ID:       "adfs",
			Why:      "a record of AD FS has a token id that is not the encoding of its own id, as one that a false health agent writes may have",
			When:     rule.All(adfs, foreignTokenID()),
			Severity: rule.Medium,
			Strength: rule.Moderate,
		}, {
			ID:       "entra",
			Why:      "a sign-in has a token id that is not the encoding of its own id",
			When:     rule.All(rule.Not(adfs), foreignTokenID()),
			Severity: rule.Info,
			Strength: rule.Weak,
		}},
		Key:         keyByApp(),
		Stage:       rule.Observe,
		StageReason: "Microsoft does not document the encoding: read it as a metric of the log first",
		Doc: rule.Doc{
			Proves: "The record is not as Entra ID writes it: masked, changed by a collector, in a new encoding, or, for AD FS, made by somebody who registered " +
				"a health agent of his own.",
			Evades: "A record that is made with the right encoding.",
			FalsePositives: []string{
				"Masked logs: the ids no longer fit each other, and every record matches. Do not feed them to this rule.",
				"A new encoding by Microsoft: all records match from a day on. Report it.",
			},
			Runbook: []string{
				"Count the matches of the day. Nearly all records: a change of the log or a collector's doing, not an intrusion.",
				"Records of AD FS only: list the registered health agents (Microsoft.ADHybridHealthService in the Azure Activity log) and who added one.",
				"An unknown agent: remove it, call the incident lead, and trust no AD FS sign-in since.",
			},
			Attack:  []string{"T1565.001"},
			Sources: []string{claimsReference, "AADInternals: Spoofing Azure AD sign-ins logs by imitating AD FS Hybrid Health Agent (2021)"},
		},
	}
}

// foreignTokenID holds where the record's token id and its own id are both readable and not the same.
func foreignTokenID() rule.Predicate {
	needs := []string{event.TokenID.Path, event.SignInRequestID.Path}
	return rule.Func("token.uti is not the encoding of signIn.id", needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		uti, own := &ev.Token.ID, &ev.SignIn.RequestID
		t := rule.Unknown
		if id, readable := guidOf(own); !readable {
			tr.Lacking(event.SignInRequestID.Path)
		} else if token, err := event.ParseTokenID(uti.V); !uti.OK() || err != nil || token.Uniform() {
			tr.Lacking(event.TokenID.Path)
		} else {
			t = truth(token != id)
		}
		if tr.KeepsFacts() {
			tr.Add(event.TokenID.Path, rule.Show(uti), "is not the encoding of "+event.SignInRequestID.Path, rule.Show(own), t)
		}
		return t
	})
}

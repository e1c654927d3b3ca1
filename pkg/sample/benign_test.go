package sample_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/sample/made"
)

// tellingAll is the configuration under which nothing of the benign records is out of the ordinary.
func tellingAll(t *testing.T) *config.Config {
	t.Helper()
	c := knowing(t)
	own := c.Reference.Tenants[made.TenantID]
	own.IDP = []reference.IdentityProvider{{Issuer: made.STS, Certs: []string{made.SigningCertificate, made.SigningCertificate256}}}
	c.Reference.Tenants[made.TenantID] = own
	return c
}

// enough is how often every leg of every rule has to be decided on ordinary records of each kind that the rule reads, and every
// field of which it asks has to be there.
const enough = 20

// TestOrdinaryRecordsAreDecided: the ordinary records are no gate for a rule that could not be evaluated on them.
func TestOrdinaryRecordsAreDecided(t *testing.T) {
	t.Parallel()
	loaded, err := app.LoadRules(tellingAll(t))
	if err != nil {
		t.Fatal(err)
	}
	type place struct{ rule, leg, log string }
	decided, lacking := map[place]int{}, map[place]map[string]int{}
	present := map[string]map[string]int{}
	var s normalize.Scratch
	var ev event.Event
	n := normalize.New(decode.Scanner{}, "")
	eachRecord(t, made.Benign(bundledSeed, 6000), func(rec *envelope.Record) {
		if res := n.Normalize(rec, &s, &ev); res.Outcome != normalize.Normalised {
			t.Fatalf("%s %s: %s", res.Reason, res.Detail, rec.Body)
		}
		for _, r := range loaded.Rules {
			if !slices.Contains(r.Kinds, ev.Kind) || r.Scope != nil && r.Scope.Eval(&ev, nil) != rule.True {
				continue
			}
			if present[r.ID] == nil {
				present[r.ID] = map[string]int{}
			}
			for i := range r.Legs {
				at := place{r.ID, r.Legs[i].ID, logOf(&ev)}
				tr := &rule.Trace{}
				if r.Legs[i].When.Eval(&ev, tr) == rule.False {
					decided[at]++
				}
				if lacking[at] == nil {
					lacking[at] = map[string]int{}
				}
				for _, m := range tr.Missing {
					lacking[at][m]++
				}
				for _, f := range r.Legs[i].When.Needs() {
					if field, ok := fields[f]; !ok && !strings.HasPrefix(f, "reference:") {
						t.Fatalf("the test does not know the field %s", f)
					} else if ok && field.state(&ev) == event.Present {
						present[r.ID][f]++
					}
				}
			}
		}
	})
	for _, r := range loaded.Rules {
		for _, l := range r.Legs {
			logs := 0
			for at := range lacking {
				if at.rule != r.ID || at.leg != l.ID {
					continue
				}
				logs++
				if slices.ContainsFunc(unlogged[at.log], func(f string) bool { return lacking[at][f] > 0 }) {
					continue
				}
				if decided[at] < enough {
					t.Errorf("%s %s is decided on %d records of %s, for want of %v", r.ID, l.ID, decided[at], at.log, lacking[at])
				}
			}
			if logs < len(r.Kinds) {
				t.Errorf("%s %s reads %d kinds of events, and ordinary records of %d logs", r.ID, l.ID, len(r.Kinds), logs)
			}
			for _, f := range l.When.Needs() {
				if !strings.HasPrefix(f, "reference:") && present[r.ID][f] < enough {
					t.Errorf("%s %s: %d records have the field %s", r.ID, l.ID, present[r.ID][f], f)
				}
			}
		}
	}
}

// unlogged names what a log never holds.
var unlogged = map[string][]string{
	"signin managedidentitysigninlogs":           {event.IP.Path, event.UserAgent.Path},
	"signin microsoftserviceprincipalsigninlogs": {event.IP.Path, event.UserAgent.Path},
	"signin serviceprincipalsigninlogs":          {event.UserAgent.Path},
	"signin adfssigninlogs":                      {event.UserAgent.Path},
}

// logOf tells logs apart whose records one kind of event holds, and which rules know apart.
func logOf(ev *event.Event) string {
	if ev.Kind == event.SignIn {
		if ev.Category == "signIn" { // an interactive one, from Microsoft Graph
			return "signin signinlogs"
		}
		return "signin " + strings.TrimPrefix(strings.ToLower(ev.Category), "aad")
	}
	if ev.Kind == event.Audit {
		switch ev.Audit.RecordType.V {
		case 1:
			return "audit of cmdlets"
		case 275:
			return "audit of renewals"
		case 6, 25:
			return "audit of documents"
		default:
			return "audit of mailboxes"
		}
	}
	return ev.Kind.String()
}

func eachRecord(t *testing.T, lines []string, each func(*envelope.Record)) {
	t.Helper()
	for in := envelope.NewReader(strings.NewReader(strings.Join(lines, "\n")), "benign"); ; {
		rec, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		each(&rec)
	}
}

// field is one of those of which rules ask.
type field struct {
	state func(*event.Event) event.State
	show  func(*event.Event) string
}

// fields holds them by path.
var fields = func() map[string]field {
	out := map[string]field{}
	add(out, event.TextFields()...)
	add(out, event.SignInError, event.AuthSteps, event.RecordType, event.UserType, event.LogonType, event.ItemCount, event.GraphStatus, event.ASN, event.TokenSegments)
	add(out, event.ExternalAccess, event.Throttled, event.MFADetail, event.TokenSigned)
	add(out, event.EventTime, event.IssuedAt, event.NotBefore, event.Expires, event.SAMLIssuedAt, event.SAMLAuthn, event.SAMLNotBefore, event.SAMLNotOnOrAfter)
	add(out, event.IP)
	add(out, event.TokenRoles, event.TokenActorClaims, event.EmbeddedKeyRefs, event.IncomingTokenTypes, event.SignInRiskEvents)
	add(out, event.CmdletParameters, event.DirectoryChanges)
	out["token.claims"], out["token.header"] = out[event.TokenActorClaims.Path], out[event.EmbeddedKeyRefs.Path]
	return out
}()

func add[T any](to map[string]field, fields ...event.Field[T]) {
	for _, f := range fields {
		to[f.Path] = field{
			state: func(ev *event.Event) event.State { return f.Get(ev).State },
			show:  func(ev *event.Event) string { return fmt.Sprint(f.Get(ev).State, f.Get(ev).V) },
		}
	}
}

// TestBenignRecordsAreQuiet: none of them raises an alert of high severity, be it one that only observes, and what they do raise
// is known.
func TestBenignRecordsAreQuiet(t *testing.T) {
	t.Parallel()
	r := detectLines(t, tellingAll(t), made.Benign(bundledSeed, *benign))
	noise := map[string]rule.Severity{}
	for _, a := range r.Sorted(rule.Info, rule.Observe) {
		noise[a.Alert.Rule.ID] = max(noise[a.Alert.Rule.ID], a.Alert.Severity)
		if a.Alert.Severity >= rule.High {
			t.Errorf("%s %s: %s (%s, %d findings, first at %v)", a.Alert.Severity, a.Alert.Rule.ID, a.Alert.Rule.Why, a.Alert.Key, a.Alert.Count, a.Alert.Lead.Place)
		}
	}
	if !maps.Equal(noise, benignNoise) {
		t.Errorf("the benign records raise %v, want %v", noise, benignNoise)
	}
}

// benignNoise is what ordinary records raise, and how severe it is at most.
var benignNoise = map[string]rule.Severity{
	"mailbox-uti-missing":            rule.Low,    // OfficeActivity leaves the token's id out
	"signin-unbound-token-sensitive": rule.Medium, // a VIP's browser
}

// TestRealRecordsAreQuiet: of what others logged or published, only attacks that they staged are grave, and what Microsoft itself calls a
// threat.
func TestRealRecordsAreQuiet(t *testing.T) {
	t.Parallel()
	staged := map[string]int{"risk-anomalous-token": 2, "audit-federation-trust-changed": 2}
	for name, c := range map[string]*config.Config{"configured": bundledConfig(t), "by default": {}} {
		got := map[string]int{}
		for _, a := range detect(t, c, "events/real").Sorted(rule.High, rule.Observe) {
			got[a.Alert.Rule.ID]++
		}
		if !maps.Equal(got, staged) {
			t.Errorf("%s: %v are grave, want %v", name, got, staged)
		}
	}
}

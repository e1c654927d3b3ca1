package rules_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/casefile"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
)

const (
	ownTenant = "7c2a1f5e-3b64-4d09-9a51-0e8f6c2b7d13"
	consumers = "9188040d-6c67-4c5b-b112-36a304b66dad"
	stolenKey = "1LTMzakihiRla_8z2BEJVXeWMqo"
)

// observed writes a token observation; more overrides members of header and claims.
func observed(t *testing.T, at string, header, claims map[string]any) string {
	t.Helper()
	issued, err := time.Parse(time.RFC3339, at)
	if err != nil {
		t.Fatal(err)
	}
	iat := issued.Add(-10 * time.Minute).Unix()
	h := map[string]any{"alg": "RS256", "typ": "JWT", "kid": "sM1_yAxV8GV4yN-B6j2xzmik5Ao"}
	c := map[string]any{
		"iss": "https://login.microsoftonline.com/" + ownTenant + "/v2.0", "aud": "api://orders", "tid": ownTenant, "oid": "5d0f9c3a-8e21-4b7c-b1d4-9f2a6e0c3b58",
		"iat": iat, "nbf": iat, "exp": iat + 3900, "ver": "2.0", "azp": "0b9d6a57-6f1e-4c2b-8a34-d1e2f3a4b5c6", "scp": "orders.read", "uti": "xMFjTVvJPE2OChJx_YE-AA",
	}
	for k, v := range header {
		h[k] = v
	}
	for k, v := range claims {
		c[k] = v
	}
	text, err := json.Marshal(map[string]any{
		"kind": "token-observation", "schemaVersion": 1, "id": "obs-1", "tenantId": ownTenant, "time": at, "observer": map[string]any{"name": "apim-prod", "type": "apim"},
		"validation": map[string]any{"result": "accepted", "signaturePresent": true, "segments": 3}, "header": h, "claims": c,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// audited writes a record of MailItemsAccessed; more stands behind its other members.
func audited(more string) string {
	return `{"CreationTime":"2025-10-27T07:09:33","Id":"d41c7a02-95be-4f63-8a10-08de1527c3f1","Operation":"MailItemsAccessed","RecordType":50,"Workload":"Exchange",` +
		`"OrganizationId":"` + ownTenant + `","UserType":0,"UserId":"adele@contoso.example","LogonType":0,"MailboxGuid":"3e9a41c7-80d5-4f2b-a6c9-1d7b52f8e034",` +
		`"AppId":"00000002-0000-0ff1-ce00-000000000000","ClientAppId":"9199bf20-a13f-4107-85dc-02114787ef48","ClientInfoString":"Client=OWA;Action=ViaProxy",` +
		`"ClientIPAddress":"192.0.2.17","OperationProperties":[{"Name":"MailAccessType","Value":"Bind"}],` + more + `}`
}

func withIssueTime(issued string) string {
	return audited(`"AppAccessContext":{"IssuedAtTime":"` + issued + `","UniqueTokenId":"xMFjTVvJPE2OChJx_YE-AA"}`)
}

// TestVectors: what every implementation of the rules has to agree on.
func TestVectors(t *testing.T) {
	t.Parallel()
	v1, v2 := "https://sts.windows.net/"+ownTenant+"/", "https://login.microsoftonline.com/"+ownTenant+"/v2.0"
	const storm, now = "2023-06-16T07:12:03Z", "2026-03-02T08:56:25Z"
	life := func(seconds int64) string {
		iat := time.Date(2026, 3, 2, 8, 46, 25, 0, time.UTC).Unix()
		return observed(t, now, nil, map[string]any{"iat": iat, "nbf": iat, "exp": iat + seconds})
	}
	readings := &reference.Source{Fetches: []reference.Fetch{
		{Document: "common", At: time.Date(2026, 3, 2, 7, 30, 0, 0, time.UTC), KIDs: []string{"sM1_yAxV8GV4yN-B6j2xzmik5Ao"}},
		{Document: "common", At: time.Date(2026, 3, 2, 7, 56, 25, 0, time.UTC), KIDs: []string{"sM1_yAxV8GV4yN-B6j2xzmik5Ao", "rolled-over-an-hour-ago-xxx"}},
		{Document: "common", At: time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC), KIDs: []string{"sM1_yAxV8GV4yN-B6j2xzmik5Ao", "rolled-over-an-hour-ago-xxx"}},
	}}
	partners := &reference.Source{Defaults: reference.TenantSource{PartnerTenants: []string{}}}
	risk := func(envelope, activity string) string {
		return `{"time":"` + envelope + `","category":"UserRiskEvents","tenantId":"` + ownTenant + `","operationName":"User Risk Detection","properties":{"id":"r1","requestId":` +
			`"933f20c0-efdf-477f-9586-e5cc566d2e00","riskEventType":"tokenIssuerAnomaly","riskState":"atRisk","riskLevel":"medium","activityDateTime":"` + activity + `",` +
			`"userId":"5d0f9c3a-8e21-4b7c-b1d4-9f2a6e0c3b58","userPrincipalName":"adele@contoso.example","ipAddress":"192.0.2.17"}}`
	}
	renewal := strings.Replace(strings.Replace(audited(`"ResourceURL":"https://outlook.office.com/"`), `"RecordType":50`, `"RecordType":275`, 1), "MailItemsAccessed", "GetAccessTokenForResource", 1)
	for name, c := range map[string]struct {
		rule   string
		config *reference.Source
		record string
		want   casefile.Want
		leg    string
		lacks  []string
	}{
		"the bad key in base64url":                    {"token-kid-known-bad", nil, observed(t, storm, map[string]any{"kid": stolenKey}, nil), casefile.Match, "accepted", nil},
		"the bad key in hex":                          {"token-kid-known-bad", nil, observed(t, storm, map[string]any{"kid": "d4b4cccda9228624656bff33d8110955779632aa"}, nil), casefile.Match, "accepted", nil},
		"the bad key in upper-case hex, as x5t":       {"token-kid-known-bad", nil, observed(t, storm, map[string]any{"x5t": "D4B4CCCDA9228624656BFF33D8110955779632AA"}, nil), casefile.Match, "accepted", nil},
		"the bad key in base64url of another case":    {"token-kid-known-bad", nil, observed(t, storm, map[string]any{"kid": strings.ToLower(stolenKey)}, nil), casefile.NoMatch, "", nil},
		"consumer-issuer key and enterprise iss, v2":  {"token-key-issuer-scope-violation", nil, observed(t, storm, map[string]any{"kid": stolenKey}, map[string]any{"iss": v2}), casefile.Match, "consumer-key-enterprise-token", nil},
		"consumer-issuer key and enterprise iss, v1":  {"token-key-issuer-scope-violation", nil, observed(t, storm, map[string]any{"kid": stolenKey}, map[string]any{"iss": v1, "ver": "1.0"}), casefile.Match, "consumer-key-enterprise-token", nil},
		"consumer-issuer key and consumer iss":        {"token-key-issuer-scope-violation", nil, observed(t, storm, map[string]any{"kid": stolenKey}, map[string]any{"iss": strings.ReplaceAll(v2, ownTenant, consumers), "tid": consumers}), casefile.NoMatch, "", nil},
		"rollover kid one hour old":                   {"token-kid-not-published", readings, observed(t, now, map[string]any{"kid": "rolled-over-an-hour-ago-xxx"}, nil), casefile.NoMatch, "", nil},
		"a kid in none of the readings":               {"token-kid-not-published", readings, observed(t, now, map[string]any{"kid": "never-published-at-all-xxxxx"}, nil), casefile.Match, "unknown-key-accepted", nil},
		"exp - iat of 3900 s":                         {"token-lifetime-excessive", nil, life(3900), casefile.NoMatch, "", nil},
		"exp - iat of 7500 s":                         {"token-lifetime-excessive", nil, life(7500), casefile.NoMatch, "", nil},
		"exp - iat of 86700 s":                        {"token-lifetime-excessive", nil, life(86700), casefile.NoMatch, "", nil},
		"exp - iat of 101100 s":                       {"token-lifetime-excessive", nil, life(101100), casefile.NoMatch, "", nil},
		"exp - iat of 101700 s":                       {"token-lifetime-excessive", nil, life(101700), casefile.NoMatch, "", nil},
		"exp - iat of 101701 s":                       {"token-lifetime-excessive", nil, life(101701), casefile.Match, "over-hard-cap", nil},
		"CreationTime without zone":                   {"mailbox-token-issued-in-future", nil, withIssueTime("2025-10-27T07:14:33Z"), casefile.NoMatch, "", nil},
		"CreationTime without zone, a second later":   {"mailbox-token-issued-in-future", nil, withIssueTime("2025-10-27T07:14:34Z"), casefile.Match, "issued-after-use", nil},
		"age of 17 h 57 min":                          {"mailbox-token-over-age", nil, withIssueTime("2025-10-26T13:12:18"), casefile.NoMatch, "", nil},
		`ExternalAccess "False"`:                      {"mailbox-nonowner-or-external", nil, audited(`"ExternalAccess":"False"`), casefile.NoMatch, "", nil},
		`ExternalAccess "True"`:                       {"mailbox-nonowner-or-external", nil, audited(`"ExternalAccess":"True"`), casefile.Match, "external", nil},
		"TokenTenantId in upper case":                 {"mailbox-token-tenant-mismatch", partners, audited(`"TokenTenantId":"` + strings.ToUpper(ownTenant) + `"`), casefile.NoMatch, "", nil},
		"TokenTenantId of consumers in upper case":    {"mailbox-consumer-tenant-token", nil, audited(`"TokenTenantId":"` + strings.ToUpper(consumers) + `"`), casefile.Match, "consumer-tenant", nil},
		"RecordType 275 without id":                   {"owa-token-renewal-anomaly", &reference.Source{Defaults: reference.TenantSource{OWAResources: []string{"outlook.office.com"}}}, renewal, casefile.NotEvaluable, "", []string{"token.uti"}},
		"UserRiskEvents with US date in the envelope": {"risk-token-issuer-anomaly", nil, risk("3/24/2022 2:42:35 PM", "2022-03-24T14:40:11.1234567Z"), casefile.Match, "risk-event", nil},
		"UserRiskEvents with US date of the activity": {"risk-token-issuer-anomaly", nil, risk("2022-03-24T14:42:35Z", "3/24/2022 2:40:11 PM"), casefile.Match, "risk-event", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, err := reference.New()
			if err != nil {
				t.Fatal(err)
			}
			run := &casefile.Runner{
				Decoder: decode.Scanner{}, Reference: base,
				Rules: func(ref *reference.Data) ([]*rule.Rule, error) { return rules.Catalogue(ref, nil) },
			}
			one := casefile.Case{Name: name, Record: c.record, Config: c.config, Want: c.want, Leg: c.leg, Missing: c.lacks}
			for _, res := range run.Run(&casefile.File{Path: "vectors", Rule: c.rule, Cases: []casefile.Case{one}}) {
				if res.Err != nil {
					t.Error(res.Err)
				}
			}
		})
	}
}

// TestVectorsOfTimes: a time without zone is UTC, and a US date is read where a feed writes one.
func TestVectorsOfTimes(t *testing.T) {
	t.Parallel()
	risk := `{"time":"%s","category":"UserRiskEvents","tenantId":"` + ownTenant + `","operationName":"User Risk Detection","properties":{"id":"r1","riskEventType":"anomalousToken",` +
		`"riskState":"atRisk","riskLevel":"low","activityDateTime":"%s"}}`
	for name, c := range map[string]struct{ record, want string }{
		"CreationTime without zone":       {audited(`"Version":1`), "2025-10-27T07:09:33Z"},
		"US date in the envelope":         {fmt.Sprintf(risk, "3/24/2022 2:42:35 PM", "2022-03-24T14:40:11Z"), "2022-03-24T14:40:11Z"},
		"US date of the activity":         {fmt.Sprintf(risk, "2022-03-24T14:42:35Z", "3/24/2022 2:40:11 PM"), "2022-03-24T14:40:11Z"},
		"US date of the activity, midday": {fmt.Sprintf(risk, "2022-03-24T14:42:35Z", "3/24/2022 12:00:00 PM"), "2022-03-24T12:00:00Z"},
	} {
		ev, outcome := read(c.record)
		if got := ev.Time.V.Format(time.RFC3339); len(outcome) != 1 || got != c.want {
			t.Errorf("%s: %v %s, want %s", name, outcome, got, c.want)
		}
	}
}

// TestVectorsOfTokenIDs: both encodings of a token's id, and the id of the request that they encode.
func TestVectorsOfTokenIDs(t *testing.T) {
	t.Parallel()
	for encoded, want := range map[string]string{
		"xMFjTVvJPE2OChJx_YE-AA":                           "4d63c1c4-c95b-4d3c-8e0a-1271fd813e00",
		"OTMzZjIwYzAtZWZkZi00NzdmLTk1ODYtZTVjYzU2NmQyZTAw": "933f20c0-efdf-477f-9586-e5cc566d2e00",
	} {
		if got, err := event.ParseTokenID(encoded); err != nil || got.String() != want {
			t.Errorf("%s: %s (%v), want %s", encoded, got, err, want)
		}
	}
}

// TestVectorOfAMixedBatch: a message may hold records of several categories, and one that is broken takes no other with it.
func TestVectorOfAMixedBatch(t *testing.T) {
	t.Parallel()
	signIn := `{"time":"2025-07-24T15:32:44Z","category":"NonInteractiveUserSignInLogs","tenantId":"` + ownTenant + `","resultType":"0","operationName":"Sign-in activity",` +
		`"properties":{"id":"4d63c1c4-c95b-4d3c-8e0a-1271fd813e00","createdDateTime":"2025-07-24T15:30:17Z","status":{"errorCode":0}}}`
	graph := `{"time":"2025-10-02T08:56:25Z","category":"MicrosoftGraphActivityLogs","tenantId":"` + ownTenant + `","operationName":"Microsoft Graph Activity",` +
		`"properties":{"timeGenerated":"2025-10-02T08:56:25Z","requestId":"933f20c0-efdf-477f-9586-e5cc566d2e00","requestUri":"https://graph.microsoft.com/v1.0/me"}}`
	unread := `{"time":"2025-10-02T08:56:25Z","category":"ProvisioningLogs","tenantId":"` + ownTenant + `","operationName":"Provision","properties":{}}`
	broken := `{"time":"2025-10-02T08:56:25Z","category":"SignInLogs","properties":{"id":"4d63` // ends in the middle
	for name, body := range map[string]string{
		"lines":                      strings.Join([]string{signIn, graph, broken, audited(`"Version":1`), unread}, "\n"),
		"a record without its time":  `{"records":[` + strings.Join([]string{signIn, graph, strings.Replace(signIn, `"createdDateTime"`, `"created"`, 1), audited(`"Version":1`), unread}, ",") + `]}`,
		"a member that is no record": `{"records":[` + strings.Join([]string{signIn, graph, `"no record"`, audited(`"Version":1`), unread}, ",") + `]}`,
	} {
		_, outcomes := read(body)
		slices.Sort(outcomes)
		if want := []string{"broken", "ignored", "normalised", "normalised", "normalised"}; !slices.Equal(outcomes, want) {
			t.Errorf("%s: %v, want %v", name, outcomes, want)
		}
	}
}

// read takes a payload through envelope and normaliser. It returns the last event, and what became of each record.
func read(body string) (*event.Event, []string) {
	ev, last := new(event.Event), new(event.Event)
	var outcomes []string
	n, s := normalize.New(decode.Scanner{}, ""), new(normalize.Scratch)
	for in := envelope.NewReader(strings.NewReader(body), "payload"); ; {
		rec, err := in.Next()
		if errors.Is(err, io.EOF) {
			return last, outcomes
		}
		if err != nil {
			outcomes = append(outcomes, "broken")
			if part := (*envelope.Broken)(nil); !errors.As(err, &part) {
				return last, outcomes
			}
			continue
		}
		switch n.Normalize(&rec, s, ev).Outcome {
		case normalize.Normalised:
			*last = *ev
			outcomes = append(outcomes, "normalised")
		case normalize.Ignored:
			outcomes = append(outcomes, "ignored")
		case normalize.Refused:
			outcomes = append(outcomes, "broken")
		}
	}
}

// TestAttackTable: the rows of the table of attacks, and the rules that each log is said to fire.
func TestAttackTable(t *testing.T) {
	t.Parallel()
	want := map[string]map[rules.Log]string{
		"consumer-key": {
			rules.TokenLog: "T01 T02 T04 T07", rules.MailboxLog: "M08 M09 M01 M04 M05 M06 M15 I01", rules.GraphLog: "G01 G02 G03",
			rules.DocumentLog: "M01 M02 M04 M05 M06 M08 M03",
		},
		"enterprise-key":      {rules.TokenLog: "T03 T04", rules.MailboxLog: "M08 M09 M03", rules.GraphLog: "G02"},
		"golden-saml":         {rules.TokenLog: "S05", rules.MailboxLog: "M08", rules.SignInLog: "S01 S02 S03 S04 R01 A01"},
		"rogue-federation":    {rules.SignInLog: "A01 S01 S11"},
		"replayed-token":      {rules.TokenLog: "T07", rules.MailboxLog: "M08 M09 M10 I01", rules.GraphLog: "G02", rules.SignInLog: "S06 S08 S09 R02"},
		"actor-token":         {rules.TokenLog: "T13", rules.MailboxLog: "M02 M03 M16", rules.SignInLog: "A02"},
		"algorithm-confusion": {rules.TokenLog: "T05 T06"},
	}
	// The rules by their numbers in the catalogue of design.
	number := map[string]string{
		"T01": "token-kid-known-bad", "T02": "token-key-issuer-scope-violation", "T03": "token-kid-not-published", "T04": "token-signed-by-expired-certificate",
		"T05": "token-alg-unexpected", "T06": "token-issuer-tenant-mismatch", "T07": "token-tenant-not-allowed", "T13": "token-actor-or-unsigned-impersonation",
		"M01": "mailbox-consumer-tenant-token", "M02": "mailbox-token-tenant-mismatch", "M03": "mailbox-owner-logon-with-foreign-oid", "M04": "mailbox-token-over-age",
		"M05": "mailbox-token-issued-in-future", "M06": "mailbox-uti-malformed", "M08": "mailbox-unexpected-client-app", "M09": "mailbox-client-app-protocol-mismatch",
		"M10": "mailbox-scripted-client", "M15": "owa-token-renewal-anomaly", "M16": "mailbox-auth-type-unlisted", "I01": "ioc-ip",
		"G01": "graph-token-time-anomaly", "G02": "graph-mail-access-unlisted-app", "G03": "graph-signin-activity-id-invalid",
		"S01": "signin-federated-token-for-managed-domain", "S02": "signin-federation-issuer-mismatch", "S03": "signin-golden-saml-pattern",
		"S04": "signin-federated-mfa-not-trusted", "S05": "saml-assertion-anomaly", "S06": "signin-device-code-or-transfer",
		"S08": "signin-first-party-app-nonstandard-client", "S09": "signin-unbound-token-sensitive", "S11": "sp-signin-to-mail-unlisted",
		"R01": "risk-token-issuer-anomaly", "R02": "risk-anomalous-token", "A01": "audit-federation-trust-changed", "A02": "audit-actor-token-impersonation",
	}
	for _, a := range rules.Attacks() {
		for _, trace := range a.Traces {
			var ids []string
			for n := range strings.FieldsSeq(want[a.ID][trace.Log]) {
				ids = append(ids, number[n])
			}
			got := slices.Sorted(slices.Values(trace.Rules))
			if slices.Sort(ids); !slices.Equal(got, ids) {
				t.Errorf("%s, %s: %v, want %v", a.ID, trace.Log, got, ids)
			}
			delete(want[a.ID], trace.Log)
		}
		if len(want[a.ID]) > 0 {
			t.Errorf("%s leaves nothing in %v", a.ID, want[a.ID])
		}
		delete(want, a.ID)
	}
	if len(want) > 0 {
		t.Errorf("there are no attacks %v", want)
	}
}

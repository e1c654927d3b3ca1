package sigma_test

import (
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/sigma"
)

// The tenant of the records.
const tenant = "3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11"

// compiled compiles a rule of the log source with these selections and this condition.
func compiled(t *testing.T, source, detection string, placeholders map[string][]string) *sigma.Set {
	t.Helper()
	product, service, _ := strings.Cut(source, "/")
	text := "title: T\nlogsource: {product: " + product + ", service: " + service + "}\ndetection:\n  " +
		strings.ReplaceAll(strings.TrimSpace(detection), "\n", "\n  ") + "\n"
	s := sigma.Compile([]sigma.File{{Name: "t.yml", Text: []byte(text)}}, sigma.Options{Placeholders: placeholders})
	if err := s.Err(); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return s
}

// judge returns what the only rule of the set says of the record.
func judge(t *testing.T, s *sigma.Set, record string) rule.Verdict {
	t.Helper()
	n, err := normalize.New(decode.Scanner{}, tenant).With(s.Extras, s.Record)
	if err != nil {
		t.Fatal(err)
	}
	var ev event.Event
	res := n.Normalize(&envelope.Record{Body: record}, new(normalize.Scratch), &ev)
	if res.Outcome != normalize.Normalised {
		t.Fatalf("%s: %s %s", record, res.Reason, res.Detail)
	}
	engine, err := rule.NewEngine(s.Rules)
	if err != nil {
		t.Fatal(err)
	}
	v := s.Rules[0].Verdict(&ev)
	// The engine, which looks rules up, has to agree.
	truth := rule.False
	engine.Eval(&ev, new(rule.Scratch), func(e *rule.Verdict) { truth = e.Truth })
	if truth != v.Truth {
		t.Errorf("the engine says %s, the rule %s of %s", truth, v.Truth, record)
	}
	return v
}

const mailbox = `{"CreationTime":"2024-02-01T16:07:34","Operation":"New-InboxRule","RecordType":1,"Workload":"Exchange","ResultStatus":"True",` +
	`"UserId":"Ada@Contoso.example","ClientIP":"192.0.2.7:63070","UserType":2,"ExternalAccess":false,"Empty":"","CorrelationId":null,` +
	`"OrganizationId":"` + tenant + `","ClientInfoString":"Client=REST;Client=RESTSystem;;","SiteUrl":"https://contoso.example/a*b\\c",` +
	`"OriginatingServer":"MAIL01 (15.20.4200.000)","ObjectId":"ada@contoso.example","FileSizeBytes":4096,"SourceFileName":"",` +
	`"Parameters":[{"Name":"ForwardTo","Value":"eve@evil.example"},{"Name":"Name","Value":"."}],"Members":["a","b"],"Folders":[]}`

func TestComparisons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, selection string
		want            rule.Truth
	}{
		{"equal", "Operation: New-InboxRule", rule.True},
		{"whatever the case", "operation: NEW-INBOXRULE", rule.True},
		{"another", "Operation: Set-Mailbox", rule.False},
		{"one of a list", "Operation: [Set-Mailbox, new-inboxrule]", rule.True},
		{"all fields", "Operation: New-InboxRule\n  ResultStatus: 'False'", rule.False},
		{"a boolean", "ResultStatus: true", rule.True},
		{"a flag", "ExternalAccess: 'FALSE'", rule.True},
		{"a number", "UserType: 2", rule.True},
		{"a number by its word", "UserType: Admin", rule.True},
		{"a number in a text", "FileSizeBytes: 4096", rule.True},
		{"one of maps", "- Operation: Set-Mailbox\n- Operation: New-InboxRule", rule.True},
		{"not logged", "SourceLabel: x", rule.Unknown},
		{"null in the log", "CorrelationId: x", rule.Unknown},

		{"any characters", "Operation: New*rule", rule.True},
		{"one character", "Operation: New-InboxRul?", rule.True},
		{"one character too many", "Operation: New-InboxRule?", rule.False},
		{"an escaped wildcard", `SiteUrl: https://contoso.example/a\*b\c`, rule.True},
		{"an escaped wildcard is not any characters", `SiteUrl: https://contoso.example/\*\c`, rule.False},
		{"an escaped backslash", `SiteUrl: https://contoso.example/a?b\\*`, rule.True},
		{"three backslashes", `SiteUrl|endswith: a\*b\\\*`, rule.False},

		{"contains", "ClientInfoString|contains: restsystem", rule.True},
		{"contains none", "ClientInfoString|contains: [owa, imap]", rule.False},
		{"contains one", "ClientInfoString|contains: [owa, 'client=rest']", rule.True},
		{"contains all", "ClientInfoString|contains|all: ['=rest;', restsystem]", rule.True},
		{"contains not all", "ClientInfoString|contains|all: ['=rest;', owa]", rule.False},
		{"contains with a wildcard", "ClientInfoString|contains: 'rest?cli*system'", rule.True},
		{"starts with", "ClientInfoString|startswith: client=rest", rule.True},
		{"does not start with", "ClientInfoString|startswith: REST", rule.False},
		{"ends with", "ClientInfoString|endswith: system;;", rule.True},
		{"does not end with", "ClientInfoString|endswith: system", rule.False},
		{"cased", "Operation|cased: New-InboxRule", rule.True},
		{"cased, in another case", "Operation|cased: new-InboxRule", rule.False},
		{"cased within", "ClientInfoString|contains|cased: RESTsystem", rule.False},

		{"expression", "Operation|re: '^New-(Inbox|Transport)Rule$'", rule.True},
		{"expression somewhere", "Operation|re: Inbox", rule.True},
		{"expression in another case", "Operation|re: inbox", rule.False},
		{"expression without case", "Operation|re|i: '^new-inbox'", rule.True},
		{"expression with all flags", "Operation|re|i|m|s: '^new.*$'", rule.True},
		{"one of expressions", "Operation|re: [x, Inbox]", rule.True},
		{"all expressions", "Operation|re|all: [New, z]", rule.False},

		{"network", "ClientIP|cidr: 192.0.2.0/24", rule.True},
		{"another network", "ClientIP|cidr: [10.0.0.0/8, '2001:db8::/32']", rule.False},
		{"network of no address", "OriginatingServer|cidr: 10.0.0.0/8", rule.Unknown},
		{"address", "ClientIP: 192.0.2.7", rule.True},
		{"beginning of an address", "ClientIP|startswith: '192.0.2.'", rule.True},

		{"less", "FileSizeBytes|lt: 5000", rule.True},
		{"at most", "FileSizeBytes|lte: 4096", rule.True},
		{"more", "FileSizeBytes|gt: 4096", rule.False},
		{"at least", "FileSizeBytes|gte: 4095.5", rule.True},
		{"number of a field of numbers", "UserType|gt: 1", rule.True},
		{"number of what is none", "OriginatingServer|gt: 1", rule.Unknown},
		{"not equal", "Operation|neq: New-InboxRule", rule.False},
		{"not equal to any", "Operation|neq: [Set-Mailbox, x]", rule.True},
		{"not equal to what was not logged", "SourceLabel|neq: x", rule.Unknown},

		{"the same as another field", "UserId|fieldref: ObjectId", rule.True},
		{"the same but for the case", "UserId|fieldref|cased: ObjectId", rule.False},
		{"not the same as another field", "UserId|fieldref|neq: Operation", rule.True},
		{"starts with another field", "UserId|fieldref|startswith: ObjectId", rule.True},
		{"contains another field", "Operation|fieldref|contains: ObjectId", rule.False},
		{"ends with another field", "UserId|fieldref|endswith: ObjectId", rule.True},
		{"the same as what was not logged", "UserId|fieldref: SourceLabel", rule.Unknown},

		{"minute", "CreationTime|minute: 7", rule.True},
		{"hour", "CreationTime|hour: [16, 17]", rule.True},
		{"hour, compared", "CreationTime|hour|gte: 20", rule.False},
		{"day", "CreationTime|day: 1", rule.True},
		{"week", "CreationTime|week: 5", rule.True},
		{"month", "CreationTime|month: 3", rule.False},
		{"year", "CreationTime|year: 2024", rule.True},
		{"a time as a text", "CreationTime|startswith: '2024-02-01T16'", rule.True},

		{"null", "SourceLabel: null", rule.True},
		{"null in the log is null", "CorrelationId:", rule.True},
		{"an empty text is not null", "SourceFileName: ~", rule.False},
		{"null or another", "SourceLabel: [null, x]", rule.True},
		{"empty", "SourceFileName: ''", rule.True},
		{"empty where it was not logged", "SourceLabel: ''", rule.Unknown},
		{"not null", "Operation|neq: null", rule.True},
		{"exists", "SourceFileName|exists: true", rule.True},
		{"exists as null", "CorrelationId|exists: true", rule.True},
		{"exists not", "SourceLabel|exists: true", rule.False},
		{"does not exist", "SourceLabel|exists: false", rule.True},

		{"a list", "Members: b", rule.True},
		{"not in a list", "Members: c", rule.False},
		{"an empty list", "Folders: x", rule.False},
		{"below a list", "Parameters.Value|endswith: '@evil.example'", rule.True},
		{"below a list, by the name", "Parameters.ForwardTo|contains: evil", rule.True},
		{"below a list, by another name", "Parameters.RedirectTo|contains: evil", rule.Unknown},
		{"anywhere in a list", "Parameters|contains: forwardto", rule.True},
		{"in the text of a list", `Parameters|contains: '"Name":"ForwardTo"'`, rule.True},
		{"by its wrapper", "properties.RawEventData.Operation: New-InboxRule", rule.True},
		{"by Assay's name", "audit.operation: New-InboxRule", rule.True},

		{"keyword", "- restsystem", rule.True},
		{"keywords", "- mimikatz\n- evil.example", rule.True},
		{"no keyword", "- mimikatz", rule.False},
		{"a keyword is no name of a field", "- OriginatingServer", rule.False},
		{"all keywords", "'|all':\n    - restsystem\n    - evil", rule.True},
		{"not all keywords", "'|all':\n    - restsystem\n    - mimikatz", rule.False},
		{"keyword as an expression", "'|re': 'e[uv]il\\.'", rule.True},
		{"keyword or map", "- mimikatz\n- Operation: New-InboxRule", rule.True},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			indent := "\n  "
			s := compiled(t, "m365/audit", "sel:"+indent+strings.ReplaceAll(c.selection, "\n- ", "\n  - ")+"\ncondition: sel", nil)
			v := judge(t, s, mailbox)
			if v.Truth != c.want {
				t.Errorf("%s, want %s: %v %+v", v.Truth, c.want, s.Rules[0].Legs[0].When, v.Facts)
			}
			if (v.Truth == rule.Unknown) != (len(v.Missing) > 0) {
				t.Errorf("missing: %q", v.Missing)
			}
		})
	}
}

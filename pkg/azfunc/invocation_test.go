package azfunc

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// fixture parses a body of testdata/invocations.
func fixture(t *testing.T, name string) *Invocation {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "invocations", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set(HeaderInvocationID, "3c8b1f2e-0000-4000-8000-000000000001")
	h.Set(HeaderHostVersion, "4.1037.0")
	h.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	in, err := Parse("signin", h, string(body))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// payloads undoes the layers around events, as a consumer does.
func payloads(t *testing.T, v Value) []string {
	t.Helper()
	s, err := v.Peel()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s, "[") {
		return []string{payload(t, s)}
	}
	var parts []Value
	if err := json.Unmarshal([]byte(s), &parts); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range parts {
		s, err := p.Peel()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, payload(t, s))
	}
	return out
}

func payload(t *testing.T, s string) string {
	t.Helper()
	if strings.HasPrefix(s, "{") {
		return s
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatalf("neither JSON nor base64: %q", s)
	}
	return string(b)
}

func TestEventPayloadOfEveryForm(t *testing.T) {
	const first = `{"records":[{"category":"SignInLogs","time":"2026-03-01T10:00:00Z",` +
		`"properties":{"userDisplayName":"Zoë \"Z\" é"}}]}`
	for name, events := range map[string]int{
		"eventhub-many-string": 2, "eventhub-many-binary": 2, "eventhub-many-undefined": 2, "eventhub-documented": 2,
		"eventhub-older": 2, "eventhub-one-string": 1, "eventhub-one-binary": 1,
	} {
		t.Run(name, func(t *testing.T) {
			got := payloads(t, fixture(t, name).Data["events"])
			if len(got) != events {
				t.Fatalf("%d events, want %d", len(got), events)
			}
			var have, want any
			if err := json.Unmarshal([]byte(got[0]), &have); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(first), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(have, want) {
				t.Errorf("first event is %s, want %s", got[0], first)
			}
		})
	}
}

func TestHeadersAndSys(t *testing.T) {
	in := fixture(t, "eventhub-many-string")
	if in.Function != "signin" || in.ID != "3c8b1f2e-0000-4000-8000-000000000001" || in.HostVersion != "4.1037.0" ||
		in.Traceparent != "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" {
		t.Errorf("headers: %+v", in)
	}
	want := Sys{
		Method: "signin", RandGUID: "7cbe1d0c-3a3e-4b8e-9d0a-5a0fb0f5a9c2",
		UTCNow: time.Date(2026, 3, 1, 10, 0, 5, 31176200, time.UTC),
	}
	if got := in.Sys(); got != want {
		t.Errorf("sys is %+v, want %+v", got, want)
	}
}

func TestEventHub(t *testing.T) {
	at := func(sec, ms int) time.Time { return time.Date(2026, 3, 1, 10, 0, sec, ms*1e6, time.UTC) }
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	props := map[string]Value{"Diagnostic-Id": `"` + trace + `"`}
	place := func(evs ...Event) EventHub {
		return EventHub{
			Namespace: "ns.servicebus.windows.net", Hub: "sign-ins", ConsumerGroup: "detect", Partition: "1", Events: evs,
		}
	}
	batch := place(
		Event{Sequence: 41, Offset: "8589934592", Enqueued: at(3, 127), Properties: props},
		Event{Sequence: 42, Offset: "8589935104", Enqueued: at(4, 0), Properties: map[string]Value{}},
	)
	for _, tc := range []struct {
		fixture string
		want    EventHub
	}{
		{"eventhub-many-string", batch},
		{"eventhub-many-binary", batch},
		{"eventhub-many-undefined", batch},
		{"eventhub-documented", place(
			Event{Sequence: 41, Offset: "8589934592", Enqueued: at(3, 127)},
			Event{Sequence: 42, Offset: "8589935104", Enqueued: at(4, 0)},
		)},
		{"eventhub-one-string", place(
			Event{Sequence: 41, Offset: "8589934592", Enqueued: at(3, 0), PartitionKey: "k", Properties: props},
		)},
		{"eventhub-older", EventHub{Hub: "sign-ins", ConsumerGroup: "$Default", Partition: "1", Events: []Event{
			{Sequence: 41, Offset: "a:1", Enqueued: at(3, 127)},
			{Sequence: 42, Offset: "a:2", Enqueued: at(4, 0)},
		}}},
		{"timer", EventHub{}},
	} {
		t.Run(tc.fixture, func(t *testing.T) {
			got, err := fixture(t, tc.fixture).EventHub()
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
	if got := batch.Event(0).DiagnosticID(); got != trace {
		t.Errorf("diagnostic id is %q", got)
	}
	for _, i := range []int{-1, 2} {
		if got := batch.Event(i); got.Sequence != -1 || got.DiagnosticID() != "" {
			t.Errorf("event %d is %+v, want an unknown one", i, got)
		}
	}
}

func TestEventHubKeepsWhatItCanRead(t *testing.T) {
	in, err := Parse("f", nil, `{"Data":{"e":"[]"},"Metadata":{"PartitionContext":{"PartitionId":"3"},
		"SequenceNumberArray":"[7,\"x\",9]","OffsetArray":"nonsense","EnqueuedTimeUtcArray":"[\"yesterday\"]"}}`)
	if err != nil {
		t.Fatal(err)
	}
	h, err := in.EventHub()
	for _, part := range []string{"SequenceNumberArray[1]", "OffsetArray", "EnqueuedTimeUtcArray[0]"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not name %s", err, part)
		}
	}
	if h.Partition != "3" || h.Event(0).Sequence != 7 || h.Event(1).Sequence != -1 || h.Event(2).Sequence != 9 {
		t.Errorf("got %+v", h)
	}
}

func TestWithoutMetadata(t *testing.T) {
	for _, body := range []string{`{"Data":{"e":"[]"}}`, `{"Data":{"e":"[]"},"Metadata":null}`, `{"Metadata": null ,"Data":{"e":"[]"}}`, `{"Metadata":{},"Data":{"e":"[]"}}`} {
		in, err := Parse("f", nil, body)
		if err != nil || in.Data["e"] != `"[]"` || len(in.Metadata) != 0 || in.Retry != nil {
			t.Errorf("%s: %+v, %v", body, in, err)
		}
	}
}

func TestRetry(t *testing.T) {
	for _, tc := range []struct {
		name, metadata string
		want           *Retry
	}{
		{"none", `{}`, nil},
		{"first attempt", `{"RetryContext":{"MaxRetryCount":-1,"RetryCount":0,"Exception":null}}`, &Retry{0, -1}},
		{"third retry", `{"RetryContext":{"MaxRetryCount":5,"RetryCount":3}}`, &Retry{3, 5}},
		{"as a string", `{"RetryContext":"{\"MaxRetryCount\":\"-1\",\"RetryCount\":\"2\"}"}`, &Retry{2, -1}},
		{"unreadable", `{"RetryContext":{"MaxRetryCount":-1,"RetryCount":"many"}}`, nil},
		{"incomplete", `{"RetryContext":{"RetryCount":1}}`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in, err := Parse("f", nil, `{"Data":{},"Metadata":`+tc.metadata+`}`)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(in.Retry, tc.want) {
				t.Errorf("got %+v, want %+v", in.Retry, tc.want)
			}
		})
	}
	if got := fixture(t, "eventhub-many-binary").Retry; got == nil || *got != (Retry{3, -1}) {
		t.Errorf("fixture: %+v", got)
	}
}

func TestQueue(t *testing.T) {
	want := Queue{
		ID: "0d0c8a9e-0d92-4a44-a3f5-6b2d5a3a4d11", PopReceipt: "AgAAAAMAAAAAAAAA", DequeueCount: 2,
		Inserted:    time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
		Expires:     time.Date(2026, 3, 8, 10, 0, 0, 0, time.UTC),
		NextVisible: time.Date(2026, 3, 1, 10, 10, 0, 0, time.UTC),
	}
	for _, name := range []string{"queue", "queue-quoted-once"} {
		in := fixture(t, name)
		if got, err := in.Queue(); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		var msg struct {
			Job   string
			Slice int
		}
		if err := in.Data["slice"].Decode(&msg); err != nil || msg.Job != "r-1" || msg.Slice != 7 {
			t.Errorf("%s: message is %+v, %v", name, msg, err)
		}
	}
	in := fixture(t, "queue-text")
	if s, err := in.Data["slice"].Peel(); err != nil || s != "plain words" {
		t.Errorf("text is %q, %v", s, err)
	}
	in.Metadata["DequeueCount"], in.Metadata["InsertionTime"] = `"often"`, `"then"`
	if _, err := in.Queue(); err == nil || !strings.Contains(err.Error(), "DequeueCount") ||
		!strings.Contains(err.Error(), "InsertionTime") {
		t.Errorf("error %v does not name what it could not read", err)
	}
}

func TestTimer(t *testing.T) {
	last := time.Date(2026, 3, 1, 9, 55, 0, 12345600, time.UTC)
	for _, tc := range []struct {
		fixture string
		want    Timer
	}{
		{"timer", Timer{Last: last, LastUpdated: last, Next: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}},
		{"timer-first", Timer{PastDue: true}},
	} {
		if got, err := fixture(t, tc.fixture).Timer("timer"); err != nil || got != tc.want {
			t.Errorf("%s: got %+v, %v", tc.fixture, got, err)
		}
	}
	if _, err := fixture(t, "timer").Timer("other"); !errors.Is(err, errNoValue) {
		t.Errorf("a missing timer gives %v", err)
	}
}

func TestDocuments(t *testing.T) {
	for name, n := range map[string]int{"cosmosdb": 2, "cosmosdb-documented": 1} {
		docs, err := fixture(t, name).Documents("alerts")
		if err != nil || len(docs) != n {
			t.Fatalf("%s: %d documents, %v", name, len(docs), err)
		}
		if want := `{"id":"20260301-a","pk":"t_2026-03-01","severity":"high","_ts":1772359205}`; string(docs[0]) != want {
			t.Errorf("%s: got %s", name, docs[0])
		}
	}
	if _, err := fixture(t, "timer").Documents("timer"); err == nil {
		t.Error("an object passes for documents")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct{ name, body, want string }{
		{"nothing", ``, "too early"},
		{"no object", `[1]`, "found '['"},
		{"no data", `{"Metadata":{}}`, `no member "Data"`},
		{"data twice", `{"Data":{},"Data":{}}`, "twice"},
		{"binding twice", `{"Data":{"a":1,"\u0061":2}}`, "twice"},
		{"cut in a string", `{"Data":{"a":"x\"`, "too early"},
		{"cut in an object", `{"Data":{"a":{"b":[1`, "too early"},
		{"no value", `{"Data":{"a":}}`, "want a value"},
		{"no colon", `{"Data" {}}`, `want ':'`},
		{"data is a list", `{"Data":[]}`, `want '{'`},
		{"metadata twice", `{"Data":{},"Metadata":null,"Metadata":{}}`, "twice"},
		{"data is null", `{"Data":null}`, `want '{'`},
		{"no null", `{"Data":{},"Metadata":nullable}`, "want '}'"},
		{"comma at the end", `{"Data":{},}`, "want a name"},
		{"trailing", `{"Data":{}} x`, "text after the end"},
		{"bad name", `{"Data":{"\q":1}}`, "name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse("f", nil, tc.body)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestPeel(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{`{"a":1}`, `{"a":1}`},
		{` [1] `, `[1]`},
		{`"a"`, `a`},
		{`"\"a\""`, `a`},
		{`"\"[{}]\""`, `[{}]`},
		{`"\"unbalanced"`, `"unbalanced`},
		{`12`, `12`},
		{`"12"`, `12`},
		{`null`, `null`},
	} {
		if got, err := Value(tc.in).Peel(); err != nil || got != tc.want {
			t.Errorf("%s: got %q, %v, want %q", tc.in, got, err, tc.want)
		}
	}
	for _, bad := range []string{``, `"`, `"\q"`} {
		if got, err := Value(bad).Peel(); err == nil {
			t.Errorf("%q passes as %q", bad, got)
		}
	}
}

// TestParseDoesNotCopy holds that a payload is a part of the body.
func TestParseDoesNotCopy(t *testing.T) {
	body := `{"Data":{"e":"` + strings.Repeat(`\"x\"`, 1<<20) + `"},"Metadata":{}}`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Parse("f", nil, body); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	if allocated > 64<<10 {
		t.Errorf("parsing a body of %d bytes allocates %d", len(body), allocated)
	}
}

// FuzzParse compares with encoding/json: a body of which Parse accepts the frame is valid if its values are, and their
// texts are the same.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/invocations/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no fixtures", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Add(`{"Data":{"a":"x\\\\\"\\","b":[{"c":"]"}]},"Metadata":{},"More":1.5e3}`)
	f.Fuzz(func(t *testing.T, body string) {
		in, err := Parse("f", nil, body)
		var want struct{ Data, Metadata map[string]json.RawMessage }
		valid := json.Valid([]byte(body))
		if err != nil {
			return
		}
		all := true
		for _, v := range in.Data {
			all = all && json.Valid([]byte(v))
		}
		for _, v := range in.Metadata {
			all = all && json.Valid([]byte(v))
		}
		if all && !valid {
			t.Fatalf("accepted although it is not JSON: %q", body)
		}
		// None of the readers may panic, whatever the values are.
		_, _ = in.EventHub()
		_, _ = in.Queue()
		_ = in.Sys()
		for name := range in.Data {
			_, _ = in.Timer(name)
			_, _ = in.Documents(name)
		}
		if !valid {
			return
		}
		d := json.NewDecoder(strings.NewReader(body))
		var members map[string]json.RawMessage
		if err := d.Decode(&members); err != nil {
			t.Fatal(err)
		}
		// encoding/json folds case and takes the last of two; look only where the names are exact and single.
		if json.Unmarshal(members["Data"], &want.Data) != nil || json.Unmarshal(members["Metadata"], &want.Metadata) != nil &&
			members["Metadata"] != nil {
			t.Fatalf("members of %q are no objects", body)
		}
		for name, v := range in.Data {
			if strings.TrimSpace(string(want.Data[name])) != strings.TrimSpace(string(v)) {
				t.Fatalf("%q is %q, encoding/json has %q", name, v, want.Data[name])
			}
		}
		if len(want.Data) != len(in.Data) || len(want.Metadata) != len(in.Metadata) {
			t.Fatalf("members are lost: %q", body)
		}
	})
}

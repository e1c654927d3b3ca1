package devhost

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const goodHost = `{"version":"2.0","customHandler":{"description":{"defaultExecutablePath":"handler"},
	"enableForwardingHttpRequest":true}}`

// folder writes files into a new script root.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// problems are the lines of an error.
func problems(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func TestProblemsNameFileAndField(t *testing.T) {
	trigger := func(members string) string {
		return `{"bindings":[{"direction":"in","name":"e","connection":"C",` + members + `}]}`
	}
	hub := `"type":"eventHubTrigger","eventHubName":"h","cardinality":"many","dataType":"binary"`
	for _, tc := range []struct {
		name, file, text string
		want             []string
	}{
		{"another type", "fn/function.json", trigger(`"type":"kafkaTrigger","topic":"t"`), []string{
			`fn/function.json: bindings[0].type: "kafkaTrigger" is not supported by the local host; it knows eventHubTrigger, ` +
				`cosmosDBTrigger, queueTrigger, timerTrigger and httpTrigger`,
		}},
		{"unknown member", "fn/function.json", trigger(hub + `,"consumergroup":"g"`), []string{
			`fn/function.json: bindings[0].consumergroup: is not known or not supported by the local host; ` +
				`did you mean "consumerGroup"?`,
		}},
		{
			"several", "fn/function.json", trigger(`"type":"eventHubTrigger","cardinality":"few","dataType":5,"eventHubName":"%X%"`),
			[]string{
				`fn/function.json: bindings[0].eventHubName: the app setting %X% is not set`,
				`fn/function.json: bindings[0].cardinality: want one of ["one" "many"], found "few"`,
				`fn/function.json: bindings[0].dataType: want a string`,
			},
		},
		{"no trigger", "fn/function.json", `{"bindings":[]}`, []string{`fn/function.json: bindings: want a trigger`}},
		{
			"two triggers", "fn/function.json", `{"bindings":[` +
				`{"direction":"in","name":"e","connection":"C",` + hub + `},` +
				`{"direction":"in","name":"q","connection":"C","type":"queueTrigger","queueName":"q"}]}`,
			[]string{`fn/function.json: bindings[1].type: a function has one trigger, this is another`},
		},
		{
			"output", "fn/function.json", `{"bindings":[{"direction":"in","name":"e","connection":"C",` + hub + `},` +
				`{"direction":"out","name":"q","type":"queue","queueName":"q"}]}`,
			[]string{`fn/function.json: bindings[1].type: the binding "queue" is not supported by the local host; ` +
				`it knows http, beside an httpTrigger`},
		},
		{"retry without count", "fn/function.json", `{"bindings":[{"direction":"in","name":"e","connection":"C",` + hub + `}],` +
			`"retry":{"strategy":"exponentialBackoff","minimumInterval":"00:10:00"}}`, []string{
			`fn/function.json: retry.maxRetryCount: is required`,
			`fn/function.json: retry.maximumInterval: is required for this strategy`,
			`fn/function.json: retry.minimumInterval: is longer than maximumInterval`,
		}},
		{
			"retry of a queue", "fn/function.json", `{"bindings":[{"direction":"in","name":"q","connection":"C",` +
				`"type":"queueTrigger","queueName":"q"}],"retry":{"strategy":"fixedDelay","maxRetryCount":1,"delayInterval":"5s"}}`,
			[]string{
				`fn/function.json: retry.delayInterval: want a time span such as 00:05:00, found "5s"`,
				`fn/function.json: retry: has an effect only on event hub, Cosmos DB and timer triggers`,
			},
		},
		{
			"schedule", "fn/function.json", `{"bindings":[{"direction":"in","name":"t","type":"timerTrigger","schedule":"* * 25 * * *"}]}`,
			[]string{`fn/function.json: bindings[0].schedule: hour "25": want a number from 0 to 23`},
		},
		{
			"http without an answer", "fn/function.json", `{"bindings":[{"direction":"in","name":"r","type":"httpTrigger"}]}`,
			[]string{`fn/function.json: bindings: want an output of type http: without it the host does not forward the request`},
		},
		{
			"names", "2nd/function.json", `{"bindings":[{"direction":"in","name":"a-b","type":"timerTrigger","schedule":"00:01:00"}]}`,
			[]string{
				`2nd/function.json: "2nd" is not a name that the host accepts for a function`,
				`2nd/function.json: bindings[0].name: "a-b" is not a name that the host accepts for a binding`,
			},
		},
		{"syntax", "fn/function.json", "{\n\"bindings\": [\n}", []string{
			`fn/function.json: line 3: invalid character '}' looking for beginning of value`, `fn/function.json: bindings: want a trigger`,
		}},
		{"host version", "host.json", strings.Replace(goodHost, "2.0", "3.0", 1), []string{`host.json: version: want "2.0", found "3.0"`}},
		{
			"host members", "host.json", strings.Replace(goodHost, "{", `{"functionTimeOut":"00:05:00","extensions":{"kafka":{},
			"eventHubs":{"maxEventBatchSize":2.5,"minEventBatchSize":200,"initialOffsetOptions":{"type":"fromEnqueuedTime"}}},`, 1),
			[]string{
				`host.json: extensions.eventHubs.maxEventBatchSize: want a whole number from 1 on, found 2.5`,
				`host.json: extensions.eventHubs.minEventBatchSize: is larger than maxEventBatchSize, which is 100`,
				`host.json: extensions.eventHubs.initialOffsetOptions.enqueuedTimeUtc: want a time such as 2026-03-01T00:00:00Z, found ""`,
				`host.json: extensions.kafka: is not known or not supported by the local host`,
				`host.json: functionTimeOut: is not known or not supported by the local host; did you mean "functionTimeout"?`,
			},
		},
		{"no handler", "host.json", `{"version":"2.0"}`, []string{
			`host.json: customHandler.description.defaultExecutablePath: is required`,
		}},
		{"settings", "local.settings.json", `{"IsEncrypted":true,"Values":{"A":1},"values":{}}`, []string{
			`local.settings.json: IsEncrypted: encrypted settings are not supported by the local host`,
			`local.settings.json: Values.A: want a string`,
			`local.settings.json: values: is not known or not supported by the local host; did you mean "Values"?`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := map[string]string{"host.json": goodHost, tc.file: tc.text, "other/function.json": hubFunction("")}
			_, err := readApp(folder(t, files), nil)
			if got := problems(err); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
			var p *Problem
			if !errors.As(err, &p) || p.File != tc.file {
				t.Errorf("no problem of %s: %v", tc.file, err)
			}
		})
	}
}

func TestFoldersThatAreNoApp(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no host.json", map[string]string{"fn/function.json": "{}"}, "host.json: open"},
		{"no function", map[string]string{"host.json": goodHost, "functions/fn/function.json": "{}"}, "no direct sub-folder"},
		{
			"shared group",
			map[string]string{"host.json": goodHost, "a/function.json": hubFunction(""), "b/function.json": hubFunction("")},
			`b/function.json: hub "hub" and consumer group "detect" are read by function "a", too`,
		},
	} {
		if _, err := readApp(folder(t, tc.files), nil); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
	if _, err := readApp(filepath.Join(t.TempDir(), "missing"), nil); err == nil {
		t.Error("a missing folder is an app")
	}
	root := folder(t, map[string]string{"host.json": goodHost, "fn/function.json": `{"bindings":[{"type":"cosmosDBTrigger",
		"direction":"in","name":"d","connection":"C","databaseName":"d","containerName":"alerts"}]}`})
	if _, err := New(Options{Root: root}); err == nil || !strings.Contains(err.Error(), `the changes of container "alerts"`) {
		t.Errorf("a feed that is not there: %v", err)
	}
}

func TestReadApp(t *testing.T) {
	root := folder(t, map[string]string{
		"host.json": `{"version":"2.0","$schema":"x","functionTimeout":"00:07:30","logging":{"logLevel":{"default":"Information"}},
			"extensionBundle":{"id":"Microsoft.Azure.Functions.ExtensionBundle","version":"[4.*, 5.0.0)"},
			"extensions":{"eventHubs":{"maxEventBatchSize":32,"prefetchCount":64,"batchCheckpointFrequency":2},
				"http":{"routePrefix":"/v1/"},"queues":{"maxDequeueCount":3,"visibilityTimeout":"00:00:30","messageEncoding":"none"}},
			"customHandler":{"description":{"defaultExecutablePath":"handler","workingDirectory":"sub","arguments":["-x","%A%"]},
				"enableForwardingHttpRequest":true}}`,
		"handler": "",
		"local.settings.json": `{"IsEncrypted":false,"Host":{"LocalHttpPort":7071},"Values":{"A":"1","B":"2",
			"azurefunctionsjobhost__EXTENSIONS__eventHubs__MaxEventBatchSize":"16","AzureWebJobs.off.Disabled":"true",
			"AzureFunctionsJobHost__extensions__queues__batchSize":"4"}}`,
		"off/function.json": hubFunction(""),
		"in/function.json": `{"bindings":[{"type":"eventHubTrigger","direction":"in","name":"events","eventHubName":"%B%",
			"connection":"C"}],"retry":{"strategy":"fixedDelay","maxRetryCount":-1,"delayInterval":"1.00:00:01"}}`,
		"docs/readme.md": "",
	})
	a, err := readApp(root, map[string]string{"B": "three"})
	if err != nil {
		t.Fatal(err)
	}
	if a.timeout != 450*time.Second || a.prefix != "v1" || !a.forward || a.executable != filepath.Join(root, "handler") ||
		a.directory != filepath.Join(root, "sub") || !reflect.DeepEqual(a.arguments, []string{"-x", "1"}) {
		t.Errorf("app: %+v", a)
	}
	if want := (hubOptions{most: 16, least: 1, wait: time.Minute, checkpointEvery: 2, start: "fromStart"}); a.hubs != want {
		t.Errorf("hubs: %+v", a.hubs)
	}
	if want := (queueOptions{maxDequeue: 3, visibility: 30 * time.Second, batch: 4}); a.queues != want {
		t.Errorf("queues: %+v", a.queues)
	}
	if len(a.functions) != 1 {
		t.Fatalf("%d functions", len(a.functions))
	}
	f := a.functions[0]
	if f.name != "in" || f.param != "events" || *f.hub != (hubTrigger{"three", "$Default", Encoding{Cardinality: "one"}}) ||
		*f.retry != (retryPolicy{max: -1, least: 24*time.Hour + time.Second}) {
		t.Errorf("function: %+v, %+v, %+v", f, f.hub, f.retry)
	}
}

func TestFunctionTimeout(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 30 * time.Minute, `"-1"`: 0, `-1`: 0, `"01:00:00"`: time.Hour, `"00:00:01"`: time.Second} {
		host := goodHost
		if text != "" {
			host = strings.Replace(goodHost, "{", `{"functionTimeout":`+text+`,`, 1)
		}
		a, err := readApp(folder(t, map[string]string{"host.json": host, "fn/function.json": hubFunction("")}), nil)
		if err != nil || a.timeout != want {
			t.Errorf("%s: %v, %v", text, a, err)
		}
	}
	for text, want := range map[string]string{`"00:00:00"`: "want at least 1s", `5`: "want a string", `"5 minutes"`: "want a time span"} {
		host := strings.Replace(goodHost, "{", `{"functionTimeout":`+text+`,`, 1)
		_, err := readApp(folder(t, map[string]string{"host.json": host, "fn/function.json": hubFunction("")}), nil)
		if err == nil || !strings.Contains(err.Error(), "functionTimeout: "+want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// An app setting is a text, and stands for a member of any type.
func TestSettingsInPlaceOfHostJSON(t *testing.T) {
	read := func(settings map[string]string) (*app, error) {
		all := map[string]string{}
		for name, value := range settings {
			all["AzureFunctionsJobHost__"+name] = value
		}
		return readApp(folder(t, map[string]string{"host.json": goodHost, "fn/function.json": hubFunction("")}), all)
	}
	a, err := read(map[string]string{
		"functionTimeout": "-1", "extensions__http__routePrefix": "2", "customHandler__enableForwardingHttpRequest": "True",
		"customHandler__description__defaultExecutablePath": "true", "extensions__eventHubs__maxEventBatchSize": "7",
	})
	if err != nil {
		t.Fatal(err)
	}
	if a.timeout != 0 || a.prefix != "2" || !a.forward || a.executable != "true" || a.hubs.most != 7 {
		t.Errorf("%+v", a)
	}
	if a, err = read(map[string]string{"functionTimeout": "00:04:00"}); err != nil || a.timeout != 4*time.Minute {
		t.Errorf("%+v, %v", a, err)
	}
	for name, value := range map[string]string{
		"functionTimeout": "0", "extensions__eventHubs__maxEventBatchSize": "many", "customHandler__enableForwardingHttpRequest": "1",
		"extensions": "none",
	} {
		_, err := read(map[string]string{name: value})
		if err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(name, "__", ".")+": want") {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

func TestBackoff(t *testing.T) {
	delays := func(p retryPolicy, random float64, n int) []time.Duration {
		next := p.backoff(func() float64 { return random })
		var out []time.Duration
		for range n {
			out = append(out, next())
		}
		return out
	}
	s := time.Second
	for _, tc := range []struct {
		policy retryPolicy
		random float64
		want   []time.Duration
	}{
		{retryPolicy{least: 10 * s}, 0, []time.Duration{10 * s, 10 * s, 10 * s}},
		{retryPolicy{exponential: true, least: 5 * s, most: 60 * s}, 0.5, []time.Duration{5 * s, 10 * s, 15 * s, 25 * s, 45 * s, 60 * s, 60 * s}},
		{retryPolicy{exponential: true, least: 5 * s, most: 60 * s}, 0, []time.Duration{5 * s, 9 * s, 13 * s, 21 * s, 37 * s, 60 * s}},
		{retryPolicy{exponential: true, least: 5 * s, most: 5 * s}, 0, []time.Duration{5 * s, 5 * s, 5 * s}},
		{retryPolicy{exponential: true}, 0, []time.Duration{0, 0, 0}},
	} {
		if got := delays(tc.policy, tc.random, len(tc.want)); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%+v: got %v, want %v", tc.policy, got, tc.want)
		}
	}
	for range 2 {
		if d := delays(retryPolicy{exponential: true, least: 5 * s, most: 300 * s}, random(), 100)[99]; d != 300*s {
			t.Errorf("the hundredth delay is %v", d)
		}
	}
}

func TestSchedule(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	from := at("2026-02-27T23:59:59Z") // a Friday
	for expression, want := range map[string][]string{
		"*/5 * * * * *":          {"2026-02-28T00:00:00Z", "2026-02-28T00:00:05Z"},
		"0 */5 * * * *":          {"2026-02-28T00:00:00Z", "2026-02-28T00:05:00Z"},
		"*/15 * * * *":           {"2026-02-28T00:00:00Z", "2026-02-28T00:15:00Z"},
		"30 15 9-17/4 * * *":     {"2026-02-28T09:15:30Z", "2026-02-28T13:15:30Z", "2026-02-28T17:15:30Z", "2026-03-01T09:15:30Z"},
		"0 0 6 * * Mon-Fri":      {"2026-03-02T06:00:00Z", "2026-03-03T06:00:00Z"},
		"0 0 6 * * 7":            {"2026-03-01T06:00:00Z", "2026-03-08T06:00:00Z"},
		"0 0 0 31 * *":           {"2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"},
		"0 0 0 29 feb sunday":    {"2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z"},
		"0 0 0 1 jan,December *": {"2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		"10/20 * * * * *":        {"2026-02-28T00:00:10Z", "2026-02-28T00:00:30Z", "2026-02-28T00:00:50Z", "2026-02-28T00:01:10Z"},
		"00:00:30":               {"2026-02-28T00:00:29Z", "2026-02-28T00:00:59Z"},
	} {
		s, err := parseSchedule(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		now := from
		for _, w := range want {
			if now = s.next(now); !now.Equal(at(w)) {
				t.Errorf("%s: got %v, want %s", expression, now, w)
				break
			}
		}
	}
	if s, err := parseSchedule("0 0 0 30 2 *"); err != nil || !s.next(from).IsZero() {
		t.Errorf("30 February: %v", err)
	}
	for _, bad := range []string{"", "* * * *", "60 * * * * *", "* * * 0 * *", "* * * * 13 *", "a * * * * *", "*/0 * * * * *", "5-1 * * * * *", "00:00:00", "1,, * * * * *"} {
		if _, err := parseSchedule(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestRoute(t *testing.T) {
	for _, tc := range []struct {
		route, path string
		ok          bool
		literals    int
	}{
		{"alerts", "alerts", true, 1},
		{"alerts", "ALERTS/", true, 1},
		{"alerts", "alerts/a", false, 1},
		{"alerts/{id}", "alerts", false, 1},
		{"alerts/{id}", "alerts/a", true, 1},
		{"alerts/{id?}", "alerts", true, 1},
		{"alerts/{id}/notes", "alerts/a/notes", true, 2},
		{"files/{*rest}", "files/a/b/c", true, 1},
		{"files/{*rest}", "files", true, 1},
		{"a b", "a%20b", true, 1},
		{"a", "%zz", false, 0},
	} {
		r, err := parseRoute(tc.route)
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := r.match(tc.path); ok != tc.ok || ok && n != tc.literals {
			t.Errorf("%s on %s: %d, %v", tc.route, tc.path, n, ok)
		}
	}
	for _, bad := range []string{"", "a//b", "{id:int}", "{id=1}", "{id?}/a", "{*r}/a", "a{b}", "{a"} {
		if _, err := parseRoute(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestMemoryLogSpreadsEvents(t *testing.T) {
	l := NewMemoryLog(4, nil)
	var events []Event
	for range 40 {
		events = append(events, Event{}, Event{PartitionKey: "k"})
	}
	if err := l.Publish(t.Context(), "", events...); err != nil {
		t.Fatal(err)
	}
	var counts []int
	for _, p := range l.Partitions() {
		got, err := l.Read(t.Context(), p, -1, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range got {
			if e.Sequence != int64(i) || e.Enqueued.IsZero() || e.Offset == "" {
				t.Errorf("event %d of partition %s: %+v", i, p, e)
			}
		}
		end, err := l.End(t.Context(), p)
		if err != nil || end != int64(len(got))-1 {
			t.Errorf("end of %s: %d, %v", p, end, err)
		}
		counts = append(counts, len(got))
	}
	with, without := 0, 0
	for _, n := range counts {
		switch n {
		case 10:
			without++
		case 50:
			with++
		}
	}
	if with != 1 || without != 3 {
		t.Errorf("events by partition: %v", counts)
	}
	if err := l.Publish(t.Context(), "9", Event{}); err == nil {
		t.Error("a partition that does not exist takes events")
	}
}

func TestMemoryFeed(t *testing.T) {
	var f MemoryFeed
	for _, id := range []string{"a", "b", "a"} {
		f.Put(id, json.RawMessage(`"`+id+`"`))
	}
	docs, next, err := f.Changes(t.Context(), "", 1)
	if err != nil || len(docs) != 1 || string(docs[0]) != `"b"` {
		t.Errorf("first: %s, %v", docs, err)
	}
	docs, next, err = f.Changes(t.Context(), next, 10)
	if err != nil || len(docs) != 1 || string(docs[0]) != `"a"` {
		t.Errorf("second: %s, %v", docs, err)
	}
	if docs, again, err := f.Changes(t.Context(), next, 10); err != nil || len(docs) != 0 || again != next {
		t.Errorf("third: %s, %s, %v", docs, again, err)
	}
	if _, _, err := f.Changes(t.Context(), "x", 10); err == nil {
		t.Error("an unreadable position passes")
	}
}

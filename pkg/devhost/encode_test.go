package devhost

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/azfunc"
)

// awkward are bodies with everything that an encoding might spoil.
func awkward(t *testing.T) []string {
	t.Helper()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte(`{"records":[]}`)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return []string{
		`{"records":[{"name":"Zoë \"Z\" \\ \u00e9 / <b>&","u":"\u2028\ud83d\ude00"}]}`,
		"{\"raw\":\"\u2028\u2029\u0085😀\"}",
		`"\"[{}]\""`,
		"[1,\t2,\r\n3]",
		"plain \x00\x01\x1f\x7f words",
		zipped.String(),
		"bad \xff\xfe UTF-8 \xed\xa0\x80",
		"",
	}
}

// unpack undoes the host's layers, knowing the encoding.
func unpack(t *testing.T, e Encoding, v azfunc.Value) []string {
	t.Helper()
	text := func(raw string) string {
		var s string
		if err := json.Unmarshal([]byte(raw), &s); err != nil {
			t.Fatalf("%v: %.200s", err, raw)
		}
		return s
	}
	decode := func(s string) string {
		if e.DataType != "binary" {
			return s
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if e.Cardinality != "many" {
		s := text(string(v))
		if e.DataType == "binary" {
			return []string{decode(s)}
		}
		if !e.Documented {
			s = text(s)
		}
		return []string{s}
	}
	list := string(v)
	if !e.Documented {
		list = text(list)
	}
	var parts []json.RawMessage
	if err := json.Unmarshal([]byte(list), &parts); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range parts {
		if e.DataType == "" {
			out = append(out, string(p))
			continue
		}
		out = append(out, decode(text(string(p))))
	}
	return out
}

// encodings are all forms of event hub data.
func encodings() map[string]Encoding {
	return map[string]Encoding{
		"many-string":     {Cardinality: "many", DataType: "string"},
		"many-binary":     {Cardinality: "many", DataType: "binary"},
		"many-undefined":  {Cardinality: "many"},
		"one-string":      {Cardinality: "one", DataType: "string"},
		"one-binary":      {Cardinality: "one", DataType: "binary"},
		"one-undefined":   {Cardinality: "one"},
		"many-documented": {Cardinality: "many", DataType: "string", Documented: true},
		"one-documented":  {Cardinality: "one", DataType: "string", Documented: true},
	}
}

// want is what a body is after the journey.
func (e Encoding) want(t *testing.T, body string) string {
	t.Helper()
	switch {
	case e.DataType == "binary":
		return body
	case e.Cardinality == "many" && e.DataType == "":
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(body)); err != nil {
			t.Fatal(err)
		}
		return compact.String()
	default:
		return strings.Map(func(r rune) rune { return r }, body) // invalid UTF-8 becomes U+FFFD
	}
}

func TestEncodingsRoundTrip(t *testing.T) {
	for name, e := range encodings() {
		for _, sized := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				bodies := awkward(t)
				if e.Cardinality == "many" && e.DataType == "" {
					bodies = slices.DeleteFunc(bodies, func(s string) bool { return !json.Valid([]byte(s)) })
				}
				b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{
					Encoding: &e, ContentLength: sized,
				})
				b.publish(bodies...)
				var got []string
				for len(got) < len(bodies) {
					c := b.next()
					if (c.Length > 0) != sized {
						t.Errorf("length %d", c.Length)
					}
					parts := unpack(t, e, c.Data)
					for i := range parts {
						if n := c.Hub.Event(i).Sequence; n != int64(len(got)+i) {
							t.Errorf("event %d has number %d", len(got)+i, n)
						}
					}
					got = append(got, parts...)
					c.reply("ok")
				}
				for i, body := range bodies {
					if want := e.want(t, body); got[i] != want {
						t.Errorf("event %d: got %q, want %q", i, got[i], want)
					}
				}
				b.drain()
			})
		}
	}
}

func TestBindingFailureNeverReachesTheHandler(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{
		Encoding: &Encoding{Cardinality: "many"},
	})
	b.publish("{}", "no JSON", "{}")
	b.drain() // all three are lost
	b.publish("{}")
	c := b.next()
	b.wantBatch(c, 3)
	c.reply("ok")
	b.mu.Lock()
	defer b.mu.Unlock()
	var binding *BindingError
	if !errors.As(b.attempts[1].Err, &binding) || binding.Sequence != 1 {
		t.Errorf("the failure is %v", b.attempts[1].Err)
	}
}

func TestAppendQuoted(t *testing.T) {
	for in, want := range map[string]string{
		"a\"\\/<>&'":               `"a\"\\/<>&'"`,
		"\b\f\n\r\t\x00\x1f\x7f":   "\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\"",
		"\u0085\u2028\u2029é😀":     `"\u0085\u2028\u2029é😀"`,
		"\xff\xed\xa0\x80\xf0\x9f": "\"\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\"",
	} {
		if got := string(quoted(in)); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func FuzzAppendQuoted(f *testing.F) {
	f.Add("a\u2028\x00\xff")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(quoted(s), &got); err != nil {
			t.Fatal(err)
		}
		if want := strings.Map(func(r rune) rune { return r }, s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestSingleEventMetadata pins what a sender can do to the metadata of a single event.
func TestSingleEventMetadata(t *testing.T) {
	trigger := &hubTrigger{hub: "h", group: "g", encoding: Encoding{Cardinality: "one", DataType: "string"}}
	event := Event{
		Sequence: 5, Offset: "77", Enqueued: time.Date(2026, 3, 1, 10, 0, 3, 127e6, time.UTC),
		Body: []byte(`{"SequenceNumber":9,"partitioncontext":{"PartitionId":"66"},"list":[1],"nothing":null,"ok":true,` +
			`"myTrigger":"x","word":"w\"w"}`),
	}
	parse := func() *azfunc.Invocation {
		var m metadata
		m.eventHub(trigger, "1", []Event{event})
		m.system("fn", event.Enqueued)
		in, err := azfunc.Parse("fn", nil, string(m.body("e", []byte(`""`), nil)))
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	in := parse()
	h, err := in.EventHub()
	if err != nil {
		t.Fatal(err)
	}
	if h.Partition != "66" || h.Event(0).Sequence != 9 {
		t.Errorf("the sender's members do not win: %+v", h)
	}
	for name, want := range map[string]azfunc.Value{
		"EnqueuedTimeUtc": `"2026-03-01T10:00:03"`, "Offset": `"\"77\""`, "ok": `"\"true\""`, "word": `"\"w\\\"w\""`,
		"list": "", "nothing": "", "myTrigger": "",
	} {
		if got := in.Metadata[name]; got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	trigger.encoding.DataType = "binary"
	if h, err := parse().EventHub(); err != nil || h.Partition != "1" || h.Event(0).Sequence != 5 {
		t.Errorf("binary: %+v, %v", h, err)
	}
}

// TestMetadataOfABatch pins the whole of it, with the form that the sources of the host give it.
func TestMetadataOfABatch(t *testing.T) {
	trigger := &hubTrigger{hub: "h", group: "g", encoding: Encoding{Cardinality: "many", DataType: "string"}}
	var m metadata
	m.eventHub(trigger, "1", []Event{
		{
			Sequence: 41, Offset: "a", Enqueued: time.Date(2026, 3, 1, 10, 0, 3, 127e6, time.UTC), PartitionKey: "k",
			Properties: map[string]string{"Diagnostic-Id": "d"},
		},
		{Sequence: 42, Offset: "b", Enqueued: time.Date(2026, 3, 1, 10, 0, 4, 0, time.UTC)},
	})
	got := string(m.body("e", []byte("[]"), &attempt{max: -1}))
	const want = `{"Data":{"e":[]},"Metadata":{` +
		`"PartitionContext":{"FullyQualifiedNamespace":"localhost","EventHubName":"h","ConsumerGroup":"g",` +
		`"PartitionId":"1","IsCheckpointingAfterInvocation":true},` +
		`"PartitionKeyArray":"[\"k\",null]","OffsetArray":"[\"a\",\"b\"]","SequenceNumberArray":"[41,42]",` +
		`"EnqueuedTimeUtcArray":"[\"2026-03-01T10:00:03.127\",\"2026-03-01T10:00:04\"]",` +
		`"PropertiesArray":"[{\"Diagnostic-Id\":\"d\"},{}]",` +
		`"SystemPropertiesArray":"[` +
		`{\"SequenceNumber\":41,\"Offset\":\"a\",\"PartitionKey\":\"k\",\"EnqueuedTimeUtc\":\"2026-03-01T10:00:03.127\"},` +
		`{\"SequenceNumber\":42,\"Offset\":\"b\",\"PartitionKey\":null,\"EnqueuedTimeUtc\":\"2026-03-01T10:00:04\"}]",` +
		`"RetryContext":{"MaxRetryCount":-1,"RetryCount":0,"Exception":null}}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

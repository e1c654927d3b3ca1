package envelope

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// drain reads messages to their end: the records, and what is broken.
func drain(t *testing.T, m *Messages) (records []Record, broken []Broken) {
	t.Helper()
	for range 10_000 {
		rec, err := m.Next()
		part := (*Broken)(nil)
		switch {
		case errors.Is(err, io.EOF):
			return records, broken
		case errors.As(err, &part):
			part.Origin.Message = 0
			broken = append(broken, *part)
		case err != nil:
			t.Fatal(err)
		default:
			rec.Origin.Message = 0
			records = append(records, rec)
		}
	}
	t.Fatal("the message does not end")
	return nil, nil
}

// The ids of what is found and of what is set aside are made of records and places: a replay has to see what the live path saw.
func TestMessageReadsWhatABinaryBindingHandsOn(t *testing.T) {
	t.Parallel()
	batch := `{"records":[{"id":"1"},{"id":"2","s":"\u00e9"},{"id":"3"}]}`
	for name, message := range map[string]string{
		"batch": batch, "object": `{"id":"1"}`, "array": `[{"id":"1"},{"id":"2"}]`, "lines": "{\"id\":\"1\"}\n{\"id\":\"2\"}\n",
		"compressed": zip(batch), "compressed and torn": zip(batch)[:len(zip(batch))-9], "compressed header torn": zip(batch)[:4],
		"torn": batch[:len(batch)-12], "string": `"{\"id\":\"1\"}"`, "bytes": "\x00\x01\x02", "text": "hello", "empty": "",
		"blank": " \n", "mark": "\ufeff" + batch, "large": `{"records":[{"id":"` + strings.Repeat("x", 100_000) + `"}]}`,
	} {
		o := Origin{Source: "hub", Partition: "1", Sequence: 7}
		live := Body(plainQuote(`["`+base64.StdEncoding.EncodeToString([]byte(message))+`"]`), o)
		wantRecords, wantBroken := drain(t, live)
		records, broken := drain(t, Message(message, o))
		if !reflect.DeepEqual(records, wantRecords) || !reflect.DeepEqual(broken, wantBroken) {
			t.Errorf("%s:\n got %v %v\nwant %v %v", name, records, broken, wantRecords, wantBroken)
		}
	}
}

// What went before in a batch changes nothing about a message.
func TestBatchIsItsMessages(t *testing.T) {
	t.Parallel()
	texts := []string{
		`{"records":[{"id":"1"},{"id":"2"}]}`, zip(`{"records":[{"id":"1"}]}`), zip(`{"id":"1"}`)[:9], `"{\"id\":\"1\"}"`, "hello", "", `{"records":[{"id":`,
		`{"id":"1"}`, zip(`[{"id":"1"},{"id":"2"}]`), `[{"id":"1"}]`,
	}
	var b Batch
	var want []string
	tell := func(rec Record, err error) string {
		return rec.Origin.String() + " " + rec.Body + " " + fmt.Sprint(err)
	}
	for range 2 { // each behind each kind
		for i, text := range texts {
			o := Origin{Source: "hub", Partition: "1", Sequence: int64(len(want)), Line: int64(i)}
			b.Add(text, o)
			for m := Message(text, o); ; {
				rec, err := m.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				want = append(want, tell(rec, err))
			}
		}
		slices.Reverse(texts)
	}
	var got []string
	for {
		rec, err := b.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		got = append(got, tell(rec, err))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

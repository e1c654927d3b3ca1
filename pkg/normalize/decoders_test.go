package normalize_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/bench/corpus"
	"github.com/assay-sec/assay/pkg/casefile"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/rules"
)

// judge makes events of records with both decoders and compares them.
type judge struct {
	scanner, reference *normalize.Normalizer
	a, b               normalize.Scratch
	normalised, others int
}

func newJudge() *judge {
	return &judge{scanner: normalize.New(decode.Scanner{}, ""), reference: normalize.New(decode.Reference{}, "")}
}

func (j *judge) compare(t *testing.T, rec envelope.Record) {
	t.Helper()
	var got, want event.Event
	g, w := j.scanner.Normalize(&rec, &j.a, &got), j.reference.Normalize(&rec, &j.b, &want)
	if g != w {
		t.Fatalf("scanner: %+v\nreference: %+v\n%s", g, w, rec.Body)
	}
	if g.Outcome != normalize.Normalised {
		j.others++
		return
	}
	j.normalised++
	errG, errW := j.scanner.Identify(&rec, &j.a, &got), j.reference.Identify(&rec, &j.b, &want)
	if !reflect.DeepEqual(got, want) || fmt.Sprint(errG) != fmt.Sprint(errW) {
		t.Fatalf("scanner: %+v, %v\nreference: %+v, %v\n%s", got, errG, want, errW, rec.Body)
	}
}

// source yields records; parts that cannot be split are passed over.
type source interface {
	Next() (envelope.Record, error)
}

func (j *judge) all(t *testing.T, in source) {
	t.Helper()
	for {
		rec, err := in.Next()
		part := (*envelope.Broken)(nil)
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.As(err, &part):
			j.others++
		case err != nil:
			t.Fatal(err)
		default:
			j.compare(t, rec)
		}
	}
}

// TestDecodersMakeTheSameEvents takes every record of the case files, of the bundled logs and of the benchmark through
// both decoders.
func TestDecodersMakeTheSameEvents(t *testing.T) {
	t.Parallel()
	j := newJudge()
	files, err := casefile.Read(rules.Cases())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, c := range f.Cases {
			j.all(t, envelope.NewReader(strings.NewReader(c.Record), "case"))
		}
	}
	logs := os.DirFS("../sample/events")
	err = fs.WalkDir(logs, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		log, err := fs.ReadFile(logs, path)
		if err == nil {
			j.all(t, envelope.NewReader(strings.NewReader(string(log)), path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range corpus.Records(1, 400) {
		j.compare(t, envelope.Record{Body: body})
	}
	if j.normalised < 2000 {
		t.Errorf("%d events: the test tests little", j.normalised)
	}
}

// TestDecodersMakeTheSameEventsOfMutatedBodies changes payloads of all five forms of the host in a few places and takes what can
// still be split of them through both decoders. Whatever a change breaks, the messages that it does not reach stay.
func TestDecodersMakeTheSameEventsOfMutatedBodies(t *testing.T) {
	t.Parallel()
	list, _ := corpus.New(2).Messages(4)
	r := rand.New(rand.NewPCG(1, 2))
	fragments := []string{
		`"`, `\`, `\\`, `\"`, `\\\"`, `\\\\`, `\u0022`, `\u005c`, `\\u0022`, `\ud800`, `\\ud83d\\ude00`, `{`, `}`, `[`, `]`, `,`, `:`, `null`,
		"\n", "\x00", "\xff", "\xed\xa0\x80", "é", `"id":1,`, `\\\"id\\\":1,`, `0`, `AAAA`, `=`,
	}
	for _, form := range corpus.Forms() {
		j := newJudge()
		for _, payload := range corpus.Payloads(list, form) {
			for range 1 + 120/len(corpus.Payloads(list, form)) {
				body := payload
				for range 1 + r.IntN(3) {
					i := r.IntN(len(body))
					end := min(len(body), i+r.IntN(8))
					switch r.IntN(4) {
					case 0: // another byte
						body = body[:i] + string([]byte{body[i] ^ 1<<r.IntN(8)}) + body[i+1:]
					case 1: // a part is gone
						body = body[:i] + body[end:]
					case 2: // a part stands twice
						body = body[:end] + body[i:end] + body[end:]
					default:
						body = body[:i] + fragments[r.IntN(len(fragments))] + body[i:]
					}
				}
				j.all(t, envelope.Body(body, envelope.Origin{Source: "hub"}))
			}
		}
		if j.normalised < 100 || j.others < 5 {
			t.Errorf("%s: %d events and %d others: the test tests little", form, j.normalised, j.others)
		}
	}
}

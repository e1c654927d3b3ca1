package decode

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/assay-sec/assay/pkg/bench/corpus"
)

var mutations = flag.Int("mutations", 5_000, "how many mutated records the decoders have to agree on")

// check fails the test unless the two decoders accept s and read the same values out of it, or refuse it at the same
// place for the same reason, and a third judge finds no fault with that. It returns whether s was accepted.
func check(t *testing.T, s string, l Level) bool {
	t.Helper()
	var want, got Values
	errWant, errGot := Reference{}.Object(s, l, &want), Scanner{}.Object(s, l, &got)
	same(t, s, errWant, errGot)
	if errWant != nil {
		return false
	}
	for slot := range numSlots {
		if w, g := want.Get(slot), got.Get(slot); w != g {
			t.Fatalf("level %d, slot %d: reference has %v, scanner %v in %q", l, slot, w, g, s)
		}
	}
	if want.seen != got.seen {
		t.Fatalf("level %d: not the same spellings were seen in %q", l, s)
	}
	return true
}

// checkArray is check for arrays.
func checkArray(t *testing.T, s string) {
	t.Helper()
	want, errWant := elements(Reference{}, s)
	got, errGot := elements(Scanner{}, s)
	same(t, s, errWant, errGot)
	if len(want) != len(got) {
		t.Fatalf("reference has %d elements, scanner %d in %q", len(want), len(got), s)
	}
	for i := range want {
		if want[i] != got[i] {
			t.Fatalf("element %d: reference has %v, scanner %v in %q", i, want[i], got[i], s)
		}
	}
}

func elements(d Decoder, s string) (all []Value, err error) {
	err = d.Array(s, func(v Value) error {
		all = append(all, v)
		return nil
	})
	return all, err
}

// same compares the verdicts of the decoders with each other, and with those of encoding/json and unicode/utf8, which
// know less but share no code with either.
func same(t *testing.T, s string, want, got error) {
	t.Helper()
	if want == nil || got == nil {
		if want != nil || got != nil {
			t.Fatalf("reference says %v, scanner %v in %q", want, got, s)
		}
		if !json.Valid([]byte(s)) || !utf8.ValidString(s) {
			t.Fatalf("encoding/json and unicode/utf8 refuse %q", s)
		}
		return
	}
	var w, g *Error
	if !errors.As(want, &w) || !errors.As(got, &g) {
		t.Fatalf("not an *Error: reference %T, scanner %T", want, got)
	}
	if *w != *g {
		t.Fatalf("reference says %v, scanner %v in %q", w, g, s)
	}
	if errors.Is(w, ErrSyntax) && json.Valid([]byte(s)) {
		t.Fatalf("encoding/json accepts what is refused with %v: %q", w, s)
	}
}

// records returns the published records of testdata and some made ones.
func records(tb testing.TB) []string {
	tb.Helper()
	b, err := os.ReadFile("testdata/records.ndjson")
	if err != nil {
		tb.Fatal(err)
	}
	return append(strings.Split(strings.TrimSpace(string(b)), "\n"), corpus.Records(1, 20)...)
}

func TestDecodersAgreeOnRecords(t *testing.T) {
	t.Parallel()
	for i, s := range records(t) {
		// Three samples of Graph's documentation give homeTenantId twice, with different values.
		twice := strings.Count(s, `"homeTenantId":`) > 1 && !strings.Contains(s, `"properties"`)
		if ok := check(t, s, Root); ok == twice {
			t.Errorf("record %d: accepted is %t: %.80q", i+1, ok, s)
		}
		for l := Root + 1; l < numLevels; l++ {
			check(t, s, l)
		}
		checkArray(t, "["+s+","+s+"]")
		for j := range s { // cut off anywhere
			if j%199 == i%199 {
				check(t, s[:j], Root)
			}
		}
	}
}

func TestDecodersAgreeOnMutatedRecords(t *testing.T) {
	t.Parallel()
	all := records(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range *mutations {
		s := mutate(rnd, all)
		if check(t, s, Root) {
			accepted++
		}
		check(t, s, Properties+Level(rnd.IntN(int(numLevels-Properties))))
		checkArray(t, "["+s+"]")
	}
	if accepted < *mutations/20 || accepted > *mutations*19/20 {
		t.Errorf("%d of %d were accepted: the mutations prove little", accepted, *mutations)
	}
}

// mutate changes a record in one to three places, in the ways in which decoders have been wrong.
func mutate(rnd *rand.Rand, all []string) string {
	b := []byte(all[rnd.IntN(len(all))])
	for range 1 + rnd.IntN(3) {
		i := rnd.IntN(len(b))
		j := min(len(b), i+1+rnd.IntN(12))
		with := func(s string) { b = append(b[:i:i], append([]byte(s), b[j:]...)...) }
		switch rnd.IntN(10) {
		case 0: // another byte
			b[i] = byte(rnd.IntN(256))
		case 1:
			b[i] ^= 1 << rnd.IntN(8)
		case 2: // a part is gone
			with("")
		case 3: // a part stands twice
			with(string(b[i:j]) + string(b[i:j]))
		case 4, 5: // something stands before it
			j = i
			with(fragments[rnd.IntN(len(fragments))])
		case 6: // something else in its place
			with(fragments[rnd.IntN(len(fragments))])
		case 7: // a letter as its escape
			j = i + 1
			with(fmt.Sprintf(`\u%04x`, b[i]))
		case 8: // a name or a part from another record
			other := all[rnd.IntN(len(all))]
			k := rnd.IntN(len(other))
			with(other[k:min(len(other), k+rnd.IntN(60))])
		case 9: // cut off
			if rnd.IntN(4) == 0 {
				b = b[:i+1]
			}
		}
		if len(b) == 0 {
			return ""
		}
	}
	return string(b)
}

// fragments are what matters to a decoder.
var fragments = []string{
	`"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, ` `, "\n", "\t", "\r",
	`\"`, `\\`, `\\"`, `\\\"`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`, `\q`, `\u`, `\u12`,
	`\u0022`, `\u005c`, `\u0000`, `\uZZZZ`,
	`\ud800`, `\udc00`, `\ud83d\ude00`, `\ud83d\u0041`, `\ud83d\n`, `\uD83D\uDE00`,
	"\x00", "\x1f", "\x7f", "\u00e9", "\u4e00", "\U0001f600", "\ufeff", "\u2028",
	"\x80", "\xc3", "\xe2\x82", "\xed\xa0\x80", "\xf0\x9f", "\xf4\x90\x80\x80", "\xff",
	`null`, `true`, `false`, `tru`, `NaN`,
	`0`, `01`, `-`, `-0`, `1.`, `.5`, `1e`, `1e+`, `1E5`, `+1`, `0x1`, `123456789012345678901234567890`,
	`""`, `{}`, `[]`, `[,]`, `{,}`, `,"id":1`, `"id":`, `"ID":1,`, `"i\u0064":1,`,
	`"properties":{`, `"properties":{"id":"x"},`, `"status":{"errorCode":1},`,
	strings.Repeat("[", 62), strings.Repeat("]", 62), strings.Repeat("[", 63) + strings.Repeat("]", 63),
	strings.Repeat(`{"a":`, 63),
}

// seeds gives a fuzzer a start: small texts with all that matters. Whole records it would spend its time on making
// smaller.
func seeds(f *testing.F) {
	f.Helper()
	for _, s := range fragments {
		f.Add(s)
		f.Add(`{"x":"` + s + `"}`)
		f.Add(`{"id":` + s + `,"properties":{"id":"` + s + `"}}`)
		f.Add(`[` + s + `,{"a":` + s + `}]`)
	}
	f.Add(`{"category":"a","properties":{"id":"a\u00e9","status":{"errorCode":-1.5e3},"appId":[true,"\n"]}}`)
	f.Add(` { "Id" : "x" , "AppAccessContext" : { "UniqueTokenId" : "" } , "RawEventData" : "{\"Id\":1}" } `)
}

func FuzzScanner(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, s string) {
		for l := Root; l < numLevels; l++ {
			check(t, s, l)
		}
	})
}

func FuzzArray(f *testing.F) {
	seeds(f)
	f.Fuzz(checkArray)
}

// FuzzMutations looks at more of the mutated records than the tests do.
func FuzzMutations(f *testing.F) {
	all := records(f)
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		s := mutate(rand.New(rand.NewPCG(seed, 0)), all)
		check(t, s, Root)
		checkArray(t, "["+s+"]")
	})
}

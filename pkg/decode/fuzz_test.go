package decode

import (
	"errors"
	"fmt"
	"testing"
)

// agree fails the test if the two decoders do not accept the same texts and give the same values, or the same error at
// the same place.
func agree(t *testing.T, s string, l Level) {
	t.Helper()
	var want, got Values
	errWant, errGot := Reference{}.Object(s, l, &want), Scanner{}.Object(s, l, &got)
	if d := difference(errWant, errGot); d != "" {
		t.Fatalf("level %d: %s in %q", l, d, s)
	}
	if errWant != nil {
		return
	}
	for slot := range numSlots {
		if w, g := want.Get(slot), got.Get(slot); w != g {
			t.Fatalf("level %d, slot %d: want %v, got %v in %q", l, slot, w, g, s)
		}
	}
	if want.seen != got.seen {
		t.Fatalf("level %d: not the same spellings were seen in %q", l, s)
	}
}

// agreeArray is agree for arrays.
func agreeArray(t *testing.T, s string) {
	t.Helper()
	list := func(d Decoder) (all []Value, err error) {
		err = d.Array(s, func(v Value) error {
			all = append(all, v)
			return nil
		})
		return all, err
	}
	want, errWant := list(Reference{})
	got, errGot := list(Scanner{})
	if d := difference(errWant, errGot); d != "" {
		t.Fatalf("%s in %q", d, s)
	}
	if len(want) != len(got) {
		t.Fatalf("want %d elements, got %d in %q", len(want), len(got), s)
	}
	for i := range want {
		if want[i] != got[i] {
			t.Fatalf("element %d: want %v, got %v in %q", i, want[i], got[i], s)
		}
	}
}

func difference(want, got error) string {
	if (want == nil) != (got == nil) {
		return fmt.Sprintf("reference says %v, scanner %v", want, got)
	}
	if want == nil {
		return ""
	}
	var w, g *Error
	if !errors.As(want, &w) || !errors.As(got, &g) {
		return fmt.Sprintf("not an *Error: reference %T, scanner %T", want, got)
	}
	if *w != *g {
		return fmt.Sprintf("reference says %v, scanner %v", w, g)
	}
	return ""
}

func FuzzScanner(f *testing.F) {
	f.Add(`{"id":"x\u00e9","properties":{"userId":null,"appId":[1,-2.5e3,true]}}`)
	f.Fuzz(func(t *testing.T, s string) {
		for l := Root; l < numLevels; l++ {
			agree(t, s, l)
		}
	})
}

func FuzzArray(f *testing.F) {
	f.Add(`[{"a":"b\n"},"x\ud83d\ude00",[],-0.5E+3,true,false,null]`)
	f.Fuzz(agreeArray)
}

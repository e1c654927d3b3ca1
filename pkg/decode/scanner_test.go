package decode

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/bench/corpus"
)

func TestDecodersAgreeOnHostileTexts(t *testing.T) {
	t.Parallel()
	texts := hostile(1 << 15)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if s := texts[name]; !check(t, s, Root) {
			t.Errorf("%s: refused", name)
		} else {
			check(t, s[:len(s)-1], Root)
			check(t, s[:len(s)-1]+"\xff", Root)
		}
	}
}

// The index finds what the map of the table finds, wherever the name stands in the text.
func TestIndex(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 1))
	for l := Root; l < numLevels; l++ {
		ix := &builtin().indexes[l]
		if len(ix.names) != len(builtin().names[l]) {
			t.Fatalf("level %d: %d names in the index, %d in the table", l, len(ix.names), len(builtin().names[l]))
		}
		for name := range builtin().names[l] {
			for range 50 {
				b := []byte(name)
				switch rnd.IntN(4) {
				case 0:
					b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(7)
				case 1:
					b = b[:rnd.IntN(len(b)+1)]
				case 2:
					b = append(b, 's')
				}
				before, after := strings.Repeat(`"x:`, rnd.IntN(6)), `":"value",`
				s := before + string(b) + after[:max(rnd.IntN(len(after)), 8-len(b))]
				want, wanted := builtin().lookup(l, string(b))
				if got, ok := ix.find(s, len(before), len(b)); got != want || ok != wanted {
					t.Fatalf("level %d, %q: got %v, %t, want %v, %t", l, b, got, ok, want, wanted)
				}
			}
		}
	}
}

// Whoever chooses names cannot make a lookup long: the names that share a place are few.
func TestIndexHasNoLongRuns(t *testing.T) {
	t.Parallel()
	for l := Root; l < numLevels; l++ {
		run, used := 0, 0
		for range 2 { // around the end
			for _, p := range builtin().indexes[l].places {
				if p == 0 {
					run = 0
					continue
				}
				run, used = run+1, used+1
				if run > 6 {
					t.Fatalf("level %d: %d names in one run", l, run)
				}
			}
		}
		if used/2 != len(builtin().names[l]) {
			t.Errorf("level %d: %d places for %d names", l, used/2, len(builtin().names[l]))
		}
	}
}

func TestTableMistakesAreFound(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string][]field{
		"one name for two slots": {{SlotID, none, one("id")}, {SlotKind, none, one("id")}},
		"one name twice":         {{SlotID, none, one("id", "Id", "id")}},
		"too many spellings":     {{SlotID, none, strings.Split("abcdefghijklmnopq", "")}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the table was accepted", name)
				}
			}()
			index(fields)
		}()
	}
}

// Strings stay what they are when the Values are used again, also those whose escapes were undone.
func TestStringsOutliveTheirValues(t *testing.T) {
	t.Parallel()
	var v, fresh Values
	var kept, want []string
	for _, r := range append(records(t), corpus.Records(3, 500)...) {
		v.Reset()
		fresh.Reset()
		if (Scanner{}).Object(r, Root, &v) != nil {
			continue
		}
		if err := (Reference{}).Object(r, Root, &fresh); err != nil {
			t.Fatal(err)
		}
		for slot := range numSlots {
			kept = append(kept, v.Get(slot).Text)
			want = append(want, strings.Clone(fresh.Get(slot).Text))
		}
	}
	if !slices.Equal(kept, want) {
		t.Error("a string was overwritten")
	}
}

func TestAllocations(t *testing.T) {
	escaped := `"` + strings.Repeat(`\u00e9`, 600) + `"` // 3.6 KB
	var many strings.Builder
	for _, f := range strings.Fields("time category tenantId resultType callerIpAddress identity kind resourceId Type") {
		many.WriteString(`,"` + f + `":` + escaped)
	}
	var keys strings.Builder
	for i := range 2000 {
		keys.WriteString(`,"\u006bey` + numeral(i) + `":1`)
	}
	for _, c := range []struct {
		name  string
		texts []string
		most  float64 // for all texts
	}{
		{"no escape in a wanted value", corpus.Records(1, 1)[:1], 0},
		{"records", corpus.Records(1, 64), 1},
		{"one long escaped value", []string{`{"id":` + escaped + `}`}, 1},
		{"nine long escaped values", []string{`{"x":0` + many.String() + `}`}, 2},
		{"a megabyte of escapes", []string{hostile(megabyte)["units escaped, wanted"]}, 1},
		{"escaped names", []string{`{"x":0` + keys.String() + `}`}, 2},
		{"mistake", []string{`{"id":`}, 1},
	} {
		var v Values
		read := func() {
			for _, s := range c.texts {
				v.Reset()
				_ = Scanner{}.Object(s, Root, &v)
			}
		}
		if n := testing.AllocsPerRun(50, read); n > c.most {
			t.Errorf("%s: %v allocations, want at most %v", c.name, n, c.most)
		}
	}

	for list, most := range map[string]float64{
		`["a",{"a":"\n"},1,null]`:                                   0,
		`[` + strings.Repeat(escaped+`,{"a":"\n"},1,`, 9) + `null]`: 2,
	} {
		n := testing.AllocsPerRun(50, func() {
			_ = Scanner{}.Array(list, func(Value) error { return nil })
		})
		if n > most {
			t.Errorf("array %.20s: %v allocations, want at most %v", list, n, most)
		}
	}
}

func TestValuesKeepLittle(t *testing.T) {
	t.Parallel()
	var v Values
	if err := (Scanner{}).Object(hostile(megabyte)["units escaped, wanted"], Root, &v); err != nil {
		t.Fatal(err)
	}
	if v.own.b.Cap() <= arenaMax {
		t.Fatalf("%d bytes are no test", v.own.b.Cap())
	}
	v.Reset()
	if n := v.own.b.Cap(); n > arenaMax {
		t.Errorf("%d bytes are kept, want at most %d", n, arenaMax)
	}
}

package files

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/replay"
)

// write makes a folder of logs in several forms, with broken parts.
func write(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	var lines strings.Builder
	for i := range 50 {
		fmt.Fprintf(&lines, `{"id":"%d"}`+"\n", i)
		if i == 20 {
			lines.WriteString("{\"torn\n")
		}
	}
	var packed strings.Builder
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(`[{"id":"a"},{"id":"b"},{"id":"c"}]`)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"a.jsonl": lines.String(), "b.json.gz": packed.String(), "c.json": `{"records":[{"id":"x"}]}`, "notes.md": "no log"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// read reads a range from a position on, and returns what each page held.
func read(t *testing.T, s *Source, r replay.Range, position string) (pages [][]string, positions []string, units int64) {
	t.Helper()
	in, err := s.Open(t.Context(), r, position)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}()
	for {
		p, err := in.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return pages, positions, units
		}
		if err != nil {
			t.Fatal(err)
		}
		var held []string
		for {
			rec, err := p.Records.Next()
			part := (*envelope.Broken)(nil)
			if errors.Is(err, io.EOF) {
				break
			} else if errors.As(err, &part) {
				held = append(held, part.Origin.String()+" "+part.Reason)
				continue
			}
			held = append(held, rec.Origin.String()+" "+rec.Body)
		}
		pages, positions, units = append(pages, held), append(positions, p.Position), units+p.Units
	}
}

func TestEveryPositionIsAPlaceToGoOn(t *testing.T) {
	t.Parallel()
	root := write(t)
	s := &Source{Path: root, PageRecords: 7}
	plan, err := s.Plan(t.Context(), replay.Window{})
	if err != nil || len(plan.Ranges) != 3 || len(plan.Gaps) != 0 {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	total := 0
	for _, r := range plan.Ranges {
		pages, positions, units := read(t, s, r, "")
		if units != r.Units {
			t.Errorf("%s: %d units, want %d", r.Partition, units, r.Units)
		}
		for i, p := range positions {
			total += len(pages[i])
			if rest, _, _ := read(t, s, r, p); !reflect.DeepEqual(rest, append([][]string(nil), pages[i+1:]...)) {
				t.Errorf("%s from %s: %v, want %v", r.Partition, p, rest, pages[i+1:])
			}
		}
	}
	if total != 50+1+3+1 {
		t.Errorf("%d records and broken parts", total)
	}
}

func TestWhatCannotBeReadIsAGap(t *testing.T) {
	t.Parallel()
	for _, path := range []string{filepath.Join(t.TempDir(), "none.json"), t.TempDir()} {
		plan, err := (&Source{Path: path}).Plan(t.Context(), replay.Window{})
		if err != nil || len(plan.Ranges) != 0 || len(plan.Gaps) != 1 || plan.Gaps[0].Reason == "" {
			t.Errorf("%s: %+v, %v", path, plan, err)
		}
	}
	s := &Source{Path: write(t)}
	plan, err := s.Plan(t.Context(), replay.Window{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), plan.Ranges[0], "9999"); err == nil {
		t.Error("a position behind the end is taken")
	}
	if _, err := s.Open(t.Context(), plan.Ranges[0], "x"); err == nil {
		t.Error("a position that is no number is taken")
	}
}

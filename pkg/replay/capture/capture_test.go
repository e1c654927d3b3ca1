package capture_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hamba/avro/v2/ocf"

	"github.com/assay-sec/assay/pkg/bench/corpus/captured"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/replay"
	"github.com/assay-sec/assay/pkg/replay/blobs"
	"github.com/assay-sec/assay/pkg/replay/capture"
)

// event is a record of Capture, as the library writes it.
type event struct {
	SequenceNumber   int64
	Offset           string
	EnqueuedTimeUtc  string
	SystemProperties map[string]any
	Properties       map[string]any
	Body             *[]byte
}

// file makes a captured file of bodies, seven events a block.
func file(t testing.TB, schema string, codec ocf.CodecName, bodies ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	enc, err := ocf.NewEncoder(schema, &out, ocf.WithCodec(codec), ocf.WithBlockLength(7))
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range bodies {
		e := event{
			SequenceNumber: int64(i), Offset: fmt.Sprint(i * 100), EnqueuedTimeUtc: "3/1/2026 10:20:30 PM",
			SystemProperties: map[string]any{"x-opt-enqueued-time": int64(i), "x-opt-partition-key": "k", "b": []byte("x"), "d": 1.5},
			Properties:       map[string]any{"p": "v", "n": nil},
		}
		if body != "" {
			b := []byte(body)
			e.Body = &b
		}
		if err := enc.Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const name = "ns/hub/3/2026/03/01/22/20/00.avro"

// source serves the blobs of a container.
func source(t testing.TB, content map[string][]byte) *capture.Source {
	t.Helper()
	root := t.TempDir()
	for name, body := range content {
		path := filepath.Join(root, "capture", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, body, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	_, connection, stop, err := captured.Serve(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop() })
	c, err := blobs.OpenEmulator(connection, "capture")
	if err != nil {
		t.Fatal(err)
	}
	return &capture.Source{Container: c, Namespace: "ns", Hub: "hub"}
}

// page is what a page held.
type page struct {
	held     []string
	position string
}

// read reads a file from a position on.
func read(t testing.TB, s *capture.Source, r replay.Range, position string) (pages []page, units, bytes int64) {
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
			return pages, units, bytes
		}
		if err != nil {
			t.Fatal(err)
		}
		one := page{position: p.Position}
		for {
			rec, err := p.Records.Next()
			part := (*envelope.Broken)(nil)
			if errors.Is(err, io.EOF) {
				break
			} else if errors.As(err, &part) {
				one.held = append(one.held, part.Reason+" "+part.Origin.String())
				continue
			}
			one.held = append(one.held, rec.Origin.String()+" "+rec.Body)
		}
		pages, units, bytes = append(pages, one), units+p.Units, bytes+p.Bytes
	}
}

func bodies(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(`{"records":[{"id":"%d"}]}`, i)
	}
	return out
}

func TestEveryPositionIsAPlaceToGoOn(t *testing.T) {
	t.Parallel()
	for _, codec := range []ocf.CodecName{ocf.Null, ocf.Deflate} {
		body := file(t, captured.Schema, codec, bodies(100)...)
		s := source(t, map[string][]byte{name: body})
		for _, size := range []int{1, 5, 7, 1000} {
			s.PageEvents = size
			r := replay.Range{Partition: "3", From: name, Units: int64(len(body))}
			pages, units, _ := read(t, s, r, "")
			if units != r.Units {
				t.Errorf("%s: %d units of %d", codec, units, r.Units)
			}
			var all []string
			for i, p := range pages {
				all = append(all, p.held...)
				rest, _, _ := read(t, s, r, p.position)
				if len(rest) != len(pages)-i-1 || len(rest) > 0 && !slices.Equal(rest[0].held, pages[i+1].held) {
					t.Fatalf("%s, pages of %d, from %s: %v", codec, size, p.position, rest)
				}
			}
			if len(all) != 100 || all[42] != `hub/3@42#1 {"id":"42"}` {
				t.Errorf("%s, pages of %d: %d records, %q", codec, size, len(all), all)
			}
		}
	}
}

// Going on costs a header and no more than a block, however long the file is.
func TestWhatWasReadIsNotReadAgain(t *testing.T) {
	t.Parallel()
	long := make([]string, 200)
	for i := range long {
		long[i] = `{"records":[{"id":"` + strings.Repeat("x", 100_000) + `"}]}`
	}
	body := file(t, captured.Schema, ocf.Null, long...)
	s := source(t, map[string][]byte{name: body})
	s.PageEvents = 10
	r := replay.Range{Partition: "3", From: name, Units: int64(len(body))}
	pages, _, _ := read(t, s, r, "")
	_, _, bytes := read(t, s, r, pages[17].position)
	if left := 20 * int64(100_000); bytes > left+7*110_000+200_000 {
		t.Errorf("%d bytes of %d were read, for a rest of %d", bytes, len(body), left)
	}
}

// Damage costs the block that it is in, is counted once, and is told with its place.
func TestDamage(t *testing.T) {
	t.Parallel()
	good := file(t, captured.Schema, ocf.Null, bodies(21)...)
	packed := file(t, captured.Schema, ocf.Deflate, bodies(21)...)
	flip := func(body []byte, at int) []byte {
		body = bytes.Clone(body)
		body[at] ^= 0x55
		return body
	}
	second := bytes.Index(good, []byte(`"id":"7"`))
	for what, c := range map[string]struct {
		body    []byte
		records int // at least
		broken  int
	}{
		"whole":                  {good, 21, 0},
		"no event":               {file(t, captured.Schema, ocf.Null), 0, 0},
		"torn":                   {good[:len(good)-40], 20, 1},
		"torn in a block":        {good[:second], 7, 1},
		"torn in a packed block": {packed[:len(packed)-40], 14, 1},
		"a length in a block":    {flip(good, second-len(`{"records":[{`)-1), 14, 1},
		"packed data":            {flip(packed, len(packed)/2), 14, 1},
		"the last marker":        {flip(good, len(good)-1), 21, 1},
		"the header":             {flip(good, 2), 0, 1},
		"no Avro":                {[]byte(`{"id":"1"}`), 0, 1},
		"empty":                  {nil, 0, 1},
		"another codec":          {file(t, captured.Schema, ocf.Snappy, bodies(3)...), 0, 1},
		"another schema":         {file(t, strings.ReplaceAll(captured.Schema, "SequenceNumber", "Sequencenumber"), ocf.Null), 0, 1},
	} {
		s := source(t, map[string][]byte{name: c.body})
		s.PageEvents = 4
		r := replay.Range{Partition: "3", From: name, Units: int64(len(c.body))}
		pages, _, _ := read(t, s, r, "")
		records, broken := 0, 0
		for i, p := range pages {
			for _, held := range p.held {
				if strings.HasPrefix(held, "invalid-avro "+name) {
					broken++
				} else if strings.HasPrefix(held, "hub/3@") {
					records++
				}
			}
			if rest, _, _ := read(t, s, r, p.position); len(rest) != len(pages)-i-1 {
				t.Errorf("%s: from %s: %d pages, want %d", what, p.position, len(rest), len(pages)-i-1)
			}
		}
		if records < c.records || broken != c.broken {
			t.Errorf("%s: %d records and %d broken parts, want %d and %d: %v", what, records, broken, c.records, c.broken, pages)
		}
	}
}

// Events may be of any size that Event Hubs takes, or have no body; the time is written in one of two ways.
func TestEvents(t *testing.T) {
	t.Parallel()
	large := `{"records":[{"id":"` + strings.Repeat("x", 3<<20) + `"}]}`
	body := file(t, captured.Schema, ocf.Deflate, large, "", `{"id":"2"}`)
	s := source(t, map[string][]byte{name: body})
	in, err := s.Open(t.Context(), replay.Range{Partition: "3", From: name}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() //nolint:errcheck // it was read
	p, err := in.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rec, err := p.Records.Next()
	if want := time.Date(2026, 3, 1, 22, 20, 30, 0, time.UTC); err != nil || len(rec.Body) < 3<<20 || !rec.Origin.Enqueued.Equal(want) {
		t.Errorf("%d bytes, enqueued %s, %v", len(rec.Body), rec.Origin.Enqueued, err)
	}
	if rec, err = p.Records.Next(); err != nil || rec.Body != `{"id":"2"}` || rec.Origin.Sequence != 2 {
		t.Errorf("behind an event without a body: %v %v", rec, err)
	}
	for _, position := range []string{"7", "-1+0", "0+-1", "x+1", "0+x", "99999999+0"} {
		if in, err := s.Open(t.Context(), replay.Range{Partition: "3", From: name}, position); err == nil {
			if _, err := in.Next(t.Context()); err == nil {
				t.Errorf("from %s something is read", position)
			}
		}
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	content := map[string][]byte{}
	for _, name := range []string{
		"ns/hub/0/2026/03/01/10/00/00.avro", "ns/hub/1/2026/03/01/10/05/00.avro", "ns/hub/0/2026/03/01/11/00/00.avro", "ns/hub/0/2026/03/03/11/00/00.avro",
		"ns/hub2/0/2026/03/01/10/00/00.avro", "ns/hub/0/2026/13/01/10/00/00.avro", "ns/hub/readme.txt",
	} {
		content[name] = []byte("x")
	}
	s := source(t, content)
	at := func(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 0, 0, 0, time.UTC) }
	for what, c := range map[string]struct {
		from, to time.Time
		ranges   int
		gapTo    time.Time // zero: no gap
	}{
		"all":          {at(1, 10), at(4, 0), 4, time.Time{}},
		"in the midst": {at(1, 11), at(1, 12), 1, time.Time{}},
		"from before":  {at(1, 1), at(1, 11), 3, at(1, 10)},
		"all before":   {at(1, 1), at(1, 2), 0, at(1, 2)},
	} {
		plan, err := s.Plan(t.Context(), replay.Window{From: c.from, To: c.to})
		if err != nil || len(plan.Ranges) != c.ranges || (len(plan.Gaps) == 0) != c.gapTo.IsZero() {
			t.Errorf("%s: %+v, %v", what, plan, err)
		} else if len(plan.Gaps) > 0 && (!plan.Gaps[0].To.Equal(c.gapTo) || !plan.Gaps[0].From.Equal(c.from)) {
			t.Errorf("%s: %+v", what, plan.Gaps)
		}
	}
}

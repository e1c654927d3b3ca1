package replay_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/replay"
)

// shaky is a source whose reading breaks off after every few pages, and whose plan has a gap.
type shaky struct {
	*memory
	pages, breaks int // that are read until it breaks, and how often it may
	gaps          []replay.Gap

	mu sync.Mutex
}

func (s *shaky) Plan(ctx context.Context, w replay.Window) (replay.Plan, error) {
	p, err := s.memory.Plan(ctx, w)
	p.Gaps = s.gaps
	return p, err
}

func (s *shaky) Open(ctx context.Context, r replay.Range, position string) (replay.Reader, error) {
	in, err := s.memory.Open(ctx, r, position)
	return &shakyReader{Reader: in, s: s, left: s.pages}, err
}

type shakyReader struct {
	replay.Reader
	s    *shaky
	left int
}

func (r *shakyReader) Next(ctx context.Context) (replay.Page, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.left--; r.left < 0 && r.s.breaks > 0 {
		r.s.breaks--
		return replay.Page{}, io.ErrUnexpectedEOF
	}
	return r.Reader.Next(ctx)
}

func survey(t *testing.T, src replay.Source, see func(*event.Event) error) (*replay.Surveyed, error) {
	t.Helper()
	c := &clock{now: day.AddDate(0, 0, 2)}
	r := newRunner(t, open(t), src, c)
	return r.Survey(context.Background(), replay.Survey{
		Sources: []string{"hub"}, Window: request().Window, AtOnce: 3, Normalizer: normalize.New(decode.Scanner{}, ""), See: see,
	})
}

// Every record of the source is seen as often as it stands there, however often reading breaks off, and what cannot be read is counted.
func TestSurveySeesEveryRecordOnce(t *testing.T) {
	t.Parallel()
	m := history(1000)
	records, refused := 0, 0
	want := map[string]int{}
	for _, p := range m.partitions {
		for _, body := range p {
			records++
			if len(body) == 20 {
				refused++
				continue
			}
			_, rest, _ := strings.Cut(body, `"id":"`)
			id, _, _ := strings.Cut(rest, `"`)
			want[id]++
		}
	}
	for _, breaks := range []int{0, 7} {
		var mu sync.Mutex
		got := map[string]int{}
		seen, err := survey(t, &shaky{memory: m, pages: 5, breaks: breaks}, func(ev *event.Event) error {
			mu.Lock()
			defer mu.Unlock()
			got[strings.Clone(ev.SignIn.RequestID.V)]++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(got, want) {
			t.Errorf("%d breaks: saw %d events of %d", breaks, len(got), len(want))
		}
		var sum replay.SurveyedRange
		for _, x := range seen.Ranges {
			sum.Records, sum.Refused, sum.SignIns = sum.Records+x.Records, sum.Refused+x.Refused, sum.SignIns+x.SignIns
		}
		if int(sum.Records) != records || int(sum.Refused) != refused || int(sum.SignIns) != records-refused {
			t.Errorf("%d breaks: counted %+v, want %d records, %d refused", breaks, sum, records, refused)
		}
	}
}

// An error of who sees the events ends the survey at once; one of the source does after a few attempts.
func TestSurveyEnds(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	calls := 0
	var mu sync.Mutex
	if _, err := survey(t, history(1000), func(*event.Event) error {
		mu.Lock()
		defer mu.Unlock()
		calls++
		return full
	}); !errors.Is(err, full) || calls > 4 {
		t.Errorf("%v after %d calls", err, calls)
	}
	gone := errors.New("gone")
	if _, err := survey(t, &failing{history(10), gone}, func(*event.Event) error { return nil }); !errors.Is(err, gone) {
		t.Error(err)
	}
}

// A gap matters where the source holds sign-ins, or nothing at all.
func TestMissed(t *testing.T) {
	t.Parallel()
	gap := func(source string) replay.Gap { return replay.Gap{Source: source, From: day, To: day.Add(time.Hour)} }
	s := &replay.Surveyed{
		Ranges: []replay.SurveyedRange{
			{Range: replay.Range{Source: "signins"}, Records: 10, SignIns: 9, Refused: 1},
			{Range: replay.Range{Source: "signins"}, Records: 5},
			{Range: replay.Range{Source: "mailbox"}, Records: 10, Refused: 4},
		},
		Gaps: []replay.Gap{gap("signins"), gap("mailbox"), gap("empty"), {Source: "signins", Reason: "unreadable"}},
	}
	gaps, unreadable := s.Missed()
	var names []string
	for _, g := range gaps {
		names = append(names, g.Source)
	}
	if !slices.Equal(names, []string{"signins", "empty", "signins"}) || unreadable != 1 {
		t.Errorf("%v, %d unreadable", names, unreadable)
	}
	if w := gaps[0].Happened(); !w.From.Before(day) || !w.To.Equal(day.Add(time.Hour)) {
		t.Errorf("what arrived in the gap happened in %v", w)
	}
	if w := gaps[2].Happened(); !w.From.IsZero() || !w.To.IsZero() {
		t.Errorf("a gap of no time happened in %v", w)
	}
}

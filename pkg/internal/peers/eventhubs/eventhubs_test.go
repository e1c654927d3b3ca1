//go:build peers

package eventhubs

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/assay-sec/assay/pkg/internal/peers"
	"github.com/assay-sec/assay/pkg/replay"
	"github.com/assay-sec/assay/pkg/replay/eventhubs"
)

// manyEvents is how many the window is cut out of. make soak asks for 200,000.
var manyEvents = flag.Int("events", 8000, "events of the hub")

func TestMain(m *testing.M) {
	if what := os.Getenv(childVariable); what != "" {
		os.Exit(child(what))
	}
	if at := os.Getenv(oracleVariable); at != "" {
		fmt.Fprintln(os.Stderr, "the handler ends:", stoppable(oracle(at)))
		os.Exit(1)
	}
	peers.Main(m)
}

var day = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// written is a line of the stand-in's file.
type written struct {
	Hub       string `json:"hub"`
	Partition string `json:"partition"`
	Enqueued  int64  `json:"enqueued"`
	Body      string `json:"body"`
	Sequence  *int64 `json:"sequence,omitempty"`
}

// preload writes n events, in turn over four partitions, enqueued over four days. The first of each partition has this
// sequence number.
func preload(t *testing.T, n int, first int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for i := range n {
		e := written{Hub: "signins", Partition: strconv.Itoa(i % 4), Enqueued: enqueued(i, n).UnixMilli(), Body: fmt.Sprintf(`{"records":[{"id":"%d"}]}`, i)}
		if i < 4 {
			e.Sequence = &first
		}
		if err := enc.Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func enqueued(i, n int) time.Time {
	return day.Add(time.Duration(i) * (96 * time.Hour / time.Duration(n))).Truncate(time.Millisecond)
}

func open(t *testing.T, o eventhubs.Options) *eventhubs.Source {
	t.Helper()
	o.Hub, o.ConsumerGroup = "signins", "replay"
	s, err := eventhubs.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

// read reads a range, opening it anew behind every so many pages, and returns the records' ids.
func read(t *testing.T, s *eventhubs.Source, r replay.Range, reopen int) (ids []int, units int64) {
	t.Helper()
	position := ""
	for {
		in, err := s.Open(t.Context(), r, position)
		if err != nil {
			t.Fatal(err)
		}
		for pages := 0; reopen == 0 || pages < reopen; pages++ {
			p, err := in.Next(t.Context())
			if errors.Is(err, io.EOF) {
				if err := in.Close(); err != nil {
					t.Error(err)
				}
				return ids, units
			}
			if err != nil {
				t.Fatal(err)
			}
			position, units = p.Position, units+p.Units
			for {
				rec, err := p.Records.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				var body struct {
					ID int `json:"id,string"`
				}
				if err := json.Unmarshal([]byte(rec.Body), &body); err != nil {
					t.Fatal(err)
				}
				ids = append(ids, body.ID)
			}
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What arrived in the window is read, all of it, each once, and nothing else, whatever the sizes of slices and pages.
func TestTheWindowOfAHub(t *testing.T) {
	t.Parallel()
	n := *manyEvents
	connection := Start(t, "signins:4", preload(t, n, 1000))
	arrived := replay.Window{From: day.Add(30 * time.Hour), To: day.Add(60 * time.Hour)}
	var want []int
	for i := range n {
		if at := enqueued(i, n); !at.Before(arrived.From) && at.Before(arrived.To) {
			want = append(want, i)
		}
	}
	for _, size := range []struct {
		slice  int64
		page   int
		reopen int
	}{{100_000, 500, 0}, {700, 33, 3}} {
		s := open(t, eventhubs.Options{Connection: connection, SliceEvents: size.slice, PageEvents: size.page})
		plan, err := s.Plan(t.Context(), arrived)
		if err != nil {
			t.Fatal(err)
		}
		if len(plan.Gaps) != 0 {
			t.Errorf("gaps %+v", plan.Gaps)
		}
		var got []int
		for _, r := range plan.Ranges {
			ids, units := read(t, s, r, size.reopen)
			if units != r.Units || int64(len(ids)) != r.Units {
				t.Errorf("%+v: %d units, %d records", r, units, len(ids))
			}
			got = append(got, ids...)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%+v: %d records, want %d", size, len(got), len(want))
		}
	}
}

func TestWhatTheHubNoLongerHolds(t *testing.T) {
	t.Parallel()
	connection := Start(t, "signins:4,empty:2", preload(t, 400, 5000))
	s := open(t, eventhubs.Options{Connection: connection})
	for _, test := range []struct {
		name         string
		from, to     time.Time
		ranges, gaps int
	}{
		{"before all", day.Add(-48 * time.Hour), day.Add(-24 * time.Hour), 0, 4},
		{"begins too early", day.Add(-24 * time.Hour), day.Add(24 * time.Hour), 4, 4},
		{"behind all", day.Add(200 * time.Hour), day.Add(300 * time.Hour), 0, 0},
		{"to the end", day.Add(80 * time.Hour), day.Add(300 * time.Hour), 4, 0},
	} {
		plan, err := s.Plan(t.Context(), replay.Window{From: test.from, To: test.to})
		if err != nil {
			t.Fatal(err)
		}
		if len(plan.Ranges) != test.ranges || len(plan.Gaps) != test.gaps {
			t.Errorf("%s: %+v", test.name, plan)
		}
	}
}

// The live path reads the partition with an owner level; a replay reads it, too, and takes nothing from it.
func TestAReaderBesideTheLivePath(t *testing.T) {
	t.Parallel()
	connection := Start(t, "signins:4", preload(t, 400, 0))
	c, err := azeventhubs.NewConsumerClientFromConnectionString(connection, "signins", "detect", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	level, first := int64(0), int64(0)
	live, err := c.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{
		OwnerLevel: &level, StartPosition: azeventhubs.StartPosition{SequenceNumber: &first, Inclusive: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := live.ReceiveEvents(t.Context(), 1, nil); err != nil {
		t.Fatal(err)
	}
	s := open(t, eventhubs.Options{Connection: connection})
	plan, err := s.Plan(t.Context(), replay.Window{From: day, To: day.Add(100 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if ids, _ := read(t, s, plan.Ranges[0], 0); len(ids) != 100 {
		t.Errorf("%d records", len(ids))
	}
	if rest, err := live.ReceiveEvents(t.Context(), 99, nil); err != nil || len(rest) != 99 {
		t.Errorf("the live path has %d more events, %v", len(rest), err)
	}
}

func TestAHubThatIsNotThere(t *testing.T) {
	t.Parallel()
	connection := Start(t, "other:1", "")
	s := open(t, eventhubs.Options{Connection: connection})
	if _, err := s.Plan(t.Context(), replay.Window{From: day, To: day.Add(time.Hour)}); err == nil || !strings.Contains(err.Error(), "signins") {
		t.Errorf("%v", err)
	}
}

// The stand-in is what the official clients take for an event hub: what the Go client sends is what it reads, with key and
// properties, and the client for JavaScript agrees.
func TestTheStandInAgainstOfficialClients(t *testing.T) {
	t.Parallel()
	connection := Start(t, "signins:2", "")
	p, err := azeventhubs.NewProducerClientFromConnectionString(connection, "signins", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	key, zero := "alice", "0"
	batch, err := p.NewEventDataBatch(t.Context(), &azeventhubs.EventDataBatchOptions{PartitionID: &zero})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := batch.AddEventData(&azeventhubs.EventData{Body: []byte(fmt.Sprint("event ", i)), Properties: map[string]any{"i": int64(i)}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.SendEventDataBatch(t.Context(), batch, nil); err != nil {
		t.Fatal(err)
	}
	keyed, err := p.NewEventDataBatch(t.Context(), &azeventhubs.EventDataBatchOptions{PartitionKey: &key})
	if err != nil {
		t.Fatal(err)
	}
	if err := keyed.AddEventData(&azeventhubs.EventData{Body: []byte("keyed")}, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.SendEventDataBatch(t.Context(), keyed, nil); err != nil {
		t.Fatal(err)
	}
	c, err := azeventhubs.NewConsumerClientFromConnectionString(connection, "signins", "$Default", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	earliest := true
	r, err := c.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{Earliest: &earliest}})
	if err != nil {
		t.Fatal(err)
	}
	events, err := r.ReceiveEvents(t.Context(), 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if string(e.Body) != fmt.Sprint("event ", i) || e.SequenceNumber != int64(i) || e.Properties["i"] != int64(i) || e.EnqueuedTime == nil {
			t.Errorf("event %+v", e)
		}
	}
	var told struct {
		Last   int64   `json:"last"`
		Bodies [][]any `json:"bodies"`
	}
	out := peers.Node(t, "eventhubs/client.js", nil, connection, "signins", "20")
	if err := json.Unmarshal(out, &told); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(told.Bodies) < 20 || told.Last < 19 {
		t.Errorf("the client for JavaScript has read %s", out)
	}
}

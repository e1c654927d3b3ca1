//go:build peers

package eventhubs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/cli"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/replay"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

// How often TestAReplayThatIsKilled kills, in a hub of -events. make soak asks for more.
var (
	kills    = flag.Int("kills", 2, "kills of a replay on its way, in turn at random instants and at each enumerated point")
	killSeed = flag.Uint64("kill-seed", 0, "of the kills; 0: another one each time")
)

// The variables that make the test binary a process that goes on with a replay: POINT:N kills it when it comes to the point for
// the nth time; without one it is the command line as it is.
const (
	childVariable = "ASSAY_TEST_REPLAY" // the store; or, for the command line, its arguments as JSON
	dieVariable   = "ASSAY_TEST_DIE"
	jobVariable   = "ASSAY_TEST_JOB"
)

// The enumerated points.
const (
	beforePage   = "before the page"
	afterCommit  = "after the store's commit"
	beforeSaving = "before the position is saved"
	afterSaving  = "after the position is saved"
	betweenTurns = "after a turn, before the next is asked for" // in the function app alone
)

func child(what string) int {
	ctx := context.Background()
	if os.Getenv(dieVariable) == "" {
		var args []string
		if err := json.Unmarshal([]byte(what), &args); err != nil {
			panic(err)
		}
		return cli.Main(ctx, cli.Process("test"), args)
	}
	point, n, _ := strings.Cut(os.Getenv(dieVariable), ":")
	left, err := strconv.Atoi(n)
	if err != nil {
		panic(err)
	}
	at := func(p string) {
		if p != point {
			return
		}
		if left--; left == 0 {
			die()
		}
	}
	if err := goOn(ctx, what, os.Getenv(jobVariable), at); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// goOn goes on with a replay as the command line does, and says where it is. One slice is read at a time, so that points come in
// an order.
func goOn(ctx context.Context, db, job string, at func(string)) error {
	s, err := sqlite.Open(ctx, db)
	if err != nil {
		return err
	}
	rules, err := app.LoadRules(&config.Config{})
	if err != nil {
		return err
	}
	sources := &app.ReplaySources{Group: "replay", Connection: os.Getenv(app.SettingReplayHubs)}
	r := app.NewReplayRunner(&stopping{s, at}, func() *app.Rules { return rules }, decode.Scanner{}, "test", "", replay.WallClock{})
	r.Source = func(name string) (replay.Source, error) {
		src, err := sources.Source(name)
		return &stoppingSource{src, at}, err
	}
	return errors.Join(r.Run(ctx, job, 1), sources.Close(ctx), s.Close())
}

type stopping struct {
	app.Backend
	at func(string)
}

func (s *stopping) Record(ctx context.Context, f []alert.Finding) (store.Outcome, error) {
	out, err := s.Backend.Record(ctx, f)
	s.at(afterCommit)
	return out, err
}

func (s *stopping) In(c store.Collection, partition string) store.State {
	return &stoppingState{s.Backend.In(c, partition), s.at}
}

type stoppingState struct {
	store.State
	at func(string)
}

func (s *stoppingState) Save(ctx context.Context, d store.Document) (store.Document, error) {
	slice := strings.HasPrefix(d.ID, "slice.") && strings.Contains(string(d.Body), `"position"`)
	if slice {
		s.at(beforeSaving)
	}
	d, err := s.State.Save(ctx, d)
	if slice {
		s.at(afterSaving)
		if strings.Contains(string(d.Body), `"state":"pending"`) {
			s.at(betweenTurns)
		}
	}
	return d, err
}

type stoppingSource struct {
	replay.Source
	at func(string)
}

func (s *stoppingSource) Open(ctx context.Context, r replay.Range, position string) (replay.Reader, error) {
	in, err := s.Source.Open(ctx, r, position)
	return &stoppingReader{in, s.at}, err
}

type stoppingReader struct {
	replay.Reader
	at func(string)
}

func (r *stoppingReader) Next(ctx context.Context) (replay.Page, error) {
	r.at(beforePage)
	return r.Reader.Next(ctx)
}

// tokens writes events of which one in so many shows a forged token, in turn over four partitions and in time.
func tokens(t *testing.T, n, oneIn int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	const tenant = "8f1d6c3a-52e7-4b90-9c0e-6a4d17f2b385"
	for i := range n {
		key := "1LTMzakihiRla_8z2BEJVXeWMqo"
		if i%oneIn != 0 {
			key = "a-key-that-nobody-knows"
		}
		at := enqueued(i, n)
		body := fmt.Sprintf(`{"records":[{"kind":"token-observation","schemaVersion":1,"id":"o-%d","tenantId":%q,"time":%q,`+
			`"observer":{"name":"apim-orders","type":"apim"},"validation":{"result":"accepted","signaturePresent":true,"segments":3},`+
			`"header":{"alg":"RS256","typ":"JWT","kid":%q},"claims":{"iss":"https://login.microsoftonline.com/%s/v2.0",`+
			`"tid":%q,"aud":"api://orders-%d","ver":"2.0","uti":"xMFjTVvJPE2OChJx_YE-AA"}}]}`, i, tenant, at.Format(time.RFC3339Nano), key, tenant, tenant, i%3)
		if err := enc.Encode(written{Hub: "signins", Partition: strconv.Itoa(i % 4), Enqueued: at.UnixMilli(), Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// result is what a replay told and left.
type result struct {
	Replay struct {
		ID       string          `json:"id"`
		State    string          `json:"state"`
		Counters replay.Counters `json:"counters"`
		Findings replay.Findings `json:"findings"`
	} `json:"replay"`
	stored map[string]int64 // the alerts and how many findings each has; the findings' ids
}

// A replay of a window in the middle, through the command line and the official client, is killed with SIGKILL again and again,
// and gone on with. It ends as one that nobody disturbed; once more, it finds nothing new.
func TestAReplayThatIsKilled(t *testing.T) {
	t.Parallel()
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%d events, %d kills, seed %d (repeat with -kill-seed %d)", *manyEvents, *kills, seed, seed)
	random := rand.New(rand.NewPCG(seed, 7))
	n := *manyEvents
	connection := Start(t, "signins:4", tokens(t, n, 50))
	from, to := day.Add(30*time.Hour), day.Add(60*time.Hour)
	want := int64(0)
	for i := range n {
		if at := enqueued(i, n); !at.Before(from) && at.Before(to) {
			want++
		}
	}
	dir := t.TempDir()
	process := func(db, die, job string, args ...string) *exec.Cmd {
		what := db
		if die == "" {
			args = append([]string{"replay", "--store", db, "--output", "json", "--rate", "0"}, args...)
			raw, err := json.Marshal(args)
			if err != nil {
				t.Fatal(err)
			}
			what = string(raw)
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"="+what, dieVariable+"="+die, jobVariable+"="+job, app.SettingReplayHubs+"="+connection, "USER=ana", "HOME="+dir)
		return cmd
	}
	finish := func(db string, args ...string) (r result) {
		t.Helper()
		cmd := process(db, "", "", args...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err == nil {
			err = json.Unmarshal(out, &r)
		}
		if err != nil || r.Replay.State != "completed" {
			t.Fatalf("%v: %v, %s\n%s", args, err, r.Replay.State, errs.String())
		}
		r.stored = contents(t, db)
		return r
	}
	ask := []string{"--from", from.Format(time.RFC3339), "--to", to.Format(time.RFC3339), "--reason", "test", "sb://local/signins"}

	began := time.Now()
	undisturbed := finish(filepath.Join(dir, "undisturbed.db"), ask...)
	whole := time.Since(began)
	if c := undisturbed.Replay.Counters; c.Evaluated != want || c.Records != c.Evaluated+c.Unselected || undisturbed.Replay.Findings.New < want/50 {
		t.Fatalf("undisturbed: %+v %+v, want %d evaluated", c, undisturbed.Replay.Findings, want)
	}

	db := filepath.Join(dir, "killed.db")
	// The first process plans, and dies when it comes to its first page; the job is in the store by then.
	first := process(db, "", "", ask...)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	job := awaitJob(t, db)
	_ = first.Process.Kill()
	_ = first.Wait()
	points := []string{"", beforePage, afterCommit, beforeSaving, afterSaving}
	hits := map[string]int{}
	for k := range *kills {
		point := points[k%len(points)]
		die := ""
		if point != "" {
			die = fmt.Sprintf("%s:%d", point, 1+random.IntN(3))
		}
		cmd := process(db, die, job, "--resume", job)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if point == "" {
			timer := time.AfterFunc(time.Duration(random.Int64N(int64(whole)/2)), func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait()
			timer.Stop()
			point = "a random instant"
		} else {
			_ = cmd.Wait()
		}
		if !cmd.ProcessState.Exited() {
			hits[point]++
		}
	}
	t.Logf("killed at %v", hits)
	got := finish(db, "--resume", job)
	undisturbed.Replay.Counters.Pages, got.Replay.Counters.Pages = 0, 0 // where pages end is the network's business
	if !reflect.DeepEqual(got.Replay.Counters, undisturbed.Replay.Counters) || got.Replay.Findings != undisturbed.Replay.Findings {
		t.Errorf("killed: %+v\nundisturbed: %+v", got.Replay, undisturbed.Replay)
	}
	if !reflect.DeepEqual(got.stored, undisturbed.stored) {
		t.Errorf("the store has %d alerts and findings, undisturbed %d, or others", len(got.stored), len(undisturbed.stored))
	}
	again := finish(db, ask...)
	if f := again.Replay.Findings; f.New != 0 || f.AlertsNew != 0 || f.AlertsKnown != got.Replay.Findings.AlertsNew || !reflect.DeepEqual(again.stored, got.stored) {
		t.Errorf("once more: %+v", f)
	}
}

// awaitJob returns the id of the only replay in the store, as soon as there is one.
func awaitJob(t *testing.T, db string) string {
	t.Helper()
	for {
		if _, err := os.Stat(db); err == nil {
			if s, err := sqlite.Open(t.Context(), db); err == nil {
				jobs, err := replay.NewDocuments(s).Jobs(t.Context())
				_ = s.Close()
				if err == nil && len(jobs) == 1 {
					return jobs[0].ID
				}
			}
		}
		if err := (replay.WallClock{}).Sleep(t.Context(), 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// contents are the alerts of a store with their counts, and the ids of all findings.
func contents(t *testing.T, db string) map[string]int64 {
	t.Helper()
	s, err := sqlite.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // it was read
	out := map[string]int64{}
	for a, err := range s.Alerts(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		out[string(a.ID)] = a.Count
		for f, err := range s.Findings(t.Context(), a.Tenant, a.ID) {
			if err != nil {
				t.Fatal(err)
			}
			out[string(f.ID)]++
		}
	}
	return out
}

package sqlite

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

// The environment of a test process that plays another user of the store.
const (
	childPath = "ASSAY_TEST_STORE"       // the store to write to
	childSeed = "ASSAY_TEST_STORE_ORDER" // the order in which to write, or "" for that of the input
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		if err := write(context.Background(), path, os.Getenv(childSeed)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// input are the calls that every process makes: findings of some alerts, of two days, in calls of all sizes.
func input() [][]alert.Finding {
	r := rand.New(rand.NewPCG(17, 19))
	var calls [][]alert.Finding
	for n := 0; n < 400; {
		key := fmt.Sprintf("key-%d", r.IntN(9))
		var fs []alert.Finding
		for range 1 + r.IntN(12) {
			// Some come again later.
			fs = append(fs, made(max(0, n-r.IntN(3)*r.IntN(40)), key))
			n++
		}
		calls = append(calls, fs)
	}
	return calls
}

// write records the input and says so after each call.
func write(ctx context.Context, path, seed string) error {
	s, err := Open(ctx, path)
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // what is recorded is recorded
	calls := input()
	if seed != "" {
		n, err := strconv.ParseUint(seed, 10, 64)
		if err != nil {
			return err
		}
		rand.New(rand.NewPCG(n, 23)).Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
	}
	for _, fs := range calls {
		if _, err := s.Record(ctx, fs); err != nil {
			return err
		}
		fmt.Println("recorded")
	}
	return nil
}

func child(t *testing.T, path, seed string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childPath+"="+path, childSeed+"="+seed)
	cmd.Stderr = os.Stderr
	return cmd
}

// A process that is killed over and over and starts from the beginning each time ends where an undisturbed one does.
func TestKillingChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	calm, killed := filepath.Join(dir, "calm.db"), filepath.Join(dir, "killed.db")
	if err := child(t, calm, "").Run(); err != nil {
		t.Fatal(err)
	}
	const kills = 15
	total := len(input())
	r := rand.New(rand.NewPCG(29, 31))
	for i := range kills {
		cmd := child(t, killed, "")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		// Later kills come later, so that each meets calls that are new; the first can meet the schema being made.
		for range i * total / kills {
			if !lines.Scan() {
				break
			}
		}
		for range r.IntN(200) {
			runtime.Gosched() // some instant within the next calls
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		consistent(t, killed)
	}
	if err := child(t, killed, "").Run(); err != nil {
		t.Fatal(err)
	}
	if got, want := dump(t, open(t, killed)), dump(t, open(t, calm)); got != want {
		t.Errorf("the store that was killed %d times differs:\n%s\n%s", kills, got, want)
	}
}

// Several processes that make one store at once and write the same findings to it in different orders count them once.
func TestSeveralProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	alone, shared := filepath.Join(dir, "alone.db"), filepath.Join(dir, "shared.db")
	var group sync.WaitGroup
	group.Go(func() {
		if err := child(t, alone, "").Run(); err != nil {
			t.Errorf("alone: %v", err)
		}
	})
	for seed := range 4 {
		group.Go(func() {
			if err := child(t, shared, strconv.Itoa(seed)).Run(); err != nil {
				t.Errorf("process %d: %v", seed, err)
			}
		})
	}
	group.Wait()
	consistent(t, shared)
	want := list(t, open(t, alone))
	got := list(t, open(t, shared))
	if len(got) != len(want) {
		t.Fatalf("%d alerts, want %d", len(got), len(want))
	}
	for i := range got {
		if g, w := text(t, got[i]), text(t, want[i]); g != w {
			t.Errorf("alert %d:\n got %s\nwant %s", i, g, w)
		}
	}
}

// consistent checks that the file is sound and that every alert agrees with its findings.
func consistent(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		return // killed before it was made
	}
	s := open(t, path)
	var verdict string
	if err := s.read.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("the file is not sound: %s, %v", verdict, err)
	}
	for _, a := range list(t, s) {
		var n, evidenced int64
		for f, err := range s.Findings(t.Context(), a.Tenant, a.ID) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; f.RecordHash != "" {
				evidenced++
			}
		}
		if n != a.Count || evidenced != min(n, alert.MaxEvidenced) {
			t.Errorf("alert %s counts %d findings and has %d, %d of them with evidence", a.ID, a.Count, n, evidenced)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func list(t *testing.T, s *Store) []alert.Alert {
	t.Helper()
	var out []alert.Alert
	for a, err := range s.Alerts(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

// dump returns everything in the store as JSON lines.
func dump(t *testing.T, s *Store) string {
	t.Helper()
	var b strings.Builder
	for _, a := range list(t, s) {
		b.WriteString(text(t, a) + "\n")
		for f, err := range s.Findings(t.Context(), a.Tenant, a.ID) {
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString(text(t, f) + "\n")
		}
	}
	for item, err := range s.SetAsides(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(text(t, item) + "\n")
	}
	return b.String()
}

func text(t *testing.T, x any) string {
	t.Helper()
	b, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

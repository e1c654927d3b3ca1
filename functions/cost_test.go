package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/bench/corpus"
)

// cost asks for the measurements. They need a quiet machine, so the ordinary tests leave them out.
var cost = flag.Bool("cost", false, "measure starts, memory and CPU of the executable, and hold them to their bounds")

// served is the production executable, serving.
type served struct {
	t     *testing.T
	cmd   *exec.Cmd
	url   string
	first time.Duration // from exec to the first answer
	start time.Time
}

// serveExecutable starts the executable on a new store. Its lines go to out; nil: nowhere.
func serveExecutable(t *testing.T, exe string, out io.Writer) *served {
	t.Helper()
	return startOn(t, exe, filepath.Join(t.TempDir(), "assay.db"), out)
}

// startOn starts the executable on the store at the path.
func startOn(t *testing.T, exe, store string, out io.Writer) *served {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	s := &served{t: t, cmd: exec.CommandContext(t.Context(), exe, "serve"), url: "http://127.0.0.1:" + port}
	s.cmd.Env = append(os.Environ(), azfunc.PortVariable+"="+port, app.SettingStore+"=sqlite:"+store)
	s.cmd.Stdout = out
	s.start = time.Now()
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
	for {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil { //nolint:noctx // on this machine
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			line, err := bufio.NewReader(conn).ReadString('\n')
			_ = conn.Close()
			if err == nil && strings.Contains(line, " 204 ") {
				break
			}
		}
		if time.Since(s.start) > 20*time.Second {
			t.Fatal("it does not answer")
		}
		time.Sleep(200 * time.Microsecond)
	}
	s.first = time.Since(s.start)
	return s
}

func (s *served) post(body []byte) {
	s.t.Helper()
	resp, err := http.Post(s.url+"/signin", "application/json", bytes.NewReader(body)) //nolint:noctx // on this machine
	if err != nil {
		s.t.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.t.Errorf("a batch is answered with %d", resp.StatusCode)
	}
}

// memory returns resident and peak memory in bytes, as the kernel counts them.
func (s *served) memory() (resident, peak int64) {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Skip("this system does not tell the memory of a process in /proc")
	}
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "VmRSS:":
			resident = n << 10
		case "VmHWM:":
			peak = n << 10
		}
	}
	return resident, peak
}

// end kills the process and returns the processor time that it has used, as the kernel accounts for it when it is waited for.
func (s *served) end() time.Duration {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	return s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()
}

// posted returns the processor time of a process that was started, answered each body so many times, and was killed.
func posted(t *testing.T, exe string, bodies [][]byte, times int) time.Duration {
	t.Helper()
	s := serveExecutable(t, exe, nil)
	for range times {
		for _, body := range bodies {
			s.post(body)
		}
	}
	return s.end()
}

// hashing returns the time that one SHA-256 of the text takes here: the least of several rounds, for others disturb each.
func hashing(payload []byte) time.Duration {
	least := time.Hour
	rounds := max(1, 8<<20/len(payload))
	for range 8 {
		began := time.Now()
		for range rounds {
			_ = sha256.Sum256(payload)
		}
		least = min(least, time.Since(began)/time.Duration(rounds))
	}
	return least
}

// requestBody makes a request of the host with the records in so many messages.
func requestBody(t *testing.T, records []string, messages int, base64ed bool) []byte {
	t.Helper()
	each := len(records) / messages
	list := make([]string, messages)
	for i := range list {
		m := `{"records":[` + strings.Join(records[i*each:(i+1)*each], ",") + `]}`
		if base64ed {
			m = base64.StdEncoding.EncodeToString([]byte(m))
		}
		list[i] = m
	}
	return []byte(`{"Data":{"events":` + text(t, text(t, list)) + `},"Metadata":{"PartitionContext":{"EventHubName":"signins","PartitionId":"0"}}}`)
}

func bound(t *testing.T, what string, got, most float64, unit string) {
	t.Helper()
	t.Logf("%-58s %8.1f %s (bound %.4g)", what, got, unit, most)
	if got > most {
		t.Errorf("%s: %.1f %s are more than %.4g", what, got, unit, most)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// emptyServer builds a server of the standard library alone that answers the host's question whether it is there.
func emptyServer(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "empty")
	if err := compile(t.Context(), exe, "./testdata/empty"); err != nil {
		t.Fatal(err)
	}
	return exe
}

func median[T float64 | time.Duration](list []T) T {
	slices.Sort(list)
	return list[len(list)/2]
}

const mega = 1e6

// The executable stays small whatever is linked: the host loads it at every cold start, and all of it that runs is resident.
// gRPC, which OpenTelemetry's own exporters bring, takes a quarter of it.
func TestExecutable(t *testing.T) {
	exe := build(t)
	info, err := os.Stat(exe)
	if err != nil {
		t.Fatal(err)
	}
	bound(t, "executable", float64(info.Size())/mega, 30, "MB")
	linked, err := buildinfo.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range linked.Deps {
		if m.Path == "google.golang.org/grpc" {
			t.Errorf("%s is linked", m.Path)
		}
	}
}

func TestCost(t *testing.T) {
	if !*cost {
		t.Skip("make bench asks for it")
	}
	exe := build(t)
	t.Logf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	records := corpus.Records(3, 4096)

	t.Run("start", func(t *testing.T) {
		// A cold start finds the store of the starts before it. The machine's share is what a server takes that does nothing.
		body := requestBody(t, records[:16], 16, true)
		empty := emptyServer(t)
		store := filepath.Join(t.TempDir(), "assay.db")
		made := startOn(t, exe, store, nil)
		made.post(body)
		t.Logf("the very first start, which makes the store: first answered batch %.1f ms", milliseconds(time.Since(made.start)))
		made.end()
		var nothing, first, batch, idle, spent []float64
		for range 11 {
			floor := startOn(t, empty, "", nil)
			nothing = append(nothing, milliseconds(floor.first))
			floor.end()
			s := startOn(t, exe, store, nil)
			s.post(body)
			batch = append(batch, milliseconds(time.Since(s.start)))
			first = append(first, milliseconds(s.first))
			resident, _ := s.memory()
			idle = append(idle, float64(resident)/mega)
			spent = append(spent, milliseconds(s.end()))
		}
		// Whatever else runs on the machine only delays: the quickest start is the one that was disturbed least.
		t.Logf("CPU from exec to the first answered batch: least of 11 %.1f ms, median %.1f ms", slices.Min(spent), median(spent))
		t.Logf("a server that does nothing: first answer least of 11 %.1f ms, median %.1f ms", slices.Min(nothing), median(nothing))
		t.Logf("medians: first answer %.1f ms, first answered batch %.1f ms", median(first), median(batch))
		bound(t, "exec to first answer, quickest of 11", slices.Min(first), 25, "ms")
		bound(t, "exec to first answered batch, quickest of 11", slices.Min(batch), 40, "ms")
		bound(t, "resident after one batch, median of 11", median(idle), 25, "MB")
	})
	t.Run("100,000 events", func(t *testing.T) {
		s := serveExecutable(t, exe, nil)
		var all [][]byte
		for i := 0; i+64 <= len(records); i += 64 {
			all = append(all, requestBody(t, records[i:i+64], 64, true))
		}
		for i := range 100_000/64 + 1 {
			s.post(all[i%len(all)])
		}
		resident, peak := s.memory()
		t.Logf("peak %.1f MB", float64(peak)/mega)
		bound(t, "resident after 100,000 events, 64 a batch", float64(resident)/mega, 60, "MB")
	})
	t.Run("16 bodies of 13 MB", func(t *testing.T) {
		s := serveExecutable(t, exe, nil)
		big := requestBody(t, records[:2700], 270, true)
		t.Logf("each body has %.1f MB", float64(len(big))/mega)
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() { s.post(big) })
		}
		all.Wait()
		_, peak := s.memory()
		bound(t, "peak with 16 large bodies in flight", float64(peak)/mega, 256, "MB")
	})
	t.Run("CPU", func(t *testing.T) {
		// Every size gets the same records, so that none has more findings than another. Messages hold a record each, which is
		// the dearest for a byte, or twelve, as those that the targets were set with.
		same := records[:3072]
		payload := strings.Join(same, ",")
		for _, each := range []int{1, 12} {
			for _, base64ed := range []bool{false, true} {
				var flat []float64
				for _, messages := range []int{16, 64, 256} {
					var bodies [][]byte
					for part := range slices.Chunk(same, messages*each) {
						bodies = append(bodies, requestBody(t, part, messages, base64ed))
					}
					const warm, measured = 4, 16
					var used []time.Duration
					hashed := time.Hour
					for range 3 {
						hashed = min(hashed, hashing([]byte(payload[:len(payload)/len(bodies)])))
						used = append(used, (posted(t, exe, bodies, warm+measured)-posted(t, exe, bodies, warm))/measured)
					}
					least := float64(slices.Min(used)) // the least is the one that was disturbed least
					flat = append(flat, least)
					t.Logf("a batch of %.2f MB takes least %.2f ms, median %.2f ms of CPU", float64(len(payload)/len(bodies))/mega,
						least/float64(len(bodies))/mega, float64(median(used))/float64(len(bodies))/mega)
					bound(t, fmt.Sprintf("CPU over sha256, %d messages of %d, base64 %t", messages, each, base64ed), least/float64(len(bodies))/float64(hashed), 10, "x")
				}
				bound(t, fmt.Sprintf("dearest over cheapest, 16 to 256 messages of %d, base64 %t", each, base64ed),
					slices.Max(flat)/slices.Min(flat), 1.6, "x")
			}
		}
	})
}

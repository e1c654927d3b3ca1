// Package peers starts servers and runs programs that others wrote, so that tests can hold Assay against them: on
// 127.0.0.1, in memory, and ended with the test. They are npm packages of fixed versions (package.json); `make peers`
// installs them and runs the tests, which have the build tag peers.
//
// It knows how to start a peer and how to reach it. What is tested against it stands in the tests beside.
package peers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a peer may take to answer on a busy machine.
const patience = 90 * time.Second

// Dir is the folder of the peers: of their scripts and of node_modules.
func Dir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

// Node runs a script of the folder to its end with the input and returns what it printed. The test fails if the script does.
func Node(t testing.TB, script string, input io.Reader, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", append([]string{script}, args...)...) //nolint:gosec // scripts of this folder
	cmd.Dir, cmd.Stdin = Dir(), input
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("node %s: %v\n%s", script, err, problems.String())
	}
	return out.Bytes()
}

// Start runs a script that serves, until the test ends, and returns once all the addresses answer.
func Start(t testing.TB, addresses []string, script string, args ...string) {
	t.Helper()
	// The process outlives the test's context, which ends before its clean-up: it is killed by that.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "node", append([]string{script}, args...)...) //nolint:gosec // scripts of this folder
	cmd.Dir = Dir()
	output := &tail{}
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", script, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed, and says so
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone
		<-ended
		if t.Failed() {
			t.Logf("%s printed last:\n%s", script, output)
		}
	})
	for _, address := range addresses {
		if err := wait(t.Context(), address, ended); err != nil {
			t.Fatalf("start %s: %v\n%s", script, err, output)
		}
	}
}

// wait returns once the address takes connections.
func wait(ctx context.Context, address string, ended <-chan struct{}) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ended:
			return fmt.Errorf("it ended before %s answered", address)
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", address, err)
		case <-again.C:
		}
	}
}

// Addresses returns n addresses on 127.0.0.1 that are free.
func Addresses(t testing.TB, n int) []string {
	t.Helper()
	var all []string
	for range n {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() //nolint:errcheck // only its address was wanted
		all = append(all, l.Addr().String())
	}
	return all
}

// Port returns the port of an address.
func Port(t testing.TB, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		t.Fatal(err)
	}
	return port
}

// tail keeps the last of what a process prints.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	if over := len(w.text) - 16<<10; over > 0 {
		w.text = append(w.text[:0], w.text[over:]...)
	}
	return len(p), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSpace(string(w.text))
}

// Azurite is Microsoft's emulator of Azure Storage.
type Azurite struct {
	BlobURL, QueueURL string // with the account's name, without a slash at the end
	ConnectionString  string
}

// The account of the emulator. Its key is published, and opens nothing else.
const (
	azuriteAccount = "devstoreaccount1"
	azuriteKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// StartAzurite starts one that keeps everything in memory.
func StartAzurite(t testing.TB) Azurite {
	t.Helper()
	at := Addresses(t, 3)
	// A table service is started only to be out of the way of its fixed port.
	Start(t, at[:2], "node_modules/azurite/dist/src/azurite.js", "--inMemoryPersistence", "--disableTelemetry", "--silent",
		"--blobPort", Port(t, at[0]), "--queuePort", Port(t, at[1]), "--tablePort", Port(t, at[2]))
	a := Azurite{BlobURL: "http://" + at[0] + "/" + azuriteAccount, QueueURL: "http://" + at[1] + "/" + azuriteAccount}
	a.ConnectionString = "DefaultEndpointsProtocol=http;AccountName=" + azuriteAccount + ";AccountKey=" + azuriteKey +
		";BlobEndpoint=" + a.BlobURL + ";QueueEndpoint=" + a.QueueURL + ";"
	return a
}

// Main runs the tests of a package against peers, or skips them aloud where the peers are not installed.
func Main(m *testing.M) {
	if _, err := os.Stat(filepath.Join(Dir(), "node_modules", ".package-lock.json")); err != nil {
		fmt.Fprintln(os.Stderr, "skipped: the peers are not installed; make peers does it")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/cli"
)

// session is a run of assay dev. Its output is read line by line.
type session struct {
	t     *testing.T
	lines chan string
	seen  []string
	ended chan int
	stop  context.CancelFunc
	errs  lockedBuffer
}

func dev(t *testing.T, args ...string) *session {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	s := &session{t: t, lines: make(chan string, 1000), ended: make(chan int, 1), stop: cancel}
	sys := cli.Process("test")
	sys.Out, sys.Err = write, &s.errs
	go func() {
		code := cli.Main(ctx, sys, append([]string{"dev"}, args...))
		_ = write.Close()
		s.ended <- code
	}()
	go func() {
		defer close(s.lines)
		for scan := bufio.NewScanner(read); scan.Scan(); {
			s.lines <- scan.Text()
		}
	}()
	t.Cleanup(cancel)
	return s
}

// wait returns the next line that matches.
func (s *session) wait(pattern string) string {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(time.Minute)
	for {
		select {
		case line, ok := <-s.lines:
			s.seen = append(s.seen, line)
			if re.MatchString(line) {
				return line
			}
			if !ok {
				s.t.Fatalf("no line like %q in\n%s\n%s", pattern, strings.Join(s.seen, "\n"), s.complaints())
			}
		case <-deadline:
			s.t.Fatalf("no line like %q yet in\n%s\n%s", pattern, strings.Join(s.seen, "\n"), s.complaints())
		}
	}
}

func (s *session) complaints() string {
	s.errs.mu.Lock()
	defer s.errs.mu.Unlock()
	return s.errs.b.String()
}

func (s *session) interrupt() {
	s.t.Helper()
	s.stop()
	select {
	case code := <-s.ended:
		if code != 0 {
			s.t.Errorf("Ctrl-C ends it with %d:\n%s", code, s.complaints())
		}
	case <-time.After(time.Minute):
		s.t.Fatal("it does not end")
	}
}

// The entire app on this machine: the executable behind the local host, files and posts as sources, a line per alert.
func TestDev(t *testing.T) {
	exe := build(t)
	root := appRoot(t, exe, 32)
	db := filepath.Join(t.TempDir(), "assay.db")
	file := filepath.Join(t.TempDir(), "tokens.jsonl")
	hostile := strings.Replace(observation(1), `"api://orders-1"`, `"api://\u001b[2Jorders"`, 1)
	hostile = strings.Replace(hostile, `"o-1"`, `"o-hostile"`, 1)
	if err := os.WriteFile(file, []byte(observation(1)+"\n{broken\n"+observation(2)+"\n"+hostile+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := dev(t, "--app", root, "--store", db, "--address", "127.0.0.1:0", "--hub", "signins", file)
	url := strings.Fields(s.wait(`^signin\s+POST\s+http://127\.0\.0\.1:\d+/hubs/signins/messages$`))[2]
	s.wait(`^CRITICAL .* new  token-`)
	s.wait(`^3 records of the files went through signins`)
	if !strings.Contains(s.complaints(), "tokens.jsonl:2") {
		t.Errorf("it does not tell of the broken line: %s", s.complaints())
	}
	resp, err := http.Post(url, "application/json", strings.NewReader(strings.Replace(observation(1), `"o-1"`, `"o-x"`, 1))) //nolint:noctx // on this machine
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Errorf("posting an event: %d", resp.StatusCode)
	}
	s.wait(`  \+1  token-`)
	s.interrupt()
	if all := strings.Join(s.seen, "\n") + s.complaints(); strings.Contains(all, "\x1b[2J") {
		t.Error("an escape sequence of an event reached the terminal")
	}

	again := dev(t, "--app", root, "--store", db, "--address", "127.0.0.1:0", file)
	again.wait(`went through mailbox`)
	for _, line := range again.seen {
		if strings.Contains(line, " new  token-") {
			t.Errorf("what is known is shown as new: %s", line)
		}
	}
	again.interrupt()
}

// A smoke test goes through the entire app, even where the hub is another tenant's.
func TestSmoke(t *testing.T) {
	config := filepath.Join(t.TempDir(), "assay.yaml")
	if err := os.WriteFile(config, []byte("hubs:\n  signins: {tenants: [8f1d6c3a-52e7-4b90-9c0e-6a4d17f2b385]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := appRoot(t, build(t), 32)
	for _, f := range []string{"alerts", "health"} {
		if err := os.CopyFS(filepath.Join(root, f), os.DirFS(f)); err != nil {
			t.Fatal(err)
		}
	}
	s := dev(t, "--app", root, "--store", filepath.Join(t.TempDir(), "assay.db"), "--address", "127.0.0.1:0", "--config", config)
	hub := strings.Fields(s.wait(`^signin\s+POST\s+http://127\.0\.0\.1:\d+/hubs/signins/messages$`))[2]
	api, _, _ := strings.Cut(hub, "/hubs/")

	sys := cli.Process("test")
	var out, errs bytes.Buffer
	sys.Out, sys.Err = &out, &errs
	if code := cli.Main(t.Context(), sys, []string{"smoke", "--api", api, "--hub", hub, "--patience", "1m"}); code != 0 {
		t.Fatalf("exit code %d: %s%s", code, out.String(), errs.String())
	}
	if !regexp.MustCompile(`(?s)^health .* s.*event sent .* s.*alert .* s  \d{8}-[a-z2-7]{26}\n$`).MatchString(out.String()) {
		t.Errorf("it prints\n%s", out.String())
	}
	s.wait(`^CRITICAL .* new  token-kid-known-bad`)
	s.interrupt()
}

func TestDevRefuses(t *testing.T) {
	root := appRoot(t, "assay", 32)
	broken := filepath.Join(t.TempDir(), "assay.yaml")
	if err := os.WriteFile(broken, []byte("tenant: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(t.TempDir(), "assay.db")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"host.json", []string{"--store", db}},
		{"host.json", []string{"--store", db, "--app", t.TempDir()}},
		{"keeps no alerts", []string{"--app", root, "--store", "none"}},
		{"assay.yaml:1", []string{"--app", root, "--store", db, "--config", broken}},
		{"mailbox, signins", []string{"--app", root, "--store", db, "--address", "127.0.0.1:0", "--hub", "nowhere"}},
	} {
		s := dev(t, c.args...)
		if code := <-s.ended; code != 1 || !strings.Contains(s.complaints(), c.want) {
			t.Errorf("%v: exit code %d, %s", c.args, code, s.complaints())
		}
	}
}

package azfunc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkColdStart measures from exec to the first answer of the ping, as the host sends it every 25 ms, here without
// a pause, and to the answer of the first invocation.
func BenchmarkColdStart(b *testing.B) {
	exe := filepath.Join(b.TempDir(), "hello")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", exe, "./testdata/hello")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	info, err := os.Stat(exe)
	if err != nil {
		b.Fatal(err)
	}
	body, err := os.ReadFile("testdata/invocations/eventhub-many-binary.json")
	if err != nil {
		b.Fatal(err)
	}
	var pings, invocations []time.Duration
	for b.Loop() {
		ping, invocation := coldStart(b, exe, body)
		pings, invocations = append(pings, ping), append(invocations, invocation)
	}
	ms := func(d []time.Duration) float64 {
		return float64(slices.Sorted(slices.Values(d))[len(d)/2].Microseconds()) / 1e3
	}
	b.ReportMetric(ms(pings), "ms-to-first-200")
	b.ReportMetric(ms(invocations), "ms-to-first-invocation")
	b.ReportMetric(float64(info.Size())/1e6, "MB-binary")
}

func coldStart(b *testing.B, exe string, body []byte) (ping, invocation time.Duration) {
	b.Helper()
	var c net.ListenConfig
	ln, err := c.Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	_ = ln.Close()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), PortVariable+"="+port)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	send := func(method, path string) error {
		r, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1:"+port+path, bytes.NewReader(body))
		if err != nil {
			return err
		}
		resp, err := client.Do(r)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode/100 != 2 {
			err = errors.Join(err, fmt.Errorf("status %d", resp.StatusCode))
		}
		return errors.Join(err, resp.Body.Close())
	}
	for send(http.MethodGet, "/") != nil {
		if ctx.Err() != nil {
			b.Fatal("the handler does not answer")
		}
	}
	ping = time.Since(began)
	if err := send(http.MethodPost, "/hello"); err != nil {
		b.Fatal(err)
	}
	return ping, time.Since(began)
}

// BenchmarkInvocation measures what the protocol costs for a body of 13 MB, beside reading it off the wire.
func BenchmarkInvocation(b *testing.B) {
	const size = 13 << 20
	inner := map[string]string{
		"base64": `[\"` + strings.Repeat("eyJyZWNvcmRzIjpbXX0A", size/20) + `\"]`,
		"double": `[\"` + strings.Repeat(`{\\\"records\\\":[{\\\"category\\\":\\\"SignInLogs\\\"}]}`, size/56) + `\"]`,
	}
	for form, payload := range inner {
		body := `{"Data":{"e":"` + payload + `"},"Metadata":{"SequenceNumberArray":"[1]"}}`
		for _, sized := range []bool{true, false} {
			b.Run(form+"/length="+strconv.FormatBool(sized), func(b *testing.B) {
				s := New(Options{Build: func(context.Context) (*Routes, error) {
					var r Routes
					r.Function("f", HandlerFunc(func(context.Context, *Invocation) (*Result, error) { return nil, nil }))
					return &r, nil
				}})
				if err := s.start(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					var r io.Reader = strings.NewReader(body)
					if !sized {
						r = io.MultiReader(r)
					}
					w := httptest.NewRecorder()
					s.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/f", r))
					if w.Code != http.StatusOK {
						b.Fatal(w.Code)
					}
				}
			})
		}
	}
}

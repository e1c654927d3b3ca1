package azfunc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// all returns the lines as JSON objects.
func (l *lines) all(t *testing.T) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []map[string]any
	for d := json.NewDecoder(bytes.NewReader(l.buf.Bytes())); ; {
		var line map[string]any
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatalf("log: %v\n%s", err, l.buf.String())
		}
		out = append(out, line)
	}
}

// text returns a member of a line as text.
func text(line map[string]any, key string) string { return fmt.Sprint(line[key]) }

// serving returns a server with routes, ready to answer, and its log.
func serving(t *testing.T, o Options, register func(r *Routes)) (*Server, *lines) {
	t.Helper()
	log := &lines{}
	o.Logger = NewLogger(log, nil)
	o.Build = func(context.Context) (*Routes, error) {
		var r Routes
		register(&r)
		return &r, nil
	}
	s := New(o)
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, log
}

func post(ctx context.Context, s *Server, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(body))
	r.Header.Set(HeaderInvocationID, "inv-1")
	r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

const emptyInvocation = `{"Data":{"e":"[]"},"Metadata":{"RetryContext":{"MaxRetryCount":-1,"RetryCount":2}}}`

func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		name    string
		handler HandlerFunc
		body    string
		status  int
		want    string // the answer
		logged  string // a part of the error
	}{
		{
			"no result", func(context.Context, *Invocation) (*Result, error) { return nil, nil }, emptyInvocation,
			200, `{"Outputs":{},"Logs":[],"ReturnValue":null}`, "",
		},
		{"result", func(context.Context, *Invocation) (*Result, error) {
			return &Result{Outputs: map[string]any{"q": []int{1}}, Logs: []string{"two findings"}, ReturnValue: 7}, nil
		}, emptyInvocation, 200, `{"Outputs":{"q":[1]},"Logs":["two findings"],"ReturnValue":7}`, ""},
		{"error", func(context.Context, *Invocation) (*Result, error) {
			return &Result{Logs: []string{"lost"}}, errors.New("store is out of reach")
		}, emptyInvocation, 500, "", "store is out of reach"},
		{
			"panic", func(context.Context, *Invocation) (*Result, error) { panic("boom") }, emptyInvocation,
			500, "", "panic: boom",
		},
		{"nil pointer", func(_ context.Context, in *Invocation) (*Result, error) {
			var r *Retry
			return nil, fmt.Errorf("never %d", r.Count)
		}, emptyInvocation, 500, "", "nil pointer"},
		{"bare string", func(context.Context, *Invocation) (*Result, error) {
			return &Result{Outputs: map[string]any{"q": "abcd"}}, nil
		}, emptyInvocation, 500, "", `output "q": an output must be`},
		{"bare return value", func(context.Context, *Invocation) (*Result, error) {
			return &Result{ReturnValue: "abcd"}, nil
		}, emptyInvocation, 500, "", "return value: an output must be"},
		{"not to be marshalled", func(context.Context, *Invocation) (*Result, error) {
			return &Result{ReturnValue: func() {}}, nil
		}, emptyInvocation, 500, "", "unsupported type"},
		{"not an invocation", nil, `{"Data":`, 400, "", "parse invocation of signin"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, log := serving(t, Options{}, func(r *Routes) { r.Function("signin", tc.handler) })
			w := post(t.Context(), s, "/signin", tc.body)
			if w.Code != tc.status {
				t.Errorf("status %d, want %d", w.Code, tc.status)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json; charset=utf-8" {
				t.Errorf("media type %q", got)
			}
			if !json.Valid(w.Body.Bytes()) || !strings.HasPrefix(w.Body.String(), "{") {
				t.Errorf("the answer is no JSON object: %q", w.Body)
			}
			if tc.want != "" && w.Body.String() != tc.want {
				t.Errorf("got %s, want %s", w.Body, tc.want)
			}
			all := log.all(t)
			if tc.logged == "" {
				if len(all) != 0 {
					t.Errorf("logged %v", all)
				}
				return
			}
			if len(all) != 1 || !strings.Contains(text(all[0], "error"), tc.logged) ||
				all[0]["invocationId"] != "inv-1" || all[0]["function"] != "signin" || all[0]["level"] != "ERROR" ||
				all[0]["traceId"] != "4bf92f3577b34da6a3ce929d0e0e4736" {
				t.Errorf("logged %v", all)
			}
			if tc.status == 500 && all[0]["retryCount"] != 2.0 {
				t.Errorf("retryCount is %v", all[0]["retryCount"])
			}
			if strings.Contains(w.Body.String(), tc.logged) {
				t.Error("the answer tells the error")
			}
		})
	}
}

func TestRoutesAreExact(t *testing.T) {
	ok := HandlerFunc(func(context.Context, *Invocation) (*Result, error) { return nil, nil })
	s, _ := serving(t, Options{}, func(r *Routes) {
		r.Function("signin", ok)
		r.HTTP("GET /api/alerts/{id}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.PathValue("id"))
		}))
		r.HTTP("/api/health", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
		}))
	})
	for _, tc := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"POST", "/signin", 200, ""},
		{"GET", "/signin", 405, ""},
		{"POST", "/signin/", 404, ""},
		{"POST", "//signin", 404, ""},
		{"POST", "/Signin", 404, ""},
		{"POST", "/signin/more", 404, ""},
		{"POST", "/", 404, ""},
		{"GET", "/", 204, ""},
		{"HEAD", "/", 204, ""},
		{"GET", "/api/alerts/20260301-a", 200, "20260301-a"},
		{"GET", "/api/alerts/a%2Fb?code=secret", 200, "a/b"},
		{"PATCH", "/api/alerts/a", 405, ""},
		{"GET", "/api/alerts/a/", 404, ""},
		{"GET", "/api//alerts/a", 404, ""},
		{"GET", "/api/x/../alerts/a", 404, ""},
		{"GET", "/api/alerts", 404, ""},
		{"DELETE", "/api/health", 418, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tc.method, tc.path, strings.NewReader(emptyInvocation))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != tc.status || tc.body != "" && w.Body.String() != tc.body {
			t.Errorf("%s %s: %d %q, want %d %q", tc.method, tc.path, w.Code, w.Body, tc.status, tc.body)
		}
	}
}

func TestRoutesRefuse(t *testing.T) {
	h := HandlerFunc(nil)
	for _, tc := range []struct {
		want     string
		register func(r *Routes)
	}{
		{"not a name", func(r *Routes) { r.Function("sign in", h) }},
		{"not a name", func(r *Routes) { r.Function("Host", h) }},
		{"not a name", func(r *Routes) { r.Function("1st", h) }},
		{"twice", func(r *Routes) { r.Function("a", h); r.Function("a", h) }},
		{"exact path", func(r *Routes) { r.HTTP("GET /api/", http.NotFoundHandler()) }},
		{"exact path", func(r *Routes) { r.HTTP("/api/{rest...}", http.NotFoundHandler()) }},
		{"exact path", func(r *Routes) { r.HTTP("", http.NotFoundHandler()) }},
		{"conflicts", func(r *Routes) { r.HTTP("/a", http.NotFoundHandler()); r.HTTP("/a", http.NotFoundHandler()) }},
	} {
		s := New(Options{Build: func(context.Context) (*Routes, error) {
			var r Routes
			tc.register(&r)
			return &r, nil
		}})
		if err := s.start(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

func TestForwardedPanic(t *testing.T) {
	s, log := serving(t, Options{}, func(r *Routes) {
		r.HTTP("/api/early", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }))
		r.HTTP("/api/late", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"half":`)
			_ = http.NewResponseController(w).Flush()
			panic("boom")
		}))
	})
	srv := httptest.NewServer(s)
	defer srv.Close()
	get := func(path string) (status int, err error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := srv.Client().Do(r)
		if err != nil {
			return 0, err
		}
		defer func() { _ = resp.Body.Close() }()
		_, err = io.ReadAll(resp.Body)
		return resp.StatusCode, err
	}
	if status, err := get("/api/early?code=secret"); err != nil || status != 500 {
		t.Errorf("got %d, %v", status, err)
	}
	if _, err := get("/api/late"); err == nil {
		t.Error("half an answer ends as if it were whole")
	}
	if status, err := get("/"); err != nil || status != 204 {
		t.Errorf("after panics: %d, %v", status, err)
	}
	all := log.all(t)
	if len(all) != 2 || all[0]["function"] != "/api/early" || strings.Contains(fmt.Sprint(all), "secret") {
		t.Errorf("logged %v", all)
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		s, log := serving(t, Options{Deadline: time.Minute, Memory: 1}, func(r *Routes) {
			r.Function("obeys", HandlerFunc(func(ctx context.Context, _ *Invocation) (*Result, error) {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}))
			r.Function("stuck", HandlerFunc(func(context.Context, *Invocation) (*Result, error) {
				<-stuck
				return nil, nil
			}))
		})
		took := func(path string) time.Duration {
			began := time.Now()
			if w := post(t.Context(), s, path, emptyInvocation); w.Code != 500 {
				t.Errorf("%s: status %d", path, w.Code)
			}
			return time.Since(began)
		}
		if d := took("/obeys"); d != time.Minute {
			t.Errorf("one that obeys is answered after %v", d)
		}
		if d := took("/stuck"); d != time.Minute+grace {
			t.Errorf("one that is stuck is answered after %v", d)
		}
		// Its body is still in use, and the budget has room for one: the next waits until its own deadline.
		if d := took("/obeys"); d != time.Minute {
			t.Errorf("one that waits for memory is answered after %v", d)
		}
		close(stuck)
		synctest.Wait()
		if d := took("/obeys"); d != time.Minute {
			t.Errorf("answered after %v", d)
		}
		all := log.all(t)
		for i, want := range []string{"deadline", "did not return in time: the deadline", "wait for memory: the deadline", ""} {
			if !strings.Contains(text(all[i], "error"), want) {
				t.Errorf("line %d is %v, want %q", i, all[i], want)
			}
		}
	})
}

func TestRequestsWaitForTheApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := make(chan struct{})
		s := New(Options{
			Deadline: time.Minute, Logger: NewLogger(io.Discard, nil),
			Build: func(context.Context) (*Routes, error) {
				<-opened
				var r Routes
				r.Function("f", HandlerFunc(func(context.Context, *Invocation) (*Result, error) { return nil, nil }))
				return &r, nil
			},
		})
		built := make(chan error, 1)
		go func() { built <- s.start(t.Context()) }()

		began := time.Now()
		ping := httptest.NewRecorder()
		s.ServeHTTP(ping, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if ping.Code != 204 || time.Since(began) != 0 {
			t.Errorf("ping: %d after %v", ping.Code, time.Since(began))
		}
		if w := post(t.Context(), s, "/f", emptyInvocation); w.Code != 503 || time.Since(began) != time.Minute {
			t.Errorf("too early: %d after %v", w.Code, time.Since(began))
		}
		answered := make(chan int, 1)
		go func() { answered <- post(t.Context(), s, "/f", emptyInvocation).Code }()
		synctest.Wait()
		close(opened)
		if code := <-answered; code != 200 {
			t.Errorf("one that waited: %d", code)
		}
		if err := <-built; err != nil {
			t.Error(err)
		}
	})
}

func TestBodyOfUnknownLength(t *testing.T) {
	big := strings.Repeat("x", 9<<20+17)
	s, _ := serving(t, Options{Memory: 1 << 20}, func(r *Routes) {
		r.Function("f", HandlerFunc(func(_ context.Context, in *Invocation) (*Result, error) {
			if in.Data["e"] != Value(`"`+big+`"`) {
				return nil, errors.New("another body")
			}
			return nil, nil
		}))
	})
	for name, r := range map[string]io.Reader{
		"known":       strings.NewReader(`{"Data":{"e":"` + big + `"}}`),
		"chunked":     io.MultiReader(strings.NewReader(`{"Data":{"e":"`), strings.NewReader(big), strings.NewReader(`"}}`)),
		"data at end": iotest.DataErrReader(io.MultiReader(strings.NewReader(`{"Data":{"e":"` + big + `"}}`))),
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/f", r)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		if w.Code != 200 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

func TestBrokenBody(t *testing.T) {
	s, log := serving(t, Options{}, func(r *Routes) {
		r.Function("f", HandlerFunc(func(context.Context, *Invocation) (*Result, error) {
			t.Error("called")
			return nil, nil
		}))
	})
	half := `{"Data":{"e":"`
	for _, tc := range []struct {
		length int64
		body   io.Reader
	}{
		{100, strings.NewReader(half)},
		{-1, io.MultiReader(strings.NewReader(half), iotest.ErrReader(io.ErrUnexpectedEOF))},
		{100, io.MultiReader(strings.NewReader(half), iotest.ErrReader(errors.New("reset")))},
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/f", tc.body)
		req.ContentLength = tc.length
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		if w.Code != 500 {
			t.Errorf("status %d", w.Code)
		}
	}
	if all := log.all(t); len(all) != 3 || !strings.Contains(text(all[0], "error"), "read request body: unexpected EOF") {
		t.Errorf("logged %v", all)
	}
	if s.budget.used != 0 {
		t.Errorf("%d bytes stay charged", s.budget.used)
	}
}

func TestServe(t *testing.T) {
	listen := func() net.Listener {
		var c net.ListenConfig
		ln, err := c.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	quiet := NewLogger(io.Discard, nil)
	t.Run("an app that cannot start", func(t *testing.T) {
		broken := errors.New("no such rule")
		err := New(Options{Logger: quiet, Build: func(context.Context) (*Routes, error) { return nil, broken }}).
			Serve(t.Context(), listen())
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an app that panics", func(t *testing.T) {
		err := New(Options{Logger: quiet, Build: func(context.Context) (*Routes, error) { panic("boom") }}).
			Serve(t.Context(), listen())
		if !errors.Is(err, ErrPanic) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a listener that fails", func(t *testing.T) {
		ln := listen()
		_ = ln.Close()
		err := New(Options{Logger: quiet, Build: func(ctx context.Context) (*Routes, error) {
			<-ctx.Done()
			return &Routes{}, nil
		}}).Serve(t.Context(), ln)
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the end of the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ln := listen()
		ended := make(chan error, 1)
		s := New(Options{Logger: quiet, Build: func(context.Context) (*Routes, error) { return &Routes{}, nil }})
		go func() { ended <- s.Serve(ctx, ln) }()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+ln.Addr().String()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestListenWantsThePort(t *testing.T) {
	for value, want := range map[string]string{"": "is not set", "x": "invalid syntax", "99999": "out of range"} {
		t.Setenv(PortVariable, value)
		if value == "" {
			_ = os.Unsetenv(PortVariable)
		}
		if _, err := Listen(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", value, err)
		}
	}
	t.Setenv(PortVariable, "0")
	ln, err := Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	if host, _, _ := net.SplitHostPort(ln.Addr().String()); host != "127.0.0.1" {
		t.Errorf("listens on %s", host)
	}
}

func TestTraceID(t *testing.T) {
	for in, want := range map[string]string{
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": "4bf92f3577b34da6a3ce929d0e0e4736",
		"": "", "00-short-x-01": "", "00-4bf92f3577b34da6a3ce929d0e0e473\n-00f067aa0ba902b7-01": "",
	} {
		if got := traceID(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

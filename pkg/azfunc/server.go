package azfunc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

// PortVariable names the environment variable in which the host tells the port to listen on.
const PortVariable = "FUNCTIONS_CUSTOMHANDLER_PORT"

// Bounds of a server.
const (
	defaultMemory = 192 << 20

	// grace is what a handler has for returning after its deadline before it is answered for.
	grace = 15 * time.Second

	// headerTimeout is longer than .NET keeps a connection open without using it (one minute): a server that closes first
	// makes a request fail.
	headerTimeout = 5 * time.Minute

	shutdownTimeout = 5 * time.Second
)

// Reasons for which an invocation fails without its handler's doing.
var (
	ErrDeadline = errors.New("the deadline has passed")
	ErrPanic    = errors.New("panic")
)

// Options of a [Server].
type Options struct {
	// Build makes the routes. It is called once, when the server already listens: the host pings until someone answers,
	// and gives up after a while. Requests wait for it until their deadline. Its error ends Serve. The context lasts as
	// long as the server.
	Build func(ctx context.Context) (*Routes, error)

	// Deadline is how long a call may take, waiting included. It has to be well below functionTimeout in host.json, since
	// the host kills the process when that is over, with all calls in flight. Zero: four fifths of it where an app setting
	// says it, see TimeoutVariable, and DefaultDeadline at most.
	Deadline time.Duration

	// Memory bounds the memory for bodies in flight, in bytes. Further ones wait; none is refused for its size.
	// Zero: three quarters of GOMEMLIMIT, or 192 MiB if there is none.
	Memory int64

	// Logger gets a line for each call that failed. Nil: JSON on standard output, from level Info on.
	Logger *slog.Logger
}

// Server serves the host's requests. Make it with [New].
type Server struct {
	build    func(ctx context.Context) (*Routes, error)
	deadline time.Duration
	budget   *budget
	blocks   blocks
	log      *slog.Logger

	ready  chan struct{} // closed when routes is set
	routes *Routes
}

// New returns a server. It does nothing before Serve.
func New(o Options) *Server {
	s := &Server{
		build: o.Build, deadline: o.Deadline, budget: newBudget(o.Memory), log: o.Logger, ready: make(chan struct{}),
	}
	if s.deadline == 0 {
		s.deadline = ownDeadline(os.Environ())
	}
	if s.budget.limit == 0 {
		s.budget.limit = defaultMemory
		if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
			s.budget.limit = limit / 4 * 3
		}
	}
	if s.log == nil {
		s.log = NewLogger(os.Stdout, slog.LevelInfo)
	}
	return s
}

// Run serves the host on the port that it names in the environment. See [Server.Serve] for when it returns.
//
// The caller has to exit with a code other than 0 and 200 after an error: the host takes 0 for intended and leaves the
// app without a handler, and counts 200 as a wish to be started again.
func Run(ctx context.Context, o Options) error {
	ln, err := Listen(ctx)
	if err != nil {
		return err
	}
	return New(o).Serve(ctx, ln)
}

// Listen opens the port that the host names in the environment, on the loopback interface.
func Listen(ctx context.Context) (net.Listener, error) {
	text := os.Getenv(PortVariable)
	if text == "" {
		return nil, fmt.Errorf("listen for the Functions host: %s is not set", PortVariable)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen for the Functions host: %s=%q: %w", PortVariable, text, err)
	}
	var c net.ListenConfig
	ln, err := c.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.FormatUint(port, 10)))
	if err != nil {
		return nil, fmt.Errorf("listen for the Functions host: %w", err)
	}
	return ln, nil
}

// Serve answers requests on ln, which it closes. It returns nil after the context is over, which happens only outside
// Azure: the host kills its handler. Every other return is an error.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	web := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(ln) }()

	built := make(chan error, 1)
	go func() { built <- s.start(ctx) }()

	for {
		select {
		case err := <-built:
			if err != nil {
				_ = web.Close()
				return err
			}
			built = nil
		case err := <-served:
			return fmt.Errorf("serve: %w", err)
		case <-ctx.Done():
			stop, done := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
			defer done()
			if web.Shutdown(stop) != nil {
				_ = web.Close()
			}
			return nil
		}
	}
}

// start builds the routes and lets the waiting requests go on.
func (s *Server) start(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("build routes: %w: %v\n%s", ErrPanic, p, debug.Stack())
		}
	}()
	routes, err := s.build(ctx)
	if err == nil {
		err = routes.err()
	}
	if err != nil {
		return fmt.Errorf("build routes: %w", err)
	}
	s.routes = routes
	close(s.ready)
	return nil
}

// ServeHTTP answers one request of the host.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		w.WriteHeader(http.StatusNoContent) // the host's ping: any answer means "I am here"
		return
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), s.deadline, ErrDeadline)
	defer cancel()
	c := call{id: r.Header.Get(HeaderInvocationID), trace: traceID(r.Header.Get("Traceparent"))}
	ctx = withCall(ctx, c)
	select {
	case <-s.ready:
	case <-ctx.Done():
		s.log.ErrorContext(ctx, "call failed", "error", fmt.Errorf("wait for the app to start: %w", context.Cause(ctx)))
		answerError(w, http.StatusServiceUnavailable)
		return
	}
	if name, h := s.routes.function(r.URL.Path); h != nil {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			answerError(w, http.StatusMethodNotAllowed)
			return
		}
		c.function = name
		ctx, t, answered := s.observed(ctx, w, r, Call{Function: name})
		defer answered()
		s.serveInvocation(withCall(ctx, c), t, r, c, h)
		return
	}
	h, pattern := s.routes.forwarded(r)
	c.function = pattern
	ctx, t, answered := s.observed(ctx, w, r, Call{Function: pattern, Forwarded: true})
	defer answered()
	ctx = withCall(ctx, c)
	s.serveForwarded(ctx, t, r.WithContext(ctx), h)
}

// observed tells the observer of the call, if there is one.
func (s *Server) observed(ctx context.Context, w http.ResponseWriter, r *http.Request, c Call) (context.Context, *tracker, func()) {
	t := &tracker{ResponseWriter: w}
	if s.routes.observe == nil {
		return ctx, t, func() {}
	}
	c.ID, c.Traceparent, c.Tracestate = r.Header.Get(HeaderInvocationID), r.Header.Get("Traceparent"), r.Header.Get("Tracestate")
	ctx, answered := s.routes.observe(ctx, c)
	return ctx, t, func() { answered(t.status) }
}

// serveForwarded runs a plain HTTP handler. A panic is answered with 500 if nothing has been written.
func (s *Server) serveForwarded(ctx context.Context, t *tracker, r *http.Request, h http.Handler) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			s.log.ErrorContext(ctx, "call failed", "error", fmt.Errorf("%w: %v", ErrPanic, p), "stack", string(debug.Stack()))
			if t.status != 0 {
				t.status = http.StatusInternalServerError
				panic(http.ErrAbortHandler) // cuts the answer off rather than end it well
			}
			answerError(t, http.StatusInternalServerError)
		}
	}()
	h.ServeHTTP(t, r)
}

// tracker notes with which status an answer has begun.
type tracker struct {
	http.ResponseWriter
	status int // 0: not begun
}

func (t *tracker) WriteHeader(code int) {
	if t.status == 0 && code >= 200 {
		t.status = code
	}
	t.ResponseWriter.WriteHeader(code)
}

func (t *tracker) Write(b []byte) (int, error) {
	if t.status == 0 {
		t.status = http.StatusOK
	}
	return t.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the writer below.
func (t *tracker) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// serveInvocation answers one invocation.
func (s *Server) serveInvocation(ctx context.Context, w http.ResponseWriter, r *http.Request, c call, h Handler) {
	began := time.Now()
	fail := func(ctx context.Context, status int, err error, attrs ...any) {
		attrs = append(attrs, "error", err, "durationMs", time.Since(began).Milliseconds())
		s.log.ErrorContext(ctx, "invocation failed", attrs...)
		answerError(w, status)
	}
	grant, err := s.budget.admit(ctx, r.ContentLength)
	if err != nil {
		fail(ctx, http.StatusInternalServerError, fmt.Errorf("wait for memory: %w", err))
		return
	}
	body, err := s.blocks.readBody(ctx, r, grant)
	if err != nil {
		grant.release()
		fail(ctx, http.StatusInternalServerError, err)
		return
	}
	in, err := Parse(c.function, r.Header, body)
	if err != nil {
		grant.release()
		fail(ctx, http.StatusBadRequest, err)
		return
	}
	if in.Retry != nil {
		c.retry = in.Retry.Count
		ctx = withCall(ctx, c)
	}
	done := make(chan outcome, 1)
	go func() {
		// The body is in use until the handler returns, even if nobody waits for that any longer.
		defer grant.release()
		done <- invoke(ctx, h, in)
	}()
	out := await(ctx, done)
	var p *panicked
	switch {
	case errors.As(out.err, &p):
		fail(ctx, http.StatusInternalServerError, out.err, "stack", p.stack)
	case out.err != nil:
		fail(ctx, http.StatusInternalServerError, out.err)
	default:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(out.body)))
		_, _ = w.Write(out.body) // if the host is gone, nobody is left to tell
	}
}

// outcome is the body of a success or an error.
type outcome struct {
	body []byte
	err  error
}

// panicked is a panic of a handler as an error.
type panicked struct {
	value any
	stack string
}

func (p *panicked) Error() string { return fmt.Sprintf("%v: %v", ErrPanic, p.value) }

// Unwrap returns ErrPanic.
func (p *panicked) Unwrap() error { return ErrPanic }

// invoke runs the handler and makes its answer.
func invoke(ctx context.Context, h Handler, in *Invocation) (out outcome) {
	defer func() {
		if p := recover(); p != nil {
			out = outcome{err: &panicked{value: p, stack: string(debug.Stack())}}
		}
	}()
	result, err := h.Invoke(ctx, in)
	if err != nil {
		return outcome{err: err}
	}
	body, err := result.marshal()
	if err != nil {
		return outcome{err: fmt.Errorf("marshal result: %w", err)}
	}
	return outcome{body: body}
}

// await returns what the handler comes to, or an error if it does not return soon after the end of its context.
func await(ctx context.Context, done <-chan outcome) outcome {
	select {
	case out := <-done:
		return out
	case <-ctx.Done():
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case out := <-done:
		return out
	case <-late.C:
		return outcome{err: fmt.Errorf("the handler did not return in time: %w", context.Cause(ctx))}
	}
}

// answerError answers with a JSON body for people; the host does not read it.
func answerError(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":%q}`+"\n", http.StatusText(status))
}

package devhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Constants of the host: WorkerConstants.cs, HttpFunctionInvocationDispatcher.cs.
const (
	pingInterval  = 25 * time.Millisecond
	startTimeout  = 30 * time.Second
	readyTimeout  = 4 * 60 * time.Second // an invocation's wait for a handler that starts
	crashLimit    = 3
	crashWindow   = 30 * time.Minute
	exitRestart   = 200 // exit code that asks for a restart
	closeTimeout  = time.Second
	stateStarting = "starting"
	stateRunning  = "running"
	stateDead     = "exited with code 0"
	stateStopped  = "stopped"
	loopback      = "127.0.0.1"
)

// ErrCrashes says that the handler ended with an error three times without half an hour's pause; the host gives up.
var ErrCrashes = errors.New("the handler crashed too often, the host shuts down")

// worker runs the handler as a child process: it starts it, pings it, notices its end and starts it again as the host does.
type worker struct {
	app    *app
	extra  map[string]string // environment
	clock  Clock
	log    *slog.Logger
	output io.Writer
	client *http.Client
	port   string

	mu      sync.Mutex
	state   string
	changed chan struct{} // closed when state changes
	process *os.Process
	expect  bool // the host itself has killed the process
	crashes []time.Time
}

func newWorker(a *app, extra map[string]string, clock Clock, log *slog.Logger, output io.Writer) (*worker, error) {
	port := strconv.Itoa(a.port)
	if a.port == 0 {
		var err error
		if port, err = unusedPort(); err != nil {
			return nil, err
		}
	}
	return &worker{
		app: a, extra: extra, clock: clock, log: log, output: output, port: port, state: stateStarting,
		changed: make(chan struct{}), client: handlerClient(a.forward),
	}, nil
}

// unusedPort finds a port as the host does: by opening one and closing it.
func unusedPort() (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return "", fmt.Errorf("find a port for the handler: %w", err)
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, errors.Join(err, ln.Close())
}

// handlerClient is the host's HTTP client. It follows redirects only if requests are not forwarded, and never goes
// through a proxy.
func handlerClient(forward bool) *http.Client {
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	if forward {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return c
}

func (w *worker) url(path string) string {
	return "http://" + net.JoinHostPort(loopback, w.port) + path
}

// set changes the state. The lock is held.
func (w *worker) set(state string) {
	if w.state == state {
		return
	}
	w.state = state
	close(w.changed)
	w.changed = make(chan struct{})
}

// run keeps the handler running until the context is over, which kills it, or it has crashed too often.
func (w *worker) run(ctx context.Context) error {
	defer func() {
		w.mu.Lock()
		w.set(stateStopped)
		w.mu.Unlock()
		w.client.CloseIdleConnections()
	}()
	for {
		code, err := w.once(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		w.mu.Lock()
		expected := w.expect
		w.expect, w.process = false, nil
		switch {
		case expected || code == exitRestart:
			w.set(stateStarting)
		case code == 0:
			// The host takes this for intended: no restart, no error; every later call fails.
			w.set(stateDead)
		default:
			w.set(stateStarting)
		}
		dead, changed := w.state == stateDead, w.changed
		w.mu.Unlock()
		w.client.CloseIdleConnections()
		if dead {
			w.log.WarnContext(ctx, "the handler exited with code 0; the host does not start it again")
			select {
			case <-changed: // a restart after functionTimeout
				continue
			case <-ctx.Done():
				return nil
			}
		}
		if expected || code == exitRestart {
			continue
		}
		if w.crashed() {
			return fmt.Errorf("%w (last exit code %d)", ErrCrashes, code)
		}
	}
}

// crashed counts a crash and reports whether it was one too many.
func (w *worker) crashed() bool {
	now := w.clock.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.crashes); n > 0 && now.Sub(w.crashes[n-1]) > crashWindow {
		w.crashes = nil
	}
	w.crashes = append(w.crashes, now)
	return len(w.crashes) >= crashLimit
}

// once runs one process to its end and returns its exit code, -1 if a signal ended it. An error means that it could not
// be started at all.
func (w *worker) once(ctx context.Context) (code int, err error) {
	cmd := w.command()
	lines := &lineWriter{line: func(b []byte) {
		_, _ = w.output.Write(b) // the handler's log is not the host's business
	}}
	errLines := &lineWriter{line: w.stderr}
	cmd.Stdout, cmd.Stderr = lines, errLines

	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		// The child dies with the thread that made it, where the system can do that: keep the thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the exit code tells
			close(ended)
		}
	}()
	if err := <-started; err != nil {
		return 0, fmt.Errorf("start the handler: %w", err)
	}
	w.mu.Lock()
	w.process = cmd.Process
	w.mu.Unlock()

	pinging, stopPinging := context.WithCancel(ctx)
	defer stopPinging()
	answered := make(chan bool, 1)
	go func() { answered <- w.ping(pinging) }()
	late := false
	for {
		select {
		case ok := <-answered:
			if ok {
				w.mu.Lock()
				w.set(stateRunning)
				w.mu.Unlock()
				continue
			}
			if pinging.Err() == nil {
				late = true
				w.log.ErrorContext(ctx, "the handler does not answer pings", "seconds", startTimeout.Seconds())
				_ = cmd.Process.Kill()
			}
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			<-ended
			return 0, nil
		case <-ended:
			lines.flush()
			errLines.flush()
			code := cmd.ProcessState.ExitCode()
			if late && code == 0 {
				code = 1
			}
			w.log.InfoContext(ctx, "the handler has ended", "code", code, "state", cmd.ProcessState.String())
			return code, nil
		}
	}
}

// ping asks until any HTTP answer comes.
func (w *worker) ping(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url("/"), nil)
		if err != nil {
			return false
		}
		if resp, err := w.client.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

func (w *worker) command() *exec.Cmd {
	cmd := exec.Command(w.app.executable, w.app.arguments...) //nolint:gosec,noctx // starting it is the purpose; run kills it
	cmd.Dir = w.app.directory
	cmd.WaitDelay = closeTimeout
	cmd.SysProcAttr = childAttributes()
	env := os.Environ()
	add := func(name, value string) { env = append(env, name+"="+value) }
	for name, value := range w.app.settings {
		add(name, value)
	}
	for name, value := range w.extra {
		add(name, value)
	}
	id := newGUID()
	add("FUNCTIONS_CUSTOMHANDLER_PORT", w.port)
	add("FUNCTIONS_HTTPWORKER_PORT", w.port)
	add("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", id)
	add("FUNCTIONS_HTTPWORKER_ID", id)
	add("FUNCTIONS_APP_ROOT_PATH", w.app.root)
	cmd.Env = slices.Clip(env)
	return cmd
}

// stderr logs a line as the host does: an error unless it speaks of a warning.
func (w *worker) stderr(line []byte) {
	level := slog.LevelError
	if bytes.Contains(bytes.ToLower(line), []byte("warn")) {
		level = slog.LevelWarn
	}
	w.log.Log(context.Background(), level, "handler wrote to standard error",
		"line", strings.TrimRight(string(line), "\r\n"))
}

// ready waits until the handler takes calls. It does not wait for one that exited with code 0, as the host does not know.
func (w *worker) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, errors.New("the handler does not start"))
	defer cancel()
	for {
		w.mu.Lock()
		state, changed := w.state, w.changed
		w.mu.Unlock()
		switch state {
		case stateRunning, stateDead:
			return nil
		case stateStopped:
			return errStopped
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

var errStopped = errors.New("the host has stopped")

// restart kills the handler and has it started again, without counting a crash: what the host does at functionTimeout.
func (w *worker) restart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.process != nil {
		w.expect = true
		_ = w.process.Kill()
	}
	w.set(stateStarting)
}

// kill ends the handler from outside, as kill -9 does.
func (w *worker) kill() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.process == nil {
		return errors.New("the handler does not run")
	}
	return w.process.Kill()
}

// lineWriter hands on whole lines.
type lineWriter struct {
	mu   sync.Mutex
	part []byte
	line func([]byte)
}

func (l *lineWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, b...)
	for {
		n := bytes.IndexByte(l.part, '\n') + 1
		if n == 0 {
			return len(b), nil
		}
		l.line(l.part[:n])
		l.part = l.part[n:]
	}
}

// flush hands on a last line without an end.
func (l *lineWriter) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.part) > 0 {
		l.line(append(l.part, '\n'))
		l.part = nil
	}
}

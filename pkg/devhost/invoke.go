package devhost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/azfunc"
)

// hostVersion is what the handler is told: the version of the sources that this package follows.
const hostVersion = "4.1037.0"

// settleTime is how long the end of the process may lag behind the end of its connections.
const settleTime = 100 * time.Millisecond

// Reasons for which an invocation fails, apart from the handler's answer.
var (
	ErrTimeout = errors.New("functionTimeout is over; the host kills the handler")
	errHangs   = errors.New("the answer is an empty success, which the host does not take for an end")
)

// Invocation is one attempt of the host to run a function, as it is told to [Options.Observe].
type Invocation struct {
	Function string
	ID       string // a new one for each attempt
	Retry    int    // 0 in the first attempt

	Partition   string // of an event hub
	First, Last int64  // sequence numbers of an event hub's batch
	Events      int    // events, documents, messages; 1 for a timer

	Ended bool // told twice: before the request is sent, and after its end
	Err   error
	Took  time.Duration // by the host's clock
}

// attempt is the state of a retry policy.
type attempt struct {
	max, count int
	last       error
}

// execute runs one function to its end: once, or as often as its retry policy wants. The error is that of the last
// attempt. If the context is over, nothing has ended.
func (h *Host) execute(ctx context.Context, f *function, about Invocation, body func(*attempt) ([]byte, error)) error {
	var state *attempt
	var delay func() time.Duration
	if f.retry != nil {
		state = &attempt{max: f.retry.max}
		delay = f.retry.backoff(random)
	}
	for {
		about.Function, about.ID, about.Ended, about.Err, about.Took = f.name, newGUID(), false, nil, 0
		if state != nil {
			about.Retry = state.count
		}
		h.observe(about)
		began := h.clock.Now()
		about.Err = h.attempt(ctx, f, about.ID, state, body)
		about.Ended, about.Took = true, h.clock.Now().Sub(began)
		h.observe(about)
		if about.Err == nil || ctx.Err() != nil {
			return about.Err
		}
		h.log.ErrorContext(ctx, "the function failed", "function", f.name, "invocationId", about.ID,
			"retryCount", about.Retry, "error", about.Err)
		if state == nil || state.max >= 0 && state.count >= state.max {
			return about.Err
		}
		state.count++
		state.last = about.Err
		if !sleep(ctx, h.clock, delay()) {
			return about.Err
		}
	}
}

// attempt makes one invocation. functionTimeout counts from its beginning, a handler that starts included.
func (h *Host) attempt(
	ctx context.Context, f *function, id string, state *attempt, body func(*attempt) ([]byte, error),
) error {
	text, err := body(state)
	if err != nil {
		return err
	}
	return h.limited(ctx, func(ctx context.Context) error {
		if err := h.worker.ready(ctx); err != nil {
			return err
		}
		err := h.invoke(ctx, f.name, id, text)
		if errors.Is(err, errHangs) {
			h.log.WarnContext(ctx, "the function does not end", "function", f.name, "invocationId", id, "error", err)
			<-ctx.Done()
		}
		return err
	})
}

// limited runs do until functionTimeout. Then the host kills the handler, and with it every other call.
func (h *Host) limited(ctx context.Context, do func(context.Context) error) error {
	if h.app.timeout == 0 {
		return do(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = do(ctx)
	}()
	select {
	case <-done:
		return err
	case <-h.clock.After(h.app.timeout):
		cancel(ErrTimeout)
		h.worker.restart()
		<-done
		return ErrTimeout
	}
}

// invoke posts an invocation and reads the answer as DefaultHttpWorkerService does.
func (h *Host) invoke(ctx context.Context, name, id string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.worker.url("/"+name), bytes.NewReader(body))
	if err != nil {
		return err
	}
	if !h.sized {
		req.ContentLength = -1
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	stamp(req.Header, id)
	resp, err := h.worker.client.Do(req)
	if err != nil {
		h.settle(ctx)
		return fmt.Errorf("call the handler: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		h.settle(ctx)
		return fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("response status code does not indicate success: %s", resp.Status)
	}
	logs, err := readAnswer(resp.Header.Get("Content-Type"), resp.ContentLength, answer)
	for _, line := range logs {
		h.log.InfoContext(ctx, line, "function", name, "invocationId", id) //nolint:sloglint // the function's own line
	}
	return err
}

// settle waits for the end of the process to be noticed: the kernel tells of the connection first.
func (h *Host) settle(ctx context.Context) {
	h.worker.mu.Lock()
	changed := h.worker.changed
	h.worker.mu.Unlock()
	t := time.NewTimer(settleTime)
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	case <-ctx.Done():
	}
}

// stamp adds the headers of every request to the handler.
func stamp(header http.Header, id string) {
	header.Set(azfunc.HeaderHostVersion, hostVersion)
	header.Set(azfunc.HeaderInvocationID, id)
	header.Set("User-Agent", "Azure-Functions-Host/"+hostVersion)
}

// readAnswer reads the body of a success and returns its lines for the log. The host cannot tell an empty answer and a
// null from an answer that is still to come.
func readAnswer(contentType string, length int64, body []byte) (logs []string, err error) {
	media, _, _ := mime.ParseMediaType(contentType)
	isJSON := media == "application/json" || media == "text/json"
	text := strings.TrimSpace(string(body))
	switch {
	case length == 0, isJSON && (text == "" || text == "null"):
		return nil, errHangs
	case !isJSON:
		return nil, fmt.Errorf("invalid answer: the media type %q is not JSON", contentType)
	}
	var answer struct {
		Outputs map[string]json.RawMessage
		Logs    []any
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("invalid answer: %w", err)
	}
	for _, l := range answer.Logs {
		logs = append(logs, fmt.Sprint(l))
	}
	return logs, nil
}

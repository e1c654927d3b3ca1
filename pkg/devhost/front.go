package devhost

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// Limits of the front door.
const (
	maxPublication = 1 << 20  // of Event Hubs, standard tier
	maxMessage     = 64 << 10 // of storage queues
	headerTimeout  = 10 * time.Second
)

// serveFront answers HTTP until the context is over.
func (h *Host) serveFront(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hubs/{hub}/messages", h.postEvents)
	mux.HandleFunc("POST /hubs/{hub}/partitions/{partition}/messages", h.postEvents)
	mux.HandleFunc("POST /queues/{queue}/messages", h.postMessage)
	mux.HandleFunc("POST /"+storageAccount+"/{queue}/messages", h.putMessage)
	mux.HandleFunc("POST /admin/functions/{name}", h.postTrigger)
	mux.HandleFunc("GET /admin/host/status", h.getStatus)
	mux.HandleFunc("GET /{$}", h.getIndex)
	srv := &http.Server{
		ReadHeaderTimeout: headerTimeout,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if f := h.webFunction(r); f != nil {
				if !h.admits(r, f) {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				h.forward(w, r, f)
				return
			}
			if r.URL.Path != path.Clean(r.URL.Path) {
				http.NotFound(w, r) // the mux would answer with a redirect, the host does not
				return
			}
			mux.ServeHTTP(w, r)
		}),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(h.front) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
		_ = srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve HTTP: %w", err)
		}
		return nil
	}
}

// admits tells whether the request brings the key that the function asks for.
func (h *Host) admits(r *http.Request, f *function) bool {
	if h.key == "" || f.web.level == "anonymous" {
		return true
	}
	given := r.Header.Get("X-Functions-Key")
	if given == "" {
		given = r.URL.Query().Get("code")
	}
	return subtle.ConstantTimeCompare([]byte(given), []byte(h.key)) == 1
}

// forward sends a request to the handler as it came, with the host's two headers, and the answer back. A body without a
// length does not arrive (azure-functions-host#6444).
func (h *Host) forward(w http.ResponseWriter, r *http.Request, f *function) {
	ctx := r.Context()
	id := newGUID()
	about := Invocation{Function: f.name, ID: id, Events: 1}
	h.observe(about)
	began := h.clock.Now()
	var resp *http.Response
	var text []byte
	about.Err = h.limited(ctx, func(ctx context.Context) error {
		if err := h.worker.ready(ctx); err != nil {
			return err
		}
		var body io.Reader
		if r.ContentLength > 0 {
			body = r.Body
		}
		//nolint:gosec // to pass the caller's path on, to our own child, is what forwarding means
		req, err := http.NewRequestWithContext(ctx, r.Method, h.worker.url(r.URL.RequestURI()), body)
		if err != nil {
			return err
		}
		req.Header = r.Header.Clone()
		for _, name := range []string{"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
			req.Header.Del(name)
		}
		stamp(req.Header, id)
		req.Host = r.Host
		req.ContentLength = max(r.ContentLength, 0)
		if resp, err = h.worker.client.Do(req); err != nil { //nolint:gosec // as above
			return fmt.Errorf("call the handler: %w", err)
		}
		defer func() { _ = resp.Body.Close() }()
		if text, err = io.ReadAll(resp.Body); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		return nil
	})
	about.Ended, about.Took = true, h.clock.Now().Sub(began)
	h.observe(about)
	if about.Err != nil {
		h.log.ErrorContext(ctx, "the function failed", "function", f.name, "invocationId", id, "error", about.Err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(text) // the caller may be gone
}

// batchType is the media type of several events in one request to the REST interface of Event Hubs.
const batchType = "application/vnd.microsoft.servicebus.json"

// postEvents takes events as the REST interface of Event Hubs does: the body is one event, or a JSON array of
// {"Body", "UserProperties", "BrokerProperties"}.
func (h *Host) postEvents(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPublication))
	if err != nil {
		answer(w, http.StatusRequestEntityTooLarge, "a publication may have up to %d bytes", maxPublication)
		return
	}
	events, err := readPublication(r.Header, body)
	if err != nil {
		answer(w, http.StatusBadRequest, "%v", err)
		return
	}
	err = h.Publish(r.Context(), r.PathValue("hub"), r.PathValue("partition"), events...)
	switch {
	case errors.Is(err, errUnknown):
		answer(w, http.StatusNotFound, "%v", err)
	case err != nil:
		answer(w, http.StatusBadRequest, "%v", err)
	default:
		w.WriteHeader(http.StatusCreated)
	}
}

// brokerProperties is what a publisher may set of an event.
type brokerProperties struct{ PartitionKey string }

func readPublication(header http.Header, body []byte) ([]Event, error) {
	if !strings.HasPrefix(header.Get("Content-Type"), batchType) {
		var broker brokerProperties
		if s := header.Get("BrokerProperties"); s != "" {
			if err := json.Unmarshal([]byte(s), &broker); err != nil {
				return nil, fmt.Errorf("header BrokerProperties: %w", err)
			}
		}
		return []Event{{Body: body, PartitionKey: broker.PartitionKey}}, nil
	}
	var batch []struct {
		Body             *string
		UserProperties   map[string]string
		BrokerProperties brokerProperties
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&batch); err != nil {
		return nil, fmt.Errorf("batch of events: %w", err)
	}
	var events []Event
	for i, b := range batch {
		if b.Body == nil {
			return nil, fmt.Errorf("batch of events: [%d].Body is missing", i)
		}
		events = append(events, Event{
			Body: []byte(*b.Body), Properties: b.UserProperties, PartitionKey: b.BrokerProperties.PartitionKey,
		})
	}
	return events, nil
}

func (h *Host) postMessage(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if err != nil {
		answer(w, http.StatusRequestEntityTooLarge, "a message may have up to %d bytes", maxMessage)
		return
	}
	h.take(w, r, string(body))
}

// putMessage is Put Message of the storage service, so that the handler can use its client with the connection string
// that it gets. The text is in base64, which is the default of host.json. Nobody checks the signature.
func (h *Host) putMessage(w http.ResponseWriter, r *http.Request) {
	var message struct{ MessageText string }
	err := xml.NewDecoder(http.MaxBytesReader(w, r.Body, 2*maxMessage)).Decode(&message)
	if err != nil {
		answer(w, http.StatusBadRequest, "want a QueueMessage: %v", err)
		return
	}
	text, err := base64.StdEncoding.DecodeString(message.MessageText)
	if err != nil {
		answer(w, http.StatusBadRequest, "want the message in base64: %v", err)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	h.take(w, r, string(text))
	_, _ = io.WriteString(w, "<QueueMessagesList/>") // the client may be gone
}

// take adds a message to the queue that the path names.
func (h *Host) take(w http.ResponseWriter, r *http.Request, text string) {
	var err error
	seconds := 0
	if s := r.URL.Query().Get("visibilitytimeout"); s != "" {
		if seconds, err = strconv.Atoi(s); err != nil || seconds < 0 || seconds > int(messageLifetime.Seconds()) {
			answer(w, http.StatusBadRequest, "visibilitytimeout: want seconds, up to seven days")
			return
		}
	}
	h.Enqueue(r.PathValue("queue"), text, time.Duration(seconds)*time.Second)
	w.WriteHeader(http.StatusCreated)
}

// postTrigger runs a timer out of turn, as the host's own interface does.
func (h *Host) postTrigger(w http.ResponseWriter, r *http.Request) {
	run, ok := h.runNow[r.PathValue("name")]
	if !ok {
		answer(w, http.StatusNotFound, "there is no timer function %q", r.PathValue("name"))
		return
	}
	select {
	case run <- struct{}{}:
	default: // one run is due already
	}
	w.WriteHeader(http.StatusAccepted)
}

func (h *Host) getStatus(w http.ResponseWriter, _ *http.Request) {
	h.worker.mu.Lock()
	state := h.worker.state
	h.worker.mu.Unlock()
	status := map[string]string{"state": "Running", "version": hostVersion, "handler": state}
	if state == stateStarting {
		status["state"] = "Initializing"
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(status)
}

// getIndex lists the functions for people.
func (h *Host) getIndex(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, f := range h.Functions() {
		_, _ = fmt.Fprintf(w, "%-16s %-16s %-24s %s %s\n", f.Name, f.Trigger, f.Source, f.Methods, f.URL)
	}
}

func answer(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, format+"\n", args...) //nolint:gosec // plain text
}

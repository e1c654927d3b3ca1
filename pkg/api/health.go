package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/assay-sec/assay/pkg/access"
	"github.com/assay-sec/assay/pkg/config/reload"
	"github.com/assay-sec/assay/pkg/ingest"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/store"
)

// Health serves GET /api/health. It answers 200 if the store can be written and read, and 503 if not.
type Health struct {
	State   store.State
	Policy  access.Policy
	Version string        // of the program
	Rules   func() string // version of rules, reference data and configuration in use
	// Configuration tells which document is in use, and what is wrong with it.
	Configuration func() reload.State
	Subscriptions func() []string // the names of those in use
	Now           func() time.Time
	Log           *slog.Logger
}

// Report is the answer.
type Report struct {
	Status        string         `json:"status"`             // ok; degraded, where it works and somebody has to look; or failing
	Degraded      []string       `json:"degraded,omitempty"` // why it is, a sentence each
	Version       string         `json:"version"`
	Rules         string         `json:"rules"`
	Configuration reload.State   `json:"configuration"`
	Store         StoreReport    `json:"store"`
	Subscriptions []Subscription `json:"subscriptions"` // in the order of the configuration
	Partitions    []Partition    `json:"partitions"`    // that have ever been read, by hub and partition
}

// Subscription tells how the receiver of a subscription has behaved of late.
type Subscription struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`              // ok; failing, where it did not take the last message; or disabled
	Since    time.Time `json:"since,omitzero"`     // it is disabled
	Failures int       `json:"failures,omitempty"` // in a row
	Reason   string    `json:"reason,omitempty"`   // of the last failure
}

// StoreReport says whether a document could be written and read back.
type StoreReport struct {
	OK      bool    `json:"ok"`
	Error   string  `json:"error,omitempty"` // which step failed
	Seconds float64 `json:"seconds"`
}

// Partition is how far a partition has been processed, from its heartbeat, which is written once a minute.
type Partition struct {
	ingest.Heartbeat
	LagSeconds    float64 `json:"lagSeconds"`    // how long the last message waited
	SilentSeconds float64 `json:"silentSeconds"` // since the heartbeat
}

// probeID is the document that the check writes.
const probeID = "probe.health"

// Get answers the report.
func (h *Health) Get(w http.ResponseWriter, r *http.Request) {
	caller, err := h.Policy.Identify(r)
	if err == nil {
		err = caller.MayAnywhere(access.Reader)
	}
	if err != nil {
		refuse(w, r, h.Log, err)
		return
	}
	out := Report{Status: "ok", Version: h.Version, Rules: h.Rules(), Configuration: h.Configuration(), Subscriptions: []Subscription{}, Partitions: []Partition{}}
	began := h.Now()
	step, err := h.probe(r.Context(), began)
	now := h.Now()
	if err == nil {
		step = "heartbeats"
		out.Partitions, err = h.partitions(r.Context(), now)
	}
	if err == nil {
		step = "subscriptions"
		out.Subscriptions, err = h.subscriptions(r.Context())
	}
	out.Store = StoreReport{OK: err == nil, Seconds: now.Sub(began).Seconds()}
	if err != nil {
		h.Log.ErrorContext(r.Context(), "health check failed", "step", step, "error", err)
		out.Store.Error = step
	}
	status := http.StatusOK
	if out.Degraded = out.degraded(); len(out.Degraded) > 0 {
		out.Status = "degraded"
	}
	if !out.Store.OK {
		out.Status, status = "failing", http.StatusServiceUnavailable
	}
	answer(w, status, out)
}

// probe writes a document and reads it back.
func (h *Health) probe(ctx context.Context, now time.Time) (step string, err error) {
	doc, err := h.State.Load(ctx, probeID)
	if errors.Is(err, store.ErrNotFound) {
		doc, err = store.Document{ID: probeID}, nil
	}
	if err != nil {
		return "read", err
	}
	if doc.Body, err = json.Marshal(map[string]time.Time{"at": now}); err != nil {
		return "write", err
	}
	// A conflict means that another instance wrote it just now: the store takes writes.
	if _, err = h.State.Save(ctx, doc); err != nil && !errors.Is(err, store.ErrConflict) {
		return "write", err
	}
	if _, err = h.State.Load(ctx, probeID); err != nil {
		return "read", err
	}
	return "", nil
}

func (h *Health) partitions(ctx context.Context, now time.Time) ([]Partition, error) {
	beats, err := ingest.Heartbeats(ctx, h.State)
	if err != nil {
		return nil, err
	}
	out := make([]Partition, len(beats))
	for i, b := range beats {
		out[i] = Partition{Heartbeat: b, LagSeconds: b.Lag().Seconds(), SilentSeconds: max(now.Sub(b.Seen), 0).Seconds()}
	}
	return out, nil
}

// The states of subscriptions.
const (
	stateOK       = "ok"
	stateFailing  = "failing"
	stateDisabled = "disabled"
)

func (h *Health) subscriptions(ctx context.Context) ([]Subscription, error) {
	out := []Subscription{}
	for _, name := range h.Subscriptions() {
		st, err := notify.LoadStanding(ctx, h.State, name)
		if err != nil {
			return out, err
		}
		x := Subscription{Name: name, State: stateOK, Since: st.Disabled, Failures: st.Failures, Reason: st.Reason}
		switch {
		case !st.Disabled.IsZero():
			x.State = stateDisabled
		case st.Failures > 0:
			x.State = stateFailing
		}
		out = append(out, x)
	}
	return out, nil
}

// degraded says why somebody has to look although alerts are found.
func (r *Report) degraded() []string {
	var out []string
	if r.Configuration.Trouble != "" {
		out = append(out, "another configuration is in use than the document: "+r.Configuration.Trouble)
	}
	for _, s := range r.Subscriptions {
		if s.State == stateDisabled {
			out = append(out, fmt.Sprintf("subscription %s is told of nothing since %s: %s; mend its URL, then run: assay deliveries retry %s",
				s.Name, s.Since.UTC().Format(time.RFC3339), s.Reason, s.Name))
		}
	}
	return out
}

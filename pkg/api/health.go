package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/assay-sec/assay/pkg/access"
	"github.com/assay-sec/assay/pkg/config/reload"
	"github.com/assay-sec/assay/pkg/ingest"
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
	Now           func() time.Time
	Log           *slog.Logger
}

// Report is the answer.
type Report struct {
	Status        string       `json:"status"` // ok; degraded, where another configuration is in use than the document; or failing
	Version       string       `json:"version"`
	Rules         string       `json:"rules"`
	Configuration reload.State `json:"configuration"`
	Store         StoreReport  `json:"store"`
	Partitions    []Partition  `json:"partitions"` // that have ever been read, by hub and partition
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
	out := Report{Status: "ok", Version: h.Version, Rules: h.Rules(), Configuration: h.Configuration(), Partitions: []Partition{}}
	began := h.Now()
	step, err := h.probe(r.Context(), began)
	now := h.Now()
	out.Store = StoreReport{OK: err == nil, Seconds: now.Sub(began).Seconds()}
	if err != nil {
		h.Log.ErrorContext(r.Context(), "health check failed", "step", step, "error", err)
		out.Store.Error = step
	} else if out.Partitions, err = h.partitions(r.Context(), now); err != nil {
		h.Log.ErrorContext(r.Context(), "health check failed", "step", "heartbeats", "error", err)
		out.Store = StoreReport{Error: "heartbeats", Seconds: out.Store.Seconds}
	}
	status := http.StatusOK
	if out.Configuration.Trouble != "" {
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

package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/store"
)

// Heartbeat says how far a partition has been processed. It is what health reads, whichever instance wrote it.
type Heartbeat struct {
	Hub       string    `json:"hub"`
	Partition string    `json:"partition"`
	Sequence  int64     `json:"sequence"`       // of the last message that was processed
	Event     time.Time `json:"event,omitzero"` // the latest of that batch, by the log's own word; zero: no event was evaluated
	Enqueued  time.Time `json:"enqueued"`       // when that message reached the hub
	Seen      time.Time `json:"seen"`           // when it was processed
}

// Lag is how long the last message waited before it was processed.
func (h *Heartbeat) Lag() time.Duration {
	if h.Enqueued.IsZero() {
		return 0
	}
	return max(h.Seen.Sub(h.Enqueued), 0)
}

// beatEvery is how old a heartbeat is when the next one is written.
const beatEvery = time.Minute

// beat writes the partition's heartbeat if the stored one is a minute old. Another instance that was faster has said the
// same; its word stands.
func (g *Ingester) beat(ctx context.Context, b Batch, r *pipeline.Report) error {
	if len(b.Messages) == 0 {
		return nil
	}
	last := b.Messages[len(b.Messages)-1]
	now := g.now()
	if at, ok := g.lastBeat(b); ok && now.Sub(at) < beatEvery {
		return nil
	}
	id := documentID(heartbeatPrefix, b)
	doc, err := g.state.Load(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		doc = store.Document{ID: id}
	case err != nil:
		return fmt.Errorf("load the heartbeat of %s/%s: %w", b.Hub, b.Partition, err)
	}
	doc.Body, err = json.Marshal(Heartbeat{
		Hub: b.Hub, Partition: b.Partition, Sequence: last.Sequence, Event: r.Latest, Enqueued: last.Enqueued, Seen: now,
	})
	if err != nil {
		return fmt.Errorf("write the heartbeat of %s/%s: %w", b.Hub, b.Partition, err)
	}
	if _, err := g.state.Save(ctx, doc); err != nil && !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("write the heartbeat of %s/%s: %w", b.Hub, b.Partition, err)
	}
	g.beaten.Store(documentID("", b), now)
	return nil
}

// lastBeat returns when this process last wrote the partition's heartbeat.
func (g *Ingester) lastBeat(b Batch) (time.Time, bool) {
	v, _ := g.beaten.Load(documentID("", b))
	at, ok := v.(time.Time)
	return at, ok
}

const heartbeatPrefix = "heartbeat"

// Heartbeats returns the heartbeats of all partitions, by hub and partition.
func Heartbeats(ctx context.Context, state store.State) ([]Heartbeat, error) {
	var out []Heartbeat
	for doc, err := range state.List(ctx, heartbeatPrefix+".") {
		if err != nil {
			return nil, fmt.Errorf("list the heartbeats: %w", err)
		}
		var h Heartbeat
		if err := json.Unmarshal(doc.Body, &h); err != nil {
			return nil, fmt.Errorf("read the heartbeat %s: %w", doc.ID, err)
		}
		out = append(out, h)
	}
	return out, nil
}

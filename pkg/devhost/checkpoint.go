package devhost

import (
	"context"
	"maps"
	"sync"
)

// Checkpoints keeps how far each reader has come. They outlive a host: hand the same to the next one.
type Checkpoints interface {
	// Load returns what was saved last for the key, and whether anything was.
	Load(ctx context.Context, key string) (value string, ok bool, err error)
	Save(ctx context.Context, key, value string) error
}

// MemoryCheckpoints keeps checkpoints in memory. The zero value is ready.
type MemoryCheckpoints struct {
	mu     sync.Mutex
	values map[string]string
}

var _ Checkpoints = (*MemoryCheckpoints)(nil)

// Load implements Checkpoints.
func (c *MemoryCheckpoints) Load(_ context.Context, key string) (value string, ok bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, ok = c.values[key]
	return value, ok, nil
}

// Save implements Checkpoints.
func (c *MemoryCheckpoints) Save(_ context.Context, key, value string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.values == nil {
		c.values = map[string]string{}
	}
	c.values[key] = value
	return nil
}

// All returns a copy of everything saved: "hub/<hub>/<group>/<partition>" gives a sequence number,
// "feed/<container>/<lease>" a position of the feed.
func (c *MemoryCheckpoints) All() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.values)
}

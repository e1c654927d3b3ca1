package app

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/keys"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/store"
)

// SettingKeys is where the signing keys are published; empty: at Microsoft's public cloud; off: nothing is read.
const SettingKeys = "ASSAY_KEYS"

// KeysOff is the value of SettingKeys with which no key is read.
const KeysOff = "off"

// Times of the history of keys.
const (
	keysKept  = 400 * 24 * time.Hour // how far back readings are of use: as long as alerts are kept
	keysEvery = 10 * time.Minute     // between two looks of an instance at what others have recorded
)

// publishedKeys hands the history of published keys, which one instance records, to the reference data of this one.
type publishedKeys struct {
	history   keys.History
	authority string // "" if nothing is read
	documents []string
	log       *slog.Logger
	now       func() time.Time

	mu      sync.Mutex
	teach   *reference.Data
	looked  time.Time
	looking bool
	pending sync.WaitGroup
}

// KeyDocuments lists the keys documents that concern the configuration: the common ones and those of its tenants.
func KeyDocuments(c *config.Config) []string {
	return append(keys.Common(), slices.Sorted(maps.Keys(c.Reference.Tenants))...)
}

func newPublishedKeys(c *config.Config, r *Rules, s store.State, setting string, log *slog.Logger, now func() time.Time) *publishedKeys {
	k := &publishedKeys{
		history: keys.History{State: s}, authority: setting, documents: KeyDocuments(c), teach: r.Reference, log: log, now: now,
	}
	switch setting {
	case "":
		k.authority = keys.Authority
	case KeysOff:
		k.authority = ""
	}
	return k
}

// look takes over, in the background and now and then, what was recorded since. No batch waits for it.
func (k *publishedKeys) look() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.looking || k.now().Sub(k.looked) < keysEvery {
		return
	}
	k.looking = true
	k.pending.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := k.learn(ctx); err != nil {
			k.log.WarnContext(ctx, "the history of published keys could not be read", "error", err)
		}
		k.mu.Lock()
		k.looking, k.looked = false, k.now()
		k.mu.Unlock()
	})
}

func (k *publishedKeys) learn(ctx context.Context) error {
	return LearnKeys(ctx, k.teach, k.history.State, k.now().Add(-keysKept))
}

// LearnKeys adds the history that the state keeps, and the readings since a time, to the reference data.
func LearnKeys(ctx context.Context, ref *reference.Data, s store.State, since time.Time) error {
	h := keys.History{State: s}
	source, err := h.Load(ctx, since)
	if err != nil {
		return err
	}
	if len(source.Keys)+len(source.Fetches) == 0 {
		return nil
	}
	source = keys.Under(source, ref.Key)
	return ref.Learn(source.Keys, source.Fetches)
}

// Keys returns the handler of the timer that reads the published keys. A document that cannot be read is told of and tried again
// at the next turn: what was known stays. The handler fails for the store alone.
func (s *Service) Keys() azfunc.Handler {
	return azfunc.HandlerFunc(func(ctx context.Context, _ *azfunc.Invocation) (*azfunc.Result, error) {
		k := s.config.Current().keys
		if k.authority == "" {
			s.log.InfoContext(ctx, "published keys are not read: "+SettingKeys+" is "+KeysOff)
			return nil, nil //nolint:nilnil // an invocation without outputs
		}
		done, err := keys.Refresh(ctx, keys.NewReader(s.now, false), &k.history, k.authority, k.documents)
		for _, name := range slices.Sorted(maps.Keys(done.Failed)) {
			s.log.ErrorContext(ctx, "a keys document could not be read", "document", name, "error", done.Failed[name])
		}
		s.log.InfoContext(ctx, "published keys read", "documents", len(done.Read), "failed", len(done.Failed), "newKeys", len(done.Added))
		if err != nil {
			return nil, fmt.Errorf("record the published keys: %w", err)
		}
		return nil, k.learn(ctx)
	})
}

// Package app puts the parts together: configuration, reference data, rules, engine, normalizer, store and pipeline. What
// differs between a laptop and Azure is which constructor is called here, and nothing else.
//
// It holds constructors alone: it decides nothing and reads no flags.
package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/casefile"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
	"github.com/assay-sec/assay/pkg/sigma"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/sqlite"
	"github.com/assay-sec/assay/pkg/suppress"
)

// Rules are the detections under one configuration.
type Rules struct {
	Reference *reference.Data
	Rules     []*rule.Rule
	// Suppressions say which findings page nobody.
	Suppressions *suppress.Set
	// Version names the reference data and the configuration in every finding.
	Version string

	// Problems are the mistakes in Sigma rules, which therefore are not among the rules.
	Problems []sigma.Problem
	// Extras and Record are what Sigma rules need events to hold.
	Extras []decode.Extra
	Record bool
	own    int // how many of the rules are Sigma's: they are the last ones
}

// LoadRules makes the catalogue of rules under the configuration, and behind it the Sigma rules that the configuration names and
// those in further files and folders. A Sigma rule with a mistake is left out: see Problems.
func LoadRules(c *config.Config, further ...string) (*Rules, error) {
	ref, err := reference.New(c.Reference)
	if err != nil {
		return nil, fmt.Errorf("load the reference data: %w", err)
	}
	all, err := rules.Catalogue(ref, c.Rules)
	if err != nil {
		return nil, fmt.Errorf("load the rules: %w", err)
	}
	version := ref.Version
	if c.Hash != "" {
		version += "+" + c.Hash
	}
	r := &Rules{Reference: ref, Rules: all, Suppressions: suppress.New(c.Suppressions), Version: version}
	set, err := ReadSigma(slices.Concat(c.Sigma.Rules, further), c, all)
	if err != nil {
		return nil, err
	}
	if err := r.add(set, c.Sigma.Settings); err != nil {
		return nil, fmt.Errorf("load the rules: %w", err)
	}
	if err := r.checkTags(c.Subscriptions); err != nil {
		return nil, err
	}
	return r, nil
}

// checkTags returns an error that names the tags of subscriptions that no rule has. Where a Sigma rule has a mistake, that may
// be the one.
func (r *Rules) checkTags(subscriptions []notify.Subscription) error {
	if len(r.Problems) > 0 {
		return nil
	}
	var errs []error
	for i := range subscriptions {
		for _, tag := range subscriptions[i].Tags {
			if !slices.ContainsFunc(r.Rules, func(x *rule.Rule) bool { return x.Tagged(tag) }) {
				errs = append(errs, fmt.Errorf("subscription %s: no rule has the tag %q", subscriptions[i].Name, tag))
			}
		}
	}
	return errors.Join(errs...)
}

// Only returns the rules of these ids, or all where there are none.
func (r *Rules) Only(ids []string) *Rules {
	if len(ids) == 0 {
		return r
	}
	only := *r
	only.Rules = slices.DeleteFunc(slices.Clone(r.Rules), func(x *rule.Rule) bool { return !slices.Contains(ids, x.ID) })
	return &only
}

// NewPipeline returns the path from records to alerts under the rules. tenant is the one of records that name none, or
// "". now stamps what is set aside; no rule sees it.
func NewPipeline(r *Rules, d decode.Decoder, s store.Store, tenant string, now func() time.Time) (*pipeline.Pipeline, error) {
	n, engine, err := r.compile(d, tenant)
	if err != nil {
		return nil, err
	}
	return pipeline.New(n, engine, s, now).Suppressing(r.Suppressions), nil
}

// compile makes of the rules all that a pipeline is but the store.
func (r *Rules) compile(d decode.Decoder, tenant string) (*normalize.Normalizer, *rule.Engine, error) {
	engine, err := rule.NewEngine(r.Rules)
	if err != nil {
		return nil, nil, fmt.Errorf("load the rules: %w", err)
	}
	n, err := normalize.New(d, tenant).With(r.Extras, r.Record)
	if err != nil {
		return nil, nil, fmt.Errorf("load the rules: %w", err)
	}
	return n, engine, nil
}

// SettingDecoder names the environment variable that chooses the decoder of records.
const SettingDecoder = "ASSAY_DECODER"

// Decoder returns the decoder that SettingDecoder names: "scanner", which "" means too, or "reference", which is slower and
// stands on another parser: the way out should the scanner ever be found to read a record wrongly.
func Decoder(setting string) (decode.Decoder, error) {
	switch setting {
	case "", "scanner":
		return decode.Scanner{}, nil
	case "reference":
		return decode.Reference{}, nil
	}
	return nil, fmt.Errorf("%s is %q, but is to be scanner or reference", SettingDecoder, setting)
}

// NewCaseRunner returns what runs case files against the built-in rules and the Sigma rules, as LoadRules finds them, and the
// mistakes in those. Each case brings its own reference data.
func NewCaseRunner(c *config.Config, further ...string) (*casefile.Runner, []sigma.Problem, error) {
	all, err := LoadRules(c, further...)
	if err != nil {
		return nil, nil, err
	}
	own := all.Rules[len(all.Rules)-all.own:]
	return &casefile.Runner{
		Decoder: decode.Scanner{}, Extras: all.Extras, Record: all.Record,
		Rules: func(ref *reference.Data) ([]*rule.Rule, error) {
			builtin, err := rules.Catalogue(ref, nil)
			return append(builtin, own...), err
		},
	}, all.Problems, nil
}

// Provenance returns what findings of a run say of how they were made.
func (r *Rules) Provenance(run, version string) alert.Provenance {
	return alert.Provenance{Run: run, Assay: version, Reference: r.Version}
}

// EmbeddedStore returns the value of SettingStore for the embedded store at the path.
func EmbeddedStore(path string) string { return sqliteScheme + path }

// OpenStore opens the embedded store at the path, and makes it if there is none.
func OpenStore(ctx context.Context, path string) (store.Store, error) { return sqlite.Open(ctx, path) }

// OpenStoreFor opens the embedded store at the path, and makes it if there is none. What is written expires if the
// configuration says when, and never if it does not: the logs of an investigation are old.
func OpenStoreFor(ctx context.Context, c *config.Config, path string, now func() time.Time) (store.Store, error) {
	o := sqlite.Options{Now: now}
	if c.Retention > 0 {
		o.Retention = func() time.Duration { return c.Retention }
	}
	return sqlite.OpenWith(ctx, path, o)
}

// OpenExistingStore opens the embedded store at the path, which must be there.
func OpenExistingStore(ctx context.Context, path string) (store.Store, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no store at %s yet: assay detect makes it", path)
	}
	return sqlite.Open(ctx, path)
}

// MemoryStore returns a store that keeps nothing after it is closed.
func MemoryStore(ctx context.Context) (store.Store, error) { return sqlite.Open(ctx, sqlite.Memory) }

// Package bench holds what Assay's speed is measured with: the whole path in memory, what a program would do without a
// decoder of its own, rules that another engine can evaluate too, and hostile documents. Its tests hold the ratios
// between them. Command measure prints them all.
//
// It does not measure transports, stores or networks.
package bench

import (
	"errors"
	"fmt"
	"io"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/rule"
)

// Path takes payloads of the Functions host through the envelope, the decoder, the normaliser and the rules, as a worker of
// the pipeline does up to the findings. It is not safe for concurrent use.
type Path struct {
	normalizer *normalize.Normalizer
	engine     *rule.Engine
	normal     normalize.Scratch
	eval       rule.Scratch
	ev         event.Event
	matches    int
}

// NewPath returns the path with all built-in rules and no configuration.
func NewPath() (*Path, error) {
	rules, err := app.LoadRules(&config.Config{})
	if err != nil {
		return nil, fmt.Errorf("load the rules: %w", err)
	}
	return NewPathWith(decode.Scanner{}, rules.Rules)
}

// NewPathWith returns the path with a decoder and rules.
func NewPathWith(d decode.Decoder, rules []*rule.Rule) (*Path, error) {
	engine, err := rule.NewEngine(rules)
	if err != nil {
		return nil, fmt.Errorf("load the rules: %w", err)
	}
	return &Path{normalizer: normalize.New(d, ""), engine: engine}, nil
}

// Run evaluates every record of the payload and returns how many records it held and how many rules matched. Any part that
// cannot be read is an error.
func (p *Path) Run(payload string) (records, matches int, err error) {
	p.matches = 0
	for in := envelope.Body(payload, envelope.Origin{}); ; records++ {
		rec, err := in.Next()
		if errors.Is(err, io.EOF) {
			return records, p.matches, nil
		}
		if err != nil {
			return records, p.matches, fmt.Errorf("split the payload: %w", err)
		}
		if err := p.Record(&rec); err != nil {
			return records, p.matches, err
		}
	}
}

// Record evaluates one record.
func (p *Path) Record(rec *envelope.Record) error {
	if r := p.normalizer.Normalize(rec, &p.normal, &p.ev); r.Outcome != normalize.Normalised {
		return fmt.Errorf("normalise the record at %s: %s", rec.Origin, r.Detail)
	}
	p.engine.Eval(&p.ev, &p.eval, func(v *rule.Verdict) {
		if v.Truth == rule.True {
			p.matches++
		}
	})
	return nil
}

// Events returns the events of records, each with memory of its own.
func Events(records []string) ([]*event.Event, error) {
	return normalised(normalize.New(decode.Scanner{}, ""), records)
}

func normalised(n *normalize.Normalizer, records []string) ([]*event.Event, error) {
	out := make([]*event.Event, len(records))
	for i, body := range records {
		ev := new(event.Event)
		if r := n.Normalize(&envelope.Record{Body: body}, new(normalize.Scratch), ev); r.Outcome != normalize.Normalised {
			return nil, fmt.Errorf("normalise record %d: %s", i+1, r.Detail)
		}
		out[i] = ev
	}
	return out, nil
}

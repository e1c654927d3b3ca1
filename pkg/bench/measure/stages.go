//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/rule"
)

// stages takes the same records as far as decoding, normalising and evaluating.
type stages struct {
	records    []envelope.Record
	bytes      [][]byte // the same, in the form that encoding/json asks for
	normalizer *normalize.Normalizer
	engine     *rule.Engine
}

func newStages(bodies []string) (*stages, error) {
	rules, err := app.LoadRules(&config.Config{})
	if err != nil {
		return nil, err
	}
	engine, err := rule.NewEngine(rules.Rules)
	if err != nil {
		return nil, fmt.Errorf("load the rules: %w", err)
	}
	s := &stages{engine: engine, normalizer: normalize.New(decode.Scanner{}, "")}
	for _, b := range bodies {
		s.records = append(s.records, envelope.Record{Body: b})
		s.bytes = append(s.bytes, []byte(b))
	}
	return s, nil
}

func (s *stages) contenders() []contender {
	return []contender{
		inProcess("encoding/json into map[string]any", s.standard),
		inProcess("decode with jsontext", s.decode(decode.Reference{})),
		inProcess("decode", s.decode(decode.Scanner{})),
		inProcess("decode, normalise", s.normalise),
		inProcess("decode, normalise, evaluate all rules", s.evaluate),
	}
}

// standard is what most programs do. It is the base of the ratios.
func (s *stages) standard() error {
	for _, b := range s.bytes {
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			return fmt.Errorf("decode with encoding/json: %w", err)
		}
	}
	return nil
}

func (s *stages) decode(d decode.Decoder) func() error {
	return func() error {
		var v decode.Values
		for i := range s.records {
			v.Reset()
			if err := d.Object(s.records[i].Body, decode.Root, &v); err != nil {
				return fmt.Errorf("decode: %w", err)
			}
		}
		return nil
	}
}

func (s *stages) normalise() error { return s.each(func(*event.Event) {}) }

func (s *stages) evaluate() error {
	var scratch rule.Scratch
	return s.each(func(ev *event.Event) { s.engine.Eval(ev, &scratch, func(*rule.Verdict) {}) })
}

func (s *stages) each(visit func(*event.Event)) error {
	var scratch normalize.Scratch
	var ev event.Event
	for i := range s.records {
		if r := s.normalizer.Normalize(&s.records[i], &scratch, &ev); r.Outcome != normalize.Normalised {
			return errors.New("normalise: " + r.Detail)
		}
		visit(&ev)
	}
	return nil
}

package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/assay-sec/assay/pkg/rule"
)

// Settings change rules, by rule id.
type Settings map[string]Setting

// Setting changes one rule. What is nil stays as the catalogue has it.
type Setting struct {
	Stage    *rule.Stage
	Severity *rule.Severity    // of every leg
	Knobs    map[string]string // by name; durations such as 28h30m, whole numbers, true or false
}

// Knob is a documented duration, number or switch of a rule.
type Knob struct {
	Name    string
	Default string
	Doc     string // one sentence
}

// knobs hands a rule its knobs and notes which it asked for, so that one that no rule asks for is an error.
type knobs struct {
	values   map[string]string
	declared []Knob
	errs     []error
}

func (k *knobs) duration(name string, standard time.Duration, doc string) time.Duration {
	return read(k, name, standard, doc, func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err == nil && d < 0 {
			err = errors.New("negative")
		}
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration such as 28h30m", s)
		}
		return d, nil
	})
}

func (k *knobs) whole(name string, standard int64, doc string) int64 {
	return read(k, name, standard, doc, func(s string) (int64, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 1 {
			return 0, fmt.Errorf("%q is not a whole number from 1", s)
		}
		return n, nil
	})
}

func (k *knobs) flag(name string, standard bool, doc string) bool {
	return read(k, name, standard, doc, func(s string) (bool, error) {
		if s != "true" && s != "false" {
			return false, fmt.Errorf("%q is neither true nor false", s)
		}
		return s == "true", nil
	})
}

func read[T any](k *knobs, name string, standard T, doc string, parse func(string) (T, error)) T {
	k.declared = append(k.declared, Knob{Name: name, Default: fmt.Sprint(standard), Doc: doc})
	s, set := k.values[name]
	if !set {
		return standard
	}
	v, err := parse(s)
	if err != nil {
		k.errs = append(k.errs, fmt.Errorf("knobs.%s: %w", name, err))
		return standard
	}
	return v
}

// mistakes returns what was wrong with the values, and the names that the rule does not have, each with its place.
func (k *knobs) mistakes(place string) []error {
	var errs []error
	for _, err := range k.errs {
		errs = append(errs, fmt.Errorf("%s.%w", place, err))
	}
	for _, name := range slices.Sorted(maps.Keys(k.values)) {
		if !slices.ContainsFunc(k.declared, func(d Knob) bool { return d.Name == name }) {
			errs = append(errs, fmt.Errorf("%s.knobs.%s: the rule has no such knob", place, name))
		}
	}
	return errs
}

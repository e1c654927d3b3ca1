package casefile

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// Runner runs case files.
type Runner struct {
	Decoder decode.Decoder
	// Reference is the data over which a case lays its own; nil means the built-in data.
	Reference *reference.Data
	// Rules makes the rules for the reference data of a case.
	Rules func(*reference.Data) ([]*rule.Rule, error)
	// Extras and Record are what the rules need events to hold, see normalize.Normalizer.With.
	Extras []decode.Extra
	Record bool
}

// Result is what became of one case.
type Result struct {
	File *File
	Case *Case
	// Err says why the case failed, with file, line and name; nil if it did not.
	Err error
	// Verdict is what the rule said, where it got as far.
	Verdict rule.Verdict
}

// Run runs the cases of a file.
func (r *Runner) Run(f *File) []Result {
	results := make([]Result, len(f.Cases))
	base, err := r.Reference, error(nil)
	if base == nil {
		base, err = reference.New()
	}
	for i := range f.Cases {
		c := &f.Cases[i]
		results[i] = Result{File: f, Case: c}
		if c.Impossible != "" {
			continue
		}
		if err != nil {
			results[i].Err = f.fail(c, err)
			continue
		}
		v, err := r.verdict(base, f.Rule, c)
		if err == nil {
			results[i].Verdict = v
			err = c.compare(&v)
		}
		if err != nil {
			results[i].Err = f.fail(c, err)
		}
	}
	return results
}

func (r *Runner) verdict(ref *reference.Data, id string, c *Case) (rule.Verdict, error) {
	if c.Config != nil {
		var err error
		if ref, err = ref.With(*c.Config); err != nil {
			return rule.Verdict{}, fmt.Errorf("config: %w", err)
		}
	}
	all, err := r.Rules(ref)
	if err != nil {
		return rule.Verdict{}, err
	}
	i := slices.IndexFunc(all, func(x *rule.Rule) bool { return x.ID == id })
	if i < 0 {
		return rule.Verdict{}, fmt.Errorf("there is no rule %q: a case file has the name of its rule", id)
	}
	ev, err := r.event(c)
	if err != nil {
		return rule.Verdict{}, err
	}
	if !slices.Contains(all[i].Kinds, ev.Kind) {
		return rule.Verdict{}, fmt.Errorf("the rule does not read events of the kind %s", ev.Kind)
	}
	return all[i].Verdict(ev), nil
}

// event takes the record through envelope and normaliser.
func (r *Runner) event(c *Case) (*event.Event, error) {
	in := envelope.NewReader(strings.NewReader(c.Record), "record")
	rec, err := in.Next()
	if err != nil {
		return nil, fmt.Errorf("read the record: %w", err)
	}
	if _, err := in.Next(); !errors.Is(err, io.EOF) {
		return nil, errors.New("holds more than one record")
	}
	var ev event.Event
	var s normalize.Scratch
	n, err := normalize.New(r.Decoder, c.Tenant).With(r.Extras, r.Record)
	if err != nil {
		return nil, err
	}
	res := n.Normalize(&rec, &s, &ev)
	switch res.Outcome {
	case normalize.Normalised:
		return &ev, nil
	case normalize.Ignored:
		return nil, fmt.Errorf("records of the category %s are ignored", res.Category)
	case normalize.Refused:
	}
	return nil, fmt.Errorf("the record is set aside: %s: %s", res.Reason, res.Detail)
}

// compare returns every difference between the verdict and what the case asks for.
func (c *Case) compare(v *rule.Verdict) error {
	got := map[rule.Truth]Want{rule.True: Match, rule.False: NoMatch, rule.Unknown: NotEvaluable}[v.Truth]
	if got != c.Want {
		return fmt.Errorf("%s, want %s%s", got, c.Want, reasons(v))
	}
	var errs []error
	compared := func(what, got, want string) {
		if want != "" && got != want {
			errs = append(errs, fmt.Errorf("%s is %q, want %q", what, got, want))
		}
	}
	switch c.Want {
	case Match:
		compared("leg", v.Leg.ID, c.Leg)
		compared("severity", v.Severity.String(), c.Severity)
		compared("strength", v.Strength.String(), c.Strength)
		compared("stage", v.Stage.String(), c.Stage)
		compared("key", v.Key, c.Key)
	case NotEvaluable:
		for _, m := range c.Missing {
			if !slices.Contains(v.Missing, m) {
				errs = append(errs, fmt.Errorf("%q is not among the missing, which are %q", m, v.Missing))
			}
		}
	case NoMatch:
	}
	return errors.Join(errs...)
}

// reasons tells why a verdict is what it is, a line for each comparison.
func reasons(v *rule.Verdict) string {
	var b strings.Builder
	for _, m := range v.Missing {
		fmt.Fprintf(&b, "\n    missing: %s", m)
	}
	for _, f := range v.Facts {
		fmt.Fprintf(&b, "\n    %-7s  %s = %q %s %s", f.Truth, f.Field, f.Value, f.Op, f.Operand)
	}
	return b.String()
}

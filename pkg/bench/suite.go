//go:build unix

package bench

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/assay-sec/assay/pkg/bench/corpus"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/rule"
)

// Seed makes the corpus.
const Seed = 1

// Names of contenders beside the forms of payloads.
const (
	SHA256   = "sha256 of the payload"
	Valid    = "json.Valid of the payload"
	Standard = "naive layers, encoding/json"
	V2       = "naive layers, json/v2 over jsontext"
	Jsontext = "double, decoded with jsontext"
)

// Simply marks the contenders that evaluate the 30 simple rules. The targets were set for a path with those. The catalogue,
// which asks several times as much, is held to the same.
const Simply = ", 30 rules"

// PathTargets are the targets of the whole path in memory. The payload of SHA256 and Valid is that of the form object,
// which is the least.
func PathTargets() []Target {
	valid, validDouble := 2.0, 1.1
	if v := runtime.Version(); strings.Contains(v, "jsonv2") || !strings.HasPrefix(v, "go1.26") && !strings.HasPrefix(v, "go1.25") {
		valid, validDouble = 0.8, 0.4 // there json.Valid is three times as fast
	}
	base64 := string(corpus.Base64)
	var out []Target
	for _, rules := range []string{Simply, ""} {
		object, double := string(corpus.Objects)+rules, string(corpus.Doubled)+rules
		out = append(out,
			Target{"T1 object" + rules + ": times sha256", object, SHA256, 4, false},
			Target{"T2 double" + rules + ": times sha256", double, SHA256, 8, false},
			Target{"T2 double" + rules + ": times object", double, object, 2.3, false},
			Target{"T3 object" + rules + ": times as fast as json.Valid", Valid, object, valid, true},
			Target{"T3 double" + rules + ": times as fast as json.Valid", Valid, double, validDouble, true},
			Target{"T4 double" + rules + ": times as fast as naive encoding/json", Standard, double, 8, true},
			Target{"T4 double" + rules + ": times as fast as naive json/v2", V2, double, 4, true})
	}
	return append(out, Target{"base64: times double", base64, string(corpus.Doubled), 1.3, false})
}

// PathContenders take so many messages in every form through the path, beside the yardsticks.
func PathContenders(messages int) ([]Contender, error) {
	list, records := corpus.New(Seed).Messages(messages)
	p, err := NewPath()
	if err != nil {
		return nil, err
	}
	var thirty []*rule.Rule
	for _, r := range SimpleRules() {
		thirty = append(thirty, r.Rule())
	}
	simple, err := NewPathWith(decode.Scanner{}, thirty)
	if err != nil {
		return nil, err
	}
	reference, err := NewPathWith(decode.Reference{}, p.engine.Rules())
	if err != nil {
		return nil, err
	}
	object := []byte(corpus.Payloads(list, corpus.Objects)[0])
	double := corpus.Payloads(list, corpus.Doubled)
	naive := func(name string, read func([]byte) (int, error)) Contender {
		payload := []byte(double[0])
		return Contender{name, records, func() error {
			n, err := read(payload)
			if err == nil && n != records {
				err = fmt.Errorf("read %d records of %d", n, records)
			}
			return err
		}}
	}
	all := []Contender{
		{SHA256, records, func() error { sha256.Sum256(object); return nil }},
		{Valid, records, func() error {
			if !json.Valid(object) {
				return fmt.Errorf("the payload is not valid")
			}
			return nil
		}},
	}
	for _, f := range corpus.Forms() {
		all = append(all, Contender{string(f), records, p.all(corpus.Payloads(list, f), records)})
	}
	for _, f := range []corpus.Form{corpus.Objects, corpus.Doubled} {
		all = append(all, Contender{string(f) + Simply, records, simple.all(corpus.Payloads(list, f), records)})
	}
	return append(all,
		Contender{Jsontext, records, reference.all(double, records)},
		naive(V2, V2Layers),
		naive(Standard, StandardLayers),
	), nil
}

// all takes payloads through the path and counts their records.
func (p *Path) all(payloads []string, records int) func() error {
	return func() error {
		sum := 0
		for _, body := range payloads {
			n, _, err := p.Run(body)
			if err != nil {
				return err
			}
			sum += n
		}
		if sum != records {
			return fmt.Errorf("read %d records of %d", sum, records)
		}
		return nil
	}
}

// flat is the form whose payloads are measured by their number of messages.
const flat = corpus.Doubled

// FlatTargets bound what an event may cost by the number of messages in its payload.
func FlatTargets() []Target {
	var out []Target
	for _, n := range flatSizes[1:] {
		name := fmt.Sprintf("an event in %d messages: times one in 256", n)
		out = append(out,
			Target{name, flatName(n), flatName(flatSizes[0]), 1.3, false},
			Target{name, flatName(n), flatName(flatSizes[0]), 0.7, true})
	}
	return out
}

var flatSizes = [...]int{256, 64, 16, 4, 1}

func flatName(messages int) string { return fmt.Sprintf("%d messages", messages) }

// FlatContenders take the same 256 messages through the path in payloads of 1 to 256.
func FlatContenders() ([]Contender, error) {
	list, records := corpus.New(Seed).Messages(flatSizes[0])
	p, err := NewPath()
	if err != nil {
		return nil, err
	}
	var all []Contender
	for _, n := range flatSizes {
		var payloads []string
		for part := range slices.Chunk(list, n) {
			payloads = append(payloads, corpus.Payloads(part, flat)...)
		}
		all = append(all, Contender{flatName(n), records, p.all(payloads, records)})
	}
	return all, nil
}

const normalTraffic = "normal traffic"

// HostileTargets bound what a byte of a hostile document may cost.
func HostileTargets() []Target {
	var out []Target
	for _, name := range hostileNames() {
		out = append(out, Target{"a byte of " + name + ": times a normal one", name, normalTraffic, 4, false})
	}
	return out
}

// HostileContenders take hostile documents through the path, beside normal traffic of the same form. The unit is a byte.
func HostileContenders() ([]Contender, error) {
	list, records := corpus.New(Seed).Messages(20)
	p, err := NewPath()
	if err != nil {
		return nil, err
	}
	normal := corpus.Payloads(list, corpus.Objects)
	all := []Contender{{normalTraffic, len(normal[0]), p.all(normal, records)}}
	for _, name := range hostileNames() {
		body := hostile(name)
		all = append(all, Contender{name, len(body), func() error { p.Survive(body); return nil }})
	}
	return all, nil
}

// GrowthTarget bounds what an event may cost by the number of rules.
func GrowthTarget() Target {
	return Target{"3000 equality rules: times 30", "3000 rules", "30 rules", 1.5, false}
}

// GrowthContenders evaluate 30, 300 and 3,000 rules that each ask for a value.
func GrowthContenders() ([]Contender, error) {
	events, err := Events(corpus.Records(Seed, 400))
	if err != nil {
		return nil, err
	}
	var all []Contender
	for _, n := range []int{30, 300, 3000} {
		engine, err := rule.NewEngine(EqualityRules(n))
		if err != nil {
			return nil, fmt.Errorf("load %d rules: %w", n, err)
		}
		var s rule.Scratch
		matches := 0
		all = append(all, Contender{fmt.Sprintf("%d rules", n), len(events), func() error {
			for _, ev := range events {
				engine.Eval(ev, &s, func(*rule.Verdict) { matches++ })
			}
			return nil
		}})
	}
	return all, nil
}

// Allocation is what the path allocates for an event of a form.
type Allocation struct {
	Form        corpus.Form
	Count       float64 // allocations an event
	Bytes       float64 // bytes an event
	BytesOfBody float64 // bytes an event, times those of its share of the payload
}

// Limits of what an event may allocate (T7).
const (
	MaxAllocations = 2
	MaxBytesOfBody = 2.5
)

// Allocations measures every form.
func Allocations(messages int) ([]Allocation, error) {
	list, records := corpus.New(Seed).Messages(messages)
	p, err := NewPath()
	if err != nil {
		return nil, err
	}
	var out []Allocation
	for _, f := range corpus.Forms() {
		payloads := corpus.Payloads(list, f)
		size := 0
		for _, b := range payloads {
			size += len(b)
		}
		count, bytes, err := Allocated(p.all(payloads, records))
		if err != nil {
			return nil, err
		}
		out = append(out, Allocation{f, float64(count) / float64(records), float64(bytes) / float64(records), float64(bytes) / float64(size)})
	}
	return out, nil
}

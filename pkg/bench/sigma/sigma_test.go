package main

import (
	"testing"

	"github.com/assay-sec/assay/pkg/bench"
)

// The slack and the tries are those of package bench.
const (
	slack = 1.5
	tries = 3
)

func TestRulesMeetTheirTarget(t *testing.T) {
	for try := 1; ; try++ {
		costs, _, err := measure(5, 300)
		if err != nil {
			t.Fatal(err)
		}
		r := bench.Ratios([]bench.Target{target}, costs)[0]
		t.Log(r)
		if r.Met(slack) {
			return
		}
		if try == tries {
			t.Fatalf("missed, even with a slack of %g: %s", slack, r)
		}
	}
}

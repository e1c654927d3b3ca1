package main

import (
	"testing"

	"github.com/assay-sec/assay/pkg/bench"
)

// By so much the best rounds may miss the target on a loaded machine, where 19 to 23 times was measured.
const (
	slack = 1.5
	tries = 3
)

func TestRulesStayAhead(t *testing.T) {
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

//go:build race

package rules_test

// raced says that the race detector runs, under which sync.Pool (and so package regexp) forgets at random and allocates.
const raced = true

//go:build race

package notify_test

// The embedded store is some thirty times slower under the race detector.
const alertsByDefault = 100

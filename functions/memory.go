package main

import (
	"math"
	"os"
	"runtime/debug"
)

// What the garbage collector is told where the environment says nothing, see tuneMemory.
const (
	defaultGCPercent   = 200
	defaultMemoryLimit = 200 << 20 // 40 % of an instance of 512 MB; the Functions host lives in the same
)

// tuneMemory lets the collector run seldom and bounds the heap. GOGC and GOMEMLIMIT of the environment come first.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(defaultGCPercent)
	}
	if debug.SetMemoryLimit(-1) == math.MaxInt64 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(defaultMemoryLimit)
	}
}

package main

import (
	"math"
	"os"
	"runtime/debug"
)

// What the garbage collector is told where the environment says nothing, see seldomCollect and boundHeap.
const (
	handlerGCPercent   = 200
	handlerMemoryLimit = 200 << 20 // 40 % of an instance of 512 MB; the Functions host lives in the same

	// A command reads logs as fast as it can, and holds little of them. On a gigabyte this costs a quarter less CPU time
	// than Go's 100, and stays under 100 MB.
	commandGCPercent = 300
)

// seldomCollect lets the heap grow by so much before it is collected. GOGC of the environment comes first.
func seldomCollect(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// boundHeap sets a soft limit in bytes. GOMEMLIMIT of the environment comes first.
func boundHeap(limit int64) {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}

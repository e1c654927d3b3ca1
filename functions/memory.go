package main

import (
	"math"
	"os"
	"runtime/debug"
)

// What the garbage collector is told where the environment says nothing, see seldomCollect and boundHeap; and ballast.
const (
	handlerGCPercent   = 400
	handlerMemoryLimit = 200 << 20 // 40 % of an instance of 512 MB; the Functions host lives in the same

	// A command holds few MB of the logs that it reads, now more, now less. Go would collect whenever it has read as much
	// again, and hand memory back after a low only to fetch it for the next high, page by page.
	commandBallast = 24 << 20
)

// ballast is memory that counts as used for as long as it is referred to, and is never touched: the system need not
// provide it. The heap grows by so much more before it is collected, and hardly less after a low.
func ballast(size int) []byte { return make([]byte, size) }

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

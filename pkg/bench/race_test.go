//go:build race || !unix

package bench

import "testing"

func TestTargets(t *testing.T) {
	t.Skip("the targets are measured without the race detector, which distorts them, and where the kernel counts CPU time: see make gates")
}

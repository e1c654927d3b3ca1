// Package replaychunk is the function that works on replays: on one slice at a time, for a few minutes, and then asks for
// the next turn through its own queue.
package replaychunk

import (
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
)

// Register adds the function to the routes. The names are those of its folder and of the binding in function.json.
func Register(r *azfunc.Routes, s *app.Service) {
	r.Function("replaychunk", s.ReplayChunk("message"))
}

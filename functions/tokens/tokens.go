// Package tokens is the function that takes token observations from their event hub through the pipeline. Any category of log may arrive on
// any hub: the functions differ in hub, consumer group and connection alone, so that each scales by itself.
package tokens

import (
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
)

// Register adds the function to the routes. The names are those of its folder and of the binding in function.json.
func Register(r *azfunc.Routes, s *app.Service) {
	r.Function("tokens", s.Ingest("events"))
}

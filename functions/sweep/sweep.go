// Package sweep is the function that sends the deliveries that are due, and now and then makes those that the change feed
// has missed.
package sweep

import (
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
)

// Register adds the function to the routes.
func Register(r *azfunc.Routes, s *app.Service) {
	r.Function("sweep", s.Sweep())
}

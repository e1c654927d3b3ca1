// Package keys is the function that reads the published signing keys every hour and keeps which were there when.
package keys

import (
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
)

// Register adds the function to the routes.
func Register(r *azfunc.Routes, s *app.Service) {
	r.Function("keys", s.Keys())
}

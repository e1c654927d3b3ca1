// Package health is the function that tells whether Assay works: its store, its rules, and how far each partition has
// been processed.
package health

import (
	"net/http"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
)

// Register adds the function to the routes.
func Register(r *azfunc.Routes, s *app.Service) {
	r.HTTP("GET /api/health", http.HandlerFunc(s.Health().Get))
}

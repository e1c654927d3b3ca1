// Package alerts is the function that serves alerts to people and programs: list, read, and change what belongs to
// analysts.
package alerts

import (
	"net/http"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
)

// Register adds the function to the routes, which are those of function.json under the prefix of host.json.
func Register(r *azfunc.Routes, s *app.Service) {
	a := s.Alerts()
	r.HTTP("GET /api/alerts", http.HandlerFunc(a.List))
	r.HTTP("GET /api/alerts/{id}", http.HandlerFunc(a.Get))
	r.HTTP("PATCH /api/alerts/{id}", http.HandlerFunc(a.Patch))
}

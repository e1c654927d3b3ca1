// Package notify is the function that watches the change feed of the alerts and makes the deliveries that they are due.
// Sending is the business of function sweep.
package notify

import (
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
)

// Register adds the function to the routes. The names are those of its folder and of the binding in function.json.
func Register(r *azfunc.Routes, s *app.Service) {
	r.Function("notify", s.Notify("documents"))
}

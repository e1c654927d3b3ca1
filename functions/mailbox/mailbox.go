// Package mailbox is the function that takes mailbox and other Microsoft 365 audit from its event hub through the pipeline. Any category of log may arrive on
// any hub: the functions differ in hub, consumer group and connection alone, so that each scales by itself.
package mailbox

import (
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
)

// Register adds the function to the routes. The names are those of its folder and of the binding in function.json.
func Register(r *azfunc.Routes, s *app.Service) {
	r.Function("mailbox", s.Ingest("events"))
}

// Package replays is the function that starts, shows and ends replays of past windows. Function replaychunk does the work.
package replays

import (
	"net/http"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
)

// Register adds the function to the routes, which are those of function.json under the prefix of host.json.
func Register(r *azfunc.Routes, s *app.Service) {
	a := s.Replays()
	r.HTTP("POST /api/replays", http.HandlerFunc(a.Start))
	r.HTTP("GET /api/replays", http.HandlerFunc(a.List))
	r.HTTP("GET /api/replays/{id}", http.HandlerFunc(a.Get))
	r.HTTP("DELETE /api/replays/{id}", http.HandlerFunc(a.Cancel))
	r.HTTP("GET /api/replays/{id}/alerts", http.HandlerFunc(a.Results))
	r.HTTP("POST /api/replays/{id}/slices/{slice}", http.HandlerFunc(a.Retry))
}

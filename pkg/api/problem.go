package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/assay-sec/assay/pkg/access"
	"github.com/assay-sec/assay/pkg/replay"
	"github.com/assay-sec/assay/pkg/store"
)

// problem is an answer that says what is wrong (RFC 9457).
type problem struct {
	Type   string `json:"type"` // always "about:blank": the status says what kind of problem it is
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Field  string `json:"field,omitempty"` // the parameter or member that is wrong
}

// badRequest is an error of the caller's making.
type badRequest struct{ field, detail string }

func (b *badRequest) Error() string { return b.field + ": " + b.detail }

// refuse answers a request that could not be served. What went wrong inside is logged, not told.
func refuse(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	p := problem{Type: "about:blank"}
	var bad *badRequest
	var invalid *replay.Invalid
	switch {
	case errors.As(err, &invalid):
		p.Status, p.Field, p.Detail = http.StatusBadRequest, invalid.Field, invalid.Detail
	case errors.Is(err, replay.ErrNotFailed):
		p.Status, p.Detail = http.StatusConflict, replay.ErrNotFailed.Error()
	case errors.As(err, &bad):
		p.Status, p.Field, p.Detail = http.StatusBadRequest, bad.field, bad.detail
	case errors.Is(err, access.ErrUnauthenticated):
		p.Status, p.Detail = http.StatusUnauthorized, err.Error()
	case errors.Is(err, access.ErrForbidden):
		p.Status, p.Detail = http.StatusForbidden, err.Error()
	case errors.Is(err, store.ErrNotFound):
		p.Status = http.StatusNotFound
	case errors.Is(err, store.ErrConflict):
		p.Status, p.Detail = http.StatusConflict, "somebody else is changing it: try again"
	case errors.Is(err, store.ErrUnavailable):
		log.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "error", err)
		w.Header().Set("Retry-After", "5")
		p.Status, p.Detail = http.StatusServiceUnavailable, "the store cannot be reached"
	default:
		log.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "error", err)
		p.Status = http.StatusInternalServerError
	}
	p.Title = http.StatusText(p.Status)
	answerAs(w, p.Status, "application/problem+json", p)
}

func answer(w http.ResponseWriter, status int, v any) { answerAs(w, status, "application/json", v) }

func answerAs(w http.ResponseWriter, status int, mediaType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"title":"Internal Server Error","status":500}`)
	}
	h := w.Header()
	h.Set("Content-Type", mediaType)
	// What an alert quotes was written by an attacker: no browser is to take it for a page.
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a caller that has gone is nobody's trouble
}

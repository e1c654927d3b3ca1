package azfunc

import (
	"context"
	"io"
	"log/slog"
	"strings"
)

// NewLogger returns a logger that writes one JSON object a line to w, which should be standard output: the host
// records lines of standard error as errors, whatever they say. Lines that are logged with the context of a call carry
// its invocation id, function, retry count and trace id.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(callHandler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})})
}

// call is what is known of a request, kept in its context for the log.
type call struct {
	id, function, trace string
	retry               int
}

type callKey struct{}

func withCall(ctx context.Context, c call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callHandler adds the call of the context to each line.
type callHandler struct{ slog.Handler }

func (h callHandler) Handle(ctx context.Context, r slog.Record) error {
	if c, ok := ctx.Value(callKey{}).(call); ok {
		for _, a := range []slog.Attr{
			slog.String("invocationId", c.id), slog.String("function", c.function), slog.String("traceId", c.trace),
		} {
			if a.Value.String() != "" {
				r.AddAttrs(a)
			}
		}
		if c.retry > 0 {
			r.AddAttrs(slog.Int("retryCount", c.retry))
		}
	}
	return h.Handler.Handle(ctx, r)
}

func (h callHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return callHandler{h.Handler.WithAttrs(attrs)}
}

func (h callHandler) WithGroup(name string) slog.Handler {
	return callHandler{h.Handler.WithGroup(name)}
}

// traceID returns the trace id of a traceparent header, or empty if it is not one.
func traceID(traceparent string) string {
	parts := strings.Split(traceparent, "-")
	if len(parts) < 4 || len(parts[1]) != 32 || strings.Trim(parts[1], "0123456789abcdef") != "" {
		return ""
	}
	return parts[1]
}

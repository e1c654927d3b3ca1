package azfunc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// isFunctionName tells whether the host accepts the name as that of a function's folder: 1 to 128 letters, digits, "_" and "-",
// a letter first (Utility.cs).
func isFunctionName(name string) bool {
	for i, c := range []byte(name) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '_' && c != '-') {
			return false
		}
	}
	return name != "" && len(name) <= 128
}

// Routes says who answers which request. The zero value has none.
type Routes struct {
	functions map[string]Handler
	web       http.ServeMux
	patterns  []string
	errs      []error
	observe   Observer
}

// Call is what an [Observer] is told of a request.
type Call struct {
	Function    string // the function's name, or the pattern of a forwarded request; empty if nobody serves it
	Forwarded   bool   // plain HTTP
	ID          string // of the invocation; may be empty
	Traceparent string // W3C trace context; may be empty
	Tracestate  string
}

// Observer is told of a call before it is handled. It returns the context to handle it in, and what is to be told of the status
// of the answer.
type Observer func(ctx context.Context, c Call) (handle context.Context, answered func(status int))

// Observe sets who is told of every call, for telemetry.
func (r *Routes) Observe(o Observer) { r.observe = o }

// Function serves the invocations of the function of that name, which the host posts to "/name".
func (r *Routes) Function(name string, h Handler) {
	switch {
	case !isFunctionName(name) || strings.EqualFold(name, "host"):
		r.errs = append(r.errs, fmt.Errorf("function %q: not a name that the host accepts", name))
	case r.functions[name] != nil:
		r.errs = append(r.errs, fmt.Errorf("function %q: registered twice", name))
	case r.functions == nil:
		r.functions = map[string]Handler{name: h}
	default:
		r.functions[name] = h
	}
}

// HTTP serves forwarded requests. The pattern is that of http.ServeMux, with the route prefix of host.json, for example
// "GET /api/alerts/{id}". Patterns that would make the mux redirect are refused: the host passes redirects on or follows
// them, as host.json has it, and neither is what the caller asked for.
//
// A request body that was sent in chunks does not arrive (azure-functions-host#6444). Function keys do, in the query or
// a header: never log either.
func (r *Routes) HTTP(pattern string, h http.Handler) {
	_, route, _ := strings.Cut(pattern, " ")
	if route == "" {
		route = pattern
	}
	if !strings.HasPrefix(route, "/") || strings.HasSuffix(route, "/") || strings.Contains(route, "...}") {
		r.errs = append(r.errs, fmt.Errorf("pattern %q: want an exact path below /", pattern))
		return
	}
	defer func() {
		if p := recover(); p != nil {
			r.errs = append(r.errs, fmt.Errorf("pattern %q: %v", pattern, p))
		}
	}()
	r.web.Handle(pattern, h)
	r.patterns = append(r.patterns, pattern)
}

// Functions returns the names of the functions that are served by invocation, sorted.
func (r *Routes) Functions() []string { return slices.Sorted(maps.Keys(r.functions)) }

// Patterns returns the patterns of the functions that are served as plain HTTP, in order of registration.
func (r *Routes) Patterns() []string { return slices.Clone(r.patterns) }

func (r *Routes) err() error { return errors.Join(r.errs...) }

// function returns the handler of the function that the path names.
func (r *Routes) function(p string) (string, Handler) {
	name := strings.TrimPrefix(p, "/")
	return name, r.functions[name]
}

// forwarded returns the handler and pattern for a forwarded request. A path that the mux would clean by a redirect
// matches nothing.
func (r *Routes) forwarded(req *http.Request) (http.Handler, string) {
	if p := req.URL.Path; p == "" || p != path.Clean(p) {
		return http.NotFoundHandler(), ""
	}
	_, pattern := r.web.Handler(req)
	return &r.web, pattern
}

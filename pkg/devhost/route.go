package devhost

import (
	"fmt"
	"net/url"
	"strings"
)

// route is the route of an HTTP trigger, a template of ASP.NET Core: literals, {parameter}, {parameter?} and, at the end,
// {*rest}. The handler gets the path as it is, so parameters matter only for matching.
type route struct {
	template string
	segments []segment
}

type segment struct {
	literal  string // empty: a parameter
	optional bool
	rest     bool
}

func parseRoute(s string) (route, error) {
	r := route{template: strings.Trim(s, "/")}
	parts := strings.Split(r.template, "/")
	for i, part := range parts {
		inner, isParameter := strings.CutPrefix(part, "{")
		switch {
		case !isParameter && !strings.ContainsAny(part, "{}") && part != "":
			r.segments = append(r.segments, segment{literal: part})
			continue
		case !isParameter || !strings.HasSuffix(inner, "}"):
			return route{}, fmt.Errorf("want literals and {parameters} between the slashes, found %q", part)
		case strings.ContainsAny(inner, ":="):
			return route{}, fmt.Errorf("constraints and defaults are not supported by the local host: %q", part)
		}
		inner = strings.TrimSuffix(inner, "}")
		p := segment{optional: strings.HasSuffix(inner, "?"), rest: strings.HasPrefix(inner, "*")}
		if (p.optional || p.rest) && i != len(parts)-1 {
			return route{}, fmt.Errorf("%q may stand only at the end", part)
		}
		r.segments = append(r.segments, p)
	}
	return r, nil
}

// match reports whether the route matches an escaped path without its prefix, and how many literals it took: the more,
// the better.
func (r route) match(path string) (literals int, ok bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if path == "" {
		parts = nil
	}
	for i, s := range r.segments {
		switch {
		case s.rest:
			return literals, true
		case i >= len(parts):
			return literals, s.optional
		case s.literal != "":
			part, err := url.PathUnescape(parts[i])
			if err != nil || !strings.EqualFold(s.literal, part) {
				return 0, false
			}
			literals++
		}
	}
	return literals, len(parts) <= len(r.segments)
}

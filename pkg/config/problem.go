package config

import (
	"fmt"
	"strings"
)

// Problem is one mistake in a document, with the place where an editor finds it.
type Problem struct {
	File   string
	Line   int    // 1-based; 0: the document as a whole
	Column int    // 1-based, in characters; 0: the whole line
	Field  string // dotted, as in "tenants[0].domains[2].authType"; "" at the top
	Text   string // what is wrong, and what would be right
}

func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
		if p.Column > 0 {
			fmt.Fprintf(&b, ":%d", p.Column)
		}
	}
	b.WriteString(": ")
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems are all mistakes of a document, in its order.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

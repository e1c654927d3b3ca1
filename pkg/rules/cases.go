package rules

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed cases
var cases embed.FS

// Cases returns the case files of the built-in rules, one a rule, for package casefile.
func Cases() fs.FS {
	sub, err := fs.Sub(cases, "cases")
	if err != nil {
		panic(fmt.Sprintf("rules: the embedded case files: %v", err)) // the name above is not a path
	}
	return sub
}

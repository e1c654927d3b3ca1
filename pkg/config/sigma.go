package config

import (
	"path/filepath"
	"strings"
)

// Sigma says where Sigma rules stand, and what their placeholders mean.
type Sigma struct {
	Rules        []string            // files and folders
	Placeholders map[string][]string // by lower-case name
}

// sigma reads the Sigma rules. Paths are beside the document.
func (c *Config) sigma(v value) {
	v.keys(map[string]func(value){
		"rules": each(&c.Sigma.Rules, func(v value) (string, bool) {
			path, ok := v.text("the path of a file or folder")
			if ok && !filepath.IsAbs(path) {
				path = filepath.Join(filepath.Dir(v.doc.file), path)
			}
			return path, ok
		}),
		"placeholders": func(v value) {
			c.Sigma.Placeholders = map[string][]string{}
			v.entries(func(key, val value) {
				values := []string{}
				each(&values, func(v value) (string, bool) { return v.text("a text") })(val)
				c.Sigma.Placeholders[strings.ToLower(key.node.Value)] = values
			})
		},
	})
}

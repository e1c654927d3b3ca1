package config

import (
	"path/filepath"
	"strings"

	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
)

// Sigma says where Sigma rules stand, and what their placeholders mean.
type Sigma struct {
	Rules        []string            // files and folders
	Placeholders map[string][]string // by lower-case name
	Settings     rules.Settings      // of stage and severity, by the id of a rule
}

// sigma reads the Sigma rules. Paths are beside the document, unless it is a blob: beside one stands no file.
func (c *Config) sigma(v value) {
	v.keys(map[string]func(value){
		"rules": each(&c.Sigma.Rules, func(v value) (string, bool) {
			path, ok := v.text("the path of a file or folder")
			if !ok || filepath.IsAbs(path) {
				return path, ok
			}
			if strings.Contains(v.doc.file, "://") {
				v.fail("is a path beside this document, which is a blob: name an absolute one of the function app's files, such as /home/site/wwwroot/sigma")
				return "", false
			}
			return filepath.Join(filepath.Dir(v.doc.file), path), true
		}),
		"settings": func(v value) {
			c.Sigma.Settings = rules.Settings{}
			v.entries(func(key, val value) {
				var s rules.Setting
				val.keys(map[string]func(value){
					"stage": func(v value) {
						if stage, ok := named[rule.Stage](v, rule.Off, rule.Observe, rule.Enabled); ok {
							s.Stage = &stage
						}
					},
					"severity": func(v value) {
						if severity, ok := named(v, rule.Severities()...); ok {
							s.Severity = &severity
						}
					},
				})
				c.Sigma.Settings[key.node.Value] = s
			})
		},
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

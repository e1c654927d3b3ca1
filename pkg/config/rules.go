package config

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/assay-sec/assay/pkg/issuance"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
)

// suppressible returns the rules whose findings can be suppressed: the built-in ones, and those of joins.
func suppressible() []*rule.Rule { return append(builtin(), issuance.Rules(nil)...) }

// builtin returns the built-in rules. Which there are does not hang on reference data.
func builtin() []*rule.Rule {
	ref, err := reference.New()
	if err != nil {
		return nil
	}
	all, err := rules.Catalogue(ref, nil)
	if err != nil {
		return nil
	}
	return all
}

func ruleIDs(all []*rule.Rule) map[string]bool {
	known := map[string]bool{}
	for _, r := range all {
		known[r.ID] = true
	}
	return known
}

// ruleTags returns the tags of the rules, and of sub-techniques those of the techniques.
func ruleTags(all []*rule.Rule) map[string]bool {
	known := map[string]bool{}
	for _, r := range all {
		for _, tag := range r.Tags() {
			known[tag] = true
			if parts := strings.Split(tag, "."); len(parts) > 2 {
				known[strings.Join(parts[:2], ".")] = true
			}
		}
	}
	return known
}

// tag reads a tag of one of the rules. Where there are rules of one's own, theirs are not known here: see package app.
func (c *Config) tag(v value, known map[string]bool) (string, bool) {
	tag, ok := parsed(v, "a tag of a rule such as attack.t1606.002", func(s string) (string, error) {
		if !tagForm().MatchString(s) {
			return "", errPlain
		}
		return strings.ToLower(s), nil
	})
	if ok && !known[tag] {
		c.settle = append(c.settle, func() {
			if len(c.Sigma.Rules) == 0 {
				v.fail("no rule has this tag%s", suggestion(tag, known))
			}
		})
	}
	return tag, ok
}

var tagForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?i)[a-z0-9_-]+(?:\.[a-z0-9_-]+)+$`) })

// ruleID reads the id of one of the rules. That of a rule of one's own is not known here: where there are such, only one that
// is written much like a built-in one is a mistake.
func (c *Config) ruleID(v value, known map[string]bool) (string, bool) {
	id, ok := v.text("the id of a rule")
	if ok && !known[id] {
		hint := suggestion(id, known)
		c.settle = append(c.settle, func() {
			if len(c.Sigma.Rules) == 0 || hint != "" {
				v.fail("there is no such rule%s", hint)
			}
		})
	}
	return id, ok
}

// rules reads what the document says of rules. A rule is named by its id.
func (c *Config) rules(v value) {
	// The built-in reference data will do: which rules there are and which knobs they have does not hang on it.
	ref, err := reference.New()
	if err != nil {
		v.fail("the built-in reference data cannot be read: %v", err)
		return
	}
	known := ruleIDs(builtin())
	c.Rules = rules.Settings{}
	v.members(known, "rule", func(id string, val value) { c.Rules[id] = setting(ref, id, val) })
}

func setting(ref *reference.Data, id string, v value) (s rules.Setting) {
	v.keys(map[string]func(value){
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
		"knobs": func(v value) {
			s.Knobs = map[string]string{}
			v.entries(func(key, val value) {
				if val.describing() {
					val.schema.Type = []string{"string", "integer", "boolean"}
				}
				text, ok := val.text("a duration, a whole number, true or false")
				if !ok {
					return
				}
				name := key.node.Value
				// The rule itself knows its knobs best: ask it for each alone, so that each mistake has its place.
				_, err := rules.Catalogue(ref, rules.Settings{id: {Knobs: map[string]string{name: text}}})
				if err != nil {
					val.fail("%s", strings.TrimPrefix(err.Error(), fmt.Sprintf("rules.%s.knobs.%s: ", id, name)))
					return
				}
				s.Knobs[name] = text
			})
		},
	})
	if v.node.Kind == yaml.MappingNode && len(v.node.Content) == 0 {
		v.fail("says nothing: delete it, or give a stage, a severity or knobs")
	}
	return s
}

// named reads one of the values by its name.
func named[T fmt.Stringer](v value, all ...T) (T, bool) {
	words := make([]string, len(all))
	for i, x := range all {
		words[i] = x.String()
	}
	w, ok := v.word(words...)
	for _, x := range all {
		if ok && x.String() == w {
			return x, true
		}
	}
	var zero T
	return zero, false
}

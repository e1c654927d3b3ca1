package config

import (
	_ "embed" // for the example
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// SchemaID names the schema of the document, as an editor may be told.
const SchemaID = "https://github.com/assay-sec/assay/blob/main/pkg/config/assay.schema.json"

//go:embed example.yaml
var example []byte

// schema is a part of the JSON schema of the document. It comes of the readers themselves: they are run over a value that
// describes, on which each says what it would read. So what the schema allows and what the parser takes cannot drift apart.
type schema struct {
	ID          string             `json:"$id,omitempty"`
	Dialect     string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        any                `json:"type,omitempty"` // a text, or a list of texts
	Enum        []string           `json:"enum,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Others      any                `json:"additionalProperties,omitempty"` // false, or the *schema of what other keys hold
	Names       *schema            `json:"propertyNames,omitempty"`
	Required    []string           `json:"required,omitempty"`
	AnyOf       []*schema          `json:"anyOf,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	Maximum     *int               `json:"maximum,omitempty"`
}

// Schema returns the JSON schema (draft 2020-12) of the document, for editors. Its descriptions are the comments of example.yaml.
func Schema() ([]byte, error) {
	root := &schema{}
	c := &Config{}
	v := value{doc: &document{}, node: &yaml.Node{}, schema: root}
	v.keys(c.readers())
	root.ID, root.Dialect = SchemaID, "https://json-schema.org/draft/2020-12/schema"
	root.Title = "assay.yaml"
	root.Description = "What the people who run Assay say is theirs. Nothing is mandatory."
	var top yaml.Node
	if err := yaml.Unmarshal(example, &top); err != nil {
		return nil, fmt.Errorf("read the example of the configuration: %w", err)
	}
	root.comment(top.Content[0])
	// Defaults and tenants have the same keys: a comment stands beside one of them.
	defaults, tenants := root.Properties["defaults"].Properties, root.Properties["tenants"].Items.Properties
	for name, part := range defaults {
		if tenants[name].Description != "" {
			defaults[name] = tenants[name]
		} else {
			tenants[name] = part
		}
	}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema of the configuration: %w", err)
	}
	return append(text, '\n'), nil
}

// describing tells whether the value describes what it would hold instead of holding anything.
func (v value) describing() bool { return v.schema != nil }

// child returns a value that describes a part of this one, and the part.
func (v value) child() (value, *schema) {
	s := &schema{}
	return value{doc: v.doc, node: &yaml.Node{}, schema: s}, s
}

// describeKeys makes the description that of a mapping with these keys.
func (v value) describeKeys(known map[string]func(value)) {
	s := v.schema
	s.Type, s.Others, s.Properties = orNull("object"), false, map[string]*schema{}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		part, of := v.child()
		known[name](part)
		if of.Type == nil && of.AnyOf == nil {
			continue // a key that only says where it belongs
		}
		s.Properties[name] = of
	}
}

// orNull lets the type be null, too: a key whose entries are all commented out reads as not given.
func orNull(kind string) []string { return []string{kind, "null"} }

// comment gives the parts the comments of the example's entries, the first of which has the say.
func (s *schema) comment(n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, val := n.Content[i], n.Content[i+1]
			part := s.Properties[key.Value]
			if part == nil {
				part, _ = s.Others.(*schema)
			}
			if part == nil {
				continue
			}
			text := commentText(key.HeadComment, key.LineComment, val.LineComment)
			if val.Kind == yaml.SequenceNode && len(val.Content) > 0 && text == "" {
				text = commentText(val.Content[0].HeadComment)
			}
			if text != "" && !part.commented() {
				part.Description = strings.TrimSuffix(text+"; "+part.Description, "; ")
			}
			part.comment(val)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if s.Items != nil {
				s.Items.comment(item)
			}
		}
	default:
	}
}

// commented tells whether the description begins with a comment of the example.
func (s *schema) commented() bool { return strings.Contains(s.Description, "; ") }

func commentText(comments ...string) string {
	for _, c := range comments {
		if c == "" {
			continue
		}
		// A comment at the top of the document is not of its first key.
		parts := strings.Split(c, "\n\n")
		var words []string
		for line := range strings.Lines(parts[len(parts)-1]) {
			words = append(words, strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "#")))
		}
		return strings.Join(words, " ")
	}
	return ""
}

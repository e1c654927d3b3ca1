package config

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// kept is a schema as editors read it.
type kept struct {
	Properties map[string]*kept `json:"properties"`
	Others     json.RawMessage  `json:"additionalProperties"`
	Items      *kept            `json:"items"`
	AnyOf      []*kept          `json:"anyOf"`
	Names      struct {
		Enum []string `json:"enum"`
	} `json:"propertyNames"`
}

func readSchema(t *testing.T) *kept {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s kept
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// The schema in the folder is there for editors.
func TestSchemaIsCurrent(t *testing.T) {
	got, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	const file = "assay.schema.json"
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the readers say: run go test ./pkg/config -update", file)
	}
}

// unknown adds the places, as problems name them, of keys that the schema does not know, and marks those that it does.
func (s *kept) unknown(n *yaml.Node, path string, found, met map[string]bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for _, of := range s.AnyOf { // of a secret: the form that is a mapping
			if of.Properties != nil {
				s = of
			}
		}
		if s.Properties == nil && len(s.Others) == 0 {
			return // not a mapping to the schema either: a mistake of another kind
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			at := name
			if path != "" {
				at = path + "." + name
			}
			part, ok := s.Properties[name]
			if !ok && (string(s.Others) == "false" || s.Names.Enum != nil && !slices.Contains(s.Names.Enum, name)) {
				found[at] = true
				continue
			}
			if !ok {
				part = &kept{}
				_ = json.Unmarshal(s.Others, part)
			}
			met[class(at)] = true
			part.unknown(n.Content[i+1], at, found, met)
		}
	case yaml.SequenceNode:
		if s.Items == nil {
			return
		}
		for i, item := range n.Content {
			s.Items.unknown(item, path+"["+itoa(i)+"]", found, met)
		}
	default:
	}
}

// class names the keys that have one meaning: a list's items have the same, and so have defaults and tenants.
func class(path string) string {
	path = regexp.MustCompile(`\[\d*\]`).ReplaceAllString(path, "")
	return regexp.MustCompile(`^(\.?)defaults\b`).ReplaceAllString(path, "${1}tenants")
}

func itoa(i int) string { b, _ := json.Marshal(i); return string(b) }

func node(t *testing.T, file string) *yaml.Node {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var n yaml.Node
	if err := yaml.Unmarshal(text, &n); err != nil {
		t.Fatal(err)
	}
	return n.Content[0]
}

// The example has every key, and no other.
func TestSchemaKnowsTheKeysOfTheExample(t *testing.T) {
	s := readSchema(t)
	found, met := map[string]bool{}, map[string]bool{}
	s.unknown(node(t, "example.yaml"), "", found, met)
	for at := range found {
		t.Errorf("the schema does not know %s", at)
	}
	var visit func(s *kept, path string)
	visit = func(s *kept, path string) {
		for name, part := range s.Properties {
			below := strings.TrimPrefix(path+"."+name, ".")
			if !met[class(below)] {
				t.Errorf("the example lacks the key %s", below)
			}
			visit(part, below)
		}
		if s.Items != nil {
			visit(s.Items, path)
		}
	}
	visit(s, "")
}

// What the parser calls an unknown key the schema calls one, and nothing else.
func TestSchemaAndParserRefuseTheSameKeys(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("testdata", "mistakes.golden"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^[^ ]+ (\S+): (?:unknown key|there is no such field|stands under defaults)`).FindAllStringSubmatch(string(golden), -1) {
		want[m[1]] = true
	}
	if len(want) < 4 {
		t.Fatalf("only %d mistakes are about keys", len(want))
	}
	got := map[string]bool{}
	readSchema(t).unknown(node(t, "testdata/mistakes.yaml"), "", got, map[string]bool{})
	if !maps.Equal(got, want) {
		t.Errorf("the schema refuses %v\nthe parser %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

//go:build peers

package peers

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/assay-sec/assay/pkg/config"
)

// What editors make of the schema of the configuration: ajv, of the draft that it names, takes the example and the start, and
// finds fault with the document of mistakes where a key or a value is not of the schema.
func TestConfigurationSchema(t *testing.T) {
	t.Parallel()
	schema, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	documents := map[string]any{"start": document(t, []byte(config.Start("")))}
	for name, file := range map[string]string{"example": "example.yaml", "mistakes": filepath.Join("testdata", "mistakes.yaml")} {
		text, err := os.ReadFile(filepath.Join("..", "..", "config", file))
		if err != nil {
			t.Fatal(err)
		}
		documents[name] = document(t, text)
	}
	input, err := json.Marshal(map[string]any{"schema": json.RawMessage(schema), "documents": documents})
	if err != nil {
		t.Fatal(err)
	}
	var found map[string][]struct {
		At      string         `json:"instancePath"`
		Keyword string         `json:"keyword"`
		Params  map[string]any `json:"params"`
	}
	if err := json.Unmarshal(Node(t, "jsonschema.mjs", bytes.NewReader(input)), &found); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"example", "start"} {
		if len(found[name]) > 0 {
			t.Errorf("%s: %+v", name, found[name])
		}
	}
	unknown := map[string]bool{}
	for _, e := range found["mistakes"] {
		if key, ok := e.Params["additionalProperty"].(string); ok && e.Keyword == "additionalProperties" {
			unknown[strings.TrimPrefix(e.At+"/"+key, "/")] = true
		}
	}
	for _, want := range []string{"rulez", "mailClients", "defaults/scriptedOK", "suppressions/3/until"} {
		if !unknown[want] {
			t.Errorf("%s is no unknown key to the schema; %v are", want, unknown)
		}
	}
	if len(found["mistakes"]) < 15 {
		t.Errorf("only %d faults in the document of mistakes", len(found["mistakes"]))
	}
}

// document reads YAML as editors do: dates are texts, and of a key that stands twice the last counts.
func document(t *testing.T, text []byte) any {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal(text, &n); err != nil {
		t.Fatal(err)
	}
	if len(n.Content) == 0 {
		return nil
	}
	return plain(t, n.Content[0])
}

func plain(t *testing.T, n *yaml.Node) any {
	t.Helper()
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plain(t, n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = plain(t, item)
		}
		return list
	default:
	}
	if n.Tag == "!!timestamp" || !strings.HasPrefix(n.Tag, "!!") {
		return n.Value
	}
	var x any
	if err := n.Decode(&x); err != nil {
		t.Fatal(err)
	}
	return x
}

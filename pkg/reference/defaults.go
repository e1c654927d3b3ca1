package reference

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed data
var files embed.FS

// Builtin returns the embedded reference data. Each file in data says where its content is from.
func Builtin() (Source, error) {
	var all Source
	for _, name := range []string{"tokens.yaml", "indicators.yaml", "mail.yaml", "networks.yaml", "keys.json"} {
		text, err := files.ReadFile("data/" + name)
		if err != nil {
			return Source{}, fmt.Errorf("read the embedded %s: %w", name, err)
		}
		one, err := read(name, text)
		if err != nil {
			return Source{}, fmt.Errorf("read the embedded %s: %w", name, err)
		}
		all = merge(all, one)
	}
	return all, nil
}

func read(name string, text []byte) (Source, error) {
	if strings.HasSuffix(name, ".json") {
		var noted struct {
			Note string `json:"note"`
			Source
		}
		err := json.Unmarshal(text, &noted)
		return noted.Source, err
	}
	var s Source
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	err := d.Decode(&s)
	return s, err
}

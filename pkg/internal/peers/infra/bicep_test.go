//go:build peers

package infra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/internal/peers"
)

// assignment is a value that a .bicepparam file gives. The grammar knows .bicep files alone, in which it is a variable's.
var assignment = regexp.MustCompile(`(?m)^param (\w+ = )`)

// Every file of Bicep parses.
func TestBicep(t *testing.T) {
	t.Parallel()
	files := read(t, ".bicep", ".bicepparam")
	if len(files) < 12 {
		t.Fatalf("only %d files were found", len(files))
	}
	faults := []fault{
		{"infra/bicep/main.bicep", "param tags object = {}", "param tags object = {", "infra/bicep/main.bicep:"},
		{"infra/bicep/main.bicep", "targetScope = 'resourceGroup'", "targetScope = \"resourceGroup\"", "infra/bicep/main.bicep:3:"},
		{"infra/bicep/modules/vault.bicep", "  location: location\n", "  location = location\n", "infra/bicep/modules/vault.bicep:1"},
		{"infra/bicep/modules/vault.bicep", "output url string", "output url: string", "infra/bicep/modules/vault.bicep:71:"},
		{"infra/bicep/modules/storage.bicep", "  for role in hostRoles: {", "  for role of hostRoles: {", "infra/bicep/modules/storage.bicep:"},
		{"infra/bicep/modules/alerts.bicep", "join(map(", "join(map(,", "infra/bicep/modules/alerts.bicep:14:"},
		{"infra/bicep/feeds/entra.bicep", "'microsoft.aadiam/diagnosticSettings@2017-04-01'", "'microsoft.aadiam/diagnosticSettings@2017-04-01", "infra/bicep/feeds/entra.bicep:"},
		{"infra/bicep/main.sample.bicepparam", "  'soc@contoso.example'\n]", "  'soc@contoso.example'\n", "infra/bicep/main.sample.bicepparam:"},
	}
	// The grammar takes seconds to load, so all is parsed at once: the files as they are, and those with a fault.
	all := maps.Clone(files)
	for i, f := range faults {
		all[fmt.Sprint(i, "/", f.file)] = f.in(t, files)[f.file]
	}
	said := parseBicep(t, all)
	for i, f := range faults {
		var own []string
		for _, p := range said {
			if rest, ok := strings.CutPrefix(p, fmt.Sprint(i, "/")); ok {
				own = append(own, rest)
			}
		}
		f.found(t, own)
	}
	for _, p := range said {
		if place.MatchString(p) {
			t.Error(p)
		}
	}
}

var (
	declared = regexp.MustCompile(`(?m)^(param|var|resource) (\w+)(?: '[^']+' (existing))?`)
	aside    = regexp.MustCompile(`(?m)^[ \t]*(?://|@description).*$`)
)

// Nothing is declared that is not used: the linter's rules no-unused-params, no-unused-vars and no-unused-existing-resources.
func TestBicepUsesWhatItDeclares(t *testing.T) {
	t.Parallel()
	files := read(t, ".bicep")
	for _, p := range unused(files) {
		t.Error(p)
	}
	for _, f := range []fault{
		{"infra/bicep/modules/app.bicep", "maximumInstanceCount: maxInstances", "maximumInstanceCount: 40", "maxInstances is used by nobody"},
		{"infra/bicep/modules/storage.bicep", "scope: capture\n", "scope: config\n", "capture is used by nobody"},
		{"infra/bicep/main.bicep", "cosmosMaxThroughput\n", "0\n", "cosmosMaxThroughput is used by nobody"},
		{"infra/bicep/feeds/export.bicep", "tableNames: tables", "tableNames: []", "tables is used by nobody"},
	} {
		f.found(t, unused(f.in(t, files)))
	}
}

func unused(files map[string]string) (out []string) {
	for name, text := range files {
		text = aside.ReplaceAllString(text, "")
		for _, m := range declared.FindAllStringSubmatchIndex(text, -1) {
			what, symbol := text[m[2]:m[3]], text[m[4]:m[5]]
			if what == "resource" && m[6] < 0 {
				continue
			}
			// What begins a line and has a colon is a property, and what stands behind a point or a quotation mark is another name.
			all := regexp.MustCompile(`(?:^|[^.'\w])`+symbol+`\b`).FindAllString(text, -1)
			properties := regexp.MustCompile(`(?m)^[ \t]+`+symbol+`:`).FindAllString(text, -1)
			if len(all)-len(properties) < 2 {
				out = append(out, fmt.Sprintf("%s:%d: %s is used by nobody", name, 1+strings.Count(text[:m[4]], "\n"), symbol))
			}
		}
	}
	return out
}

// parseBicep returns the first error of each file.
func parseBicep(t *testing.T, files map[string]string) []string {
	t.Helper()
	in := map[string]string{}
	for name, text := range files {
		if path.Ext(name) == ".bicepparam" {
			text = assignment.ReplaceAllString(text, "var $1")
		}
		in[name] = text
	}
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	out := strings.TrimSpace(string(peers.Node(t, "infra/bicep.mjs", bytes.NewReader(body))))
	if out == "" {
		return nil
	}
	return strings.Split(out, "\n")
}

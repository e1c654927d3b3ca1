//go:build peers

package infra

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/assay-sec/assay/pkg/internal/peers"
)

// schema is what the bindings of @cdktn/provider-azurerm, which are generated from the provider's own schema, say of a
// resource, a data source or the provider. They know names, nesting, kinds and what is required, and no enumerations.
type schema struct {
	kind       string            // azurerm_…
	top        string            // the interface of its arguments
	interfaces map[string]fields // of its arguments and of all blocks in it
	readable   map[string]bool   // attributes, in camel case
}

func (s *schema) root() fields { return s.interfaces[s.top] }

type fields map[string]field

type field struct {
	required bool
	block    bool
	list     bool
	kind     string // as TypeScript writes it
	nested   string // the interface of its content
}

// mismatch says what is wrong with a literal. Numbers, strings and truth values are converted by Terraform.
func (f field) mismatch(e hclsyntax.Expression) string {
	_, tuple := e.(*hclsyntax.TupleConsExpr)
	_, object := e.(*hclsyntax.ObjectConsExpr)
	_, text := e.(*hclsyntax.TemplateExpr)
	_, literal := e.(*hclsyntax.LiteralValueExpr)
	isMap := strings.HasPrefix(f.kind, "{")
	switch {
	case f.list && (object || text || literal):
		return "is no list"
	case isMap && (tuple || text || literal):
		return "is no map"
	case !f.list && !isMap && f.nested == "" && (tuple || object):
		return "is one value"
	}
	return ""
}

var (
	anInterface = regexp.MustCompile(`(?m)^export interface (\w+)(?: extends ([\w.]+))? \{\n((?s:.*?))^\}`)
	aField      = regexp.MustCompile(`(?s)/\*\*(.*?)\*/\s*readonly (\w+)(\??): (.*);`)
	itsName     = regexp.MustCompile(`docs(?:/[\w/-]+)?#(\w+) `)
	aBlock      = regexp.MustCompile(`(?m)^\s*\* \w+ block$`)
	itsKind     = regexp.MustCompile(`static readonly tfResourceType = "(\w+)"`)
	itsClass    = regexp.MustCompile(`(?m)^export declare class \w+ extends cdktn\.Terraform(?:Resource|DataSource|Provider) \{\n((?s:.*?))^\}`)
	aGetter     = regexp.MustCompile(`(?m)^    get (\w+)\(\)`)
)

var loaded sync.Map // of schemas, by folder

// load reads the schema in a folder of the package.
func load(folder string) (*schema, error) {
	if s, ok := loaded.Load(folder); ok {
		known, _ := s.(*schema)
		return known, nil
	}
	files, err := filepath.Glob(filepath.Join(peers.Dir(), "node_modules", "@cdktn", "provider-azurerm", folder, "*.d.ts"))
	if err != nil || len(files) != 1 {
		return nil, fmt.Errorf("the package has %d declarations in %s: %w", len(files), folder, err)
	}
	declarations, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	text := string(declarations)
	s := &schema{interfaces: map[string]fields{}, readable: map[string]bool{}}
	if m := itsKind.FindStringSubmatch(text); m != nil {
		s.kind = m[1]
	}
	if m := itsClass.FindStringSubmatch(text); m != nil {
		for _, g := range aGetter.FindAllStringSubmatch(m[1], -1) {
			s.readable[g[1]] = true
		}
	}
	for _, m := range anInterface.FindAllStringSubmatch(text, -1) {
		if m[2] == "cdktn.TerraformMetaArguments" || m[1] == "AzurermProviderConfig" {
			s.top = m[1]
		}
		if s.interfaces[m[1]], err = parse(m[3]); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", folder, m[1], err)
		}
	}
	if s.top == "" || len(s.readable) == 0 {
		return nil, fmt.Errorf("%s has no arguments", folder)
	}
	loaded.Store(folder, s)
	return s, nil
}

// parse reads the fields of an interface.
func parse(body string) (fields, error) {
	out := fields{}
	for _, part := range strings.SplitAfter(body, ";\n    /**") {
		part = "/**" + strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(part), "/**"), "/**")
		m := aField.FindStringSubmatch(part)
		if m == nil {
			if strings.Contains(part, "readonly") {
				return nil, fmt.Errorf("a field is not understood: %q", part)
			}
			continue
		}
		name := itsName.FindStringSubmatch(m[1])
		if name == nil {
			return nil, fmt.Errorf("a field without its name in Terraform: %q", part)
		}
		f := field{required: m[3] == "", block: aBlock.MatchString(m[1])}
		f.kind = strings.TrimSuffix(m[4], " | cdktn.IResolvable")
		f.kind, f.list = strings.CutSuffix(f.kind, "[]")
		if !strings.HasPrefix(f.kind, "{") && strings.ToUpper(f.kind[:1]) == f.kind[:1] {
			f.nested = f.kind
		}
		out[name[1]] = f
	}
	if got, want := len(out), strings.Count(body, "readonly "); got != want {
		return nil, fmt.Errorf("%d of %d fields are understood", got, want)
	}
	return out, nil
}

// camel writes a name of Terraform as the bindings do.
func camel(name string) string {
	var out strings.Builder
	for i, word := range strings.Split(name, "_") {
		if i > 0 && word != "" {
			word = strings.ToUpper(word[:1]) + word[1:]
		}
		out.WriteString(word)
	}
	return out.String()
}

package event

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// A field that the catalogue declares and TextFields forgets could not be named in the configuration.
func TestTextFieldsAreAll(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "field.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if index, ok := lit.Type.(*ast.IndexExpr); ok {
			if of, ok := index.Index.(*ast.Ident); ok && of.Name == "string" {
				declared++
			}
		}
		return true
	})
	paths := map[string]bool{}
	for _, f := range TextFields() {
		if paths[f.Path] {
			t.Errorf("%s stands twice", f.Path)
		}
		paths[f.Path] = true
	}
	if len(paths) != declared {
		t.Errorf("TextFields has %d fields, field.go declares %d", len(paths), declared)
	}
}

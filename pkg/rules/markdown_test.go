package rules_test

import (
	"flag"
	"os"
	"testing"

	"github.com/assay-sec/assay/pkg/issuance"
	"github.com/assay-sec/assay/pkg/rules"
)

var update = flag.Bool("update", false, "write CATALOGUE.md anew")

func TestCatalogueDocumentIsCurrent(t *testing.T) {
	got := rules.Markdown(builtin(t), issuance.Rules(nil))
	if *update {
		if err := os.WriteFile("CATALOGUE.md", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("CATALOGUE.md")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Error("CATALOGUE.md is not what the rules say: assay rules docs > pkg/rules/CATALOGUE.md")
	}
}

//go:build peers

// Package infra holds what is deployed against what others wrote: Terraform against the schema of the provider, Bicep against
// a grammar, and the smoke test of a deployment against a hub that speaks AMQP. The real provider and the real compiler see
// more: enumerations, types and whether a name may be used at that point.
package infra

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/internal/peers"
)

func TestMain(m *testing.M) { peers.Main(m) }

// root is the repository.
func root() string { return filepath.Join(peers.Dir(), "..", "..", "..") }

// read returns the files of infra with one of the endings, by name from the root of the repository.
func read(t *testing.T, endings ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(filepath.Join(root(), "infra"), func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".terraform":
			return filepath.SkipDir
		case d.IsDir() || !slices.Contains(endings, filepath.Ext(name)):
			return nil
		}
		rel, err := filepath.Rel(root(), name)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		out[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatalf("infra has no files with %v", endings)
	}
	return out
}

// fault is a mistake that a check must find: with its file, a line, and a part of what it must say.
type fault struct{ file, old, replacement, want string }

// in returns the files with the fault.
func (f fault) in(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	if !strings.Contains(files[f.file], f.old) {
		t.Fatalf("%s does not hold %q, so no fault can be put there", f.file, f.old)
	}
	files = maps.Clone(files)
	files[f.file] = strings.Replace(files[f.file], f.old, f.replacement, 1)
	return files
}

var place = regexp.MustCompile(`^infra/[\w./-]+:\d+`)

// found fails the test unless the fault is among what a check said.
func (f fault) found(t *testing.T, said []string) {
	t.Helper()
	if !slices.ContainsFunc(said, func(p string) bool { return strings.Contains(p, f.want) && place.MatchString(p) }) {
		t.Errorf("a fault in %s (%q) is not found as %q: %q", f.file, f.replacement, f.want, said)
	}
}

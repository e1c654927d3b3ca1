package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// The made part of the bundled logs is what the generator writes, to the byte.
func TestBundledLogsAreGenerated(t *testing.T) {
	t.Parallel()
	dir, bundled := t.TempDir(), filepath.Join("..", "events")
	if err := generate(dir); err != nil {
		t.Fatal(err)
	}
	made := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		made++
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(filepath.Join(bundled, rel))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes (%v): run make sample", rel, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if made == 0 {
		t.Error("the generator wrote nothing")
	}
	// Nothing else passes as made.
	for _, folder := range []string{"ordinary", "storm-0558", "golden-saml", "damaged"} {
		entries, err := os.ReadDir(filepath.Join(bundled, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if _, err := os.Stat(filepath.Join(dir, folder, e.Name())); err != nil {
				t.Errorf("%s/%s was not made by the generator", folder, e.Name())
			}
		}
	}
}

package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tree is the root of the repository; what is deployed is made of its own files.
const tree = "../../.."

func executable(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "built")
	if err := os.WriteFile(file, bytes.Repeat([]byte("\x7fELF"), 50_000), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func assembled(t *testing.T, exe string) (folder, archive string) {
	t.Helper()
	dir := t.TempDir()
	folder, archive = filepath.Join(dir, "app"), filepath.Join(dir, "app.zip")
	if err := run(&bundle{tree: tree, executable: exe, folder: folder}, archive); err != nil {
		t.Fatal(err)
	}
	return folder, archive
}

func TestTheArchiveIsTheScriptRoot(t *testing.T) {
	t.Parallel()
	folder, archive := assembled(t, executable(t))
	z, err := zip.OpenReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = z.Close() })
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
		want := fs.FileMode(0o644)
		if f.Name == "assay" {
			want = 0o755
		}
		if f.Mode() != want {
			t.Errorf("%s has mode %v, want %v", f.Name, f.Mode(), want)
		}
		if !f.Modified.Equal(entryTime) {
			t.Errorf("%s was changed at %v", f.Name, f.Modified)
		}
		info, err := os.Stat(filepath.Join(folder, f.Name))
		if err != nil || info.Mode() != want || uint64(info.Size()) != f.UncompressedSize64 {
			t.Errorf("%s: the folder has %v, %v", f.Name, info, err)
		}
	}
	functions, err := filepath.Glob(filepath.Join(tree, "functions", "*", functionFile))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"assay", hostFile}
	for _, f := range functions {
		want = append(want, filepath.Base(filepath.Dir(f))+"/"+functionFile)
	}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("the archive holds %q, want %q", names, want)
	}
}

func TestTheSameFilesGiveTheSameArchive(t *testing.T) {
	t.Parallel()
	sum := func(exe string) [32]byte {
		_, archive := assembled(t, exe)
		text, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(text)
	}
	exe := executable(t)
	one := sum(exe)
	if err := os.Chtimes(exe, time.Time{}, time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if two := sum(exe); one != two {
		t.Errorf("%x and %x", one, two)
	}
	if err := os.WriteFile(exe, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if three := sum(exe); one == three {
		t.Error("another executable gives the same archive")
	}
}

func TestAFolderIsAssembledAgain(t *testing.T) {
	t.Parallel()
	exe := executable(t)
	folder, _ := assembled(t, exe)
	settings := filepath.Join(folder, settingsFile)
	gone := filepath.Join(folder, "gone", functionFile)
	if err := os.MkdirAll(filepath.Dir(gone), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{gone, filepath.Join(folder, "assay.db"), settings} {
		if err := os.WriteFile(f, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := &bundle{tree: tree, executable: exe, folder: folder, settings: filepath.Join(tree, "local.settings.sample.json")}
	if err := run(b, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(gone); err == nil {
		t.Error("a function that is gone lives on")
	}
	if _, err := os.Stat(filepath.Join(folder, "assay.db")); err != nil {
		t.Error("the store is gone")
	}
	if text, err := os.ReadFile(settings); err != nil || string(text) != "{}" {
		t.Errorf("settings that were changed are lost: %s %v", text, err)
	}
	if err := os.Remove(settings); err != nil {
		t.Fatal(err)
	}
	if err := run(b, ""); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(settings); err != nil || !strings.Contains(string(text), "ASSAY_STORE") {
		t.Errorf("the settings are not there: %v", err)
	}
	if err := run(b, filepath.Join(t.TempDir(), "app.zip")); err == nil {
		t.Error("app settings were archived")
	}
}

func TestAnExecutableThatTheHostWouldNotMark(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "./assay", "bin/assay", "%NAME%", "..\\assay"} {
		dir := t.TempDir()
		text := `{"customHandler":{"description":{"defaultExecutablePath":"` + strings.ReplaceAll(name, `\`, `\\`) + `"}}}`
		if err := os.WriteFile(filepath.Join(dir, hostFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := run(&bundle{tree: dir, executable: executable(t), folder: filepath.Join(dir, "app")}, "")
		if err == nil || !strings.Contains(err.Error(), "bare name") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

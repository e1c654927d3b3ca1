package envelope

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// readFiles reads all of f into lines, as read does, with the folder cut from paths.
func readFiles(t *testing.T, f *Files, root string) []string {
	t.Helper()
	var out []string
	for range 1000 {
		rec, err := f.Next()
		part := (*Broken)(nil)
		switch {
		case errors.Is(err, io.EOF):
			return out
		case errors.As(err, &part):
			out = append(out, part.Origin.String()+" !"+part.Reason)
		case err != nil:
			out = append(out, "error: "+err.Error())
		default:
			out = append(out, rec.Origin.String()+" "+rec.Body)
		}
		out[len(out)-1] = strings.ReplaceAll(out[len(out)-1], root+string(filepath.Separator), "")
	}
	t.Fatal("the files do not end")
	return nil
}

func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestFiles(t *testing.T) {
	root := lay(t, map[string]string{
		"b.json":           `{"a":2}`,
		"a/z.JSONL":        "{\"a\":1}\n",
		"a/y.csv":          "Type,Category\nx,y\n",
		"c.ndjson.gz":      zip(`{"a":3}`),
		"capture":          ` {"a":4}`,
		"notes":            "hello",
		"picture.png":      "{}",
		".hidden.json":     `{"a":9}`,
		".git/config.json": `{"a":9}`,
		"d.log":            "hello\n",
		"e.txt":            "",
		"no/picture.png":   "x",
	})
	if err := os.Symlink(filepath.Join(root, "b.json"), filepath.Join(root, "link.json")); err != nil {
		t.Fatal(err)
	}
	f := NewFiles([]string{
		root, "-", filepath.Join(root, "no"), filepath.Join(root, "missing"), filepath.Join(root, "picture.png"),
		filepath.Join(root, "link.json"),
	}, strings.NewReader(`[{"a":5}]`))
	same(t, readFiles(t, f, root), []string{
		`a/y.csv:2 {"Type":"x","Category":"y"}`,
		`a/z.JSONL:1 {"a":1}`,
		`b.json:1 {"a":2}`,
		`c.ndjson.gz:1 {"a":3}`,
		`capture:1 {"a":4}`,
		`d.log !unrecognised-format`,
		`-:1#1 {"a":5}`,
		`error: read no: the folder holds no logs (files named .json, .jsonl, .ndjson, .csv, .log or .txt, or these with .gz)`,
		`error: read missing: no such file or directory`,
		`picture.png:1 {}`,
		`link.json:1 {"a":2}`,
	})
	if f.Skipped() != 5 {
		t.Errorf("skipped %d files, want 5", f.Skipped())
	}
	read, total := f.Progress()
	if want := total + int64(len(`[{"a":5}]`)); read != want {
		t.Errorf("read %d bytes, want %d", read, want)
	}
}

// TestUnreadable reads on behind files that cannot be opened or fail in the middle.
func TestUnreadable(t *testing.T) {
	root := lay(t, map[string]string{"a.json": "{}", "b.json": "{}", "c.json": "{}"})
	f := NewFiles([]string{root}, nil)
	if err := os.Remove(filepath.Join(root, "b.json")); err != nil {
		t.Fatal(err)
	}
	same(t, readFiles(t, f, root), []string{`a.json:1 {}`, `error: read b.json: no such file or directory`, `c.json:1 {}`})

	f = NewFiles([]string{"-", filepath.Join(root, "a.json")},
		io.MultiReader(strings.NewReader("{\"a\":1}\n{\"a\":"), failing{errors.New("the cable is out")}))
	same(t, readFiles(t, f, root), []string{`-:1 {"a":1}`, `error: read -: the cable is out`, `a.json:1 {}`})
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

func TestOpenMakesPrivateFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state", "assay ? # %41")
	path := filepath.Join(dir, "store?mode=memory#.db")
	s := open(t, path)
	if _, err := s.Record(t.Context(), []alert.Finding{made(1, "k")}); err != nil {
		t.Fatal(err)
	}
	for name, perm := range map[string]os.FileMode{dir: 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != perm {
			t.Errorf("%s has mode %o, want %o", filepath.Base(name), got, perm)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("after Close the folder holds %v, want the store alone (%v)", entries, err)
	}
}

func TestOpenKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "assay.db")
	for i := range 3 {
		s := open(t, path)
		out, err := s.Record(t.Context(), []alert.Finding{made(0, "k"), made(i, "k")})
		if err != nil {
			t.Fatal(err)
		}
		if out.Alert.Count != int64(i+1) {
			t.Errorf("opened %d times: count %d", i+1, out.Alert.Count)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenTakesAnEmptyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "assay.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, path).Record(t.Context(), []alert.Finding{made(0, "k")}); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesWhatIsNoStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := filepath.Join(dir, "other.db")
	newer := filepath.Join(dir, "newer.db")
	for path, script := range map[string]string{
		other: `CREATE TABLE mail (id); INSERT INTO mail VALUES (1);`,
		newer: fmt.Sprintf(`PRAGMA application_id = %d; PRAGMA user_version = 99; CREATE TABLE alerts (id);`, applicationID),
	} {
		execute(t, path, script)
	}
	for name, c := range map[string]struct {
		content []byte
		want    error
		says    string
	}{
		"other.db":   {nil, ErrForeign, "no Assay store"},
		"newer.db":   {nil, ErrNewer, fmt.Sprintf("its schema is 99, this version reads up to %d", len(migrations))},
		"one byte":   {[]byte("x"), ErrForeign, "no Assay store"},
		"notes.txt":  {[]byte("remember the milk\n"), ErrForeign, "no Assay store"},
		"log.json":   {bytes.Repeat([]byte(`{"id": 1}`+"\n"), 500), ErrForeign, "no Assay store"},
		"zeros":      {make([]byte, 8192), ErrForeign, "no Assay store"},
		"half a one": {[]byte("SQLite format 3\x00\x10\x00 and then something else" + strings.Repeat("?", 8000)), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			if c.content != nil {
				if err := os.WriteFile(path, c.content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), path)
			if err == nil {
				_ = s.Close()
				t.Fatal("it was opened")
			}
			if c.want != nil && !errors.Is(err, c.want) || errors.Is(err, store.ErrUnavailable) ||
				!strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, after) {
				t.Error("it was written to")
			}
		})
	}
	for _, path := range []string{dir, filepath.Join(dir, "notes.txt", "assay.db"), ""} {
		if s, err := Open(t.Context(), path); err == nil {
			_ = s.Close()
			t.Errorf("%q was opened", path)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), link); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), link); err == nil {
		_ = s.Close()
		t.Error("a link that leads nowhere was opened")
	}
}

func TestOpenBringsTheSchemaUpToDate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "assay.db")
	s := open(t, path)
	before, err := s.Record(t.Context(), []alert.Finding{made(0, "k")})
	if err != nil {
		t.Fatal(err)
	}
	// Steps that a later version may have: the second fails, so neither is there.
	now, next := len(migrations), len(migrations)+1
	steps := append(migrations[:now:now], `ALTER TABLE alerts ADD COLUMN owner TEXT NOT NULL DEFAULT 'nobody'`, `ALTER TABLE nothing ADD COLUMN x`)
	if err := s.migrate(t.Context(), steps); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("from %d to %d", next, next+1)) {
		t.Errorf("a step that fails: got %v", err)
	}
	if at, err := version(t.Context(), s.write); err != nil || at != now {
		t.Errorf("after a step that fails the schema is %d, %v", at, err)
	}
	if err := s.migrate(t.Context(), steps[:next]); err != nil {
		t.Fatal(err)
	}
	if at, err := version(t.Context(), s.write); err != nil || at != next {
		t.Errorf("the schema is %d, want %d, %v", at, next, err)
	}
	if err := s.migrate(t.Context(), steps[:next]); err != nil {
		t.Errorf("again: %v", err)
	}
	var owner string
	if err := s.read.QueryRowContext(t.Context(), `SELECT owner FROM alerts`).Scan(&owner); err != nil || owner != "nobody" {
		t.Errorf("the new column holds %q, %v", owner, err)
	}
	if got, err := s.Alert(t.Context(), "", before.Alert.ID); err != nil || got.Count != 1 {
		t.Errorf("the alert is lost: %v", err)
	}
	// This version meets the file again after it was brought further.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path); !errors.Is(err, ErrNewer) {
		t.Errorf("got %v, want ErrNewer", err)
	}
}

// A new store has the tables of one that was brought up to date step by step.
func TestANewStoreIsWhereTheStepsLead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stepped := filepath.Join(dir, "stepped.db")
	execute(t, stepped, schema1+fmt.Sprintf("; PRAGMA application_id = %d; PRAGMA user_version = 1", applicationID))
	a, b := described(t, open(t, filepath.Join(dir, "new.db"))), described(t, open(t, stepped))
	if a != b || len(a) < 2000 {
		t.Errorf("a new store has\n%s\nthe steps lead to\n%s", a, b)
	}
}

// described tells of every table, column and index.
func described(t *testing.T, s *Store) string {
	t.Helper()
	var b strings.Builder
	for _, query := range []string{
		`SELECT name || ' ' || type || ' ' || ncol || ' ' || wr || ' ' || strict AS line FROM pragma_table_list WHERE name NOT LIKE 'sqlite_%' ORDER BY name`,
		`SELECT t.name || ' ' || c.cid || ' ' || c.name || ' ' || c.type || ' ' || c."notnull" || ' ' || ifnull(c.dflt_value, '-') || ' ' || c.pk AS line
			FROM sqlite_schema t, pragma_table_xinfo(t.name) c WHERE t.type = 'table' ORDER BY t.name, c.cid`,
		`SELECT t.name || ' ' || i.name || ' ' || i."unique" || ' ' || i.origin || ' ' || i.partial || ' ' || x.seqno || ' ' || ifnull(x.name, '-') || ' ' || x.desc || ' ' || x.coll AS line
			FROM sqlite_schema t, pragma_index_list(t.name) i, pragma_index_xinfo(i.name) x WHERE t.type = 'table' ORDER BY i.name, x.seqno`,
		`SELECT t.name || ' ' || f."from" || ' ' || f."table" || ' ' || f."to" AS line FROM sqlite_schema t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'`,
		`SELECT name || ' ' || substr(sql, instr(sql, ' WHERE ')) AS line FROM sqlite_schema WHERE type = 'index' AND instr(sql, ' WHERE ') ORDER BY name`,
	} {
		var all sql.NullString
		if err := s.read.QueryRowContext(t.Context(), `SELECT group_concat(line, char(10)) FROM (`+query+`)`).Scan(&all); err != nil {
			t.Fatal(err)
		}
		b.WriteString(all.String + "\n")
	}
	return b.String()
}

// A store that the first schema's version wrote. It is never written anew.
func TestOpenReadsSchema1(t *testing.T) {
	t.Parallel()
	old, err := os.ReadFile(filepath.Join("testdata", "schema-1.db"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "assay.db")
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "schema-1.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if got := dump(t, open(t, path)); got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// execute runs SQL on a file of its own.
func execute(t *testing.T, path, script string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test's
	if _, err := db.ExecContext(t.Context(), script); err != nil {
		t.Fatal(err)
	}
}

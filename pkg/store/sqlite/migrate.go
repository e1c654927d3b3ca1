package sqlite

import (
	"context"
	"database/sql"
	_ "embed" // for the schema
	"fmt"
)

// applicationID marks an Assay store among SQLite files: "Asay" in ASCII.
const applicationID = 0x41736179

//go:embed schema.sql
var schema1 string

//go:embed schema2.sql
var schema2 string

//go:embed schema3.sql
var schema3 string

//go:embed schema4.sql
var schema4 string

//go:embed latest.sql
var latest string

// migrations are the statements that lead to schema 1 from nothing, then from each schema to the next.
var migrations = []string{schema1, schema2, schema3, schema4}

// check refuses a database that is somebody else's or of a newer schema, before anything is written to it.
func (s *Store) check(ctx context.Context) error {
	at, err := version(ctx, s.write)
	if err != nil {
		return err
	}
	return readable(at, len(migrations))
}

func readable(at, last int) error {
	if at > last {
		return fmt.Errorf("%w: its schema is %d, this version reads up to %d", ErrNewer, at, last)
	}
	return nil
}

// migrate brings the store to the last of the schemas that the steps lead to; they begin with migrations.
func (s *Store) migrate(ctx context.Context, steps []string) error {
	at, err := version(ctx, s.write)
	if err != nil || at == len(steps) {
		return err
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after Commit
	// Another process may have been faster: look again now that nobody else writes.
	if at, err = version(ctx, tx); err != nil {
		return err
	}
	if err := readable(at, len(steps)); err != nil {
		return err
	}
	if at == 0 {
		// Taking the steps would read the schema anew at each, which a start waits for.
		if _, err := tx.ExecContext(ctx, latest); err != nil {
			return fmt.Errorf("make the tables: %w", err)
		}
		at = len(migrations)
	}
	for i, step := range steps[at:] {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("bring the schema from %d to %d: %w", at+i, at+i+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d",
		applicationID, len(steps))); err != nil {
		return err
	}
	return tx.Commit()
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// version returns the number of the schema, 0 for an empty database, or ErrForeign.
func version(ctx context.Context, db querier) (int, error) {
	// Plain pragmas: as functions within a query they cost each start some milliseconds.
	var owner, at, tables int
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&owner); err != nil {
		return 0, err
	}
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&at); err != nil {
		return 0, err
	}
	if owner == applicationID {
		return at, nil
	}
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return 0, err
	}
	if owner != 0 || at != 0 || tables != 0 {
		return 0, ErrForeign
	}
	return at, nil
}

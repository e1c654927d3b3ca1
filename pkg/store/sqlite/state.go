package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/assay-sec/assay/pkg/store"
)

var _ store.State = (*Store)(nil)

// Load implements store.State.
func (s *Store) Load(ctx context.Context, id string) (store.Document, error) {
	d := store.Document{ID: id}
	err := s.read.QueryRowContext(ctx, "SELECT version, body FROM documents WHERE id = ?", id).Scan(&d.Version, &d.Body)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Document{}, fmt.Errorf("load document %s: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return store.Document{}, fmt.Errorf("load document %s: %w", id, s.explain(ctx, err))
	}
	return d, nil
}

// Save implements store.State.
func (s *Store) Save(ctx context.Context, d store.Document) (store.Document, error) {
	if err := store.CheckDocument(d); err != nil {
		return store.Document{}, err
	}
	query, args := `UPDATE documents SET version = hex(randomblob(16)), body = ?2 WHERE id = ?1 AND version = ?3
		RETURNING version`, []any{d.ID, string(d.Body), d.Version}
	if d.Version == "" {
		query, args = `INSERT INTO documents (id, version, body) VALUES (?1, hex(randomblob(16)), ?2)
			ON CONFLICT DO NOTHING RETURNING version`, args[:2]
	}
	err := s.write.QueryRowContext(ctx, query, args...).Scan(&d.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Document{}, fmt.Errorf("save document %s: %w", d.ID, store.ErrConflict)
	}
	if err != nil {
		return store.Document{}, fmt.Errorf("save document %s: %w", d.ID, s.explain(ctx, err))
	}
	return d, nil
}

// Delete implements store.State.
func (s *Store) Delete(ctx context.Context, d store.Document) error {
	res, err := s.write.ExecContext(ctx, "DELETE FROM documents WHERE id = ? AND version = ?", d.ID, d.Version)
	if err != nil {
		return fmt.Errorf("delete document %s: %w", d.ID, s.explain(ctx, err))
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	if _, err := s.Load(ctx, d.ID); errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	return fmt.Errorf("delete document %s: %w", d.ID, store.ErrConflict)
}

// listed is how many documents are read at once, so that the caller may use the store between two of them.
const listed = 100

// List implements store.State.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		after := ""
		for {
			page, err := s.documents(ctx, prefix, after)
			if err != nil {
				yield(store.Document{}, fmt.Errorf("list documents %s: %w", prefix, s.explain(ctx, err)))
				return
			}
			for _, d := range page {
				if !yield(d, nil) {
					return
				}
				after = d.ID
			}
			if len(page) < listed {
				return
			}
		}
	}
}

func (s *Store) documents(ctx context.Context, prefix, after string) ([]store.Document, error) {
	// Ids hold no character from "~" on, so this is the range of the prefix, which the index finds.
	rows, err := s.read.QueryContext(ctx, `SELECT id, version, body FROM documents
		WHERE id >= ?1 AND id < ?1 || '~' AND id > ?2 ORDER BY id LIMIT ?3`, prefix, after, listed)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // the error that counts is rows.Err
	var page []store.Document
	for rows.Next() {
		var d store.Document
		if err := rows.Scan(&d.ID, &d.Version, &d.Body); err != nil {
			return nil, err
		}
		page = append(page, d)
	}
	return page, rows.Err()
}

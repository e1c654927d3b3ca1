package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/assay-sec/assay/pkg/store"
)

var (
	_ store.State       = (*Store)(nil)
	_ store.Collections = (*Store)(nil)
)

// Load implements store.State.
func (s *Store) Load(ctx context.Context, id string) (store.Document, error) {
	return s.whole().Load(ctx, id)
}

// Save implements store.State.
func (s *Store) Save(ctx context.Context, d store.Document) (store.Document, error) {
	return s.whole().Save(ctx, d)
}

// Delete implements store.State.
func (s *Store) Delete(ctx context.Context, d store.Document) error { return s.whole().Delete(ctx, d) }

// List implements store.State.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Document, error] {
	return s.whole().List(ctx, prefix)
}

// whole returns the documents that belong to no collection.
func (s *Store) whole() *partition { return &partition{s: s} }

// In implements store.Collections.
func (s *Store) In(c store.Collection, name string) store.State { return &partition{s, c, name} }

// Across implements store.Collections.
func (s *Store) Across(ctx context.Context, c store.Collection, prefix string) iter.Seq2[store.Document, error] {
	return s.list(ctx, prefix, func(after store.Document) (string, []any) {
		return ofCollection, []any{c, after.Partition}
	})
}

// partition is the documents of one partition of a collection.
type partition struct {
	s          *Store
	collection store.Collection
	name       string
}

// seconds returns what the column expires holds.
func seconds(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.Unix(), Valid: !t.IsZero()}
}

// Load implements store.State.
func (p *partition) Load(ctx context.Context, id string) (store.Document, error) {
	d := store.Document{Partition: p.name, ID: id}
	var expires sql.NullInt64
	err := p.s.reader(ctx, func() error {
		return p.s.read.QueryRowContext(ctx, `SELECT version, body, expires FROM documents
			WHERE collection = ? AND partition = ? AND id = ? AND (expires IS NULL OR expires > ?)`,
			p.collection, p.name, id, p.s.o.Now().Unix()).Scan(&d.Version, &d.Body, &expires)
	})
	if err != nil {
		return store.Document{}, fmt.Errorf("load document %s: %w", id, err)
	}
	d.Expires = moment(expires)
	return d, nil
}

func moment(expires sql.NullInt64) time.Time {
	if !expires.Valid {
		return time.Time{}
	}
	return time.Unix(expires.Int64, 0).UTC()
}

// Save implements store.State.
func (p *partition) Save(ctx context.Context, d store.Document) (store.Document, error) {
	d.Partition = p.name
	err := store.CheckDocument(d)
	if err == nil && p.collection != "" && p.name == "" {
		err = fmt.Errorf("%w: the partition of %s has no name", store.ErrDocument, d.ID)
	}
	if err != nil {
		return store.Document{}, err
	}
	now := p.s.o.Now().Unix()
	if !d.Expires.IsZero() {
		if err := p.s.expire(ctx); err != nil {
			return store.Document{}, fmt.Errorf("delete what has expired: %w", err)
		}
	}
	query, args := `UPDATE documents SET version = hex(randomblob(16)), body = ?4, expires = ?5
		WHERE collection = ?1 AND partition = ?2 AND id = ?3 AND (expires IS NULL OR expires > ?6) AND version = ?7
		RETURNING version`, []any{p.collection, p.name, d.ID, string(d.Body), seconds(d.Expires), now, d.Version}
	if d.Version == "" { // an expired one in its place is none
		query, args = `INSERT INTO documents (collection, partition, id, version, body, expires)
			VALUES (?1, ?2, ?3, hex(randomblob(16)), ?4, ?5)
			ON CONFLICT DO UPDATE SET version = excluded.version, body = excluded.body, expires = excluded.expires
			WHERE documents.expires <= ?6 RETURNING version`, args[:6]
	}
	err = p.s.transact(ctx, func(tx *transaction) error { return p.s.write.QueryRowContext(tx.ctx, query, args...).Scan(&d.Version) })
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrConflict
	}
	if err != nil {
		return store.Document{}, fmt.Errorf("save document %s: %w", d.ID, err)
	}
	return d, nil
}

// Delete implements store.State.
func (p *partition) Delete(ctx context.Context, d store.Document) error {
	var deleted int64
	err := p.s.transact(ctx, func(tx *transaction) error {
		res, err := p.s.write.ExecContext(tx.ctx, `DELETE FROM documents
			WHERE collection = ? AND partition = ? AND id = ? AND version = ?`, p.collection, p.name, d.ID, d.Version)
		if err != nil {
			return err
		}
		deleted, err = res.RowsAffected()
		return err
	})
	if err != nil {
		return fmt.Errorf("delete document %s: %w", d.ID, err)
	}
	if deleted > 0 {
		return nil
	}
	if _, err := p.Load(ctx, d.ID); errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	return fmt.Errorf("delete document %s: %w", d.ID, store.ErrConflict)
}

// List implements store.State.
func (p *partition) List(ctx context.Context, prefix string) iter.Seq2[store.Document, error] {
	return p.s.list(ctx, prefix, func(store.Document) (string, []any) {
		return ofPartition, []any{p.collection, p.name}
	})
}

// listed is how many documents are read at once, so that the caller may use the store between two of them.
const listed = 100

// The pages of documents after one. Ids hold no character from "~" on, so a prefix is a range that the index finds.
const (
	selected = `SELECT partition, id, version, body, expires FROM documents
		WHERE id >= ?1 AND id < ?1 || '~' AND (expires IS NULL OR expires > ?4) AND collection = ?5 AND `
	sorted       = ` ORDER BY partition, id LIMIT ?3`
	ofPartition  = selected + `partition = ?6 AND id > ?2` + sorted
	ofCollection = selected + `(partition, id) > (?6, ?2)` + sorted
)

// list yields documents page by page. next returns the query of the page after a document, with its last arguments.
func (s *Store) list(ctx context.Context, prefix string, next func(after store.Document) (string, []any)) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		var after store.Document
		for {
			query, args := next(after)
			page, err := s.documents(ctx, query, append([]any{prefix, after.ID, listed, s.o.Now().Unix()}, args...))
			if err != nil {
				yield(store.Document{}, fmt.Errorf("list documents %s: %w", prefix, err))
				return
			}
			for _, d := range page {
				if !yield(d, nil) {
					return
				}
				after = d
			}
			if len(page) < listed {
				return
			}
		}
	}
}

func (s *Store) documents(ctx context.Context, query string, args []any) ([]store.Document, error) {
	var page []store.Document
	err := s.reader(ctx, func() error {
		rows, err := s.read.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close() //nolint:errcheck // the error that counts is rows.Err
		for rows.Next() {
			var d store.Document
			var expires sql.NullInt64
			if err := rows.Scan(&d.Partition, &d.ID, &d.Version, &d.Body, &expires); err != nil {
				return err
			}
			d.Expires = moment(expires)
			page = append(page, d)
		}
		return rows.Err()
	})
	return page, err
}

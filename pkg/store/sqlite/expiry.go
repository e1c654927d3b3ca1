package sqlite

import (
	"context"
	"time"

	"github.com/assay-sec/assay/pkg/store"
)

// Expiry of alerts with their findings, of what was set aside, and of documents. Which instant that is was settled when they were last
// written; see store.Lifetime.
const (
	expireEvery = 24 * time.Hour
	expireBatch = 256 // alerts deleted in one transaction, so that others get their turn
)

// expires returns the second after which what belongs to the day expires, or nil for never.
func (s *Store) expires(day time.Time) any {
	if s.o.Retention == nil {
		return nil
	}
	now := s.o.Now()
	return now.Add(store.Lifetime(day, now, s.o.Retention())).Unix()
}

// expire deletes what is over, if that was not done within a day.
func (s *Store) expire(ctx context.Context) error {
	now := s.o.Now()
	last := s.expired.Load()
	if now.Unix()-last < int64(expireEvery/time.Second) || !s.expired.CompareAndSwap(last, now.Unix()) {
		return nil
	}
	for {
		var n int64
		err := s.transact(ctx, func(tx *transaction) error {
			for _, text := range []string{
				`DELETE FROM findings WHERE alert IN (SELECT n FROM alerts WHERE expires <= ? ORDER BY expires, n LIMIT ?)`,
				`DELETE FROM alerts WHERE n IN (SELECT n FROM alerts WHERE expires <= ? ORDER BY expires, n LIMIT ?)`,
				`DELETE FROM set_aside WHERE id IN (SELECT id FROM set_aside WHERE expires <= ? LIMIT ?)`,
				`DELETE FROM documents WHERE rowid IN (SELECT rowid FROM documents WHERE expires <= ? LIMIT ?)`,
			} {
				res, err := s.write.ExecContext(tx.ctx, text, now.Unix(), expireBatch)
				if err != nil {
					return err
				}
				if n, err = res.RowsAffected(); err != nil {
					return err
				}
				tx.deleted += n
			}
			n = tx.deleted
			return nil
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

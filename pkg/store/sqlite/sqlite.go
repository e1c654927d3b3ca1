// Package sqlite keeps alerts in one SQLite file, or in memory: the store of the laptop and the command line. Several
// processes may use one file at once. It is written in pure Go, so the program stays one static file.
//
// A process that is killed at any instant leaves a consistent store: what Record was in the middle of is either there as a
// whole or not at all. A power failure can lose the last moments before it, but not consistency: every
// transaction is written to the log, and the log is synced when it is folded into the file. What was lost comes back by
// processing the input again.
//
// It sends nothing anywhere, and deletes nothing unless it is told how long to keep things.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/assay-sec/assay/pkg/store"
)

// Memory is the path of a store that keeps nothing after Close.
const Memory = ":memory:"

// Errors of Open. Trying again does not mend them.
var (
	ErrForeign = errors.New("the file is no Assay store")
	ErrNewer   = errors.New("the store was written by a newer version of Assay")
)

var _ store.Store = (*Store)(nil)

// Store is a store.Store in a SQLite database. It is safe for concurrent use.
type Store struct {
	path   string
	db     *sql.DB       // of write
	write  *sql.Conn     // one connection, since SQLite has one writer at a time
	turn   chan struct{} // full while somebody uses write
	read   connection    // the same as write for a store in memory
	stmt   statements
	o      Options
	closed atomic.Bool

	patience time.Duration // see there; tests have less

	expired atomic.Int64 // when this Store last looked for what is over, in seconds since 1970
}

// connection is a *sql.DB or a *sql.Conn.
type connection interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	Close() error
}

// patience is how long a transaction waits for another process's.
const patience = 10 * time.Second

// glance is how long SQLite waits at once for another process's transaction before this asks whether anybody still wants it.
const glance = 20 * time.Millisecond

// maxReaders bounds the connections that read at once.
const maxReaders = 4

// Options say how long things are kept, and whose time it is.
type Options struct {
	// Retention is how long what belongs to a day is kept, as it is now; 0: store.DefaultRetention. Nil: what is
	// written expires never.
	Retention func() time.Duration
	// Now is the clock for expiry and for the time at which an alert is reopened; nil: the wall clock.
	Now func() time.Time
}

// Open opens the store at the path, which it makes if there is none: the file for its owner's eyes only, the folder
// likewise. A store of an older schema is brought up to date; that of a newer one is ErrNewer, and a file that
// is something else is ErrForeign and left as it is.
func Open(ctx context.Context, path string) (*Store, error) { return OpenWith(ctx, path, Options{}) }

// OpenWith is Open with options.
func OpenWith(ctx context.Context, path string, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the wall clock stamps what the store does to an alert, as an analyst's client does
	}
	s := &Store{path: path, o: o, turn: make(chan struct{}, 1), patience: patience}
	if err := s.open(ctx); err != nil {
		_ = s.Close() // the first error is the one to tell
		return nil, fmt.Errorf("open the store %s: %w", path, err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	// SQLite's private database has no name. It stays in memory until it outgrows the page cache, then spills into a file
	// that nobody else can open and that is gone with the process: memory stays flat, however much is found.
	name := ""
	if s.path != Memory {
		if err := prepareFile(s.path); err != nil {
			return err
		}
		abs, err := filepath.Abs(s.path)
		if err != nil {
			return err
		}
		name = (&url.URL{Path: filepath.ToSlash(abs)}).EscapedPath()
	}
	options := fmt.Sprintf("?_pragma=busy_timeout(%d)&_pragma=synchronous(normal)", patience.Milliseconds())
	var err error
	if s.db, err = sql.Open("sqlite", "file:"+name+options+"&_txlock=immediate"); err != nil {
		return err
	}
	if s.write, err = s.db.Conn(ctx); err != nil {
		return s.explain(ctx, err)
	}
	s.read = s.write
	if err := s.check(ctx); err != nil {
		return s.explain(ctx, err)
	}
	if s.path != Memory {
		if err := s.useLog(ctx); err != nil {
			return s.explain(ctx, err)
		}
		readers, err := sql.Open("sqlite", "file:"+name+options+"&_pragma=query_only(true)")
		if err != nil {
			return err
		}
		readers.SetMaxOpenConns(maxReaders)
		readers.SetMaxIdleConns(maxReaders)
		s.read = readers
	}
	if err := s.migrate(ctx, migrations); err != nil {
		return s.explain(ctx, err)
	}
	if _, err := s.write.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", glance.Milliseconds())); err != nil {
		return s.explain(ctx, err)
	}
	if err := s.stmt.prepare(ctx, s.write, s.read); err != nil || s.o.Retention == nil {
		return s.explain(ctx, err)
	}
	return s.expire(ctx)
}

// smallest is the size of the smallest SQLite file, in bytes. SQLite takes a shorter one for empty and overwrites it.
const smallest = 512

// prepareFile makes the file, and its folder, if there is none. It never opens a file that is there: closing it would
// drop the locks that another Store of this process has on it.
func prepareFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return errors.New("it is not a file")
	case err == nil && 0 < info.Size() && info.Size() < smallest:
		return ErrForeign
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return unavailable(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return unavailable(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case err == nil:
		return f.Close()
	case errors.Is(err, fs.ErrExist): // somebody else was faster, unless it is a link that leads nowhere
		_, err = os.Stat(path)
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// useLog switches the file to write-ahead logging, under which readers and the writer do not wait for each other.
// SQLite does not wait for another process that writes here, so this does.
func (s *Store) useLog(ctx context.Context) error {
	const pause = 10 * time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		var mode string
		err := s.write.QueryRowContext(ctx, "PRAGMA journal_mode = wal").Scan(&mode)
		switch {
		case err == nil && mode != "wal":
			return errors.New("its file system does not support write-ahead logging: put the store on a local disk")
		case err == nil || !isBusy(err) || waited > patience:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause): //nolint:forbidigo // another process is waited for
		}
	}
}

// Close ends the use of the store. What is under way is finished first. Closing it again does nothing.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }() // those who wait for it are told that it is closed
	errs := []error{s.stmt.close()}
	if s.read != nil && s.read != s.write {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close the store %s: %w", s.path, err)
	}
	return nil
}

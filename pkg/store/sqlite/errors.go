package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	code "modernc.org/sqlite/lib"

	"github.com/assay-sec/assay/pkg/store"
)

// explain says of an error of the driver what the contract of package store says of it: the context's error if that is
// over, ErrUnavailable if running it again later may help.
func (s *Store) explain(ctx context.Context, err error) error {
	var e *driver.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && context.Cause(ctx) != ctx.Err(): //nolint:errorlint // whether there is another
		return fmt.Errorf("%w: %w", ctx.Err(), context.Cause(ctx))
	case ctx.Err() != nil:
		return ctx.Err()
	case s.closed.Load():
		return fmt.Errorf("%w: it is closed", store.ErrUnavailable)
	case errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone):
		return unavailable(err)
	case !errors.As(err, &e):
		return err
	}
	switch e.Code() & 0xff {
	case code.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", ErrForeign, err)
	case code.SQLITE_BUSY, code.SQLITE_LOCKED, code.SQLITE_NOMEM, code.SQLITE_READONLY, code.SQLITE_INTERRUPT,
		code.SQLITE_IOERR, code.SQLITE_FULL, code.SQLITE_CANTOPEN, code.SQLITE_PROTOCOL, code.SQLITE_PERM, code.SQLITE_AUTH,
		code.SQLITE_NOLFS:
		return unavailable(err)
	}
	return err
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", store.ErrUnavailable, err) }

func isBusy(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) && e.Code()&0xff == code.SQLITE_BUSY
}

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

// What the machine refuses can be tried again later, and nothing of it is half done.
func TestFaultsAreUnavailability(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ cause, cure string }{
		"full":      {`PRAGMA max_page_count = 1`, `PRAGMA max_page_count = 100000`},
		"read-only": {`PRAGMA query_only = true`, `PRAGMA query_only = false`},
		"busy":      {}, // see below
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "assay.db")
			s := open(t, path)
			first, err := s.Record(t.Context(), []alert.Finding{made(0, "k")})
			if err != nil {
				t.Fatal(err)
			}
			before := dump(t, s)
			if _, err := s.write.ExecContext(t.Context(), c.cause); err != nil {
				t.Fatal(err)
			}
			release := func() {}
			if name == "busy" {
				release = occupy(t, path)
				s.patience = 2 * glance
			}
			var fs []alert.Finding
			for i := range 300 {
				fs = append(fs, made(i, "k"))
			}
			if _, err := s.Record(t.Context(), fs); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Record: got %v, want ErrUnavailable", err)
			}
			if name != "full" { // there may be room for little
				_, err := s.Update(t.Context(), "", first.Alert.ID, func(a *alert.Alert) error {
					return a.Mark(alert.Change{At: time.Unix(0, 0), By: "ana", Status: alert.Closed})
				})
				if !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("Update: got %v, want ErrUnavailable", err)
				}
				if err := s.SetAside(t.Context(), []alert.SetAside{{ID: "x"}}); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("SetAside: got %v, want ErrUnavailable", err)
				}
			}
			if after := dump(t, s); after != before {
				t.Errorf("something was half done:\n%s\n%s", before, after)
			}
			release()
			if _, err := s.write.ExecContext(t.Context(), c.cure); err != nil {
				t.Fatal(err)
			}
			out, err := s.Record(t.Context(), fs)
			if err != nil || out.New != 299 || out.Known != 1 {
				t.Errorf("after it is mended: %d new, %d known, %v", out.New, out.Known, err)
			}
		})
	}
}

// Waiting for another process ends with the context.
func TestWaitingObeysTheContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "assay.db")
	s := open(t, path)
	defer occupy(t, path)()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	started := time.Now()
	_, err := s.Record(ctx, []alert.Finding{made(0, "k")})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	if d := time.Since(started); d > patience/2 {
		t.Errorf("it waited %s", d)
	}
}

// both returns an empty store in a file and one in memory.
func both(t *testing.T) []*Store {
	t.Helper()
	return []*Store{open(t, filepath.Join(t.TempDir(), "assay.db")), open(t, Memory)}
}

// oneAlert records a finding and returns the id of its alert.
func oneAlert(t *testing.T, s *Store) alert.ID {
	t.Helper()
	out, err := s.Record(t.Context(), []alert.Finding{made(0, "k")})
	if err != nil {
		t.Fatal(err)
	}
	return out.Alert.ID
}

// A change runs within a transaction: its panic must not leave the store locked.
func TestPanicInUpdateFreesTheStore(t *testing.T) {
	t.Parallel()
	for _, s := range both(t) {
		id := oneAlert(t, s)
		func() {
			defer func() { _ = recover() }()
			_, _ = s.Update(t.Context(), "", id, func(*alert.Alert) error { panic("a fault of the caller's") })
			t.Error("the panic is lost")
		}()
		if _, err := s.Record(t.Context(), []alert.Finding{made(1, "k")}); err != nil {
			t.Errorf("after a panic: %v", err)
		}
	}
}

// Writers take turns. One that waits gives up with its context, Close lets the one at work finish, and whoever waits then
// is told that the store is closed.
func TestTurns(t *testing.T) {
	t.Parallel()
	for _, s := range both(t) {
		id := oneAlert(t, s)
		record := func(ctx context.Context) error {
			_, err := s.Record(ctx, []alert.Finding{made(1, "k")})
			return err
		}
		working, waiting, closed, finish := make(chan error, 1), make(chan error, 1), make(chan error, 1), make(chan struct{})
		began := make(chan struct{})
		go func() {
			_, err := s.Update(context.Background(), "", id, func(a *alert.Alert) error {
				close(began)
				<-finish
				return a.Mark(alert.Change{At: time.Unix(0, 0), By: "ana", Status: alert.Acknowledged})
			})
			working <- err
		}()
		<-began
		ctx, cancel := context.WithCancel(t.Context())
		go func() { waiting <- record(ctx) }()
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("waiting for one's turn ends with %v, want the context's error", err)
		}
		go func() { closed <- s.Close() }()
		for !s.closed.Load() {
			runtime.Gosched()
		}
		go func() { waiting <- record(context.Background()) }()
		close(finish)
		if err := <-working; err != nil {
			t.Errorf("what was at work when the store was closed: %v", err)
		}
		if err := <-waiting; !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("waiting for a turn that does not come: %v, want ErrUnavailable", err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
}

// A context that ends within a transaction takes the transaction back.
func TestTheContextEndsWithin(t *testing.T) {
	t.Parallel()
	for _, s := range both(t) {
		id := oneAlert(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := s.Update(ctx, "", id, func(a *alert.Alert) error {
			cancel()
			return a.Mark(alert.Change{At: time.Unix(0, 0), By: "ana", Status: alert.Closed})
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's error", err)
		}
		if a, err := s.Alert(t.Context(), "", id); err != nil || a.Status != alert.Open {
			t.Errorf("the alert is %s, %v; want it as it was", a.Status, err)
		}
	}
}

// A context may end at any moment: after BEGIN is done too, and before the driver has said so.
func TestAContextThatEndsAnywhereLeavesNoTransactionOpen(t *testing.T) {
	t.Parallel()
	for _, s := range both(t) {
		for i := range 500 {
			ctx, cancel := context.WithCancel(t.Context())
			wait := time.Duration(i%100) * time.Microsecond
			go func() {
				for began := time.Now(); time.Since(began) < wait; {
					runtime.Gosched()
				}
				cancel()
			}()
			if _, err := s.Record(ctx, []alert.Finding{made(i%50, "k")}); err != nil && !errors.Is(err, context.Canceled) {
				t.Fatalf("after %d: %v", i, err)
			}
			<-ctx.Done()
		}
		if _, err := s.Record(t.Context(), []alert.Finding{made(0, "k")}); err != nil {
			t.Error(err)
		}
	}
}

// A call is whole or nothing, however large it is and wherever it is broken off.
func TestRecordIsAtomic(t *testing.T) {
	t.Parallel()
	for _, path := range []string{filepath.Join(t.TempDir(), "assay.db"), Memory} {
		s := open(t, path)
		var fs []alert.Finding
		for i := range 200 {
			fs = append(fs, made(i, "k"))
		}
		for i := range 4 {
			// The trigger breaks the call off at one of its statements.
			execOn(t, s, `CREATE TEMP TRIGGER broken BEFORE INSERT ON findings
				WHEN (SELECT count(*) FROM findings) = `+fmt.Sprint(i*50)+` BEGIN SELECT RAISE(ABORT, 'broken off'); END`)
			if _, err := s.Record(t.Context(), fs); err == nil {
				t.Fatal("it was not broken off")
			}
			execOn(t, s, `DROP TRIGGER broken`)
			if _, err := s.Alert(t.Context(), "", fs[0].AlertID); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("broken off at %d: something is left: %v", i*50, err)
			}
			var n int
			if err := s.write.QueryRowContext(t.Context(), `SELECT count(*) FROM findings`).Scan(&n); err != nil || n != 0 {
				t.Errorf("broken off at %d: %d findings are left, %v", i*50, n, err)
			}
		}
		if out, err := s.Record(t.Context(), fs); err != nil || out.New != 200 {
			t.Errorf("unbroken: %d new, %v", out.New, err)
		}
	}
}

func execOn(t *testing.T, s *Store, script string) {
	t.Helper()
	if _, err := s.write.ExecContext(t.Context(), script); err != nil {
		t.Fatal(err)
	}
}

// A damaged file cannot be mended by trying again.
func TestDamageIsNoUnavailability(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "assay.db")
	s := open(t, path)
	if _, err := s.Record(t.Context(), []alert.Finding{made(0, "k")}); err != nil {
		t.Fatal(err)
	}
	execOn(t, s, `UPDATE alerts SET doc = 'no JSON'`)
	_, err := s.Record(t.Context(), []alert.Finding{made(1, "k")})
	if err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// occupy writes to the store from elsewhere until it is released.
func occupy(t *testing.T, path string) (release func()) {
	t.Helper()
	other := open(t, path)
	tx, err := other.write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `DELETE FROM alerts WHERE id = 'none'`); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		_ = other.Close()
	}
}

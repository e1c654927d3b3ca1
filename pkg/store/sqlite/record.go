package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

// statements are what runs often enough to be parsed once.
type statements struct {
	begin, commit, rollback                                                        *sql.Stmt // on the connection that writes
	alert, insertAlert, updateAlert, expireAlert, finding, insertFinding, setAside *sql.Stmt // likewise

	document, findings, countFindings *sql.Stmt // on those that read

	all []*sql.Stmt
}

func (p *statements) prepare(ctx context.Context, write, read connection) error {
	for _, s := range []struct {
		into **sql.Stmt
		on   connection
		text string
	}{
		{&p.begin, write, `BEGIN IMMEDIATE`},
		{&p.commit, write, `COMMIT`},
		{&p.rollback, write, `ROLLBACK`},
		{&p.alert, write, `SELECT n, doc FROM alerts WHERE id = ?`},
		{&p.insertAlert, write, `INSERT INTO alerts (rule, status, stage, severity, first, last, doc, changed, id, tenant)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&p.updateAlert, write, `UPDATE alerts SET rule = ?, status = ?, stage = ?, severity = ?, first = ?, last = ?, doc = ?, changed = ?
			WHERE n = ?`},
		{&p.expireAlert, write, `UPDATE alerts SET expires = ? WHERE n = ?`},
		{&p.finding, write, `SELECT 1 FROM findings WHERE alert = ? AND id = ?`},
		{&p.insertFinding, write, `INSERT INTO findings (alert, id, at, event, stage, severity, strength, place, run, doc, suppression)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&p.setAside, write, `INSERT INTO set_aside (id, reason, seen, doc, expires) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`},
		{&p.document, read, `SELECT doc FROM alerts WHERE n = ?`},
		{&p.findings, read, `SELECT id, at, event, stage, severity, strength, place, run, doc, suppression FROM findings
			WHERE alert = ? AND (at, id) > (?, ?) ORDER BY at, id LIMIT ?`},
		{&p.countFindings, read, `SELECT COUNT(*) FROM findings WHERE alert = ? AND run = ?`},
	} {
		stmt, err := s.on.PrepareContext(ctx, s.text) //nolint:sqlclosecheck // see close
		if err != nil {
			return err
		}
		*s.into = stmt
		p.all = append(p.all, stmt)
	}
	return nil
}

// close ends the statements. Those of a single connection do not end with it.
func (p *statements) close() error {
	var errs []error
	for _, stmt := range p.all {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

// Record adds the findings of one alert in one transaction.
func (s *Store) Record(ctx context.Context, findings []alert.Finding) (store.Outcome, error) {
	id, err := store.Check(findings)
	if err != nil {
		return store.Outcome{}, err
	}
	if err := s.expire(ctx); err != nil {
		return store.Outcome{}, fmt.Errorf("delete what has expired: %w", err)
	}
	var out store.Outcome
	err = s.transact(ctx, func(tx *transaction) error {
		out, err = tx.record(id, findings)
		return err
	})
	if err != nil {
		return store.Outcome{}, fmt.Errorf("record findings of alert %s: %w", id, err)
	}
	return out, nil
}

// Update changes what belongs to analysts. change runs within the transaction: it must be quick, and it must not use the
// store.
func (s *Store) Update(ctx context.Context, tenant string, id alert.ID, change func(*alert.Alert) error) (alert.Alert, error) {
	var after alert.Alert
	var refused error // by change: returned as it is
	err := s.transact(ctx, func(tx *transaction) error {
		n, a, err := tx.alert(id)
		if err != nil {
			return err
		}
		if a == nil || tenant != "" && a.Tenant != tenant {
			return store.ErrNotFound
		}
		_, marked, err := tx.alert(id) // a copy of its own, so that change reaches nothing but the marks
		if err != nil {
			return err
		}
		if refused = change(marked); refused != nil {
			return refused
		}
		a.TakeMarks(marked)
		after = *a
		return tx.update(n, a)
	})
	switch {
	case refused != nil:
		return alert.Alert{}, refused
	case err != nil:
		return alert.Alert{}, fmt.Errorf("update alert %s: %w", id, err)
	}
	return after, nil
}

// SetAside keeps the items in one transaction.
func (s *Store) SetAside(ctx context.Context, items []alert.SetAside) error {
	if len(items) == 0 {
		return nil
	}
	err := s.transact(ctx, func(tx *transaction) error {
		for i := range items {
			doc, err := json.Marshal(&items[i])
			if err != nil {
				return err
			}
			if _, err := s.stmt.setAside.ExecContext(tx.ctx, items[i].ID, items[i].Reason, sortable(items[i].Seen), string(doc), s.expires(items[i].Seen)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("set %d items aside: %w", len(items), err)
	}
	return nil
}

// transact runs do in a transaction that nobody else's writing interrupts.
//
// It is not database/sql's, which starts a goroutine to watch the context of each transaction and of each query in it, as the
// driver does for each statement with a context that can end.
func (s *Store) transact(ctx context.Context, do func(*transaction) error) error {
	return s.inTurn(ctx, func() error {
		if err := s.begin(ctx); err != nil {
			return err
		}
		tx := &transaction{store: s, ctx: context.WithoutCancel(ctx)}
		committed := false
		defer func() {
			if !committed {
				_, _ = s.stmt.rollback.ExecContext(tx.ctx) // SQLite may have done so itself
			}
		}()
		err := do(tx)
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			_, err = s.stmt.commit.ExecContext(tx.ctx)
		}
		committed = err == nil
		return err
	})
}

// begin waits until no other process writes, for as long as the context and patience last.
func (s *Store) begin(ctx context.Context) error {
	for waited := time.Duration(0); ; waited += glance {
		_, err := s.stmt.begin.ExecContext(context.WithoutCancel(ctx))
		if err == nil || !isBusy(err) || waited >= s.patience {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// inTurn runs what uses the connection that writes, one after the other, and says of its error what the contract says of it.
func (s *Store) inTurn(ctx context.Context, do func() error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return s.explain(ctx, ctx.Err())
	}
	if s.closed.Load() {
		return fmt.Errorf("%w: it is closed", store.ErrUnavailable)
	}
	return s.explain(ctx, do())
}

// transaction is one writer's turn.
type transaction struct {
	store   *Store
	deleted int64           // rows
	ctx     context.Context //nolint:containedctx // of the statements of this one transaction: they are short, and nobody watches it
}

// alert returns the alert with its row, or nil.
func (t *transaction) alert(id alert.ID) (int64, *alert.Alert, error) {
	var n int64
	var doc string
	switch err := t.store.stmt.alert.QueryRowContext(t.ctx, string(id)).Scan(&n, &doc); {
	case errors.Is(err, sql.ErrNoRows):
		return 0, nil, nil
	case err != nil:
		return 0, nil, err
	}
	a, err := decodeAlert(doc)
	if err != nil {
		return 0, nil, err
	}
	return n, &a, nil
}

func (t *transaction) record(id alert.ID, findings []alert.Finding) (store.Outcome, error) {
	n, current, err := t.alert(id)
	if err != nil {
		return store.Outcome{}, err
	}
	known := map[alert.FindingID]bool{}
	if current != nil {
		if known, err = t.known(n, findings); err != nil {
			return store.Outcome{}, err
		}
	}
	out, fresh := store.Merge(current, findings, func(f alert.FindingID) bool { return known[f] }, t.store.o.Now())
	if len(fresh) == 0 {
		return out, nil
	}
	a := &out.Alert
	if err := t.connect(a); err != nil {
		return store.Outcome{}, err
	}
	if out.Created {
		n, err = t.insert(a)
	} else {
		err = t.update(n, a)
	}
	if err != nil {
		return store.Outcome{}, err
	}
	if err := t.prolong(n, a); err != nil {
		return store.Outcome{}, err
	}
	for i := range fresh {
		if err := t.insertFinding(n, &fresh[i]); err != nil {
			return store.Outcome{}, err
		}
	}
	return out, nil
}

// prolong says when the alert expires, if it does.
func (t *transaction) prolong(n int64, a *alert.Alert) error {
	day, err := time.Parse(time.DateOnly, string(a.Day))
	if err != nil {
		return fmt.Errorf("read the day of alert %s: %w", a.ID, err)
	}
	if at := t.store.expires(day); at != nil {
		_, err = t.store.stmt.expireAlert.ExecContext(t.ctx, at, n)
	}
	return err
}

// known returns which of the findings the alert has.
func (t *transaction) known(n int64, findings []alert.Finding) (map[alert.FindingID]bool, error) {
	known := map[alert.FindingID]bool{}
	for i := range findings {
		var one int
		switch err := t.store.stmt.finding.QueryRowContext(t.ctx, n, string(findings[i].ID)).Scan(&one); {
		case err == nil:
			known[findings[i].ID] = true
		case !errors.Is(err, sql.ErrNoRows):
			return nil, err
		}
	}
	return known, nil
}

// connect marks the alert, or the next day's of the same key, as going on where the day before's ended.
func (t *transaction) connect(a *alert.Alert) error {
	if !a.Continues && a.MayFollow() {
		_, before, err := t.alert(a.ID.Previous())
		if err != nil {
			return err
		}
		a.Continues = before != nil && a.Follows(before)
	}
	if a.MayBeFollowed() {
		n, after, err := t.alert(a.ID.Next())
		if err != nil {
			return err
		}
		if after != nil && !after.Continues && after.Follows(a) {
			after.Continues = true
			return t.update(n, after)
		}
	}
	return nil
}

func (t *transaction) insert(a *alert.Alert) (int64, error) {
	args, err := t.columns(a)
	if err != nil {
		return 0, err
	}
	res, err := t.store.stmt.insertAlert.ExecContext(t.ctx, append(args, string(a.ID), a.Tenant)...)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

func (t *transaction) update(n int64, a *alert.Alert) error {
	args, err := t.columns(a)
	if err != nil {
		return err
	}
	_, err = t.store.stmt.updateAlert.ExecContext(t.ctx, append(args, n)...)
	return err
}

// columns returns what changes of an alert, in the order of both statements that write it.
func (t *transaction) columns(a *alert.Alert) ([]any, error) {
	doc, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	return []any{
		a.Rule.ID, string(a.Status), int64(a.Stage), int64(a.Severity), sortable(a.First), sortable(a.Last), string(doc),
		t.store.o.Now().Unix(),
	}, nil
}

func (t *transaction) insertFinding(n int64, f *alert.Finding) error {
	var doc, suppression any
	if f.Suppressed != nil {
		suppression = f.Suppressed.Name
	}
	if f.Rule.ID != "" { // no claim
		text, err := json.Marshal(f)
		if err != nil {
			return err
		}
		doc = string(text)
	}
	_, err := t.store.stmt.insertFinding.ExecContext(t.ctx, n, string(f.ID), sortable(f.At), string(f.EventID), int64(f.Stage),
		int64(f.Severity), int64(f.Strength), f.Place, f.From.Run, doc, suppression)
	return err
}

// sortable writes a time so that the order of texts is the order of times.
func sortable(t time.Time) string { return t.UTC().Format(timeLayout) }

const timeLayout = "2006-01-02T15:04:05.000000000Z"

package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

// Alert returns one alert.
func (s *Store) Alert(ctx context.Context, tenant string, id alert.ID) (alert.Alert, error) {
	_, a, err := s.find(ctx, tenant, id)
	if err != nil {
		return alert.Alert{}, fmt.Errorf("read alert %s: %w", id, err)
	}
	return a, nil
}

// find returns an alert with its row.
func (s *Store) find(ctx context.Context, tenant string, id alert.ID) (int64, alert.Alert, error) {
	var n int64
	var doc string
	err := s.reader(ctx, func() error {
		return s.read.QueryRowContext(ctx, `SELECT n, doc FROM alerts WHERE id = ? AND (tenant = ? OR ? = '')`,
			string(id), tenant, tenant).Scan(&n, &doc)
	})
	if err != nil {
		return 0, alert.Alert{}, err
	}
	a, err := decodeAlert(doc)
	return n, a, err
}

// Alerts yields the selected alerts. Which they are and their order is settled at the first; each is read as it
// stands when it is yielded. No transaction is open while the caller has its turn.
func (s *Store) Alerts(ctx context.Context, q store.Query) iter.Seq2[alert.Alert, error] {
	return func(yield func(alert.Alert, error) bool) {
		rows, err := s.selected(ctx, q)
		if err != nil {
			yield(alert.Alert{}, fmt.Errorf("select alerts: %w", err))
			return
		}
		for _, n := range rows {
			var doc string
			err := s.reader(ctx, func() error { return s.stmt.document.QueryRowContext(ctx, n).Scan(&doc) })
			var a alert.Alert
			if err == nil {
				a, err = decodeAlert(doc)
			}
			if err != nil {
				yield(alert.Alert{}, fmt.Errorf("read a selected alert: %w", err))
				return
			}
			if !yield(a, nil) {
				return
			}
		}
	}
}

// selected returns the rows of the selected alerts in order.
func (s *Store) selected(ctx context.Context, q store.Query) ([]int64, error) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	oneOf(add, "tenant", q.Tenants)
	oneOf(add, "rule", q.Rules)
	oneOf(add, "status", q.Statuses)
	if q.MinSeverity > 0 {
		add("severity >= ?", int64(q.MinSeverity))
	}
	if q.MinStage > 0 {
		add("stage >= ?", int64(q.MinStage))
	}
	if !q.Changed.IsZero() {
		add("changed >= ?", q.Changed.Unix())
	}
	if condition, values := about(q.About); condition != "" {
		add(condition, values...)
	}
	from, to := sortable(q.From), sortable(q.To)
	if !q.From.IsZero() {
		add("last >= ?", from)
	}
	if !q.To.IsZero() {
		add("first < ?", to)
	}
	if !q.From.IsZero() && !q.To.IsZero() {
		add(`(first >= ? OR last < ? OR EXISTS (SELECT 1 FROM findings WHERE alert = alerts.n AND at >= ? AND at < ?))`,
			from, to, from, to)
	}
	query := "SELECT n FROM alerts"
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	query += " ORDER BY severity DESC, last DESC, id LIMIT ?"
	args = append(args, cmp.Or(max(q.Limit, 0), -1)) // -1: no limit
	var out []int64
	err := s.reader(ctx, func() error {
		rows, err := s.read.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close() //nolint:errcheck // Err tells
		for rows.Next() {
			var n int64
			if err := rows.Scan(&n); err != nil {
				return err
			}
			out = append(out, n)
		}
		return rows.Err()
	})
	return out, err
}

// oneOf adds the condition that the column is one of the values, if there are any.
func oneOf[T ~string](add func(string, ...any), column string, values []T) {
	if len(values) == 0 {
		return
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = string(v)
	}
	add(column+" IN (?"+strings.Repeat(", ?", len(values)-1)+")", args...)
}

// about returns the condition that an alert has the token, session or mailbox of one of the subjects. It reads the documents,
// so that what is asked for once in a while needs no column.
// SQLite folds the case of ASCII letters alone, and so does the list that it is compared with.
func about(subjects []alert.Subject) (string, []any) {
	var parts []string
	var args []any
	for _, f := range []struct {
		path string
		of   func(*alert.Subject) string
	}{
		{"$.subject.tokenId", func(s *alert.Subject) string { return s.TokenID }},
		{"$.subject.sessionId", func(s *alert.Subject) string { return s.Session }},
		{"$.subject.mailbox", func(s *alert.Subject) string { return s.Mailbox }},
	} {
		n := 0
		for i := range subjects {
			if v := f.of(&subjects[i]); v != "" {
				args = append(args, v)
				n++
			}
		}
		if n > 0 {
			parts = append(parts, "lower(json_extract(doc, '"+f.path+"')) IN (lower(?)"+strings.Repeat(", lower(?)", n-1)+")")
		}
	}
	if len(parts) == 0 {
		return "", nil
	}
	return "(" + strings.Join(parts, " OR ") + ")", args
}

// page is how many findings are read at once.
const page = 256

// Findings yields the findings of an alert. No transaction is open while the caller has its turn.
func (s *Store) Findings(ctx context.Context, tenant string, id alert.ID) iter.Seq2[alert.Finding, error] {
	return func(yield func(alert.Finding, error) bool) {
		n, _, err := s.find(ctx, tenant, id)
		at, last := "", ""
		for err == nil {
			var found []alert.Finding
			if found, err = s.findings(ctx, n, id, at, last); err != nil {
				break
			}
			for _, f := range found {
				if !yield(f, nil) {
					return
				}
			}
			if len(found) < page {
				return
			}
			f := &found[len(found)-1]
			at, last = sortable(f.At), string(f.ID)
		}
		yield(alert.Finding{}, fmt.Errorf("read the findings of alert %s: %w", id, err))
	}
}

// CountFindings implements store.Store.
func (s *Store) CountFindings(ctx context.Context, tenant string, id alert.ID, run string) (count int64, err error) {
	n, _, err := s.find(ctx, tenant, id)
	if err == nil {
		err = s.reader(ctx, func() error { return s.stmt.countFindings.QueryRowContext(ctx, n, run).Scan(&count) })
	}
	if err != nil {
		return 0, fmt.Errorf("count the findings of alert %s: %w", id, err)
	}
	return count, nil
}

// findings returns the findings that follow the one of the given time and id.
func (s *Store) findings(ctx context.Context, n int64, id alert.ID, at, last string) ([]alert.Finding, error) {
	var out []alert.Finding
	err := s.reader(ctx, func() error {
		rows, err := s.stmt.findings.QueryContext(ctx, n, at, last, page)
		if err != nil {
			return err
		}
		defer rows.Close() //nolint:errcheck // Err tells
		for rows.Next() {
			f, err := scanFinding(rows)
			if err != nil {
				return err
			}
			f.AlertID = id
			out = append(out, f)
		}
		return rows.Err()
	})
	return out, err
}

func scanFinding(rows *sql.Rows) (alert.Finding, error) {
	var fid, at, ev, place, run string
	var stage, severity, strength uint8
	var doc, suppression sql.NullString
	if err := rows.Scan(&fid, &at, &ev, &stage, &severity, &strength, &place, &run, &doc, &suppression); err != nil {
		return alert.Finding{}, err
	}
	var f alert.Finding
	if doc.Valid {
		if err := json.Unmarshal([]byte(doc.String), &f); err != nil {
			return f, fmt.Errorf("finding %s: %w", fid, err)
		}
		return f, nil
	}
	t, err := time.Parse(timeLayout, at)
	if err != nil {
		return f, fmt.Errorf("finding %s: %w", fid, err)
	}
	f = alert.Finding{
		ID: alert.FindingID(fid), EventID: event.ID(ev), At: t,
		Stage: rule.Stage(stage), Severity: rule.Severity(severity), Strength: rule.Strength(strength),
		Place: place, From: alert.Provenance{Run: run},
	}
	if suppression.Valid {
		f.Suppressed = &alert.Suppression{Name: suppression.String}
	}
	return f, nil
}

// SetAsides yields what was set aside, by the time when it was and then by id.
func (s *Store) SetAsides(ctx context.Context) iter.Seq2[alert.SetAside, error] {
	return func(yield func(alert.SetAside, error) bool) {
		seen, id := "", ""
		for {
			var docs []string
			err := s.reader(ctx, func() error {
				docs = docs[:0]
				rows, err := s.read.QueryContext(ctx, `SELECT seen, id, doc FROM set_aside WHERE (seen, id) > (?, ?)
					ORDER BY seen, id LIMIT ?`, seen, id, page)
				if err != nil {
					return err
				}
				defer rows.Close() //nolint:errcheck // Err tells
				for rows.Next() {
					var doc string
					if err := rows.Scan(&seen, &id, &doc); err != nil {
						return err
					}
					docs = append(docs, doc)
				}
				return rows.Err()
			})
			if err != nil {
				yield(alert.SetAside{}, fmt.Errorf("read what was set aside: %w", err))
				return
			}
			for _, doc := range docs {
				var item alert.SetAside
				err := json.Unmarshal([]byte(doc), &item)
				if !yield(item, err) || err != nil {
					return
				}
			}
			if len(docs) < page {
				return
			}
		}
	}
}

// reader runs what reads, and says of its error what the contract says of it.
func (s *Store) reader(ctx context.Context, do func() error) error {
	if s.read == s.write {
		return s.inTurn(ctx, func() error { return found(do()) })
	}
	if s.closed.Load() {
		return fmt.Errorf("%w: it is closed", store.ErrUnavailable)
	}
	return s.explain(ctx, found(do()))
}

// found says of a row that is not there what the contract says.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	return err
}

func decodeAlert(doc string) (alert.Alert, error) {
	var a alert.Alert
	if err := json.Unmarshal([]byte(doc), &a); err != nil {
		return a, fmt.Errorf("read an alert's document: %w", err)
	}
	return a, nil
}

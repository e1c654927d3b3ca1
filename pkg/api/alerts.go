// Package api is the JSON interface for people and programs that work with alerts: list, read, and change what belongs to
// analysts; and the deep health check.
//
// It authenticates nobody (package access reads who called), evaluates nothing, and answers every error with a problem
// document (RFC 9457).
package api

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/access"
	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

// Bounds of the interface.
const (
	defaultPage = 50
	maxPage     = 200
	maxWindow   = 400 * 24 * time.Hour // of a list
	maxFindings = 100                  // shown with an alert
	maxBody     = 16 << 10             // of a PATCH, bytes
	maxNote     = 4 << 10
)

// Alerts serves GET /api/alerts, GET /api/alerts/{id} and PATCH /api/alerts/{id}.
type Alerts struct {
	Store  store.Store
	Policy access.Policy
	Now    func() time.Time
	Log    *slog.Logger
}

// Page is the answer to a list.
type Page struct {
	Alerts []alert.Alert `json:"alerts"`
	Next   string        `json:"next,omitempty"` // to be sent as "after" for the next page
}

// One is the answer for a single alert.
type One struct {
	Alert    alert.Alert     `json:"alert"`
	Findings []alert.Finding `json:"findings"` // the first by event time
	Related  []Related       `json:"related"`  // other alerts of the day about the same token, session or mailbox
}

// Related is an alert that is related to another one.
type Related struct {
	ID       alert.ID      `json:"id"`
	Rule     alert.RuleRef `json:"rule"`
	Severity rule.Severity `json:"severity"`
	Stage    rule.Stage    `json:"stage"`
	Status   alert.Status  `json:"status"`
	Last     time.Time     `json:"lastSeen"`
	Shares   []string      `json:"shares"` // of token, session, mailbox
}

// List answers the alerts that the parameters tenant, rule, status (each repeatable), minSeverity, stage, from, to
// (RFC 3339), limit and after select, the most severe first. Without from it is the last 30 days, without
// stage only alerts that may page.
func (a *Alerts) List(w http.ResponseWriter, r *http.Request) {
	if err := a.list(w, r); err != nil {
		refuse(w, r, a.Log, err)
	}
}

func (a *Alerts) list(w http.ResponseWriter, r *http.Request) error {
	caller, err := a.Policy.Identify(r)
	if err != nil {
		return err
	}
	if err := caller.MayAnywhere(access.Reader); err != nil {
		return err
	}
	asked, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		// Without what cannot be read, it would be the answer to another question.
		return &badRequest{"query", "cannot be read: " + err.Error()}
	}
	q, limit, after, err := parseList(asked, a.Now())
	if err != nil {
		return err
	}
	if err := scope(&q, caller); err != nil {
		return err
	}
	page := Page{Alerts: []alert.Alert{}}
	for found, err := range a.Store.Alerts(r.Context(), q) {
		if err != nil {
			return fmt.Errorf("list alerts: %w", err)
		}
		if after != nil && after.compare(&found) >= 0 {
			continue
		}
		if len(page.Alerts) == limit {
			page.Next = cursorOf(&page.Alerts[limit-1]).String()
			break
		}
		page.Alerts = append(page.Alerts, found)
	}
	answer(w, http.StatusOK, page)
	return nil
}

// scope limits a query to the tenants that the caller may read. Asking for another one is forbidden, not empty.
func scope(q *store.Query, caller access.Caller) error {
	for _, t := range q.Tenants {
		if err := caller.May(access.Reader, t); err != nil {
			return err
		}
	}
	if tenants, all := caller.Tenants(access.Reader); !all && len(q.Tenants) == 0 {
		q.Tenants = tenants
	}
	return nil
}

func parseList(v url.Values, now time.Time) (q store.Query, limit int, after *cursor, err error) {
	limit = defaultPage
	q = store.Query{MinStage: rule.Enabled, From: now.AddDate(0, 0, -30), To: now.AddDate(0, 0, 1)}
	for name, values := range v {
		value := values[len(values)-1]
		switch name {
		case "tenant":
			for _, t := range values {
				q.Tenants = append(q.Tenants, strings.ToLower(t))
			}
		case "rule":
			q.Rules = values
		case "status":
			for _, s := range values {
				if !slices.Contains([]alert.Status{alert.Open, alert.Acknowledged, alert.Closed}, alert.Status(s)) {
					return q, 0, nil, &badRequest{name, fmt.Sprintf("%q is none of open, acknowledged, closed", s)}
				}
				q.Statuses = append(q.Statuses, alert.Status(s))
			}
		case "minSeverity":
			if err := q.MinSeverity.UnmarshalText([]byte(value)); err != nil {
				return q, 0, nil, &badRequest{name, err.Error()}
			}
		case "stage":
			if err := q.MinStage.UnmarshalText([]byte(value)); err != nil {
				return q, 0, nil, &badRequest{name, err.Error()}
			}
		case "from", "to":
			t, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return q, 0, nil, &badRequest{name, "is no time as in 2026-01-31T00:00:00Z"}
			}
			if name == "from" {
				q.From = t
			} else {
				q.To = t
			}
		case "limit":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > maxPage {
				return q, 0, nil, &badRequest{name, fmt.Sprintf("is no number from 1 to %d", maxPage)}
			}
			limit = n
		case "after":
			if after, err = parseCursor(value); err != nil {
				return q, 0, nil, &badRequest{name, "is not the next of an earlier page"}
			}
		case "code": // the function key, where it is not in its header
		default:
			return q, 0, nil, &badRequest{name, "there is no such parameter"}
		}
	}
	if !q.From.Before(q.To) {
		return q, 0, nil, &badRequest{"from", "is not before to"}
	}
	if q.To.Sub(q.From) > maxWindow {
		return q, 0, nil, &badRequest{"from", fmt.Sprintf("is more than %d days before to", int(maxWindow.Hours()/24))}
	}
	return q, limit, after, nil
}

// Get answers one alert with its first findings and their evidence.
func (a *Alerts) Get(w http.ResponseWriter, r *http.Request) {
	if err := a.get(w, r); err != nil {
		refuse(w, r, a.Log, err)
	}
}

func (a *Alerts) get(w http.ResponseWriter, r *http.Request) error {
	caller, err := a.Policy.Identify(r)
	if err != nil {
		return err
	}
	found, err := a.find(r, caller)
	if err != nil {
		return err
	}
	out := One{Alert: found, Findings: []alert.Finding{}, Related: []Related{}}
	for f, err := range a.Store.Findings(r.Context(), found.Tenant, found.ID) {
		if err != nil {
			return fmt.Errorf("list the findings of %s: %w", found.ID, err)
		}
		if len(out.Findings) == maxFindings {
			break
		}
		out.Findings = append(out.Findings, f)
	}
	related, err := store.Related(r.Context(), a.Store, &found, out.Findings)
	if err != nil {
		return err
	}
	for _, x := range related {
		out.Related = append(out.Related, Related{
			ID: x.Alert.ID, Rule: x.Alert.Rule, Severity: x.Alert.Severity, Stage: x.Alert.Stage, Status: x.Alert.Status,
			Last: x.Alert.Last, Shares: x.Shares,
		})
	}
	answer(w, http.StatusOK, out)
	return nil
}

// find returns the alert that the path names. One that the caller may not read is not there, so that ids cannot be probed.
func (a *Alerts) find(r *http.Request, caller access.Caller) (alert.Alert, error) {
	id := alert.ID(r.PathValue("id"))
	if id.Day() == "" {
		return alert.Alert{}, &badRequest{"id", "is no alert id"}
	}
	found, err := a.Store.Alert(r.Context(), "", id)
	if err != nil {
		return found, fmt.Errorf("read alert %s: %w", id, err)
	}
	if caller.May(access.Reader, found.Tenant) != nil {
		return alert.Alert{}, fmt.Errorf("read alert %s: %w", id, store.ErrNotFound)
	}
	return found, nil
}

// patch is the body of PATCH.
type patch struct {
	Status  *alert.Status  `json:"status"`
	Verdict *alert.Verdict `json:"verdict"`
	Note    string         `json:"note"`
}

// Patch changes status and verdict, adds a note, and keeps who did it in the alert's history.
func (a *Alerts) Patch(w http.ResponseWriter, r *http.Request) {
	if err := a.patch(w, r); err != nil {
		refuse(w, r, a.Log, err)
	}
}

func (a *Alerts) patch(w http.ResponseWriter, r *http.Request) error {
	caller, err := a.Policy.Identify(r)
	if err != nil {
		return err
	}
	if err := caller.MayAnywhere(access.Analyst); err != nil {
		return err
	}
	in, err := readPatch(w, r)
	if err != nil {
		return err
	}
	found, err := a.find(r, caller)
	if err != nil {
		return err
	}
	if err := caller.May(access.Analyst, found.Tenant); err != nil {
		return err
	}
	changed, err := a.Store.Update(r.Context(), found.Tenant, found.ID, func(x *alert.Alert) error {
		c := alert.Change{At: a.Now().UTC(), By: caller.Name, Status: x.Status, Verdict: x.Verdict, Note: in.Note}
		if in.Status != nil {
			c.Status = *in.Status
		}
		if in.Verdict != nil {
			c.Verdict = *in.Verdict
		} else if c.Status != alert.Closed {
			c.Verdict = alert.NoVerdict
		}
		if err := x.Mark(c); err != nil {
			return &badRequest{"status", err.Error()}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("change alert %s: %w", found.ID, err)
	}
	answer(w, http.StatusOK, changed)
	return nil
}

func readPatch(w http.ResponseWriter, r *http.Request) (patch, error) {
	var in patch
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return in, &badRequest{"body", "is no JSON object with status, verdict or note: " + err.Error()}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return in, &badRequest{"body", "holds more than one JSON object"}
	}
	switch {
	case in.Status == nil && in.Verdict == nil && in.Note == "":
		return in, &badRequest{"body", "changes nothing"}
	case len(in.Note) > maxNote:
		return in, &badRequest{"note", fmt.Sprintf("is longer than %d bytes", maxNote)}
	}
	return in, nil
}

// cursor is the place of an alert in the order of a list: the most severe first, then the latest, then by id.
type cursor struct {
	Severity rule.Severity `json:"s"`
	Last     time.Time     `json:"l"`
	ID       alert.ID      `json:"i"`
}

func cursorOf(a *alert.Alert) *cursor { return &cursor{a.Severity, a.Last, a.ID} }

// compare is negative if the cursor's place is before the alert's.
func (c *cursor) compare(a *alert.Alert) int {
	if c.Severity != a.Severity {
		return int(a.Severity) - int(c.Severity)
	}
	if d := a.Last.Compare(c.Last); d != 0 {
		return d
	}
	return strings.Compare(string(c.ID), string(a.ID))
}

func (c *cursor) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(s string) (*cursor, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("decode a cursor: %w", err)
	}
	c := &cursor{}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("decode a cursor: %w", err)
	}
	if c.ID == "" || c.Last.IsZero() {
		return nil, errors.New("decode a cursor: it is no place in a list")
	}
	return c, nil
}

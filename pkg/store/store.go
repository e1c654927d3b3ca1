// Package store keeps alerts, their findings, and what was set aside. It holds the contract; package sqlite is the
// embedded implementation, package storetest the conformance suite that every implementation passes.
//
// Processing the same finding again changes nothing: that is what makes at-least-once input have an exactly-once effect.
package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/rule"
)

// Errors of a store. ErrUnavailable means: run it again later; it covers throttling, lost connections and refused
// credentials. ErrRejected means: running it again does not help.
var (
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("changed by somebody else")
	ErrUnavailable = errors.New("store unavailable")
	ErrRejected    = errors.New("the store refuses this document for good")
)

// MaxAtomic is how many findings of one call every implementation stores as a whole or not at all: a transaction of Cosmos
// DB holds a hundred operations.
const MaxAtomic = 90

// Outcome says what Record did.
type Outcome struct {
	Alert     alert.Alert // as it stands afterwards
	New       int         // findings that were not there before
	Known     int         // findings that were
	Created   bool        // the alert is new
	Escalated bool        // its severity or stage rose
	Reopened  bool        // it was closed, and a new finding opened it again
}

// Query selects alerts. Zero fields select all.
type Query struct {
	Tenants     []string
	Rules       []string
	Statuses    []alert.Status
	MinSeverity rule.Severity
	MinStage    rule.Stage
	From, To    time.Time       // alerts with a finding in [From, To)
	Changed     time.Time       // alerts that were written at this second or later
	About       []alert.Subject // alerts whose subject has the token id, session or mailbox of one of them, whatever its case
	Limit       int
}

// Store keeps alerts. Implementations are safe for concurrent use, also by several processes.
type Store interface {
	// Record adds the findings, which all belong to one alert. Findings that are already there are only counted as
	// known. A new finding reopens a closed alert, unless its verdict is false positive or benign.
	//
	// The alert agrees with its findings at every moment. A call with at most MaxAtomic findings stores all or none; a
	// larger one that fails may have stored some. Either way the same call again stores and counts what is missing.
	Record(ctx context.Context, findings []alert.Finding) (Outcome, error)

	// Alert returns one alert, or ErrNotFound. An empty tenant means any.
	Alert(ctx context.Context, tenant string, id alert.ID) (alert.Alert, error)

	// Alerts yields the selected alerts, the most severe first, then the latest, then by id. The caller may use the store
	// between two of them.
	Alerts(ctx context.Context, q Query) iter.Seq2[alert.Alert, error]

	// Findings yields the findings of an alert by event time, then by id: the first alert.MaxEvidenced that were
	// recorded with their evidence, the others as their Claim. The caller may use the store between two of them.
	Findings(ctx context.Context, tenant string, id alert.ID) iter.Seq2[alert.Finding, error]

	// CountFindings returns how many findings of the alert the run has made, or ErrNotFound if there is no such alert.
	CountFindings(ctx context.Context, tenant string, id alert.ID, run string) (int64, error)

	// Update changes what belongs to analysts: status, verdict and history; see alert.Alert.Mark. Whatever else change does
	// to the alert is lost. change may run again if somebody else was faster, and must not use the store; its error
	// is returned as it is and nothing is changed. ErrConflict means that others were faster too often.
	Update(ctx context.Context, tenant string, id alert.ID, change func(*alert.Alert) error) (alert.Alert, error)

	// SetAside keeps what could not be read. Known ids are left as they are.
	SetAside(ctx context.Context, items []alert.SetAside) error

	Close() error
}

// Package replay runs a past window of the logs through the live pipeline again. A replay is a job, cut into slices: a slice
// is a range of one partition of a source, and is worked on by one process at a time, page by page.
//
// Whatever happens to the process, a slice goes on where it was: its position, its counters and its lease are one
// document, which is replaced by compare-and-swap behind every page. A page that is processed twice changes nothing in the
// store, because ids are made of content, and counts once, because its counters were not saved. What is new is not counted
// at all while it happens: findings name the run that made them, and are looked up in the store.
//
// The package decides what is read, when and how fast. It knows no event hub and no blob: those are sources, in the
// packages below it. It is told the time, and it starts no process.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/assay-sec/assay/pkg/pipeline"
)

// Window is a span of time, [From, To).
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// A record can arrive before the time that it gives, where clocks differ, and long behind it: Microsoft 365 audit is
// delivered within a day mostly, and "up to 24 hours or longer" in its documentation.
const (
	arrivesBefore = time.Hour
	arrivesAfter  = 48 * time.Hour
)

// Arrived is when the records of this window of event time can have reached a hub.
func (w Window) Arrived() Window {
	return Window{From: w.From.Add(-arrivesBefore), To: w.To.Add(arrivesAfter)}
}

// Source is a place from which logs can be read again. Implementations are safe for concurrent use.
type Source interface {
	// Plan says what the source holds of what arrived in the window, and what it holds no longer. It may cover more: the
	// records are held against the window of event time in any case.
	Plan(ctx context.Context, arrived Window) (Plan, error)

	// Open reads the range from a position on, which an earlier page has given; "" is the beginning of the range.
	Open(ctx context.Context, r Range, position string) (Reader, error)
}

// Plan is what a source will be read for.
type Plan struct {
	Ranges []Range
	Gaps   []Gap
}

// Range is a part of a source that is read in order. From and To are the source's own.
type Range struct {
	Source    string `json:"source"` // as the request names it
	Partition string `json:"partition"`
	From      string `json:"from"`
	To        string `json:"to"`
	Units     int64  `json:"units,omitempty"` // how much it is, in units of the source: events or bytes; 0: not known
}

// Gap is what the window asks for and the source does not hold.
type Gap struct {
	Source    string    `json:"source"`
	Partition string    `json:"partition,omitempty"`
	From      time.Time `json:"from,omitzero"` // of arrival; zero: not known
	To        time.Time `json:"to,omitzero"`
	Reason    string    `json:"reason"`
}

// Missing returns what a source lacks of the window of arrival that began to keep things at first, give or take the slack; zero
// for a source that keeps nothing. kept is how it keeps: "captured".
func (w Window) Missing(source string, first time.Time, slack time.Duration, kept string) []Gap {
	switch {
	case first.IsZero():
		return []Gap{{Source: source, From: w.From, To: w.To, Reason: "nothing was " + kept}}
	case first.After(w.From.Add(slack)):
		to := first
		if w.To.Before(to) {
			to = w.To
		}
		return []Gap{{Source: source, From: w.From, To: to, Reason: "nothing was " + kept + " before " + first.Format(time.RFC3339)}}
	}
	return nil
}

// Reader reads a range. It is not safe for concurrent use.
type Reader interface {
	// Next returns the next page. The error is io.EOF at the end of the range; after any other one the range can be opened
	// again at the position of the last page.
	Next(ctx context.Context) (Page, error)
	io.Closer
}

// Page is what was read at once. It belongs to the caller.
type Page struct {
	Records  pipeline.Source // never nil
	Position string          // behind the page
	Bytes    int64           // that were read for it: what the pace counts
	Units    int64           // of the range, see Range.Units
}

// Invalid says which member of a request is wrong.
type Invalid struct{ Field, Detail string }

func (e *Invalid) Error() string { return e.Field + ": " + e.Detail }

// ErrLost says that another process has taken the slice over.
var ErrLost = errors.New("another process works on the slice")

// Bounds of a request.
const (
	MaxWindow  = 400 * 24 * time.Hour
	maxReason  = 1000 // bytes
	maxName    = 256
	maxSources = 64
	maxNames   = 1000 // rules, tenants
	maxSlices  = 10_000
)

// Request is what somebody asked for.
type Request struct {
	Window
	Sources []string `json:"sources"`           // such as "hub:signins"
	Rules   []string `json:"rules,omitempty"`   // only these; empty: all
	Tenants []string `json:"tenants,omitempty"` // only these, lower-case; empty: all that the requester may
	DryRun  bool     `json:"dryRun"`            // finds and counts, and stores no finding and no alert
	Notify  bool     `json:"notify"`            // subscribers hear of what it finds
	Reason  string   `json:"reason"`            // why, for the audit
	By      string   `json:"by"`                // who

	// Join is JoinIssuance where rules are to know which tokens the sign-in logs issued; empty: they judge each record alone.
	Join string `json:"join,omitempty"`
	// CalibrateFrom is the beginning of what a join looks at to know what is usual; zero: its own default.
	CalibrateFrom time.Time `json:"calibrateFrom,omitzero"`
}

// JoinIssuance joins the use of tokens with their issuance. What it takes to know is of many records at once, so it is for
// replays that one process runs alone.
const JoinIssuance = "issuance"

// Check returns an Invalid for a request that cannot be served. Whether sources, rules and tenants are there is for the
// caller to know.
func (r *Request) Check(now time.Time) error {
	switch {
	case r.From.IsZero():
		return &Invalid{"from", "is missing: the beginning of the window, as in 2026-01-31T00:00:00Z"}
	case r.To.IsZero():
		return &Invalid{"to", "is missing: the end of the window, as in 2026-01-31T00:00:00Z"}
	case !r.From.Before(r.To):
		return &Invalid{"from", "is not before to"}
	case r.To.Sub(r.From) > MaxWindow:
		return &Invalid{"from", fmt.Sprintf("is more than %d days before to", int(MaxWindow.Hours()/24))}
	case r.From.After(now):
		return &Invalid{"from", "is in the future"}
	case len(r.Sources) == 0:
		return &Invalid{"sources", "is missing: what to read"}
	case len(r.Sources) > maxSources:
		return &Invalid{"sources", fmt.Sprintf("names more than %d", maxSources)}
	case len(r.Rules) > maxNames:
		return &Invalid{"rules", fmt.Sprintf("names more than %d", maxNames)}
	case len(r.Tenants) > maxNames:
		return &Invalid{"tenants", fmt.Sprintf("names more than %d", maxNames)}
	case r.Reason == "":
		return &Invalid{"reason", "is missing: why this is run, for the audit"}
	case len(r.Reason) > maxReason:
		return &Invalid{"reason", fmt.Sprintf("is longer than %d bytes", maxReason)}
	case r.By == "":
		return &Invalid{"by", "is missing: who asks for it"}
	case len(r.By) > maxName:
		return &Invalid{"by", fmt.Sprintf("is longer than %d bytes", maxName)}
	case r.DryRun && r.Notify:
		return &Invalid{"notify", "makes no sense with dryRun, which stores nothing to tell of"}
	case r.Join != "" && r.Join != JoinIssuance:
		return &Invalid{"join", "is none that there is: " + JoinIssuance}
	case r.Join == "" && !r.CalibrateFrom.IsZero():
		return &Invalid{"calibrateFrom", "is for join alone"}
	case r.CalibrateFrom.After(r.From):
		return &Invalid{"calibrateFrom", "is after from"}
	case !r.CalibrateFrom.IsZero() && r.To.Sub(r.CalibrateFrom) > MaxWindow:
		return &Invalid{"calibrateFrom", fmt.Sprintf("is more than %d days before to", int(MaxWindow.Hours()/24))}
	}
	return nil
}

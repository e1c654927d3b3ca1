package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/access"
	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/replay"
	"github.com/assay-sec/assay/pkg/store"
)

// Replays serves /api/replays: starting replays, watching them, ending them.
type Replays struct {
	Runner *replay.Runner
	// Enqueue asks for work on a slice.
	Enqueue func(ctx context.Context, m replay.Message, after time.Duration) error
	// CheckRules returns an error that names the ids that are no rules, or rules that are off.
	CheckRules func(ids []string) error
	Policy     access.Policy
	Log        *slog.Logger
}

// Bounds of replays by HTTP.
const (
	maxListed  = 200      // replays
	maxRequest = 64 << 10 // bytes of a body
	maxResults = 1000     // alerts of a replay
	retryAfter = "5"      // seconds until it is worth asking how a replay stands
)

// ReplayRequest is the body of POST. Who asks for it is known from the request itself.
type ReplayRequest struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Sources []string  `json:"sources"`
	Rules   []string  `json:"rules,omitempty"`
	Tenants []string  `json:"tenants,omitempty"`
	DryRun  bool      `json:"dryRun,omitempty"`
	Notify  bool      `json:"notify,omitempty"`
	Reason  string    `json:"reason"`
	Join    string    `json:"join,omitempty"` // refused: see there
}

// ReplayPage is the answer to a list.
type ReplayPage struct {
	Replays []replay.Job `json:"replays"` // the latest first
}

// ReplayResults is what a replay found.
type ReplayResults struct {
	Alerts []ReplayResult `json:"alerts"`
	More   int            `json:"more,omitempty"` // alerts that are not listed
}

// ReplayResult is an alert that a replay found something for.
type ReplayResult struct {
	Alert       alert.Alert `json:"alert"`
	New         bool        `json:"new"`         // the replay has created it, or would
	NewFindings int64       `json:"newFindings"` // that the replay has created, or would
}

// Start plans a replay and asks for work on its slices. It answers 202 with the place where it can be watched.
func (a *Replays) Start(w http.ResponseWriter, r *http.Request) {
	if err := a.start(w, r); err != nil {
		refuse(w, r, a.Log, err)
	}
}

func (a *Replays) start(w http.ResponseWriter, r *http.Request) error {
	caller, err := a.Policy.Identify(r)
	if err != nil {
		return err
	}
	if err := caller.MayAnywhere(access.Analyst); err != nil {
		return err
	}
	var in ReplayRequest
	if err := readObject(w, r, &in); err != nil {
		return err
	}
	if in.Join != "" {
		return &badRequest{"join", "is for the command line: a join holds the logs of the whole window in the memory of one process, and here each call works on one slice. " +
			"Run assay replay --join against the hubs or the archive"}
	}
	req := replay.Request{
		Window: replay.Window{From: in.From, To: in.To}, Sources: in.Sources, Rules: in.Rules, DryRun: in.DryRun, Notify: in.Notify,
		Reason: in.Reason, By: caller.Name,
	}
	for _, t := range in.Tenants {
		id, err := event.ParseGUID(t)
		if err != nil {
			return &badRequest{"tenants", fmt.Sprintf("%q is no tenant's id: a GUID", t)}
		}
		if err := caller.May(access.Analyst, id.String()); err != nil {
			return err
		}
		req.Tenants = append(req.Tenants, id.String())
	}
	if tenants, all := caller.Tenants(access.Analyst); !all && len(req.Tenants) == 0 {
		req.Tenants = tenants
	}
	if err := a.CheckRules(req.Rules); err != nil {
		return &badRequest{"rules", strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	j, planned, err := a.Runner.Plan(r.Context(), req)
	if err != nil {
		return err
	}
	for i := range planned {
		m := replay.Message{Replay: j.ID, Slice: planned[i].Number}
		if err := a.Enqueue(r.Context(), m, 0); err != nil {
			// Half a replay would look like a whole one that takes long.
			_, cerr := a.Runner.Documents.Cancel(context.WithoutCancel(r.Context()), j.ID, alert.Assay, a.Runner.Clock.Now())
			return errors.Join(fmt.Errorf("%w: ask for work on replay %s: %w", store.ErrUnavailable, j.ID, err), cerr)
		}
	}
	a.Log.InfoContext(r.Context(), "replay started", "replay", j.ID, "by", j.Request.By, "from", j.Request.From, "to", j.Request.To,
		"sources", j.Request.Sources, "rules", len(j.Request.Rules), "tenants", len(j.Request.Tenants), "dryRun", j.Request.DryRun,
		"notify", j.Request.Notify, "slices", j.Slices, "gaps", len(j.Gaps))
	return a.accepted(w, r, j.ID)
}

// accepted answers 202 with how the replay stands, and where that can be asked again.
func (a *Replays) accepted(w http.ResponseWriter, r *http.Request, id string) error {
	s, err := a.Runner.Status(r.Context(), id)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/replays/"+id)
	w.Header().Set("Retry-After", retryAfter)
	answer(w, http.StatusAccepted, s)
	return nil
}

// List answers the latest replays that the caller may see.
func (a *Replays) List(w http.ResponseWriter, r *http.Request) {
	if err := a.list(w, r); err != nil {
		refuse(w, r, a.Log, err)
	}
}

func (a *Replays) list(w http.ResponseWriter, r *http.Request) error {
	caller, err := a.Policy.Identify(r)
	if err != nil {
		return err
	}
	if err := caller.MayAnywhere(access.Reader); err != nil {
		return err
	}
	jobs, err := a.Runner.Documents.Jobs(r.Context())
	if err != nil {
		return err
	}
	page := ReplayPage{Replays: []replay.Job{}}
	for _, j := range jobs {
		if maySee(caller, access.Reader, &j) == nil && len(page.Replays) < maxListed {
			page.Replays = append(page.Replays, j)
		}
	}
	answer(w, http.StatusOK, page)
	return nil
}

// maySee tells whether the caller has the role in all that the replay covers.
func maySee(caller access.Caller, role access.Role, j *replay.Job) error {
	if len(j.Request.Tenants) == 0 {
		if _, all := caller.Tenants(role); !all {
			return fmt.Errorf("%w: the replay covers all tenants", access.ErrForbidden)
		}
	}
	for _, t := range j.Request.Tenants {
		if err := caller.May(role, t); err != nil {
			return err
		}
	}
	return nil
}

// find returns the job that the path names. One that the caller may not read is not there; one that he may read and not
// change is forbidden.
func (a *Replays) find(r *http.Request, role access.Role) (*replay.Job, access.Caller, error) {
	caller, err := a.Policy.Identify(r)
	if err != nil {
		return nil, caller, err
	}
	if err := caller.MayAnywhere(role); err != nil {
		return nil, caller, err
	}
	j, err := a.Runner.Documents.Job(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, caller, err
	}
	if maySee(caller, access.Reader, j) != nil {
		return nil, caller, fmt.Errorf("read replay %s: %w", j.ID, store.ErrNotFound)
	}
	return j, caller, maySee(caller, role, j)
}

// Get answers how a replay stands.
func (a *Replays) Get(w http.ResponseWriter, r *http.Request) {
	j, _, err := a.find(r, access.Reader)
	var s *replay.Status
	if err == nil {
		s, err = a.Runner.Status(r.Context(), j.ID)
	}
	if err != nil {
		refuse(w, r, a.Log, err)
		return
	}
	if s.State == replay.StateRunning {
		w.Header().Set("Retry-After", retryAfter)
	}
	answer(w, http.StatusOK, s)
}

// Results answers the alerts that a replay found something for, the new and the gravest first.
func (a *Replays) Results(w http.ResponseWriter, r *http.Request) {
	if err := a.results(w, r); err != nil {
		refuse(w, r, a.Log, err)
	}
}

func (a *Replays) results(w http.ResponseWriter, r *http.Request) error {
	j, _, err := a.find(r, access.Reader)
	if err != nil {
		return err
	}
	out := ReplayResults{Alerts: []ReplayResult{}}
	for result, err := range a.Runner.Results(r.Context(), j) {
		if err != nil {
			return err
		}
		out.Alerts = append(out.Alerts, ReplayResult{Alert: result.Alert, New: result.AlertNew, NewFindings: result.New})
	}
	slices.SortFunc(out.Alerts, compareResults)
	if len(out.Alerts) > maxResults {
		out.More = len(out.Alerts) - maxResults
		out.Alerts = out.Alerts[:maxResults]
	}
	answer(w, http.StatusOK, out)
	return nil
}

func compareResults(x, y ReplayResult) int {
	if x.New != y.New {
		if x.New {
			return -1
		}
		return 1
	}
	return cursorOf(&x.Alert).compare(&y.Alert)
}

// Cancel ends a replay. What it has found stays.
func (a *Replays) Cancel(w http.ResponseWriter, r *http.Request) {
	j, caller, err := a.find(r, access.Analyst)
	if err == nil {
		_, err = a.Runner.Documents.Cancel(r.Context(), j.ID, caller.Name, a.Runner.Clock.Now())
	}
	if err == nil {
		a.Log.InfoContext(r.Context(), "replay cancelled", "replay", j.ID, "by", caller.Name)
		err = a.accepted(w, r, j.ID)
	}
	if err != nil {
		refuse(w, r, a.Log, err)
	}
}

// Retry asks again for work on a slice that has failed.
func (a *Replays) Retry(w http.ResponseWriter, r *http.Request) {
	if err := a.retry(w, r); err != nil {
		refuse(w, r, a.Log, err)
	}
}

func (a *Replays) retry(w http.ResponseWriter, r *http.Request) error {
	j, caller, err := a.find(r, access.Analyst)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(r.PathValue("slice"))
	if err != nil || n < 0 {
		return &badRequest{"slice", "is no number of a slice"}
	}
	m, err := a.Runner.Retry(r.Context(), j.ID, n)
	if err != nil {
		return err
	}
	if err := a.Enqueue(r.Context(), m, 0); err != nil {
		return fmt.Errorf("%w: ask for work on replay %s: %w", store.ErrUnavailable, j.ID, err)
	}
	a.Log.InfoContext(r.Context(), "slice of a replay retried", "replay", j.ID, "slice", n, "by", caller.Name)
	return a.accepted(w, r, j.ID)
}

// readObject reads the one JSON object of a body, whose members are all known.
func readObject(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		field := "body"
		if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) && wrong.Field != "" {
			field = wrong.Field
		} else if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			field = strings.Trim(name, `"`)
		}
		return &badRequest{field, "cannot be read: " + err.Error()}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &badRequest{"body", "holds more than one JSON object"}
	}
	return nil
}

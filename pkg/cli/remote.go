package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/api"
	"github.com/assay-sec/assay/pkg/replay"
)

// The environment variables with what opens a function app. They are no flags, which others on the machine can read.
const (
	remoteTokenSetting = "ASSAY_TOKEN"
	remoteKeySetting   = "ASSAY_FUNCTION_KEY" // of the function app
)

// Bounds of talking to a function app.
const (
	remoteTimeout = 4 * time.Minute // its front end gives up after 230 s
	maxAnswer     = 64 << 20
	askEvery      = 2 * time.Second
	mostFailures  = 10 // in a row, of asking how a replay stands
)

// remoteApp is a function app.
type remoteApp struct {
	base       string
	token, key string
	client     *http.Client
}

func (r *replaying) connect() (*remoteApp, error) {
	u, err := url.Parse(r.remote)
	local := err == nil && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1")
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil, fmt.Errorf("--remote %q: must be the https address of a function app", r.remote)
	}
	return &remoteApp{
		base:  strings.TrimSuffix(strings.TrimSuffix(r.remote, "/"), "/api"),
		token: r.sys.Getenv(remoteTokenSetting), key: r.sys.Getenv(remoteKeySetting),
		client: &http.Client{Timeout: remoteTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a redirect would carry the token elsewhere
		}},
	}, nil
}

// refusal is an answer that is no success.
type refusal struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Field  string `json:"field"`
}

func (e *refusal) Error() string {
	text := fmt.Sprintf("the function app answers %d %s", e.Status, e.Title)
	if e.Field != "" {
		text += ": " + e.Field
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// call sends a request and decodes the answer.
func (a *remoteApp) call(ctx context.Context, method, path string, body, into any) error {
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("write a request: %w", err)
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, in)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	if a.key != "" {
		req.Header.Set("X-Functions-Key", a.key)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return fmt.Errorf("call the function app: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of the function app: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		e := &refusal{}
		if json.Unmarshal(answer, e) != nil || e.Title == "" {
			e.Title = http.StatusText(resp.StatusCode)
		}
		e.Status = resp.StatusCode
		return e
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("read the answer of the function app: %w", err)
	}
	return nil
}

// follow starts a replay in a function app, or finds the one to follow, and shows it until it is over. Ctrl-C ends the watching
// and not the replay.
func (r *replaying) follow(ctx context.Context, args []string) error {
	remote, err := r.connect()
	if err != nil {
		return err
	}
	if r.known, err = builtinNames(); err != nil {
		return err
	}
	status := &replay.Status{}
	if r.resume != "" {
		err = remote.call(ctx, http.MethodGet, "/api/replays/"+url.PathEscape(r.resume), nil, status)
	} else {
		req, rerr := r.request(args)
		if rerr != nil {
			return rerr
		}
		err = remote.call(ctx, http.MethodPost, "/api/replays", api.ReplayRequest{
			From: req.From, To: req.To, Sources: req.Sources, Rules: req.Rules, Tenants: req.Tenants, DryRun: req.DryRun, Notify: req.Notify, Reason: req.Reason,
		}, status)
	}
	if err != nil {
		return err
	}
	if status, err = r.awaitEnd(ctx, remote, status); err != nil {
		return err
	}
	var results api.ReplayResults
	if err := remote.call(ctx, http.MethodGet, "/api/replays/"+status.ID+"/alerts", nil, &results); err != nil {
		return err
	}
	doc := replayDocument{Replay: status, Alerts: []alertDocument{}}
	var found []foundAlert
	for i := range results.Alerts {
		x := &results.Alerts[i]
		doc.Alerts = append(doc.Alerts, newAlertDocument(&x.Alert, r.known).replayed(x.NewFindings, x.New))
		if r.export.path == "" {
			continue
		}
		var one api.One
		if err := remote.call(ctx, http.MethodGet, "/api/alerts/"+string(x.Alert.ID), nil, &one); err != nil {
			return fmt.Errorf("export alert %s: %w", x.Alert.ID, err)
		}
		found = append(found, foundAlert{x.Alert, one.Findings})
	}
	if results.More > 0 {
		r.sys.complain(fmt.Errorf("%d more alerts are not listed", results.More))
	}
	if err := r.write(&doc, found); err != nil {
		return err
	}
	if status.State == replay.StateFailed {
		return errors.New("some slices have failed: POST /api/replays/" + status.ID + "/slices/N runs one again")
	}
	return nil
}

// awaitEnd asks how the replay stands until it runs no more.
func (r *replaying) awaitEnd(ctx context.Context, remote *remoteApp, status *replay.Status) (*replay.Status, error) {
	bars := newBars(r.sys, status.Slices)
	stop := bars.watch()
	defer stop()
	failures := 0
	for status.State == replay.StateRunning {
		if err := (replay.WallClock{}).Sleep(ctx, askEvery); err != nil {
			return nil, fmt.Errorf("the replay goes on; to watch it again: %s", r.sys.command("replay", "--remote", r.remote, "--resume", status.ID))
		}
		next := &replay.Status{}
		err := remote.call(ctx, http.MethodGet, "/api/replays/"+status.ID, nil, next)
		if refused := (*refusal)(nil); err != nil && (errors.As(err, &refused) && refused.Status < 500 || failures == mostFailures) {
			return nil, err
		}
		if err != nil {
			failures++
			continue
		}
		failures, status = 0, next
		for i := range status.Slices {
			bars.set(status.Slices[i].Number, status.Slices[i].Counters.Units)
		}
	}
	return status, nil
}

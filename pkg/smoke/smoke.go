// Package smoke tells whether an Assay that was deployed works from end to end: its health, then an event with a forged token
// that is sent to a hub and has to come back as an alert over the API.
//
// The event is of alert.SmokeTenant, so it pages nobody but the subscription of smoke tests. The package knows the deployed
// app from outside only, as a sender of events and a reader of alerts do.
package smoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
)

// Rule is the rule that has to match: the event's token names the key that was stolen in 2023.
const Rule = "token-kid-known-bad"

const stolenKey = "1LTMzakihiRla_8z2BEJVXeWMqo"

// Times and bounds of a run.
const (
	between  = 5 * time.Second // two questions
	answer   = 30 * time.Second
	maxBytes = 4 << 20 // of an answer
)

// Step names a part of a run.
type Step string

// The steps, in their order.
const (
	Health Step = "health"
	Send   Step = "event sent"
	Alert  Step = "alert"
)

// Options say what is tested and how it is reached. All are needed but Authorize.
type Options struct {
	API       string // root of the address, without a path
	Authorize func(context.Context, *http.Request) error
	Send      func(context.Context, []byte) error // one event to a hub that the app reads
	Run       string                              // id of this run
	Patience  time.Duration                       // for each step

	Now  func() time.Time
	Wait func(context.Context, time.Duration) error
	Done func(step Step, took time.Duration, detail string) // a step has succeeded
}

// errFinal marks what no patience mends.
var errFinal = errors.New("this will not pass by itself")

// Run runs the test. Its error names the step that failed and what was seen last.
func Run(ctx context.Context, o Options) error {
	client := &http.Client{
		Timeout:       answer,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r := &run{Options: o, client: client}
	if err := r.step(ctx, Health, r.health); err != nil {
		return err
	}
	// What was sent is found again by its time: no other event of the tenant is as late.
	at := o.Now().UTC().Truncate(time.Millisecond)
	body, err := event(o.Run, at)
	if err != nil {
		return err
	}
	if err := r.step(ctx, Send, func(ctx context.Context) (string, error) { return "", o.Send(ctx, body) }); err != nil {
		return err
	}
	return r.step(ctx, Alert, func(ctx context.Context) (string, error) { return r.alert(ctx, at) })
}

type run struct {
	Options
	client *http.Client
}

// step repeats what may pass until it does or patience ends.
func (r *run) step(ctx context.Context, name Step, do func(context.Context) (string, error)) error {
	began := r.Now()
	for {
		detail, err := do(ctx)
		took := r.Now().Sub(began)
		switch {
		case err == nil:
			r.Done(name, took, detail)
			return nil
		case errors.Is(err, errFinal) || ctx.Err() != nil:
			return fmt.Errorf("%s: %w", name, err)
		case took >= r.Patience:
			return fmt.Errorf("%s: not within %s: %w", name, r.Patience, err)
		}
		if err := r.Wait(ctx, between); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

// health asks the health check, which writes to the store and reads it back.
func (r *run) health(ctx context.Context) (string, error) {
	var report struct {
		Status, Version string
		Degraded        []string
	}
	if err := r.get(ctx, "/api/health", &report); err != nil {
		return "", err
	}
	switch report.Status {
	case "ok":
		return report.Version, nil
	case "degraded": // alerts are found, and somebody has to look
		return report.Version + "; degraded: " + strings.Join(report.Degraded, "; "), nil
	}
	return "", fmt.Errorf("the status is %q", report.Status)
}

// alert looks for the alert whose last event is ours.
func (r *run) alert(ctx context.Context, at time.Time) (string, error) {
	q := url.Values{
		"tenant": {alert.SmokeTenant}, "rule": {Rule}, "stage": {"observe"},
		"from": {at.Add(-48 * time.Hour).Format(time.RFC3339)}, "to": {at.Add(48 * time.Hour).Format(time.RFC3339)},
	}
	var page struct{ Alerts []alert.Alert }
	if err := r.get(ctx, "/api/alerts?"+q.Encode(), &page); err != nil {
		return "", err
	}
	for _, a := range page.Alerts {
		if alert.IsSmoke(a.Tenant) && a.Rule.ID == Rule && !a.Last.Before(at) {
			return string(a.ID), nil
		}
	}
	return "", fmt.Errorf("the event of %s has not become an alert of %s: does a function read the hub, and does the configuration leave the rule on?",
		at.Format(time.RFC3339Nano), Rule)
}

func (r *run) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(r.API, "/")+path, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errFinal, err)
	}
	if r.Authorize != nil {
		if err := r.Authorize(ctx, req); err != nil {
			return fmt.Errorf("sign in: %w", err)
		}
	}
	res, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	switch {
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return fmt.Errorf("the API answers %s: a function key, a token, or a role is missing", res.Status)
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("the API answers %s", res.Status)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBytes)).Decode(into); err != nil {
		return fmt.Errorf("read the answer of the API: %w", err)
	}
	return nil
}

// event is a token observation: an application says that it accepted a token whose header names the stolen key.
func event(run string, at time.Time) ([]byte, error) {
	type object map[string]any
	seconds := at.Unix()
	body, err := json.Marshal(object{
		"kind": "token-observation", "schemaVersion": 1, "id": "smoke-" + run, "time": at.Format(time.RFC3339Nano),
		"tenantId": alert.SmokeTenant,
		"observer": object{"name": "assay-smoke", "type": "smoke test"},
		// RFC 5737: an address of nobody.
		"request":    object{"ip": "192.0.2.1", "userAgent": "assay-smoke", "host": "smoke.invalid", "path": "/"},
		"validation": object{"result": "accepted", "signaturePresent": true, "segments": 3},
		"header":     object{"alg": "RS256", "typ": "JWT", "kid": stolenKey},
		"claims": object{
			"iss": "https://login.microsoftonline.com/" + alert.SmokeTenant + "/v2.0", "aud": "api://smoke.invalid",
			"tid": alert.SmokeTenant, "oid": "5a0be7e5-0000-4000-8000-000000000001", "ver": "2.0",
			"iat": seconds, "nbf": seconds, "exp": seconds + 3600, "uti": "AAAAAAAAAAAAAAAAAAAAAA",
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make up an event: %w", err)
	}
	return body, nil
}

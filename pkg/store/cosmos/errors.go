package cosmos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/assay-sec/assay/pkg/store"
)

// Sub-statuses of the service ("HTTP status codes for Azure Cosmos DB", REST API documentation).
const (
	subPartitionKeyMismatch = 1001 // of 400: the container's key is another
	subOwnerNotFound        = 1003 // of 404: there is no such database or container
	subPartitionFull        = 1014 // of 403: the logical partition holds its 20 GB
)

// status449 means: a conflicting operation was under way, try again.
const status449 = 449

// refusal is an answer of the service that is no success. It keeps neither the body, which can quote documents, nor
// headers.
type refusal struct {
	status, sub int
	op          int           // of a batch, counted from one, that was refused; 0: the request
	wait        time.Duration // that the service asks for
	activity    string        // the service's name for the request, for its support
}

func (r *refusal) Error() string {
	text := "HTTP " + strconv.Itoa(r.status)
	if r.sub != 0 {
		text += "/" + strconv.Itoa(r.sub)
	}
	if name := http.StatusText(r.status); name != "" {
		text += " " + name
	}
	switch {
	case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden && r.sub != subPartitionFull:
		text += " (the account refuses the credential or the network that it comes from: check the role assignment of" +
			" the identity, and the account's firewall)"
	case r.status == http.StatusNotFound && r.sub == subOwnerNotFound:
		text += " (there is no such database or container)"
	case r.status == http.StatusBadRequest && r.sub == subPartitionKeyMismatch:
		text += " (the partition key of the container is not the one that the store needs)"
	}
	if r.activity != "" {
		text += ", activity " + r.activity
	}
	return text
}

// uncertain tells whether a write that got the answer may have taken effect.
func (r *refusal) uncertain() bool {
	switch r.status {
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout:
		return true
	}
	return false
}

// permanent tells whether the same document would be refused at every time.
func (r *refusal) permanent() bool {
	return r.status == http.StatusRequestEntityTooLarge ||
		r.status == http.StatusBadRequest && r.sub != subPartitionKeyMismatch ||
		r.status == http.StatusForbidden && r.sub == subPartitionFull
}

// conflicting tells whether somebody else was faster.
func (r *refusal) conflicting() bool {
	return r.status == http.StatusConflict || r.status == http.StatusPreconditionFailed || r.status == status449
}

// missing tells whether what was asked for is not there, though its container is.
func (r *refusal) missing() bool { return r.status == http.StatusNotFound && r.sub != subOwnerNotFound }

// asRefusal returns the service's answer that err is, or nil.
func asRefusal(err error) *refusal {
	var r *refusal
	var e *azcore.ResponseError
	switch {
	case errors.As(err, &r):
		return r
	case !errors.As(err, &e):
		return nil
	}
	r = &refusal{status: e.StatusCode}
	if e.RawResponse != nil {
		r.sub, _ = strconv.Atoi(e.RawResponse.Header.Get("x-ms-substatus"))
		r.wait = waitOf(e.RawResponse.Header)
		r.activity = activityOf(e.RawResponse.Header)
	}
	return r
}

// waitOf returns the delay that the service asks for.
func waitOf(h http.Header) time.Duration {
	if ms, err := strconv.ParseInt(h.Get("x-ms-retry-after-ms"), 10, 32); err == nil && ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return 0
}

// activityOf returns the service's name for the request: letters, digits and hyphens.
func activityOf(h http.Header) string {
	id := h.Get("x-ms-activity-id")
	for _, r := range id {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' {
			return ""
		}
	}
	return id[:min(len(id), 64)]
}

// errUncertain says of a write that it may have taken effect.
var errUncertain = errors.New("the outcome of the write is unknown")

// explain says of an error of the SDK what the contract says of it: the context's error if that is over, and ErrUnavailable
// if running it again later may help. Answers that a caller tells apart stay a *refusal.
func (s *Store) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if r := asRefusal(err); r != nil && ctx.Err() == nil {
		if r.permanent() || r.conflicting() || r.missing() {
			return r
		}
		return fmt.Errorf("%w: %w", store.ErrUnavailable, r)
	}
	switch {
	case ctx.Err() != nil:
		return ended(ctx)
	case s.closed.Load():
		return fmt.Errorf("%w: it is closed", store.ErrUnavailable)
	case errors.Is(err, store.ErrUnavailable):
		return err
	}
	var failed *azidentity.AuthenticationFailedError
	if errors.As(err, &failed) {
		// Its text is the whole answer of the token service.
		text := "the managed identity gives no token"
		if failed.RawResponse != nil {
			text += ": HTTP " + strconv.Itoa(failed.RawResponse.StatusCode)
		}
		return fmt.Errorf("%w: %s", store.ErrUnavailable, text)
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// ended returns the error of a context that is over, with its cause.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != ctx.Err() { //nolint:errorlint // whether there is another
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return ctx.Err()
}

// Bounds of the attempts of one operation.
const (
	maxThrottled = 9                // waits that the service asks for
	maxWait      = 30 * time.Second // their sum
	maxFaults    = 3                // attempts at what failed on the way
	maxConflicts = 5                // turns that others were faster in
)

// read runs what changes nothing, again where that can help.
func (s *Store) read(ctx context.Context, do func(context.Context, *connection) error) error {
	for fault := 1; ; fault++ {
		err := s.unthrottled(ctx, do)
		if fault == maxFaults || !faulty(err) {
			return s.explain(ctx, err)
		}
		if err := s.o.Sleep(ctx, backoff(fault)); err != nil {
			return err
		}
	}
}

// grace is how long an answer to a write is waited for after its context is over. Who breaks a write off does not know
// whether it happened.
const grace = 3 * time.Second

// write runs a write once. errUncertain, wrapped, says that it may have taken effect.
func (s *Store) write(ctx context.Context, do func(context.Context, *connection) error) error {
	err := s.unthrottled(ctx, func(ctx context.Context, c *connection) error {
		detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		stop := context.AfterFunc(ctx, func() {
			_ = sleep(detached, grace) // it ends early with the write
			cancel()
		})
		defer stop()
		return do(detached, c)
	})
	if faulty(err) {
		return fmt.Errorf("%w: %w", errUncertain, s.explain(ctx, err))
	}
	return s.explain(ctx, err)
}

// faulty tells whether an operation failed on the way, or in the service.
func faulty(err error) bool {
	if err == nil || errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.Canceled) {
		return false
	}
	if r := asRefusal(err); r != nil {
		return r.uncertain()
	}
	var failed *azidentity.AuthenticationFailedError
	return !errors.As(err, &failed)
}

// unthrottled runs an operation, and again after each delay that the service asks for, as long as the context and the
// bounds allow.
func (s *Store) unthrottled(ctx context.Context, do func(context.Context, *connection) error) error {
	waited := time.Duration(0)
	for try := 1; ; try++ {
		if ctx.Err() != nil {
			return ended(ctx)
		}
		c, err := s.connect()
		if err != nil {
			return err
		}
		err = do(ctx, c)
		r := asRefusal(err)
		if err == nil || r != nil && (r.permanent() || r.conflicting() || r.missing()) {
			c.proven.Store(true)
			return err
		}
		s.forget(c)
		if r == nil || r.status != http.StatusTooManyRequests {
			return err
		}
		wait := r.wait
		if wait == 0 {
			wait = backoff(try)
		}
		waited += wait
		deadline, bounded := ctx.Deadline()
		if try > maxThrottled || waited > maxWait || bounded && s.o.Now().Add(wait).After(deadline) {
			return err
		}
		if err := s.o.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// recheck waits before what somebody else changed is looked at again.
func (s *Store) recheck(ctx context.Context, try int) error { return s.o.Sleep(ctx, backoff(try)) }

package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/event"
)

// Authority is where the public cloud publishes its keys.
const Authority = "https://login.microsoftonline.com"

// Common are the documents that every installation reads.
func Common() []string { return []string{"common", "organizations", "consumers"} }

// timeout bounds one reading.
const timeout = 15 * time.Second

// Reader reads keys documents. It follows no redirect, sends nothing about us, and takes plain HTTP from this machine alone.
type Reader struct {
	client http.Client
	now    func() time.Time
}

// NewReader returns a reader; now stamps readings. insecure allows plain HTTP to any host.
func NewReader(now func() time.Time, insecure bool) *Reader {
	return &Reader{now: now, client: http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     guard{http.DefaultTransport, insecure},
	}}
}

// ErrPlain says that an address is not read, since anybody on the way could change what it says.
var ErrPlain = errors.New("is read over https alone, but on this machine")

// guard refuses plain HTTP to other machines.
type guard struct {
	next     http.RoundTripper
	insecure bool
}

func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && (r.URL.Scheme != "http" || !g.insecure && !loopback(r.URL.Hostname())) {
		return nil, ErrPlain
	}
	return g.next.RoundTrip(r)
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Address returns the address of a document: common, organizations, consumers or a tenant id.
func Address(authority, document string) (string, error) {
	u, err := url.Parse(authority)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("%q is no address such as %s", authority, Authority)
	}
	if _, err := event.ParseGUID(document); err != nil && document != "common" && document != "organizations" && document != "consumers" {
		return "", fmt.Errorf("%q is no keys document: common, organizations, consumers or a tenant id", document)
	}
	return u.JoinPath(strings.ToLower(document), "discovery", "v2.0", "keys").String(), nil
}

// Read reads the document at the address.
func (r *Reader) Read(ctx context.Context, address, document string) (*Document, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", address, err)
	}
	req.Header.Set("Accept", "application/json")
	at := r.now() // before: what is published from now on is no part of the answer
	answer, err := r.client.Do(req)
	if err != nil {
		var network net.Error
		if errors.As(err, &network) && network.Timeout() {
			return nil, fmt.Errorf("read %s: no answer within %s", address, timeout)
		}
		return nil, fmt.Errorf("read %s: %w", address, bare(err))
	}
	defer answer.Body.Close() //nolint:errcheck // nothing was written
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read %s: the answer is %d %s", address, answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: the answer breaks off: %w", address, bare(err))
	}
	d, err := Parse(body, document, at)
	if err != nil {
		return nil, fmt.Errorf("read %s: it %w", address, err)
	}
	return d, nil
}

// bare leaves out the address, which the caller names.
func bare(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Refreshed says what a refresh of the documents did.
type Refreshed struct {
	Read   []string // documents
	Added  []string // kids that nobody knew
	Failed map[string]error
}

// Refresh reads the documents and records each that could be read. A document that could not be read keeps no other from being
// recorded, and takes nothing back. The error is of the store alone.
func Refresh(ctx context.Context, r *Reader, h *History, authority string, documents []string) (Refreshed, error) {
	out := Refreshed{Failed: map[string]error{}}
	for _, name := range documents {
		address, err := Address(authority, name)
		var d *Document
		if err == nil {
			d, err = r.Read(ctx, address, name)
		}
		if err != nil {
			out.Failed[name] = err
			continue
		}
		added, err := h.Record(ctx, d)
		out.Added = append(out.Added, added...)
		switch {
		case errors.Is(err, errCertificate):
			out.Failed[name] = err // the rest of the document was kept
		case err != nil:
			return out, err
		}
		out.Read = append(out.Read, name)
	}
	return out, nil
}

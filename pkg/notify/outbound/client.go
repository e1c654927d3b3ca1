// Package outbound posts messages to addresses that users configured: with TLS, without redirects or proxies, to public
// addresses alone, within bounds of time and size. It knows nothing of what it posts.
package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/assay-sec/assay/pkg/notify"
)

// Bounds of an exchange.
const (
	timeout     = 15 * time.Second // of the whole exchange
	dialTimeout = 5 * time.Second
	maxAnswer   = 4 << 10 // bytes of an answer that are read
	maxHeader   = 16 << 10
)

// ErrAddress says that a webhook's host has an address that must not be called.
var ErrAddress = errors.New("the address is private or local")

// Options change how messages are posted. The zero value is right for the internet.
type Options struct {
	Local   bool          // plain HTTP and private addresses are allowed
	Timeout time.Duration // 0: fifteen seconds
	TLS     *tls.Config   // nil: the system's roots
	Now     func() time.Time
}

// Client posts messages to one URL: without redirects, without proxies, with bounds, and to public addresses alone. Its errors
// hold neither the URL nor what was sent or received.
type Client struct {
	url    notify.Secret
	client http.Client
	limit  time.Duration
	now    func() time.Time
}

// New returns a client for the URL.
func New(address notify.Secret, o Options) (*Client, error) {
	u, err := url.Parse(address.Reveal())
	switch {
	case err != nil || u.Host == "": // the error of Parse holds the URL
		return nil, errors.New("the URL of the webhook cannot be read")
	case u.Scheme != "https" && (!o.Local || u.Scheme != "http"):
		return nil, errors.New("the URL of the webhook is to begin with https://")
	case u.User != nil:
		return nil, errors.New("the URL of the webhook holds a password: receivers know us by the signature")
	case o.Now == nil:
		return nil, errors.New("a client needs a clock")
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	if !o.Local {
		dialer.Control = public
	}
	limit := o.Timeout
	if limit == 0 {
		limit = timeout
	}
	return &Client{url: address, limit: limit, now: o.Now, client: http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: o.TLS, TLSHandshakeTimeout: limit, ForceAttemptHTTP2: true,
			MaxResponseHeaderBytes: maxHeader, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, DisableCompression: true,
		},
	}}, nil
}

// reserved are ranges that net/netip has no word for and that lead to nobody on the internet, or to somewhere else.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("fec0::/10"),
}

// azureVirtual is the address at which Azure answers machines about themselves; it is in no private range.
var azureVirtual = netip.MustParseAddr("168.63.129.16")

// public refuses to connect to what is not on the internet. It runs after the name was resolved, so that a name cannot
// change its meaning in between.
func public(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !Public(at.Addr()) {
		return ErrAddress
	}
	return nil
}

// Public tells whether the address is on the internet.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a == azureVirtual {
		return false
	}
	for _, r := range reserved {
		if r.Contains(a) {
			return false
		}
	}
	return true
}

// Post sends the body. Its error is a *notify.Failure.
func (c *Client) Post(ctx context.Context, header http.Header, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url.Reveal(), newBody(body))
	if err != nil {
		return &notify.Failure{Remedy: notify.Park, Reason: "the request cannot be made"}
	}
	r.ContentLength = int64(len(body))
	r.Header = header.Clone()
	r.Header.Set("User-Agent", "Assay")
	resp, err := c.client.Do(r)
	if err != nil {
		return unanswered(ctx, err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing is wanted of it any more
	// So that the connection can be used again. The status is the receiver's word, be its body cut off.
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	return Judge(resp.StatusCode, resp.Header.Get("Retry-After"), c.now())
}

// unanswered says why there was no answer, in words of our own: those of the libraries hold the URL.
func unanswered(ctx context.Context, err error) error {
	f := &notify.Failure{Reason: "the connection failed"}
	var (
		name   *net.DNSError
		verify *tls.CertificateVerificationError
		record tls.RecordHeaderError
		alert  tls.AlertError
		op     *net.OpError
	)
	switch {
	case errors.Is(err, ErrAddress):
		f.Remedy, f.Reason = notify.Park, "the host of the webhook has a private or local address"
	case ctx.Err() != nil:
		f.Reason = "there was no answer in time"
	case errors.As(err, &name):
		f.Reason = "the name of the host cannot be resolved"
	case errors.As(err, &verify):
		f.Reason = "the host's certificate is not trusted"
	case errors.As(err, &record), errors.As(err, &alert):
		f.Reason = "the host does not speak TLS as it should"
	case errors.As(err, &op) && op.Op == "dial":
		f.Reason = "the host does not take connections"
	}
	return f
}

// Judge says what an answer means: nil, or a *notify.Failure. retryAfter is the header of that name.
func Judge(status int, retryAfter string, now time.Time) error {
	f := &notify.Failure{Status: status, Remedy: notify.Park, Reason: "the receiver refuses the message"}
	switch {
	case status/100 == 2:
		return nil
	case status/100 == 3:
		f.Reason = "the receiver answers with a redirect, which is not followed"
	case status == http.StatusGone:
		f.Remedy, f.Reason = notify.Disable, "the receiver says that it is gone for good"
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status/100 == 5:
		f.Remedy, f.Reason, f.After = notify.Retry, "the receiver asks to try again later", parseRetryAfter(retryAfter, now)
	}
	return f
}

// longest bounds what a receiver may ask for, so that no sum of times overflows.
const longest = 365 * 24 * time.Hour

// parseRetryAfter reads seconds or an HTTP date (RFC 9110, 10.2.3); anything else asks for nothing.
func parseRetryAfter(header string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(header, 10, 63); err == nil {
		return time.Duration(min(n, uint64(longest/time.Second))) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longest)
}

// newBody returns a reader of the body that the transport cannot read again behind our back: a POST is repeated by the
// dispatcher alone, which counts it.
func newBody(body []byte) io.Reader { return &once{body} }

type once struct{ rest []byte }

func (o *once) Read(p []byte) (int, error) {
	if len(o.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, o.rest)
	o.rest = o.rest[n:]
	return n, nil
}

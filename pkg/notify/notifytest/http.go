package notifytest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/rule"
)

// Setup is what a notifier under test is made with.
type Setup struct {
	URL     notify.Secret
	Local   bool // plain HTTP and private addresses are allowed
	Timeout time.Duration
	TLS     *tls.Config
	Now     func() time.Time
}

// hidden is in the URL, and hostile in what the receiver writes: neither may come out again.
const (
	hidden  = "s1gn4ture-0f-the-url"
	hostile = "what-the-receiver-wrote"
)

var now = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// Message returns a message with one alert, or more, whose texts are an attacker's.
func Message(alerts int) *notify.Message {
	m := &notify.Message{Key: "k3y", Form: notify.Bundle}
	if alerts == 1 {
		m.Form = notify.Single
	}
	for i := range alerts {
		m.Items = append(m.Items, notify.Item{Change: notify.New, Alert: alert.Alert{
			ID: alert.NewID("2026-03-01", "t", "r", fmt.Sprint(i)), Tenant: "3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11", Day: "2026-03-01",
			Rule:     alert.RuleRef{ID: "token-key-known-bad", Title: "A key that was stolen", Version: 1, Leg: "kid", Why: "the key was stolen"},
			Severity: rule.Critical, Strength: rule.Strong, Stage: rule.Enabled, Status: alert.Open, Count: 3, Revision: 24,
			First: now.Add(-time.Hour), Last: now.Add(-time.Minute), KeyName: "key", Key: secretOfTheEvent,
			Subject: alert.Subject{User: secretOfTheEvent}, Facts: []rule.Fact{},
		}})
	}
	return m
}

const secretOfTheEvent = "ambassador@contoso.example"

// RunHTTP tests a notifier that posts to a URL. open returns one.
func RunHTTP(t *testing.T, open func(s Setup) (notify.Notifier, error)) {
	t.Helper()
	at := func(t *testing.T, url string, edit func(*Setup)) notify.Notifier {
		t.Helper()
		s := Setup{URL: notify.NewSecret(url + "/hook?sig=" + hidden), Local: true, Now: func() time.Time { return now }}
		if edit != nil {
			edit(&s)
		}
		n, err := open(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	answer := func(status int, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			if status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified {
				_, _ = io.WriteString(w, hostile)
			}
		}
	}
	t.Run("every status", func(t *testing.T) {
		for status := 200; status < 600; status++ {
			server := httptest.NewServer(answer(status, "Retry-After", "120"))
			err := at(t, server.URL, nil).Notify(t.Context(), Message(1))
			server.Close()
			want := remedy(status)
			if want == nil {
				if err != nil {
					t.Errorf("%d: %v", status, err)
				}
				continue
			}
			f := failure(t, err)
			if f.Status != status || f.Remedy != want.Remedy || f.After != want.After {
				t.Errorf("%d: %+v, want %+v", status, f, want)
			}
		}
	})
	t.Run("Retry-After", func(t *testing.T) {
		for header, want := range map[string]time.Duration{
			"7": 7 * time.Second, "0": 0, "-7": 0, "soon": 0, "": 0, "1.5": 0,
			"99999999999999999999": 0,
			"9999999999":           365 * 24 * time.Hour,
			now.Add(90 * time.Second).Format(http.TimeFormat):  90 * time.Second,
			now.Add(-90 * time.Second).Format(http.TimeFormat): 0,
			"Sunday, 01-Mar-26 10:00:30 GMT":                   30 * time.Second,
			now.AddDate(5000, 0, 0).Format(http.TimeFormat):    365 * 24 * time.Hour,
		} {
			server := httptest.NewServer(answer(http.StatusTooManyRequests, "Retry-After", header))
			f := failure(t, at(t, server.URL, nil).Notify(t.Context(), Message(1)))
			server.Close()
			if f.After != want {
				t.Errorf("%q: %s, want %s", header, f.After, want)
			}
		}
	})
	t.Run("redirects are not followed", func(t *testing.T) {
		var followed bool
		other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
		defer other.Close()
		for _, status := range []int{
			http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
		} {
			server := httptest.NewServer(answer(status, "Location", other.URL))
			f := failure(t, at(t, server.URL, nil).Notify(t.Context(), Message(1)))
			server.Close()
			if followed || f.Remedy != notify.Park || f.Status != status {
				t.Errorf("%d: followed: %v, %+v", status, followed, f)
			}
		}
	})
	t.Run("a receiver that hangs", func(t *testing.T) {
		release := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		defer server.Close()
		defer close(release)
		f := failure(t, at(t, server.URL, func(s *Setup) { s.Timeout = 20 * time.Millisecond }).Notify(t.Context(), Message(1)))
		if f.Remedy != notify.Retry || f.Status != 0 {
			t.Errorf("%+v", f)
		}
	})
	t.Run("a receiver that hangs in its answer", func(t *testing.T) {
		for status, want := range map[int]bool{http.StatusAccepted: true, http.StatusServiceUnavailable: false} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, hostile)
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}))
			err := at(t, server.URL, func(s *Setup) { s.Timeout = 200 * time.Millisecond }).Notify(t.Context(), Message(1))
			server.CloseClientConnections()
			server.Close()
			if want && err != nil {
				t.Errorf("%d: %v", status, err)
			} else if !want && failure(t, err).Status != status {
				t.Errorf("%d: %v", status, err)
			}
		}
	})
	t.Run("a context that ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if f := failure(t, at(t, "http://127.0.0.1:9", nil).Notify(ctx, Message(1))); f.Remedy != notify.Retry {
			t.Errorf("%+v", f)
		}
	})
	t.Run("a connection that is cut", func(t *testing.T) {
		for name, text := range map[string]string{
			"before the answer": "", "in the headers": "HTTP/1.1 200 OK\r\nContent-Le", "no HTTP": hostile + "\r\n\r\n",
		} {
			for _, reset := range []bool{false, true} {
				f := failure(t, at(t, raw(t, text, reset), nil).Notify(t.Context(), Message(1)))
				if f.Remedy != notify.Retry || f.Status != 0 {
					t.Errorf("%s, reset: %v: %+v", name, reset, f)
				}
			}
		}
		// The status has come: repeating the message would double it.
		if err := at(t, raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", false), nil).Notify(t.Context(), Message(1)); err != nil {
			t.Errorf("in the body of a success: %v", err)
		}
		f := failure(t, at(t, raw(t, "HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\nhalf", false), nil).Notify(t.Context(), Message(1)))
		if f.Status != 500 {
			t.Errorf("in the body of a failure: %+v", f)
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		server := httptest.NewServer(nil)
		url := server.URL
		server.Close()
		if f := failure(t, at(t, url, nil).Notify(t.Context(), Message(1))); f.Remedy != notify.Retry || f.Status != 0 {
			t.Errorf("%+v", f)
		}
	})
	t.Run("a body without end", func(t *testing.T) {
		var wrote int
		done := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			chunk := []byte(strings.Repeat("x", 64<<10))
			for wrote < 1<<30 && r.Context().Err() == nil {
				n, err := w.Write(chunk)
				wrote += n
				if err != nil {
					return
				}
			}
		}))
		defer server.Close()
		if err := at(t, server.URL, nil).Notify(t.Context(), Message(1)); err != nil {
			t.Error(err)
		}
		<-done
		if wrote > 256<<20 {
			t.Errorf("%d bytes were taken", wrote)
		}
	})
	t.Run("headers without end", func(t *testing.T) {
		f := failure(t, at(t, raw(t, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n", false), nil).Notify(t.Context(), Message(1)))
		if f.Remedy != notify.Retry {
			t.Errorf("%+v", f)
		}
	})
	t.Run("TLS", func(t *testing.T) {
		server := httptest.NewUnstartedServer(answer(http.StatusAccepted))
		server.Config.ErrorLog = nil
		server.StartTLS()
		defer server.Close()
		pool := x509.NewCertPool()
		pool.AddCert(server.Certificate())
		if err := at(t, server.URL, func(s *Setup) { s.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12} }).Notify(t.Context(), Message(1)); err != nil {
			t.Errorf("with a certificate that is trusted: %v", err)
		}
		if f := failure(t, at(t, server.URL, nil).Notify(t.Context(), Message(1))); f.Remedy != notify.Retry {
			t.Errorf("with one that is not: %+v", f)
		}
		trusted := func(s *Setup) { s.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12} }
		if f := failure(t, at(t, strings.Replace(server.URL, "127.0.0.1", "localhost", 1), trusted).Notify(t.Context(), Message(1))); f.Remedy != notify.Retry {
			t.Errorf("with one of another host: %+v", f)
		}
		old := httptest.NewUnstartedServer(answer(http.StatusAccepted))
		old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11} //nolint:gosec // what is to be refused
		old.StartTLS()
		defer old.Close()
		if f := failure(t, at(t, old.URL, trusted).Notify(t.Context(), Message(1))); f.Remedy != notify.Retry {
			t.Errorf("by an old version: %+v", f)
		}
		plain := httptest.NewServer(answer(200))
		defer plain.Close()
		url := "https" + strings.TrimPrefix(plain.URL, "http")
		if f := failure(t, at(t, url, nil).Notify(t.Context(), Message(1))); f.Remedy != notify.Retry {
			t.Errorf("without TLS: %+v", f)
		}
	})
	t.Run("private addresses", func(t *testing.T) {
		var called bool
		server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
		defer server.Close()
		_, port, err := net.SplitHostPort(server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		// The name is looked up when it is called, and what it stands for then is judged: a name that changes its meaning between
		// two calls (DNS rebinding) gains nothing.
		for _, host := range []string{
			"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "169.254.169.254", "168.63.129.16", "10.0.0.1",
			"100.64.0.1", "0.0.0.0", "[::1]", "[fd00::1]", "[fe80::1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::1]",
		} {
			n := at(t, "https://"+host+":"+port, func(s *Setup) { s.Local = false })
			if f := failure(t, n.Notify(t.Context(), Message(1))); f.Remedy != notify.Park {
				t.Errorf("%s: %+v", host, f)
			}
		}
		if called {
			t.Error("the receiver was called")
		}
	})
	t.Run("URLs that are refused", func(t *testing.T) {
		for _, url := range []string{
			"http://hook.example/" + hidden, "ftp://hook.example/" + hidden, "https:///" + hidden, "https://" + hidden + "\x7f.example/",
			"https://ada:" + hidden + "@hook.example/", hidden, "",
		} {
			_, err := open(Setup{URL: notify.NewSecret(url), Now: func() time.Time { return now }})
			if err == nil {
				t.Errorf("%q was taken", url)
			} else if strings.Contains(err.Error(), hidden) {
				t.Errorf("the error holds the URL: %v", err)
			}
		}
	})
	t.Run("it prints no secret", func(t *testing.T) {
		n := at(t, "http://127.0.0.1:9", nil)
		if text := fmt.Sprintf("%v %+v", n, n); strings.Contains(text, hidden) {
			t.Error("the notifier prints its URL")
		}
	})
}

// remedy returns what the status means by the table of the house, nil for success.
func remedy(status int) *notify.Failure {
	switch {
	case status < 300:
		return nil
	case status == 410:
		return &notify.Failure{Remedy: notify.Disable}
	case status == 408, status == 425, status == 429, status >= 500:
		return &notify.Failure{Remedy: notify.Retry, After: 2 * time.Minute}
	}
	return &notify.Failure{Remedy: notify.Park}
}

// failure returns the failure, which must hold nothing of the URL, of the message and of the answer.
func failure(t *testing.T, err error) notify.Failure {
	t.Helper()
	var f *notify.Failure
	if !errors.As(err, &f) {
		t.Fatalf("the error is %v, want a Failure", err)
	}
	for _, secret := range []string{hidden, hostile, secretOfTheEvent, "127.0.0.1", "/hook"} {
		if text := fmt.Sprintf("%v %+v %#v", err, *f, f); strings.Contains(text, secret) {
			t.Errorf("the error holds %q: %v", secret, err)
		}
	}
	if f.Reason == "" {
		t.Error("the failure has no reason")
	}
	return *f
}

// raw serves the text to whoever asks, and closes or resets the connection.
func raw(t *testing.T, text string, reset bool) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 64<<10)
			_, _ = c.Read(buf)
			_, _ = io.WriteString(c, text)
			if tcp, ok := c.(*net.TCPConn); ok && reset {
				_ = tcp.SetLinger(0)
			}
			_ = c.Close()
		}
	}()
	return "http://" + ln.Addr().String()
}

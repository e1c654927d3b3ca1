package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/config/reload"
)

const emulator = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=c2VjcmV0LWtleQ==;"

// container speaks as much of the REST API of blobs as the document needs: GET, HEAD and PUT with ETags.
type container struct {
	mu     sync.Mutex
	blobs  map[string]*kept
	writes int
	status int // to answer instead
	race   func(c *container)
}

type kept struct {
	text     []byte
	tag      string
	modified time.Time
	meta     http.Header
}

func (c *container) put(name, text string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store(name, []byte(text), at, http.Header{})
}

func (c *container) store(name string, text []byte, at time.Time, meta http.Header) {
	c.writes++
	c.blobs[name] = &kept{text: text, tag: fmt.Sprintf(`"0x%d"`, c.writes), modified: at, meta: meta}
}

func (c *container) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fail := func(status int, code string) {
		w.Header().Set("x-ms-error-code", code)
		w.WriteHeader(status)
	}
	b := c.blobs[r.URL.Path]
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	switch {
	case c.status != 0:
		fail(c.status, "AuthorizationPermissionMismatch")
	case r.Method == http.MethodPut:
		if c.race != nil {
			race := c.race
			c.race = nil
			race(c)
			b = c.blobs[r.URL.Path]
		}
		if none == "*" && b != nil {
			fail(http.StatusConflict, "BlobAlreadyExists")
			return
		}
		if match != "" && (b == nil || b.tag != match) {
			fail(http.StatusPreconditionFailed, "ConditionNotMet")
			return
		}
		text, err := io.ReadAll(r.Body)
		if err != nil {
			fail(http.StatusBadRequest, "InvalidInput")
			return
		}
		meta := http.Header{}
		for k, v := range r.Header {
			if strings.HasPrefix(strings.ToLower(k), "x-ms-meta-") {
				meta[k] = v
			}
		}
		c.store(r.URL.Path, text, time.Now(), meta)
		w.WriteHeader(http.StatusCreated)
	case b == nil:
		fail(http.StatusNotFound, "BlobNotFound")
	case none != "" && none == b.tag:
		fail(http.StatusNotModified, "ConditionNotMet")
	default:
		for k, v := range b.meta {
			w.Header()[k] = v
		}
		w.Header().Set("ETag", b.tag)
		w.Header().Set("Last-Modified", b.modified.UTC().Format(http.TimeFormat))
		_, _ = w.Write(b.text)
	}
}

const path = "/devstoreaccount1/config/assay.yaml"

func serve(t *testing.T) (*container, *Document) {
	t.Helper()
	c := &container{blobs: map[string]*kept{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	d, err := New(Options{URL: server.URL + path, Emulator: emulator})
	if err != nil {
		t.Fatal(err)
	}
	return c, d
}

func TestRead(t *testing.T) {
	t.Parallel()
	c, d := serve(t)
	if _, _, err := d.Read(t.Context(), reload.Revision{}); err == nil || err.Error() != "the storage account answers 404 BlobNotFound" {
		t.Errorf("without the blob: %v", err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c.put(path, "tenants: []\n", at)
	text, r, err := d.Read(t.Context(), reload.Revision{})
	if err != nil || string(text) != "tenants: []\n" || r.Tag == "" || !r.Modified.Equal(at) {
		t.Fatalf("%q, %+v, %v", text, r, err)
	}
	if _, _, err := d.Read(t.Context(), r); !errors.Is(err, reload.ErrUnchanged) {
		t.Errorf("unchanged: %v", err)
	}
	c.put(path, "tenants: [] # 2\n", at)
	if text, again, err := d.Read(t.Context(), r); err != nil || string(text) != "tenants: [] # 2\n" || again.Tag == r.Tag {
		t.Errorf("changed: %q, %+v, %v", text, again, err)
	}
	c.status = http.StatusForbidden
	_, _, err = d.Read(t.Context(), r)
	if err == nil || strings.Contains(err.Error(), "c2VjcmV0") || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "403 AuthorizationPermissionMismatch") {
		t.Errorf("refused: %v", err)
	}
}

func TestKeepGood(t *testing.T) {
	t.Parallel()
	c, d := serve(t)
	if _, err := d.Good(t.Context()); !errors.Is(err, reload.ErrNoGood) {
		t.Errorf("none is kept: %v", err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	keep := func(text string, written time.Time) {
		t.Helper()
		if err := d.KeepGood(t.Context(), []byte(text), reload.Revision{Modified: written}); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(want string) {
		t.Helper()
		if got, err := d.Good(t.Context()); err != nil || string(got) != want {
			t.Errorf("%q is kept, want %q, %v", got, want, err)
		}
	}
	keep("one", at)
	holds("one")
	keep("two", at.Add(time.Minute))
	holds("two")
	keep("one", at) // by an instance that was slow to prove it
	holds("two")
	// Others are faster, once with an older text and once with a newer one.
	c.race = func(c *container) {
		c.store(path+suffix, []byte("older"), at, http.Header{"X-Ms-Meta-Assaymodified": {at.Format(time.RFC3339)}})
	}
	keep("three", at.Add(2*time.Minute))
	holds("three")
	newer := at.Add(time.Hour)
	c.race = func(c *container) {
		c.store(path+suffix, []byte("newer"), at, http.Header{"X-Ms-Meta-Assaymodified": {newer.Format(time.RFC3339)}})
	}
	keep("four", at.Add(3*time.Minute))
	holds("newer")
	if _, ok := c.blobs[path]; ok {
		t.Error("the document itself was written")
	}
	c.status = http.StatusForbidden
	if err := d.KeepGood(t.Context(), []byte("five"), reload.Revision{}); err == nil {
		t.Error("what may not be written was kept")
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	const account = "https://account.blob.core.windows.net/config/assay.yaml"
	for name, c := range map[string]struct {
		o     Options
		fails string // what the error mentions; "": none
	}{
		"an identity":                {Options{URL: account}, ""},
		"a user-assigned identity":   {Options{URL: account, ClientID: "11111111-2222-4333-8444-555555555555"}, ""},
		"a signature":                {Options{URL: account + "?sv=2024&sig=c2VjcmV0"}, "identity"},
		"plain HTTP":                 {Options{URL: "http://account.blob.core.windows.net/config/assay.yaml"}, "https"},
		"no blob":                    {Options{URL: "https://account.blob.core.windows.net/"}, "blob"},
		"no URL":                     {Options{URL: "https://%"}, "blob"},
		"a key in the cloud":         {Options{URL: account, Emulator: emulator}, "emulator"},
		"an emulator":                {Options{URL: "http://127.0.0.1:10000" + path, Emulator: emulator}, ""},
		"an emulator without a key":  {Options{URL: "http://127.0.0.1:10000" + path, Emulator: "AccountName=x"}, "AccountKey"},
		"an emulator with a bad key": {Options{URL: "http://localhost:10000" + path, Emulator: "AccountName=x;AccountKey=!c2VjcmV0"}, "base64"},
	} {
		d, err := New(c.o)
		switch {
		case c.fails == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
			t.Errorf("%s: the error is %v, want one about %s", name, err, c.fails)
		case err != nil && strings.Contains(err.Error(), "c2VjcmV0"):
			t.Errorf("%s: the error holds a secret: %v", name, err)
		}
		if err == nil && d.Name() != c.o.URL {
			t.Errorf("%s: its name is %s", name, d.Name())
		}
	}
}

func TestAContextThatEnds(t *testing.T) {
	t.Parallel()
	_, d := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := d.Read(ctx, reload.Revision{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

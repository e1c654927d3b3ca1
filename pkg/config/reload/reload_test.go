package reload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/config"
)

// made is what the tests make of a configuration.
type made struct{ hash string }

// paper is a document in memory.
type paper struct {
	mu         sync.Mutex
	text, good string
	version    int
	down       error
	reads      int
}

func (p *paper) write(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = text
	p.version++
}

func (p *paper) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = err
}

func (*paper) Name() string { return "assay.yaml" }

func (p *paper) Read(_ context.Context, known Revision) ([]byte, Revision, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads++
	r := Revision{Tag: fmt.Sprint(p.version)}
	switch {
	case p.down != nil:
		return nil, Revision{}, p.down
	case r == known:
		return nil, r, ErrUnchanged
	}
	return []byte(p.text), r, nil
}

func (p *paper) Good(context.Context) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.good == "" {
		return nil, ErrNoGood
	}
	return []byte(p.good), nil
}

func (p *paper) KeepGood(_ context.Context, text []byte, _ Revision) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.good = string(text)
	return nil
}

// world is a clock and a log.
type world struct {
	mu  sync.Mutex
	at  time.Time
	log bytes.Buffer
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func follow(t *testing.T, w *world, d Document) *Follower[made] {
	t.Helper()
	if w.at.IsZero() {
		w.at = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	}
	f, err := Follow(t.Context(), d, func(c *config.Config) (*made, error) { return &made{c.Hash}, nil }, w.now, slog.New(slog.NewTextHandler(&w.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func hash(t *testing.T, text string) string {
	t.Helper()
	c, err := config.Parse("x", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c.Hash
}

const (
	one    = "tenants: []\n"
	two    = "tenants: [] # changed\n"
	broken = "subscriptions:\n  - url: https://hooks.example/secret-of-ours\n    kind: pigeon\n"
)

// after lets a minute pass and returns what is in use when the document has been looked at.
func after(w *world, f *Follower[made]) string {
	w.pass(time.Minute)
	f.Current()
	f.Wait()
	return f.Current().hash
}

func TestADocumentThatChanges(t *testing.T) {
	t.Parallel()
	w, p := &world{}, &paper{text: one}
	f := follow(t, w, p)
	if got := f.Current().hash; got != hash(t, one) || p.good != one {
		t.Errorf("at first %s is in use, and %q kept", got, p.good)
	}
	p.write(two)
	w.pass(time.Minute - time.Second)
	f.Current()
	f.Wait()
	if got := f.Current().hash; got != hash(t, one) || p.reads != 1 {
		t.Errorf("before a minute is over, %s is in use after %d reads", got, p.reads)
	}
	if got := after(w, f); got != hash(t, two) || p.good != two {
		t.Errorf("after a minute %s is in use, and %q kept", got, p.good)
	}
	if s := f.State(); s.Source != FromDocument || s.Trouble != "" || s.Hash != hash(t, two) || !s.Loaded.Equal(w.now()) {
		t.Errorf("the state is %+v", s)
	}
	after(w, f)
	if s := f.State(); !s.Checked.Equal(w.now()) || s.Loaded.Equal(w.now()) {
		t.Errorf("a document that is unchanged is loaded again: %+v", s)
	}
}

func TestABrokenDocumentNeverReplacesAGoodOne(t *testing.T) {
	t.Parallel()
	w, p := &world{}, &paper{text: one}
	f := follow(t, w, p)
	p.write(broken)
	if got := after(w, f); got != hash(t, one) || p.good != one {
		t.Errorf("%s is in use, and %q kept", got, p.good)
	}
	since := w.now()
	wrong := func(when string) {
		t.Helper()
		s := f.State()
		if s.Source != FromDocument || s.Hash != hash(t, one) || s.Trouble != brokenText || !s.Since.Equal(since) || len(s.Places) != 2 || s.Places[1] != "3:11" {
			t.Errorf("%s the state is %+v", when, s)
		}
	}
	wrong("at once")
	after(w, f)
	wrong("a minute later")
	// Out of reach for a while, and back with what was wrong before.
	p.fail(errors.New("connection refused"))
	after(w, f)
	if s := f.State(); s.Trouble != "the document cannot be read: connection refused" || s.Places != nil {
		t.Errorf("out of reach the state is %+v", s)
	}
	p.fail(nil)
	after(w, f)
	wrong("within reach again")
	for _, secret := range []string{"secret-of-ours", "pigeon"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %q of the document: %s", secret, w.log.String())
		}
	}
	if !strings.Contains(w.log.String(), "places=\"[2:5 3:11]\"") {
		t.Errorf("the log does not say where: %s", w.log.String())
	}
	p.write(two)
	if got := after(w, f); got != hash(t, two) || f.State().Trouble != "" || f.State().Places != nil {
		t.Errorf("mended, %s is in use: %+v", got, f.State())
	}
}

func TestStartingWithoutAGoodDocument(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		doc    *paper
		source string
		hash   string
		tells  string
	}{
		{"broken, a good one is kept", &paper{text: broken, good: two}, FromGood, hash(t, two), brokenText},
		{"out of reach, a good one is kept", &paper{down: errors.New("403"), good: two}, FromGood, hash(t, two), "the document cannot be read: 403"},
		{"broken, none is kept", &paper{text: broken}, FromBuiltin, "", brokenText},
		{"both broken", &paper{text: broken, good: broken}, FromBuiltin, "", brokenText},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := &world{}
			f := follow(t, w, c.doc)
			good := c.doc.good
			if s := f.State(); s.Source != c.source || s.Hash != c.hash || s.Trouble != c.tells || s.Since.IsZero() || f.Current().hash != c.hash {
				t.Errorf("the state is %+v", s)
			}
			if c.doc.good != good {
				t.Errorf("%q is kept", c.doc.good)
			}
			c.doc.fail(nil)
			c.doc.write(one)
			if got := after(w, f); got != hash(t, one) || f.State().Source != FromDocument || f.State().Trouble != "" {
				t.Errorf("when the document is good, the state is %+v", f.State())
			}
		})
	}
}

func TestNoDocument(t *testing.T) {
	t.Parallel()
	f := follow(t, &world{}, nil)
	if s := f.State(); s.Source != FromBuiltin || s.Trouble != "" || f.Current().hash != "" {
		t.Errorf("the state is %+v", s)
	}
}

func TestExpiredSuppressionsAreNamed(t *testing.T) {
	t.Parallel()
	w := &world{}
	f := follow(t, w, &paper{text: `suppressions:
  - {name: over, rules: [ioc-ip], match: {users: [kim@contoso.example]}, reason: a test, owner: kim, expires: 2026-01-01}
  - {name: not-yet, rules: [ioc-ip], match: {users: [kim@contoso.example]}, reason: a test, owner: kim, expires: 2026-01-02}
`})
	if s := f.State(); len(s.Expired) != 1 || s.Expired[0] != "over" {
		t.Errorf("expired are %v", s.Expired)
	}
	if !strings.Contains(w.log.String(), "a suppression has expired") {
		t.Errorf("the log says %s", w.log.String())
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "assay.yaml")
	w := &world{}
	f := follow(t, w, File(name))
	if s := f.State(); s.Source != FromBuiltin || !strings.Contains(s.Trouble, "no such file") {
		t.Errorf("without the file the state is %+v", s)
	}
	for i, text := range []string{one, two} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, time.Time{}, time.Unix(int64(i), 0)); err != nil {
			t.Fatal(err)
		}
		if got := after(w, f); got != hash(t, text) {
			t.Errorf("%s is in use: %+v", got, f.State())
		}
	}
	loaded := f.State().Loaded
	after(w, f)
	if s := f.State(); !s.Loaded.Equal(loaded) {
		t.Errorf("a file that is unchanged is loaded again: %+v", s)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if got := after(w, f); got != hash(t, two) {
		t.Errorf("without the file %s is in use", got)
	}
}

// Package reload keeps what is made of the configuration up to date while events flow: it reads the document again when it has
// changed, and a document that is wrong never takes the place of one that was right.
//
// What was made is swapped in one step: whoever holds the one that was current goes on with it to the end of its work. The document
// is looked at in the background, at most once a minute, when somebody asks; no batch waits for it. What a document says is the
// business of package config; where it lies, of whoever implements Document.
package reload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assay-sec/assay/pkg/config"
)

// Errors of a Document.
var (
	ErrUnchanged = errors.New("the document is unchanged")
	ErrNoGood    = errors.New("no good document was kept")
)

// Revision tells one text of a document from another.
type Revision struct {
	Tag      string    // an ETag, or what stands for one; "" is of no text
	Modified time.Time // when the text was written, as its keeper has it
}

// Document is where the configuration lies.
type Document interface {
	// Name is what problems call it.
	Name() string
	// Read returns the text and its revision, or ErrUnchanged where it is still the known one.
	Read(ctx context.Context, known Revision) ([]byte, Revision, error)
	// Good returns the text that was kept as the last good one, or ErrNoGood.
	Good(ctx context.Context) ([]byte, error)
	// KeepGood keeps the text, which was proved good, for instances that will start, unless a later one is kept already.
	KeepGood(ctx context.Context, text []byte, r Revision) error
}

// The sources of a configuration in use.
const (
	FromDocument = "document"
	FromGood     = "last good document"
	FromBuiltin  = "built-in defaults" // without destinations
)

// State says which configuration is in use, and what is wrong with the document if it is another.
type State struct {
	Document string    `json:"document,omitempty"` // "" where none was named
	Source   string    `json:"source"`
	Hash     string    `json:"hash,omitempty"`   // SHA-256 of the document in use
	Loaded   time.Time `json:"loaded"`           // when it came into use, in this instance
	Checked  time.Time `json:"checked,omitzero"` // when the document was last looked at

	// Trouble says why the document is not in use, or could not be looked at; "" where all is well.
	Trouble string    `json:"trouble,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	// Places are where the first mistakes stand. What stands there is not told: it may be a secret in the wrong place.
	Places []string `json:"places,omitempty"`
	// Expired are the suppressions in use that hold no longer, by name.
	Expired []string `json:"expired,omitempty"`
}

// mistakes are what is wrong with a document, for State.
type mistakes struct {
	text   string
	places []string
}

// Times of a Follower.
const (
	every   = time.Minute      // between two looks at the document
	timeout = 10 * time.Second // of one
)

// maxPlaces bounds State.Places.
const maxPlaces = 20

// Follower makes a T of the configuration, and another when the document changes. It is safe for concurrent use.
type Follower[T any] struct {
	doc     Document // nil: the built-in defaults, for ever
	make    func(*config.Config) (*T, error)
	now     func() time.Time
	log     *slog.Logger
	current atomic.Pointer[T]
	looking atomic.Bool
	last    atomic.Int64 // when the document was last looked at, in nanoseconds since 1970

	mu    sync.Mutex
	state State
	known Revision
	wrong mistakes // of the document as it was last read
	kept  string   // hash of the document that is kept as the last good one, as far as this instance knows

	ctx    context.Context //nolint:containedctx // ends what goes on in the background
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// Follow reads the document, which may be nil for none, and makes the first T: of the document; if that is wrong or out of reach, of
// the last good one; else of the built-in defaults. Its error is that of making the last.
func Follow[T any](ctx context.Context, doc Document, build func(*config.Config) (*T, error), now func() time.Time, log *slog.Logger) (*Follower[T], error) {
	f := &Follower[T]{doc: doc, make: build, now: now, log: log}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx)) //nolint:gosec // Close calls it
	if doc != nil {
		f.state.Document = doc.Name()
		f.last.Store(now().UnixNano())
		f.look(ctx)
		if f.current.Load() != nil {
			return f, nil
		}
		if f.fallBack(ctx) {
			return f, nil
		}
	}
	t, err := build(&config.Config{})
	if err != nil {
		f.Close()
		return nil, err
	}
	f.use(t, &config.Config{}, FromBuiltin)
	if doc != nil {
		log.ErrorContext(ctx, "no configuration can be used: the built-in defaults hold, and nobody is told of alerts", "document", doc.Name())
	}
	return f, nil
}

// Current returns what was made of the configuration in use, and looks at the document in the background if that was not done
// within a minute.
func (f *Follower[T]) Current() *T {
	f.wake()
	return f.current.Load()
}

// State tells which configuration is in use.
func (f *Follower[T]) State() State {
	f.wake()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

// Close ends what goes on in the background, and waits for it.
func (f *Follower[T]) Close() {
	f.cancel()
	f.work.Wait()
}

// Wait waits for what goes on in the background.
func (f *Follower[T]) Wait() { f.work.Wait() }

func (f *Follower[T]) wake() {
	now := f.now().UnixNano()
	if f.doc == nil || now-f.last.Load() < int64(every) || f.ctx.Err() != nil || !f.looking.CompareAndSwap(false, true) {
		return
	}
	f.last.Store(now)
	f.work.Go(func() {
		defer f.looking.Store(false)
		f.look(f.ctx)
	})
}

// look reads the document if it has changed, and uses it if it is good.
func (f *Follower[T]) look(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	text, revision, err := f.doc.Read(limited, f.known)
	if ctx.Err() != nil {
		return
	}
	f.mu.Lock()
	f.state.Checked = f.now().UTC()
	f.mu.Unlock()
	switch {
	case errors.Is(err, ErrUnchanged):
		f.reached()
		return
	case err != nil:
		f.trouble(ctx, mistakes{text: "the document cannot be read: " + outline(err)}, 0)
		return
	}
	f.known = revision
	c, err := config.Parse(f.doc.Name(), text)
	var t *T
	if err == nil {
		t, err = f.make(c)
	}
	if err != nil {
		var count int
		f.wrong, count = judge(err)
		f.trouble(ctx, f.wrong, count)
		return
	}
	f.wrong = mistakes{}
	f.use(t, c, FromDocument)
	for _, w := range c.Warnings(f.now(), 0) {
		f.log.WarnContext(ctx, "a suppression has expired", "field", w.Field, "line", w.Line)
	}
	f.keep(limited, text, c.Hash, revision)
}

// keep keeps the text as the last good one.
func (f *Follower[T]) keep(ctx context.Context, text []byte, hash string, r Revision) {
	if hash == f.kept {
		return
	}
	if err := f.doc.KeepGood(ctx, text, r); err != nil {
		f.log.WarnContext(ctx, "the last good configuration could not be kept", "document", f.doc.Name(), "error", err)
		return
	}
	f.kept = hash
}

// fallBack uses the last good document, if there is one and it is still good.
func (f *Follower[T]) fallBack(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	text, err := f.doc.Good(limited)
	if err == nil {
		var c *config.Config
		if c, err = config.Parse(f.doc.Name(), text); err == nil {
			var t *T
			if t, err = f.make(c); err == nil {
				f.use(t, c, FromGood)
				f.log.WarnContext(ctx, "the last good configuration is used", "document", f.doc.Name(), "hash", c.Hash)
				return true
			}
		}
	}
	if !errors.Is(err, ErrNoGood) {
		f.log.ErrorContext(ctx, "the last good configuration cannot be used", "document", f.doc.Name(), "problem", outline(err))
	}
	return false
}

// use puts what was made in the place of what was in use.
func (f *Follower[T]) use(t *T, c *config.Config, source string) {
	f.current.Store(t)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.Source, f.state.Hash, f.state.Loaded = source, c.Hash, f.now().UTC()
	f.state.Expired = nil
	for _, s := range c.Expired(f.now()) {
		f.state.Expired = append(f.state.Expired, s.Name)
	}
	if source == FromDocument {
		f.state.Trouble, f.state.Since, f.state.Places = "", time.Time{}, nil
	}
}

// reached forgets that the document was out of reach. What is wrong with it stays so until it changes.
func (f *Follower[T]) reached() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.Trouble, f.state.Places = f.wrong.text, f.wrong.places
	if f.wrong.text == "" {
		f.state.Since = time.Time{}
	}
}

// brokenText is the trouble with a document that could be read.
const brokenText = "the document is wrong: assay config check tells why"

// judge says what is wrong with a document that was read.
func judge(err error) (m mistakes, count int) {
	m.text = outline(err)
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems[:min(len(problems), maxPlaces)] {
			m.places = append(m.places, fmt.Sprintf("%d:%d", p.Line, p.Column))
		}
	}
	return m, len(problems)
}

// trouble notes why the document is not used. What was in use stays in use.
func (f *Follower[T]) trouble(ctx context.Context, m mistakes, count int) {
	f.mu.Lock()
	if f.state.Trouble == "" {
		f.state.Since = f.now().UTC()
	}
	f.state.Trouble, f.state.Places = m.text, m.places
	source := f.state.Source
	f.mu.Unlock()
	f.log.ErrorContext(ctx, "the configuration is not used: what was in use stays", "document", f.doc.Name(), "inUse", source,
		"problem", m.text, "mistakes", count, "places", m.places)
}

// outline tells an error without what the document holds.
func outline(err error) string {
	if errors.As(err, new(config.Problems)) {
		return brokenText
	}
	const most = 500
	text := err.Error()
	return text[:min(len(text), most)]
}

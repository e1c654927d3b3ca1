package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress is the line on a person's terminal while a long input is read.
type progress struct {
	started time.Time
	wrote   int // columns of the line that stands there
}

// Every how often the line changes, and how long an input must take to be worth one.
const (
	progressEvery = 250 * time.Millisecond
	progressAfter = time.Second
)

// meter tells how many bytes have been read, and of how many: 0 if that is not known.
type meter interface{ Progress() (read, total int64) }

// watch shows the progress on the standard error, where a person looks at it, until stop is called.
func watch(sys *System, m meter) (stop func()) {
	if !sys.ErrTerminal.Interactive {
		return func() {}
	}
	p := &progress{started: sys.Now()}
	return redraw(sys, func(now time.Time) string { return p.line(now, m) }, p.clear)
}

// redraw writes what draw returns on the standard error every now and then, until stop is called, and then what clear returns.
func redraw(sys *System, draw func(now time.Time) string, clear func() string) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				_, _ = io.WriteString(sys.Err, clear()) // nobody misses a line that is lost
				return
			case <-tick.C:
				_, _ = io.WriteString(sys.Err, draw(sys.Now()))
			}
		}
	}()
	return func() { close(quit); <-ended }
}

// line returns the line for now, which overwrites the one before. It needs no escape sequences.
func (p *progress) line(now time.Time, m meter) string {
	spent := now.Sub(p.started)
	if spent < progressAfter {
		return ""
	}
	read, total := m.Progress()
	rate := float64(read) / spent.Seconds()
	text := fmt.Sprintf("%s read, %s/s", size(read), size(int64(rate)))
	if total > 0 && read <= total {
		text = fmt.Sprintf("%d %%, %s of %s, %s/s", 100*read/total, size(read), size(total), size(int64(rate)))
		if left := time.Duration(float64(total-read) / max(rate, 1) * float64(time.Second)); read > 0 {
			text += ", " + left.Round(time.Second).String() + " left"
		}
	}
	out := "\r" + text + strings.Repeat(" ", max(p.wrote-len(text), 0))
	p.wrote = len(text)
	return out
}

// clear returns what wipes the line away.
func (p *progress) clear() string {
	if p.wrote == 0 {
		return ""
	}
	return "\r" + strings.Repeat(" ", p.wrote) + "\r"
}

package replay

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/pipeline"
)

// Job is a replay: what was asked for, and what was planned. It changes only by being cancelled and by its end.
type Job struct {
	ID      string    `json:"id"` // the run of the findings, too
	Request Request   `json:"request"`
	Created time.Time `json:"created"`
	Slices  int       `json:"slices"`
	Gaps    []Gap     `json:"gaps,omitempty"`

	Cancelled   time.Time `json:"cancelled,omitzero"`
	CancelledBy string    `json:"cancelledBy,omitempty"`

	version string
}

// SliceState is what becomes of a slice.
type SliceState string

// The states of a slice.
const (
	Pending   SliceState = "pending" // nobody works on it just now
	Running   SliceState = "running"
	Done      SliceState = "done"
	Failed    SliceState = "failed" // and waits to be retried
	Cancelled SliceState = "cancelled"
)

// Slice is the one document of a slice: where it is, what was counted until there, and who works on it.
type Slice struct {
	Replay   string     `json:"replay"`
	Number   int        `json:"number"` // from 0
	Range    Range      `json:"range"`
	State    SliceState `json:"state"`
	Position string     `json:"position,omitempty"` // behind the last page that was processed
	Counters Counters   `json:"counters"`
	Turn     int        `json:"turn"` // of the message that may work on it
	Lease    Lease      `json:"lease,omitzero"`
	Error    string     `json:"error,omitempty"` // of the last attempt

	Began time.Time     `json:"began,omitzero"`
	Ended time.Time     `json:"ended,omitzero"`
	Spent time.Duration `json:"spentNanoseconds,omitempty"` // at work, over all turns

	version string
}

// Lease says who works on a slice, and until when at most without a word.
type Lease struct {
	Owner string    `json:"owner"`
	Until time.Time `json:"until"`
}

// Counters count what was read, once. Records = Evaluated + Ignored + SetAside + Unselected.
type Counters struct {
	Pages      int64            `json:"pages"`
	Bytes      int64            `json:"bytes"`
	Units      int64            `json:"units"`
	Records    int64            `json:"records"`
	Evaluated  int64            `json:"evaluated"`
	Unselected int64            `json:"unselected"`          // outside the window of event time, or of other tenants
	Ignored    map[string]int64 `json:"ignored,omitempty"`   // by category
	SetAside   map[string]int64 `json:"setAside,omitempty"`  // by reason
	Undecided  map[string]int64 `json:"undecided,omitempty"` // records on which a rule could not be decided, by rule
	Matches    int64            `json:"matches"`             // of rules, known findings and repeated records included
	Refused    int64            `json:"refused,omitempty"`   // findings that the store refused for good
}

// add counts a page.
func (c *Counters) add(p *Page, r *pipeline.Report) {
	undecided := make(map[string]int64, len(r.NotEvaluable))
	for id, b := range r.NotEvaluable {
		undecided[id] = b.Records
	}
	c.Add(&Counters{
		Pages: 1, Bytes: p.Bytes, Units: p.Units,
		Records: r.Records, Evaluated: r.Evaluated, Unselected: r.Unselected, Ignored: r.Ignored, SetAside: r.SetAside,
		Undecided: undecided, Matches: r.Findings, Refused: r.Refused,
	})
}

// Add adds what another slice counted.
func (c *Counters) Add(o *Counters) {
	c.Pages += o.Pages
	c.Bytes += o.Bytes
	c.Units += o.Units
	c.Records += o.Records
	c.Evaluated += o.Evaluated
	c.Unselected += o.Unselected
	c.Matches += o.Matches
	c.Refused += o.Refused
	addNames(&c.Ignored, o.Ignored)
	addNames(&c.SetAside, o.SetAside)
	addNames(&c.Undecided, o.Undecided)
}

// Bounds of names that are counted in a slice's document: categories are written by whoever writes the log.
const (
	maxCounted     = 128
	maxCountedName = 80 // bytes
	otherName      = "(other)"
)

func addNames(to *map[string]int64, from map[string]int64) {
	for name, n := range from {
		if *to == nil {
			*to = map[string]int64{}
		}
		name = clip(name, maxCountedName)
		if _, ok := (*to)[name]; !ok && len(*to) >= maxCounted {
			name = otherName
		}
		(*to)[name] += n
	}
}

// clip bounds a text and leaves no part of a character.
func clip(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "")
}

// State says how a replay stands.
type State string

// The states of a replay. Failed: some slices wait to be retried, the others are done.
const (
	StateRunning   State = "running"
	StateCompleted State = "completed"
	StateFailed    State = "failed"
	StateCancelled State = "cancelled"
)

// stateOf derives how the replay stands from its slices.
func stateOf(j *Job, slices []Slice) State {
	open, failed := 0, 0
	for i := range slices {
		switch slices[i].State {
		case Pending, Running:
			open++
		case Failed:
			failed++
		case Done, Cancelled:
		}
	}
	switch {
	case open+failed == 0 && j.Cancelled.IsZero():
		return StateCompleted
	case !j.Cancelled.IsZero():
		return StateCancelled
	case open == 0:
		return StateFailed
	}
	return StateRunning
}

// Message asks for work on a slice. It is what goes through a queue.
type Message struct {
	Replay string `json:"replay"`
	Slice  int    `json:"slice"`
	Turn   int    `json:"turn"` // a message of an earlier turn is a repetition
}

// ParseMessage reads the text of a message.
func ParseMessage(text string) (Message, error) {
	var m Message
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return m, fmt.Errorf("read a message of the replays: %w", err)
	}
	if !validID(m.Replay) || m.Slice < 0 {
		return m, fmt.Errorf("read a message of the replays: it names no slice")
	}
	return m, nil
}

// String is the text of the message.
func (m Message) String() string {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // texts and numbers
	}
	return string(b)
}

package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

// Documents keep jobs, slices, and what replays came upon: each replay has a partition of its own.
type Documents struct{ all store.Collections }

// NewDocuments returns documents in the collections of a store.
func NewDocuments(all store.Collections) *Documents { return &Documents{all} }

// The ids of documents in the partition of their replay, or what they begin with.
const (
	jobID         = "job"
	slicePrefix   = "slice."
	touchedPrefix = "alert."
	findingPrefix = "finding."

	sharedPartition = "shared" // of what is no replay's own; no replay has this id
	slotsID         = "slots"
)

func (d *Documents) of(replay string) store.State { return d.all.In(store.Replays, replay) }

const idCharacters = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func validID(id string) bool {
	return id != "" && len(id) <= 64 && strings.Trim(id, idCharacters) == "" && id != sharedPartition
}

func sliceID(n int) string { return fmt.Sprintf("%s%05d", slicePrefix, n) }

// Create keeps a new job and its slices. The job is written last: one that can be found has all its slices.
func (d *Documents) Create(ctx context.Context, j *Job, slices []Slice) error {
	if !validID(j.ID) {
		return fmt.Errorf("keep replay %q: it has no id", j.ID)
	}
	for i := range slices {
		if err := d.SaveSlice(ctx, &slices[i]); err != nil {
			return err
		}
	}
	return d.saveJob(ctx, j)
}

// Job returns a job, or store.ErrNotFound.
func (d *Documents) Job(ctx context.Context, id string) (*Job, error) {
	if !validID(id) {
		return nil, fmt.Errorf("read replay %.64q: %w", id, store.ErrNotFound)
	}
	j := &Job{}
	version, err := load(ctx, d.of(id), jobID, j)
	if err != nil {
		return nil, fmt.Errorf("read replay %s: %w", id, err)
	}
	j.version = version
	return j, nil
}

func (d *Documents) saveJob(ctx context.Context, j *Job) (err error) {
	if j.version, err = save(ctx, d.of(j.ID), jobID, j.version, j); err != nil {
		return fmt.Errorf("keep replay %s: %w", j.ID, err)
	}
	return nil
}

// Jobs returns all jobs, the latest first.
func (d *Documents) Jobs(ctx context.Context) ([]Job, error) {
	var out []Job
	for doc, err := range d.all.Across(ctx, store.Replays, jobID) {
		var j Job
		if err == nil {
			err = json.Unmarshal(doc.Body, &j)
		}
		if err != nil {
			return nil, fmt.Errorf("list the replays: %w", err)
		}
		j.version = doc.Version
		out = append(out, j)
	}
	slices.SortFunc(out, func(a, b Job) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

// Cancel ends a replay: whoever works on it stops before the next page. Cancelling again changes nothing.
func (d *Documents) Cancel(ctx context.Context, id, by string, now time.Time) (*Job, error) {
	for try := 0; ; try++ {
		j, err := d.Job(ctx, id)
		if err != nil || !j.Cancelled.IsZero() {
			return j, err
		}
		j.Cancelled, j.CancelledBy = now.UTC(), by
		if err = d.saveJob(ctx, j); !errors.Is(err, store.ErrConflict) || try == maxTries {
			return j, err
		}
	}
}

// maxTries is how often a document is read again that somebody else has just changed.
const maxTries = 10

// Slice returns a slice, or store.ErrNotFound.
func (d *Documents) Slice(ctx context.Context, replay string, n int) (*Slice, error) {
	s := &Slice{}
	version, err := load(ctx, d.of(replay), sliceID(n), s)
	if err != nil {
		return nil, fmt.Errorf("read slice %d of replay %s: %w", n, replay, err)
	}
	s.version = version
	return s, nil
}

// SaveSlice replaces the slice if nobody else has since it was read; store.ErrConflict otherwise.
func (d *Documents) SaveSlice(ctx context.Context, s *Slice) (err error) {
	if s.version, err = save(ctx, d.of(s.Replay), sliceID(s.Number), s.version, s); err != nil {
		return fmt.Errorf("keep slice %d of replay %s: %w", s.Number, s.Replay, err)
	}
	return nil
}

// Slices returns the slices of a replay in their order.
func (d *Documents) Slices(ctx context.Context, replay string) ([]Slice, error) {
	var out []Slice
	for doc, err := range d.of(replay).List(ctx, slicePrefix) {
		var s Slice
		if err == nil {
			err = json.Unmarshal(doc.Body, &s)
		}
		if err != nil {
			return nil, fmt.Errorf("list the slices of replay %s: %w", replay, err)
		}
		s.version = doc.Version
		out = append(out, s)
	}
	return out, nil
}

// touched is an alert that a replay found something for.
type touched struct {
	Alert  alert.ID `json:"alert"`
	Tenant string   `json:"tenant"`
}

// touch remembers the alert. Doing it again changes nothing.
func (d *Documents) touch(ctx context.Context, replay string, t touched) error {
	return d.create(ctx, replay, touchedPrefix+string(t.Alert), t)
}

func (d *Documents) touched(ctx context.Context, replay string) ([]touched, error) {
	var out []touched
	for doc, err := range d.of(replay).List(ctx, touchedPrefix) {
		var t touched
		if err == nil {
			err = json.Unmarshal(doc.Body, &t)
		}
		if err != nil {
			return nil, fmt.Errorf("list what replay %s found: %w", replay, err)
		}
		out = append(out, t)
	}
	return out, nil
}

// create keeps a document that is never changed, and lets one that is there be.
func (d *Documents) create(ctx context.Context, replay, id string, v any) error {
	if _, err := save(ctx, d.of(replay), id, "", v); err != nil && !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("keep %s: %w", id, err)
	}
	return nil
}

// slots are the places of those who read at the same time: they share the pace.
type slots struct {
	Taken []slot `json:"taken"`
}

type slot struct {
	Owner  string    `json:"owner"`
	Replay string    `json:"replay"`
	Slice  int       `json:"slice"`
	Until  time.Time `json:"until"`
}

// maxOver bounds the places that are kept of those who have not given them back.
const maxOver = 100

// takeSlot takes or keeps a place, if there is one. One whose time is over is free, but is kept for overdue to find.
func (d *Documents) takeSlot(ctx context.Context, mine slot, now time.Time, most int) (bool, error) {
	return d.changeSlots(ctx, func(s *slots) bool {
		s.Taken = slices.DeleteFunc(s.Taken, func(t slot) bool { return t.Owner == mine.Owner })
		live := 0
		for _, t := range s.Taken {
			if t.Until.After(now) {
				live++
			}
		}
		if live >= most {
			return false
		}
		s.Taken = append(s.Taken[max(len(s.Taken)-maxOver, 0):], mine)
		return true
	})
}

// leaveSlot gives a place back.
func (d *Documents) leaveSlot(ctx context.Context, owner string) error {
	_, err := d.changeSlots(ctx, func(s *slots) bool {
		n := len(s.Taken)
		s.Taken = slices.DeleteFunc(s.Taken, func(t slot) bool { return t.Owner == owner })
		return len(s.Taken) < n
	})
	return err
}

// overdue returns the places whose time is over: those who had them have not given them back.
func (d *Documents) overdue(ctx context.Context, now time.Time) ([]slot, error) {
	var s slots
	if _, err := load(ctx, d.of(sharedPartition), slotsID, &s); err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("read who works on replays: %w", err)
	}
	return slices.DeleteFunc(s.Taken, func(t slot) bool { return t.Until.After(now) }), nil
}

func (d *Documents) changeSlots(ctx context.Context, change func(*slots) bool) (bool, error) {
	for try := 0; ; try++ {
		var s slots
		version, err := load(ctx, d.of(sharedPartition), slotsID, &s)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return false, fmt.Errorf("read who works on replays: %w", err)
		}
		if !change(&s) {
			return false, nil
		}
		_, err = save(ctx, d.of(sharedPartition), slotsID, version, s)
		switch {
		case err == nil:
			return true, nil
		case !errors.Is(err, store.ErrConflict) || try == maxTries:
			return false, fmt.Errorf("keep who works on replays: %w", err)
		}
	}
}

func load(ctx context.Context, in store.State, id string, into any) (version string, err error) {
	doc, err := in.Load(ctx, id)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(doc.Body, into); err != nil {
		return "", fmt.Errorf("decode document %s: %w", id, err)
	}
	return doc.Version, nil
}

func save(ctx context.Context, in store.State, id, version string, v any) (string, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return version, fmt.Errorf("encode document %s: %w", id, err)
	}
	doc, err := in.Save(ctx, store.Document{ID: id, Body: body, Version: version})
	if err != nil {
		return version, err
	}
	return doc.Version, nil
}

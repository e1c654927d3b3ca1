package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

// choosy is a store that refuses a finding for good, and with it every call that holds it.
type choosy struct {
	*sqlite.Store
	place string
	full  bool // it cannot set aside either
}

func (c *choosy) Record(ctx context.Context, findings []alert.Finding) (store.Outcome, error) {
	for _, f := range findings {
		if f.Place == c.place {
			return store.Outcome{}, fmt.Errorf("record: %w", store.ErrRejected)
		}
	}
	return c.Store.Record(ctx, findings)
}

func (c *choosy) SetAside(ctx context.Context, items []alert.SetAside) error {
	if c.full {
		return store.ErrUnavailable
	}
	return c.Store.SetAside(ctx, items)
}

func TestAFindingThatTheStoreRefuses(t *testing.T) {
	t.Parallel()
	s := &choosy{Store: memory(t), place: "log:2"}
	bodies := []string{signIn(3, "bad"), signIn(6, "bad"), signIn(9, "bad"), signIn(1, "good")}
	report, err := newPipeline(t, s).Process(t.Context(), &records{bodies: bodies}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Refused != 1 || report.Findings != 3 || report.NewFindings != 2 || report.Evaluated != 4 {
		t.Errorf("%d refused of %d findings, %d new; %d evaluated", report.Refused, report.Findings, report.NewFindings, report.Evaluated)
	}
	sum := NewReport()
	sum.Add(report)
	sum.Add(report)
	if sum.Refused != 2 {
		t.Errorf("%d refused in two runs", sum.Refused)
	}
	n := 0
	for item, err := range s.SetAsides(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if item.Reason != "store-refused" || item.Place != "log:2" || item.Source != "log" || !strings.Contains(item.Copy, `"id-6"`) {
			t.Errorf("set aside %+v", item)
		}
	}
	if n != 1 {
		t.Errorf("%d set aside, want 1", n)
	}

	s.full = true
	_, err = newPipeline(t, s).Process(t.Context(), &records{bodies: bodies}, Options{})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("neither stored nor set aside: got %v, want ErrUnavailable", err)
	}
}

func TestSourceOfAPlace(t *testing.T) {
	t.Parallel()
	for place, want := range map[string]string{
		"mailbox/3@4711#2": "mailbox", "logs/a.json:7": "logs/a.json", "C:/logs/a.json:7#1": "C:/logs/a.json", "a": "a", "": "",
	} {
		if got := sourceOf(place); got != want {
			t.Errorf("%q: got %q, want %q", place, got, want)
		}
	}
}

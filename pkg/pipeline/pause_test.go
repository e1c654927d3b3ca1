package pipeline

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

// pausing is a Source that gives a number of records and then pauses.
type pausing struct {
	records
	after int
	pause time.Duration
}

func (p *pausing) Next() (envelope.Record, error) {
	if p.at == p.after {
		time.Sleep(p.pause)
	}
	return p.records.Next()
}

// pausingSource finds something in its first batch, and brings the next one an hour later.
func pausingSource() *pausing {
	src := &pausing{records: records{bodies: []string{signIn(0, "bad")}}, after: batchRecords, pause: time.Hour}
	for i := range batchRecords {
		src.bodies = append(src.bodies, signIn(1+i, "good"))
	}
	return src
}

// Time stands still in a bubble while workers wait for the lock of the source, so there is one.
func TestWhatIsFoundDoesNotWaitForASourceThatPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := sqlite.Open(t.Context(), sqlite.Memory)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close() //nolint:errcheck // it is over
		p := newPipeline(t, s)
		src := pausingSource()
		ended := make(chan error, 1)
		go func() {
			_, err := p.Process(t.Context(), src, Options{Workers: 1})
			ended <- err
		}()
		time.Sleep(2 * maxHeldFor)
		if _, findings := contents(t, s); len(findings) != 1 {
			t.Errorf("%d findings are recorded while the source pauses, want 1", len(findings))
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// broken is a store with a fault in its code.
type broken struct{ store.Store }

func (broken) Record(context.Context, []alert.Finding) (store.Outcome, error) {
	panic("a fault of the store's")
}

// What is recorded while the source pauses is recorded by nobody's call: a panic there would end the process.
func TestAStoreThatPanicsWhileTheSourcePauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := newPipeline(t, broken{}).Process(t.Context(), pausingSource(), Options{Workers: 1})
		if err == nil || !strings.Contains(err.Error(), "a fault of the store's") {
			t.Errorf("got %v, want an error that tells of the panic", err)
		}
	})
}

package pipeline

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-sec/assay/pkg/envelope"
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

// Time stands still in a bubble while workers wait for the lock of the source, so there is one.
func TestWhatIsFoundDoesNotWaitForASourceThatPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := sqlite.Open(t.Context(), sqlite.Memory)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close() //nolint:errcheck // it is over
		p := newPipeline(t, s)
		src := &pausing{records: records{bodies: []string{signIn(0, "bad")}}, after: batchRecords, pause: time.Hour}
		for i := range batchRecords {
			src.bodies = append(src.bodies, signIn(1+i, "good"))
		}
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

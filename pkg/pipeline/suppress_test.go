package pipeline

import (
	"reflect"
	"testing"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/suppress"
)

// What is suppressed is evaluated, stored and counted like anything else, by whose name, and does not page.
func TestSuppressedFindingsAreStoredAndCounted(t *testing.T) {
	t.Parallel()
	quiet := alert.Suppression{Name: "bad-is-good", Reason: "a test", Owner: "kim", Expires: "2099-12-31"}
	set := suppress.New([]suppress.Suppression{{
		Suppression: quiet, Rules: []string{"bad-user"}, Match: suppress.Match{Users: []string{"bad@example.com"}},
	}})
	bodies := []string{signIn(1, "bad@example.com"), signIn(4, "bad@example.com"), signIn(3, "worse-bad@example.com"), signIn(2, "good@example.com")}
	run := func(set *suppress.Set) (*Report, store.Store) {
		s := memory(t)
		r, err := newPipeline(t, s).Suppressing(set).Process(t.Context(), &records{bodies: bodies}, Options{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		return r, s
	}
	loud, _ := run(nil)
	r, s := run(set)
	if r.Records != loud.Records || r.Evaluated != loud.Evaluated || r.Findings != loud.Findings || r.NewFindings != loud.NewFindings || len(r.Alerts) != len(loud.Alerts) {
		t.Errorf("with a suppression %+v\nwithout %+v", r, loud)
	}
	if want := map[string]Suppressed{"bad-is-good": {quiet, 2}}; !reflect.DeepEqual(r.Suppressed, want) {
		t.Errorf("suppressed %+v, want %+v", r.Suppressed, want)
	}
	paging := r.Sorted(rule.Info, rule.Enabled)
	if len(paging) != 1 || paging[0].Alert.Key != "worse-bad@example.com" {
		t.Errorf("%d alerts page", len(paging))
	}
	for _, x := range r.Sorted(rule.Info, rule.Observe) {
		if x.Alert.Stage == rule.Observe && (x.Alert.Count != 2 || !reflect.DeepEqual(x.Alert.Suppressed, &quiet)) {
			t.Errorf("the alert that pages nobody: %+v", x.Alert)
		}
	}
	// The findings tell it themselves, and the same records again change nothing.
	for range 2 {
		_, findings := contents(t, s)
		n := 0
		for _, f := range findings {
			if f.Suppressed != nil {
				n++
			}
		}
		if n != 2 || len(findings) != 3 {
			t.Errorf("%d of %d findings are suppressed", n, len(findings))
		}
		if _, err := newPipeline(t, s).Process(t.Context(), &records{bodies: bodies}, Options{Workers: 1}); err != nil {
			t.Fatal(err)
		}
	}
}

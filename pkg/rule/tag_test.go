package rule_test

import (
	"slices"
	"testing"

	"github.com/assay-sec/assay/pkg/rule"
)

func TestTags(t *testing.T) {
	t.Parallel()
	r := &rule.Rule{Doc: rule.Doc{Attack: []string{"T1606.002", "T1550"}, Tags: []string{"attack.persistence", "cve.2023-1"}}}
	if got := r.Tags(); !slices.Equal(got, []string{"attack.t1606.002", "attack.t1550", "attack.persistence", "cve.2023-1"}) {
		t.Errorf("%v", got)
	}
	for tag, want := range map[string]bool{
		"attack.t1606.002": true, "attack.t1606": true, "attack.t1550": true, "cve.2023-1": true, "attack": true,
		"attack.t1550.001": false, "attack.t160": false, "attack.t1606.00": false, "cve.2023": false, "t1606": false,
	} {
		if got := r.Tagged(tag); got != want {
			t.Errorf("%s: %v", tag, got)
		}
	}
}

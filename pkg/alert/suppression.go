package alert

import "github.com/assay-sec/assay/pkg/rule"

// Suppression says by whose word a finding pages nobody, why, and how long.
type Suppression struct {
	Name    string `json:"name"`
	Reason  string `json:"reason,omitempty"`
	Owner   string `json:"owner,omitempty"`
	Expires Day    `json:"expires,omitempty"` // the last day of events that it holds for
}

// Suppress makes a finding one that is stored and counted, and pages nobody. An alert all of whose findings are such only
// observes; one finding beside them that is not makes it page.
func (f *Finding) Suppress(s *Suppression) {
	f.Stage = min(f.Stage, rule.Observe)
	f.Suppressed = &Suppression{
		Name: clip(s.Name, maxText), Reason: clip(s.Reason, maxText), Owner: clip(s.Owner, maxText), Expires: s.Expires,
	}
}

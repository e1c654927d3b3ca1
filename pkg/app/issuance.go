package app

import (
	"slices"

	"github.com/assay-sec/assay/pkg/issuance"
)

// Joined returns the rules with those that judge uses of tokens by what the ledger knows. Findings name the ledger, too.
func (r *Rules) Joined(l *issuance.Ledger) *Rules {
	joined := *r
	joined.Rules = slices.Concat(r.Rules, issuance.Rules(l))
	if l != nil {
		joined.Version += "+issuance:" + l.Digest()
	}
	return &joined
}

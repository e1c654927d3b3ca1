package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// unusualTokenID holds for a token id (uti) that can be read but is not as Entra ID makes them: a placeholder, not a GUID of
// version 4, or one whose last byte is above 3. The 58 ids of public logs from 2021 to 2025 all have version 4 and end in
// 00, 01 or 02. Microsoft documents none of it, so it is a soft sign.
func unusualTokenID(f event.Field[string], ref *reference.Data) rule.Predicate {
	shape := rule.Test(f, "is a GUID unlike those of Entra ID", "", func(s string) bool {
		id, err := event.ParseTokenID(s)
		return err == nil && (id.Version() != 4 || id[15] > 3)
	})
	return rule.Any(rule.Listed(f, ref.PlaceholderUTIs()), shape)
}

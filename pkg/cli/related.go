package cli

import (
	"slices"
	"strings"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

// relatedDocument is another alert of the same tenant and day that is about the same token, session or mailbox.
type relatedDocument struct {
	ID       alert.ID      `json:"id"`
	RuleID   string        `json:"ruleId"`
	Severity rule.Severity `json:"severity"`
	Stage    rule.Stage    `json:"stage"`
	Shares   []string      `json:"shares"` // of token, session, mailbox
}

// relate tells each of the alerts which others of them it is related to, the first ones of the list before the others.
func relate(alerts []alertDocument) {
	type handle struct {
		tenant      string
		day         alert.Day
		kind, value string
	}
	handles := func(a *alertDocument) []handle {
		var out []handle
		for kind, v := range map[string]string{"token": a.Subject.TokenID, "session": strings.ToLower(a.Subject.Session), "mailbox": strings.ToLower(a.Subject.Mailbox)} {
			if v != "" {
				out = append(out, handle{a.TenantID, a.ID.Day(), kind, v})
			}
		}
		return out
	}
	by := map[handle][]int{}
	for i := range alerts {
		for _, h := range handles(&alerts[i]) {
			by[h] = append(by[h], i)
		}
	}
	for i := range alerts {
		a := &alerts[i]
		var others []int
		for _, h := range handles(a) {
			group := by[h]
			others = append(others, group[:min(len(group), store.MaxRelated+1)]...)
		}
		slices.Sort(others)
		for _, j := range slices.Compact(others) {
			if j != i && len(a.Related) < store.MaxRelated {
				o := &alerts[j]
				a.Related = append(a.Related, relatedDocument{o.ID, o.RuleID, o.Severity, o.Stage, o.Subject.Shares(&a.Subject)})
			}
		}
	}
}

func newRelatedDocuments(related []alert.Relation) []relatedDocument {
	var out []relatedDocument
	for _, r := range related {
		out = append(out, relatedDocument{r.Alert.ID, r.Alert.Rule.ID, r.Alert.Severity, r.Alert.Stage, r.Shares})
	}
	return out
}

// related lists the other alerts of the day about the same token, session or mailbox.
func (p *page) related(others []relatedDocument) {
	columns := 0
	for _, o := range others {
		columns = max(columns, len(o.RuleID))
	}
	for i, o := range others {
		name := ""
		if i == 0 {
			p.end()
			name = "related"
		}
		p.fit(faint, name, nameColumns).fit(severityStyle(o.Severity), strings.ToUpper(o.Severity.String()), severityColumns).space(gap).
			fit(bold, o.RuleID, columns).space(gap).put(faint, "same "+strings.Join(o.Shares, ", ")).end()
		p.space(nameColumns+severityColumns+gap).put(plain, string(o.ID)).end()
	}
}

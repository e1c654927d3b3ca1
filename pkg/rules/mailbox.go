package rules

import (
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// mailboxAccess is the scope of the rules about what was done in a mailbox: ExchangeItem (2), which also
// holds MailboxLogin and Send, ExchangeItemGroup (3), ExchangeAggregatedOperation (19), ExchangeItemAggregated (50:
// MailItemsAccessed, AttachmentAccess) and ExchangeSearch (101) of the Management Activity API schema.
// Administrative cmdlets, SharePoint, Teams and directory records are none of their business.
func mailboxAccess() rule.Predicate {
	return rule.In(event.RecordType, 2, 3, 19, 50, 101)
}

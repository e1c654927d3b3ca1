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

// tokenAccess is the scope of the rules about the token with which somebody reached the data of a tenant: mailboxes, and what
// documentAccess covers. The same stolen key opens all of it.
func tokenAccess() rule.Predicate { return rule.Any(mailboxAccess(), documentAccess()) }

// documentAccess holds for what people did in SharePoint, OneDrive and Teams: SharePoint (4), SharePointFileOperation (6), OneDrive (7),
// SharePointSharingOperation (14), MicrosoftTeams (25), SharePointListOperation (36), SharePointCommentOperation (37) and
// SharePointListItemOperation (54) of the Management Activity API schema. Guests are left out: documents are shared with other tenants and
// with personal accounts, which no mailbox is.
func documentAccess() rule.Predicate {
	return rule.All(
		rule.In(event.RecordType, 4, 6, 7, 14, 25, 36, 37, 54),
		rule.Not(rule.Eq(event.UserType, 10)), // Guest
		rule.Not(guestName),
	)
}

var guestName = rule.Test(event.ActorName, "is a guest's", "#EXT#", func(name string) bool {
	return containsFold(name, "#ext#") || containsFold(name, "urn:spo:guest") || containsFold(name, "urn:spo:anon")
})

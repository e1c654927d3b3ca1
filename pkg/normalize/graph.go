package normalize

import (
	"strings"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
)

// graph reads the activity logs of Microsoft Graph and of Azure AD Graph.
func (f *reader) graph() {
	ev := f.ev
	f.tenant(decode.SlotTenantID, decode.SlotAADTenantID)
	ev.Time = f.time(decode.SlotTimeGenerated)
	ev.Actor.ObjectID = f.text(decode.SlotUserID, decode.SlotServicePrincipalID)
	ev.App.ID = f.text(decode.SlotAppID)
	ev.Net.IP = f.address(decode.SlotIPAddress, decode.SlotCallerIPAddress)
	ev.Net.UserAgent = f.text(decode.SlotUserAgent)
	ev.Token = event.Token{
		ObjectID:         f.text(decode.SlotUserID),
		ID:               f.text(decode.SlotSignInActivityID, decode.SlotGraphUniqueTokenID),
		SessionID:        f.text(decode.SlotGraphSessionID, decode.SlotSessionID),
		IssuedAt:         f.time(decode.SlotGraphIssuedAt, decode.SlotGraphIat),
		Type:             f.text(decode.SlotGraphIdtyp),
		IdentityProvider: f.text(decode.SlotIdentityProvider),
		Scopes:           f.text(decode.SlotScopes),
		Roles:            f.words(decode.SlotRoles),
	}
	ev.Graph = event.GraphFacts{
		RequestID:        f.text(decode.SlotRequestID),
		Method:           f.text(decode.SlotRequestMethod),
		URI:              f.text(decode.SlotRequestURI),
		Status:           integer(f.v.Get(decode.SlotResponseStatusCode), nil),
		ClientAuthMethod: f.text(decode.SlotClientAuthMethod),
	}
}

// words reads a list that is written as one text with blanks or commas between its words.
func (f *reader) words(slot decode.Slot) event.List {
	t := text(f.v.Get(slot))
	if t.State != event.Present {
		return event.List{State: t.State}
	}
	out := f.s.list()
	for w := range strings.FieldsFuncSeq(t.V, func(r rune) bool { return r == ' ' || r == ',' }) {
		*out = append(*out, w)
	}
	return event.Of(*out)
}

package issuance

import (
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/event"
)

// use is what a record says of the token that was used.
type use struct {
	source  string
	app     event.GUID
	token   event.GUID // zero: none
	user    event.GUID // oid; zero: not logged
	session event.GUID
	tenant  string // tid, in lower case; "": not logged
	own     string // the tenant of the record
	issued  time.Time
	at      time.Time
	holder  holder
}

// owaAuth is the record type of tokens that Outlook on the web was issued. It is not known whether such a record names the
// token that was presented or the one that was issued, so it is calibrated apart from the rest of Exchange.
const owaAuth = 275

// useOf returns the use of a token in the event; nil if it is none. What it lacks, if anything, is the field for want of which it
// cannot be judged.
func useOf(ev *event.Event) (u *use, lacks string) {
	u = &use{own: ev.Tenant, at: ev.Time.V}
	switch ev.Kind {
	case event.Audit:
		u.source = ev.Audit.Workload.V
		if ev.Audit.RecordType.OK() && ev.Audit.RecordType.V == owaAuth {
			u.source = "OWAAuth"
		}
		u.holder = auditHolder(ev.Audit.UserType)
	case event.GraphActivity:
		u.source, u.holder = ev.Category, holderOf(ev.Token.Type)
	case event.TokenObserved:
		if r := ev.Observed.Result; r.OK() && strings.EqualFold(r.V, "rejected") {
			return nil, "" // it opened nothing, and the rules about tokens have seen it
		}
		u.source, u.holder = "tokens at "+ev.Observed.Observer.V, holderOf(ev.Token.Type)
		if u.holder == ofAnybody && ev.Token.ObjectID.OK() && ev.Token.ObjectID.V != "" && ev.Token.ObjectID == ev.Token.Subject {
			u.holder = ofApp // the subject of an application's own token is its service principal
		}
	case event.KindNone, event.SignIn, event.Risk, event.DirectoryChange, event.AssertionObserved:
		return nil, ""
	}
	if len(u.source) > maxSource {
		u.source = strings.ToValidUTF8(u.source[:maxSource], "")
	}
	has := ev.Token.ID.OK() && ev.Token.ID.V != ""
	if ev.Kind == event.Audit && !has && guid(ev.Token.SessionID) == (event.GUID{}) && !ev.Token.IssuedAt.OK() && !ev.Token.ObjectID.OK() {
		if ev.Token.ID.State != event.Unreadable {
			return nil, "" // nothing says that there was a token: most audit records are about something else
		}
	}
	u.app, u.user, u.session = guid(ev.App.ID), guid(ev.Token.ObjectID), guid(ev.Token.SessionID)
	if ev.Token.Tenant.OK() {
		u.tenant = strings.ToLower(ev.Token.Tenant.V)
	}
	if ev.Token.IssuedAt.OK() {
		u.issued = ev.Token.IssuedAt.V
	}
	id, err := event.ParseTokenID(ev.Token.ID.V)
	if has && (err != nil || id.Uniform()) {
		return u, event.TokenID.Path // the rules about malformed ids have seen it
	}
	if has {
		u.token = id
	}
	if u.app == (event.GUID{}) {
		return u, event.AppID.Path
	}
	return u, ""
}

func holderOf(idtyp event.Text) holder {
	switch {
	case idtyp.OK() && strings.EqualFold(idtyp.V, "app"):
		return ofApp
	case idtyp.OK() && strings.EqualFold(idtyp.V, "user"):
		return ofUser
	}
	return ofAnybody
}

// auditHolder tells by the UserType: 5 is an application, 6 a service principal (Office 365 Management Activity API schema).
func auditHolder(userType event.Int) holder {
	switch {
	case !userType.OK():
		return ofAnybody
	case userType.V == 5 || userType.V == 6:
		return ofApp
	}
	return ofUser
}

package normalize

import (
	"strings"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
)

// signIn reads the six sign-in categories: diagnostic records, Log Analytics rows, Graph signIn.
func (f *reader) signIn() {
	ev := f.ev
	f.tenant(decode.SlotResourceTenantID, decode.SlotTenantID, decode.SlotAADTenantID)
	// Log Analytics keeps the event's time as CreatedDateTime and, equal to it, as TimeGenerated.
	ev.Time = f.time(decode.SlotCreatedDateTime, decode.SlotTimeGenerated)
	ev.Actor = event.Actor{
		ObjectID: f.text(decode.SlotUserID, decode.SlotServicePrincipalID),
		Name:     f.text(decode.SlotUserPrincipalName, decode.SlotServicePrincipalName),
		Type:     f.text(decode.SlotUserType),
	}
	ev.App = event.App{
		ID:          f.text(decode.SlotAppID),
		Name:        f.text(decode.SlotAppDisplayName),
		OwnerTenant: f.text(decode.SlotAppOwnerTenantID),
		Resource:    f.text(decode.SlotResourceID),
	}
	if ev.App.Resource.State == event.Absent {
		// In a diagnostic record the name at the root is an Azure path, not the resource asked for.
		if r := f.text(decode.SlotGraphResourceID); !strings.HasPrefix(r.V, "/") {
			ev.App.Resource = r
		}
	}
	ev.Net = event.Net{
		IP:        f.address(decode.SlotIPAddress, decode.SlotCallerIPAddress),
		ASN:       integer(f.v.Get(decode.SlotAutonomousSystemNumber), nil),
		UserAgent: f.text(decode.SlotUserAgent),
	}
	ev.Token.ID = f.text(decode.SlotUniqueTokenIdentifier)
	ev.Token.SessionID = f.text(decode.SlotSessionID)

	s := &ev.SignIn
	s.RequestID = f.text(decode.SlotID)
	f.status(s)
	s.IssuerType = f.text(decode.SlotTokenIssuerType)
	s.IssuerName = f.text(decode.SlotTokenIssuerName)
	s.IncomingTokenTypes = f.list(decode.SlotIncomingTokenType)
	s.Protocol = f.text(decode.SlotAuthenticationProtocol)
	s.TransferMethod = f.text(decode.SlotOriginalTransferMethod)
	s.HomeTenant = f.text(decode.SlotHomeTenantID)
	s.ResourceTenant = f.text(decode.SlotResourceTenantID)
	s.CrossTenantAccess = f.text(decode.SlotCrossTenantAccessType)
	s.MFADetail = f.holds(decode.SlotMFADetail, decode.SlotMFADetailDynamic, decode.SlotMFADetailString)
	s.AuthSteps = f.count(decode.SlotAuthenticationDetails)
	f.protection(s)
	s.RiskEvents = f.list(decode.SlotRiskEventTypes)
	s.RiskState = f.text(decode.SlotRiskState)
	s.RiskLevel = f.text(decode.SlotRiskLevelDuringSignIn)
	s.CredentialType = f.text(decode.SlotClientCredentialType)
	s.FederatedCredID = f.text(decode.SlotFederatedCredentialID)
}

// status reads the result of a sign-in, which the tables hold as an object, as JSON in a string, as a pair of
// columns of either form, or as resultType alone.
func (f *reader) status(s *event.SignInFacts) {
	for _, slot := range [...]decode.Slot{decode.SlotStatus, decode.SlotStatusDynamic, decode.SlotStatusString} {
		v := f.v.Get(slot)
		if v.Kind == decode.Object {
			break
		}
		if v.Kind == decode.String && strings.HasPrefix(strings.TrimSpace(v.Text), "{") {
			if f.n.decoder.Object(v.Text, decode.SignInStatus, f.v) == nil {
				break
			}
		}
	}
	s.ErrorCode = integer(f.v.Get(decode.SlotStatusErrorCode), nil)
	if s.ErrorCode.State != event.Present {
		if r := integer(f.v.Get(decode.SlotResultType), nil); r.State != event.Absent {
			s.ErrorCode = r
		}
	}
	s.AdditionalDetails = f.text(decode.SlotStatusAdditionalDetails)
	if s.AdditionalDetails.State == event.Absent && f.v.Get(decode.SlotStatusErrorCode).Kind != decode.Absent {
		// The log leaves out of a status what is empty: most successful sign-ins have no details.
		s.AdditionalDetails = event.Of("")
	}
}

func (f *reader) protection(s *event.SignInFacts) {
	if v := f.v.Get(decode.SlotTokenProtectionStatusDetails); v.Kind == decode.String && strings.HasPrefix(v.Text, "{") {
		// A text that does not parse leaves the status absent, which is what is known of it.
		if err := f.n.decoder.Object(v.Text, decode.Protection, f.v); err != nil {
			s.SessionBinding = event.Text{State: event.Unreadable}
			return
		}
	}
	s.SessionBinding = f.text(decode.SlotSignInSessionStatus)
}

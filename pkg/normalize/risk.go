package normalize

import (
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
)

// risk reads detections of Entra ID Protection.
func (f *reader) risk() {
	ev := f.ev
	f.tenant(decode.SlotResourceTenantID, decode.SlotTenantID, decode.SlotAADTenantID)
	ev.Time = f.time(decode.SlotActivityDateTime)
	ev.Actor.ObjectID = f.text(decode.SlotUserID, decode.SlotServicePrincipalID)
	ev.Actor.Name = f.text(decode.SlotUserPrincipalName, decode.SlotServicePrincipalName)
	ev.App.ID = f.text(decode.SlotAppID)
	ev.Net.IP = f.address(decode.SlotIPAddress, decode.SlotCallerIPAddress)
	ev.Net.UserAgent = f.text(decode.SlotUserAgent)
	ev.Risk = event.RiskFacts{
		Type:      f.text(decode.SlotRiskEventType),
		State:     f.text(decode.SlotRiskState),
		Level:     f.text(decode.SlotRiskLevel),
		Detail:    f.text(decode.SlotRiskDetail),
		RequestID: f.text(decode.SlotRequestID),
	}
}

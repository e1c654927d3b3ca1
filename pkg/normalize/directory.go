package normalize

import (
	"strings"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
)

// directory reads Entra ID directory audit records.
func (f *reader) directory() {
	ev := f.ev
	f.tenant(decode.SlotTenantID, decode.SlotAADTenantID)
	ev.Time = f.time(decode.SlotActivityDateTime, decode.SlotTimeGenerated)
	f.initiator()
	ev.Actor.ObjectID = f.text(decode.SlotInitiatorUserID)
	ev.Actor.Name = f.text(decode.SlotInitiatorUPN, decode.SlotInitiatorAppName)
	ev.App.ID = f.text(decode.SlotInitiatorAppID)
	ev.App.Name = f.text(decode.SlotInitiatorAppName)
	ev.Net.IP = f.address(decode.SlotInitiatorIP, decode.SlotCallerIPAddress, decode.SlotIPAddress)
	ev.Net.UserAgent = f.text(decode.SlotUserAgent)

	d := &ev.Directory
	// Microsoft writes some activities with a blank behind them.
	d.Activity = f.text(decode.SlotActivityDisplayName, decode.SlotOperationName)
	d.Activity.V = strings.TrimSpace(d.Activity.V)
	d.Result = f.text(decode.SlotResult)
	d.InitiatorName = f.text(decode.SlotInitiatorName)
	d.InitiatorUPN = f.text(decode.SlotInitiatorUPN)
	d.InitiatorApp = f.text(decode.SlotInitiatorAppName)
	f.targets(d)
}

// initiator descends into initiatedBy where Log Analytics wrote it as a string.
func (f *reader) initiator() {
	if v := f.v.Get(decode.SlotInitiatedBy); v.Kind == decode.String && strings.HasPrefix(v.Text, "{") {
		if err := f.n.decoder.Object(v.Text, decode.Initiator, f.v); err != nil {
			unreadable := event.Text{State: event.Unreadable}
			f.ev.Directory.InitiatorName, f.ev.Directory.InitiatorUPN = unreadable, unreadable
		}
	}
}

// targets reads the name of the first target and the changes of all of them.
func (f *reader) targets(d *event.DirectoryFacts) {
	v := f.v.Get(decode.SlotTargetResources)
	switch v.Kind {
	case decode.Absent:
		return
	case decode.Null:
		d.Target.State, d.Changes.State = event.Null, event.Null
		return
	case decode.String, decode.Number, decode.True, decode.False, decode.Object, decode.Array:
	}
	var changes []event.Parameter
	first := true
	err := f.n.decoder.Array(v.Text, func(e decode.Value) error {
		if e.Kind != decode.Object {
			return nil
		}
		f.s.nested.Reset()
		if err := f.n.decoder.Object(e.Text, decode.Target, &f.s.nested); err != nil {
			return err
		}
		if first {
			d.Target, first = text(f.s.nested.Get(decode.SlotTargetName)), false
		}
		f.pairs(f.s.nested.Get(decode.SlotTargetModifiedProperties), func(name, value string) {
			changes = append(changes, event.Parameter{Name: name, Value: value})
		})
		return nil
	})
	if err != nil {
		d.Target, d.Changes = event.Text{State: event.Unreadable}, event.Parameters{State: event.Unreadable}
		return
	}
	d.Changes = event.Of(changes)
}

package alert

import (
	"encoding/json"
	"fmt"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
)

// What the CloudEvents form of an alert calls itself.
const (
	EventType   = "sec.assay.alert.v1"
	EventSchema = "https://github.com/assay-sec/assay/blob/main/pkg/alert/alert.v1.schema.json"
)

// CloudEvent returns the alert in the form of CloudEvents 1.0, with the alert as its JSON data. source is a URI reference
// that names the installation.
//
// The id is the alert's id and revision: an event that is sent again has the id of the first, and the same alert
// in another store has the same id. The time is that of the latest finding, by event time.
func (a *Alert) CloudEvent(source string) (cloudevents.Event, error) {
	e := cloudevents.New(cloudevents.CloudEventsVersionV1)
	e.SetID(fmt.Sprintf("%s.%d", a.ID, a.Revision))
	e.SetSource(source)
	e.SetType(EventType)
	e.SetSubject(string(a.ID))
	e.SetTime(a.Last)
	e.SetDataSchema(EventSchema)
	data, err := json.Marshal(a)
	if err != nil {
		return cloudevents.Event{}, fmt.Errorf("write alert %s as JSON: %w", a.ID, err)
	}
	// Bytes would be sent as base64.
	if err := e.SetData(cloudevents.ApplicationJSON, json.RawMessage(data)); err != nil {
		return cloudevents.Event{}, fmt.Errorf("put alert %s into an event: %w", a.ID, err)
	}
	if err := e.Validate(); err != nil {
		return cloudevents.Event{}, fmt.Errorf("make an event of alert %s: %w", a.ID, err)
	}
	return e, nil
}

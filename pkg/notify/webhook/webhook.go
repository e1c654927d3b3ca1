// Package webhook sends messages to programs: CloudEvents 1.0 in structured JSON, with the signature headers of Standard
// Webhooks.
//
// It does not ask receivers for their consent first (the abuse protection of the CloudEvents webhook specification).
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/notify/outbound"
	"github.com/assay-sec/assay/pkg/rule"
)

// DigestType is the CloudEvents type of a message that carries several alerts. Its data is a DigestData.
const DigestType = "sec.assay.alerts.v1"

// DigestData lists the alerts of a message, the gravest first.
type DigestData struct {
	Form   notify.Form `json:"form"` // bundle or digest
	Alerts []Entry     `json:"alerts"`
}

// Entry is what a digest tells of an alert. The rest of it stands in the store.
type Entry struct {
	ID       alert.ID          `json:"id"`
	Revision int64             `json:"revision"`
	Change   notify.ChangeKind `json:"change"`
	Rule     string            `json:"ruleId"`
	Tenant   string            `json:"tenantId"`
	Severity rule.Severity     `json:"severity"`
	Strength rule.Strength     `json:"strength"`
	Status   alert.Status      `json:"status"`
	Count    int64             `json:"count"`
	First    time.Time         `json:"firstSeen"`
	Last     time.Time         `json:"lastSeen"`
}

// Options are what a Notifier is made of.
type Options struct {
	Client outbound.Options
	Source string          // CloudEvents source: a URI reference that names the installation
	Keys   []notify.Secret // "whsec_" and base64; the first is current, the others are on their way out; none: no signature
}

// Notifier sends messages to one webhook.
type Notifier struct {
	client *outbound.Client
	source string
	keys   [][]byte
	now    func() time.Time
}

var _ notify.Notifier = (*Notifier)(nil)

// New returns a notifier for the URL.
func New(address notify.Secret, o Options) (*Notifier, error) {
	c, err := outbound.New(address, o.Client)
	if err != nil {
		return nil, err
	}
	n := &Notifier{client: c, source: o.Source, now: o.Client.Now}
	for _, k := range o.Keys {
		key, err := ParseKey(k)
		if err != nil {
			return nil, err
		}
		n.keys = append(n.keys, key)
	}
	return n, nil
}

// ErrKey says that a signing key is not in the form of Standard Webhooks.
var ErrKey = errors.New("a signing key is to be whsec_ and base64 of 24 to 64 bytes")

// ParseKey reads a signing key.
func ParseKey(s notify.Secret) ([]byte, error) {
	text, ok := strings.CutPrefix(s.Reveal(), "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, ErrKey
	}
	return key, nil
}

// Notify implements notify.Notifier.
func (n *Notifier) Notify(ctx context.Context, m *notify.Message) error {
	body, err := n.body(m)
	if err != nil {
		return &notify.Failure{Remedy: notify.Park, Reason: "the message cannot be written as an event"}
	}
	// In lower case: the SDK for JavaScript knows no other spelling.
	header := http.Header{"Content-Type": {cloudevents.ApplicationCloudEventsJSON + "; charset=utf-8"}}
	n.sign(header, m.Key, body)
	return n.client.Post(ctx, header, body)
}

// sign adds the headers of Standard Webhooks: one signature for each key.
func (n *Notifier) sign(header http.Header, key string, body []byte) {
	at := strconv.FormatInt(n.now().Unix(), 10)
	header["webhook-id"] = []string{key}
	header["webhook-timestamp"] = []string{at}
	var signatures []string
	for _, k := range n.keys {
		mac := hmac.New(sha256.New, k)
		_, _ = fmt.Fprintf(mac, "%s.%s.%s", key, at, body) // a hash never fails
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	if len(signatures) > 0 {
		header["webhook-signature"] = []string{strings.Join(signatures, " ")}
	}
}

// body writes a single alert as the event that package alert makes of it, several as a list.
func (n *Notifier) body(m *notify.Message) ([]byte, error) {
	if m.Form == notify.Single && len(m.Items) == 1 {
		e, err := m.Items[0].Alert.CloudEvent(n.source)
		if err != nil {
			return nil, err
		}
		e.SetExtension("change", string(m.Items[0].Change))
		return json.Marshal(e)
	}
	data := DigestData{Form: m.Form, Alerts: make([]Entry, len(m.Items))}
	e := cloudevents.New(cloudevents.CloudEventsVersionV1)
	e.SetID(m.Key)
	e.SetSource(n.source)
	e.SetType(DigestType)
	for i := range m.Items {
		a := &m.Items[i].Alert
		data.Alerts[i] = Entry{
			ID: a.ID, Revision: a.Revision, Change: m.Items[i].Change, Rule: a.Rule.ID, Tenant: a.Tenant,
			Severity: a.Severity, Strength: a.Strength, Status: a.Status, Count: a.Count, First: a.First, Last: a.Last,
		}
		if a.Last.After(e.Time()) {
			e.SetTime(a.Last)
		}
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	if err := e.SetData(cloudevents.ApplicationJSON, json.RawMessage(raw)); err != nil {
		return nil, err
	}
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return json.Marshal(e)
}

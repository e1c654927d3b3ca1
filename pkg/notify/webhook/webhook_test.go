package webhook_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/notify/notifytest"
	"github.com/assay-sec/assay/pkg/notify/outbound"
	"github.com/assay-sec/assay/pkg/notify/webhook"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	notifytest.RunHTTP(t, func(s notifytest.Setup) (notify.Notifier, error) {
		return webhook.New(s.URL, webhook.Options{
			Client: outbound.Options{Local: s.Local, Timeout: s.Timeout, TLS: s.TLS, Now: s.Now}, Source: "urn:assay:test",
		})
	})
}

// post returns what a receiver gets of the message.
func post(t *testing.T, m *notify.Message, at time.Time, keys ...notify.Secret) (http.Header, []byte) {
	t.Helper()
	var header http.Header
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
	}))
	defer server.Close()
	n, err := webhook.New(notify.NewSecret(server.URL), webhook.Options{
		Client: outbound.Options{Local: true, Now: func() time.Time { return at }}, Source: "urn:assay:test", Keys: keys,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return header, body
}

func TestEvents(t *testing.T) {
	t.Parallel()
	one := notifytest.Message(1)
	header, body := post(t, one, time.Unix(1614265330, 0))
	var e cloudevents.Event
	if err := json.Unmarshal(body, &e); err != nil || e.Validate() != nil {
		t.Fatalf("%v, %v", err, e.Validate())
	}
	var a alert.Alert
	if err := e.DataAs(&a); err != nil {
		t.Fatal(err)
	}
	if header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" || e.Type() != alert.EventType ||
		e.ID() != string(one.Items[0].Alert.ID)+".24" || a.ID != one.Items[0].Alert.ID || e.Extensions()["change"] != "new" {
		t.Errorf("%v\n%s", header, body)
	}
	if header.Get("webhook-id") != one.Key || header.Get("webhook-timestamp") != "1614265330" || header.Get("webhook-signature") != "" {
		t.Errorf("%v", header)
	}
	_, body = post(t, notifytest.Message(3), time.Unix(1614265330, 0))
	e = cloudevents.Event{}
	var data webhook.DigestData
	if err := json.Unmarshal(body, &e); err != nil || e.Validate() != nil || e.DataAs(&data) != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	if e.Type() != webhook.DigestType || len(data.Alerts) != 3 || data.Form != notify.Bundle || e.ID() != "k3y" {
		t.Errorf("%s", body)
	}
	if _, body = post(t, notifytest.Message(1000), time.Unix(1614265330, 0)); len(body) > 512<<10 {
		t.Errorf("a digest of a thousand alerts has %d bytes", len(body))
	}
}

// Each key has its own signature, so that a receiver may change keys at leisure.
func TestSignatures(t *testing.T) {
	t.Parallel()
	const current, old = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	header, _ := post(t, notifytest.Message(1), time.Unix(1614265330, 0), notify.NewSecret(current), notify.NewSecret(old))
	signatures := strings.Fields(header.Get("webhook-signature"))
	if len(signatures) != 2 || signatures[0] == signatures[1] || !strings.HasPrefix(signatures[0], "v1,") || !strings.HasPrefix(signatures[1], "v1,") {
		t.Errorf("%q", signatures)
	}
	for _, bad := range []string{"", "whsec_", "whsec_!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ="} {
		_, err := webhook.New(notify.NewSecret("https://hook.example"), webhook.Options{
			Client: outbound.Options{Now: time.Now}, Keys: []notify.Secret{notify.NewSecret(bad)},
		})
		if err == nil || bad != "" && bad != "whsec_" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

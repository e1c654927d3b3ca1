//go:build peers

// Package notify verifies what subscribers receive with libraries of others.
package notify

import (
	"bytes"
	"encoding/json"
	"flag"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/internal/peers"
	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/notify/outbound"
	"github.com/assay-sec/assay/pkg/notify/webhook"
	"github.com/assay-sec/assay/pkg/rule"
)

var update = flag.Bool("update", false, "write the picture of the card anew")

func TestMain(m *testing.M) { peers.Main(m) }

// The signature, with a key on its way in and one on its way out, and the event, of a single alert and of a digest.
func TestWebhook(t *testing.T) {
	t.Parallel()
	const (
		current  = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
		outgoing = "whsec_OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2"
		wrong    = "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4"
	)
	type request struct {
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
		Secrets []string          `json:"secrets"`
		Wrong   string            `json:"wrong"`
	}
	var got request
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = request{Headers: map[string]string{}, Body: string(body), Secrets: []string{current, outgoing}, Wrong: wrong}
		for k := range r.Header {
			got.Headers[strings.ToLower(k)] = r.Header.Get(k)
		}
	}))
	defer receiver.Close()
	n, err := webhook.New(notify.NewSecret(receiver.URL), webhook.Options{
		Client: outbound.Options{Local: true, Now: time.Now}, Source: "https://assay.contoso.example",
		Keys: []notify.Secret{notify.NewSecret(current), notify.NewSecret(outgoing)},
	})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC)
	a := alert.Alert{
		ID: "20260301-aaaaaaaaaaaaaaaaaaaaaaaaaa", Tenant: "3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11", Day: "2026-03-01",
		Rule: alert.RuleRef{ID: "mailbox-consumer-tenant-token", Title: "Ünïcode ✓ \u2028 <b>", Version: 1}, Severity: rule.Critical,
		Strength: rule.Strong, Stage: rule.Enabled, Status: alert.Open, Count: 12, Revision: 24, First: at, Last: at, Facts: []rule.Fact{},
	}
	item := notify.Item{Alert: a, Change: notify.New}
	for _, m := range []*notify.Message{
		{Key: "k1", Form: notify.Single, Items: []notify.Item{item}},
		{Key: "k2", Form: notify.Digest, Items: []notify.Item{item, item}},
	} {
		if err := n.Notify(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		input, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			Secrets          []bool
			Wrong, Tampered  bool
			ID, Type, Source string
			Data             json.RawMessage
		}
		if err := json.Unmarshal(peers.Node(t, "notify/verify.mjs", bytes.NewReader(input)), &said); err != nil {
			t.Fatal(err)
		}
		if len(said.Secrets) != 2 || !said.Secrets[0] || !said.Secrets[1] || said.Wrong || said.Tampered {
			t.Errorf("%s: the secrets verify: %v, another: %v, a body that was changed: %v", m.Form, said.Secrets, said.Wrong, said.Tampered)
		}
		want := map[notify.Form]string{notify.Single: alert.EventType, notify.Digest: webhook.DigestType}[m.Form]
		if said.Type != want || said.Source != "https://assay.contoso.example" || said.ID == "" || !bytes.Contains(said.Data, []byte(a.ID)) {
			t.Errorf("%s: %+v", m.Form, said)
		}
	}
}

// Microsoft's own library finds nothing to complain of in the cards, and does in one that is wrong.
func TestCards(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../notify/teams/testdata/*.golden.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no cards", err)
	}
	cards := map[string]json.RawMessage{
		"wrong":              json.RawMessage(`{"attachments":[{"content":{"type":"AdaptiveCard","version":"1.4","body":[{"type":"TextBlocc"},{"type":"TextBlock","size":"Enormous"}]}}]}`),
		"of a later version": json.RawMessage(`{"attachments":[{"content":{"type":"AdaptiveCard","version":"1.4","body":[{"type":"Table","columns":[],"rows":[]}]}}]}`),
		"with a property that there is not": json.RawMessage(`{"attachments":[{"content":{"type":"AdaptiveCard","version":"1.4",
			"body":[{"type":"RichTextBlock","inlines":[{"type":"TextRun","text":"x","colour":"Good"}]}]}}]}`),
	}
	for _, f := range files {
		if cards[filepath.Base(f)], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	input, err := json.Marshal(cards)
	if err != nil {
		t.Fatal(err)
	}
	var faults map[string][]string
	if err := json.Unmarshal(peers.Node(t, "notify/cards.mjs", bytes.NewReader(input)), &faults); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"wrong", "of a later version", "with a property that there is not"} {
		if len(faults[name]) == 0 {
			t.Errorf("the library finds no fault with a card that is %s", name)
		}
		delete(faults, name)
	}
	for name, found := range faults {
		if len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// The card on a phone, as Microsoft's library draws it. The picture is the README's; fonts differ from machine to machine, so
// it is not compared.
func TestPicture(t *testing.T) {
	t.Parallel()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium to draw the card: apt-get install chromium")
	}
	card, err := os.ReadFile("../../../notify/teams/testdata/new.golden.json")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "card.png")
	if *update {
		if file, err = filepath.Abs("../../../notify/teams/testdata/card.png"); err != nil {
			t.Fatal(err)
		}
	}
	peers.Node(t, "notify/picture.mjs", bytes.NewReader(card), file, browser)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // read only
	picture, err := png.DecodeConfig(f)
	if err != nil || picture.Width < 400 || picture.Height < 800 {
		t.Errorf("%+v, %v", picture, err)
	}
}

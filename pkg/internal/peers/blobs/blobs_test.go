//go:build peers

// Package blobs holds the sources of replays that stand in blobs against Azurite: the same records out of Capture, out of an
// archive and out of a file give the same alerts.
package blobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/hamba/avro/v2/ocf"

	"github.com/assay-sec/assay/pkg/bench/corpus/captured"
	"github.com/assay-sec/assay/pkg/cli"
	"github.com/assay-sec/assay/pkg/internal/peers"
	"github.com/assay-sec/assay/pkg/replay"
	"github.com/assay-sec/assay/pkg/replay/archive"
	"github.com/assay-sec/assay/pkg/replay/blobs"
)

func TestMain(m *testing.M) { peers.Main(m) }

const victim = "8f1d6c3a-52e7-4b90-9c0e-6a4d17f2b385"

var begin = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// token is a forged token that an application saw, one a minute.
func token(i int) string {
	return fmt.Sprintf(`{"kind":"token-observation","schemaVersion":1,"id":"o-%d","tenantId":%q,"time":%q,"observer":{"name":"apim-orders","type":"apim"},`+
		`"validation":{"result":"accepted","signaturePresent":true,"segments":3},"header":{"alg":"RS256","typ":"JWT","kid":"1LTMzakihiRla_8z2BEJVXeWMqo"},`+
		`"claims":{"iss":"https://login.microsoftonline.com/%s/v2.0","tid":%q,"aud":"api://orders-%d","ver":"2.0","uti":"xMFjTVvJPE2OChJx_YE-AA"}}`,
		i, victim, begin.Add(time.Duration(i)*time.Minute).Format(time.RFC3339), victim, victim, i%3)
}

func avro(t *testing.T, codec ocf.CodecName, from, to int) []byte {
	t.Helper()
	var out bytes.Buffer
	enc, err := ocf.NewEncoder(captured.Schema, &out, ocf.WithCodec(codec), ocf.WithBlockLength(7))
	if err != nil {
		t.Fatal(err)
	}
	for i := from; i < to; i++ {
		err := enc.Encode(map[string]any{
			"SequenceNumber": int64(i), "Offset": fmt.Sprint(i * 100), "EnqueuedTimeUtc": begin.Add(time.Duration(i) * time.Minute).Format("1/2/2006 3:04:05 PM"),
			"SystemProperties": map[string]any{"x-opt-enqueued-time": int64(i)}, "Properties": map[string]any{"p": "v"}, "Body": []byte(token(i)),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// result is what a replay found of the window.
type result struct {
	Replay struct {
		Gaps     []any `json:"gaps"`
		Counters struct {
			Records, Evaluated, Unselected int64
		} `json:"counters"`
		Findings struct{ New, Known int64 } `json:"findings"`
	} `json:"replay"`
	Alerts []struct {
		ID    string `json:"id"`
		Count int64  `json:"count"`
	} `json:"alerts"`
}

func replayed(t *testing.T, connection, db string, sources ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	sys := cli.Process("test")
	sys.Out, sys.Err = &out, &errs
	sys.Getenv = func(name string) string { return map[string]string{"ASSAY_BLOBS": connection, "USER": "ana"}[name] }
	args := []string{"replay", "--store", db, "--output", "json", "--reason", "test", "--from", "2026-03-01T10:20:00Z", "--to", "2026-03-01T11:40:00Z"}
	if code := cli.Main(context.Background(), sys, append(args, sources...)); code != 0 {
		t.Fatalf("%v: exit code %d\n%s", sources, code, errs.String())
	}
	var r result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	return r
}

func TestTheSameAlertsOutOfCaptureAndOutOfTheArchive(t *testing.T) {
	t.Parallel()
	a := peers.StartAzurite(t)
	client, err := azblob.NewClientFromConnectionString(a.ConnectionString, nil)
	if err != nil {
		t.Fatal(err)
	}
	put := func(container, name string, body []byte) {
		_, _ = client.CreateContainer(t.Context(), container, nil) // it may be there
		if _, err := client.UploadBuffer(t.Context(), container, name, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	const n = 130
	var lines bytes.Buffer
	hours := map[int]*bytes.Buffer{}
	for i := range n {
		lines.WriteString(token(i) + "\n")
		h := begin.Add(time.Duration(i) * time.Minute).Hour()
		if hours[h] == nil {
			hours[h] = &bytes.Buffer{}
		}
		hours[h].WriteString(token(i) + "\r\n")
	}
	put("capture", "ns/tokens/0/2026/03/01/10/00/00.avro", avro(t, ocf.Null, 0, 60))
	put("capture", "ns/tokens/1/2026/03/01/11/00/00.avro", avro(t, ocf.Deflate, 60, n))
	put("capture", "ns/other/1/2026/03/01/11/00/00.avro", avro(t, ocf.Deflate, 60, 70))
	for h, body := range hours {
		put("insights-logs-tokens", fmt.Sprintf("tenantId=%s/y=2026/m=03/d=01/h=%02d/m=00/PT1H.json", victim, h), body.Bytes())
	}
	file := filepath.Join(t.TempDir(), "tokens.jsonl")
	if err := os.WriteFile(file, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	want := replayed(t, a.ConnectionString, filepath.Join(dir, "files.db"), file)
	if want.Replay.Counters.Evaluated != 80 || want.Replay.Counters.Unselected != 50 || len(want.Alerts) < 2 {
		t.Fatalf("out of the file: %+v", want)
	}
	for name, source := range map[string]string{"capture": a.BlobURL + "/capture/ns/tokens", "archive": a.BlobURL + "/insights-logs-tokens"} {
		got := replayed(t, a.ConnectionString, filepath.Join(dir, name+".db"), source)
		if !slices.Equal(got.Alerts, want.Alerts) || got.Replay.Counters != want.Replay.Counters || got.Replay.Findings != want.Replay.Findings {
			t.Errorf("%s: %+v\nwant %+v", name, got, want)
		}
		if len(got.Replay.Gaps) != 1 {
			t.Errorf("%s: gaps %v: the window begins before what is kept", name, got.Replay.Gaps)
		}
		again := replayed(t, a.ConnectionString, filepath.Join(dir, "files.db"), source)
		if again.Replay.Findings.New != 0 {
			t.Errorf("%s where the file has been: %+v", name, again.Replay.Findings)
		}
	}
}

// The blob of the hour at hand grows while it is read. A replay sees what was there when it was planned, and so does one that
// goes on in the middle of it.
func TestAnArchiveThatGrows(t *testing.T) {
	t.Parallel()
	a := peers.StartAzurite(t)
	at, err := container.NewClientFromConnectionString(a.ConnectionString, "insights-logs-growing", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := at.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	hour := at.NewAppendBlobClient(fmt.Sprintf("tenantId=%s/y=2026/m=03/d=01/h=10/m=00/PT1H.json", victim))
	if _, err := hour.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	grow := func(from, to int) {
		t.Helper()
		var lines strings.Builder
		for i := from; i < to; i++ {
			lines.WriteString(token(i) + "\r\n")
		}
		if _, err := hour.AppendBlock(t.Context(), streaming.NopCloser(strings.NewReader(lines.String())), nil); err != nil {
			t.Fatal(err)
		}
	}
	opened, err := blobs.OpenEmulator(a.ConnectionString, "insights-logs-growing")
	if err != nil {
		t.Fatal(err)
	}
	source := archive.Source{Container: opened, Name: "insights-logs-growing", PageRecords: 7}
	window := replay.Window{From: begin, To: begin.Add(time.Hour)}
	plan := func() replay.Plan {
		t.Helper()
		p, err := source.Plan(t.Context(), window)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	read := func(r replay.Range, position string, pages int) (records int, last string) {
		t.Helper()
		in, err := source.Open(t.Context(), r, position)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = in.Close() }()
		for last = position; pages != 0; pages-- {
			page, err := in.Next(t.Context())
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for last = page.Position; err == nil; {
				if _, err = page.Records.Next(); err == nil {
					records++
				}
			}
		}
		return records, last
	}
	if p := plan(); len(p.Ranges) != 0 {
		t.Errorf("nothing is there, and planned is %+v", p.Ranges)
	}
	grow(0, 20)
	first := plan()
	if len(first.Ranges) != 1 {
		t.Fatalf("planned %+v", first)
	}
	half, position := read(first.Ranges[0], "", 2)
	grow(20, 45)
	rest, _ := read(first.Ranges[0], position, -1)
	whole, _ := read(first.Ranges[0], "", -1)
	later, _ := read(plan().Ranges[0], "", -1)
	if half != 14 || rest != 6 || whole != 20 || later != 45 {
		t.Errorf("read %d, then %d, all %d, of a later plan %d; want 14, 6, 20, 45", half, rest, whole, later)
	}
}

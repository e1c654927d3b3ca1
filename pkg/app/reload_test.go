package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/api"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/config/reload"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

// blobs is a storage account of one container: documents with ETags.
type blobs struct {
	mu     sync.Mutex
	text   map[string]string
	writes map[string]int
	reads  atomic.Int64
}

func (b *blobs) put(name, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text[name] = text
	b.writes[name]++
}

func (b *blobs) get(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text[name]
}

func (b *blobs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path
	if r.Method == http.MethodPut {
		text, err := io.ReadAll(r.Body)
		if err == nil {
			b.put(name, string(text))
		}
		w.WriteHeader(http.StatusCreated)
		return
	}
	b.reads.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	tag := fmt.Sprintf(`"%d"`, b.writes[name])
	switch {
	case b.writes[name] == 0:
		w.Header().Set("x-ms-error-code", "BlobNotFound")
		w.WriteHeader(http.StatusNotFound)
	case r.Header.Get("If-None-Match") == tag:
		w.WriteHeader(http.StatusNotModified)
	default:
		w.Header().Set("ETag", tag)
		w.Header().Set("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
		_, _ = io.WriteString(w, b.text[name])
	}
}

const document = "/devstoreaccount1/config/assay.yaml"

func serveBlobs(t *testing.T) (*blobs, map[string]string) {
	t.Helper()
	b := &blobs{text: map[string]string{}, writes: map[string]int{}}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	return b, map[string]string{
		app.SettingConfig: server.URL + document, "ConfigStore": "AccountName=devstoreaccount1;AccountKey=c2VjcmV0",
		app.SettingStore: app.EmbeddedStore(filepath.Join(t.TempDir(), "assay.db")),
	}
}

// tally adds up the numbers of what is logged.
type tally struct {
	slog.Handler
	mu   sync.Mutex
	sums map[string]int64
	said map[string]int
}

func (l *tally) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said[r.Message]++
	r.Attrs(func(a slog.Attr) bool {
		if a.Value.Kind() == slog.KindInt64 {
			l.sums[a.Key] += a.Value.Int64()
		}
		return true
	})
	return nil
}
func (l *tally) Enabled(context.Context, slog.Level) bool { return true }

// Documents change, and some are wrong, while thousands of events come in from several partitions: each event is accounted for,
// each forged one is found, and each batch is evaluated under one configuration.
func TestReloadUnderLoadDropsNothing(t *testing.T) {
	t.Parallel()
	const (
		partitions = 4
		batches    = 100 // of a partition
		each       = 10  // records of a batch, of which the first and the last are forged
	)
	account, settings := serveBlobs(t)
	good := []string{"tenants: []\n", "rules:\n  " + consumerToken + ": {severity: low}\n", `suppressions:
  - name: half
    rules: [` + consumerToken + `]
    match: {users: [ambassador@contoso.example]}
    reason: a test
    owner: kim
    expires: 2030-12-31
`}
	hashes := map[string]bool{}
	for _, text := range good {
		c, err := config.Parse("assay.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		hashes[c.Hash] = true
	}
	account.put(document, good[0])
	var ticks atomic.Int64
	clock := func() time.Time { return now().Add(time.Duration(ticks.Add(1)) * 3 * time.Second) }
	log := &tally{sums: map[string]int64{}, said: map[string]int{}}
	s, err := app.NewService(t.Context(), func(k string) string { return settings[k] }, "1.0", slog.New(log), clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})

	stop := make(chan struct{})
	var writer, readers sync.WaitGroup
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if i%3 == 2 {
				account.put(document, "rulez: {}\n")
			} else {
				account.put(document, good[i%len(good)])
			}
			for was := account.reads.Load(); account.reads.Load() == was; { // until somebody has looked
				select {
				case <-stop:
					return
				default:
				}
			}
		}
	})
	ingest := s.Ingest("events")
	for p := range partitions {
		readers.Go(func() {
			for b := range batches {
				if err := deliver(t.Context(), ingest, p, b, each); err != nil {
					t.Error(err)
				}
			}
		})
	}
	readers.Wait()
	close(stop)
	writer.Wait()

	const total = partitions * batches * each
	if n := log.sums; n["records"] != total || n["evaluated"]+n["ignored"]+n["setAside"] != total || n["setAside"] != partitions*batches {
		t.Errorf("%d records = %d evaluated + %d ignored + %d set aside, of %d", n["records"], n["evaluated"], n["ignored"], n["setAside"], total)
	}
	used := map[string]int{}
	found := 0
	db, err := app.OpenExistingStore(t.Context(), strings.TrimPrefix(settings[app.SettingStore], "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test's
	for a, err := range db.Alerts(t.Context(), store.Query{Rules: []string{consumerToken}, MinStage: rule.Observe}) {
		if err != nil {
			t.Fatal(err)
		}
		under := ""
		for f, err := range db.Findings(t.Context(), a.Tenant, a.ID) {
			if err != nil {
				t.Fatal(err)
			}
			found++
			_, hash, _ := strings.Cut(f.From.Reference, "+")
			if under == "" {
				under = hash
			}
			if hash != under || !hashes[hash] {
				t.Errorf("a batch was evaluated under %q and %q", under, hash)
			}
		}
		used[under]++
	}
	if found != 2*partitions*batches {
		t.Errorf("%d findings of %d forged events", found, 2*partitions*batches)
	}
	if len(used) < 2 || log.said["the configuration is not used: what was in use stays"] == 0 {
		t.Errorf("nothing was reloaded: %v, %v", used, log.said)
	}
}

// deliver hands a batch over: forged mailbox accesses at both ends, ordinary ones and one that is broken between them.
func deliver(ctx context.Context, h azfunc.Handler, partition, batch, each int) error {
	var records, sequences []string
	for i := range each {
		record := strings.ReplaceAll(forged, "00000001-1111", fmt.Sprintf("%04d%04d-%04d", partition, batch, i))
		record = strings.Replace(record, `"Workload"`, fmt.Sprintf(`"MailboxGuid":"00000000-0000-4000-8000-%06d%06d","Workload"`, partition, batch), 1)
		switch {
		case i == 1:
			record = "{"
		case 0 < i && i < each-1:
			record = strings.ReplaceAll(record, "9188040d-6c67-4c5b-b112-36a304b66dad", "3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11")
		}
		records = append(records, record)
		sequences = append(sequences, fmt.Sprint(batch*each+i))
	}
	payload, err := json.Marshal(records)
	if err != nil {
		return err
	}
	quoted, err := json.Marshal(string(payload))
	if err != nil {
		return err
	}
	in, err := azfunc.Parse("mailbox", http.Header{}, `{"Data":{"events":`+string(quoted)+`},"Metadata":{"PartitionContext":{"EventHubName":"mailbox","PartitionId":"`+
		fmt.Sprint(partition)+`"},"SequenceNumberArray":"[`+strings.Join(sequences, ",")+`]"}}`)
	if err != nil {
		return err
	}
	_, err = h.Invoke(ctx, in)
	return err
}

// An instance that starts while the document is broken uses the last good one, says so in its health, and never ends for it.
func TestStartingWithABrokenDocument(t *testing.T) {
	t.Parallel()
	account, settings := serveBlobs(t)
	at := now()
	var mu sync.Mutex
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return at
	}
	health := func(s *app.Service) (int, api.Report) {
		t.Helper()
		w := httptest.NewRecorder()
		s.Health().Get(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/health", nil))
		var r api.Report
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		return w.Code, r
	}
	for _, c := range []struct {
		name, write, status, source string
	}{
		{"nothing there", "", "degraded", reload.FromBuiltin},
		{"a good one", "tenants: []\n", "ok", reload.FromDocument},
		{"a broken one", "tenants: {}\n", "degraded", reload.FromGood},
	} {
		if c.write != "" {
			account.put(document, c.write)
		}
		s, err := app.NewService(t.Context(), func(k string) string { return settings[k] }, "1.0", slog.New(slog.DiscardHandler), clock)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if code, r := health(s); code != http.StatusOK || r.Status != c.status || r.Configuration.Source != c.source || (r.Configuration.Trouble == "") != (c.status == "ok") {
			t.Errorf("%s: %d, %+v", c.name, code, r)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := account.get(document + ".good"); got != "tenants: []\n" {
		t.Errorf("%q is kept as the last good one", got)
	}
}

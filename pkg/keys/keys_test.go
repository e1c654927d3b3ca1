package keys_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/keys"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

const (
	stolen    = "1LTMzakihiRla_8z2BEJVXeWMqo"
	successor = "bW8ZcMjBCnJZS-ibX5UQDNStvx4"
	tenant    = "8f1d6c3a-52e7-4b90-9c0e-6a4d17f2b385"
)

func recorded(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func history(t *testing.T) *keys.History {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "keys.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &keys.History{State: s}
}

func load(t *testing.T, h *keys.History) map[string]reference.Key {
	t.Helper()
	s, err := h.Load(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]reference.Key{}
	for _, k := range s.Keys {
		out[k.KID] = k
	}
	return out
}

func TestParseReadsRecordedDocuments(t *testing.T) {
	t.Parallel()
	at := time.Date(2019, 2, 10, 12, 0, 0, 0, time.UTC)
	d, err := keys.Parse(recorded(t, "2019-02-10-common-v2"), "common", at)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(d.Keys, func(k reference.Key) bool { return k.KID == stolen })
	if len(d.Keys) != 5 || i < 0 {
		t.Fatalf("%d keys", len(d.Keys))
	}
	k := d.Keys[i]
	if k.SHA1 != "d4b4cccda9228624656bff33d8110955779632aa" || !strings.Contains(k.Issuer, reference.ConsumerTenant) ||
		!k.NotAfter.Equal(time.Date(2021, 4, 4, 14, 43, 35, 0, time.UTC)) || !k.FirstSeen.Equal(at) {
		t.Errorf("the stolen key is %+v", k)
	}
}

func TestParseRefusesWhatIsNoKeysDocument(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing": "", "HTML": "<!DOCTYPE html><html><body>Sign in</body></html>", "a list": `[{"kid":"a","kty":"RSA"}]`,
		"another object": `{"issuer":"https://login.microsoftonline.com/{tenantid}/v2.0"}`, "no keys": `{"keys":[]}`,
		"keys of another kind": `{"keys":"a"}`, "a key without kid": `{"keys":[{"kty":"RSA"}]}`, "a key without kty": `{"keys":[{"kid":"a"}]}`,
		"a kid that hides": `{"keys":[{"kid":"a\u202eb","kty":"RSA"}]}`, "half": `{"keys":[{"kid":"a","kty":"RSA"`,
		"a broken certificate": `{"keys":[{"kid":"a","kty":"RSA","x5c":["!!"]}]}`,
		"too many keys":        `{"keys":[` + strings.TrimSuffix(strings.Repeat(`{"kid":"a","kty":"RSA"},`, 501), ",") + `]}`,
		"too much":             `{"keys":[{"kid":"a","kty":"RSA"}]` + strings.Repeat(" ", 1<<20) + `}`,
	} {
		if _, err := keys.Parse([]byte(text), "common", time.Time{}); !errors.Is(err, keys.ErrDocument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kid":"a","kty":"RSA","x5c":["YWJj"],"issuer":"https://login.microsoftonline.com/{tenantid}/v2.0"}]}`))
	f.Add([]byte(`{"keys":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := keys.Parse(body, "common", time.Unix(1, 0))
		if err != nil {
			return
		}
		for _, k := range d.Keys {
			if k.KID == "" {
				t.Error("a key without kid")
			}
		}
	})
}

// publisher answers each document with what it is told to.
type publisher struct {
	mu      sync.Mutex
	answers map[string]http.HandlerFunc
}

func (p *publisher) set(document string, answer http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[document] = answer
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	document, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if answer := p.answers[document]; answer != nil && rest == "discovery/v2.0/keys" {
		answer(w, r)
		return
	}
	http.NotFound(w, r)
}

func publish(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(body)
	}
}

func TestRefreshForgetsNothing(t *testing.T) {
	t.Parallel()
	p := &publisher{answers: map[string]http.HandlerFunc{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	h, at := history(t), time.Date(2021, 3, 29, 12, 7, 0, 0, time.UTC)
	reader := keys.NewReader(func() time.Time { return at }, false)
	documents := append(keys.Common(), tenant)
	refresh := func() keys.Refreshed {
		t.Helper()
		done, err := keys.Refresh(t.Context(), reader, h, server.URL, documents)
		if err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Hour)
		return done
	}
	p.set("common", publish(recorded(t, "2021-03-29-common-v2")))
	p.set("consumers", publish(recorded(t, "2016-07-29-consumers-v2")))
	p.set("organizations", publish(recorded(t, "2019-02-10-common-v2")))
	p.set(tenant, publish([]byte(`{"keys":[{"kid":"own key?","kty":"RSA","issuer":"https://login.microsoftonline.com/`+tenant+`/v2.0"}]}`)))
	if done := refresh(); len(done.Read) != 4 || len(done.Failed) != 0 || !slices.Contains(done.Added, stolen) || !slices.Contains(done.Added, "own key?") {
		t.Fatalf("%+v", done)
	}
	first := load(t, h)
	if done := refresh(); len(done.Added) != 0 {
		t.Errorf("the same documents again brought %v", done.Added)
	}

	// Whatever else answers, nothing is taken back.
	for name, answer := range map[string]http.HandlerFunc{
		"HTML": func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>maintenance</html>") },
		"an error": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"keys":[{"kid":"error","kty":"RSA"}]}`, http.StatusServiceUnavailable)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/consumers/discovery/v2.0/keys", http.StatusFound)
		},
		"a giant": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, `{"keys":[{"kid":"giant","kty":"RSA"}],"x":"`)
			for range 64 {
				_, _ = fmt.Fprint(w, strings.Repeat("x", 64<<10))
			}
			_, _ = fmt.Fprint(w, `"}`)
		},
		"half": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4096")
			_, _ = fmt.Fprint(w, `{"keys":[{"kid":"half","kty":"RSA"}`)
		},
		"a document without keys": publish([]byte(`{"keys":[]}`)),
		"a connection that ends":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		p.set("common", answer)
		done := refresh()
		if done.Failed["common"] == nil || len(done.Failed) != 1 || len(done.Read) != 3 {
			t.Errorf("%s: %+v", name, done)
		}
	}
	// The stolen key leaves the documents, and its kid comes back over another certificate.
	p.set("common", publish(recorded(t, "2024-02-02-common-v2")))
	p.set("consumers", publish([]byte(`{"keys":[{"kid":"`+stolen+`","kty":"RSA","x5c":["YWJj"]},{"kid":"next","kty":"RSA"}]}`)))
	p.set("organizations", publish(recorded(t, "2024-02-02-common-v2")))
	done := refresh()
	if err := done.Failed["consumers"]; err == nil || !strings.Contains(err.Error(), "another certificate") || !slices.Contains(done.Added, "next") {
		t.Errorf("another certificate: %+v", done)
	}
	now := load(t, h)
	for kid, k := range first {
		after, ok := now[kid]
		if !ok || after.SHA1 != k.SHA1 || after.Issuer != k.Issuer || !after.FirstSeen.Equal(k.FirstSeen) || after.LastSeen.Before(k.LastSeen) {
			t.Errorf("%s was %+v and is %+v", kid, k, after)
		}
	}
}

func TestReadingsDecideWhatWasPublished(t *testing.T) {
	t.Parallel()
	h, start := history(t), time.Date(2024, 2, 1, 0, 7, 0, 0, time.UTC)
	record := func(file string, at time.Time) {
		d, err := keys.Parse(recorded(t, file), "common", at)
		if err == nil {
			_, err = h.Record(t.Context(), d)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	record("2021-03-29-common-v2", start)
	for hour := range 24 * 5 { // four days later the old keys are gone
		record("2024-02-02-common-v2", start.Add(time.Duration(hour+1)*time.Hour))
	}
	ref, err := reference.New()
	if err != nil {
		t.Fatal(err)
	}
	at := start.AddDate(0, 0, 4)
	if got := ref.Published(successor, reference.ConsumerTenant, at); got != reference.NotTold {
		t.Errorf("before the history was read: %v", got)
	}
	source, err := h.Load(t.Context(), start.AddDate(0, 0, -1))
	if err != nil {
		t.Fatal(err)
	}
	under := keys.Under(source, ref.Key)
	if err := ref.Learn(under.Keys, under.Fetches); err != nil {
		t.Fatal(err)
	}
	for kid, want := range map[string]reference.Publication{successor: reference.Withdrawn, "forged": reference.Never} {
		if got := ref.Published(kid, reference.ConsumerTenant, at); got != want {
			t.Errorf("%s: %v, want %v", kid, got, want)
		}
	}
	if got := ref.Published(successor, reference.ConsumerTenant, start.Add(time.Hour)); got != reference.Published {
		t.Errorf("the day on which it was read: %v", got)
	}
	if k, ok := ref.Key(stolen); !ok || k.FirstSeen.Year() != 2016 {
		t.Errorf("the built-in history was not kept: %+v", k)
	}
	// One document of state holds a day of readings.
	if n := len(source.Fetches); n != 121 {
		t.Errorf("%d readings", n)
	}
}

// Several instances that record at once lose nothing.
func TestRecordUnderConcurrency(t *testing.T) {
	t.Parallel()
	h, at := history(t), time.Date(2024, 7, 1, 0, 0, 0, 0, time.UTC)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			d, err := keys.Parse(fmt.Appendf(nil, `{"keys":[{"kid":"shared","kty":"RSA"},{"kid":"k%d","kty":"RSA"}]}`, i), "common", at.Add(time.Duration(i)*time.Minute))
			for err == nil {
				if _, err = h.Record(context.WithoutCancel(t.Context()), d); !errors.Is(err, store.ErrConflict) {
					break
				}
				err = nil // others were faster ten times: the timer comes again
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, err := h.Load(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Keys) != 9 || len(s.Fetches) != 8 {
		t.Errorf("%d keys and %d readings", len(s.Keys), len(s.Fetches))
	}
	for _, k := range s.Keys {
		if k.KID == "shared" && (!k.FirstSeen.Equal(at) || !k.LastSeen.Equal(at.Add(7*time.Minute))) {
			t.Errorf("the shared key was seen from %s to %s", k.FirstSeen, k.LastSeen)
		}
	}
}

// An hour for a day fits into one document, however many keys there are.
func TestADayOfReadingsFits(t *testing.T) {
	t.Parallel()
	h, at := history(t), time.Date(2024, 7, 1, 0, 0, 0, 0, time.UTC)
	for hour := range 24 {
		var list []string
		for i := range 60 {
			list = append(list, fmt.Sprintf(`{"kid":"%027d","kty":"RSA"}`, i+hour%5))
		}
		d, err := keys.Parse([]byte(`{"keys":[`+strings.Join(list, ",")+`]}`), "common", at.Add(time.Duration(hour)*time.Hour))
		if err == nil {
			_, err = h.Record(t.Context(), d)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	doc, err := h.State.Load(t.Context(), "keys.read.common.2024-07-01")
	if err != nil || len(doc.Body) > 16<<10 || !json.Valid(doc.Body) {
		t.Errorf("%d bytes, %v", len(doc.Body), err)
	}
}

func TestReaderKeepsToSafeAddresses(t *testing.T) {
	t.Parallel()
	r := keys.NewReader(time.Now, false)
	for _, address := range []string{"http://login.example/keys", "ftp://login.example/keys", "http://192.0.2.1/keys"} {
		if _, err := r.Read(t.Context(), address, ""); !errors.Is(err, keys.ErrPlain) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, document := range []string{"", "../x", "common/../x", "contoso.example"} {
		if _, err := keys.Address(keys.Authority, document); err == nil {
			t.Errorf("%q has an address", document)
		}
	}
	if got, err := keys.Address(keys.Authority, strings.ToUpper(tenant)); err != nil || got != keys.Authority+"/"+tenant+"/discovery/v2.0/keys" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	ref, err := reference.New()
	if err != nil {
		t.Fatal(err)
	}
	body := `{"keys":[{"kid":"` + stolen + `","kty":"RSA"},{"kid":"RrQqu9rydBVRWmcocuXUb20HGRM","kty":"RSA"},{"kid":"` + successor + `","kty":"RSA","x5c":["YWJj"]},{"kid":"own","kty":"RSA"}]}`
	at := time.Date(2024, 8, 16, 20, 0, 0, 0, time.UTC) // within the dense part of the built-in history
	d, err := keys.Parse([]byte(body), "", at)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range keys.Audit(d, ref, at) {
		got = append(got, string(x.Verdict))
	}
	if want := "stolen withdrawn altered unknown"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

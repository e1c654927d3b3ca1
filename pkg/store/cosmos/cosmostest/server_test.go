package cosmostest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// wall is a clock that the tests set.
type wall struct{ at time.Time }

func (w *wall) now() time.Time { return w.at }

// opaque hides what kind of failure the network had, so that the SDK does not sit out a second before another region.
type opaque struct{ client *http.Client }

func (o opaque) Do(r *http.Request) (*http.Response, error) {
	resp, err := o.client.Do(r)
	if err != nil {
		err = errors.New(err.Error())
	}
	return resp, err
}

// start returns a server with a container that is partitioned by /pk, and the SDK's client of it.
func start(t *testing.T) (*Server, *azcosmos.ContainerClient, *wall) {
	t.Helper()
	clock := &wall{at: time.Unix(1_750_000_000, 0)}
	s := Start(map[string]string{"db/things": "/pk"}, clock.now)
	t.Cleanup(s.Close)
	return s, client(t, s, Key), clock
}

func client(t *testing.T, s *Server, key string) *azcosmos.ContainerClient {
	t.Helper()
	credential, err := azcosmos.NewKeyCredential(key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := azcosmos.NewClientWithKey(s.URL(), credential, &azcosmos.ClientOptions{ClientOptions: azcore.ClientOptions{
		Retry: policy.RetryOptions{MaxRetries: -1}, Transport: opaque{&http.Client{}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	things, err := c.NewContainer("db", "things")
	if err != nil {
		t.Fatal(err)
	}
	return things
}

func key(pk string) azcosmos.PartitionKey { return azcosmos.NewPartitionKeyString(pk) }

func item(pk, id, more string) []byte { return fmt.Appendf(nil, `{"id":%q,"pk":%q%s}`, id, pk, more) }

func create(t *testing.T, c *azcosmos.ContainerClient, pk, id, more string) azcore.ETag {
	t.Helper()
	answer, err := c.CreateItem(t.Context(), key(pk), item(pk, id, more), nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer.ETag
}

// status returns the HTTP status that an error of the SDK is about; 0 for none.
func status(err error) int {
	var e *azcore.ResponseError
	if errors.As(err, &e) {
		return e.StatusCode
	}
	return 0
}

func wantStatus(t *testing.T, what string, err error, want int) {
	t.Helper()
	if status(err) != want {
		t.Errorf("%s: got %v, want status %d", what, err, want)
	}
}

func TestItems(t *testing.T) {
	t.Parallel()
	_, c, _ := start(t)
	ctx := t.Context()
	made, err := c.CreateItem(ctx, key("a"), item("a", "1", `,"n":1`), nil)
	if err != nil || made.ETag == "" || len(made.Value) != 0 || made.RawResponse.StatusCode != http.StatusCreated {
		t.Fatalf("created: ETag %q, body %s, %v", made.ETag, made.Value, err)
	}
	_, err = c.CreateItem(ctx, key("a"), item("a", "1", ""), nil)
	wantStatus(t, "the same id again", err, 409)
	create(t, c, "b", "1", "") // another partition
	read, err := c.ReadItem(ctx, key("a"), "1", nil)
	if err != nil || read.ETag != made.ETag {
		t.Fatalf("read: %v, ETag %q, want %q", err, read.ETag, made.ETag)
	}
	var body map[string]any
	if err := json.Unmarshal(read.Value, &body); err != nil || body["_etag"] != string(made.ETag) || body["_ts"] != 1.75e9 {
		t.Errorf("body %s, %v", read.Value, err)
	}
	for _, where := range [][2]string{{"a", "2"}, {"c", "1"}} {
		_, err = c.ReadItem(ctx, key(where[0]), where[1], nil)
		wantStatus(t, "a missing item", err, 404)
	}
	replaced, err := c.ReplaceItem(ctx, key("a"), "1", item("a", "1", `,"n":2`),
		&azcosmos.ItemOptions{IfMatchEtag: &made.ETag, EnableContentResponseOnWrite: true})
	if err != nil || replaced.ETag == made.ETag || !strings.Contains(string(replaced.Value), `"n":2`) {
		t.Fatalf("replaced: %s, %v", replaced.Value, err)
	}
	stale := &azcosmos.ItemOptions{IfMatchEtag: &made.ETag}
	_, err = c.ReplaceItem(ctx, key("a"), "1", item("a", "1", ""), stale)
	wantStatus(t, "a stale replace", err, 412)
	_, err = c.UpsertItem(ctx, key("a"), item("a", "1", ""), stale)
	wantStatus(t, "a stale upsert", err, 412)
	_, err = c.DeleteItem(ctx, key("a"), "1", stale)
	wantStatus(t, "a stale delete", err, 412)
	_, err = c.ReplaceItem(ctx, key("a"), "2", item("a", "2", ""), nil)
	wantStatus(t, "replacing what is not there", err, 404)
	_, err = c.CreateItem(ctx, key("a"), item("b", "3", ""), nil)
	wantStatus(t, "a key that is not the item's", err, 400)
	_, err = c.CreateItem(ctx, key("a"), item("a", "x/y", ""), nil)
	wantStatus(t, "an id with a slash", err, 400)
	_, err = c.CreateItem(ctx, key("a"), item("a", "4", `,"pad":"`+strings.Repeat("x", 2<<20)+`"`), nil)
	wantStatus(t, "more than two megabytes", err, 413)
	if up, err := c.UpsertItem(ctx, key("a"), item("a", "5", ""), nil); err != nil || up.RawResponse.StatusCode != http.StatusCreated {
		t.Errorf("upsert of a new item: %v", err)
	}
	if up, err := c.UpsertItem(ctx, key("a"), item("a", "5", ""), nil); err != nil || up.RawResponse.StatusCode != http.StatusOK {
		t.Errorf("upsert of an old item: %v", err)
	}
	if _, err := c.DeleteItem(ctx, key("a"), "5", nil); err != nil {
		t.Error(err)
	}
	_, err = c.DeleteItem(ctx, key("a"), "5", nil)
	wantStatus(t, "deleting what is not there", err, 404)
	create(t, c, "é\u2028<&>", "6", "") // keys are compared by value, however they are escaped
	if _, err := c.ReadItem(ctx, key("é\u2028<&>"), "6", nil); err != nil {
		t.Error(err)
	}
}

func ids(t *testing.T, c *azcosmos.ContainerClient, text string, pk azcosmos.PartitionKey, o *azcosmos.QueryOptions) ([]string, error) {
	t.Helper()
	var out []string
	for pager := c.NewQueryItemsPager(text, pk, o); pager.More(); {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			return nil, err
		}
		for _, row := range page.Items {
			var d struct{ ID string }
			if err := json.Unmarshal(row, &d); err != nil {
				t.Fatal(err)
			}
			out = append(out, d.ID)
		}
	}
	return out, nil
}

func TestQueries(t *testing.T) {
	t.Parallel()
	_, c, _ := start(t)
	for i := range 20 {
		create(t, c, []string{"a", "b"}[i%2], fmt.Sprintf("i%02d", i), fmt.Sprintf(`,"n":%d,"deep":{"s":"v%d"},"tags":["t%d"]`, i, i%3, i))
	}
	create(t, c, "a", "bare", "")
	param := func(v any) *azcosmos.QueryOptions {
		return &azcosmos.QueryOptions{QueryParameters: []azcosmos.QueryParameter{{Name: "@v", Value: v}}, PageSizeHint: 3}
	}
	for _, x := range []struct {
		text, pk string
		o        *azcosmos.QueryOptions
		want     string
	}{
		{"SELECT * FROM c WHERE c.n < 4", "a", nil, "i00 i02"},
		{"SELECT c.id FROM c WHERE c.n < 4", "", nil, "i00 i01 i02 i03"},
		{"SELECT c.id FROM c WHERE c.n >= @v AND c.n <= 18", "a", param(14), "i14 i16 i18"},
		{"SELECT c.id FROM c WHERE c.deep.s = @v ORDER BY c.n DESC", "b", param("v0"), "i15 i09 i03"},
		{"SELECT TOP 2 c.id FROM c ORDER BY c.n DESC", "b", nil, "i19 i17"},
		{"SELECT c.id FROM c ORDER BY c.n OFFSET 1 LIMIT 2", "b", nil, "i03 i05"},
		{"SELECT c.id FROM c WHERE NOT IS_DEFINED(c.n)", "a", nil, "bare"},
		{"SELECT c.id FROM c WHERE NOT (c.n > 2)", "a", nil, "i00 i02"}, // what is undefined is not selected
		{"SELECT c.id FROM c WHERE c.id IN ('i01', @v, 'zz')", "", param("i05"), "i01 i05"},
		{"SELECT c.id FROM c WHERE STARTSWITH(c.id, 'i1') AND (c.n = 10 OR c.n = 12)", "a", nil, "i10 i12"},
		{"SELECT c.id FROM c WHERE ARRAY_CONTAINS(c.tags, 't7')", "", nil, "i07"},
		{"SELECT c.id FROM c WHERE c.n != 0 AND c.n < 3", "a", nil, "i02"},
		{"SELECT c.id FROM c WHERE c.n = 'i'", "a", nil, ""},
		{"SELECT c.id FROM c", "c", nil, ""},
	} {
		pk := azcosmos.NewPartitionKey()
		if x.pk != "" {
			pk = key(x.pk)
		}
		got, err := ids(t, c, x.text, pk, x.o)
		if err != nil || strings.Join(got, " ") != x.want {
			t.Errorf("%s: got %v, %v; want %s", x.text, got, err, x.want)
		}
	}
	for _, text := range []string{
		"SELECT", "SELECT * FROM x", "SELECT * FROM c WHERE", "SELECT * FROM c WHERE c.a LIKE 'x'", "SELECT * FROM c WHERE c.a = 'x",
		"SELECT * FROM c GROUP BY c.a", "SELECT * FROM c WHERE (c.a = 1", "SELECT * FROM c WHERE c.a IN ()",
	} {
		_, err := ids(t, c, text, key("a"), nil)
		wantStatus(t, text, err, 400)
	}
	for _, text := range []string{"SELECT * FROM c ORDER BY c.n", "SELECT TOP 1 * FROM c", "SELECT VALUE COUNT(1) FROM c", "SELECT * FROM c OFFSET 0 LIMIT 1"} {
		_, err := ids(t, c, text, azcosmos.NewPartitionKey(), nil)
		wantStatus(t, text+" across partitions", err, 400)
	}
	no := false
	_, err := ids(t, c, "SELECT * FROM c", azcosmos.NewPartitionKey(), &azcosmos.QueryOptions{EnableCrossPartitionQuery: &no})
	wantStatus(t, "a query across partitions that does not say so", err, 400)
	page, err := c.NewQueryItemsPager("SELECT VALUE COUNT(1) FROM c", key("a"), nil).NextPage(t.Context())
	if err != nil || len(page.Items) != 1 || string(page.Items[0]) != "11" {
		t.Errorf("count: %s, %v", page.Items, err)
	}
}

func statuses(r azcosmos.TransactionalBatchResponse) []int32 {
	var out []int32
	for _, x := range r.OperationResults {
		out = append(out, x.StatusCode)
	}
	return out
}

func TestBatches(t *testing.T) {
	t.Parallel()
	s, c, _ := start(t)
	etag := create(t, c, "a", "old", "")
	b := c.NewTransactionalBatch(key("a"))
	b.CreateItem(item("a", "1", ""), nil)
	b.ReplaceItem("old", item("a", "old", `,"n":1`), &azcosmos.TransactionalBatchItemOptions{IfMatchETag: &etag})
	b.UpsertItem(item("a", "2", ""), nil)
	r, err := c.ExecuteTransactionalBatch(t.Context(), b, nil)
	if err != nil || !r.Success || !slices.Equal(statuses(r), []int32{201, 200, 201}) || r.OperationResults[1].ETag == etag {
		t.Fatalf("%+v, %v", r.OperationResults, err)
	}
	before := len(s.Documents("db/things"))
	for _, x := range []struct {
		name string
		add  func(*azcosmos.TransactionalBatch)
		want []int32
	}{
		{"a conflict", func(b *azcosmos.TransactionalBatch) { b.CreateItem(item("a", "1", ""), nil) }, []int32{424, 409, 424}},
		{"a stale ETag", func(b *azcosmos.TransactionalBatch) {
			b.ReplaceItem("old", item("a", "old", ""), &azcosmos.TransactionalBatchItemOptions{IfMatchETag: &etag})
		}, []int32{424, 412, 424}},
		{"nothing to replace", func(b *azcosmos.TransactionalBatch) { b.ReplaceItem("no", item("a", "no", ""), nil) }, []int32{424, 404, 424}},
		{"another partition", func(b *azcosmos.TransactionalBatch) { b.CreateItem(item("b", "9", ""), nil) }, []int32{424, 400, 424}},
	} {
		b := c.NewTransactionalBatch(key("a"))
		b.CreateItem(item("a", "new", ""), nil)
		x.add(&b)
		b.CreateItem(item("a", "newer", ""), nil)
		r, err := c.ExecuteTransactionalBatch(t.Context(), b, nil)
		if err != nil || r.Success || r.RawResponse.StatusCode != http.StatusMultiStatus || !slices.Equal(statuses(r), x.want) {
			t.Errorf("%s: %v, %v; want %v", x.name, statuses(r), err, x.want)
		}
		if n := len(s.Documents("db/things")); n != before {
			t.Errorf("%s: it left %d documents behind", x.name, n-before)
		}
	}
	b = c.NewTransactionalBatch(key("a"))
	for i := range 101 {
		b.CreateItem(item("a", fmt.Sprint("x", i), ""), nil)
	}
	_, err = c.ExecuteTransactionalBatch(t.Context(), b, nil)
	wantStatus(t, "101 operations", err, 400)
	b = c.NewTransactionalBatch(key("a"))
	for i := range 3 {
		b.CreateItem(item("a", fmt.Sprint("y", i), `,"pad":"`+strings.Repeat("x", 900_000)+`"`), nil)
	}
	_, err = c.ExecuteTransactionalBatch(t.Context(), b, nil)
	wantStatus(t, "three megabytes", err, 413)
	s.LimitItem(100)
	b = c.NewTransactionalBatch(key("a"))
	b.CreateItem(item("a", "z", `,"pad":"`+strings.Repeat("x", 100)+`"`), nil)
	if r, err = c.ExecuteTransactionalBatch(t.Context(), b, nil); err != nil || !slices.Equal(statuses(r), []int32{413}) {
		t.Errorf("a large item: %v, %v", statuses(r), err)
	}
}

func TestTTL(t *testing.T) {
	t.Parallel()
	_, c, clock := start(t)
	create(t, c, "a", "short", `,"ttl":10`)
	create(t, c, "a", "kept", `,"ttl":-1`)
	clock.at = clock.at.Add(9 * time.Second)
	if _, err := c.ReadItem(t.Context(), key("a"), "short", nil); err != nil {
		t.Error(err)
	}
	clock.at = clock.at.Add(time.Second)
	_, err := c.ReadItem(t.Context(), key("a"), "short", nil)
	wantStatus(t, "an item whose time is over", err, 404)
	if got, err := ids(t, c, "SELECT * FROM c", key("a"), nil); err != nil || !slices.Equal(got, []string{"kept"}) {
		t.Errorf("%v, %v", got, err)
	}
	create(t, c, "a", "short", "")
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	s, c, _ := start(t)
	create(t, c, "a", "with space + plus é", "")
	if _, err := c.ReadItem(t.Context(), key("a"), "with space + plus é", nil); err != nil {
		t.Error(err)
	}
	_, err := client(t, s, "YW5vdGhlciBrZXk=").ReadItem(t.Context(), key("a"), "1", nil)
	wantStatus(t, "another key", err, 401)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/dbs/db/colls/things", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a signature: %d", resp.StatusCode)
	}
}

func TestChangeFeed(t *testing.T) {
	t.Parallel()
	_, c, _ := start(t)
	create(t, c, "a", "1", "")
	create(t, c, "b", "2", "")
	ranges, err := c.ReadFeedRanges(t.Context(), nil)
	if err != nil || len(ranges) != 1 {
		t.Fatalf("%v, %v", ranges, err)
	}
	read := func(o *azcosmos.ChangeFeedOptions) (azcosmos.ChangeFeedResponse, []string) {
		t.Helper()
		r, err := c.ReadChangeFeed(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, x := range r.Items {
			var d struct{ ID string }
			if err := json.Unmarshal(x, &d); err != nil {
				t.Fatal(err)
			}
			out = append(out, d.ID)
		}
		return r, out
	}
	first, got := read(&azcosmos.ChangeFeedOptions{FeedRange: &ranges[0]})
	if !slices.Equal(got, []string{"1", "2"}) || first.ETag == "" {
		t.Fatalf("%v, ETag %q", got, first.ETag)
	}
	token := first.ContinuationToken
	none, got := read(&azcosmos.ChangeFeedOptions{Continuation: &token})
	if len(got) != 0 || none.RawResponse.StatusCode != http.StatusNotModified || none.ETag == "" {
		t.Errorf("no news: %v, status %d, ETag %q", got, none.RawResponse.StatusCode, none.ETag)
	}
	if _, err := c.UpsertItem(t.Context(), key("a"), item("a", "1", `,"n":2`), nil); err != nil {
		t.Fatal(err)
	}
	create(t, c, "a", "3", "")
	token = none.ContinuationToken
	if _, got = read(&azcosmos.ChangeFeedOptions{Continuation: &token}); !slices.Equal(got, []string{"1", "3"}) {
		t.Errorf("news: %v", got)
	}
	b := key("b")
	if _, got = read(&azcosmos.ChangeFeedOptions{FeedRange: &ranges[0], PartitionKey: &b}); !slices.Equal(got, []string{"2"}) {
		t.Errorf("of one partition: %v", got)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	s, c, _ := start(t)
	create(t, c, "a", "0", "")
	once := func(f Fault) {
		done := false
		s.Inject(func(r Request) *Fault {
			if done || r.Operation != "create" {
				return nil
			}
			done = true
			return &f
		})
	}
	for i, x := range []struct {
		f    Fault
		want int
		made bool
	}{
		{Fault{Status: 429, Substatus: 3200, RetryAfter: 70 * time.Millisecond}, 429, false},
		{Fault{Status: 500}, 500, false},
		{Fault{Status: 500, After: true}, 500, true},
		{Fault{Drop: true}, 0, false},
		{Fault{Drop: true, After: true}, 0, true},
	} {
		id := fmt.Sprint("f", i)
		once(x.f)
		_, err := c.CreateItem(t.Context(), key("a"), item("a", id, ""), nil)
		if err == nil || status(err) != x.want {
			t.Errorf("%+v: got %v", x.f, err)
		}
		var e *azcore.ResponseError
		if errors.As(err, &e) && x.f.RetryAfter > 0 {
			if h := e.RawResponse.Header; h.Get("x-ms-retry-after-ms") != "70" || h.Get("x-ms-substatus") != "3200" {
				t.Errorf("headers %v", h)
			}
		}
		_, err = c.ReadItem(context.WithoutCancel(t.Context()), key("a"), id, nil)
		if (err == nil) != x.made {
			t.Errorf("%+v: reading it afterwards: %v", x.f, err)
		}
	}
	if s.Served("create") != 6 {
		t.Errorf("%d creates were asked for", s.Served("create"))
	}
}

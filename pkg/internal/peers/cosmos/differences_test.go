//go:build peers

package cosmos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/assay-sec/assay/pkg/store/cosmos/cosmostest"
)

// difference is a question that the two servers answer differently, or that the wrapper had to mend: then both say the same.
type difference struct {
	about     string // as README.md has it
	ours, npm string
	ask       func(ctx context.Context, t *testing.T, a *account) string
}

// status returns the status of an SDK's error, with the sub-status behind a slash, or "ok".
func status(err error) string {
	var refused *azcore.ResponseError
	switch {
	case err == nil:
		return "ok"
	case !errors.As(err, &refused):
		return err.Error()
	}
	text := fmt.Sprint(refused.StatusCode)
	if sub := refused.RawResponse.Header.Get("x-ms-substatus"); sub != "" {
		text += "/" + sub
	}
	return text
}

var partition = azcosmos.NewPartitionKeyString("p")

func item(id, pk, more string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"pk":%q%s}`, id, pk, more)
}

// things is the container that every question is about; a new one for each.
func (a *account) things(t *testing.T, key string) *azcosmos.ContainerClient {
	t.Helper()
	c, err := a.client(t, key).NewContainer("db", "things")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func rows(ctx context.Context, c *azcosmos.ContainerClient, text string, key azcosmos.PartitionKey) string {
	var ids []string
	for pages := c.NewQueryItemsPager(text, key, nil); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return status(err)
		}
		for _, row := range page.Items {
			var doc struct {
				ID string `json:"id"`
			}
			if err := json.Unmarshal(row, &doc); err != nil {
				return err.Error()
			}
			ids = append(ids, doc.ID)
		}
	}
	return strings.Join(ids, " ")
}

func fill(ctx context.Context, t *testing.T, c *azcosmos.ContainerClient, items ...string) {
	t.Helper()
	for _, name := range items {
		id, pk, _ := strings.Cut(name, "@")
		if _, err := c.CreateItem(ctx, azcosmos.NewPartitionKeyString(pk), item(id, pk, ""), nil); err != nil {
			t.Fatal(err)
		}
	}
}

var differences = []difference{
	{"partition key in the header, another in the document", "400/1001", "ok", func(ctx context.Context, t *testing.T, a *account) string {
		_, err := a.things(t, cosmostest.Key).CreateItem(ctx, partition, item("a", "another", ""), nil)
		return status(err)
	}},
	{"wrong account key", "401", "ok", func(ctx context.Context, t *testing.T, a *account) string {
		_, err := a.things(t, "d3Jvbmc=").CreateItem(ctx, partition, item("a", "p", ""), nil)
		return status(err)
	}},
	{"`Prefer: return=minimal`", "no body", "body", func(ctx context.Context, t *testing.T, a *account) string {
		resp, err := a.things(t, cosmostest.Key).CreateItem(ctx, partition, item("a", "p", ""), nil)
		switch {
		case err != nil:
			return status(err)
		case len(resp.Value) > 0:
			return "body"
		}
		return "no body"
	}},
	{"ETags", "quoted", "bare", func(ctx context.Context, t *testing.T, a *account) string {
		resp, err := a.things(t, cosmostest.Key).CreateItem(ctx, partition, item("a", "p", ""), nil)
		switch {
		case err != nil:
			return status(err)
		case strings.HasPrefix(string(resp.ETag), `"`):
			return "quoted"
		}
		return "bare"
	}},
	{"batch of more than 100 operations", "400", "ok", func(ctx context.Context, t *testing.T, a *account) string {
		c := a.things(t, cosmostest.Key)
		batch := c.NewTransactionalBatch(partition)
		for i := range 101 {
			batch.CreateItem(item(fmt.Sprint(i), "p", ""), nil)
		}
		_, err := c.ExecuteTransactionalBatch(ctx, batch, nil)
		return status(err)
	}},
	{"ORDER BY across partitions", "400", "b a", func(ctx context.Context, t *testing.T, a *account) string {
		c := a.things(t, cosmostest.Key)
		fill(ctx, t, c, "a@p", "b@q")
		return rows(ctx, c, "SELECT * FROM c ORDER BY c.id DESC", azcosmos.NewPartitionKey())
	}},
	{"id with a slash", "400", "ok", func(ctx context.Context, t *testing.T, a *account) string {
		_, err := a.things(t, cosmostest.Key).CreateItem(ctx, partition, item("a/b", "p", ""), nil)
		return status(err)
	}},
	{"change feed from a position", "b", "nothing", func(ctx context.Context, t *testing.T, a *account) string {
		c := a.things(t, cosmostest.Key)
		fill(ctx, t, c, "a@p")
		ranges, err := c.ReadFeedRanges(ctx, nil)
		if err != nil {
			return status(err)
		}
		o := &azcosmos.ChangeFeedOptions{FeedRange: &ranges[0]}
		first, err := c.ReadChangeFeed(ctx, o)
		if err != nil {
			return status(err)
		}
		fill(ctx, t, c, "b@p")
		next, err := c.ReadChangeFeed(ctx, &azcosmos.ChangeFeedOptions{Continuation: &first.ContinuationToken})
		switch {
		case err != nil:
			return status(err)
		case len(next.Items) == 0:
			return "nothing"
		}
		var doc struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(next.Items[0], &doc); err != nil {
			return err.Error()
		}
		return doc.ID
	}},

	{"missing document", "404", "404", func(ctx context.Context, t *testing.T, a *account) string {
		_, err := a.things(t, cosmostest.Key).ReadItem(ctx, partition, "a", nil)
		return status(err)
	}},
	{"missing container", "404/1003", "404/1003", func(ctx context.Context, t *testing.T, a *account) string {
		c, err := a.client(t, cosmostest.Key).NewContainer("db", "none")
		if err != nil {
			return err.Error()
		}
		_, err = c.CreateItem(ctx, partition, item("a", "p", ""), nil)
		return status(err)
	}},
	{"ranges of partition keys", "1 range", "1 range", func(ctx context.Context, t *testing.T, a *account) string {
		ranges, err := a.things(t, cosmostest.Key).ReadFeedRanges(ctx, nil)
		if err != nil {
			return status(err)
		}
		return fmt.Sprint(len(ranges), " range")
	}},
	{"query of one partition", "a", "a", func(ctx context.Context, t *testing.T, a *account) string {
		c := a.things(t, cosmostest.Key)
		fill(ctx, t, c, "a@p", "b@q")
		return rows(ctx, c, "SELECT * FROM c", partition)
	}},
	{"batch with a conflict", "424 409, nothing kept", "424 409, nothing kept", func(ctx context.Context, t *testing.T, a *account) string {
		c := a.things(t, cosmostest.Key)
		fill(ctx, t, c, "a@p")
		batch := c.NewTransactionalBatch(partition)
		batch.CreateItem(item("new", "p", ""), nil)
		batch.CreateItem(item("a", "p", ""), nil)
		resp, err := c.ExecuteTransactionalBatch(ctx, batch, nil)
		if err != nil || resp.Success {
			return fmt.Sprintf("success %v, %s", resp.Success, status(err))
		}
		var text []string
		for _, r := range resp.OperationResults {
			text = append(text, fmt.Sprint(r.StatusCode))
		}
		if _, err := c.ReadItem(ctx, partition, "new", nil); status(err) != "404" {
			return strings.Join(text, " ") + ", something kept"
		}
		return strings.Join(text, " ") + ", nothing kept"
	}},
	{"batch with a stale ETag", "412", "412", func(ctx context.Context, t *testing.T, a *account) string {
		c := a.things(t, cosmostest.Key)
		first, err := c.CreateItem(ctx, partition, item("a", "p", ""), nil)
		if err != nil {
			return status(err)
		}
		if _, err := c.ReplaceItem(ctx, partition, "a", item("a", "p", `,"n":1`), nil); err != nil {
			return status(err)
		}
		batch := c.NewTransactionalBatch(partition)
		batch.ReplaceItem("a", item("a", "p", `,"n":2`), &azcosmos.TransactionalBatchItemOptions{IfMatchETag: &first.ETag})
		resp, err := c.ExecuteTransactionalBatch(ctx, batch, nil)
		if err != nil || resp.Success {
			return fmt.Sprintf("success %v, %s", resp.Success, status(err))
		}
		return fmt.Sprint(resp.OperationResults[0].StatusCode)
	}},
	{"document of more than two megabytes", "413", "413", func(ctx context.Context, t *testing.T, a *account) string {
		_, err := a.things(t, cosmostest.Key).CreateItem(ctx, partition, item("a", "p", `,"x":"`+strings.Repeat("x", 2<<20)+`"`), nil)
		return status(err)
	}},
	{"time to live", "there, then gone", "there, then gone", func(ctx context.Context, t *testing.T, a *account) string {
		c := a.things(t, cosmostest.Key)
		if _, err := c.CreateItem(ctx, partition, item("a", "p", `,"ttl":60`), nil); err != nil {
			return status(err)
		}
		a.clock.Add(50)
		if _, err := c.ReadItem(ctx, partition, "a", nil); err != nil {
			return status(err)
		}
		a.clock.Add(20)
		if _, err := c.ReadItem(ctx, partition, "a", nil); status(err) != "404" {
			return "there, then " + status(err)
		}
		return "there, then gone"
	}},
	{"one id in two partitions", "ok", "ok", func(ctx context.Context, t *testing.T, a *account) string {
		fill(ctx, t, a.things(t, cosmostest.Key), "a@p", "a@q")
		return "ok"
	}},
}

// Each answer is the one that README.md gives: a difference that goes away is noticed, too.
func TestDifferences(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	servers := startNpm(t)
	for _, d := range differences {
		row := "| " + d.about + " | " + d.ours + " | " + d.npm + " |"
		if d.ours == d.npm {
			row = "| " + d.about + " | " + d.ours + " |"
		}
		if !strings.Contains(string(page), row) {
			t.Errorf("README.md has no row %s", row)
		}
		t.Run(d.about, func(t *testing.T) {
			for name, want := range map[string]string{"ours": d.ours, "npm": d.npm} {
				a := newAccount(t)
				if name == "npm" {
					a.url = servers.url
					a.create(t, "db", map[string]string{"things": "/pk"})
					t.Cleanup(func() { a.drop(t, "db") })
				} else {
					s := cosmostest.Start(map[string]string{"db/things": "/pk"}, func() time.Time { return time.Unix(a.clock.Load(), 0) })
					t.Cleanup(s.Close)
					a.url = s.URL()
				}
				if got := d.ask(t.Context(), t, a); got != want {
					t.Errorf("%s: %s answers %q, want %q", d.about, name, got, want)
				}
			}
		})
	}
}

func (a *account) drop(t *testing.T, database string) {
	db, err := a.client(t, cosmostest.Key).NewDatabase(database)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Delete(context.WithoutCancel(t.Context()), nil); err != nil && status(err) != fmt.Sprint(http.StatusNotFound) {
		t.Error(err)
	}
}

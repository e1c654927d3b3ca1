package cosmos

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

// container returns the client of one of Containers by its name.
func (c *connection) container(name string) *azcosmos.ContainerClient { return c.containers[name] }

// query calls row with each row of the answer. An empty partition key means: of all partitions.
func (s *Store) query(ctx context.Context, container, pk, text string, params []azcosmos.QueryParameter, row func([]byte) error) error {
	for rows, err := range s.pages(ctx, container, pk, text, params) {
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := row(r); err != nil {
				return fmt.Errorf("read a row of %s: %w", container, err)
			}
		}
	}
	return nil
}

// pages yields the pages of the answer; some may be empty. Each is asked for when its turn comes.
func (s *Store) pages(ctx context.Context, container, pk, text string, params []azcosmos.QueryParameter) iter.Seq2[[][]byte, error] {
	return func(yield func([][]byte, error) bool) {
		key := azcosmos.NewPartitionKey()
		if pk != "" {
			key = azcosmos.NewPartitionKeyString(pk)
		}
		o := azcosmos.QueryOptions{QueryParameters: params}
		for {
			var page azcosmos.QueryItemsResponse
			err := s.read(ctx, func(ctx context.Context, c *connection) error {
				var err error
				page, err = c.container(container).NewQueryItemsPager(text, key, &o).NextPage(ctx)
				return err
			})
			if r := asRefusal(err); r != nil && !errors.Is(err, store.ErrUnavailable) {
				err = fmt.Errorf("%w: query of %s: %w", store.ErrUnavailable, container, r)
			}
			if !yield(page.Items, err) || err != nil || page.ContinuationToken == nil {
				return
			}
			o.ContinuationToken = page.ContinuationToken
		}
	}
}

// oneOf returns the condition that the path is one of the values.
func oneOf[T ~string](path, name string, values []T) (string, []azcosmos.QueryParameter) {
	names := make([]string, len(values))
	params := make([]azcosmos.QueryParameter, len(values))
	for i, v := range values {
		names[i] = name + strconv.Itoa(i)
		params[i] = azcosmos.QueryParameter{Name: names[i], Value: string(v)}
	}
	return path + " IN (" + strings.Join(names, ", ") + ")", params
}

// load returns an alert's document, or nil.
func (s *Store) load(ctx context.Context, pk string, id alert.ID) (*alertDocument, error) {
	body, err := s.item(ctx, containerAlerts, pk, string(id))
	if err != nil || body == nil {
		return nil, err
	}
	d := &alertDocument{}
	if err := json.Unmarshal(body, d); err != nil {
		return nil, fmt.Errorf("read the document of alert %s: %w", id, err)
	}
	return d, nil
}

// item returns a document, or nil.
func (s *Store) item(ctx context.Context, container, pk, id string) ([]byte, error) {
	var body []byte
	err := s.read(ctx, func(ctx context.Context, c *connection) error {
		answer, err := c.container(container).ReadItem(ctx, azcosmos.NewPartitionKeyString(pk), id, nil)
		body = answer.Value
		return err
	})
	switch r := asRefusal(err); {
	case err == nil:
		return body, nil
	case r != nil && r.missing():
		return nil, nil
	case r != nil && !errors.Is(err, store.ErrUnavailable):
		return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, r)
	}
	return nil, err
}

// locate returns the partition of an alert. An empty tenant means any.
func (s *Store) locate(ctx context.Context, tenant string, id alert.ID) (string, error) {
	if ctx.Err() != nil {
		return "", ended(ctx)
	}
	if !isAlertID(id) {
		return "", store.ErrNotFound
	}
	if tenant != "" {
		return partition(tenant, id.Day()), nil
	}
	pk := ""
	params := []azcosmos.QueryParameter{{Name: "@id", Value: string(id)}}
	err := s.query(ctx, containerAlerts, "", "SELECT c.pk FROM c WHERE c.id = @id", params, func(row []byte) error {
		var d struct {
			PK string `json:"pk"`
		}
		err := json.Unmarshal(row, &d)
		pk = d.PK
		return err
	})
	if err == nil && pk == "" {
		err = store.ErrNotFound
	}
	return pk, err
}

// find returns an alert with its partition.
func (s *Store) find(ctx context.Context, tenant string, id alert.ID) (string, alert.Alert, error) {
	pk, err := s.locate(ctx, tenant, id)
	if err != nil {
		return "", alert.Alert{}, err
	}
	d, err := s.load(ctx, pk, id)
	switch {
	case err != nil:
		return "", alert.Alert{}, err
	case d == nil:
		return "", alert.Alert{}, store.ErrNotFound
	}
	return pk, d.Alert, nil
}

// Alert returns one alert: one point read if the tenant is named, else a query of all partitions before.
func (s *Store) Alert(ctx context.Context, tenant string, id alert.ID) (alert.Alert, error) {
	_, a, err := s.find(ctx, tenant, id)
	if err != nil {
		return alert.Alert{}, fmt.Errorf("read alert %.40q: %w", id, err)
	}
	return a, nil
}

// selected is what an alert is sorted by.
type selected struct {
	ID       alert.ID `json:"id"`
	PK       string   `json:"pk"`
	Severity uint8    `json:"severityRank"`
	First    string   `json:"first"`
	Last     string   `json:"last"`
}

// Alerts yields the selected alerts. Which they are and their order is settled at the first; each is read as it
// stands when it is yielded, and one that has expired meanwhile is left out.
func (s *Store) Alerts(ctx context.Context, q store.Query) iter.Seq2[alert.Alert, error] {
	return func(yield func(alert.Alert, error) bool) {
		rows, err := s.selected(ctx, q)
		if err != nil {
			yield(alert.Alert{}, fmt.Errorf("select alerts: %w", err))
			return
		}
		n := 0
		for _, row := range rows {
			if q.Limit > 0 && n == q.Limit {
				return
			}
			within, err := s.within(ctx, q, row)
			var d *alertDocument
			if err == nil && within {
				d, err = s.load(ctx, row.PK, row.ID)
			}
			if err != nil {
				yield(alert.Alert{}, fmt.Errorf("read a selected alert: %w", err))
				return
			}
			if d == nil {
				continue
			}
			n++
			if !yield(d.Alert, nil) {
				return
			}
		}
	}
}

// within tells whether the alert has a finding in the query's time, which its first and last leave open if both are
// outside of it.
func (s *Store) within(ctx context.Context, q store.Query, row selected) (bool, error) {
	from, to := sortable(q.From), sortable(q.To)
	if q.From.IsZero() || q.To.IsZero() || row.First >= from || row.Last < to {
		return true, nil
	}
	found := false
	err := s.query(ctx, containerAlerts, row.PK, `SELECT TOP 1 c.id FROM c WHERE STARTSWITH(c.id, @alert) AND c.at >= @from AND c.at < @to`,
		[]azcosmos.QueryParameter{
			{Name: "@alert", Value: findingID(row.ID, "")}, {Name: "@from", Value: from}, {Name: "@to", Value: to},
		}, func([]byte) error { found = true; return nil })
	return found, err
}

// maxPartitions is how many partitions are asked one by one before all of them are asked at once.
const maxPartitions = 64

// selected returns the selected alerts in order, without regard to findings between their first and last.
func (s *Store) selected(ctx context.Context, q store.Query) ([]selected, error) {
	where := []string{"c.type = '" + typeAlert + "'"}
	var params []azcosmos.QueryParameter
	add := func(condition string, p ...azcosmos.QueryParameter) {
		where, params = append(where, condition), append(params, p...)
	}
	if len(q.Tenants) > 0 {
		list, p := oneOf("c.tenantId", "@tenant", q.Tenants)
		add(list, p...)
	}
	if len(q.Rules) > 0 {
		list, p := oneOf("c.rule.id", "@rule", q.Rules)
		add(list, p...)
	}
	if len(q.Statuses) > 0 {
		list, p := oneOf("c.status", "@status", q.Statuses)
		add(list, p...)
	}
	if q.MinSeverity > 0 {
		add("c.severityRank >= @severity", azcosmos.QueryParameter{Name: "@severity", Value: int(q.MinSeverity)})
	}
	if q.MinStage > 0 {
		add("c.stageRank >= @stage", azcosmos.QueryParameter{Name: "@stage", Value: int(q.MinStage)})
	}
	if !q.Changed.IsZero() { // _ts is the second of the last write
		add("c._ts >= @changed", azcosmos.QueryParameter{Name: "@changed", Value: q.Changed.Unix()})
	}
	if condition, p := about(q.About); condition != "" {
		add(condition, p...)
	}
	if !q.From.IsZero() {
		add("c.last >= @from", azcosmos.QueryParameter{Name: "@from", Value: sortable(q.From)})
	}
	if !q.To.IsZero() {
		add("c.first < @to", azcosmos.QueryParameter{Name: "@to", Value: sortable(q.To)})
	}
	text := "SELECT c.id, c.pk, c.severityRank, c.first, c.last FROM c WHERE " + strings.Join(where, " AND ")
	var out []selected
	for _, pk := range partitions(q) {
		err := s.query(ctx, containerAlerts, pk, text, params, func(row []byte) error {
			var x selected
			err := json.Unmarshal(row, &x)
			out = append(out, x)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b selected) int {
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), -strings.Compare(a.Last, b.Last), strings.Compare(string(a.ID), string(b.ID)))
	})
	return out, nil
}

// about returns the condition that an alert has the token, session or mailbox of one of the subjects.
func about(subjects []alert.Subject) (string, []azcosmos.QueryParameter) {
	var parts []string
	var params []azcosmos.QueryParameter
	for _, f := range []struct {
		name string
		of   func(*alert.Subject) string
	}{
		{"tokenId", func(s *alert.Subject) string { return s.TokenID }},
		{"sessionId", func(s *alert.Subject) string { return s.Session }},
		{"mailbox", func(s *alert.Subject) string { return s.Mailbox }},
	} {
		var values []string
		for i := range subjects {
			if v := f.of(&subjects[i]); v != "" {
				values = append(values, strings.ToLower(v))
			}
		}
		if len(values) > 0 {
			list, p := oneOf("LOWER(c.subject."+f.name+")", "@"+f.name, values)
			parts, params = append(parts, list), append(params, p...)
		}
	}
	if len(parts) == 0 {
		return "", nil
	}
	return "(" + strings.Join(parts, " OR ") + ")", params
}

// partitions returns the partitions that can hold what is asked for, or one empty key, which means all.
func partitions(q store.Query) []string {
	const day = 24 * time.Hour
	if len(q.Tenants) == 0 || q.From.IsZero() || q.To.IsZero() {
		return []string{""}
	}
	if !q.From.Before(q.To) {
		return nil
	}
	var out []string
	for at := q.From.UTC().Truncate(day); at.Before(q.To); at = at.Add(day) {
		for _, tenant := range q.Tenants {
			if len(out) == maxPartitions {
				return []string{""}
			}
			if pk := partition(tenant, alert.DayOf(at)); !slices.Contains(out, pk) {
				out = append(out, pk)
			}
		}
	}
	return out
}

// CountFindings implements store.Store.
func (s *Store) CountFindings(ctx context.Context, tenant string, id alert.ID, run string) (int64, error) {
	count := int64(0)
	pk, _, err := s.find(ctx, tenant, id)
	if err == nil {
		params := []azcosmos.QueryParameter{{Name: "@alert", Value: findingID(id, "")}, {Name: "@run", Value: run}}
		for rows, rerr := range s.pages(ctx, containerAlerts, pk, "SELECT VALUE COUNT(1) FROM c WHERE STARTSWITH(c.id, @alert) AND c.run = @run", params) {
			err = rerr
			for _, row := range rows { // a page counts what it has looked at
				n := int64(0)
				err = errors.Join(err, json.Unmarshal(row, &n))
				count += n
			}
		}
	}
	if err != nil {
		return 0, fmt.Errorf("count the findings of alert %.40q: %w", id, err)
	}
	return count, nil
}

// Findings yields the findings of an alert. A page is asked for when its turn comes.
func (s *Store) Findings(ctx context.Context, tenant string, id alert.ID) iter.Seq2[alert.Finding, error] {
	return func(yield func(alert.Finding, error) bool) {
		fail := func(err error) {
			yield(alert.Finding{}, fmt.Errorf("read the findings of alert %.40q: %w", id, err))
		}
		pk, _, err := s.find(ctx, tenant, id)
		if err != nil {
			fail(err)
			return
		}
		// The order by time is the index's; findings of one instant are sorted here, since an order of two needs an index of its own.
		var instant []findingDocument
		flush := func() bool {
			slices.SortFunc(instant, func(a, b findingDocument) int { return strings.Compare(a.ID, b.ID) })
			for i := range instant {
				f, err := instant[i].finding(id)
				if err != nil {
					fail(err)
					return false
				}
				if !yield(f, nil) {
					return false
				}
			}
			instant = instant[:0]
			return true
		}
		params := []azcosmos.QueryParameter{{Name: "@alert", Value: findingID(id, "")}}
		for rows, err := range s.pages(ctx, containerAlerts, pk, "SELECT * FROM c WHERE STARTSWITH(c.id, @alert) ORDER BY c.at", params) {
			if err != nil {
				fail(err)
				return
			}
			for _, row := range rows {
				var d findingDocument
				if err := json.Unmarshal(row, &d); err != nil {
					fail(err)
					return
				}
				if len(instant) > 0 && instant[0].At != d.At && !flush() {
					return
				}
				instant = append(instant, d)
			}
		}
		flush()
	}
}

package cosmos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

// maxBatch bounds a transaction, in bytes. The service takes two megabytes.
const maxBatch = 1 << 20

// Record adds the findings of one alert in transactions of at most store.MaxAtomic findings. An answer that was lost is
// no matter: the findings that this call has stored are known again by it, and counted as new once.
func (s *Store) Record(ctx context.Context, findings []alert.Finding) (store.Outcome, error) {
	id, err := store.Check(findings)
	if err != nil {
		return store.Outcome{}, err
	}
	out, err := s.record(ctx, id, findings)
	if err != nil {
		return store.Outcome{}, fmt.Errorf("record findings of alert %s: %w", id, err)
	}
	return out, nil
}

func (s *Store) record(ctx context.Context, id alert.ID, findings []alert.Finding) (store.Outcome, error) {
	if !isAlertID(id) {
		return store.Outcome{}, fmt.Errorf("%w: it is no alert's id", store.ErrRejected)
	}
	done, err := s.turn(ctx, string(id))
	if err != nil {
		return store.Outcome{}, err
	}
	defer done()
	r := recording{store: s, call: newCall(), id: id, pk: partition(findings[0].Tenant, id.Day())}
	// What comes twice in one call is known the second time.
	seen := map[alert.FindingID]bool{}
	var once []alert.Finding
	for _, f := range findings {
		if !seen[f.ID] {
			seen[f.ID] = true
			once = append(once, f)
		}
	}
	total := store.Outcome{Known: len(findings) - len(once)}
	for part := range slices.Chunk(once, store.MaxAtomic) {
		out, err := r.part(ctx, part)
		if err != nil {
			return store.Outcome{}, err
		}
		total.Alert = out.Alert
		total.New += out.New
		total.Known += out.Known
		total.Created = total.Created || out.Created
		total.Escalated = !total.Created && (total.Escalated || out.Escalated)
		total.Reopened = total.Reopened || out.Reopened
	}
	if err := s.link(ctx, &total.Alert); err != nil {
		return store.Outcome{}, err
	}
	return total, nil
}

// recording is one call of Record.
type recording struct {
	store *Store
	call  string
	id    alert.ID
	pk    string
}

// part records findings that fit into one transaction, each of them once.
func (r *recording) part(ctx context.Context, findings []alert.Finding) (store.Outcome, error) {
	s := r.store
	var unanswered *store.Outcome // of a transaction that may have taken effect
	for conflicts, faults := 0, 0; ; {
		current, err := s.load(ctx, r.pk, r.id)
		if err != nil {
			return store.Outcome{}, err
		}
		var writers map[alert.FindingID]string
		if current != nil || conflicts > 0 || faults > 0 {
			if writers, err = r.writers(ctx, findings); err != nil {
				return store.Outcome{}, err
			}
		}
		if unanswered != nil && current != nil && r.own(writers) {
			unanswered.Alert = current.Alert
			return *unanswered, nil
		}
		if current == nil && len(writers) > 0 {
			err = &refusal{status: http.StatusConflict} // the alert expired a moment before its findings
		} else {
			var stored *alert.Alert
			if current != nil {
				stored = &current.Alert
			}
			out, fresh := store.Merge(stored, findings, func(f alert.FindingID) bool { return writers[f] != "" }, s.o.Now().UTC())
			if len(fresh) == 0 {
				return out, nil
			}
			if err := s.follow(ctx, &out.Alert); err != nil {
				return store.Outcome{}, err
			}
			if err = r.commit(ctx, current, &out.Alert, fresh); err == nil {
				return out, nil
			}
			if refused := asRefusal(err); refused != nil && refused.permanent() {
				if findings, err = shrink(findings, fresh, refused); err != nil {
					return store.Outcome{}, err
				}
				continue
			}
			if errors.Is(err, errUncertain) {
				unanswered = &out
			}
		}
		var try int
		switch refused := asRefusal(err); {
		case errors.Is(err, errUncertain):
			faults++
			if try = faults; faults == maxFaults {
				return store.Outcome{}, err
			}
		case refused != nil && (refused.conflicting() || refused.missing() && refused.op > 0):
			conflicts++
			if try = conflicts; conflicts == maxConflicts {
				return store.Outcome{}, fmt.Errorf("%w %d times: %w", store.ErrConflict, conflicts, refused)
			}
		case refused != nil && refused.missing():
			return store.Outcome{}, fmt.Errorf("%w: %w", store.ErrUnavailable, refused)
		default:
			return store.Outcome{}, err
		}
		if err := s.recheck(ctx, try); err != nil {
			return store.Outcome{}, err
		}
	}
}

// shrink returns the findings, with less evidence in what the store refuses for good. If nothing is left to leave out,
// it returns store.ErrRejected.
func shrink(findings, fresh []alert.Finding, refused *refusal) ([]alert.Finding, error) {
	out := slices.Clone(findings)
	done := false
	for i := range out {
		if refused.op == 0 || refused.op > 1 && refused.op-2 < len(fresh) && fresh[refused.op-2].ID == out[i].ID {
			var less bool
			out[i], less = lighter(&out[i])
			done = done || less
		}
	}
	if !done {
		return nil, fmt.Errorf("%w: %w", store.ErrRejected, refused)
	}
	return out, nil
}

// own tells whether this call has written one of the findings, and so all of the transaction.
func (r *recording) own(writers map[alert.FindingID]string) bool {
	for _, call := range writers {
		if call == r.call {
			return true
		}
	}
	return false
}

// writers returns the findings that the store has, with the calls that wrote them.
func (r *recording) writers(ctx context.Context, findings []alert.Finding) (map[alert.FindingID]string, error) {
	byID := make(map[string]alert.FindingID, len(findings))
	ids := make([]string, len(findings))
	for i := range findings {
		ids[i] = findingID(r.id, findings[i].ID)
		byID[ids[i]] = findings[i].ID
	}
	out := map[alert.FindingID]string{}
	list, params := oneOf("c.id", "@id", ids)
	err := r.store.query(ctx, containerAlerts, r.pk, "SELECT c.id, c.call FROM c WHERE "+list, params, func(row []byte) error {
		var d struct {
			ID   string `json:"id"`
			Call string `json:"call"`
		}
		if err := json.Unmarshal(row, &d); err != nil {
			return err
		}
		out[byID[d.ID]] = d.Call
		return nil
	})
	return out, err
}

// commit writes the alert and its new findings in one transaction.
func (r *recording) commit(ctx context.Context, before *alertDocument, a *alert.Alert, fresh []alert.Finding) error {
	s := r.store
	doc, err := s.alertDocument(a, r.call)
	if err != nil {
		return err
	}
	docs, size := make([][]byte, len(fresh)), len(doc)
	for i := range fresh {
		if docs[i], err = s.findingDocument(r.id, r.pk, &fresh[i], r.call); err != nil {
			return err
		}
		size += len(docs[i])
	}
	if size > maxBatch {
		return &refusal{status: http.StatusRequestEntityTooLarge}
	}
	return s.write(ctx, func(ctx context.Context, c *connection) error {
		batch := c.container(containerAlerts).NewTransactionalBatch(azcosmos.NewPartitionKeyString(r.pk))
		if before == nil {
			batch.CreateItem(doc, nil)
		} else {
			etag := azcore.ETag(before.ETag)
			batch.ReplaceItem(string(r.id), doc, &azcosmos.TransactionalBatchItemOptions{IfMatchETag: &etag})
		}
		for _, d := range docs {
			batch.CreateItem(d, nil)
		}
		return execute(ctx, c.container(containerAlerts), batch)
	})
}

// execute runs a transaction. A refused one is a *refusal that names the operation.
func execute(ctx context.Context, c *azcosmos.ContainerClient, batch azcosmos.TransactionalBatch) error {
	answer, err := c.ExecuteTransactionalBatch(ctx, batch, nil)
	if err != nil || answer.Success {
		return err
	}
	r := &refusal{status: http.StatusConflict} // an answer without results tells as much as somebody else's having been faster
	for i, result := range answer.OperationResults {
		if result.StatusCode >= 300 && result.StatusCode != http.StatusFailedDependency {
			r.status, r.op = int(result.StatusCode), i+1
			break
		}
	}
	if answer.RawResponse != nil {
		r.wait, r.activity = waitOf(answer.RawResponse.Header), activityOf(answer.RawResponse.Header)
	}
	return r
}

// follow marks an alert that goes on where the day before's of the same key ended.
func (s *Store) follow(ctx context.Context, a *alert.Alert) error {
	if a.Continues || !a.MayFollow() {
		return nil
	}
	id := a.ID.Previous()
	before, err := s.load(ctx, partition(a.Tenant, id.Day()), id)
	if err == nil && before != nil {
		a.Continues = a.Follows(&before.Alert)
	}
	return err
}

// link marks, of two days' alerts, the later as going on where the earlier ended. They stand in two partitions, so no
// transaction holds both: whoever writes one looks at the other afterwards, and of two writers at least one sees both.
func (s *Store) link(ctx context.Context, a *alert.Alert) error {
	if !a.Continues {
		if err := s.follow(ctx, a); err != nil {
			return err
		}
		if a.Continues {
			if err := s.setContinues(ctx, a.Tenant, a.ID); err != nil {
				return err
			}
		}
	}
	if !a.MayBeFollowed() {
		return nil
	}
	id := a.ID.Next()
	after, err := s.load(ctx, partition(a.Tenant, id.Day()), id)
	if err != nil || after == nil || after.Continues || !after.Follows(a) {
		return err
	}
	return s.setContinues(ctx, a.Tenant, id)
}

func (s *Store) setContinues(ctx context.Context, tenant string, id alert.ID) error {
	_, err := s.change(ctx, partition(tenant, id.Day()), id, func(a *alertDocument) error {
		a.Continues = true
		return nil
	})
	return err
}

// Update changes what belongs to analysts.
func (s *Store) Update(ctx context.Context, tenant string, id alert.ID, change func(*alert.Alert) error) (alert.Alert, error) {
	var refused error // by change: returned as it is
	after, err := s.update(ctx, tenant, id, func(a *alertDocument) error {
		marked, err := clone(&a.Alert)
		if err != nil {
			return err
		}
		if refused = change(marked); refused == nil {
			a.TakeMarks(marked)
		}
		return refused
	})
	switch {
	case refused != nil:
		return alert.Alert{}, refused
	case err != nil:
		return alert.Alert{}, fmt.Errorf("update alert %s: %w", id, err)
	}
	return after, nil
}

func (s *Store) update(ctx context.Context, tenant string, id alert.ID, change func(*alertDocument) error) (alert.Alert, error) {
	pk, err := s.locate(ctx, tenant, id)
	if err != nil {
		return alert.Alert{}, err
	}
	done, err := s.turn(ctx, string(id))
	if err != nil {
		return alert.Alert{}, err
	}
	defer done()
	return s.change(ctx, pk, id, change)
}

// change replaces an alert by what becomes of it, guarded by its ETag.
func (s *Store) change(ctx context.Context, pk string, id alert.ID, do func(*alertDocument) error) (alert.Alert, error) {
	call := newCall()
	for conflicts, faults := 0, 0; ; {
		current, err := s.load(ctx, pk, id)
		switch {
		case err != nil:
			return alert.Alert{}, err
		case current == nil:
			return alert.Alert{}, store.ErrNotFound
		case current.Call == call: // an earlier attempt took effect, though its answer was lost
			return current.Alert, nil
		}
		if err := do(current); err != nil {
			return alert.Alert{}, err
		}
		doc, err := s.alertDocument(&current.Alert, call)
		if err != nil {
			return alert.Alert{}, err
		}
		err = s.write(ctx, func(ctx context.Context, c *connection) error {
			etag := azcore.ETag(current.ETag)
			_, err := c.container(containerAlerts).ReplaceItem(ctx, azcosmos.NewPartitionKeyString(pk), string(id), doc, &azcosmos.ItemOptions{IfMatchEtag: &etag})
			return err
		})
		if err == nil {
			return current.Alert, nil
		}
		var try int
		switch refused := asRefusal(err); {
		case errors.Is(err, errUncertain):
			faults++
			if try = faults; faults == maxFaults {
				return alert.Alert{}, err
			}
		case refused != nil && refused.permanent():
			return alert.Alert{}, fmt.Errorf("%w: %w", store.ErrRejected, refused)
		case refused != nil && refused.conflicting():
			conflicts++
			if try = conflicts; conflicts == maxConflicts {
				return alert.Alert{}, fmt.Errorf("%w %d times: %w", store.ErrConflict, conflicts, refused)
			}
		case refused != nil && refused.missing():
			return alert.Alert{}, store.ErrNotFound
		default:
			return alert.Alert{}, err
		}
		if err := s.recheck(ctx, try); err != nil {
			return alert.Alert{}, err
		}
	}
}

// clone returns a copy that shares no memory with the alert.
func clone(a *alert.Alert) (*alert.Alert, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	c := &alert.Alert{}
	return c, json.Unmarshal(text, c)
}

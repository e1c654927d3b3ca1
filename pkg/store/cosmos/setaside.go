package cosmos

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/store"
)

// setAsideDocument is what was set aside.
type setAsideDocument struct {
	alert.SetAside
	PK  string `json:"pk"`
	TTL int32  `json:"ttl"`
}

// SetAside keeps the items, those of one hub and day in transactions. An item is known if it was set aside before on the
// same day: ids are told apart within a partition.
func (s *Store) SetAside(ctx context.Context, items []alert.SetAside) error {
	byPK := map[string][]alert.SetAside{}
	var order []string
	for _, item := range items {
		pk := partition(item.Source, alert.DayOf(item.Seen))
		if byPK[pk] == nil {
			order = append(order, pk)
		}
		if !slices.ContainsFunc(byPK[pk], func(other alert.SetAside) bool { return other.ID == item.ID }) {
			byPK[pk] = append(byPK[pk], item)
		}
	}
	for _, pk := range order {
		for part := range slices.Chunk(byPK[pk], store.MaxAtomic) {
			if err := s.setAside(ctx, pk, part); err != nil {
				return fmt.Errorf("set %d items aside: %w", len(items), err)
			}
		}
	}
	return nil
}

// setAside keeps items of one partition, each of which is there once.
func (s *Store) setAside(ctx context.Context, pk string, items []alert.SetAside) error {
	ids := make([]string, len(items))
	for i := range items {
		ids[i] = items[i].ID
	}
	list, params := oneOf("c.id", "@id", ids)
	for conflicts, faults := 0, 0; ; {
		known := map[string]bool{}
		err := s.query(ctx, containerSetAside, pk, "SELECT c.id FROM c WHERE "+list, params, func(row []byte) error {
			var d struct {
				ID string `json:"id"`
			}
			err := json.Unmarshal(row, &d)
			known[d.ID] = true
			return err
		})
		if err != nil {
			return err
		}
		fresh := slices.DeleteFunc(slices.Clone(items), func(item alert.SetAside) bool { return known[item.ID] })
		if len(fresh) == 0 {
			return nil
		}
		err = s.keep(ctx, pk, fresh)
		var try int
		switch refused := asRefusal(err); {
		case err == nil:
			return nil
		case errors.Is(err, errUncertain):
			faults++
			if try = faults; faults == maxFaults {
				return err
			}
		case refused != nil && refused.permanent():
			return fmt.Errorf("%w: %w", store.ErrRejected, refused)
		case refused != nil && refused.conflicting():
			conflicts++
			if try = conflicts; conflicts == maxConflicts {
				return fmt.Errorf("%w %d times: %w", store.ErrConflict, conflicts, refused)
			}
		case refused != nil && refused.missing():
			return fmt.Errorf("%w: %w", store.ErrUnavailable, refused)
		default:
			return err
		}
		if err := s.recheck(ctx, try); err != nil {
			return err
		}
	}
}

// keep creates the items in one transaction.
func (s *Store) keep(ctx context.Context, pk string, items []alert.SetAside) error {
	docs, size := make([][]byte, len(items)), 0
	for i, item := range items {
		var err error
		docs[i], err = json.Marshal(&setAsideDocument{SetAside: item, PK: pk, TTL: s.ttl(day(item.Seen))})
		if err != nil {
			return err
		}
		size += len(docs[i])
	}
	if size > maxBatch {
		return &refusal{status: http.StatusRequestEntityTooLarge}
	}
	return s.write(ctx, func(ctx context.Context, c *connection) error {
		batch := c.container(containerSetAside).NewTransactionalBatch(azcosmos.NewPartitionKeyString(pk))
		for _, d := range docs {
			batch.CreateItem(d, nil)
		}
		return execute(ctx, c.container(containerSetAside), batch)
	})
}

// SetAsides yields what was set aside, by the time when it was and then by id. It reads all of it before the first.
func (s *Store) SetAsides(ctx context.Context) iter.Seq2[alert.SetAside, error] {
	return func(yield func(alert.SetAside, error) bool) {
		var items []alert.SetAside
		err := s.query(ctx, containerSetAside, "", "SELECT * FROM c", nil, func(row []byte) error {
			var item alert.SetAside
			err := json.Unmarshal(row, &item)
			items = append(items, item)
			return err
		})
		if err != nil {
			yield(alert.SetAside{}, fmt.Errorf("read what was set aside: %w", err))
			return
		}
		slices.SortFunc(items, func(a, b alert.SetAside) int {
			return cmp.Or(a.Seen.Compare(b.Seen), strings.Compare(a.ID, b.ID))
		})
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

package normalize

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
)

// Identify sets ev.ID. It must follow the Normalize call that filled ev, with the same record and scratch. It is a step
// of its own because only the few events that become findings need an id.
//
// The id is the kind, the tenant and the log's own id, which are the same through every feed. A risk event's state is part
// of it, since the log writes the same id again when the state changes. Where the log gives no id, it is
// the SHA-256 of the unwrapped record in canonical form (RFC 8785, but with integers exact).
func (n *Normalizer) Identify(r *envelope.Record, s *Scratch, ev *event.Event) error {
	own := ""
	switch ev.Kind {
	case event.Audit:
		own = firstText(&s.record, decode.SlotID, decode.SlotOfficeID)
	case event.GraphActivity:
		own = firstText(&s.record, decode.SlotRequestID)
	case event.Risk:
		if own = firstText(&s.record, decode.SlotID); own != "" {
			own += "|" + ev.Risk.State.V
		}
	case event.SignIn, event.DirectoryChange, event.TokenObserved, event.AssertionObserved, event.KindNone:
		own = firstText(&s.record, decode.SlotID)
	}
	if own == "" {
		sum, err := canonicalHash(unwrapped(r, s))
		if err != nil {
			return fmt.Errorf("hash the record at %s: %w", r.Origin, err)
		}
		own = "sha256:" + sum
	}
	ev.ID = event.ID(ev.Kind.String() + "|" + ev.Tenant + "|" + own)
	return nil
}

func firstText(v *decode.Values, slots ...decode.Slot) string {
	for _, s := range slots {
		if t := text(v.Get(s)); t.State == event.Present && t.V != "" {
			return t.V
		}
	}
	return ""
}

// unwrapped returns the audit record inside a wrapper, or the record itself.
func unwrapped(r *envelope.Record, s *Scratch) string {
	if s.inner != "" {
		return s.inner
	}
	if raw := s.record.Get(decode.SlotRawEventData); raw.Kind == decode.Object {
		return raw.Text
	}
	return r.Body
}

var errEmpty = errors.New("empty record")

func canonicalHash(body string) (string, error) {
	if body == "" {
		return "", errEmpty
	}
	v := jsontext.Value(body)
	if err := v.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.AllowDuplicateNames(true)); err != nil {
		return "", fmt.Errorf("canonicalise: %w", err)
	}
	sum := sha256.Sum256(v)
	return hex.EncodeToString(sum[:]), nil
}

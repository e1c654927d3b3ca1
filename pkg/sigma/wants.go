package sigma

import (
	"strings"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
)

// wants are the values that rules ask the normalizer for.
type wants struct {
	extras []decode.Extra
	places map[string]int // in extras, by spellings
	fields map[string]event.Field[string]
	record bool
}

func newWants() *wants {
	return &wants{places: map[string]int{}, fields: map[string]event.Field[string]{}}
}

// field returns the field of the extra, which is the same for the same spellings. Events that were normalised for other rules
// have no such value.
func (w *wants) field(x decode.Extra, path string) event.Field[string] {
	key := strings.Join(x.Spellings, "\n")
	f, known := w.fields[key]
	if !known {
		place, absent := len(w.extras), new(event.Text)
		f.Get = func(e *event.Event) *event.Text {
			if place < len(e.Extra) {
				return &e.Extra[place]
			}
			return absent
		}
		w.extras = append(w.extras, x)
		w.places[key], w.fields[key] = place, f
	}
	f.Path = path
	return f
}

// forget takes back what was asked for since there were n extras.
func (w *wants) forget(n int) {
	for key, place := range w.places {
		if place >= n {
			delete(w.places, key)
			delete(w.fields, key)
		}
	}
	w.extras = w.extras[:n]
}

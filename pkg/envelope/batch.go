package envelope

import (
	"errors"
	"io"
)

// Batch is messages as their senders wrote them, which are split into records as those are asked for. The zero value has none.
type Batch struct {
	waiting []message
	at      *Messages // nil: none was begun
}

type message struct {
	text   string
	origin Origin
	broken *Broken // instead
}

// Add adds a message behind the others; see Message.
func (b *Batch) Add(text string, o Origin) {
	b.waiting = append(b.waiting, message{text: text, origin: o})
}

// AddBroken adds a part that cannot be read, behind what was added before.
func (b *Batch) AddBroken(part *Broken) { b.waiting = append(b.waiting, message{broken: part}) }

// Next returns the next record. The error is io.EOF at the end, or a *Broken.
func (b *Batch) Next() (Record, error) {
	for {
		if b.at != nil {
			if rec, err := b.at.Next(); !errors.Is(err, io.EOF) {
				return rec, err
			}
		}
		if len(b.waiting) == 0 {
			return Record{}, io.EOF
		}
		next := b.waiting[0]
		b.waiting = b.waiting[1:]
		switch {
		case next.broken != nil:
			return Record{}, next.broken
		case b.at == nil:
			b.at = Message(next.text, next.origin)
		default:
			b.at.begin(next.text, next.origin)
		}
	}
}

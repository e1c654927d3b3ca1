package envelope

import "io"

// Parts are records and broken parts that were read before, in their order. The zero value has none.
type Parts struct {
	parts []piece
	at    int
}

type piece struct {
	record Record
	broken *Broken
}

// Add adds a record.
func (p *Parts) Add(r Record) { p.parts = append(p.parts, piece{record: r}) }

// AddBroken adds a broken part.
func (p *Parts) AddBroken(b *Broken) { p.parts = append(p.parts, piece{broken: b}) }

// Len is how many are still to be read.
func (p *Parts) Len() int { return len(p.parts) - p.at }

// Next returns the next record. The error is io.EOF at the end, or a *Broken.
func (p *Parts) Next() (Record, error) {
	if p.at == len(p.parts) {
		return Record{}, io.EOF
	}
	next := p.parts[p.at]
	p.at++
	if next.broken != nil {
		return Record{}, next.broken
	}
	return next.record, nil
}

// Package envelope turns the bytes of a transport into records: one JSON text for each thing that was logged, with the
// place that it came from.
//
// It knows transports and exports, not fields: batches of diagnostic settings, bare arrays, single records, JSON lines,
// concatenated and pretty-printed JSON, gzip, CSV exports, and the forms in which the Functions host hands on
// Event Hubs messages. What a record means is the business of package normalize. A part that cannot be split into
// records is reported with its place and a bounded copy, and nothing around it is lost.
package envelope

import (
	"fmt"
	"time"
)

// MaxRecord is the size of the largest record that is read, in bytes. A larger one is set aside.
const MaxRecord = 32 << 20

// Origin is the place of a record, kept as evidence.
type Origin struct {
	Source string `json:"source"`          // file path, "-" for standard input, or hub name
	Line   int64  `json:"line,omitempty"`  // 1-based line in the file on which the record starts; 0: no line
	Index  int    `json:"index,omitempty"` // 1-based place in its array or batch, or in its message; 0: not in one

	// Message is the 1-based place of the message that holds the record among those of its payload: the place of its
	// sequence number in the metadata of an Event Hubs batch. In a file it is the place in an array of batches or of
	// strings. 0: there is no such array.
	Message int `json:"message,omitempty"`

	Partition string    `json:"partition,omitempty"`
	Sequence  int64     `json:"sequence,omitempty"`
	Enqueued  time.Time `json:"enqueued,omitzero"`
}

// String returns "file:line" with "#index" where the record stands in an array, and "#message#index" where that stands in
// another, as editors and people read it.
func (o Origin) String() string {
	s := o.Source
	if o.Partition != "" {
		s += fmt.Sprintf("/%s@%d", o.Partition, o.Sequence)
	}
	if o.Line > 0 {
		s += fmt.Sprintf(":%d", o.Line)
	}
	if o.Message > 0 {
		s += fmt.Sprintf("#%d", o.Message)
	}
	if o.Index > 0 {
		s += fmt.Sprintf("#%d", o.Index)
	}
	return s
}

// Record is the JSON text of one logged thing. Body may be a part of a larger text: clone what has to outlive the
// batch.
type Record struct {
	Body   string
	Origin Origin
}

// Broken is a part of a transport that could not be split into records. It is an error for one part: the reader goes on
// behind it.
type Broken struct {
	// Reason is what is counted: "invalid-json", "invalid-csv", "invalid-gzip", "invalid-avro", "record-too-large", or
	// "unrecognised-format" for a file or message that is none of these.
	Reason string
	Detail string // one sentence for a person
	Copy   string // the start of the part, at most MaxCopy bytes
	Origin Origin
}

// MaxCopy bounds the copy of what is set aside, in bytes.
const MaxCopy = 4 << 10

func (b *Broken) Error() string { return fmt.Sprintf("%s: %s: %s", b.Origin, b.Reason, b.Detail) }

package capture

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/ocf"

	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/replay/blobs"
)

// container reads an Avro object container with records of Capture. The library reads its header and its schema; the events
// are walked here, because decoding each into values, from a block that is held whole, takes more than all that is done with it
// afterwards.
//
// Source: "Object Container Files" and "Binary Encoding" of the Avro specification, 1.11.1.
type container struct {
	src  *blobs.Counted
	base int64 // of the container, where src begins
	in   *bufio.Reader

	header
	block block
}

// header is what stands in front of all blocks.
type header struct {
	sync    [16]byte
	fields  []*avro.Field
	deflate bool
}

// block is what is being read.
type block struct {
	at   int64 // where it begins
	done int64 // its events that were read
	left int64 // and those that were not
	bad  error // what is wrong with its end

	data   int64         // where its data begin
	size   int64         // of them
	events *bufio.Reader // its events, inflated

	packed   io.LimitedReader
	inflater io.ReadCloser // nil: nothing was compressed yet
	inflated *bufio.Reader
}

// captured is what is of use of an event.
type captured struct {
	sequence int64
	enqueued string
	body     string // "" if there is none
}

// Bounds of what a container may claim. What is beyond them is damage.
const (
	maxHeader = 64 << 10
	maxText   = envelope.MaxRecord
	readAhead = 64 << 10
)

// damage says what is wrong with a container. Reading it again would not mend it.
type damage struct{ what string }

func (d *damage) Error() string { return d.what }

// readHeader reads the header, and nothing behind it.
func readHeader(r io.Reader) (header, error) {
	var raw ocf.Header
	// A buffer of one byte keeps the library from reading ahead.
	in := avro.NewReader(io.LimitReader(r, maxHeader), 1)
	if in.ReadVal(ocf.HeaderSchema, &raw); in.Error != nil || string(raw.Magic[:]) != "Obj\x01" {
		return header{}, &damage{"it is no Avro file"}
	}
	h := header{sync: raw.Sync}
	switch codec := ocf.CodecName(raw.Meta["avro.codec"]); codec {
	case "", ocf.Null:
	case ocf.Deflate:
		h.deflate = true
	default:
		return h, &damage{fmt.Sprintf("its codec %.40q is not one of Capture's", codec)}
	}
	schema, err := avro.ParseBytesWithCache(raw.Meta["avro.schema"], "", &avro.SchemaCache{})
	if err != nil {
		return h, &damage{"it has no schema that can be read"}
	}
	record, ok := schema.(*avro.RecordSchema)
	if !ok {
		return h, &damage{"its schema is no record"}
	}
	h.fields = record.Fields()
	return h, h.check()
}

// The fields that are of use.
const (
	fieldSequence = "SequenceNumber"
	fieldEnqueued = "EnqueuedTimeUtc"
	fieldBody     = "Body"
)

// check tells whether the records are those of Capture: other fields may come, as long as they can be passed over.
func (h *header) check() error {
	want := map[string]bool{fieldSequence: true, fieldEnqueued: true, fieldBody: true}
	for _, f := range h.fields {
		t := f.Type()
		ok := passable(t)
		switch f.Name() {
		case fieldSequence:
			ok = t.Type() == avro.Long
		case fieldEnqueued:
			ok = t.Type() == avro.String
		case fieldBody:
			if u, isUnion := t.(*avro.UnionSchema); isUnion {
				for _, t := range u.Types() {
					ok = ok && (t.Type() == avro.Null || t.Type() == avro.Bytes)
				}
			} else {
				ok = t.Type() == avro.Bytes
			}
		}
		if !ok {
			return &damage{fmt.Sprintf("its field %.40q is not as Capture writes it", f.Name())}
		}
		delete(want, f.Name())
	}
	for name := range want {
		return &damage{"its records have no " + name + ": they are not Capture's"}
	}
	return nil
}

// passable tells whether pass can pass over a value of the type.
func passable(s avro.Schema) bool {
	switch t := s.(type) {
	case *avro.MapSchema:
		return passable(t.Values())
	case *avro.UnionSchema:
		for _, t := range t.Types() {
			if !passable(t) {
				return false
			}
		}
		return true
	}
	switch s.Type() {
	case avro.Null, avro.Boolean, avro.Int, avro.Long, avro.Float, avro.Double, avro.Bytes, avro.String:
		return true
	default:
		return false
	}
}

// newContainer reads on from a place behind the header at which a block begins.
func newContainer(h header, in *bufio.Reader, src *blobs.Counted, base int64) *container {
	return &container{src: src, base: base, in: in, header: h, block: block{at: base}}
}

// offset is the place of what is read next.
func (c *container) offset() int64 { return c.base + c.src.N - int64(c.in.Buffered()) }

// next returns the next event. The error is io.EOF at the end; a *damage, behind which the next call goes on with another block;
// or that of the source.
func (c *container) next() (captured, error) {
	for c.block.left == 0 {
		err := c.block.bad
		if err == nil {
			err = c.open()
		}
		if err != nil {
			return captured{}, c.failed(err)
		}
	}
	e, err := c.event()
	if err != nil {
		return captured{}, c.failed(err)
	}
	c.block.done++
	if c.block.left--; c.block.left == 0 {
		c.block.bad = c.end() // the event is none the worse for it
	}
	return e, nil
}

// failed tells damage from trouble of the source, and moves behind it.
func (c *container) failed(err error) error {
	if c.src.Err != nil {
		return c.src.Err
	}
	if errors.Is(err, io.EOF) {
		return err
	}
	what := err.Error()
	if errors.Is(err, io.ErrUnexpectedEOF) {
		what = "it ends too early"
	}
	bad := &damage{fmt.Sprintf("from byte %d on: %s", c.block.at, what)}
	if err := c.resume(); err != nil {
		return err
	}
	return bad
}

// resume moves behind the next marker between blocks, or to the end.
func (c *container) resume() error {
	c.block.left, c.block.done, c.block.bad = 0, 0, nil
	for {
		p, err := c.in.Peek(readAhead)
		if n := bytes.Index(p, c.sync[:]); n >= 0 {
			_, err := c.in.Discard(n + len(c.sync))
			c.block.at = c.offset()
			return err
		}
		if err != nil {
			c.block.at = c.offset()
			return c.src.Err
		}
		if _, err := c.in.Discard(len(p) - len(c.sync)); err != nil {
			return err
		}
	}
}

// open begins the next block. The error is io.EOF if there is none.
func (c *container) open() error {
	b := &c.block
	b.at, b.done = c.offset(), 0
	if _, err := c.in.Peek(1); err != nil {
		return err
	}
	count, err := long(c.in)
	if err != nil {
		return err
	}
	if b.size, err = long(c.in); err != nil {
		return err
	}
	if count < 0 || b.size < 0 {
		return &damage{"a block has a length below zero"}
	}
	b.data, b.left = c.offset(), count
	if b.events = c.in; c.deflate {
		if err := b.inflate(c.in); err != nil {
			return err
		}
	}
	if count == 0 {
		return c.end()
	}
	return nil
}

// inflate makes the events of the block those that its data hold compressed.
func (b *block) inflate(in *bufio.Reader) error {
	b.packed = io.LimitedReader{R: in, N: b.size}
	if again, ok := b.inflater.(flate.Resetter); ok {
		if err := again.Reset(&b.packed, nil); err != nil {
			return err
		}
		b.inflated.Reset(b.inflater)
	} else {
		b.inflater = flate.NewReader(&b.packed)
		b.inflated = bufio.NewReaderSize(b.inflater, readAhead)
	}
	b.events = b.inflated
	return nil
}

// end reads what follows the last event of a block.
func (c *container) end() error {
	b := &c.block
	if c.deflate {
		switch _, err := b.events.Peek(1); {
		case err == nil:
			return &damage{"a block holds more than its events"}
		case !errors.Is(err, io.EOF):
			return err
		}
		if _, err := io.Copy(io.Discard, &b.packed); err != nil {
			return err
		}
	}
	if c.offset()-b.data != b.size {
		return &damage{"a block is not as long as it says"}
	}
	var sync [16]byte
	if _, err := io.ReadFull(c.in, sync[:]); err != nil {
		return inside(err)
	}
	if sync != c.sync {
		return &damage{"a block does not end where it says"}
	}
	b.at, b.done = c.offset(), 0
	return nil
}

// event reads an event.
func (c *container) event() (e captured, err error) {
	in := c.block.events
	for _, f := range c.fields {
		switch f.Name() {
		case fieldSequence:
			e.sequence, err = long(in)
		case fieldEnqueued:
			e.enqueued, err = text(in)
		case fieldBody:
			t := f.Type()
			if u, ok := t.(*avro.UnionSchema); ok {
				t, err = branch(in, u)
			}
			if err == nil && t.Type() != avro.Null {
				e.body, err = text(in)
			}
		default:
			err = pass(in, f.Type())
		}
		if err != nil {
			return e, err
		}
	}
	return e, nil
}

// long reads a number: the zigzag encoding of Avro is that of package binary.
func long(in *bufio.Reader) (int64, error) {
	n, err := binary.ReadVarint(in)
	return n, inside(err)
}

// inside makes an end that comes too early of one that comes where there should be more.
func inside(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// text reads bytes or a string.
func text(in *bufio.Reader) (string, error) {
	n, err := length(in)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.Grow(n)
	for b.Len() < n {
		if _, err := in.Peek(1); err != nil {
			return "", inside(err)
		}
		p, err := in.Peek(min(in.Buffered(), n-b.Len()))
		if err != nil {
			return "", inside(err)
		}
		b.Write(p)
		if _, err := in.Discard(len(p)); err != nil {
			return "", inside(err)
		}
	}
	return b.String(), nil
}

// length reads how long bytes or a string are.
func length(in *bufio.Reader) (int, error) {
	n, err := long(in)
	if err == nil && (n < 0 || n > maxText) {
		err = &damage{"a value is longer than any event"}
	}
	return int(n), err
}

// branch reads which type of a union a value has.
func branch(in *bufio.Reader, u *avro.UnionSchema) (avro.Schema, error) {
	n, err := long(in)
	if err != nil {
		return nil, err
	}
	if n < 0 || n >= int64(len(u.Types())) {
		return nil, &damage{"a value is of no type"}
	}
	return u.Types()[n], nil
}

// pass passes over a value.
func pass(in *bufio.Reader, s avro.Schema) error {
	if u, ok := s.(*avro.UnionSchema); ok {
		t, err := branch(in, u)
		if err != nil {
			return err
		}
		return pass(in, t)
	}
	if m, ok := s.(*avro.MapSchema); ok {
		return passMap(in, m.Values())
	}
	skip := 0
	var err error
	switch s.Type() {
	case avro.Int, avro.Long:
		_, err = long(in)
	case avro.Boolean:
		skip = 1
	case avro.Float:
		skip = 4
	case avro.Double:
		skip = 8
	case avro.Bytes, avro.String:
		skip, err = length(in)
	default: // null
	}
	if err == nil && skip > 0 {
		_, err = in.Discard(skip)
	}
	return inside(err)
}

// passMap passes over a map: parts, each with its number of entries in front, up to one without any.
func passMap(in *bufio.Reader, values avro.Schema) error {
	for {
		n, err := long(in)
		if err != nil || n == 0 {
			return err
		}
		if n < 0 { // the size of the part follows
			n = -n
			if _, err := long(in); err != nil {
				return err
			}
		}
		for ; n > 0; n-- {
			skip, err := length(in)
			if err == nil {
				_, err = in.Discard(skip)
			}
			if err == nil {
				err = pass(in, values)
			}
			if err != nil {
				return inside(err)
			}
		}
	}
}

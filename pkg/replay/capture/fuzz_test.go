package capture

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/hamba/avro/v2/ocf"

	"github.com/assay-sec/assay/pkg/replay/blobs"
)

// Whatever a file holds, reading it ends, with no more events than it has bytes, inflated; and what is damage is said to be.
func FuzzContainer(f *testing.F) {
	const schema = `{"type":"record","name":"EventData","fields":[{"name":"SequenceNumber","type":"long"},{"name":"EnqueuedTimeUtc","type":"string"},
{"name":"Properties","type":{"type":"map","values":["long","double","string","bytes","null","boolean","int","float"]}},{"name":"Body","type":["null","bytes"]}]}`
	for _, codec := range []ocf.CodecName{ocf.Null, ocf.Deflate, ocf.Snappy} {
		var out bytes.Buffer
		enc, err := ocf.NewEncoder(schema, &out, ocf.WithCodec(codec), ocf.WithBlockLength(2))
		if err != nil {
			f.Fatal(err)
		}
		for i := range 5 {
			if err := enc.Encode(map[string]any{
				"SequenceNumber": int64(i), "EnqueuedTimeUtc": "3/1/2026 10:20:30 PM", "Properties": map[string]any{"a": "b", "n": nil, "l": int64(1)},
				"Body": []byte(`{"records":[{"id":"1"}]}`),
			}); err != nil {
				f.Fatal(err)
			}
		}
		if err := enc.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(out.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		src := &blobs.Counted{Reader: bytes.NewReader(data)}
		in := bufio.NewReaderSize(src, readAhead)
		h, err := readHeader(in)
		bad := (*damage)(nil)
		if err != nil {
			if !errors.As(err, &bad) {
				t.Fatal(err)
			}
			return
		}
		c := newContainer(h, in, src, 0)
		most := len(data) * 1100 // deflate packs a byte into a thousandth at best
		for n := 0; ; n++ {
			_, err := c.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil && (!errors.As(err, &bad) || strings.TrimSpace(bad.what) == "") {
				t.Fatal(err)
			}
			if n > most {
				t.Fatal("it does not end")
			}
		}
		if c.offset() != int64(len(data)) {
			t.Errorf("it ends at byte %d of %d", c.offset(), len(data))
		}
	})
}

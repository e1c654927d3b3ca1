package decode

import (
	"crypto/sha256"
	"encoding/json"
	"testing"

	"github.com/assay-sec/assay/pkg/bench/corpus"
)

// One operation is a sign-in of 4.7 KB and a MailItemsAccessed of 2.6 KB, on average. TestCostOfARecord compares the
// same by CPU time.
func BenchmarkObject(b *testing.B) {
	records := corpus.Records(1, 2000)
	raw := make([][]byte, len(records))
	size := 0
	for i, r := range records {
		raw[i] = []byte(r)
		size += len(r)
	}
	var v Values
	object := func(d Decoder) func(i int) error {
		return func(i int) error {
			v.Reset()
			return d.Object(records[i], Root, &v)
		}
	}
	for _, c := range []struct {
		name string
		read func(i int) error
	}{
		{"Scanner", object(Scanner{})},
		{"Reference", object(Reference{})},
		{"sha256", func(i int) error { sha256.Sum256(raw[i]); return nil }},
		{"json.Valid", func(i int) error {
			if !json.Valid(raw[i]) {
				return ErrSyntax
			}
			return nil
		}},
		{"encoding-json-map", func(i int) error {
			var m map[string]any
			return json.Unmarshal(raw[i], &m)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(2 * size / len(records)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i += 2 {
				for j := range 2 {
					if err := c.read((i + j) % len(records)); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkArray(b *testing.B) {
	list := `[{"Name":"MailAccessType","Value":"Bind"},{"Name":"IsThrottled","Value":"False"},"a\u00e9",1,true]`
	for name, d := range decoders {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(list)))
			b.ReportAllocs()
			for b.Loop() {
				if err := d.Array(list, func(Value) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

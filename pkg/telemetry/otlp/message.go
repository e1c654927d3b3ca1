package otlp

import (
	"encoding/binary"
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
)

// message is a protobuf message that is being written, see https://protobuf.dev/programming-guides/encoding/. Its methods add a
// field, and leave out what is zero as proto3 does; where zero and absent differ, the method's name ends in Set.
type message []byte

// number is that of a field.
type number uint64

// wire is how the value of a field is written.
type wire uint64

const (
	wireVarint  wire = 0
	wireFixed64 wire = 1
	wireBytes   wire = 2
	wireFixed32 wire = 5
)

func (m *message) tag(n number, w wire) { *m = binary.AppendUvarint(*m, uint64(n)<<3|uint64(w)) }

func (m *message) varint(n number, v uint64) {
	if v != 0 {
		m.varintSet(n, v)
	}
}

func (m *message) varintSet(n number, v uint64) {
	m.tag(n, wireVarint)
	*m = binary.AppendUvarint(*m, v)
}

// zigzag writes a number that may be below zero.
func (m *message) zigzag(n number, v int32) { m.varint(n, uint64(uint32(v<<1)^uint32(v>>31))) } //nolint:gosec // bits alone

func (m *message) boolean(n number, v bool) {
	if v {
		m.varint(n, 1)
	}
}

func (m *message) fixed32(n number, v uint32) {
	m.tag(n, wireFixed32)
	*m = binary.LittleEndian.AppendUint32(*m, v)
}

func (m *message) fixed64(n number, v uint64) {
	if v != 0 {
		m.fixed64Set(n, v)
	}
}

func (m *message) fixed64Set(n number, v uint64) {
	m.tag(n, wireFixed64)
	*m = binary.LittleEndian.AppendUint64(*m, v)
}

func (m *message) double(n number, v float64) { m.fixed64(n, math.Float64bits(v)) }

func (m *message) doubleSet(n number, v float64) { m.fixed64Set(n, math.Float64bits(v)) }

// time writes nanoseconds since 1970; what was before is 0, which stands for "not known".
func (m *message) time(n number, t time.Time) { m.fixed64(n, unsigned(t.UnixNano())) }

func (m *message) text(n number, v string) {
	if v != "" {
		m.textSet(n, v)
	}
}

func (m *message) textSet(n number, v string) {
	m.tag(n, wireBytes)
	*m = append(binary.AppendUvarint(*m, uint64(len(v))), v...)
}

func (m *message) bytes(n number, v []byte) {
	if len(v) > 0 {
		m.bytesSet(n, v)
	}
}

func (m *message) bytesSet(n number, v []byte) {
	m.tag(n, wireBytes)
	*m = append(binary.AppendUvarint(*m, uint64(len(v))), v...)
}

// message writes a message inside, even an empty one.
func (m *message) message(n number, write func(*message)) {
	var inner message
	write(&inner)
	m.bytesSet(n, inner)
}

// unsigned is v, or 0 for what is below.
func unsigned[N int | int64](v N) uint64 { return uint64(max(v, 0)) }

// attributes writes each as a KeyValue.
func (m *message) attributes(n number, list []attribute.KeyValue) {
	for _, a := range list {
		m.message(n, func(m *message) {
			m.text(1, string(a.Key))
			m.message(2, func(m *message) { m.anyValue(a.Value) })
		})
	}
}

// anyValue writes the fields of an AnyValue. One without a field is the empty value.
func (m *message) anyValue(v attribute.Value) {
	switch v.Type() {
	case attribute.STRING:
		m.textSet(1, v.AsString())
	case attribute.BOOL:
		set := uint64(0)
		if v.AsBool() {
			set = 1
		}
		m.varintSet(2, set)
	case attribute.INT64:
		m.varintSet(3, uint64(v.AsInt64())) //nolint:gosec // two's complement is what protobuf asks for
	case attribute.FLOAT64:
		m.doubleSet(4, v.AsFloat64())
	case attribute.BYTESLICE:
		m.bytesSet(7, v.AsByteSlice())
	case attribute.STRINGSLICE:
		array(m, v.AsStringSlice(), attribute.StringValue)
	case attribute.BOOLSLICE:
		array(m, v.AsBoolSlice(), attribute.BoolValue)
	case attribute.INT64SLICE:
		array(m, v.AsInt64Slice(), attribute.Int64Value)
	case attribute.FLOAT64SLICE:
		array(m, v.AsFloat64Slice(), attribute.Float64Value)
	case attribute.SLICE:
		array(m, v.AsSlice(), func(v attribute.Value) attribute.Value { return v })
	case attribute.MAP:
		m.message(6, func(m *message) { m.attributes(1, v.AsMap()) })
	case attribute.EMPTY:
	default:
		m.textSet(1, "INVALID")
	}
}

// array writes an ArrayValue.
func array[T any](m *message, list []T, value func(T) attribute.Value) {
	m.message(5, func(m *message) {
		for _, v := range list {
			m.message(1, func(m *message) { m.anyValue(value(v)) })
		}
	})
}

// resource writes who tells.
func (m *message) resource(r *resource.Resource) {
	m.message(1, func(m *message) { m.attributes(1, r.Attributes()) })
}

// scope writes which instrumentation tells.
func (m *message) scope(s instrumentation.Scope) {
	m.message(1, func(m *message) {
		m.text(1, s.Name)
		m.text(2, s.Version)
		m.attributes(3, s.Attributes.ToSlice())
	})
}

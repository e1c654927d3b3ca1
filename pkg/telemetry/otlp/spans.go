package otlp

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Bits of the flags of a span and a link above those of W3C: whether it is known that the parent is in another process, and if so.
const (
	flagRemoteKnown = 0x100
	flagRemote      = 0x200
)

// spansRequest writes an ExportTraceServiceRequest.
func spansRequest(spans []trace.ReadOnlySpan) []byte {
	// Spans are grouped by who tells: in one process there is one resource and one scope, so this is a single group.
	type source struct {
		resource attribute.Distinct
		scope    instrumentation.Scope
	}
	var order []source
	groups := map[source][]trace.ReadOnlySpan{}
	for _, s := range spans {
		from := source{s.Resource().Equivalent(), s.InstrumentationScope()}
		if groups[from] == nil {
			order = append(order, from)
		}
		groups[from] = append(groups[from], s)
	}
	var m message
	for _, from := range order {
		group := groups[from]
		m.message(1, func(m *message) { // ResourceSpans
			m.resource(group[0].Resource())
			m.message(2, func(m *message) { // ScopeSpans
				m.scope(from.scope)
				for _, s := range group {
					m.message(2, func(m *message) { m.span(s) })
				}
				m.text(3, from.scope.SchemaURL)
			})
			m.text(3, group[0].Resource().SchemaURL())
		})
	}
	return m
}

// span writes the fields of a Span.
func (m *message) span(s trace.ReadOnlySpan) {
	own, parent := s.SpanContext(), s.Parent()
	m.ids(own)
	m.text(3, own.TraceState().String())
	if id := parent.SpanID(); id.IsValid() {
		m.bytes(4, id[:])
	}
	m.text(5, s.Name())
	m.varint(6, kind(s.SpanKind()))
	m.time(7, s.StartTime())
	m.time(8, s.EndTime())
	m.attributes(9, s.Attributes())
	m.varint(10, unsigned(s.DroppedAttributes()))
	for _, e := range s.Events() {
		m.message(11, func(m *message) {
			m.time(1, e.Time)
			m.text(2, e.Name)
			m.attributes(3, e.Attributes)
			m.varint(4, unsigned(e.DroppedAttributeCount))
		})
	}
	m.varint(12, unsigned(s.DroppedEvents()))
	for _, l := range s.Links() {
		m.message(13, func(m *message) {
			m.ids(l.SpanContext)
			m.text(3, l.SpanContext.TraceState().String())
			m.attributes(4, l.Attributes)
			m.varint(5, unsigned(l.DroppedAttributeCount))
			m.fixed32(6, flags(l.SpanContext.TraceFlags(), l.SpanContext))
		})
	}
	m.varint(14, unsigned(s.DroppedLinks()))
	m.message(15, func(m *message) { // Status
		m.text(2, s.Status().Description)
		switch s.Status().Code {
		case codes.Ok:
			m.varint(3, 1)
		case codes.Error:
			m.varint(3, 2)
		default: // not set
		}
	})
	m.fixed32(16, flags(own.TraceFlags(), parent))
}

// ids writes which span it is.
func (m *message) ids(c oteltrace.SpanContext) {
	t, s := c.TraceID(), c.SpanID()
	m.bytes(1, t[:])
	m.bytes(2, s[:])
}

func flags(own oteltrace.TraceFlags, from oteltrace.SpanContext) uint32 {
	f := uint32(own) | flagRemoteKnown
	if from.IsRemote() {
		f |= flagRemote
	}
	return f
}

// kind is the number of a SpanKind; 0: not told.
func kind(k oteltrace.SpanKind) uint64 {
	switch k {
	case oteltrace.SpanKindInternal:
		return 1
	case oteltrace.SpanKindServer:
		return 2
	case oteltrace.SpanKindClient:
		return 3
	case oteltrace.SpanKindProducer:
		return 4
	case oteltrace.SpanKindConsumer:
		return 5
	default:
		return 0
	}
}

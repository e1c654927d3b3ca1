package otlp

import (
	"encoding/binary"
	"math"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// metricsRequest writes an ExportMetricsServiceRequest.
func metricsRequest(all *metricdata.ResourceMetrics) []byte {
	var m message
	m.message(1, func(m *message) { // ResourceMetrics
		m.resource(all.Resource)
		for _, s := range all.ScopeMetrics {
			m.message(2, func(m *message) { // ScopeMetrics
				m.scope(s.Scope)
				for _, x := range s.Metrics {
					m.message(2, func(m *message) { m.metric(x) })
				}
				m.text(3, s.Scope.SchemaURL)
			})
		}
		m.text(3, all.Resource.SchemaURL())
	})
	return m
}

// metric writes the fields of a Metric. Summaries come from bridges to other libraries alone: they are left out.
func (m *message) metric(x metricdata.Metrics) {
	m.text(1, x.Name)
	m.text(2, x.Description)
	m.text(3, x.Unit)
	switch d := x.Data.(type) {
	case metricdata.Gauge[int64]:
		gauge(m, d)
	case metricdata.Gauge[float64]:
		gauge(m, d)
	case metricdata.Sum[int64]:
		sum(m, d)
	case metricdata.Sum[float64]:
		sum(m, d)
	case metricdata.Histogram[int64]:
		histogram(m, d)
	case metricdata.Histogram[float64]:
		histogram(m, d)
	case metricdata.ExponentialHistogram[int64]:
		exponential(m, d)
	case metricdata.ExponentialHistogram[float64]:
		exponential(m, d)
	}
}

// value is what the SDK measures in.
type value interface{ int64 | float64 }

func gauge[N value](m *message, g metricdata.Gauge[N]) {
	m.message(5, func(m *message) { points(m, g.DataPoints) })
}

func sum[N value](m *message, s metricdata.Sum[N]) {
	m.message(7, func(m *message) {
		points(m, s.DataPoints)
		m.temporality(s.Temporality)
		m.boolean(3, s.IsMonotonic)
	})
}

func points[N value](m *message, list []metricdata.DataPoint[N]) {
	for _, p := range list {
		m.message(1, func(m *message) {
			m.time(2, p.StartTime)
			m.time(3, p.Time)
			number64(m, 4, p.Value)
			exemplars(m, 5, p.Exemplars)
			m.attributes(7, p.Attributes.ToSlice())
		})
	}
}

// number64 writes a value of either type; a double has the field n, and a whole number the field 6.
func number64[N value](m *message, n number, v N) {
	switch v := any(v).(type) {
	case int64:
		m.fixed64Set(6, uint64(v)) //nolint:gosec // sfixed64 is two's complement
	case float64:
		m.doubleSet(n, v)
	}
}

func histogram[N value](m *message, h metricdata.Histogram[N]) {
	m.message(9, func(m *message) {
		for _, p := range h.DataPoints {
			m.message(1, func(m *message) {
				m.time(2, p.StartTime)
				m.time(3, p.Time)
				m.fixed64(4, p.Count)
				m.doubleSet(5, float64(p.Sum))
				m.packed64(6, p.BucketCounts)
				bounds := make([]uint64, len(p.Bounds))
				for i, b := range p.Bounds {
					bounds[i] = math.Float64bits(b)
				}
				m.packed64(7, bounds)
				exemplars(m, 8, p.Exemplars)
				m.attributes(9, p.Attributes.ToSlice())
				extremes(m, 11, 12, p.Min, p.Max)
			})
		}
		m.temporality(h.Temporality)
	})
}

func exponential[N value](m *message, h metricdata.ExponentialHistogram[N]) {
	buckets := func(m *message, n number, b metricdata.ExponentialBucket) {
		m.message(n, func(m *message) {
			m.zigzag(1, b.Offset)
			var counts message
			for _, c := range b.Counts {
				counts = binary.AppendUvarint(counts, c)
			}
			m.bytes(2, counts)
		})
	}
	m.message(10, func(m *message) {
		for _, p := range h.DataPoints {
			m.message(1, func(m *message) {
				m.attributes(1, p.Attributes.ToSlice())
				m.time(2, p.StartTime)
				m.time(3, p.Time)
				m.fixed64(4, p.Count)
				m.doubleSet(5, float64(p.Sum))
				m.zigzag(6, p.Scale)
				m.fixed64(7, p.ZeroCount)
				buckets(m, 8, p.PositiveBucket)
				buckets(m, 9, p.NegativeBucket)
				exemplars(m, 11, p.Exemplars)
				extremes(m, 12, 13, p.Min, p.Max)
				m.double(14, p.ZeroThreshold)
			})
		}
		m.temporality(h.Temporality)
	})
}

// packed64 writes numbers of eight bytes each.
func (m *message) packed64(n number, list []uint64) {
	var packed message
	for _, v := range list {
		packed = binary.LittleEndian.AppendUint64(packed, v)
	}
	m.bytes(n, packed)
}

// extremes writes the least and the greatest value where they are known.
func extremes[N value](m *message, least, greatest number, low, high metricdata.Extrema[N]) {
	if v, ok := low.Value(); ok {
		m.doubleSet(least, float64(v))
	}
	if v, ok := high.Value(); ok {
		m.doubleSet(greatest, float64(v))
	}
}

// exemplars writes measurements that stand for their series, with the span in which they were taken.
func exemplars[N value](m *message, n number, list []metricdata.Exemplar[N]) {
	for _, e := range list {
		m.message(n, func(m *message) {
			m.time(2, e.Time)
			m.bytes(4, e.SpanID)
			m.bytes(5, e.TraceID)
			m.attributes(7, e.FilteredAttributes)
			number64(m, 3, e.Value)
		})
	}
}

// temporality writes since when the points of a metric count: all have it in field 2.
func (m *message) temporality(t metricdata.Temporality) {
	switch t {
	case metricdata.DeltaTemporality:
		m.varint(2, 1)
	case metricdata.CumulativeTemporality:
		m.varint(2, 2)
	default: // not known
	}
}

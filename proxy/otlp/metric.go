package otlp

import (
	"context"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// cumulative says that counts are since the start.
const cumulative = 2

// metric is one of OTLP's JSON: with points in one of its three forms.
type metric struct {
	Name        string  `json:"name"`
	Description string  `json:"description"`
	Gauge       *points `json:"gauge,omitempty"`
	Sum         *points `json:"sum,omitempty"`
	Histogram   *points `json:"histogram,omitempty"`
	Exponential *points `json:"exponentialHistogram,omitempty"`
}

type points struct {
	Points      []point `json:"dataPoints"`
	Temporality int     `json:"aggregationTemporality,omitempty"`
	Monotonic   bool    `json:"isMonotonic,omitempty"`
}

type point struct {
	Attributes []attribute `json:"attributes"`
	Start      string      `json:"startTimeUnixNano,omitempty"`
	Time       string      `json:"timeUnixNano"`
	Value      *float64    `json:"asDouble,omitempty"`

	// of histograms
	Count  string    `json:"count,omitempty"`
	Sum    *float64  `json:"sum,omitempty"`
	Counts []string  `json:"bucketCounts,omitempty"`
	Bounds []float64 `json:"explicitBounds,omitempty"`

	// of exponential ones
	Scale     *int32   `json:"scale,omitempty"`
	Zero      string   `json:"zeroCount,omitempty"`
	Threshold float64  `json:"zeroThreshold,omitempty"`
	Positive  *buckets `json:"positive,omitempty"`
}

type buckets struct {
	Offset int32    `json:"offset"`
	Counts []string `json:"bucketCounts"`
}

func whole(n uint64) string { return strconv.FormatUint(n, 10) }

// sendMetrics gathers and sends.
func (e *Exporter) sendMetrics(ctx context.Context, now time.Time) {
	if e.cfg.URL == "" {
		return
	}
	families, err := e.cfg.Gather()
	if err != nil {
		e.cfg.Log.Warn("metrics cannot be gathered", "error", err)
	}
	type scopeMetrics struct {
		Scope   scope    `json:"scope"`
		Metrics []metric `json:"metrics"`
	}
	type resourceMetrics struct {
		Resource     resource       `json:"resource"`
		ScopeMetrics []scopeMetrics `json:"scopeMetrics"`
	}
	e.send(ctx, "metrics", map[string][]resourceMetrics{"resourceMetrics": {{e.resource, []scopeMetrics{{scope{"pgguard"}, e.metrics(families, now)}}}}})
}

// metrics are families in OpenTelemetry's forms. Those that have none there (summaries) are left out.
func (e *Exporter) metrics(families []*dto.MetricFamily, now time.Time) (list []metric) {
	for _, f := range families {
		m, all := metric{Name: f.GetName(), Description: f.GetHelp()}, &points{}
		for _, one := range f.Metric {
			p := point{Time: nanos(now), Start: nanos(e.began), Attributes: []attribute{}}
			for _, l := range one.Label {
				p.Attributes = append(p.Attributes, text(l.GetName(), l.GetValue()))
			}
			switch {
			case one.Gauge != nil:
				p.Start, p.Value, m.Gauge = "", one.Gauge.Value, all
			case one.Counter != nil:
				p.Value, m.Sum = one.Counter.Value, all
				all.Temporality, all.Monotonic = cumulative, true
			case one.Histogram != nil && one.Histogram.Schema != nil:
				p.exponential(one.Histogram)
				all.Temporality, m.Exponential = cumulative, all
			case one.Histogram != nil:
				p.explicit(one.Histogram)
				all.Temporality, m.Histogram = cumulative, all
			default:
				continue
			}
			all.Points = append(all.Points, p)
		}
		if len(all.Points) > 0 {
			list = append(list, m)
		}
	}
	return list
}

// explicit fills in a classic histogram, whose counts are cumulative, as one whose are not.
func (p *point) explicit(h *dto.Histogram) {
	p.Count, p.Sum = whole(h.GetSampleCount()), h.SampleSum
	before := uint64(0)
	for _, b := range h.Bucket {
		p.Bounds, p.Counts = append(p.Bounds, b.GetUpperBound()), append(p.Counts, whole(b.GetCumulativeCount()-before))
		before = b.GetCumulativeCount()
	}
	p.Counts = append(p.Counts, whole(h.GetSampleCount()-before))
}

// exponential fills in a native histogram. Its spans become one, with empty buckets between them. Prometheus names a bucket by its upper end, OpenTelemetry by its lower one.
func (p *point) exponential(h *dto.Histogram) {
	p.Count, p.Sum, p.Scale, p.Zero, p.Threshold = whole(h.GetSampleCount()), h.SampleSum, h.Schema, whole(h.GetZeroCount()), h.GetZeroThreshold()
	p.Positive = &buckets{Counts: []string{}}
	if len(h.PositiveDelta) > 0 {
		p.Positive.Offset = h.PositiveSpan[0].GetOffset() - 1
	}
	n, deltas := int64(0), h.PositiveDelta
	for i, s := range h.PositiveSpan {
		for gap := s.GetOffset(); i > 0 && gap > 0; gap-- {
			p.Positive.Counts = append(p.Positive.Counts, "0")
		}
		for _, delta := range deltas[:s.GetLength()] {
			n += delta
			p.Positive.Counts = append(p.Positive.Counts, whole(uint64(n)))
		}
		deltas = deltas[s.GetLength():]
	}
}

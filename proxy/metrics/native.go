package metrics

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"pgguard/pool"
)

// histogram is a classic histogram with the native buckets beside: a scraper that asks for protobuf is sent both, and takes what it is configured to; one that asks for
// text is sent the classic ones.
type histogram struct {
	prometheus.Metric
	native []uint64 // as in pool.Buckets; nil: there are none
}

// Write implements prometheus.Metric.
func (h histogram) Write(out *dto.Metric) error {
	if err := h.Metric.Write(out); err != nil || h.native == nil {
		return err
	}
	native(out.GetHistogram(), h.native)
	return nil
}

// native adds the native buckets, as one span from the first to the last that is not empty. The first of all is the one around zero.
func native(out *dto.Histogram, counts []uint64) {
	schema, threshold := int32(pool.NativeSchema), math.Exp2(pool.NativeZero/float64(int(1)<<pool.NativeSchema))
	out.Schema, out.ZeroThreshold, out.ZeroCount = &schema, &threshold, &counts[0]
	first, end := 1, len(counts)
	for first < end && counts[first] == 0 {
		first++
	}
	for end > first && counts[end-1] == 0 {
		end--
	}
	offset, length := int32(0), uint32(end-first)
	if length > 0 {
		offset = int32(pool.NativeZero + first)
	}
	out.PositiveSpan = []*dto.BucketSpan{{Offset: &offset, Length: &length}} // also if it is empty: it says that this is a native histogram
	before := int64(0)
	for _, n := range counts[first:end] {
		out.PositiveDelta = append(out.PositiveDelta, int64(n)-before)
		before = int64(n)
	}
}

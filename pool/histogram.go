package pool

import "time"

// bounds are the upper ends of the buckets: from a tenth of a millisecond, the fastest statement over a socket, to
// minutes, longer than any client waits.
var bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
}

// HistogramSize is how many buckets every histogram of the guard has, the last without an upper end.
const HistogramSize = len(bounds) + 1

// HistogramBucket returns the bucket that d falls into.
func HistogramBucket(d time.Duration) int {
	for i, b := range bounds {
		if d <= b {
			return i
		}
	}
	return len(bounds)
}

// Buckets is a cumulative histogram: Counts[i] observations were at most Bounds[i] seconds, Count in all.
type Buckets struct {
	Bounds []float64
	Counts []uint64
	Count  uint64
	Sum    float64 // seconds
}

// BucketsOf makes the counts of single buckets cumulative.
func BucketsOf(counts [HistogramSize]uint64, sum time.Duration) Buckets {
	b := Buckets{Bounds: make([]float64, len(bounds)), Counts: make([]uint64, len(bounds)), Sum: sum.Seconds()}
	for i := range bounds {
		b.Count += counts[i]
		b.Bounds[i], b.Counts[i] = bounds[i].Seconds(), b.Count
	}
	b.Count += counts[len(bounds)]
	return b
}

// histogram counts durations. It is not safe for concurrent use; the zero value is empty.
type histogram struct {
	counts [HistogramSize]uint64
	sum    time.Duration
}

func (h *histogram) observe(d time.Duration) {
	h.counts[HistogramBucket(d)]++
	h.sum += d
}

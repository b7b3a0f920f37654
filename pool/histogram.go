package pool

import (
	"math"
	"math/bits"
	"time"
)

// bounds are the upper ends of the classic buckets: from a tenth of a millisecond, the fastest statement over a socket, to
// minutes, longer than any client waits.
var bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
}

// Native buckets are those of Prometheus' native histograms: bucket i ends at 2^(i/4) seconds, so that there are four for each doubling, and a
// quantile is right within a fifth. What is shorter than the first, 61 µs, is in none.
const (
	NativeSchema = 2 // of which 2^2 is the number of buckets for each doubling
	NativeZero   = -14 << NativeSchema
	NativeLast   = 9 << NativeSchema // 512 s; what takes longer is in the bucket behind it
)

// HistogramSize is how many cells every histogram of the guard has, the last without an upper end. A cell ends where a classic bucket does, or a native one,
// so that both are sums of cells and one addition counts for both.
const HistogramSize = len(bounds) - 3 + NativeLast - NativeZero + 1 + 1 // a second, half of one and a quarter are ends of one of each

// cells are where the cells end, and what ends there.
var cells = newCells()

type cellTable struct {
	ends    [HistogramSize - 1]time.Duration
	classic [HistogramSize - 1]bool // a classic bucket ends here
	native  [HistogramSize]int      // the native bucket that the cell is in
	octave  [64]uint8               // the first cell that does not end before 2^i ns
}

func newCells() (t cellTable) {
	i, native := 0, NativeZero
	for c := range t.ends {
		end := time.Duration(math.Exp2(float64(native)/(1<<NativeSchema)) * 1e9)
		t.native[c] = native
		if i < len(bounds) && (native > NativeLast || bounds[i] <= end) {
			t.classic[c], end = true, bounds[i]
		}
		if t.ends[c] = end; t.classic[c] {
			i++
		}
		if native <= NativeLast && end == time.Duration(math.Exp2(float64(native)/(1<<NativeSchema))*1e9) {
			native++
		}
	}
	t.native[HistogramSize-1] = NativeLast + 1
	for k := range t.octave {
		for int(t.octave[k]) < len(t.ends) && uint64(t.ends[t.octave[k]]) < 1<<k {
			t.octave[k]++
		}
	}
	return t
}

// HistogramBucket returns the cell that d falls into.
func HistogramBucket(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	c := int(cells.octave[bits.Len64(uint64(d))-1])
	for c < len(cells.ends) && d > cells.ends[c] {
		c++
	}
	return c
}

// Buckets is a cumulative histogram: Counts[i] observations were at most Bounds[i] seconds, Count in all.
type Buckets struct {
	Bounds []float64
	Counts []uint64
	Count  uint64
	Sum    float64 // seconds
	// Native has the native buckets from NativeZero to NativeLast+1, not cumulative; nil: none are kept.
	Native []uint64
}

// BucketsOf makes the counts of cells cumulative.
func BucketsOf(counts [HistogramSize]uint64, sum time.Duration) Buckets {
	b := Buckets{
		Bounds: make([]float64, 0, len(bounds)), Counts: make([]uint64, 0, len(bounds)), Sum: sum.Seconds(), Native: make([]uint64, NativeLast-NativeZero+2),
	}
	for c, n := range counts {
		b.Count += n
		b.Native[cells.native[c]-NativeZero] += n
		if c < len(cells.ends) && cells.classic[c] {
			b.Bounds, b.Counts = append(b.Bounds, cells.ends[c].Seconds()), append(b.Counts, b.Count)
		}
	}
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

package pool

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestCellsEndWhereBucketsDo: each end of a classic and of a native bucket is one of a cell, in order, and nothing else is.
func TestCellsEndWhereBucketsDo(t *testing.T) {
	want := slices.Clone(bounds[:])
	for i := NativeZero; i <= NativeLast; i++ {
		want = append(want, time.Duration(math.Exp2(float64(i)/4)*1e9))
	}
	slices.Sort(want)
	if want = slices.Compact(want); !slices.Equal(cells.ends[:], want) {
		t.Errorf("cells end at %v\nbuckets at %v", cells.ends, want)
	}
}

// TestBucketsAreExact: whatever is observed is in the classic and the native bucket that it belongs to, and the guard's own bounds are as they were.
func TestBucketsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h histogram
		list := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(-5, int64(20*time.Minute)), rapid.Int64Range(0, int64(time.Millisecond)),
			rapid.Map(rapid.SampledFrom(cells.ends[:]), func(d time.Duration) int64 { return int64(d) + rapid.Int64Range(-1, 1).Draw(t, "beside") })), 0, 50).Draw(t, "durations")
		for _, d := range list {
			h.observe(time.Duration(d))
		}
		b := BucketsOf(h.counts, h.sum)
		if len(b.Bounds) != len(bounds) || b.Count != uint64(len(list)) {
			t.Fatalf("%d bounds, %d of %d", len(b.Bounds), b.Count, len(list))
		}
		for i, bound := range bounds {
			n := uint64(0)
			for _, d := range list {
				if time.Duration(d) <= bound {
					n++
				}
			}
			if b.Counts[i] != n || b.Bounds[i] != bound.Seconds() {
				t.Fatalf("%v: %d at most, want %d", bound, b.Counts[i], n)
			}
		}
		want := make([]uint64, len(b.Native))
		for _, d := range list {
			i := NativeZero
			for i <= NativeLast && time.Duration(d) > time.Duration(math.Exp2(float64(i)/4)*1e9) {
				i++
			}
			want[i-NativeZero]++
		}
		if !slices.Equal(b.Native, want) {
			t.Fatalf("native %v, want %v", b.Native, want)
		}
	})
}

// BenchmarkHistogramBucket is what each statement pays.
func BenchmarkHistogramBucket(b *testing.B) {
	for i := range b.N {
		_ = HistogramBucket(time.Duration(i&1023) * 37 * time.Microsecond)
	}
}

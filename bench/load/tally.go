package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histogram bounds in microseconds: below one microsecond nothing is measured here, and no deadline is above ten minutes.
const (
	lowest  = 1
	highest = 600 * 1000 * 1000
	digits  = 3
)

// Tally counts the requests of one class. Not safe for concurrent use; give each goroutine its own and Merge.
type Tally struct {
	Offered int64 // every request that ended, useful or not
	Useful  int64 // answers without error and within the deadline
	Errors  map[string]int64
	latency *hdrhistogram.Histogram
}

// NewTally returns an empty tally.
func NewTally() *Tally {
	return &Tally{Errors: map[string]int64{}, latency: hdrhistogram.New(lowest, highest, digits)}
}

// Note counts a request that was meant to start at intended and ended at finished, with the given result.
// A deadline of zero means that any answer is useful, however late. A request without a useful answer enters the
// latencies with at least its deadline: leaving it out would make a target that fails fast look quick.
func (t *Tally) Note(intended, finished time.Time, deadline time.Duration, err error) (useful bool) {
	took := finished.Sub(intended)
	label := Label(err)
	if label == "" && deadline > 0 && took > deadline {
		label = Late
	}
	t.Offered++
	if label == "" {
		t.Useful++
	} else {
		t.Errors[label]++
		took = max(took, deadline)
	}
	us := min(max(took.Microseconds(), lowest), highest)
	_ = t.latency.RecordValue(us) // cannot fail: the value is inside the bounds
	return label == ""
}

// Merge adds other to t.
func (t *Tally) Merge(other *Tally) {
	t.Offered += other.Offered
	t.Useful += other.Useful
	for k, n := range other.Errors {
		t.Errors[k] += n
	}
	t.latency.Merge(other.latency)
}

// reset forgets everything noted.
func (t *Tally) reset() {
	t.Offered, t.Useful = 0, 0
	clear(t.Errors)
	t.latency.Reset()
}

// Quantile returns the latency that the share q of all requests did not exceed, from the intended start. Zero without requests.
func (t *Tally) Quantile(q float64) time.Duration {
	if t.latency.TotalCount() == 0 {
		return 0
	}
	return time.Duration(t.latency.ValueAtQuantile(q*100)) * time.Microsecond
}

// Mean returns the mean latency. Zero without requests.
func (t *Tally) Mean() time.Duration {
	return time.Duration(t.latency.Mean() * float64(time.Microsecond))
}

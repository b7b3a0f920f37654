package limit

import (
	"math"
	"time"
)

// How a fingerprint is learned.
const (
	// forget is the time after which what was learned of a statement has lost most of its weight: long against an
	// incident, short against the growth of a table.
	forget = 600.0 // seconds
	// enough is how many times a statement must have been seen before it votes; fewer say nothing of a median.
	enough = 20
	// slowest is the typical time above which a statement does not vote: its answers come too late for the brake.
	slowest = 250 * time.Millisecond
	// dearest bounds what one completion counts as work, so that a report does not look like a burst.
	dearest = 1.0 // seconds
)

// Baselines are the statistics of every fingerprint: what it usually costs, and where its speed is relative to the
// others'. The zero value knows nothing. It is not safe for concurrent use.
type Baselines struct {
	of [Fingerprints]Baseline
}

// Baseline is one fingerprint.
type Baseline struct {
	Count     uint32
	Mean      float64 // b: winsorised mean of the elapsed time, in seconds
	LogMedian float64 // m: mean of the logarithm
	Deviation float64 // s: of the logarithm
	Reference float64 // ln of the time that counts as R = 0

	weight  float64 // what one completion counts as work
	weighed uint32  // the weighing that it is of
	last    time.Time
	epoch   uint32 // of the votes
	votes   uint32
}

// At returns one fingerprint's baseline; an index out of range is 0's, the unknown statements'.
func (b *Baselines) At(fingerprint uint16) *Baseline {
	if fingerprint >= Fingerprints {
		fingerprint = 0
	}
	return &b.of[fingerprint]
}

// weigh returns what one completion counts as work, in seconds: the mean of the time when weighing began. Two windows can be
// compared only if a statement counts the same in both: a mean that follows what is seen would take a slower server for more work.
func (b *Baseline) weigh(elapsed float64, weighing uint32) float64 {
	if b.Count == 0 {
		return min(elapsed, dearest)
	}
	if b.weighed != weighing || b.Count <= enough {
		b.weight, b.weighed = min(b.Mean, dearest), weighing
	}
	return b.weight
}

// learn takes in one statement that ran while all statements were at level R.
func (b *Baseline) learn(elapsed, log float64, now time.Time, level float64) {
	since := now.Sub(b.last).Seconds()
	b.last = now
	if b.Count == 0 {
		b.Count, b.Mean, b.LogMedian, b.Deviation = 1, elapsed, log, 0.5
		return
	}
	since = min(max(since, 0), forget)
	slow := since / (forget + since)
	rate := slow
	if b.Count < math.MaxUint32 {
		b.Count++
		rate = max(slow, 1/float64(b.Count))
	}
	// A value far beyond what was usual moves the mean no more than one at eight times it, or one bad plan would
	// become the statement's weight.
	if b.Count > enough {
		elapsed = min(elapsed, 8*b.Mean)
	}
	b.Mean += rate * (elapsed - b.Mean)
	b.LogMedian += rate * (log - b.LogMedian)
	b.Deviation += rate * (1.25*math.Abs(log-b.LogMedian) - b.Deviation)
	switch {
	case b.Count == enough:
		// Whoever is new is taken to be as slow as everybody is at the moment.
		b.Reference = b.LogMedian - level
	case b.Count > enough:
		// The median of a statement's own distance from the common level goes to nought, so that a statement that
		// changed stops voting for a change of load; the common level itself is left alone.
		b.Reference += math.Copysign(slow*max(b.Deviation, 0.1), log-b.Reference-level)
	}
}

// Slowdown votes fall into bins of a constant ratio, eight to a doubling, from 1/64 to 1024 times.
const (
	perDoubling = 8
	votesFrom   = -6
	votesTo     = 10
	voteBins    = (votesTo - votesFrom) * perDoubling
	perUnit     = perDoubling / math.Ln2 // bins in one unit of ln
)

// votes is a histogram of ln(elapsed / reference).
type votes struct {
	bin    [voteBins]uint32
	total  uint32
	spread float64 // sum of the voters' deviations
	sum    float64 // of the votes, each within reach of the level
	square float64
}

// reach bounds what one vote adds to the mean.
const reach = 2.5

func (v *votes) add(r, level, deviation float64) {
	x := min(max(r, level-reach), level+reach)
	v.sum += x
	v.square += x * x
	i := int((r - votesFrom*math.Ln2) * perUnit)
	v.bin[min(max(i, 0), voteBins-1)]++
	v.total++
	v.spread += deviation
}

func (v *votes) merge(o *votes) {
	for i, n := range o.bin {
		v.bin[i] += n
	}
	v.total += o.total
	v.spread += o.spread
	v.sum += o.sum
	v.square += o.square
}

// mean is the mean of the votes and the variance of it.
func (v *votes) mean() (r, variance float64) {
	n := float64(v.total)
	if n < 2 {
		return 0, math.Inf(1)
	}
	r = v.sum / n
	return r, max(v.square/n-r*r, 0.01) / n
}

// median is R, interpolated within its bin, and the standard error of it.
func (v *votes) median() (r, se float64) {
	if v.total == 0 {
		return 0, math.Inf(1)
	}
	half, below := float64(v.total)/2, 0.0
	for i, n := range v.bin {
		if below+float64(n) >= half {
			r = (float64(i)+(half-below)/float64(n))/perUnit + votesFrom*math.Ln2
			break
		}
		below += float64(n)
	}
	return r, 1.25 * v.spread / float64(v.total) / math.Sqrt(float64(v.total))
}

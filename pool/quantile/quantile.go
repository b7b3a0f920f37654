// Package quantile follows a quantile of a stream of durations in constant memory. It is pure.
package quantile

import (
	"math"
	"time"
)

// step is how far one sample moves the estimate, on a logarithmic scale. Durations of one pool span four decades, from reads
// by key to reports: a tenth crosses one in about 25 samples. Larger shakes more, smaller learns for longer.
const step = 0.1

// Estimate follows one quantile: each sample above it pushes it up by step times the quantile, each below pulls it down
// by step times the rest, so that it comes to rest where that share of the samples is below it ("frugal streaming",
// Ma, Muthukrishnan and Sandler 2013, on a logarithmic scale). A single sample, however large, moves it by one step.
// It is not safe for concurrent use; it is made by Of.
type Estimate struct {
	q        float64
	up, down float64
	value    float64 // nanoseconds; 0: no sample yet
	n        uint64
}

// Of returns an estimate of the quantile q, between 0 and 1.
func Of(q float64) Estimate {
	return Estimate{q: q, up: math.Exp(step * q), down: math.Exp(-step * (1 - q))}
}

// Add takes one sample. One that is not positive counts as the shortest time there is.
func (e *Estimate) Add(d time.Duration) {
	v := math.Max(float64(d), 1)
	e.n++
	switch {
	case e.value == 0:
		e.value = v
	case v > e.value:
		e.value = math.Min(e.value*e.up, v)
	case v < e.value:
		e.value = math.Max(e.value*e.down, v)
	}
}

// Value is the quantile as it is known; 0 before the first sample.
func (e *Estimate) Value() time.Duration { return time.Duration(e.value) }

// Count is how many samples there have been.
func (e *Estimate) Count() uint64 { return e.n }

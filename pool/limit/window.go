package limit

import (
	"math"
	"time"
)

// window adds up what happened in a stretch of time at one limit.
type window struct {
	length  float64 // seconds
	n       float64 // completions
	work    float64 // sum of the completions' usual cost
	squares float64 // sum of its squares
	run     float64 // integral of the running statements that are not blocked
	bound   float64 // seconds in which the limit held somebody up
	votes   votes
}

func (w *window) add(o *window) {
	w.length += o.length
	w.n += o.n
	w.work += o.work
	w.squares += o.squares
	w.run += o.run
	w.bound += o.bound
	w.votes.merge(&o.votes)
}

// limitBound says whether the limit, and not the demand, made the window what it is.
func (w *window) limitBound(share float64) bool { return w.length > 0 && w.bound >= share*w.length }

func (w *window) rate() float64    { return w.work / max(w.length, 1e-9) }
func (w *window) running() float64 { return w.run / max(w.length, 1e-9) }

// noise is the variance of ln W: completions come about as a Poisson process, each with its usual cost.
func (w *window) noise() float64 {
	if w.work <= 0 {
		return math.Inf(1)
	}
	return w.squares / (w.work * w.work) * 2
}

// elasticity compares two windows at different concurrency: what a percent more of it brings in percent of work. It is
// seen in two ways: in the work done, and, by Little's law, in how much slower statements became. The second has less
// noise; where the two contradict each other the first is believed, because it is what anybody wants.
func elasticity(a, b *window) (e, se float64, ok bool) {
	if a.work <= 0 || b.work <= 0 || a.run <= 0 || b.run <= 0 {
		return 0, 0, false
	}
	d := math.Log(b.running() / a.running())
	if math.Abs(d) < 0.05 {
		return 0, 0, false // less than a twentieth apart, noise decides
	}
	e = math.Log(b.rate()/a.rate()) / d
	v := (a.noise() + b.noise()) / (d * d)
	ra, va := a.votes.mean()
	rb, vb := b.votes.mean()
	if a.votes.total < enough || b.votes.total < enough {
		return e, math.Sqrt(v), true
	}
	slow, vs := 1-(rb-ra)/d, (va+vb)/(d*d)
	if diff := e - slow; diff*diff > 4*(v+vs) {
		return e, math.Sqrt(v), true
	}
	return (e*vs + slow*v) / (v + vs), math.Sqrt(v * vs / (v + vs)), true
}

// meter collects the statements between two steps.
type meter struct {
	base   Baselines
	now    window
	epoch  uint32
	voters uint32  // fingerprints that have voted in this step
	share  uint32  // votes one fingerprint may have in a step
	last   uint32  // voters of the step before
	level  float64 // R, for those who learn
	frozen bool
}

// observe is the hot path.
func (m *meter) observe(s *Sample) {
	if s.Kind == Failed {
		return // it did no work, and when it ended says nothing of speed
	}
	b := m.base.At(s.Fingerprint)
	t := max(s.Elapsed.Seconds(), 1e-6)
	log := math.Log(t)
	weight := b.Mean
	if b.Count == 0 {
		weight = t
	}
	weight = min(weight, dearest)
	m.now.n++
	m.now.work += weight
	m.now.squares += weight * weight
	if s.Kind == Read && s.Fingerprint != 0 && !s.Blocked && b.Count >= enough && b.LogMedian < logSlowest {
		m.vote(b, log-b.Reference)
	}
	if !m.frozen && !s.Blocked {
		b.learn(t, log, s.Now, m.level)
	}
}

var logSlowest = math.Log(slowest.Seconds())

// vote lets a fingerprint vote until it has its share of the step's votes.
func (m *meter) vote(b *Baseline, r float64) {
	if b.epoch != m.epoch {
		b.epoch, b.votes = m.epoch, 0
		m.voters++
	}
	if b.votes >= max(5, m.share) {
		return
	}
	b.votes++
	m.now.votes.add(r, m.level, b.Deviation)
}

// take ends a step and returns what it saw.
func (m *meter) take(length float64, s *Signals, blocked float64) window {
	w := m.now
	m.now = window{}
	w.length = length
	w.run = max(s.Run-blocked*length, 0.05*s.Run)
	w.bound = min(s.Bound.Seconds(), length)
	// One fingerprint has at most a fifth of the votes, or an equal share where there are fewer than five.
	part := max(0.2, 1/float64(max(1, m.voters)))
	m.share = uint32(part * w.n)
	m.epoch++
	m.last, m.voters = m.voters, 0
	return w
}

// seconds is the time between two steps, kept within reason: a clock that jumps is not a long step.
func seconds(from, to time.Time) float64 { return min(max(to.Sub(from).Seconds(), 0.001), 2) }

package limit

import (
	"math"
	"time"
)

// The sizes of windows.
const (
	windowMin  = 0.5 // seconds; shorter has too few completions of anything slow
	windowMax  = 4.0 // seconds; longer, and the world has changed
	perRunning = 3.0 // completions for each statement that may run, at least
)

// window adds up what happened in a stretch of time at one limit.
type window struct {
	length  float64 // seconds
	n       float64 // completions
	work    float64 // sum of the completions' usual cost
	squares float64 // sum of its squares
	time    float64 // sum of the times they took
	times   float64 // sum of its squares
	cross   float64 // sum of the products of the two
	novel   float64 // of squares, what is of statements whose usual cost is not known yet
	run     float64 // integral of the running statements that are not blocked
	bound   float64 // seconds in which the limit held somebody up
	votes   votes
}

func (w *window) add(o *window) {
	w.length += o.length
	w.n += o.n
	w.work += o.work
	w.squares += o.squares
	w.time += o.time
	w.times += o.times
	w.cross += o.cross
	w.novel += o.novel
	w.run += o.run
	w.bound += o.bound
	w.votes.merge(&o.votes)
}

// limitBound says whether the limit, and not the demand, made the window what it is.
func (w *window) limitBound(share float64) bool { return w.length > 0 && w.bound >= share*w.length }

func (w *window) rate() float64    { return w.work / max(w.length, 1e-9) }
func (w *window) running() float64 { return w.run / max(w.length, 1e-9) }

const (
	// bursts is how many times what independent statements would have the variance of the work is: they come in bursts.
	bursts = 2
	// evenest is the least variance of the work, as a part of what completions by chance alone would have: statements that take
	// the same time each end together.
	evenest = 0.1
)

// noise is the variance of ln W. Where statements vote, completions are taken to come about as a Poisson process, each with its usual cost, and the votes
// have less noise. Where they do not, there is the work alone: as many run all the time, so that it varies by as much as what each takes of
// their time differs from its part of the work (a renewal process with rewards). Where the way is long, that is hardly at all.
func (w *window) noise() float64 {
	if w.work <= 0 {
		return math.Inf(1)
	}
	chance := w.squares
	if w.votes.total < enough && w.time > 0 {
		each := w.work / w.time // done in a second of a statement
		rest := w.squares - 2*each*w.cross + each*each*w.times
		chance = min(max(rest, evenest*w.squares)+w.novel, w.squares)
	}
	return bursts * chance / (w.work * w.work)
}

// restless is how much the world varies by itself from one window to the next, beyond what chance does to so many
// statements. A comparison of two windows cannot be better than that.
type restless struct {
	work, slow float64 // variances, of ln W and of the mean vote
	before     struct{ work, slow, noise, slowNoise float64 }
	begun      bool
}

// note takes in a window of the steady state.
func (r *restless) note(w *window) {
	work, noise := math.Log(max(w.rate(), 1e-9)), w.noise()
	slow, slowNoise := w.votes.mean()
	slow -= math.Log(max(w.running(), 1e-9)) // more concurrency slows everybody; that is not the world's doing
	if b := &r.before; r.begun {
		const slowly = 1.0 / 16
		d := work - b.work
		r.work += slowly * (excess(d, noise+b.noise) - r.work)
		if d = slow - b.slow; w.votes.total >= enough {
			r.slow += slowly * (excess(d, slowNoise+b.slowNoise) - r.slow)
		}
	}
	r.begun = true
	r.before.work, r.before.noise = work, noise
	r.before.slow, r.before.slowNoise = slow, slowNoise
}

// excess is what a difference says beyond chance. One that is very large is a change of the world, not its unrest.
func excess(d, chance float64) float64 { return min(max(0, d*d-chance), 0.15) }

// over is what unrest leaves of its variance in a window of this length.
func (r *restless) over(length float64) (work, slow float64) {
	part := min(1, windowMin/max(length, 0.01))
	return r.work * part, r.slow * part
}

// doubt is the standard error that a comparison of two windows like w, d apart in ln N, would have.
func (r *restless) doubt(w *window, d float64) float64 {
	ww, ws := r.over(w.length)
	v := 2*w.noise() + ww
	if _, vs := w.votes.mean(); w.votes.total >= enough {
		vs = 2*vs + ws
		v = v * vs / (v + vs)
	}
	return math.Sqrt(v) / d
}

// elasticity compares two windows at different concurrency: what a percent more of it brings in percent of work. It is
// seen in two ways: in the work done, and, by Little's law, in how much slower statements became. The second has less
// noise; where the two contradict each other the first is believed, because it is what anybody wants.
func elasticity(a, b *window, world *restless) (e, se float64, ok bool) {
	if a.work <= 0 || b.work <= 0 || a.run <= 0 || b.run <= 0 {
		return 0, 0, false
	}
	d := math.Log(b.running() / a.running())
	if math.Abs(d) < 0.05 {
		return 0, 0, false // less than a twentieth apart, noise decides
	}
	e = math.Log(b.rate()/a.rate()) / d
	ww, ws := world.over((a.length + b.length) / 2)
	v := (a.noise() + b.noise() + ww) / (d * d)
	ra, va := a.votes.mean()
	rb, vb := b.votes.mean()
	if a.votes.total >= enough && b.votes.total >= enough {
		slow, vs := 1-(rb-ra)/d, (va+vb+ws)/(d*d)
		if diff := e - slow; diff*diff <= 4*(v+vs) {
			e, v = (e*vs+slow*v)/(v+vs), v*vs/(v+vs)
		}
	}
	se = math.Sqrt(v)
	return e, se, e < 1.3+2*se && e > -2-2*se // beyond that something else has changed between the two
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
	// weighing changes when statements may be given the weight that they have now.
	weighing uint32
	frozen   bool
}

// observe is the hot path.
func (m *meter) observe(s *Sample) {
	if s.Kind == Failed {
		return // it did no work, and when it ended says nothing of speed
	}
	b := m.base.At(s.Fingerprint)
	t := max(s.Elapsed.Seconds(), 1e-6)
	log := math.Log(t)
	weight := b.weigh(t, m.weighing)
	m.now.n++
	m.now.work += weight
	m.now.squares += weight * weight
	if b.Count <= enough {
		m.now.novel += weight * weight
	}
	m.now.time += t
	m.now.times += t * t
	m.now.cross += t * weight
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

package limit

import (
	"math"
	"time"
)

const (
	// firstExperiment is when the first experiment comes, if growth has not come before it.
	firstExperiment = 2 * time.Second
	// deepest is the least concurrency left in an experiment: below it the work that is lost costs more than what is learned.
	deepest = 0.35
	// faintShare is the part of the server's statements below which an experiment says so little that it is rarely worth
	// its price.
	faintShare = 0.2
	// ignorance is the variance of the distance from the best limit, in e, when nothing is known: anything from far below to
	// far beyond it. drift is what it gains between two experiments.
	ignorance = 0.3
	drift     = 0.005
	// steepest is how steep crowding is at most: what is steeper is an edge, or a world that has changed.
	steepest = -1.2
	// proportion is how much work concurrency brings at most, with a little for chance.
	proportion = 1.3
	// vaguest is the standard error with which an experiment says nothing before its end.
	vaguest = 0.5
	// ours is the part of the server's statements that makes what an experiment says as good as the server's own.
	ours = 0.75
)

// stage is how far an experiment is.
type stage uint8

const (
	before stage = iota // measures at the limit as it is
	during              // at the dip
	after               // at the limit as it was
)

// experiment is the state of the probing mode, and what all experiments together have told.
type experiment struct {
	stage  stage
	from   float64 // the limit it began at
	around window  // at that limit, before the dip and after it
	dip    window  // at the dip

	at       time.Time // of the next
	interval time.Duration
	variance float64 // of what they say together
	blind    bool    // the first limit is one that somebody gave, and no experiment has looked far below it
}

func (x *experiment) begin(from float64) {
	x.stage, x.from, x.around, x.dip = before, from, window{}, window{}
}

// vague says whether experiments have not yet told where the knee is.
func (x *experiment) vague() bool { return x.variance > ignorance/3 }

// startProbe begins an experiment: what does a little less concurrency cost? Its first window is at the limit as it is.
func (l *law) startProbe() Reason {
	l.enter(probing)
	if l.steady.baseL == l.Current() && l.full(&l.steady.base) {
		l.experiment.around = l.steady.base
		return l.dipDown()
	}
	return ""
}

// dipDown lowers the limit for the middle of an experiment, by at least one whole statement; where there is none to
// spare it is a rise.
func (l *law) dipDown() Reason {
	to := min(math.Round(l.limit*l.dip()), math.Round(l.limit)-1)
	if to < 1 {
		to = math.Round(l.limit) + 1
	}
	l.limit, l.experiment.stage = to, during
	l.disturbed()
	return ReasonTry
}

// probed takes in one window of an experiment: before, during, after.
func (l *law) probed(now time.Time, win *window) Reason {
	x := &l.experiment
	switch {
	case !win.limitBound(l.t.Bound) || l.sight.part >= 2*blockedShare:
		return l.endProbe(now, 0)
	case x.stage == before:
		x.around = *win
		return l.dipDown()
	case x.stage == during:
		return l.dipped(now, win)
	}
	if l.apart(&x.around, win) {
		// The same limit before and after, and another world: the dip between says nothing. Again, from here.
		l.changed()
		if l.crowded() {
			return l.press(now, win)
		}
		x.around = *win
		return l.dipDown()
	}
	x.around.add(win) // both sides of the dip, so that a drift cancels
	e, se, ok := elasticity(&x.dip, &x.around, &l.world)
	switch {
	case !ok && e < 0: // the same on both sides of the dip, so that it is an edge and not another world: stay on the near side
		x.variance = ignorance
		return l.endProbe(now, math.Log(l.t.Dip))
	case !ok:
		return l.endProbe(now, 0)
	}
	e, se, trusted := l.corrected(e, se)
	return l.learn(now, e, se, trusted)
}

// dipped looks at the window of the dip: where it says clearly enough what the dip cost, the way back is not waited for.
func (l *law) dipped(now time.Time, win *window) Reason {
	x := &l.experiment
	told := l.costOf(win)
	x.blind = false
	switch told {
	case nothing:
		before, from := x.around, x.from
		l.enter(braking)
		l.brake.before, l.brake.from, l.brake.cuts = before, from, 2
		return l.verified(now, win)
	case little:
		l.aim(l.goal.level)
		l.rest(now, l.t.Every/4)
		return ReasonTried
	case much:
		l.limit = x.from
		x.variance = ignorance
		l.enter(growing)
		l.growth.paid = l.evidence.Elasticity
		return ReasonTried
	}
	x.dip, x.stage = *win, after
	l.limit = x.from
	l.disturbed()
	return ReasonTry
}

// apart says whether two windows at one limit are from different worlds.
func (l *law) apart(a, b *window) bool {
	ra, va := a.votes.mean()
	rb, vb := b.votes.mean()
	_, ws := l.world.over((a.length + b.length) / 2)
	d := rb - ra
	return d*d > max(l.t.Surprise*l.t.Surprise, 9*(va+vb+ws))
}

// dip is the concurrency left in an experiment. The smaller our share of the server, the deeper it must be to be felt.
func (l *law) dip() float64 {
	if l.experiment.blind {
		return deepest
	}
	if !l.sight.trusted() {
		return l.t.Dip
	}
	return max(deepest, math.Pow(l.t.Dip, 1/math.Sqrt(l.sight.share)))
}

// cost is what a dip cost, as far as it can be told before the limit is back up.
type cost uint8

const (
	unclear cost = iota
	little       // so little that it can stay
	nothing      // so clearly nothing that the next cut can follow at once
	much         // so clearly much that more should be tried
)

func (l *law) costOf(win *window) cost {
	x := &l.experiment
	e, se, ok := elasticity(win, &x.around, &l.world)
	if !ok || win.running() >= x.around.running() {
		return unclear
	}
	e, se, _ = l.corrected(e, se)
	if e < steepest || se > vaguest {
		return unclear // going back up tells
	}
	// Where the knee has been found before, one experiment is not enough to leave it.
	switch vague := x.vague(); {
	case e+se < 0 && vague, e+2*se < 0:
		x.variance = ignorance
		return nothing
	case e+se/2 < l.t.Free && vague:
		return little
	case e-1.5*se > l.t.Worth && e < proportion && l.sight.share > ours:
		return much
	}
	return unclear
}

// learn moves the limit and the goal by what an experiment told.
func (l *law) learn(now time.Time, e, se float64, trusted bool) Reason {
	x := &l.experiment
	if !trusted && e > 0 {
		return l.endProbe(now, 0) // our own gain may be another's loss; only a loss is sure to be a loss
	}
	if e >= l.t.Worth && e-se >= l.t.Worth/2 && e-2*se >= 0 {
		x.variance = ignorance
		l.enter(growing)
		l.growth.paid, l.growth.from = e, l.limit
		return ReasonTried
	}
	// A scalar Kalman filter of how far the limit is from where e is the price: what many experiments said outweighs
	// what one says, until one says something that chance does not.
	off := e - l.t.Price
	x.variance += drift
	if off*off > 4*(x.variance+se*se) {
		x.variance = ignorance
	}
	k := x.variance / (x.variance + se*se)
	x.variance *= 1 - k
	return l.endProbe(now, min(max(l.t.Gain*k*off, math.Log(l.t.Dip)), math.Log(l.t.Growth)/2))
}

// endProbe moves ln L by step, with the goal where R will be then, and sets the time of the next experiment: the further
// the last one moved the limit, the sooner.
func (l *law) endProbe(now time.Time, step float64) Reason {
	const some, far = 0.1, 0.18
	x := &l.experiment
	interval := min(2*x.interval, l.t.Rarely)
	if math.Abs(step) > some {
		interval = l.t.Every
	}
	if math.Abs(step) > far {
		interval = l.t.Every / 4
	}
	if x.around.votes.total >= enough && x.stage == after {
		r, _ := x.around.votes.median()
		l.aim(r + (1-l.evidence.Elasticity)*step)
	}
	if l.sight.share < faintShare {
		interval = 3 * l.t.Rarely
	}
	to := max(x.from, l.t.Floor) * math.Exp(step)
	l.rest(now, interval)
	x.interval = max(interval, l.t.Every)
	l.move(to)
	return ReasonTried
}

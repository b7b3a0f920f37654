package limit

import (
	"math"
	"time"
)

// startProbe begins an experiment: what does a little less concurrency cost? Its first window is at the limit as it is.
func (l *law) startProbe() Reason {
	l.mode, l.stage, l.fails = probing, 0, 0
	l.prevL = l.limit
	l.prev, l.tail, l.win = window{}, window{}, window{}
	if l.baseL == l.Current() && l.full(&l.base) {
		l.prev = l.base
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
	l.limit, l.stage = to, 1
	l.disturbed()
	return ReasonTry
}

// probed takes in one window of an experiment: before, during, after.
func (l *law) probed(now time.Time, win *window) Reason {
	if !win.limitBound(l.t.Bound) || l.evidence.Blocked >= 2*l.t.Blocked {
		return l.endProbe(now, 0, ReasonTried)
	}
	switch l.stage {
	case 0:
		l.prev = *win
		return l.dipDown()
	case 1:
		cost := l.costOf(win)
		l.blind = false
		switch cost {
		case nothing:
			l.mode, l.brake.cuts = braking, 2
			return l.verified(now, win)
		case little:
			l.aim(l.level)
			l.rest(now, l.t.Every/4)
			return ReasonTried
		case much:
			l.limit, l.prevL = l.prevL, 0
			l.variance = ignorance
			l.grow()
			l.paid = l.evidence.Elasticity
			return ReasonTried
		}
		l.tail, l.stage = *win, 2
		l.limit = l.prevL
		l.disturbed()
		return ReasonTry
	}
	if l.apart(&l.prev, win) {
		// The same limit before and after, and another world: the dip between says nothing. Again, from here.
		l.changed()
		if l.crowded() {
			return l.press(now, win)
		}
		l.prev = *win
		return l.dipDown()
	}
	l.prev.add(win) // both sides of the dip, so that a drift cancels
	e, se, ok := elasticity(&l.tail, &l.prev, &l.world)
	switch {
	case !ok && e < 0: // the same on both sides of the dip, so that it is an edge and not another world: stay on the near side
		l.variance = ignorance
		return l.endProbe(now, math.Log(l.t.Dip), ReasonTried)
	case !ok:
		return l.endProbe(now, 0, ReasonTried)
	}
	e, se, trusted := l.corrected(e, se)
	return l.learn(now, e, se, trusted)
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
	if l.blind {
		return deepest
	}
	if l.share < leastShare {
		return l.t.Dip
	}
	return max(deepest, math.Pow(l.t.Dip, 1/math.Sqrt(l.share)))
}

// deepest is the least concurrency left in an experiment: below it the work that is lost costs more than what is learned.
const deepest = 0.35

// cost is what a dip cost, as far as it can be told before the limit is back up.
type cost uint8

const (
	unclear cost = iota
	little       // so little that it can stay
	nothing      // so clearly nothing that the next cut can follow at once
	much         // so clearly much that more should be tried
)

func (l *law) costOf(win *window) cost {
	e, se, ok := elasticity(win, &l.prev, &l.world)
	if !ok || win.running() >= l.prev.running() {
		return unclear
	}
	e, se, _ = l.corrected(e, se)
	if e < -1.2 || se > 0.5 {
		return unclear // steeper than crowding is: an edge, or a world that changed meanwhile; going back up tells
	}
	// Where the knee has been found before, one experiment is not enough to leave it.
	vague := l.variance > ignorance/3
	switch {
	case e+se < 0 && vague, e+2*se < 0:
		l.variance = ignorance
		return nothing
	case e+se/2 < l.t.Free && vague:
		return little
	case e-1.5*se > l.t.Worth && e < 1.3 && l.share > 0.75:
		return much
	}
	return unclear
}

// learn moves the limit and the goal by what an experiment told.
func (l *law) learn(now time.Time, e, se float64, trusted bool) Reason {
	if !trusted {
		// Our own gain may be another's loss; only a loss is sure to be a loss.
		if e > 0 {
			return l.endProbe(now, 0, ReasonTried)
		}
	}
	if e >= l.t.Worth && e-se >= l.t.Worth/2 && e-2*se >= 0 {
		l.variance = ignorance
		l.grow()
		l.paid = e
		l.prev, l.prevL = window{}, l.limit
		return ReasonTried
	}
	// A scalar Kalman filter of how far the limit is from where e is the price: what many experiments said outweighs
	// what one says, until one says something that chance does not.
	off := e - l.t.Price
	l.variance += l.t.Drift
	if off*off > 4*(l.variance+se*se) {
		l.variance = ignorance
	}
	k := l.variance / (l.variance + se*se)
	l.variance *= 1 - k
	return l.endProbe(now, min(max(l.t.Gain*k*off, math.Log(l.t.Dip)), math.Log(l.t.Growth)/2), ReasonTried)
}

// faintShare is the part of the server's statements below which an experiment says so little that it is rarely worth
// its price.
const faintShare = 0.2

// ignorance is the variance of the distance from the best limit, in e, when nothing is known: anything from far below to
// far beyond it.
const ignorance = 0.3

// endProbe moves ln L by step, with the goal where R will be then, and sets the time of the next experiment.
func (l *law) endProbe(now time.Time, step float64, why Reason) Reason {
	interval := min(2*l.interval, l.t.Rarely)
	if math.Abs(step) > 0.1 {
		interval = l.t.Every
	}
	if math.Abs(step) > 0.18 {
		interval = l.t.Every / 4
	}
	if l.prev.votes.total >= enough && l.stage == 2 {
		r, _ := l.prev.votes.median()
		l.aim(r + (1-l.evidence.Elasticity)*step)
	}
	to := max(l.prevL, l.t.Floor) * math.Exp(step)
	if l.share < faintShare {
		interval = 3 * l.t.Rarely
	}
	l.rest(now, interval)
	l.interval = max(interval, l.t.Every)
	l.move(to)
	return why
}

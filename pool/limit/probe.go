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
	// its price, and faintInterval how rarely.
	faintShare    = 0.2
	faintInterval = 24 * time.Second
	// young is how long after a change of the world another is likely enough for experiments to come often.
	young = time.Minute
	// slowing is how many times longer the interval is after an experiment that has taught nothing new.
	slowing = 4
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
	// patienceMost is how many times longer the longest look is.
	patienceMost = 2.5
	// plainErrors is by how many errors e must be off the price for a dip to end before its time.
	plainErrors = 3.0
	// plainHarm is how far below nothing e is where more concurrency plainly does harm.
	plainHarm = 0.1
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
	variance float64   // of what they say together
	since    time.Time // when the world last changed
	edge     bool      // less costs in proportion, more has done harm
	blind    bool      // the first limit is one that somebody gave, and no experiment has looked far below it
	pending  float64   // part of a step, in ln L, that was too short to be taken
}

func (x *experiment) begin(from float64) {
	x.stage, x.from, x.around, x.dip = before, from, window{}, window{}
}

// patience is how many times longer than at first an experiment may look: where nothing has changed for long little is at
// stake, and the price is told from nothing only by long looks.
func (x *experiment) patience(every time.Duration) float64 {
	return min(max(1, math.Sqrt(float64(x.interval)/float64(every))), patienceMost)
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
	case x.stage == before && l.slowed(now, l.steady.usual(), win):
		return l.answer(now, l.limit)
	case x.stage == before:
		x.around = *win
		return l.dipDown()
	case x.stage == during && l.slowed(now, &x.around, win):
		return l.answer(now, x.from)
	case x.stage == during:
		return l.dipped(now, win)
	}
	if l.apart(&x.around, win) {
		// The same limit before and after, and another world: the dip between says nothing. Again, from here.
		if l.slowed(now, &x.around, win) {
			return l.answer(now, x.from)
		}
		l.changed()
		if l.sight.crowded() {
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
		return l.endProbe(now, math.Log(x.dip.running()/x.around.running()))
	case !ok:
		return l.endProbe(now, 0)
	}
	e, se, trusted := l.corrected(e, se)
	if x.dip.running() < l.floor() && e+2*se < l.t.Price {
		l.busy.disprove()
	}
	return l.learn(now, e, se, trusted)
}

// dipped looks at the window of the dip: where it says clearly enough what the dip cost, the way back is not waited for.
func (l *law) dipped(now time.Time, win *window) Reason {
	x := &l.experiment
	told := l.costOf(win)
	x.blind = x.blind && told == little
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
		if !l.growth.room(l.limit) {
			return l.edged(now)
		}
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

// plain says whether the window of a dip shows already that the dip costs much, so that it need not last.
func (l *law) plain(w *window) bool {
	x := &l.experiment
	if x.stage != during {
		return false
	}
	e, se, ok := elasticity(w, &x.around, &l.world)
	e, se = l.sight.corrected(e, se)
	return !ok || math.Abs(e-l.t.Price) > plainErrors*se
}

// apart says whether two windows at one limit are from different worlds: in how slow statements were, or, where those have no votes, in
// the work that was done.
func (l *law) apart(a, b *window) bool {
	if a.n == 0 || b.n == 0 {
		return a.n+b.n >= enough
	}
	ww, ws := l.world.over((a.length + b.length) / 2)
	ra, va := a.votes.mean()
	rb, vb := b.votes.mean()
	if va+vb < math.Inf(1) {
		return beyond(rb-ra, l.t.Surprise, va+vb+ws)
	}
	return beyond(math.Log(b.rate()/a.rate()), l.t.Drifted, a.noise()+b.noise()+ww)
}

// beyond says whether d is larger than least, and than chance of this variance allows.
func beyond(d, least, variance float64) bool { return d*d > max(least*least, 9*variance) }

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
	case e+se < 0 && vague, e+2*se < -plainHarm:
		x.variance = ignorance
		return nothing
	case e+2*se < l.t.Price && vague, x.blind && e+se/2 < l.t.Free: // nothing speaks for a limit that was only given
		return little
	case e-1.5*se > l.t.Worth && e < proportion && l.sight.share > ours:
		return much
	}
	return unclear
}

// edged stays where less costs in proportion and more has done harm. Nothing but a step up tells when that is no longer so: it
// comes soon.
func (l *law) edged(now time.Time) Reason {
	l.experiment.edge = true
	reason := l.endProbe(now, 0)
	l.experiment.at = now.Add(l.t.Every)
	return reason
}

// learn moves the limit and the goal by what an experiment told.
func (l *law) learn(now time.Time, e, se float64, trusted bool) Reason {
	x := &l.experiment
	if !trusted && e > 0 {
		return l.endProbe(now, 0) // our own gain may be another's loss; only a loss is sure to be a loss
	}
	if e > proportion+se {
		return l.endProbe(now, 0) // more than concurrency can bring: others have come or gone meanwhile
	}
	if e >= l.t.Worth && e-se >= l.t.Worth/2 && e-2*se >= 0 {
		if !l.growth.room(x.from) {
			return l.edged(now)
		}
		x.variance = ignorance
		l.enter(growing)
		l.growth.paid, l.growth.from = e, l.limit
		return ReasonTried
	}
	// A scalar Kalman filter of how far the limit is from where e is the price: what many experiments said outweighs
	// what one says, until one says something that chance does not.
	off := e - l.t.Price
	if off < 0 { // too high costs percents, too low halves: a move down needs better evidence
		off = min(0, off+l.t.Proof*se*l.sight.share*l.sight.share)
	}
	x.variance += drift
	if off*off > 4*(x.variance+se*se) {
		x.variance = ignorance
	}
	k := x.variance / (x.variance + se*se)
	x.variance *= 1 - k
	return l.endProbe(now, min(max(l.t.Gain*k*off, math.Log(l.t.Dip)), math.Log(l.t.Growth)/2))
}

// slower is the interval after one more experiment that has taught nothing new: several times the last, but short for a minute after
// the world has changed, and where others share the server, who change it.
func (l *law) slower(now time.Time) time.Duration {
	x := &l.experiment
	rarely := time.Duration(float64(l.t.Rarely) * l.sight.alone())
	if now.Sub(x.since) < young {
		rarely = 0
	}
	return min(slowing*x.interval, max(2*l.t.Every, rarely))
}

// endProbe moves ln L by step, with the goal where R will be then, and sets the time of the next experiment: the further
// the last one moved the limit, the sooner.
func (l *law) endProbe(now time.Time, step float64) Reason {
	const some, far = 0.1, 0.18
	x := &l.experiment
	interval := l.slower(now)
	fresh := now.Sub(x.since) < young
	if step, x.pending = step+x.pending, 0; !fresh && math.Abs(step) < some {
		step, x.pending = 0, step // not worth a change: the next experiment may add to it
	}
	switch {
	case math.Abs(step) > far && fresh:
		interval = l.t.Every / 4
	case math.Abs(step) > some && fresh:
		interval = l.t.Every
	case math.Abs(step) > far:
		interval = max(x.interval/slowing, l.t.Every)
	case math.Abs(step) > some:
		interval = x.interval
	}
	if x.around.votes.total >= enough && x.stage == after {
		r, _ := x.around.votes.median()
		l.aim(r + (1-l.evidence.Elasticity)*step)
	}
	if l.sight.share < faintShare {
		interval = faintInterval
	}
	to := max(x.from, l.floor()) * math.Exp(step)
	l.rest(now, interval)
	x.interval = max(interval, l.t.Every)
	l.move(to)
	return ReasonTried
}

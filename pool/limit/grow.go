package limit

import (
	"math"
	"time"
)

// grow begins to step up from where the limit is.
func (l *law) grow() {
	l.mode, l.fails, l.paid = growing, 0, 0
	l.prev, l.win = window{}, window{}
	l.disturbed()
}

// grown looks at a window of the growth phase: the next step, the same again, or the end of growth.
func (l *law) grown(now time.Time, win *window) Reason {
	if !win.limitBound(l.t.Bound) { // it may again, once those who wait are more than the last step let in
		if win.bound == 0 {
			l.prev = window{}
			l.rest(now, l.t.Every)
		}
		return ""
	}
	if l.cap > 0 && math.Round(l.limit) >= l.cap {
		l.aim(l.level)
		l.rest(now, 0)
		return ""
	}
	if l.prev.length == 0 {
		return l.stepUp(win)
	}
	e, se, ok := elasticity(&l.prev, win, &l.world)
	if !ok {
		return l.grownEnd(now, win, 0) // a step that changed nothing: something else binds
	}
	e, se, trusted := l.corrected(e, se)
	slow := l.known && !trusted && l.level > l.quiet+math.Log(l.t.Slowdown)
	switch {
	case e-se >= (l.t.Price+l.t.Worth)/2 && !slow:
		l.paid = e
		return l.stepUp(win)
	case l.fails == 0 && se > 0.1 && !slow:
		l.fails++
		l.win = *win // look twice as long before it is believed
		return ""
	}
	return l.grownEnd(now, win, e)
}

func (l *law) stepUp(win *window) Reason {
	l.prev, l.prevL, l.fails = *win, l.limit, 0
	l.move(max(l.limit*l.t.Growth, l.limit+1))
	return ReasonGrow
}

// grownEnd settles between the last step that paid and the one that did not.
func (l *law) grownEnd(now time.Time, win *window, e float64) Reason {
	before, _ := l.prev.votes.median()
	to, part := l.limit, 1.0
	if l.prevL > 0 && l.prevL < l.limit {
		part = l.between(e)
		to = l.prevL * math.Pow(l.limit/l.prevL, part)
	}
	next := 2 * time.Second
	if e < l.t.Price && l.prevL > 0 {
		// Where the knee is sharp, every experiment below it says that more is better; the more harm the last try did,
		// the later is the next.
		l.topWait = min(max(2*l.topWait, l.t.Every), l.t.Rarely)
		if next = l.topWait; win.rate() < 0.85*l.prev.rate() {
			next *= 2
		}
	}
	l.move(to)
	l.aim(before + part*(l.level-before))
	l.rest(now, next)
	return ReasonGrown
}

// between is where the best limit is, from 0 at the one before the last step to 1 at the one after it, in ln L. Work is taken
// for a parabola that rose by l.paid before the step, which is at most in proportion, and by e over it. Where l.paid is not known,
// or a quarter of the statements are those of other guards, who step at the same time, it is the middle, or the limit before
// if the step did harm.
func (l *law) between(e float64) float64 {
	paid, guards := min(l.paid, 1), 1-l.share-yielded*l.strange
	switch {
	case paid > 0 && guards < 0.25:
		return min(1, paid/(2*max(paid-e, 0.1)))
	case e < 0:
		return 0
	}
	return 0.5
}

// aim makes R the goal where elasticity is measured; where it cannot be, the goal stays what a healthy server gave.
func (l *law) aim(r float64) {
	l.heard, l.pulled, l.crowd = 0, 0, l.strange
	if l.share >= leastShare {
		l.goal = r
		return
	}
	l.goal = l.quiet + math.Log(l.t.Slowdown)
}

// rest goes to steady, with the next experiment after a while.
func (l *law) rest(now time.Time, until time.Duration) {
	l.mode, l.stage, l.fails = steady, 0, 0
	l.interval = l.t.Every
	l.probeAt = now.Add(until)
}

// crowded says whether strangers have come since the goal was set.
func (l *law) crowded() bool { return l.strange > l.crowd+newcomers }

// press grows beside strangers: what they take is not had back by running less.
func (l *law) press(now time.Time, win *window) Reason {
	l.aim(l.level)
	l.grow()
	l.prevL = l.limit
	return l.grown(now, win)
}

package limit

import (
	"math"
	"time"
)

const (
	// unsure is the error of e from which a step that did not pay is looked at once more, for twice as long.
	unsure = 0.1
	// harm is the part of the work before a step that is left where the step did so much harm that the next waits twice as long.
	harm = 0.85
	// guardsMany is the part of the server's statements run by other guards from which what a step brought is mostly their
	// doing: they step at the same time.
	guardsMany = 0.25
)

// growth is the state of the growing mode.
type growth struct {
	before window        // at the limit before the last step; empty: none yet
	from   float64       // the limit before the last step; 0: none yet
	paid   float64       // e just below from, by the step before or the experiment that called for growth; 0: unknown
	again  int           // looks that did not settle it
	wait   time.Duration // before the next experiment, after growth that brought nothing
}

// grown looks at a window of the growth phase: the next step, the same again, or the end of growth.
func (l *law) grown(now time.Time, win *window) Reason {
	g := &l.growth
	if !win.limitBound(l.t.Bound) { // it may again, once those who wait are more than the last step let in
		if win.bound == 0 {
			l.rest(now, l.t.Every)
		}
		return ""
	}
	if l.cap > 0 && math.Round(l.limit) >= l.cap {
		l.aim(l.goal.level)
		l.rest(now, 0)
		return ""
	}
	if g.before.length == 0 {
		return l.stepUp(win)
	}
	e, se, ok := elasticity(&g.before, win, &l.world)
	if !ok {
		return l.grownEnd(now, win, 0) // a step that changed nothing: something else binds
	}
	e, se, trusted := l.corrected(e, se)
	slow := l.goal.known && !trusted && l.goal.level > l.goal.quiet+logSlowdown
	switch {
	case e-se >= l.t.Free && !slow:
		g.paid = e
		return l.stepUp(win)
	case g.again == 0 && se > unsure && !slow:
		g.again++
		l.win = *win // look twice as long before it is believed
		return ""
	}
	return l.grownEnd(now, win, e)
}

func (l *law) stepUp(win *window) Reason {
	l.growth.before, l.growth.from, l.growth.again = *win, l.limit, 0
	l.move(max(l.limit*l.t.Growth, l.limit+1))
	return ReasonGrow
}

// grownEnd settles between the last step that paid and the one that did not.
func (l *law) grownEnd(now time.Time, win *window, e float64) Reason {
	g := &l.growth
	before, _ := g.before.votes.median()
	to, part := l.limit, 1.0
	if g.from > 0 && g.from < l.limit {
		part = l.between(e)
		to = g.from * math.Pow(l.limit/g.from, part)
	}
	next := afterMove
	if e < l.t.Price && g.from > 0 {
		// Where the knee is sharp, every experiment below it says that more is better; the more harm the last try did,
		// the later is the next.
		g.wait = min(max(2*g.wait, l.t.Every), l.t.Rarely)
		if next = g.wait; win.rate() < harm*g.before.rate() {
			next *= 2
		}
	}
	l.move(to)
	l.aim(before + part*(l.goal.level-before))
	l.rest(now, next)
	return ReasonGrown
}

// between is where the best limit is, from 0 at the one before the last step to 1 at the one after it, in ln L. Work is taken
// for a parabola that rose by paid before the step, which is at most in proportion, and by e over it. Where paid is not known,
// or guardsMany of the statements are those of other guards, it is the middle, or the limit before if the step did harm.
func (l *law) between(e float64) float64 {
	paid := min(l.growth.paid, 1)
	switch {
	case paid > 0 && l.sight.guards() < guardsMany:
		const flattest = 0.1 // a parabola flatter than this has its top anywhere
		return min(1, paid/(2*max(paid-e, flattest)))
	case e < 0:
		return 0
	}
	return 0.5
}

// press grows beside strangers: what they take is not had back by running less.
func (l *law) press(now time.Time, win *window) Reason {
	l.aim(l.goal.level)
	l.enter(growing)
	l.growth.from = l.limit
	return l.grown(now, win)
}

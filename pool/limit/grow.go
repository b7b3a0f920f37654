package limit

import (
	"math"
	"time"
)

const (
	// unsure is the error of e from which a step that did not pay is looked at once more, for twice as long.
	unsure = 0.1
	// crowdCare is how much more a step must have brought for the whole of the server's statements that are others': they step, and
	// have their own experiments, at the same time.
	crowdCare = 0.4
	// leastStride is the shortest step of growth, in ln L: a shorter one cannot be told from noise.
	leastStride = 0.25
	// guardsMany is the part of the server's statements run by other guards from which what a step brought is mostly their
	// doing: they step at the same time.
	guardsMany = 0.25
)

// growth is the state of the growing mode.
type growth struct {
	before window  // at the limit before the last step; empty: none yet
	from   float64 // the limit before the last step; 0: none yet
	paid   float64 // e just below from, by the step before or the experiment that called for growth; 0: unknown
	press  bool    // beside strangers who came
	again  int     // looks that did not settle it
	worse  float64 // a limit at which a step up has done harm; 0: none since the world changed
}

// room says whether a step up from a limit would stay clear of where one has done harm.
func (g *growth) room(from float64) bool {
	return g.worse == 0 || math.Log(g.worse/from)/2 >= leastStride
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
	if l.cap > 0 && math.Round(l.limit) >= l.cap || !g.press && !g.room(l.limit) && g.before.length == 0 {
		l.aim(l.goal.level)
		l.rest(now, 0)
		return ""
	}
	if g.before.length == 0 {
		return l.stepUp(win)
	}
	e, se, ok := elasticity(&g.before, win, &l.world)
	if !ok && l.slowed(now, &g.before, win) {
		return l.answer(now, g.from)
	}
	if !ok {
		return l.grownEnd(now, win, 0) // a step that changed nothing: something else binds
	}
	own, ownError := e, se
	e, se, trusted := l.corrected(e, se)
	if g.press {
		return l.pressed(now, win, own-ownError >= l.t.Paid, e+se > 0)
	}
	slow := l.goal.known && !trusted && l.goal.level > l.goal.quiet+logSlowdown
	switch {
	case e-se >= l.t.Paid+crowdCare*(1-l.sight.share) && e <= proportion+se && !slow && g.room(l.limit):
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
	g := &l.growth
	g.before, g.from, g.again = *win, l.limit, 0
	l.move(max(l.limit*math.Exp(g.stride(l)), l.limit+1))
	return ReasonGrow
}

// stride is the length of the next step, in ln L: a doubling where nothing is known or concurrency is worth much, less where it is
// worth less, so that a step too far is not far, and our part of that where others share the server and step as well.
func (g *growth) stride(l *law) float64 {
	d := math.Log(l.t.Growth)
	if g.paid > 0 {
		d = min(d, leastStride+g.paid)
	}
	if g.worse > 0 && !g.press {
		d = min(d, math.Log(g.worse/l.limit)/2)
	}
	if l.sight.trusted() && !g.press {
		d = max(min(d, leastStride), d*l.sight.share)
	}
	return d
}

// grownEnd settles between the last step that paid and the one that did not.
func (l *law) grownEnd(now time.Time, win *window, e float64) Reason {
	g := &l.growth
	before := l.goal.of(&g.before)
	to, part := l.limit, 1.0
	if g.from > 0 && g.from < l.limit {
		part = l.between(e)
		to = g.from * math.Pow(l.limit/g.from, part)
	}
	if e < 0 && g.from > 0 {
		g.worse = l.limit
	}
	next := afterMove
	if e < l.t.Price && g.from > 0 {
		next = l.slower(now) // where the knee is sharp, every experiment below it says that more is better
		l.experiment.interval = next
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

// press grows beside strangers who compute: what they take is not had back by running less.
func (l *law) press(now time.Time, win *window) Reason {
	l.aim(l.goal.level)
	l.enter(growing)
	l.growth.press = true
	return l.grown(now, win)
}

// pressed looks at a step beside strangers: the next one follows while our own work gains and the work of all is not seen to
// lose; where it is, it was not they, and the step is taken back.
func (l *law) pressed(now time.Time, win *window, gained, harmless bool) Reason {
	switch {
	case gained && harmless:
		return l.stepUp(win)
	case !harmless:
		l.move(l.growth.from)
	}
	l.sight.crowd = l.sight.strange
	l.aim(l.goal.level)
	l.rest(now, l.t.Every)
	return ReasonGrown
}

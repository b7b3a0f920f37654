package limit

import (
	"math"
	"time"
)

const (
	// goodTime is over how many seconds a limit that binds becomes a good one.
	goodTime = 30.0
	// unusedLong is for how many seconds a limit must not have bound for what is known of it to be old.
	unusedLong = 10.0
	// crowding is the part of our statements waiting inside the server for its own locks from which the limit goes down by
	// crowdingStep a window, to crowdingLeast of the last good limit, and not below the first: a quarter of a few is one by chance.
	crowding      = 0.25
	crowdingStep  = 0.05
	crowdingLeast = 0.5
	// blockedShare is the part of our statements waiting for locks of the database from which slowness says nothing of
	// load; from twice that on an experiment says nothing either.
	blockedShare = 0.23
	// tryStride is how far, in ln L, a step up goes that only asks whether more still does harm.
	tryStride = 0.4
	// afterMove is when the next experiment comes after a move that a mode ended with.
	afterMove = 2 * time.Second
)

// hold is the steady state's.
type hold struct {
	base   window  // at the limit as it is, of the last weighing
	past   window  // before base, perhaps at another limit; empty: none
	baseL  int     // the limit it had
	good   float64 // the limit of the last half minute in which it bound and nothing crowded
	unused float64 // seconds since the limit last bound
}

// note takes a window at limit l into what is known of that limit.
func (h *hold) note(l int, win *window) {
	if h.baseL != l || h.base.length > windowMax {
		h.settle()
	}
	h.baseL = l
	h.base.add(win)
}

// usual is what is known from a time that is not only just now: a window that has the moment of a change in it says little.
func (h *hold) usual() *window {
	if h.past.length > 0 {
		return &h.past
	}
	return &h.base
}

// settle is for another limit or weighing: what is in base cannot be added to, and still tells what is usual.
func (h *hold) settle() {
	if h.base.length > 0 {
		h.base, h.past = window{}, h.base
	}
}

// forget is for another world.
func (h *hold) forget() { h.base, h.past = window{}, window{} }

// rest goes to the steady state, with the next experiment after a while.
func (l *law) rest(now time.Time, until time.Duration) {
	l.enter(steady)
	l.experiment.at = now.Add(until)
}

// hold looks at a window of the steady state.
func (l *law) hold(now time.Time, win *window) Reason {
	h := &l.steady
	if !win.limitBound(l.t.Bound) {
		if l.goal.known && win.votes.total >= enough && win.running() < l.limit/2 {
			l.goal.calm(win.length)
		}
		h.unused += win.length
		return ""
	}
	if h.unused > unusedLong {
		// What was known is of a time before the calm: a surge is answered by growth, not by an experiment downwards.
		h.unused = 0
		l.changed()
		l.enter(growing)
		return ""
	}
	h.unused = 0
	if h.good == 0 {
		h.good = l.limit
	}
	contended := l.sight.lwlock >= crowding
	if !contended { // else the half of it would be a half of the half in time
		h.good += (l.limit - h.good) * min(1, win.length/goodTime)
	}
	slowed := l.slowed(now, h.usual(), win)
	h.note(l.Current(), win)
	l.world.note(win)
	l.goal.calm(win.length)
	if contended && l.limit > max(crowdingLeast*h.good, l.t.Start) {
		l.goal.at -= crowdingStep
		l.limit *= 1 - crowdingStep
		return ReasonLWLock
	}
	if reason, begun := l.ask(now, win, slowed); begun {
		return reason
	}
	return l.pull(win)
}

// ask begins an experiment if it is time for one, or if something else than the limit has changed.
func (l *law) ask(now time.Time, win *window, slowed bool) (reason Reason, begun bool) {
	if l.t.NoProbe {
		return "", false
	}
	blocked := l.sight.part >= 2*blockedShare
	if l.goal.at < l.goal.level && l.sight.crowded() && !l.t.NoBrake {
		l.changed()
		return l.press(now, win), true
	}
	if !blocked && !l.t.NoBrake && slowed {
		return l.answer(now, l.limit), true
	}
	if !blocked && !l.t.NoBrake && l.sight.trusted() && l.strayed(win) {
		// The world has changed, not the limit: what is right now must be asked, not inferred.
		l.changed()
		l.steady.forget()
		l.aim(l.goal.level)
		return l.startProbe(), true
	}
	switch {
	case blocked || now.Before(l.experiment.at): // an experiment beside so many who wait for locks says nothing
		return "", false
	case l.limit <= l.floor() || l.experiment.edge:
		// A dip would cost too much at the floor, and tell nothing new at an edge: a step up instead, whatever one did before.
		l.experiment.edge, l.growth.worse = false, 0
		l.enter(growing)
		l.growth.paid = tryStride - leastStride
		return ReasonFloor, true
	}
	return l.startProbe(), true
}

// strayed says whether R is far from the goal, at once or for some seconds.
func (l *law) strayed(win *window) bool {
	g := &l.goal
	off := g.at - g.level
	_, se := win.votes.median()
	if math.Abs(off) > max(l.t.Surprise, 3*se) {
		return true
	}
	if g.heard < hearings || win.votes.total < enough {
		return false
	}
	g.drift += driftRate * (off - g.drift)
	_, unrest := l.world.over(windowMin)
	return math.Abs(g.drift) > max(l.t.Drifted, 3*math.Sqrt(unrest*driftRate), 3*se*math.Sqrt(driftRate))
}

// pull moves the limit towards the goal where no experiment can tell what is right, fast down and slowly up.
func (l *law) pull(win *window) Reason {
	if win.votes.total < enough || l.sight.trusted() {
		l.goal.learn()
		return ""
	}
	off := l.goal.at - l.goal.level
	if _, se := win.votes.median(); math.Abs(off) < 1.5*se {
		return ""
	}
	// Below a sharp knee slowness does not depend on the limit, and pulling would never end.
	step := min(max(l.t.Pull*off, -l.t.Fall), l.t.Rise)
	if pulled := l.goal.pulled + step; math.Abs(pulled) > l.t.Reach {
		return ""
	}
	l.goal.pulled += step
	l.limit *= math.Exp(step)
	if step > 0 {
		return ReasonFaster
	}
	return ReasonSlower
}

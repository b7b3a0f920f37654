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
	// floorTrial is how many windows the limit binds at the floor before it is tried a step above.
	floorTrial = 5
	// crowding is the part of our statements waiting inside the server for its own locks from which the limit goes down by
	// crowdingStep a window, to crowdingLeast of the last good limit.
	crowding      = 0.25
	crowdingStep  = 0.05
	crowdingLeast = 0.5
	// blockedShare is the part of our statements waiting for locks of the database from which slowness says nothing of
	// load; from twice that on an experiment says nothing either.
	blockedShare = 0.23
	// afterMove is when the next experiment comes after a move that a mode ended with.
	afterMove = 2 * time.Second
)

// hold is the steady state's.
type hold struct {
	base   window  // since the limit last moved
	baseL  int     // the limit it had
	good   float64 // the limit of the last half minute in which it bound
	unused float64 // seconds since the limit last bound
	floor  int     // bound windows at the floor
}

// note takes a window at limit l into what is known of that limit.
func (h *hold) note(l int, win *window) {
	if h.base.length > windowMax || h.baseL != l {
		h.base, h.baseL = window{}, l
	}
	h.base.add(win)
}

// rest goes to the steady state, with the next experiment after a while.
func (l *law) rest(now time.Time, until time.Duration) {
	l.enter(steady)
	l.experiment.interval = l.t.Every
	l.experiment.at = now.Add(until)
}

// hold looks at a window of the steady state.
func (l *law) hold(now time.Time, win *window) Reason {
	h := &l.steady
	if !win.limitBound(l.t.Bound) {
		if l.goal.known && win.votes.total >= enough && win.running() < l.limit/2 {
			l.goal.calm(win.length)
		}
		h.floor = 0
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
	h.good += (l.limit - h.good) * min(1, win.length/goodTime)
	h.note(l.Current(), win)
	if l.limit > l.t.Floor {
		h.floor = 0
	} else if h.floor++; h.floor >= floorTrial {
		h.floor = 0
		l.enter(growing)
		return ReasonFloor
	}
	l.world.note(win)
	l.goal.calm(win.length)
	if l.sight.lwlock >= crowding && l.limit > crowdingLeast*h.good {
		l.goal.at -= crowdingStep
		l.limit *= 1 - crowdingStep
		return ReasonLWLock
	}
	if reason, begun := l.ask(now, win); begun {
		return reason
	}
	return l.pull(win)
}

// ask begins an experiment if it is time for one, or if something else than the limit has changed.
func (l *law) ask(now time.Time, win *window) (reason Reason, begun bool) {
	if l.t.NoProbe || l.sight.part >= 2*blockedShare {
		return "", false
	}
	off := l.goal.at - l.goal.level
	_, se := win.votes.median()
	if !l.t.NoBrake && math.Abs(off) > max(l.t.Surprise, 3*se) && l.sight.trusted() {
		// The world has changed, not the limit: what is right now must be asked, not inferred.
		l.changed()
		l.steady.base = window{}
		if off < 0 && l.crowded() {
			return l.press(now, win), true
		}
		l.aim(l.goal.level)
		return l.startProbe(), true
	}
	if now.Before(l.experiment.at) {
		return "", false
	}
	return l.startProbe(), true
}

// pull moves the limit towards the goal, fast down and slowly up.
func (l *law) pull(win *window) Reason {
	if win.votes.total < enough || l.sight.trusted() && l.goal.learn() {
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

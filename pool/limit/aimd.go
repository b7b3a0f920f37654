package limit

import (
	"math"
	"time"
)

// AIMD holds the median slowdown of statements, each compared with itself, at a goal, and finds the goal by small
// experiments: what does less concurrency cost? It is the law that ships.
type AIMD struct{ law }

// NewAIMD returns the law at its first limit.
func NewAIMD(c Config) *AIMD { return &AIMD{newLaw(c)} }

// hold looks at a window of the steady state.
func (l *law) hold(now time.Time, win *window) Reason {
	if !win.limitBound(l.t.Bound) {
		if l.known && win.votes.total >= enough && win.running() < l.limit/2 {
			l.quiet = min(l.level, l.quiet+win.length*(0.01/60))
		}
		l.floor = 0
		l.unused += win.length
		return ""
	}
	if l.unused > unusedLong {
		// What was known is of a time before the calm: a surge is answered by growth, not by an experiment downwards.
		l.unused = 0
		l.changed()
		l.grow()
		return ""
	}
	l.unused = 0
	if l.good == 0 {
		l.good = l.limit
	}
	l.good += (l.limit - l.good) * min(1, win.length/goodTime)
	if l.base.length > windowMax || l.baseL != l.Current() {
		l.base, l.baseL = window{}, l.Current()
	}
	l.base.add(win)
	if l.limit > l.t.Floor {
		l.floor = 0
	} else if l.floor++; l.floor >= 5 {
		l.floor = 0
		l.grow()
		return ReasonFloor
	}
	if l.slope != nil {
		return l.dithered(now, win)
	}
	return l.pull(now, win)
}

// unusedLong is for how many seconds a limit must not have bound for what is known of it to be old.
const unusedLong = 10.0

// hearings is how many windows the goal is learned from after an experiment, with the limit held.
const hearings = 6

// pull moves the limit towards the goal, fast down and slowly up.
func (l *law) pull(now time.Time, win *window) Reason {
	off := l.goal - l.level
	_, se := win.votes.median()
	l.world.note(win)
	l.quiet = min(l.level, l.quiet+win.length*(0.01/60))
	if l.lwlock >= l.t.LWLock && l.limit > 0.5*l.good {
		l.goal -= 0.05
		l.limit *= 0.95
		return ReasonLWLock
	}
	if !l.t.NoProbe && l.evidence.Blocked < 2*l.t.Blocked {
		if !l.t.NoBrake && math.Abs(off) > max(l.t.Surprise, 3*se) && l.share >= leastShare {
			// The world has changed, not the limit: what is right now must be asked, not inferred.
			l.changed()
			l.base = window{}
			if off < 0 && l.crowded() {
				return l.press(now, win)
			}
			l.aim(l.level)
			return l.startProbe()
		}
		if !now.Before(l.probeAt) {
			return l.startProbe()
		}
	}
	if win.votes.total < enough {
		return ""
	}
	if l.heard < hearings && l.share >= leastShare {
		l.heard++
		l.goal += (l.level - l.goal) / float64(l.heard)
		return ""
	}
	if math.Abs(off) < 1.5*se {
		return ""
	}
	// Below a sharp knee slowness does not depend on the limit, and pulling would never end.
	step := min(max(l.t.Pull*off, -l.t.Fall), l.t.Rise)
	if pulled := l.pulled + step; math.Abs(pulled) > l.t.Reach {
		return ""
	}
	l.pulled += step
	l.limit *= math.Exp(step)
	if step > 0 {
		return ReasonFaster
	}
	return ReasonSlower
}

package limit

import (
	"math"
	"time"
)

// brake is the fast part: it sees within half a second that everything has become slow.
type brake struct {
	votes    votes
	steps    int
	hits     int
	usual    float64 // slow average of R
	begun    bool
	sick     window // the state in which it braked
	cuts     int
	until    time.Time
	suppress time.Duration
}

// brakeTest looks at the votes of the last steps and cuts if they say twice that everything is much slower.
func (l *law) brakeTest(now time.Time, step *window) Reason {
	b := &l.brake
	if l.t.NoBrake || l.mode == braking || !l.known {
		return ""
	}
	b.votes.merge(&step.votes)
	b.steps++
	if float64(b.votes.total) < l.t.Voters {
		if b.steps >= 4 {
			b.votes, b.steps = votes{}, 0
		}
		return ""
	}
	r, se := b.votes.median()
	b.votes, b.steps = votes{}, 0
	if !b.begun {
		b.usual, b.begun = r, true
	}
	over := r - max(b.usual, l.goal)
	if over <= max(math.Log(l.t.Brake), 3.5*se) || step.running() < 0.5*l.limit || l.evidence.Blocked >= l.t.Blocked ||
		now.Before(b.until) || l.limit <= l.t.Floor {
		b.hits = 0
		b.sick = window{}
		b.usual += (r - b.usual) / 400 // two minutes at about four a second
		return ""
	}
	b.sick.add(step)
	if b.hits++; b.hits < 2 {
		return ""
	}
	l.level = r
	l.changed()
	b.hits = 0
	l.prev, b.sick = b.sick, window{}
	if l.mode != probing {
		l.prevL = l.limit
	}
	l.mode, l.stage, l.fails, b.cuts = braking, 0, 0, 1
	l.move(l.t.Cut * min(l.prev.running(), l.limit))
	if l.t.NoVerify {
		l.rest(now, l.t.Every)
		l.goal = l.quiet + math.Log(l.t.Slowdown)
	}
	return ReasonBrake
}

// verified looks what the cut cost.
func (l *law) verified(now time.Time, win *window) Reason {
	b := &l.brake
	e, se, ok := elasticity(&l.prev, win, &l.world)
	if !ok || !win.limitBound(l.t.Bound) {
		l.aim(l.level)
		l.rest(now, 2*time.Second)
		return ReasonKnee
	}
	e, _, trusted := l.corrected(e, se)
	switch {
	case e >= l.t.Worth && b.cuts == 1 && l.evidence.Blocked < l.t.Blocked:
		b.suppress = min(max(2*b.suppress, l.t.Suppress), 20*l.t.Suppress)
		b.until = now.Add(b.suppress)
		r, _ := l.prev.votes.median()
		l.goal, l.quiet = r, r-math.Log(l.t.Slowdown)
		l.limit = max(l.prevL, l.limit)
		if l.t.NoProbe {
			l.grow()
			l.prevL = 0
			return ReasonRestore
		}
		// What was measured while everything became slow is of two worlds: asked again before anything is made of it.
		l.base = window{}
		l.disturbed()
		l.startProbe()
		return ReasonRestore
	case e <= l.t.Free && trusted && l.limit > l.t.Floor:
		b.cuts++
		l.prev = *win
		l.move(l.t.Cut * min(win.running(), l.limit))
		return ReasonCut
	}
	// The knee is between the last two limits: near the upper one if the last cut cost much.
	part := min(max((e-l.t.Free)/(l.t.Worth-l.t.Free), 0), 1)
	before, _ := l.prev.votes.median()
	to := l.limit * math.Pow(max(l.prev.running()/l.limit, 1), part)
	l.aim(l.level + part*(before-l.level))
	l.move(to)
	l.rest(now, 2*time.Second)
	return ReasonKnee
}

package limit

import (
	"math"
	"time"
)

const (
	// voters is how many votes the brake looks at, and brakeErrors by how many of their errors R must be above what is usual:
	// two such looks running come by chance once in 1,260 h.
	voters      = 40
	brakeErrors = 3.5
	// brakeSteps is how many steps a look takes at most.
	brakeSteps = 4
	// usualRate is how fast what is usual follows: two minutes at about four looks a second.
	usualRate = 1.0 / 400
	// inUse is the part of the limit that must run for slowness to be its doing.
	inUse = 0.5
	// hasty is how much more error is accepted in what a cut cost than in an experiment: while everything is slow, time counts.
	hasty = 1.5
	// suppress is for how long there is no brake after one that was for nothing; it doubles up to suppressMost.
	suppress     = 30 * time.Second
	suppressMost = 20 * suppress
)

// brake is the fast part, which sees within half a second that everything has become slow, and the state of the braking mode.
type brake struct {
	votes votes // of the look that goes on
	steps int
	hits  int     // looks running that say the same
	usual float64 // slow average of R
	begun bool
	sick  window // the state in which it looked

	before window  // at the limit before the last cut
	from   float64 // the limit before the first
	cuts   int

	until    time.Time // no brake before this
	suppress time.Duration
}

// brakeTest looks at the votes of the last steps and cuts if they say twice that everything is much slower.
func (l *law) brakeTest(now time.Time, step *window) Reason {
	b := &l.brake
	if l.t.NoBrake || l.mode == braking || !l.goal.known {
		return ""
	}
	b.votes.merge(&step.votes)
	b.steps++
	if b.votes.total < voters {
		if b.steps >= brakeSteps {
			b.votes, b.steps = votes{}, 0
		}
		return ""
	}
	r, se := b.votes.median()
	b.votes, b.steps = votes{}, 0
	if !b.begun {
		b.usual, b.begun = r, true
	}
	over := r - max(b.usual, l.goal.at)
	if over <= max(math.Log(l.t.Brake), brakeErrors*se) || step.running() < inUse*l.limit || l.sight.part >= blockedShare ||
		now.Before(b.until) || l.limit <= l.floor() {
		b.hits = 0
		b.sick = window{}
		b.usual += (r - b.usual) * usualRate
		return ""
	}
	b.sick.add(step)
	if b.hits++; b.hits < 2 {
		return ""
	}
	l.goal.level = r
	return l.brakeNow(now)
}

// brakeNow makes the first cut.
func (l *law) brakeNow(now time.Time) Reason {
	b := &l.brake
	from := l.limit
	if l.mode == probing {
		from = l.experiment.from
	}
	l.changed()
	l.enter(braking)
	b.before, b.from, b.cuts = b.sick, from, 1
	b.hits, b.sick = 0, window{}
	l.move(l.t.Cut * min(b.before.running(), l.limit))
	if l.t.NoVerify {
		l.rest(now, l.t.Every)
		l.goal.at = l.goal.quiet + logSlowdown
	}
	return ReasonBrake
}

// verified looks what the cut cost.
func (l *law) verified(now time.Time, win *window) Reason {
	b := &l.brake
	e, se, ok := elasticity(&b.before, win, &l.world)
	if !ok || !win.limitBound(l.t.Bound) {
		l.aim(l.goal.level)
		l.rest(now, afterMove)
		return ReasonKnee
	}
	e, se, trusted := l.corrected(e, se)
	switch {
	case e >= l.t.Worth && b.cuts == 1 && l.sight.part < blockedShare:
		return l.restore(now)
	case e+se <= l.t.Free && trusted && l.limit > l.floor():
		b.cuts++
		b.before = *win
		l.move(l.t.Cut * min(win.running(), l.limit))
		return ReasonCut
	}
	// The knee is between the last two limits: near the upper one if the last cut cost much.
	part := min(max((e-l.t.Price)/(l.t.Worth-l.t.Price), 0), 1)
	before := l.goal.of(&b.before)
	to := l.limit * math.Pow(max(b.before.running()/l.limit, 1), part)
	l.aim(l.goal.level + part*(before-l.goal.level))
	l.move(to)
	l.rest(now, afterMove)
	return ReasonKnee
}

// restore takes a brake back: the slowness is not our doing. What was measured while everything became slow is of two
// worlds, so that it is asked again before anything is made of it.
func (l *law) restore(now time.Time) Reason {
	b := &l.brake
	b.suppress = min(max(2*b.suppress, suppress), suppressMost)
	b.until = now.Add(b.suppress)
	r := l.goal.of(&b.before)
	l.goal.at, l.goal.quiet = r, r-logSlowdown
	l.limit = max(b.from, l.limit)
	if l.t.NoProbe {
		l.enter(growing)
		return ReasonRestore
	}
	l.steady.forget()
	l.disturbed()
	l.startProbe()
	return ReasonRestore
}

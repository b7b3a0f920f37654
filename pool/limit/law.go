package limit

import (
	"math"
	"time"
)

// mode is what a law is about; it is in exactly one.
type mode uint8

const (
	growing mode = iota // steps up while work grows with them
	steady              // holds the slowdown at the goal
	probing             // compares less concurrency with what there is
	braking             // has cut, and looks what that cost
	down                // the database cannot be reached
)

func (m mode) String() string {
	return [...]string{"growing", "steady", "probing", "braking", "down"}[m]
}

// Times that no simulation asks to be tuned.
const (
	stale     = 3 * time.Second  // a sample of the side channel is worth nothing after this
	peakTime  = 10 * time.Minute // a peak counts as use for this long
	shareTime = 5.0              // seconds over which the side channel's samples are averaged: five of them
	goodTime  = 30.0             // seconds in which a limit becomes a good one
	windowMin = 0.5              // seconds; shorter has too few completions of anything slow
	windowMax = 4.0              // seconds; longer, and the world has changed
	// leastShare is the part of the server's statements that must be ours for an experiment to say anything: at a
	// tenth, the error of what it says is ten times that of what was measured.
	leastShare = 0.1
	// yielded is the part of what strangers take that counts as the good of all. With all of it a guard that shares
	// processors with strangers has no reason to run more than one statement; with half of it, guards that do not know
	// each other for guards crowd each other out (bench/sim).
	yielded = 2.0 / 3
	// newcomers is by how much the part of strangers must have grown since the goal was set to be the reason why
	// everything is slower. Statements that come and go are a few hundredths.
	newcomers = 0.15
)

// law is what AIMD and Slope have in common: growth, the brake and its experiment, headroom, the floor.
type law struct {
	t     Tuning
	meter meter
	slope *dither // nil: AIMD

	limit    float64
	mode     mode
	last     time.Time
	leaveOut int // steps to leave out after a change of the limit
	blocked  float64
	refund   int
	cap      float64
	share    float64 // our part of the statements on the server; 0: unknown
	strange  float64 // the part of strangers
	crowd    float64 // the same when the goal was set
	lwlock   float64
	typical  float64 // time of a statement, in seconds
	peak     float64
	good     float64 // the limit of the last half minute in which it bound

	win   window  // being filled
	prev  window  // growing: at the limit before; probing and braking: before the cut
	prevL float64 // the limit it had
	tail  window  // probing: after the cut
	base  window  // steady: since the limit last moved
	baseL int     // the limit it had
	fails int
	paid  float64 // growing: e just below prevL, from the step before or the experiment that called for growth; 0: unknown

	level    float64 // R of the last window
	goal     float64 // what R is held at
	quiet    float64 // R where it was lowest; reference of the goal where elasticity cannot be measured
	known    bool    // goal and quiet mean something
	starting bool    // no limit was given, and nobody has looked who else is there
	heard    int     // windows the goal was learned from
	world    restless
	pulled   float64 // how far in ln L the limit was pulled since the goal was set
	unused   float64 // seconds since the limit last bound

	probeAt  time.Time
	interval time.Duration
	stage    int
	topWait  time.Duration // after growth that brought nothing
	variance float64       // of what the experiments say together
	blind    bool          // the first limit is one that somebody gave, and no experiment has looked far below it

	brake brake
	floor int // bound windows at the floor

	evidence Evidence
}

func newLaw(c Config) law {
	l := law{t: Defaults()}
	if c.Tuning != nil {
		l.t = *c.Tuning
	}
	if l.limit = l.t.Start; c.First > 0 {
		l.limit = float64(c.First)
	}
	l.starting = c.First == 0
	l.limit = max(l.limit, l.t.Floor)
	l.interval = l.t.Every
	l.variance = ignorance
	l.blind = l.limit > l.t.Start
	return l
}

// Current is L, at least 1.
func (l *law) Current() int { return max(1, int(math.Round(l.limit))) }

// Refund is how many running statements do not count against L: those that wait for a lock, up to L or, where that is
// small, up to twice Tuning.Start, which is how many more may run for a moment if all their locks are given up at once.
func (l *law) Refund() int { return l.refund }

// Observe notes one finished statement.
func (l *law) Observe(s Sample) { l.meter.observe(&s) }

// Step decides.
func (l *law) Step(now time.Time, s Signals) Decision {
	if l.last.IsZero() {
		l.last, l.probeAt = now, now.Add(2*time.Second)
		l.meter.now = window{}
		return Decision{Limit: l.Current()}
	}
	before := l.Current()
	length := seconds(l.last, now)
	l.last = now
	reason := l.sense(&s, length)
	step := l.meter.take(length, &s, l.blocked)
	l.notePeak(&step)
	if step.n > 0 {
		l.typical += 0.25 * (step.run/step.n - l.typical)
	}
	l.cap = float64(s.Cap)
	if r := l.decide(now, &s, &step); r != "" {
		reason = r
	}
	l.meter.frozen = l.mode == braking || l.mode == down
	l.meter.level = l.level
	if r := l.clamp(&s, &step); r != "" {
		reason = r
	}
	d := Decision{Limit: l.Current()}
	if d.Limit != before {
		d.Reason = reason
	}
	l.evidence.Mode, l.evidence.Slowdown, l.evidence.Goal = l.mode.String(), l.level, l.goal
	l.evidence.Running, l.evidence.Work = step.running(), step.rate()
	d.Evidence = l.evidence
	return d
}

// sense turns what the side channel saw into what holds now. It moves the limit once, at the start.
func (l *law) sense(s *Signals, length float64) (reason Reason) {
	l.blocked, l.refund = 0, 0
	l.evidence.Blocked = 0
	if !s.Sampled || s.SampleAge > stale {
		l.share = 0
		return ""
	}
	// A sample holds for the second until the next one, then less and less.
	fade := min(1, 2*(1-s.SampleAge.Seconds()/stale.Seconds()))
	l.blocked = float64(s.Blocked)
	l.refund = int(min(l.blocked, max(l.limit, 2*l.t.Start)) * fade)
	slowly := min(1, length/shareTime)
	l.lwlock += (s.LWLock - l.lwlock) * slowly
	run := s.Run / length
	if run > 0.5 {
		l.evidence.Blocked = min(1, l.blocked/run)
		// Guards share a server for the good of all of them. Strangers do not give way, so not all of what they take is
		// yielded to them: who did would starve his own clients.
		all := run + float64(s.Peers) + float64(s.Foreign)
		share := 1 - (float64(s.Peers)+yielded*float64(s.Foreign))/all
		l.strange += (float64(s.Foreign)/all - l.strange) * slowly
		if l.share == 0 {
			l.share = share
			if l.starting && s.Peers > 0 {
				// Everybody's start together is what one alone would start with.
				l.limit, reason = max(l.t.Floor, l.limit*share), ReasonPeers
			}
			l.starting = false
		}
		l.share += (share - l.share) * slowly
	}
	return reason
}

func (l *law) notePeak(step *window) {
	l.peak *= math.Exp(-step.length / peakTime.Seconds())
	l.peak = max(l.peak, step.running())
}

// decide runs the mode and returns why the limit moved.
func (l *law) decide(now time.Time, s *Signals, step *window) Reason {
	switch {
	case s.Down:
		l.mode = down
		return ""
	case l.mode == down:
		l.limit = max(l.t.Floor, l.t.Start/2, l.good/2)
		l.known, l.brake = false, brake{}
		l.changed()
		l.win, l.base = window{}, window{}
		l.grow()
		return ReasonDown
	case l.late(s, step):
		l.reset()
		return ReasonTried
	}
	if r := l.brakeTest(now, step); r != "" {
		return r
	}
	if l.leaveOut > 0 {
		l.leaveOut--
		return ""
	}
	l.win.add(step)
	if !l.full(&l.win) {
		return ""
	}
	win := l.win
	l.win = window{}
	if win.votes.total >= enough {
		l.level, _ = win.votes.median()
		if !l.known {
			l.known, l.goal, l.quiet = true, l.level+math.Log(l.t.Slowdown), l.level
		}
	}
	switch l.mode {
	case growing:
		return l.grown(now, &win)
	case probing:
		return l.probed(now, &win)
	case braking:
		return l.verified(now, &win)
	}
	return l.hold(now, &win)
}

// full says whether a window has seen enough: enough statements, and in an experiment enough for an answer that means
// something.
func (l *law) full(w *window) bool {
	times := float64(1 + l.fails)
	switch {
	case w.length < times*windowMin:
		return false
	case w.length >= times*windowMax:
		return true
	case w.n < times*max(l.t.Window, 3*l.limit):
		return false
	}
	switch l.mode {
	case growing:
		return l.world.doubt(w, math.Log(l.t.Growth)) < l.t.Sure
	case probing:
		return l.world.doubt(w, -math.Log(l.dip())) < l.t.Sure*min(1, l.share+leastShare)
	case braking:
		return l.world.doubt(w, -math.Log(l.t.Cut)) < 1.5*l.t.Sure
	}
	return true
}

// late says whether the guard was so late itself that its measurements say more of it than of the server.
func (l *law) late(s *Signals, step *window) bool {
	if s.Lag < 5*time.Millisecond || step.n == 0 {
		return false
	}
	return s.Lag.Seconds() > l.t.Lag*step.run/step.n
}

// reset drops what is being measured.
func (l *law) reset() {
	l.win, l.prev, l.tail, l.stage = window{}, window{}, window{}, 0
	if l.mode == probing {
		l.limit = max(l.limit, l.prevL)
		l.mode = steady
	}
}

// changed forgets what experiments have told: the world is another.
func (l *law) changed() {
	l.variance = ignorance
	l.topWait = 0
}

// move sets the limit and leaves out the steps in which it takes effect.
func (l *law) move(to float64) {
	l.limit = max(to, l.t.Floor)
	l.disturbed()
	l.win = window{}
}

// unsettle leaves out the next steps: those in which statements that began at the old limit end.
func (l *law) disturbed() { l.leaveOut = 1 + min(int(4*l.typical/0.25), 12) }

// clamp keeps the limit between the floor, the cap and what is used.
func (l *law) clamp(s *Signals, step *window) Reason {
	reason := Reason("")
	if most := max(l.t.Start, l.t.Headroom*l.peak, 0.5*l.good); l.mode == steady && step.bound == 0 && l.limit > most {
		l.limit, reason = max(most, l.limit*0.99), ReasonHeadroom
	}
	if s.Cap > 0 && l.limit > float64(s.Cap) {
		l.limit, reason = float64(s.Cap), ReasonCap
	}
	floor := l.t.Floor
	if l.mode == probing {
		floor = 1
	}
	if s.Cap > 0 {
		floor = min(floor, float64(s.Cap))
	}
	if l.limit < floor {
		l.limit, reason = floor, ReasonFloor
	}
	return reason
}

// corrected turns the elasticity of our work into that of the server's, when others share it: of a percent more of
// ours the server sees our share, and the rest of the gain is taken from the others.
func (l *law) corrected(e, se float64) (float64, float64, bool) {
	l.evidence.Elasticity, l.evidence.Error = e, se
	if l.share < leastShare {
		return e, se, false // too little of what happens is our doing, or nobody knows
	}
	e, se = (e-(1-l.share))/l.share, se/l.share
	l.evidence.Elasticity, l.evidence.Error = e, se
	return e, se, true
}

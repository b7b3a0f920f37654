package limit

import (
	"math"
	"time"
)

// mode is what the law is about; it is in exactly one, and enter is the one way into it.
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

// Times and measures of the law as a whole.
const (
	// stepTime is how often Step is called.
	stepTime = 0.25 // seconds
	// settled is how many usual statements after a change of the limit those that began before it have ended.
	settled = 4.0
	// longest is how many steps are left out at most: longer, and slow statements would stop the law.
	longest = 12
	// typicalRate is how fast the time of a usual statement follows a step: four steps are a second.
	typicalRate = 0.25
	// late is the lateness of the guard, as a part of a statement's time, from which the times it measures say more of the guard
	// than of the server; below lateLeast it is what any scheduler does.
	late      = 0.2
	lateLeast = 5 * time.Millisecond
	// peakTime is how long a peak counts as use, and headroom how far above what was used a limit may stand that nobody
	// waits for; usedGood is the part of the last good limit that it may be in any case.
	peakTime = 600.0 // seconds
	headroom = 2.0
	usedGood = 0.5
	// headroomRate is how much of such a limit one step takes away at most.
	headroomRate = 0.01
)

// law is AIMD without its name: what it knows, and the state of each mode.
type law struct {
	t     Tuning
	meter meter
	sight sight

	limit float64
	mode  mode
	last  time.Time

	cap      float64 // what the owner says there may be at most
	typical  float64 // time of a statement, in seconds
	peak     float64 // most that ran lately
	leaveOut int     // steps to leave out after a change of the limit
	starting bool    // no limit was given, and nobody has looked who else is there
	win      window  // being filled
	world    restless

	goal       goal
	busy       busy
	steady     hold
	growth     growth
	experiment experiment
	brake      brake
	slow       slow

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
	l.experiment = experiment{interval: l.t.Every, variance: ignorance, blind: l.limit > l.t.Start}
	if l.experiment.blind {
		l.mode = steady // whether it is not far too much is asked before more is tried
	}
	return l
}

// Current is L, at least 1.
func (l *law) Current() int { return max(1, int(math.Round(l.limit))) }

// Refund is how many of so many blocked statements do not count against L: as many as L, or, where that is small, twice
// Tuning.Start, which is how many more may run for a moment if all their locks are given up at once.
func (l *law) Refund(blocked int) int { return min(blocked, int(max(l.limit, 2*l.t.Start))) }

// Observe notes one finished statement.
func (l *law) Observe(s Sample) { l.meter.observe(&s) }

// Step decides.
func (l *law) Step(now time.Time, s Signals) Decision {
	if l.last.IsZero() {
		l.last, l.experiment.at, l.experiment.since = now, now.Add(firstExperiment), now
		l.meter.now = window{}
		return Decision{Limit: l.Current()}
	}
	before := l.Current()
	length := seconds(l.last, now)
	l.last = now
	reason := l.look(&s, length)
	step := l.meter.take(length, &s, l.sight.blocked)
	l.peak = max(l.peak*math.Exp(-length/peakTime), step.running()+s.Gap/max(length, 0.001))
	if step.n > 0 {
		l.typical += typicalRate * (step.run/step.n - l.typical)
	}
	l.cap = float64(s.Cap)
	if r := l.decide(now, &s, &step); r != "" {
		reason = r
	}
	l.meter.frozen = l.mode == braking || l.mode == down
	l.meter.level = l.goal.level
	if r := l.clamp(&s, &step); r != "" {
		reason = r
	}
	d := Decision{Limit: l.Current()}
	if d.Limit != before {
		d.Reason = reason
	}
	l.evidence.Mode, l.evidence.Slowdown, l.evidence.Goal = l.mode.String(), l.goal.level, l.goal.at
	l.evidence.Running, l.evidence.Work, l.evidence.Blocked = step.running(), step.rate(), l.sight.part
	d.Evidence = l.evidence
	return d
}

// look takes in what the side channel saw. It moves the limit once, at the start: everybody's first limits together are
// what one guard alone would start with.
func (l *law) look(s *Signals, length float64) (reason Reason) {
	if first := l.sight.look(s, length); first && l.starting {
		l.starting = false
		if s.Peers > 0 {
			l.limit = max(l.t.Floor, l.limit*(1-l.sight.guards()))
			return ReasonPeers
		}
	}
	return ""
}

// decide runs the mode and returns why the limit moved.
func (l *law) decide(now time.Time, s *Signals, step *window) Reason {
	switch {
	case s.Down:
		l.enter(down)
		return ""
	case l.mode == down:
		return l.revive()
	}
	if l.tooLate(s, step) {
		step.votes = votes{} // their slowness is ours; the work was done all the same
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
	l.goal.hear(&win)
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

// enter is the one way into a mode: it makes the mode's state anew, and what was being measured is not part of it. The limit
// that the mode begins at is the one that holds now.
func (l *law) enter(m mode) {
	l.mode, l.win = m, window{}
	switch m {
	case steady:
		l.steady.settle()
		l.meter.weighing++
	case growing:
		l.growth = growth{worse: l.growth.worse}
		l.disturbed()
	case probing:
		l.experiment.begin(l.limit)
	case braking:
		l.brake.cuts = 0
	}
}

// revive starts small after the database could not be reached.
func (l *law) revive() Reason {
	l.limit = max(l.t.Floor, l.t.Start/2, l.steady.good/2)
	l.goal.known, l.brake = false, brake{}
	l.changed()
	l.enter(growing)
	return ReasonDown
}

// full says whether a window has seen enough: enough statements, and in an experiment enough for an answer that means
// something.
func (l *law) full(w *window) bool {
	times := 1.0
	switch l.mode {
	case growing:
		times += float64(l.growth.again)
	case probing:
		if l.sight.share > ours {
			times = l.experiment.patience(l.t.Every)
		}
	}
	switch {
	case w.length < windowMin*max(1, float64(l.growth.again)):
		return false
	case w.length >= times*windowMax:
		return true
	case w.n < max(l.t.Window, perRunning*l.limit):
		return false
	}
	switch l.mode {
	case growing:
		return l.world.doubt(w, math.Log(l.t.Growth)) < l.t.Sure
	case probing:
		return l.world.doubt(w, -math.Log(l.dip())) < l.t.Sure/times*min(1, l.sight.share+leastShare) || l.plain(w)
	case braking:
		return l.world.doubt(w, -math.Log(l.t.Cut)) < hasty*l.t.Sure
	}
	return true
}

// tooLate says whether the guard was so late itself that the times it measured say more of it than of the server.
func (l *law) tooLate(s *Signals, step *window) bool {
	return s.Lag >= lateLeast && step.n > 0 && s.Lag.Seconds() > late*step.run/step.n
}

// changed forgets what experiments have told: the world is another.
func (l *law) changed() {
	l.experiment.variance, l.experiment.interval, l.experiment.since = ignorance, l.t.Every, l.last
	l.experiment.pending, l.experiment.edge = 0, false
	l.growth.worse = 0
	l.busy = busy{}
}

// disproofs is how many experiments must say that less is needed before the limit goes below what keeps a server busy.
const disproofs = 2

// busy is what experiments have said against the least limit that keeps a server busy.
type busy struct {
	against int // experiments below it that lost nothing
	halved  int // times it was believed
}

// disprove notes that an experiment below the floor lost nothing.
func (b *busy) disprove() {
	if b.against++; b.against >= disproofs {
		b.against, b.halved = 0, b.halved+1
	}
}

// floor is the least limit: what keeps a small server busy, or our part of it, unless experiments have said otherwise.
func (l *law) floor() float64 {
	return max(l.t.Floor, l.t.Busy*(1-l.sight.guards())/math.Pow(2, float64(l.busy.halved)))
}

// move sets the limit and begins a new window.
func (l *law) move(to float64) {
	l.limit = max(to, l.floor())
	l.disturbed()
	l.win = window{}
}

// disturbed leaves out the next steps: those in which statements that began at the old limit end.
func (l *law) disturbed() { l.leaveOut = 1 + min(int(settled*l.typical/stepTime), longest) }

// corrected is the sight's, and what a decision will be explained with.
func (l *law) corrected(e, se float64) (float64, float64, bool) {
	e, se = l.sight.corrected(e, se)
	l.evidence.Elasticity, l.evidence.Error = e, se
	return e, se, l.sight.trusted()
}

// clamp keeps the limit between the floor, the cap and what is used.
func (l *law) clamp(s *Signals, step *window) Reason {
	reason := Reason("")
	if most := max(l.t.Start, headroom*l.peak, usedGood*l.steady.good); l.mode == steady && step.bound == 0 && l.limit > most {
		l.limit, reason = max(most, l.limit*(1-headroomRate)), ReasonHeadroom
	}
	if s.Cap > 0 && l.limit > float64(s.Cap) {
		l.limit, reason = float64(s.Cap), ReasonCap
	}
	floor := l.floor()
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

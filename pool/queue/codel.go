package queue

import (
	"time"

	"pgguard/pool/quantile"
)

// When an interactive class is overloaded, after CoDel (RFC 8289): the delay of its line has not fallen to the target for a whole
// interval. pool/queue/DESIGN.md, "Overload", has the rule as a whole.
const (
	// holds is how many holds of the 90th percentile make an interval: long enough for ordinary transactions to end, so that
	// a burst is no overload. Below intervalMin, two of the pool's ticks, the interval would follow those and not the work;
	// beyond intervalMax it would outlast a person's patience.
	holds       = 4
	intervalMin = 100 * time.Millisecond
	intervalMax = 2 * time.Second
	// targetPart of the interval is the delay that may stay; RFC 8289 has from a twentieth to a tenth. More would be felt beside
	// the work itself.
	targetPart = 10
	// patience is the longest wait under overload. With half of it, one slow statement on one or two servers has others refused;
	// callers leave after two seconds.
	patience = time.Second
	// newestPart of that is what the oldest has waited before newer ones overtake it: until then the order of arrival
	// serves everybody.
	newestPart = 4
)

// Pace is how a class waits at present.
type Pace struct {
	Overloaded bool          // waits are bounded by Bound, and the newest may be served first
	Newest     bool          // they are
	Interval   time.Duration // over which the delay is looked at
	Target     time.Duration // the delay that may stay for an interval
	Bound      time.Duration // the longest wait
	Hold       time.Duration // the 90th percentile of the time a grant is held; 0: not known
}

// codel watches one class's line.
type codel struct {
	hold       quantile.Estimate
	overloaded bool
	least      time.Duration // the least delay in the current interval
	end        time.Time     // of the current interval
}

func newCodel() codel { return codel{hold: quantile.Of(0.9)} }

func (c *codel) interval() time.Duration {
	return min(max(holds*c.hold.Value(), intervalMin), intervalMax)
}

func (c *codel) target() time.Duration { return c.interval() / targetPart }

// bound is the longest wait where longest is the class's own.
func (c *codel) bound(longest time.Duration) time.Duration {
	if !c.overloaded {
		return longest
	}
	return min(longest, patience)
}

// see takes one sample of the line's delay, and at the end of an interval decides.
func (c *codel) see(delay time.Duration, now time.Time) {
	c.least = min(c.least, delay)
	if now.Before(c.end) {
		return
	}
	c.overloaded = c.least > c.target()
	c.least, c.end = delay, now.Add(c.interval())
}

// look samples a line: its delay is how long the first in it has waited, 0 if it is empty. It is looked at after each
// change, so that a line that empties for a moment is seen, in whatever order it is served.
func (q *Queue[T]) look(f *line[T]) {
	if !f.Interactive {
		return
	}
	delay := time.Duration(0)
	if f.first != nil && !q.still {
		delay = q.waited(f.first)
	}
	f.codel.see(delay, q.now)
}

// waited is for how long w has waited while it could have been served.
func (q *Queue[T]) waited(w *Waiter[T]) time.Duration {
	if w.since.Before(q.resumed) {
		return q.now.Sub(q.resumed)
	}
	return max(0, q.now.Sub(w.since))
}

// newest says whether a class is served newest first: it is overloaded, and its oldest will hardly be served in time.
// While the oldest is, the order of arrival serves everybody, and any other would refuse some for nothing.
func (q *Queue[T]) newest(f *line[T]) bool {
	return f.codel.overloaded && !q.ordered && f.first != nil && newestPart*q.waited(f.first) > f.codel.bound(f.MaxWait)
}

// Advance tells the queue what time it is: intervals end, and Pop takes it for now. Push and Expire do so, too.
func (q *Queue[T]) Advance(now time.Time) {
	if !now.After(q.now) {
		return // every change since has been looked at
	}
	q.now = now
	for i := range q.classes {
		q.look(&q.classes[i])
	}
}

// Suspend makes waiting be no overload while still is true: nobody can be served at all, for a reason that is not load,
// as when the server is being restarted. What has been waited until then does not count for it afterwards, only for
// MaxWait.
func (q *Queue[T]) Suspend(still bool, now time.Time) {
	if q.still == still {
		return
	}
	q.Advance(now)
	q.still = still
	if !still {
		q.resumed = q.now
	}
	for i := range q.classes {
		c := &q.classes[i].codel
		c.overloaded, c.least, c.end = false, 0, q.now.Add(c.interval())
	}
}

// KeepOrder makes the queue serve every class in order of arrival, overloaded or not; Pace still tells.
func (q *Queue[T]) KeepOrder() { q.ordered = true }

// Pace returns how a class waits at present.
func (q *Queue[T]) Pace(class int) Pace {
	f := &q.classes[class]
	c := &f.codel
	return Pace{Overloaded: c.overloaded, Newest: q.newest(f), Interval: c.interval(), Target: c.target(), Bound: c.bound(f.MaxWait), Hold: c.hold.Value()}
}

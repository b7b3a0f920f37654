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
)

// Pace is how a class waits at present.
type Pace struct {
	Overloaded bool          // its line stands
	Newest     bool          // the newest are served first, because the oldest are too late
	Interval   time.Duration // over which the delay is looked at
	Target     time.Duration // the delay that may stay for an interval
	Bound      time.Duration // the longest wait
	InTime     time.Duration // the longest wait after which one is still served in time
	Wait       time.Duration // how long one who comes now will wait; 0: not at all, or it is not known
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
	if w := f.lanes[Common].first; w != nil && !q.still {
		delay = q.waited(w)
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
	for i := range q.classes { // up to now the lanes have moved, or stood, as they did
		for k := range q.classes[i].lanes {
			l := &q.classes[i].lanes[k]
			l.flow.count(q.now, !q.still && l.n > 0)
		}
	}
	q.still = still
	if !still {
		q.resumed = q.now
	}
	for i := range q.classes {
		c := &q.classes[i].codel
		c.overloaded, c.least, c.end = false, 0, q.now.Add(c.interval())
	}
}

// KeepOrder has the queue serve every class in order of arrival, overloaded or not, or has it not; Pace still tells.
func (q *Queue[T]) KeepOrder(on bool) { q.ordered = on }

// SetClasses replaces what the classes are told; they are as many as before. Who waits already waits as he was told when he came.
func (q *Queue[T]) SetClasses(classes []Class) {
	if len(classes) != len(q.classes) {
		panic("queue: the number of classes cannot change")
	}
	for i, c := range classes {
		q.classes[i].Class = c
	}
}

// Pace returns how a class waits at present.
func (q *Queue[T]) Pace(class int) Pace {
	f := &q.classes[class]
	c := &f.codel
	return Pace{
		Overloaded: c.overloaded, Newest: q.newest(f), Interval: c.interval(), Target: c.target(), Bound: q.bound(f), Hold: c.hold.Value(),
		InTime: q.inTime(f, Common), Wait: f.lanes[Common].flow.wait(q.now),
	}
}

package queue

import "time"

// How fast a lane moves is looked at for flowLeast at least and until flowMany have been served, but no longer than flowMost: fewer are
// chance, and a longer look is late. The first look lasts until flowFew have been served at least. Each that follows moves what is
// known by one in flowPart of what is missing, so that a pause is not taken for the ordinary; nor is one that lasts, of which flowMost count.
// What is older than flowFor says nothing of now.
const (
	flowLeast = 250 * time.Millisecond
	flowMany  = 16
	flowFew   = 4
	flowMost  = 2 * time.Second
	flowPart  = 3
	flowFor   = 10 * time.Second
)

// flow is what waits in a lane and how fast it is served. Both are in units of a usual piece of work, so that a server that becomes slower
// as a whole, or runs fewer at once, does not make what waits already look smaller.
type flow struct {
	ahead float64 // units that wait
	speed float64 // units a second; 0: not known
	at    time.Time
	until time.Time // up to which the look has counted

	// of the look under way
	done  float64
	n     int
	spent time.Duration // in which somebody waited who could have been served
}

// count adds the time since the last count, in which somebody waited if waiting is true.
func (f *flow) count(now time.Time, waiting bool) {
	if d := now.Sub(f.until); waiting && d > 0 {
		f.spent += min(d, flowMost)
	}
	f.until = now
	known := f.known(now)
	if f.spent < flowLeast || f.n < flowMany && f.spent < flowMost || f.n < flowFew && !known {
		return
	}
	speed := f.done / f.spent.Seconds()
	if known {
		speed = f.speed + (speed-f.speed)/flowPart
	}
	f.speed, f.at = speed, now
	f.done, f.n, f.spent = 0, 0, 0
}

func (f *flow) known(now time.Time) bool { return f.speed > 0 && now.Sub(f.at) <= flowFor }

// wait is how long one who comes now will wait; 0 if that is not known.
func (f *flow) wait(now time.Time) time.Duration {
	if !f.known(now) {
		return 0
	}
	return time.Duration(min(f.ahead/f.speed, longest.Seconds()) * float64(time.Second))
}

// longest bounds what is said of a wait.
const longest = 10 * time.Minute

// Kinds is how many kinds of work are told apart by what they cost. Waiter.Kind is below it; 0 is work of which nothing is known.
const Kinds = 512

// sizeMost bounds how many usual pieces of work one can be taken for: its last few may have waited for a lock.
const sizeMost = 16

// size is how many usual pieces of work one of a kind is.
func (q *Queue[T]) size(f *line[T], kind uint16) float64 {
	own, usual := float64(q.costs[kind]), float64(f.usual.Value())
	if own == 0 || usual == 0 {
		return 1
	}
	return min(max(own/usual, 1./sizeMost), sizeMost)
}

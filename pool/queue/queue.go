package queue

import (
	"time"

	"pgguard/pool/quantile"
)

// Reason says why a waiter was not taken in or not kept.
type Reason uint8

// The reasons, as words in Reason.String.
const (
	OK        Reason = iota
	QueueFull        // MaxLength of the class already wait
	Waited           // MaxWait of the class is over
	Overload         // the class is overloaded, and this one has waited for longer than its clients do
	TooLate          // its turn would come when its client will have left
)

// String returns the word used in metrics and logs.
func (r Reason) String() string {
	return [...]string{"ok", "queue_full", "wait", "overload", "too_late"}[r]
}

// Waiter is one place in a queue, embedded or kept by its owner and reused. It belongs to the queue between Push and
// the Pop, Expire or Remove that takes it out.
type Waiter[T any] struct {
	Value T
	// Class is the index of the waiter's class.
	Class int
	// Urgent goes before every class and waits UrgentWait: set-up and clean-up that must not be refused for pressure.
	Urgent bool
	// Lane is the bound that holds the waiter up, whatever its class may do: Common if there is none but what holds up all. Those of a
	// lane have their turns in order, and say nothing of the class's overload unless the lane is Common.
	Lane uint8
	// Kind tells what the work is like, below Kinds: those of one kind cost about the same.
	Kind uint16
	// Client tells the clients of a class apart, which are served in turn: one with a thousand connections does not keep
	// one with a single connection waiting. Any number will do; those with the same are one client.
	Client uint64
	// Patience is how long its client waits for an answer, if that has said so; 0: it has not.
	Patience time.Duration

	since        time.Time
	number       uint64 // of its arrival
	deadline     time.Time
	again        time.Time // before which one that was told TooLate is too early
	queued       bool
	outside      bool // on the porch
	late         Reason
	size         float64    // in usual pieces of work
	prev, next   *Waiter[T] // in the lane
	older, newer *Waiter[T] // of the client
	place        int16      // of the client
}

// Since is when the waiter was pushed.
func (w *Waiter[T]) Since() time.Time { return w.since }

// Late is why Expire took the waiter out: Waited or Overload.
func (w *Waiter[T]) Late() Reason { return w.late }

// UrgentWait bounds the wait of urgent work. Shorter would refuse set-up in a restart of the server, longer would
// outlive every client's own patience.
const UrgentWait = time.Minute

// PatientWait bounds the wait of patient work. Shorter would refuse the second of two reports of half a minute, longer would
// outlive every client's own patience.
const PatientWait = time.Minute

// MaxClasses is how many classes a queue can have: Pop keeps those it has tried in one word.
const MaxClasses = 64

// maxCharge bounds what one grant is taken to have cost. Shorter would let slow work take more than its share; longer
// lets one client that kept its server to itself for hours push its whole class back for as long.
const maxCharge = 10 * time.Second

// Queue orders waiters. It is not safe for concurrent use.
type Queue[T any] struct {
	classes []line[T]
	urgent  list[T]
	served  float64 // virtual time of the class served last
	total   int
	came    uint64 // how many
	now     time.Time
	ordered bool                 // never newest first
	still   bool                 // suspended
	resumed time.Time            // when that ended last
	owed    func(class int) bool // nil: nothing is owed
	open    func(lane int) bool  // of the lanes but Common; nil: all are
	own     int                  // wait in other lanes than Common
	hasty   time.Duration        // of a mutant
	costs   [Kinds]float32       // nanoseconds of a slot for a grant; 0: not known
}

// line is one class: who waits and how much service it has had.
type line[T any] struct {
	Class
	lanes    [Lanes]lane[T]
	porch    list[T] // who has come back too early
	n        int     // wait in all lanes
	last     int     // the lane served last
	codel    codel
	patience patience
	virtual  float64           // service received, divided by weight
	cost     float64           // expected slot-seconds of one grant
	usual    quantile.Estimate // the median of what grants have cost
}

// New returns an empty queue of the given classes, at most MaxClasses.
func New[T any](classes []Class) *Queue[T] {
	if len(classes) > MaxClasses {
		panic("queue: more classes than MaxClasses")
	}
	q := &Queue[T]{classes: make([]line[T], len(classes))}
	for i, c := range classes {
		f := &q.classes[i]
		f.Class, f.codel, f.cost, f.usual = c, newCodel(), 0.001, quantile.Of(0.5)
		f.lanes[Common].clients = newClients[T]()
	}
	return q
}

// Favour makes the classes for which owed is true go before the others, whatever service they have had: the floor below
// which a class must not fall. It is called by Pop.
func (q *Queue[T]) Favour(owed func(class int) bool) { q.owed = owed }

// Bound has nobody served from the lanes, other than Common, for which open is false. It is called by Pop.
func (q *Queue[T]) Bound(open func(lane int) bool) { q.open = open }

// Push puts w at the end of its lane. Any answer but OK leaves it outside.
func (q *Queue[T]) Push(w *Waiter[T], now time.Time) Reason {
	if w.queued {
		panic("queue: waiter pushed twice")
	}
	q.Advance(now)
	f := &q.classes[w.Class]
	switch {
	case w.Urgent:
	case f.n+f.porch.n >= f.MaxLength:
		return QueueFull
	default:
		if w.outside = q.tooEarly(f, w); !w.outside && !q.admits(f, w) {
			w.again = now.Add(q.pause(f, w.Lane))
			return TooLate
		}
	}
	q.came++
	w.since, w.number, w.late = now, q.came, OK
	w.deadline = now.Add(f.longest(w))
	q.put(w)
	return OK
}

// longest is the longest wait of w.
func (f *line[T]) longest(w *Waiter[T]) time.Duration {
	switch {
	case w.Urgent:
		return max(UrgentWait, f.MaxWait)
	case w.Lane == Patient:
		return max(PatientWait, f.MaxWait)
	}
	return f.MaxWait
}

// put puts w at the end of its lane.
func (q *Queue[T]) put(w *Waiter[T]) {
	w.queued = true
	f := &q.classes[w.Class]
	if w.outside {
		f.porch.push(w)
		return
	}
	q.total++
	if w.Urgent {
		q.urgent.push(w)
		return
	}
	if f.n == 0 {
		// A class that was absent does not save up service: it starts level with the others.
		f.virtual = max(f.virtual, q.served)
	}
	w.size = 1
	if f.lanes[w.Lane].n > 0 { // else it is about to be served, as a rule
		w.size = q.size(f, w.Kind)
	}
	f.lanes[w.Lane].push(w, !q.still, q.now)
	f.n++
	if w.Lane != Common {
		q.own++
	}
}

// take takes w out, who has had his turn if served is true.
func (q *Queue[T]) take(w *Waiter[T], served bool) {
	f := &q.classes[w.Class]
	if w.outside {
		f.porch.remove(w)
		return
	}
	q.total--
	if w.Urgent {
		q.urgent.remove(w)
		return
	}
	f.lanes[w.Lane].remove(w, served, !q.still, q.now)
	f.n--
	if w.Lane != Common {
		q.own--
	}
}

// leave takes w out for good.
func (q *Queue[T]) leave(w *Waiter[T]) {
	q.take(w, false)
	if !w.Urgent {
		q.look(&q.classes[w.Class])
	}
}

// Pop takes out the next waiter that can may serve: urgent ones first, then from the class that has had the least
// service for its weight, of its lanes from the one whose first has waited longest, its clients in turn, the oldest of each first, or
// the newest where the oldest are too late. classOK tells which classes may be served at all.
func (q *Queue[T]) Pop(classOK func(class int) bool, can func(*Waiter[T]) bool) *Waiter[T] {
	for w := q.urgent.first; w != nil; w = w.next {
		if can(w) {
			q.take(w, true)
			return w
		}
	}
	var tried uint64 // set of classes that cannot be served
	for {
		best, owed := q.next(classOK, &tried)
		if best < 0 {
			return nil
		}
		f := &q.classes[best]
		w := q.find(f, can)
		if w == nil {
			tried |= 1 << best
			continue
		}
		f.last = int(w.Lane)
		q.take(w, true)
		q.look(f)
		if !owed { // one that goes first for another reason does not tell how far the others are
			q.passed(tried, f.virtual)
		}
		f.virtual += f.cost / float64(f.Weight)
		return w
	}
}

// find returns the waiter of a class to serve: of the lane whose first has waited longest, of those that have one whom can may serve.
func (q *Queue[T]) find(f *line[T], can func(*Waiter[T]) bool) *Waiter[T] {
	newest := q.newest(f)
	if f.lanes[Common].n == f.n {
		return f.lanes[Common].clients.find(can, newest)
	}
	var tried [Lanes]bool
	for {
		best := -1
		for i := range f.lanes {
			l := &f.lanes[i]
			if l.n == 0 || tried[i] || i != Common && q.open != nil && !q.open(i) {
				continue
			}
			if best < 0 || f.before(i, best, newest) {
				best = i
			}
		}
		if best < 0 {
			return nil
		}
		if w := f.lanes[best].clients.find(can, newest && best == Common); w != nil {
			return w
		}
		tried[best] = true
	}
}

// before says whether lane a goes before lane b. Where Common is served newest first its first has waited for long and says nothing: it
// takes turns with the others.
func (f *line[T]) before(a, b int, newest bool) bool {
	switch {
	case newest && a == Common:
		return f.last != Common
	case newest && b == Common:
		return f.last == Common
	}
	return f.lanes[a].first.number < f.lanes[b].first.number
}

// next returns the class to look into and whether it goes first because that is owed to it, or -1. Classes that may not
// be served are added to tried.
func (q *Queue[T]) next(classOK func(class int) bool, tried *uint64) (best int, owed bool) {
	best = -1
	for i := range q.classes {
		f := &q.classes[i]
		if f.n == 0 || *tried&(1<<i) != 0 {
			continue
		}
		o := q.owed != nil && q.owed(i)
		if best >= 0 && (owed && !o || owed == o && f.virtual >= q.classes[best].virtual) {
			continue
		}
		if !classOK(i) {
			*tried |= 1 << i
			continue
		}
		best, owed = i, o
	}
	return best, owed
}

// passed notes that a class was served at this virtual time while those of tried could not be: they do not save up the
// service that they could not take.
func (q *Queue[T]) passed(tried uint64, virtual float64) {
	q.served = virtual
	for i := 0; tried != 0; i, tried = i+1, tried>>1 {
		if tried&1 != 0 {
			q.classes[i].virtual = max(q.classes[i].virtual, virtual)
		}
	}
}

// Charge says what a grant to one of a class and kind cost in the end, so that the next ones are expected to cost about as much.
func (q *Queue[T]) Charge(class int, kind uint16, held time.Duration) {
	f := &q.classes[class]
	f.cost += (min(max(held, time.Microsecond), maxCharge).Seconds() - f.cost) / 16
	f.codel.hold.Add(held)
	f.usual.Add(held)
	if kind != 0 {
		if c := &q.costs[kind]; *c == 0 {
			*c = float32(max(held, 1))
		} else {
			*c += (float32(max(held, 1)) - *c) / 8
		}
	}
}

// Remove takes w out if it still waits and says whether it did.
func (q *Queue[T]) Remove(w *Waiter[T]) bool {
	if !w.queued {
		return false
	}
	q.leave(w)
	return true
}

// Expire takes out one waiter whose longest wait is over, or returns nil. Why is told by Late.
func (q *Queue[T]) Expire(now time.Time) *Waiter[T] {
	q.Advance(now)
	// Those in one lane wait equally long, so the first is the first to be late; urgent waits differ by class, as do those of
	// a lane that has come from another, and one that is late behind one that is not is found a little later.
	if w := q.urgent.first; w != nil && !now.Before(w.deadline) {
		w.late = Waited
		q.take(w, false)
		return w
	}
	for i := range q.classes {
		f := &q.classes[i]
		if w := q.turnAway(f); w != nil {
			return w
		}
		for k := 0; k < Lanes && f.n > 0; k++ {
			w, late := f.lanes[k].first, OK
			switch {
			case w == nil:
			case !now.Before(w.deadline):
				late = Waited
			case k == Common && q.waited(w) >= q.bound(f):
				late = Overload
			}
			if late != OK {
				w.late = late
				q.leave(w)
				f.patience.see(now.Sub(w.since), false)
				return w
			}
		}
	}
	return nil
}

// Any takes out some waiter, of each lane the first, or returns nil if none is left.
func (q *Queue[T]) Any() *Waiter[T] {
	w := q.urgent.first
	for i := 0; w == nil && i < len(q.classes); i++ {
		w = q.classes[i].porch.first
		for k := 0; w == nil && k < Lanes; k++ {
			w = q.classes[i].lanes[k].first
		}
	}
	if w != nil {
		q.take(w, false)
	}
	return w
}

// Return puts a waiter taken out by Any back at the end of its lane, with the time and the deadline it had. Returned in
// the order they were taken, all of a lane's waiters keep their places.
func (q *Queue[T]) Return(w *Waiter[T]) { q.put(w) }

// Sort asks for the lane of everybody who waits in his turn, and has those whose lane is another wait there, where their arrival puts them.
// Nobody's longest wait becomes shorter.
func (q *Queue[T]) Sort(lane func(*Waiter[T]) uint8) {
	for i := range q.classes {
		f := &q.classes[i]
		var all list[T]
		for f.n > 0 {
			var first *Waiter[T]
			for k := range f.lanes {
				if w := f.lanes[k].first; w != nil && (first == nil || w.number < first.number) {
					first = w
				}
			}
			q.take(first, false)
			all.push(first)
		}
		for w := all.first; w != nil; w = all.first {
			all.remove(w)
			w.Lane = lane(w)
			if d := w.since.Add(f.longest(w)); d.After(w.deadline) {
				w.deadline = d
			}
			q.put(w)
		}
	}
}

// Len is how many wait in all, not counting those on the porch.
func (q *Queue[T]) Len() int { return q.total }

// Ready has ready say how many of each class wait in lanes that are open, if it is not nil: it has a place for each. heldUp is how many wait in others.
func (q *Queue[T]) Ready(ready []int) (heldUp int) {
	for i := range ready {
		ready[i] = q.classes[i].n
	}
	if q.own == 0 || q.open == nil {
		return 0
	}
	for k := FirstOwn - 1; k < Lanes; k++ {
		if q.open(k) {
			continue
		}
		for i := range q.classes {
			n := q.classes[i].lanes[k].n
			if heldUp += n; ready != nil {
				ready[i] -= n
			}
		}
	}
	return heldUp
}

// Waiting is how many of a class wait, not counting urgent ones.
func (q *Queue[T]) Waiting(class int) int { return q.classes[class].n + q.classes[class].porch.n }

// Since counts the waiters of a class that were pushed at t or before, not counting patient and urgent ones.
func (q *Queue[T]) Since(class int, t time.Time) (n int) {
	for k := range q.classes[class].lanes {
		if k == Patient {
			continue
		}
		for w := q.classes[class].lanes[k].first; w != nil && !w.since.After(t); w = w.next {
			n++
		}
	}
	return n
}

// Oldest is when the waiter that waits longest in a class was pushed; ok is false if none waits.
func (q *Queue[T]) Oldest(class int) (since time.Time, ok bool) {
	for k := range q.classes[class].lanes {
		if w := q.classes[class].lanes[k].first; w != nil && (!ok || w.since.Before(since)) {
			since, ok = w.since, true
		}
	}
	return since, ok
}

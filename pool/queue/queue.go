package queue

import "time"

// Reason says why a waiter was not taken in or not kept.
type Reason uint8

// The reasons, as words in Reason.String.
const (
	OK        Reason = iota
	QueueFull        // MaxLength of the class already wait
	Waited           // MaxWait of the class is over
	Overload         // the class is overloaded, and this one has waited for longer than it may then
)

// String returns the word used in metrics and logs.
func (r Reason) String() string { return [...]string{"ok", "queue_full", "wait", "overload"}[r] }

// Waiter is one place in a queue, embedded or kept by its owner and reused. It belongs to the queue between Push and
// the Pop, Expire or Remove that takes it out.
type Waiter[T any] struct {
	Value T
	// Class is the index of the waiter's class.
	Class int
	// Urgent goes before every class and waits UrgentWait: set-up and clean-up that must not be refused for pressure.
	Urgent bool
	// Patient is for work that is held up by a bound of its own, whatever its class may do, and that takes long itself: it has its
	// turn with the others of its class, waits up to PatientWait, and says nothing of the class's overload.
	Patient bool
	// Client tells the clients of a class apart, which are served in turn: one with a thousand connections does not keep
	// one with a single connection waiting. Any number will do; those with the same are one client.
	Client uint64

	since        time.Time
	deadline     time.Time
	queued       bool
	late         Reason
	prev, next   *Waiter[T] // in the class
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
	now     time.Time
	ordered bool                 // never newest first
	still   bool                 // suspended
	resumed time.Time            // when that ended last
	owed    func(class int) bool // nil: nothing is owed
}

// line is one class: who waits and how much service it has had.
type line[T any] struct {
	Class
	list[T] // by arrival
	patient list[T]
	clients *clients[T]
	codel   codel
	virtual float64 // service received, divided by weight
	cost    float64 // expected slot-seconds of one grant
}

// New returns an empty queue of the given classes, at most MaxClasses.
func New[T any](classes []Class) *Queue[T] {
	if len(classes) > MaxClasses {
		panic("queue: more classes than MaxClasses")
	}
	q := &Queue[T]{classes: make([]line[T], len(classes))}
	for i, c := range classes {
		q.classes[i] = line[T]{Class: c, clients: newClients[T](), codel: newCodel(), cost: 0.001}
	}
	return q
}

// Favour makes the classes for which owed is true go before the others, whatever service they have had: the floor below
// which a class must not fall. It is called by Pop.
func (q *Queue[T]) Favour(owed func(class int) bool) { q.owed = owed }

// Push puts w at the end of its class's line. Any answer but OK leaves it outside.
func (q *Queue[T]) Push(w *Waiter[T], now time.Time) Reason {
	if w.queued {
		panic("queue: waiter pushed twice")
	}
	q.Advance(now)
	f := &q.classes[w.Class]
	wait := f.MaxWait
	switch {
	case w.Urgent:
		wait = max(UrgentWait, f.MaxWait)
	case f.length() >= f.MaxLength:
		return QueueFull
	case f.length() == 0:
		// A class that was absent does not save up service: it starts level with the others.
		f.virtual = max(f.virtual, q.served)
	}
	if w.Patient {
		wait = max(PatientWait, wait)
	}
	w.since, w.deadline, w.late = now, now.Add(wait), OK
	q.put(w)
	return OK
}

// put puts w at the end of its line.
func (q *Queue[T]) put(w *Waiter[T]) {
	w.queued = true
	q.total++
	if w.Urgent {
		q.urgent.push(w)
		return
	}
	f := &q.classes[w.Class]
	f.of(w).push(w)
	f.clients.push(w)
}

// of is the list in which w waits.
func (f *line[T]) of(w *Waiter[T]) *list[T] {
	if w.Patient {
		return &f.patient
	}
	return &f.list
}

// length is how many wait.
func (f *line[T]) length() int { return f.n + f.patient.n }

// take takes w out, which has not had its turn.
func (q *Queue[T]) take(w *Waiter[T]) {
	q.total--
	if w.Urgent {
		q.urgent.remove(w)
		return
	}
	f := &q.classes[w.Class]
	f.of(w).remove(w)
	f.clients.remove(w)
}

// leave takes w out for good.
func (q *Queue[T]) leave(w *Waiter[T]) {
	q.take(w)
	if !w.Urgent {
		q.look(&q.classes[w.Class])
	}
}

// Pop takes out the next waiter that can may serve: urgent ones first, then from the class that has had the least
// service for its weight, its clients in turn, the oldest of each first, or the newest under overload.
// classOK tells which classes may be served at all.
func (q *Queue[T]) Pop(classOK func(class int) bool, can func(*Waiter[T]) bool) *Waiter[T] {
	for w := q.urgent.first; w != nil; w = w.next {
		if can(w) {
			q.take(w)
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
		w := f.clients.find(can, q.newest(f))
		if w == nil {
			tried |= 1 << best
			continue
		}
		q.total--
		f.of(w).remove(w)
		f.clients.served(w)
		q.look(f)
		if !owed { // one that goes first for another reason does not tell how far the others are
			q.passed(tried, f.virtual)
		}
		f.virtual += f.cost / float64(f.Weight)
		return w
	}
}

// next returns the class to look into and whether it goes first because that is owed to it, or -1. Classes that may not
// be served are added to tried.
func (q *Queue[T]) next(classOK func(class int) bool, tried *uint64) (best int, owed bool) {
	best = -1
	for i := range q.classes {
		f := &q.classes[i]
		if f.length() == 0 || *tried&(1<<i) != 0 {
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

// Charge says what a grant of class cost in the end, so that the next ones are expected to cost about as much.
func (q *Queue[T]) Charge(class int, held time.Duration) {
	f := &q.classes[class]
	f.cost += (min(max(held, time.Microsecond), maxCharge).Seconds() - f.cost) / 16
	f.codel.hold.Add(held)
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
	// Everybody in one list waits equally long, so the first is the first to be late; urgent waits differ by
	// class, and an urgent one that is late behind one that is not is found a little later.
	if w := q.urgent.first; w != nil && !now.Before(w.deadline) {
		w.late = Waited
		q.take(w)
		return w
	}
	for i := range q.classes {
		f := &q.classes[i]
		w, late := f.first, OK
		switch p := f.patient.first; {
		case p != nil && !now.Before(p.deadline):
			w, late = p, Waited
		case w == nil:
		case !now.Before(w.deadline):
			late = Waited
		case q.waited(w) >= f.codel.bound(f.MaxWait):
			late = Overload
		}
		if late != OK {
			w.late = late
			q.leave(w)
			return w
		}
	}
	return nil
}

// Any takes out some waiter, or returns nil if none is left.
func (q *Queue[T]) Any() *Waiter[T] {
	w := q.urgent.first
	for i := 0; w == nil && i < len(q.classes); i++ {
		if w = q.classes[i].first; w == nil {
			w = q.classes[i].patient.first
		}
	}
	if w != nil {
		q.take(w)
	}
	return w
}

// Return puts a waiter taken out by Any back at the end of its line, with the time and the deadline it had. Returned in
// the order they were taken, all of a line's waiters keep their places.
func (q *Queue[T]) Return(w *Waiter[T]) { q.put(w) }

// Len is how many wait in all.
func (q *Queue[T]) Len() int { return q.total }

// Waiting is how many of a class wait, not counting urgent ones.
func (q *Queue[T]) Waiting(class int) int { return q.classes[class].length() }

// Since counts the waiters of a class that were pushed at t or before, not counting patient and urgent ones.
func (q *Queue[T]) Since(class int, t time.Time) (n int) {
	for w := q.classes[class].first; w != nil && !w.since.After(t); w = w.next {
		n++
	}
	return n
}

// Oldest is when the waiter that waits longest in a class was pushed; ok is false if none waits.
func (q *Queue[T]) Oldest(class int) (since time.Time, ok bool) {
	for _, w := range [...]*Waiter[T]{q.classes[class].first, q.classes[class].patient.first} {
		if w != nil && (!ok || w.since.Before(since)) {
			since, ok = w.since, true
		}
	}
	return since, ok
}

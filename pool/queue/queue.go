package queue

import "time"

// Reason says why a waiter was not taken in or not kept.
type Reason uint8

// The reasons, as words in Reason.String.
const (
	OK        Reason = iota
	QueueFull        // MaxLength of the class already wait
)

// String returns the word used in metrics and logs.
func (r Reason) String() string {
	if r == QueueFull {
		return "queue_full"
	}
	return "ok"
}

// Waiter is one place in a queue, embedded or kept by its owner and reused. It belongs to the queue between Push and
// the Pop, Expire or Remove that takes it out.
type Waiter[T any] struct {
	Value T
	// Class is the index of the waiter's class.
	Class int
	// Urgent goes before every class and waits UrgentWait: set-up and clean-up that must not be refused for pressure.
	Urgent bool

	since      time.Time
	deadline   time.Time
	queued     bool
	prev, next *Waiter[T]
}

// Since is when the waiter was pushed.
func (w *Waiter[T]) Since() time.Time { return w.since }

// UrgentWait bounds the wait of urgent work. Shorter would refuse set-up in a restart of the server, longer would
// outlive every client's own patience.
const UrgentWait = time.Minute

// MaxClasses is how many classes a queue can have: Pop keeps those it has tried in one word.
const MaxClasses = 64

// maxCharge bounds what one grant is taken to have cost. Shorter would let slow work take more than its share; longer
// lets one client that kept its server to itself for hours push its whole class back for as long.
const maxCharge = 10 * time.Second

// Queue orders waiters. It is not safe for concurrent use.
type Queue[T any] struct {
	classes []flow[T]
	urgent  list[T]
	served  float64 // virtual time of the class served last
	total   int
}

// flow is one class: its line and how much service it has had.
type flow[T any] struct {
	Class
	list[T]
	virtual float64 // service received, divided by weight
	cost    float64 // expected slot-seconds of one grant
}

// New returns an empty queue of the given classes, at most MaxClasses.
func New[T any](classes []Class) *Queue[T] {
	if len(classes) > MaxClasses {
		panic("queue: more classes than MaxClasses")
	}
	q := &Queue[T]{classes: make([]flow[T], len(classes))}
	for i, c := range classes {
		q.classes[i] = flow[T]{Class: c, cost: 0.001}
	}
	return q
}

// Push puts w at the end of its class's line. Any answer but OK leaves it outside.
func (q *Queue[T]) Push(w *Waiter[T], now time.Time) Reason {
	if w.queued {
		panic("queue: waiter pushed twice")
	}
	f := &q.classes[w.Class]
	line, wait := &f.list, f.MaxWait
	switch {
	case w.Urgent:
		line, wait = &q.urgent, max(UrgentWait, f.MaxWait)
	case f.n >= f.MaxLength:
		return QueueFull
	case f.n == 0:
		// A class that was absent does not save up service: it starts level with the others.
		f.virtual = max(f.virtual, q.served)
	}
	w.since, w.deadline, w.queued = now, now.Add(wait), true
	line.push(w)
	q.total++
	return OK
}

// Pop takes out the next waiter that can may serve: urgent ones first, then from the class that has had the least
// service for its weight, the oldest first. classOK tells which classes may be served at all.
func (q *Queue[T]) Pop(classOK func(class int) bool, can func(*Waiter[T]) bool) *Waiter[T] {
	for w := q.urgent.first; w != nil; w = w.next {
		if can(w) {
			q.urgent.remove(w)
			q.total--
			return w
		}
	}
	var tried uint64 // set of classes that cannot be served
	for {
		best := -1
		for i := range q.classes {
			f := &q.classes[i]
			if f.n == 0 || tried&(1<<i) != 0 || (best >= 0 && f.virtual >= q.classes[best].virtual) {
				continue
			}
			if !classOK(i) {
				tried |= 1 << i
				continue
			}
			best = i
		}
		if best < 0 {
			return nil
		}
		f := &q.classes[best]
		for w := f.first; w != nil; w = w.next {
			if can(w) {
				f.remove(w)
				q.total--
				q.passed(tried, f.virtual)
				f.virtual += f.cost / float64(f.Weight)
				return w
			}
		}
		tried |= 1 << best
	}
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
}

// Remove takes w out if it still waits and says whether it did.
func (q *Queue[T]) Remove(w *Waiter[T]) bool {
	if !w.queued {
		return false
	}
	if w.Urgent {
		q.urgent.remove(w)
	} else {
		q.classes[w.Class].remove(w)
	}
	q.total--
	return true
}

// Expire takes out one waiter whose longest wait is over, or returns nil.
func (q *Queue[T]) Expire(now time.Time) *Waiter[T] {
	for i := -1; i < len(q.classes); i++ {
		line := &q.urgent
		if i >= 0 {
			line = &q.classes[i].list
		}
		// Everybody in one line waits equally long, so the first is the first to be late; urgent waits differ by
		// class, and an urgent one that is late behind one that is not is found a little later.
		if w := line.first; w != nil && !now.Before(w.deadline) {
			line.remove(w)
			q.total--
			return w
		}
	}
	return nil
}

// Any takes out some waiter, or returns nil if none is left.
func (q *Queue[T]) Any() *Waiter[T] {
	for i := -1; i < len(q.classes); i++ {
		line := &q.urgent
		if i >= 0 {
			line = &q.classes[i].list
		}
		if w := line.first; w != nil {
			line.remove(w)
			q.total--
			return w
		}
	}
	return nil
}

// Return puts a waiter taken out by Any back at the end of its line, with the time and the deadline it had. Returned in
// the order they were taken, all of a line's waiters keep their places.
func (q *Queue[T]) Return(w *Waiter[T]) {
	line := &q.urgent
	if !w.Urgent {
		line = &q.classes[w.Class].list
	}
	w.queued = true
	line.push(w)
	q.total++
}

// Len is how many wait in all.
func (q *Queue[T]) Len() int { return q.total }

// Waiting is how many of a class wait, not counting urgent ones.
func (q *Queue[T]) Waiting(class int) int { return q.classes[class].n }

// Oldest is when the waiter that waits longest in a class was pushed; ok is false if none waits.
func (q *Queue[T]) Oldest(class int) (since time.Time, ok bool) {
	if w := q.classes[class].first; w != nil {
		return w.since, true
	}
	return time.Time{}, false
}

// list is a line of waiters, linked through themselves so that leaving it from the middle costs nothing.
type list[T any] struct {
	first, last *Waiter[T]
	n           int
}

func (l *list[T]) push(w *Waiter[T]) {
	w.prev, w.next = l.last, nil
	if l.last != nil {
		l.last.next = w
	} else {
		l.first = w
	}
	l.last = w
	l.n++
}

func (l *list[T]) remove(w *Waiter[T]) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	l.n--
}

package queue

import "time"

// Who is served in time. Where clients have been seen to leave, that is who has his answer before most of them do, else whose longest wait
// is not over.

// doorPart of the wait after which one is just in time is what one may expect to wait who comes: what is expected is wrong by about so much.
const doorPart = 0.8

// inTime is the longest wait in a lane of a class after which one is still served in time.
func (q *Queue[T]) inTime(f *line[T], lane uint8) time.Duration {
	if lane == Patient {
		return max(PatientWait, f.MaxWait)
	}
	if q.hasty > 0 {
		return min(q.hasty, f.MaxWait)
	}
	learned := f.patience.of(q.now)
	if learned == 0 {
		return f.MaxWait
	}
	// The answer is late by as much as it takes to do the work itself.
	return min(max(learned-f.codel.hold.Value(), learned/2), f.MaxWait)
}

// admits says whether w may wait: its turn is expected to come in time.
func (q *Queue[T]) admits(f *line[T], w *Waiter[T]) bool {
	if !f.Interactive || q.still || q.hasty > 0 {
		return true
	}
	return f.lanes[w.Lane].admits(time.Duration(doorPart*float64(q.InTime(w))), q.now)
}

// bound is the longest wait of a class: its own, or if its line stands and its clients leave sooner, as long as they stay: who would leave in a
// moment is told so, and keeps the connection.
func (q *Queue[T]) bound(f *line[T]) time.Duration {
	learned := f.patience.of(q.now)
	if !f.codel.overloaded || learned == 0 {
		return f.MaxWait
	}
	return min(f.MaxWait, learned)
}

// newest says whether a class is served newest first: its line stands, and its oldest will not be served in time any more. While they are
// the order of arrival serves everybody, and any other would have some wait for nothing.
func (q *Queue[T]) newest(f *line[T]) bool {
	w := f.lanes[Common].first
	return f.codel.overloaded && !q.ordered && w != nil && q.waited(w) > q.inTime(f, Common)
}

// Hasten makes a mutant, to see whether a scenario finds it out: nobody is turned away, and who has waited for longer than d is taken to
// be too late, whatever clients do.
func (q *Queue[T]) Hasten(d time.Duration) { q.hasty = d }

// Left tells that a client of a class has left, or has cancelled what it asked for, so long after it had asked.
func (q *Queue[T]) Left(class int, after time.Duration) { q.classes[class].patience.see(after, true) }

// Answered tells that a client of a class has had its answer so long after it had asked. One that has said how long it waits tells
// as much as one that has left after that time.
func (q *Queue[T]) Answered(class int, after, patience time.Duration) {
	q.classes[class].patience.see(max(after, patience), patience > 0)
}

// Wait is how long one will wait who comes now to a lane of a class; 0 if not at all, or if that is not known.
func (q *Queue[T]) Wait(class int, lane uint8) time.Duration {
	return q.classes[class].lanes[lane].flow.wait(q.now)
}

// InTime is the longest wait after which w is still served in time: the wait of its class, or less if its client has said so.
func (q *Queue[T]) InTime(w *Waiter[T]) time.Duration {
	longest := q.inTime(&q.classes[w.Class], w.Lane)
	if w.Patience > 0 {
		longest = min(longest, max(w.Patience, patienceFirst))
	}
	return longest
}

package queue

import "time"

// Who was told that it is too late, and comes back before he should, gains nothing by it: he waits on the porch until it is time, and is then
// taken in or turned away as if he had just come. So nobody who tries again all the time has his turn before those who do as they are told.

// pauseMost bounds how long one waits on the porch; more of his own deadline is not taken from him.
const pauseMost = time.Second

// earlyPart of the wait after which one is just in time is what one may expect to wait who comes too early and is taken in all the same:
// what there was to wait for is over.
const earlyPart = 0.5

// pause is how long one who is turned away from a lane should stay away: half as long as one may wait, so that the line is not empty when
// he comes back.
func (q *Queue[T]) pause(f *line[T], lane uint8) time.Duration {
	return min(pauseMost, q.inTime(f, lane)/2)
}

// tooEarly says whether w has come back before he should, and would have to wait for long.
func (q *Queue[T]) tooEarly(f *line[T], w *Waiter[T]) bool {
	if !q.now.Before(w.again) || !f.Interactive || q.still || q.ordered {
		return false
	}
	return f.lanes[w.Lane].flow.wait(q.now) > time.Duration(earlyPart*float64(q.inTime(f, w.Lane)))
}

// turnAway takes in those on the porch whose time has come, until one is turned away, whom it returns.
func (q *Queue[T]) turnAway(f *line[T]) *Waiter[T] {
	for w := f.porch.first; w != nil && (!q.now.Before(w.again) || q.still); w = f.porch.first {
		q.take(w, false)
		w.outside = false
		if q.admits(f, w) {
			q.put(w)
			continue
		}
		w.late, w.again = TooLate, q.now.Add(q.pause(f, w.Lane))
		return w
	}
	return nil
}

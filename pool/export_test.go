package pool

import "time"

// SetPrint replaces the bounds of a fingerprint; the zero Print takes them away. Statements that run already go on.
func (p *Pool) SetPrint(index uint16, b Print, now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	p.prints.bound[index] = b
	p.laneForLocked(index)
	p.sortLocked()
	p.grantAll(now)
}

// Expire does what Run does at each tick.
func (p *Pool) Expire() { p.expire() }

// Since is when w was put in the queue.
func (w *Waiter) Since() time.Time { return w.place.Since() }

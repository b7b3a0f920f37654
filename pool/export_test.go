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

// GapMost is the longest gap that can be short.
const GapMost = gapMost

// SetShortGap says up to which length a gap is short, and that a look has just seen that transactions hold each other up.
func (p *Pool) SetShortGap(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gaps.short, p.gaps.conflicts = d, true
	p.refund.until = time.Now().Add(refundFor)
}

// LooksHold is how long a look is trusted.
const LooksHold = refundFor

// ShortGap is up to which length a gap is short.
func (p *Pool) ShortGap() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gaps.short
}

// Expire does what Run does at each tick.
func (p *Pool) Expire() { p.expire() }

// Since is when w was put in the queue.
func (w *Waiter) Since() time.Time { return w.place.Since() }

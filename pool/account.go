package pool

import (
	"math"
	"time"

	"pgguard/pool/queue"
)

// Window is what has happened since the last Account: what a law for the limit is told.
type Window struct {
	Elapsed time.Duration
	Run     float64 // run-seconds: the integral of statements running
	Gap     float64 // the same of transactions that keep a run token in a short gap
	Blocked float64 // of the statements, known to wait for a lock
	Slot    float64 // slot-seconds: the integral of slots in a transaction
	Bound   float64 // seconds with somebody waiting for a run token: only then does the limit tell anything
	Peak    int     // most statements running at once
	Running int     // now
	Limit   int     // now, ceiling included
	// Paces are the classes' ways of waiting now. The slice is the caller's.
	Paces []queue.Pace
}

// sums are integrals since the pool was made.
type sums struct{ run, gap, blocked, slot, bound float64 }

// account integrates. The states that last are noted after each change, and counted at the next.
type account struct {
	sums
	at      time.Time // up to which it is counted
	waiting bool      // somebody waits for a token
	// slotless says that somebody waits although there are tokens: servers are what is missing.
	slotless bool
	taken    sums      // as of the last Account
	since    time.Time // of the last Account
	peak     int
	// pressed is since when somebody waits for a slot; zero: nobody does.
	pressed time.Time
}

// tallyLocked counts the time up to now in the state that has lasted until now. It comes before every change of what it
// counts.
func (p *Pool) tallyLocked(now time.Time) {
	a := &p.account
	if a.at.IsZero() {
		a.since, a.at = now, now
	}
	passed := now.Sub(a.at)
	if passed < 0 {
		return // somebody read the clock before us and came later
	}
	dt := passed.Seconds()
	a.at = now
	a.run += dt * float64(p.running)
	a.gap += dt * float64(p.gaps.n)
	a.blocked += dt * float64(p.blockedLocked())
	a.slot += dt * float64(p.inTransactionLocked())
	if a.waiting {
		a.bound += dt
	}
}

// noteLocked notes what lasts from now on.
func (p *Pool) noteLocked() {
	waits := p.queue.Len() > p.logging
	token := waits && p.tokenLocked()
	p.account.waiting, p.account.slotless = waits && !token, false
	if token && p.freeLocked() > 0 {
		byKept, byOwn := p.heldUpLocked()
		p.account.waiting = byKept > 0
		p.account.slotless = p.queue.Len() > p.logging+byKept+byOwn
	}
	if p.free { // nobody waits for a token; whoever is beyond the limit would
		p.account.waiting = p.freeLocked() < 0
	}
}

// watchLocked notes whether slots are exhausted. It is called at each tick instead of at each change: what is made of it
// takes seconds.
func (p *Pool) watchLocked(now time.Time) {
	pressed := p.pressedLocked()
	if !p.hold.bound {
		p.hold.bound = pressed || p.count[Lent] >= p.cap.now || p.inTransactionLocked() >= p.limit.Current()+p.allowanceLocked()
	}
	switch {
	case !pressed:
		p.account.pressed = time.Time{}
	case p.account.pressed.IsZero():
		p.account.pressed = now
	}
}

// pressedLocked says whether somebody waits for a slot.
func (p *Pool) pressedLocked() bool {
	if p.queue.Len() == 0 {
		return false
	}
	for i := range p.cfg.Classes {
		if p.lacksSlotLocked(i) {
			return true
		}
	}
	return false
}

// lacksSlotLocked says whether somebody of a class waits for a slot.
func (p *Pool) lacksSlotLocked(class int) bool {
	return p.queue.Waiting(class) > p.own[class] && (p.count[Lent] >= p.cap.now || !p.roomLocked(class))
}

// Account returns what has happened since it was called last. It has one caller.
func (p *Pool) Account(now time.Time) Window {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tallyLocked(now)
	a := &p.account
	w := Window{
		Elapsed: now.Sub(a.since), Run: a.run - a.taken.run, Gap: a.gap - a.taken.gap, Blocked: a.blocked - a.taken.blocked, Slot: a.slot - a.taken.slot,
		Bound: a.bound - a.taken.bound, Peak: a.peak, Running: p.running, Limit: p.limitLocked(),
		Paces: make([]queue.Pace, len(p.cfg.Classes)),
	}
	for i := range w.Paces {
		w.Paces[i] = p.queue.Pace(i)
	}
	a.taken, a.since, a.peak = a.sums, now, p.running
	return w
}

// How h, the slot-seconds for each run-second, is learned: so slowly that one stall of a minute is not taken for the
// ordinary, and from 2, of which healthy applications are not far. The prior weighs as much as a minute of one statement
// running: less would let the first transactions of a quiet guard decide.
const (
	holdHalfLife = 10 * time.Minute
	holdFirst    = 2
	holdPrior    = 60 // run-seconds
)

// hold learns h from sums that fade.
type hold struct {
	run, slot float64
	seen      sums
	at        time.Time
	bound     bool // slots have bound since at
}

func (h *hold) ratio() float64 {
	if h.run <= 0 {
		return holdFirst
	}
	return max(1, h.slot/h.run)
}

// learnLocked takes the time since it was called last into h, unless slots were exhausted in it: what clients do then is
// what the allowance is to be proof against.
func (p *Pool) learnLocked(now time.Time) {
	h, s := &p.hold, p.account.sums
	run, slot, frozen := s.run-h.seen.run, s.slot-h.seen.slot, h.bound || h.at.IsZero()
	if h.run == 0 {
		h.run, h.slot = holdPrior, holdFirst*holdPrior
	}
	if !frozen {
		fade := math.Exp2(-now.Sub(h.at).Seconds() / holdHalfLife.Seconds())
		h.run, h.slot = h.run*fade+run, h.slot*fade+slot
	}
	h.seen, h.at, h.bound = s, now, false
}

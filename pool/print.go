package pool

import (
	"time"

	"pgguard/pool/limit"
)

// MaxPrints is how many fingerprints of statements can be told apart: those of which the law keeps statistics.
// Waiter.Print is below it; 0 is a statement of which nothing is known, which has no bound of its own.
const MaxPrints = limit.Fingerprints

// slowPart of the limit is what slow statements may have between them, so that reports never fill it.
const slowPart = 4

// Print bounds the statements of one fingerprint.
type Print struct {
	// Slow is for statements that take a second or more: all of them together run at most a quarter of the limit, rounded up.
	Slow bool
	// Cap is how many may run at once; 0: no bound. See ConvoyCap.
	Cap int
}

// convoyLeast and convoyMore make the cap of a convoy: more waiters behind a row lock finish nothing sooner, and those that
// wait for a second have PostgreSQL look for a deadlock; two above those that are not blocked keep the row busy.
const (
	convoyLeast = 2
	convoyMore  = 2
)

// ConvoyCap is the cap for a fingerprint most of whose statements wait for locks, of which unblocked do not.
func ConvoyCap(unblocked int) int { return max(convoyLeast, unblocked+convoyMore) }

// prints are the bounds of fingerprints and what runs of each.
type prints struct {
	bound   [MaxPrints]Print
	running [MaxPrints]uint32
	took    [MaxPrints]float32 // seconds, a moving average
	slow    int                // statements running that began as slow ones
}

// SetConvoy replaces the cap of a fingerprint; 0 takes it away.
func (p *Pool) SetConvoy(index uint16, n int, now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	p.prints.bound[index].Cap = n
	p.grantAll(now)
}

// slowTime is from when on a statement counts as slow, by the moving average of its times over about eight.
const slowTime = 1.0 // seconds

// tookLocked learns how long statements of a fingerprint take.
func (p *Pool) tookLocked(index uint16, took time.Duration) {
	if index == 0 {
		return
	}
	mean := &p.prints.took[index]
	*mean += (float32(took.Seconds()) - *mean) / 8
	p.prints.bound[index].Slow = *mean >= slowTime
}

// printLocked says whether one more statement of a fingerprint may begin.
func (p *Pool) printLocked(index uint16) bool {
	if index == 0 || p.free {
		return true
	}
	b := p.prints.bound[index]
	if b.Cap > 0 && int(p.prints.running[index]) >= b.Cap {
		return false
	}
	return !b.Slow || p.prints.slow < max(1, (p.limitLocked()+slowPart-1)/slowPart)
}

// runLocked gives a run token to a server, which gives it back with its lease; one that is not lent has none to give.
func (p *Pool) runLocked(s *Server, index uint16) {
	if s.state != Lent {
		return
	}
	p.unparkLocked(s)
	s.idle = time.Time{}
	s.running++
	p.running++
	s.beside = p.running
	p.ran[s.class]++
	p.account.peak = max(p.account.peak, p.running)
	if s.print == 0 && index != 0 {
		s.print, s.slow = index, p.prints.bound[index].Slow
		p.prints.running[index]++
		if s.slow {
			p.prints.slow++
		}
	}
}

// haltLocked takes n run tokens of a server back, and tells the law of the statement that has ended.
func (p *Pool) haltLocked(s *Server, n int) {
	if n > 0 && s.Sample.Elapsed > 0 {
		s.Sample.Now, s.Sample.Running, s.Sample.Fingerprint, s.Sample.Class = p.account.at, s.beside, s.print, uint8(s.class)
		p.limit.Observe(s.Sample)
		if s.Sample.Kind != limit.Failed && !s.Sample.Blocked {
			p.tookLocked(s.print, s.Sample.Elapsed)
		}
	}
	s.Sample = limit.Sample{}
	s.running -= n
	p.running -= n
	p.ran[s.class] -= n
	if s.running > 0 || s.print == 0 {
		return
	}
	p.prints.running[s.print]--
	if s.slow {
		p.prints.slow--
	}
	s.print, s.slow = 0, false
}

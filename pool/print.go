package pool

import (
	"time"

	"pgguard/pool/limit"
	"pgguard/pool/queue"
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
	ended   [MaxPrints]Tally
	slow    int                 // statements running that began as slow ones
	lane    [MaxPrints]uint8    // in which those of a convoy wait; 0: none of their own
	kinds   [queue.Lanes]uint16 // whose a lane is; 0: nobody's
	turned  bool                // some wait in another lane than they should
}

// Tally is what the statements of one fingerprint have taken since the pool was made.
type Tally struct {
	Calls  uint64
	Took   time.Duration
	Waited time.Duration // for servers and run tokens
	// Blocked is how many were seen to wait for a lock, and BlockedTook how long those took.
	Blocked     uint64
	BlockedTook time.Duration
}

// Tallies returns what each fingerprint has taken, by its number. 0 is those that cannot be told apart.
func (p *Pool) Tallies() [MaxPrints]Tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.prints.ended
}

// MaxPrints kinds of work can be told apart in the queue.
var _ [queue.Kinds - MaxPrints]struct{}

// SetConvoy replaces the cap of a fingerprint; 0 takes it away.
func (p *Pool) SetConvoy(index uint16, n int, now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	p.prints.bound[index].Cap = n
	p.laneForLocked(index)
	p.grantAll(now)
}

// laneForLocked gives a fingerprint that has a cap a lane of its own, if there is one left, and takes it from one that has none.
func (p *Pool) laneForLocked(index uint16) {
	r := &p.prints
	switch own := r.lane[index]; {
	case r.bound[index].Cap > 0 && own == 0:
		for i := queue.FirstOwn; i < queue.Lanes; i++ {
			if r.kinds[i] == 0 {
				r.kinds[i], r.lane[index] = index, uint8(i)
				p.sortLocked()
				return
			}
		}
	case r.bound[index].Cap == 0 && own != 0:
		r.kinds[own], r.lane[index] = 0, 0
		p.sortLocked()
	}
}

// laneLocked is where w waits.
func (p *Pool) laneLocked(w *Waiter) uint8 {
	switch {
	case w.Login || p.free:
		return queue.Common
	case p.prints.lane[w.Print] != 0:
		return p.prints.lane[w.Print]
	case p.prints.bound[w.Print].Slow:
		return queue.Patient
	}
	return queue.Common
}

// sortLocked has everybody wait where he should. Who waits among the slow stays there: he has been told nothing shorter.
func (p *Pool) sortLocked() {
	p.prints.turned = false
	p.queue.Sort(func(place *queue.Waiter[*Waiter]) uint8 {
		lane := p.laneLocked(place.Value)
		if lane == queue.Common && place.Lane == queue.Patient {
			return queue.Patient
		}
		return lane
	})
}

// laneOpenLocked says whether one more of a lane, which is not the common one, may begin.
func (p *Pool) laneOpenLocked(lane int) bool {
	if lane == queue.Patient {
		return p.prints.slow < p.slowShareLocked()
	}
	index := p.prints.kinds[lane]
	return index == 0 || p.printLocked(index)
}

// slowShareLocked is how many slow statements may run.
func (p *Pool) slowShareLocked() int { return max(1, (p.limitLocked()+slowPart-1)/slowPart) }

// slowTime is from when on a statement counts as slow, by the moving average of its times over about eight.
const slowTime = 1.0 // seconds

// tookLocked learns how long statements of a fingerprint take.
func (p *Pool) tookLocked(index uint16, took time.Duration) {
	if index == 0 {
		return
	}
	mean := &p.prints.took[index]
	*mean += (float32(took.Seconds()) - *mean) / 8
	if slow := *mean >= slowTime; slow != p.prints.bound[index].Slow {
		p.prints.bound[index].Slow, p.prints.turned = slow, true
	}
}

// printLocked says whether one more statement of a fingerprint may begin.
func (p *Pool) printLocked(index uint16) bool {
	if index == 0 || p.free {
		return true
	}
	b := p.prints.bound[index]
	if b.Cap > 0 && int(p.prints.running[index]) >= p.convoyCapLocked(b) {
		return false
	}
	return !b.Slow || p.prints.slow < p.slowShareLocked()
}

// convoyPart of the limit a convoy has at least. Those who hold the lock are mostly at their COMMIT, so that none of the statement itself is
// seen not to wait: two among many that run would have hardly any of the processor.
const convoyPart = 4

// convoyCapLocked is how many of a convoy may run.
func (p *Pool) convoyCapLocked(b Print) int { return max(b.Cap, p.limitLocked()/convoyPart) }

// runLocked gives a run token to a server, which gives it back with its lease; one that is not lent has none to give.
func (p *Pool) runLocked(s *Server, index uint16) {
	if s.state != Lent {
		return
	}
	p.unparkLocked(s)
	p.endGapLocked(s)
	s.idle = time.Time{}
	if s.running == 0 {
		p.working++
	}
	s.running++
	p.running++
	s.beside = p.running
	p.ran[s.class]++
	p.seenLocked(s.class)
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
		p.gaps.ended++
		t := &p.prints.ended[s.print]
		t.Calls, t.Took = t.Calls+1, t.Took+s.Sample.Elapsed
		if s.Sample.Blocked {
			t.Blocked, t.BlockedTook = t.Blocked+1, t.BlockedTook+s.Sample.Elapsed
		}
		if s.Sample.Kind != limit.Failed && !s.Sample.Blocked {
			p.tookLocked(s.print, s.Sample.Elapsed)
		}
	}
	s.Sample = limit.Sample{}
	if n > 0 && !s.asked.IsZero() {
		p.queue.Answered(s.class, p.account.at.Sub(s.asked), s.patience)
		s.asked = time.Time{}
	}
	if n > 0 && s.running == n {
		p.working--
	}
	s.running -= n
	p.running -= n
	p.ran[s.class] -= n
	p.seenLocked(s.class)
	if s.running > 0 || s.print == 0 {
		return
	}
	p.prints.running[s.print]--
	if s.slow {
		p.prints.slow--
	}
	s.print, s.slow = 0, false
}
